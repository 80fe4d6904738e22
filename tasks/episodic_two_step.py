"""The episodic two-step task: now and then one earlier outcome can be had again.

Ritter et al. 2018 (bioRxiv 360537; ICML, arXiv 1805.09692), after Vikbladh, Shohamy &
Daw 2017. The papers' texts were not at hand: the details are those of a
reimplementation, BKHMSI/Meta-RL-TwoStep-Task (GitHub).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.blocks import Blocks
from pfc_metarl.tasks.contextual import check_barcodes, draw_barcodes
from pfc_metarl.tasks.two_step import TwoStep, TwoStepEpisodes


@dataclass(frozen=True)
class EpisodicTwoStep(TwoStep):
    """Two-step task in which the context of an earlier trial may come back as a cue.

    **A trial** is one of :class:`~pfc_metarl.tasks.two_step.TwoStep`, whose parameters
    it shares; at the second-step state a barcode is shown, the context of the trial.
    The first half of the trials (the larger, if they are odd) is uncued: every trial
    has a new context. In the second half the context of an earlier trial is shown as a
    cue with the choice. Whoever then reaches that trial's second-step state finds its
    context again, and the reward that it brought then, for sure; the other state has a
    new context and pays as ever. The first half of the cued trials recall trials from
    the first half of the uncued ones, the others from the second, any of them.

    **Actions, reward, end.** As in the two-step task.

    **Observation.** That of the two-step task, then the bits of the barcode: the cue at
    the choice (blank in uncued trials), the context at the second-step state. Blank at
    fixation and after an invalid choice.

    A trial that was not valid has nothing to be recalled; its context was never shown.
    """

    p_common: float = parameter(
        0.9, "BKHMSI/Meta-RL-TwoStep-Task, ep_two_step.yaml", unit="probability"
    )
    p_reversal: float = parameter(
        0.1,
        "BKHMSI/Meta-RL-TwoStep-Task, ep_two_step.yaml",
        unit="probability per trial",
    )
    blocks: Blocks = parameter(
        ((0.9, 0.1), (0.1, 0.9)),
        "BKHMSI/Meta-RL-TwoStep-Task",
        unit="probability of reward in (state 0, state 1), per kind of block",
    )
    trials: int = parameter(
        100, "guess: as in the task of Wang et al. 2018", unit="trials"
    )
    barcode_bits: int = parameter(
        10, "BKHMSI/Meta-RL-TwoStep-Task, ep_two_step.yaml", unit="bits"
    )

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises
        ------
        InputError
            When a probability or a count is out of range, or there are not enough
            barcodes for a new one in every trial.
        """
        super().__post_init__()
        check_barcodes(self.barcode_bits, self.trials)

    @property
    def n_observations(self) -> int:
        """The two-step task's cues, and the barcode."""
        return super().n_observations + self.barcode_bits

    @property
    def latents(self) -> dict[str, str]:
        """The trial recalled."""
        return {
            **super().latents,
            "cued_trial": "trial of the episode whose context is the cue; -1: no cue",
        }

    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        """Draw what the two-step task draws, contexts, and the trials that cues recall.

        Returns
        -------
        Tape
            That of the two-step task; ``barcode`` (trial, episode, bit) float32, the
            context that is new in each trial; ``cued_trial`` (trial, episode) int64.
        """
        tape = super().draw(batch, generator)
        return {
            **tape,
            "barcode": draw_barcodes(batch, self.trials, self.barcode_bits, generator),
            "cued_trial": self._cued_trials(batch, generator),
        }

    def _cued_trials(self, batch: int, generator: torch.Generator) -> Tensor:
        n_uncued = -(-self.trials // 2)
        n_early, n_cued = -(-n_uncued // 2), self.trials - n_uncued
        halves = (0, n_early, -(-n_cued // 2)), (n_early, n_uncued, n_cued // 2)
        uncued = torch.full((n_uncued, batch), -1)
        cued = [
            torch.randint(first, last, (number, batch), generator=generator)
            for first, last, number in halves
            if number
        ]
        return torch.cat([uncued, *cued])

    def begin(self, tape: Tape) -> "EpisodicTwoStepEpisodes":
        """Start the episodes of a tape."""
        return EpisodicTwoStepEpisodes(self, tape)


class EpisodicTwoStepEpisodes(TwoStepEpisodes):
    """Episodes of the episodic two-step task, played in lockstep."""

    task: EpisodicTwoStep

    def __init__(self, task: EpisodicTwoStep, tape: Tape) -> None:
        self._blank = torch.zeros_like(tape["barcode"][0])
        self._state_then = torch.full_like(tape["cued_trial"], -1)
        self._reward_then = torch.zeros_like(tape["outcome0"])
        super().__init__(task, tape)

    def _trial_start(self) -> Tensor:
        start = super()._trial_start()
        if self.task.fixation:
            return torch.cat([start, self._blank], dim=-1)
        return start

    def _choice_cue(self) -> Tensor:
        cue = self._blank
        if self.trial < self.task.trials:
            cued = self.tape["cued_trial"][self.trial] >= 0
            cue = cued.unsqueeze(-1) * self._recalled(self.tape["barcode"])
        return torch.cat([super()._choice_cue(), cue], dim=-1)

    def _choose(self, action: Tensor) -> Tensor:
        reward = super()._choose(action)
        state = self._states[-1]
        self._state_then[self.trial] = state
        again = self._again().unsqueeze(-1)
        new = self.tape["barcode"][self.trial]
        context = torch.where(again, self._recalled(self.tape["barcode"]), new)
        context = context * (state >= 0).unsqueeze(-1)
        self.observation = torch.cat([self.observation, context], dim=-1)
        return reward

    def _leave_state(self, action: Tensor) -> Tensor:
        reward = super()._leave_state(action)
        reward = torch.where(self._again(), self._recalled(self._reward_then), reward)
        self._reward_then[self.trial] = reward
        self._rewards[-1] = reward
        return reward.clone()

    def _recalled(self, history: Tensor) -> Tensor:
        """Values (trial, ..., episode, ...) of the trial that each cue recalls."""
        index = self.tape["cued_trial"][self.trial].clamp(min=0)
        index = index.view(1, *index.shape, *[1] * (history.dim() - index.dim() - 1))
        return history.gather(0, index.expand(1, *history.shape[1:])).squeeze(0)

    def _again(self) -> Tensor:
        """(..., episode) bool: the state is the one that the cued trial reached."""
        state = self._states[-1]
        same = self._recalled(self._state_then) == state
        return same & (state >= 0) & (self.tape["cued_trial"][self.trial] >= 0)

    def trials(self) -> dict[str, Tensor]:
        """Return the trials finished so far; see :meth:`TwoStepEpisodes.trials`.

        In a cued trial ``good_state`` weighs the sure reward of the cued trial's state
        against the probability of the other.
        """
        columns, done = super().trials(), self._finished()
        tape = {name: values[:done] for name, values in self.tape.items()}
        cued_trial = tape["cued_trial"]
        state = self._state_then[:done].gather(0, cued_trial.clamp(min=0))
        sure = self._reward_then[:done].gather(0, cued_trial.clamp(min=0))
        blocks = torch.tensor(self.task.blocks, device=sure.device)
        pays0, pays1 = blocks[tape["block"]].unbind(-1)
        other = torch.where(state == 0, pays1, pays0)
        better = torch.where(sure > other, state, 1 - state).masked_fill(
            sure == other, -1
        )
        known = (cued_trial >= 0) & (state >= 0)
        good_state = torch.where(known, better, columns["good_state"])
        swapped = tape["flip"] ^ (~tape["common"]).long()
        good_choice = torch.where(good_state < 0, -1, good_state ^ swapped)
        return {
            **columns,
            "good_state": good_state,
            "good_choice": good_choice,
            "cued_trial": cued_trial.clone(),
        }
