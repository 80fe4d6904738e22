"""What all bandits share: a trial is one choice among arms, each paying as it may."""

from abc import abstractmethod
from math import isfinite

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.base import Episodes, Tape, Task


class ArmTask(Task):
    """A task whose trials are one choice among arms.

    Subclasses draw a tape with ``payoff`` (trial, episode, arm) float32, what each arm
    would pay, and their latents.
    """

    trial_number: bool
    fixation: bool
    invalid_reward: float

    @property
    @abstractmethod
    def arms(self) -> int:
        """Number of arms."""

    def __post_init__(self) -> None:
        """Check what all bandits have.

        Raises
        ------
        InputError
            When there is no trial or no choice, or the penalty is not a number.
        """
        if self.trials < 1:
            raise InputError(f"trials is {self.trials}; expected 1 or more")
        if self.arms < 2:
            raise InputError(f"arms is {self.arms}; expected 2 or more")
        if not isfinite(self.invalid_reward):
            raise InputError(
                f"invalid_reward is {self.invalid_reward}; expected a finite number"
            )

    @property
    def n_observations(self) -> int:
        """Cues of fixation and choice, and the trial number, where there are any."""
        return 2 * self.fixation + self.trial_number

    @property
    def n_actions(self) -> int:
        """One per arm, and fixation where there is one."""
        return self.arms + self.fixation

    @property
    def phases(self) -> tuple[str, ...]:
        """(Fixation,) choice."""
        return ("fixation", "choice") if self.fixation else ("choice",)

    @abstractmethod
    def latent_columns(self, tape: Tape) -> dict[str, Tensor]:
        """Return the columns of the trial table that the agent cannot see.

        Parameters
        ----------
        tape
            As drawn by the task, cut to the trials wanted.

        Returns
        -------
        dict
            Each (trial, ..., episode).
        """

    def begin(self, tape: Tape) -> "ArmEpisodes":
        """Start the episodes of a tape."""
        return ArmEpisodes(self, tape)


class ArmEpisodes(Episodes):
    """Episodes of choices among arms, played in lockstep."""

    def __init__(self, task: ArmTask, tape: Tape) -> None:
        self.task, self.tape = task, tape
        self.trial = self.phase = 0
        self._choices: list[Tensor] = []
        self._rewards: list[Tensor] = []
        self._cues = _cues(task).to(tape["payoff"].device)
        self.observation = self._observe()

    def step(self, action: Tensor) -> tuple[Tensor, Tensor]:
        """Take one action in every episode; see :meth:`Episodes.step`."""
        choosing = self.phase == self.task.steps_per_trial - 1
        reward = self._choose(action) if choosing else self._fixate(action)
        self.phase = 0 if choosing else 1
        self.trial += choosing
        self.observation = self._observe()
        return self.observation, reward

    def _observe(self) -> Tensor:
        """Return a fresh copy of the cue on show, alike in all episodes."""
        cue = self._cues[self.trial, self.phase]
        return cue.expand(*self.tape["payoff"].shape[1:-1], -1).clone()

    def _fixate(self, action: Tensor) -> Tensor:
        return float(self.task.invalid_reward) * (action != self.task.arms)

    def _choose(self, action: Tensor) -> Tensor:
        payoff = self.tape["payoff"][self.trial]
        if not self.task.fixation:
            reward = payoff.gather(-1, action.unsqueeze(-1)).squeeze(-1)
            self._choices.append(action.clone())
            self._rewards.append(reward)
            return reward.clone()  # what is recorded stays ours
        invalid = action == self.task.arms
        arm = action.masked_fill(invalid, 0)
        earned = payoff.gather(-1, arm.unsqueeze(-1)).squeeze(-1)
        self._choices.append(action.masked_fill(invalid, -1))
        self._rewards.append(earned.masked_fill(invalid, torch.nan))
        return earned.masked_fill(invalid, float(self.task.invalid_reward))

    def trials(self) -> dict[str, Tensor]:
        """Return the trials finished so far; see :meth:`Episodes.trials`.

        ``reward`` is the arm's, NaN in trials that are not valid; penalties for invalid
        responses are not in it.

        Raises
        ------
        InputError
            When no trial is finished yet.
        """
        if self.trial == 0:
            raise InputError("no trial is finished yet; play some before asking")
        choice = torch.stack(self._choices)
        tape = {name: values[: self.trial] for name, values in self.tape.items()}
        return {
            "choice": choice,
            "reward": torch.stack(self._rewards),
            "valid": (choice >= 0).long(),
            **self.task.latent_columns(tape),
        }


def _cues(task: ArmTask) -> Tensor:
    """All observations there are, (trial, phase, observation), one trial to spare."""
    columns = []
    if task.fixation:
        columns += [*torch.eye(2).expand(task.trials + 1, -1, -1).unbind(-1)]
    if task.trial_number:
        number = torch.arange(task.trials + 1) / task.trials
        columns.append(number[:, None].expand(-1, task.steps_per_trial))
    if not columns:
        return torch.zeros(task.trials + 1, task.steps_per_trial, 0)
    return torch.stack(columns, dim=-1)


def good_choice(p_reward: Tensor) -> Tensor:
    """Return the best arm.

    Parameters
    ----------
    p_reward
        (..., arm) probabilities.

    Returns
    -------
    Tensor
        (...) int64; -1 where no single arm is the best.
    """
    best = p_reward.amax(-1, keepdim=True)
    tied = (p_reward == best).sum(-1) > 1
    return p_reward.argmax(-1).masked_fill(tied, -1)
