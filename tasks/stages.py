"""What all two-step tasks share: a choice, then the second-step state it led to."""

from abc import abstractmethod
from collections.abc import Sequence
from math import isfinite

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.base import Episodes, Tape, Task

# Rows of the table of cues. State -1, after an invalid choice, is the blank before it.
CHOICE, BLANK, STATE, FIXATION, CUE = 0, 1, 2, 4, 5
_N_CUES = 9  # from CUE on, rows are the task's own
FIXATE = 2  # the action that fixates


class StagedTask(Task):
    """A task whose trials are (fixation,) a choice, and a second-step state."""

    fixation: bool
    invalid_reward: float
    second_phase = "state2"
    """Name of the second step."""

    @property
    def n_actions(self) -> int:
        """Two choices, and fixation where there is one."""
        return 2 + self.fixation

    @property
    def phases(self) -> tuple[str, ...]:
        """(Fixation,) choice, second step."""
        phases = ("fixation", "choice", self.second_phase)
        return phases[0 if self.fixation else 1 :]

    def check_trials(self) -> None:
        """Check what all two-step tasks have.

        Raises
        ------
        InputError
            When there is no trial, or the penalty is not a number.
        """
        if self.trials < 1:
            raise InputError(f"trials is {self.trials}; expected 1 or more")
        if not isfinite(self.invalid_reward):
            raise InputError(
                f"invalid_reward is {self.invalid_reward}; expected a finite number"
            )


class StagedEpisodes(Episodes):
    """Episodes of a two-step task, played in lockstep.

    Parameters
    ----------
    task, tape
        The task, and a tape drawn from it.
    cues
        The cues in use, in the order of the observation.
    like
        (..., episode): the batch's shape and device.
    """

    trial: int
    phase: int

    def __init__(
        self, task: StagedTask, tape: Tape, cues: Sequence[int], like: Tensor
    ) -> None:
        self.tape, self._fixation = tape, task.fixation
        self._penalty = float(task.invalid_reward)
        self.trial = self.phase = 0
        respond = [self._fixate, self._choose, self._leave_state]
        self._responses = respond[-task.steps_per_trial :]
        self._choices: list[Tensor] = []
        self._states: list[Tensor] = []
        self._rewards: list[Tensor] = []
        self._cues = torch.eye(_N_CUES, device=like.device)[:, list(cues)]
        self._everywhere = {
            cue: self._cues[cue].expand(*like.shape, -1).contiguous()
            for cue in (CHOICE, FIXATION)
        }
        self.observation = self._trial_start()

    def step(self, action: Tensor) -> tuple[Tensor, Tensor]:
        """Take one action in every episode; see :meth:`Episodes.step`."""
        reward = self._responses[self.phase](action)
        self.phase += 1
        if self.phase == len(self._responses):
            self.phase = 0
            self.trial += 1
            self.observation = self._trial_start()
        return self.observation, reward

    @property
    def last_choice(self) -> Tensor:
        """(..., episode): the latest choice, -1 if it was invalid."""
        return self._choices[-1]

    @property
    def last_state(self) -> Tensor:
        """(..., episode): the latest second-step state, -1 if there was none."""
        return self._states[-1]

    @abstractmethod
    def _choice_cue(self) -> Tensor:
        """Return the observation at the choice."""

    @abstractmethod
    def _choose(self, action: Tensor) -> Tensor:
        """Make the choice, show the state, and return the reward."""

    @abstractmethod
    def _leave_state(self, action: Tensor) -> Tensor:
        """Respond to the state, and return the reward."""

    def _trial_start(self) -> Tensor:
        return self._alike(FIXATION) if self._fixation else self._choice_cue()

    def _fixate(self, action: Tensor) -> Tensor:
        self.observation = self._choice_cue()
        return self._penalty * (action != FIXATE)

    def _show(self, cue: Tensor) -> Tensor:
        """Return the observation of each episode's cue."""
        rows = self._cues.index_select(0, cue.flatten())  # four times faster than [cue]
        return rows.view(*cue.shape, -1)

    def _alike(self, cue: int) -> Tensor:
        """Return a fresh observation of one cue in all episodes."""
        return self._everywhere[cue].clone()

    def _finished(self) -> int:
        """Return the number of finished trials.

        Raises
        ------
        InputError
            When no trial is finished yet.
        """
        if self.trial == 0:
            raise InputError("no trial is finished yet; play some before asking")
        return self.trial
