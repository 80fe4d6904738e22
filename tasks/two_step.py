"""The two-step task: a choice leads, mostly, to one of two states, which pays or not.

Wang et al. 2018 (Nat Neurosci 21:860), simulation 4, after Daw et al. 2011 and Miller,
Botvinick & Brody 2017. Other experiments' settings: :mod:`two_step_versions`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.blocks import Blocks, are_blocks, draw_blocks
from pfc_metarl.tasks.stages import (
    CHOICE,
    CUE,
    FIXATE,
    FIXATION,
    STATE,
    StagedEpisodes,
    StagedTask,
)


@dataclass(frozen=True)
class TwoStep(StagedTask):
    """Two-step task without a second-step choice.

    **A trial.** (Fixation;) choice between two actions; one of two second-step states
    appears, the choice's own with probability ``p_common``; a reward follows with a
    probability that depends on the state and on a hidden block. Reversals of the block
    are not signalled.

    **Actions.** 0 and 1, the choices; with ``fixation`` also 2, the central fixation.
    At the second-step state any action is accepted and has no effect.

    **Observation.** One-hot: choice cue, second-step states 0 and 1, then, when in use,
    the fixation cue and the two cues of a forced choice. Blank (all zeros) after an
    invalid choice.

    **Reward.** 1 or 0 on leaving the second-step state. With ``fixation``, a wrong
    response to the fixation cue or the choice cue costs ``invalid_reward``; after a
    wrong response to the choice cue the trial has no second step and is not valid. At
    the cue of a forced choice any response takes the instructed side.

    **End.** After ``trials`` trials. The first block is drawn at random.

    Departures: a trial is two steps without fixation (the paper's number of steps is
    not known to us).
    """

    p_common: float = parameter(0.8, "Wang et al. 2018, Fig. 5a", unit="probability")
    blocks: Blocks = parameter(
        ((0.9, 0.1), (0.1, 0.9)),
        "three reimplementations of Wang et al. 2018; the paper gives p and 1 - p",
        unit="probability of reward in (state 0, state 1), per kind of block",
    )
    p_reversal: float = parameter(
        0.025,
        "four reimplementations of Wang et al. 2018",
        unit="probability per trial",
    )
    min_block_trials: int = parameter(
        0, "Wang et al. 2018 as reimplemented: no minimum", unit="trials"
    )
    p_transition_reversal: float = parameter(
        0.0, "Wang et al. 2018, Fig. 5a: fixed", unit="probability per trial"
    )
    p_forced: float = parameter(
        0.0, "Wang et al. 2018: no forced choices", unit="probability per trial"
    )
    trials: int = parameter(100, "Wang et al. 2018, Fig. 5 legend", unit="trials")
    fixation: bool = parameter(
        False, "guess: left out for speed; Wang et al. 2018 have a fixation step"
    )
    invalid_reward: float = parameter(
        -1.0, "Wang et al. 2018 (preprint), general Methods", unit="reward"
    )

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises
        ------
        InputError
            When a probability or a count is out of range.
        """
        self.check_trials()
        for name in ("p_common", "p_reversal", "p_transition_reversal", "p_forced"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected 0 to 1")
        if not are_blocks(self.blocks, options=2):
            raise InputError(
                f"blocks is {self.blocks}; expected pairs of probabilities, "
                "such as ((0.9, 0.1), (0.1, 0.9))"
            )
        if self.min_block_trials < 0:
            raise InputError(
                f"min_block_trials is {self.min_block_trials}; expected 0 or more"
            )

    @property
    def n_observations(self) -> int:
        """Choice cue, two states, and the optional cues."""
        return 3 + self.fixation + 2 * (self.p_forced > 0)

    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        """Draw blocks, transitions, outcomes and forced choices.

        Returns
        -------
        Tape
            (trial, episode): ``block`` int64; ``flip`` int64, 1 where state 2 differs
            from the choice; ``common`` bool; ``outcome0`` and ``outcome1`` float32, the
            reward each state would pay; ``forced`` int64, the instructed choice or -1.
        """
        return self.draw_outcomes(self.draw_problems(batch, generator), generator)

    def draw_problems(self, n: int, generator: torch.Generator) -> Tape:
        """Draw when reward and transitions reverse.

        Returns
        -------
        Tape
            (trial, n): ``block`` int64; ``swapped`` int64, 1 where choice 0 commonly
            leads to state 1.
        """
        shape, kinds = (self.trials, n), len(self.blocks)
        return {
            "block": draw_blocks(
                shape, kinds, self.p_reversal, self.min_block_trials, generator
            ),
            "swapped": self._draw_mapping(n, generator),
        }

    def draw_outcomes(self, problems: Tape, generator: torch.Generator) -> Tape:
        """Draw transitions, outcomes and forced choices; see :meth:`draw`."""
        block, swapped = problems["block"], problems["swapped"]
        shape = block.shape

        def uniform() -> Tensor:
            return torch.rand(shape, generator=generator)

        common = uniform() < self.p_common
        pays0, pays1 = (table.take(block) for table in torch.tensor(self.blocks).T)
        side = torch.randint(2, shape, generator=generator)
        forced = torch.where(uniform() < self.p_forced, side, -1)
        return {
            "block": block,
            "common": common,
            "flip": (~common).long() ^ swapped,
            "outcome0": (uniform() < pays0).float(),
            "outcome1": (uniform() < pays1).float(),
            "forced": forced,
        }

    def _draw_mapping(self, batch: int, generator: torch.Generator) -> Tensor:
        """1 where choice 0 commonly leads to state 1; drawn only if it varies."""
        shape = (self.trials, batch)
        if self.p_transition_reversal == 0:
            return torch.zeros(shape, dtype=torch.int64)
        reversal = torch.rand(shape, generator=generator) < self.p_transition_reversal
        first = torch.randint(2, (batch,), generator=generator)
        return (first + torch.cumsum(reversal, dim=0)) % 2

    def begin(self, tape: Tape) -> "TwoStepEpisodes":
        """Start the episodes of a tape."""
        return TwoStepEpisodes(self, tape)


class TwoStepEpisodes(StagedEpisodes):
    """Episodes of the two-step task, played in lockstep."""

    def __init__(self, task: TwoStep, tape: Tape) -> None:
        self.task = task
        cues = [CHOICE, STATE, STATE + 1]
        if task.fixation:
            cues.append(FIXATION)
        if task.p_forced > 0:
            cues += [CUE, CUE + 1]
        super().__init__(task, tape, cues, like=tape["flip"][0])

    def _choice_cue(self) -> Tensor:
        if self.task.p_forced == 0 or self.trial == self.task.trials:
            return self._alike(CHOICE)
        forced = self.tape["forced"][self.trial]
        return self._show(torch.where(forced >= 0, CUE + forced, CHOICE))

    def _choose(self, action: Tensor) -> Tensor:
        choice = action.clone()  # what is recorded stays ours
        if self.task.p_forced > 0:  # only the instructed side is available
            forced = self.tape["forced"][self.trial]
            choice = torch.where(forced >= 0, forced, action)
        state = choice ^ self.tape["flip"][self.trial]
        reward = torch.zeros_like(self.tape["outcome0"][self.trial])
        if self.task.fixation:
            invalid = choice == FIXATE
            choice, state = (
                choice.masked_fill(invalid, -1),
                state.masked_fill(invalid, -1),
            )
            reward = self._penalty * invalid
        self._choices.append(choice)
        self._states.append(state)
        self.observation = self._show(STATE + state)
        return reward

    def _leave_state(self, action: Tensor) -> Tensor:
        state = self._states[-1]
        reward = torch.where(
            state == 1,
            self.tape["outcome1"][self.trial],
            self.tape["outcome0"][self.trial],
        )
        if self.task.fixation:
            reward = reward.masked_fill(state < 0, 0.0)
        self._rewards.append(reward)
        return reward.clone()

    def trials(self) -> dict[str, Tensor]:
        """Return the trials finished so far; see :meth:`Episodes.trials`.

        ``reward`` is the outcome's, NaN in trials that are not valid; penalties for
        invalid responses are not in it.

        Raises
        ------
        InputError
            When no trial is finished yet.
        """
        done = self._finished()
        choice, state = (
            torch.stack(self._choices[:done]),
            torch.stack(self._states[:done]),
        )
        tape = {name: values[:done] for name, values in self.tape.items()}
        valid = choice >= 0
        pays0, pays1 = torch.tensor(self.task.blocks, device=choice.device)[
            tape["block"]
        ].unbind(-1)
        good_state = torch.where(pays0 == pays1, -1, (pays1 > pays0).long())
        swapped = tape["flip"] ^ (~tape["common"]).long()
        return {
            "choice": choice,
            "state2": state,
            "transition_common": torch.where(valid, tape["common"].long(), -1),
            "reward": torch.where(valid, torch.stack(self._rewards), torch.nan),
            "forced": (tape["forced"] >= 0).long(),
            "valid": valid.long(),
            "good_state": good_state,
            "good_choice": torch.where(good_state < 0, -1, good_state ^ swapped),
        }
