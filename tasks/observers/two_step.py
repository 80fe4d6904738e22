"""The two-step task's ideal observer: an exact Bayesian filter, and greedy choice."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.observers.base import Player
from pfc_metarl.tasks.observers.blocks import (
    block_chain,
    first_block,
    n_ages,
    switching_chain,
)
from pfc_metarl.tasks.stages import FIXATE
from pfc_metarl.tasks.two_step import TwoStep, TwoStepEpisodes


@dataclass(frozen=True)
class TwoStepObserver(Player):
    """Exact Bayesian filter of the two-step task with greedy choice.

    The hidden condition k of a trial is its kind of block, the block's age as far as
    the hazard depends on it, and its mapping of choices to states. With b_t(k) the
    belief before trial t, T the hazards between conditions, and the outcome (state s,
    reward r) of choice a,

        b_{t+1}(k') = sum_k T(k, k') b_t(k) P(s | a, k) P(r | s, k) / normaliser.

    The choice with the higher expected reward is taken, ties by chance. Greedy is
    optimal where both states tell equally much about the block whichever choice was
    made, as in the task of Wang et al. 2018; with neutral blocks or transitions that
    reverse, a choice that tells more could be worth more.

    Parameters
    ----------
    task
        Any two-step task.
    memory_trials
        Forget all but the last so many trials; None for all. With 1 it is the best
        that can be done by remembering one trial.
    """

    task: TwoStep
    memory_trials: int | None = None

    def __post_init__(self) -> None:
        """Check the memory.

        Raises
        ------
        InputError
            When the memory is not at least 1 trial.
        """
        if self.memory_trials is not None and self.memory_trials < 1:
            raise InputError(
                f"memory_trials is {self.memory_trials}; expected 1 or more, or None"
            )

    def play(self, tape: Tape, generator: torch.Generator) -> TwoStepEpisodes:
        """Play the episodes of a tape.

        Parameters
        ----------
        tape
            Drawn from the task; tensors (trial, ..., episode).
        generator
            Breaks ties.

        Returns
        -------
        TwoStepEpisodes
            The episodes, finished.
        """
        episodes = self.task.begin(tape)
        outcomes: list[Tensor] = []  # likelihoods, each (..., episode, condition)
        prior = self._prior  # what is known without the trials remembered
        belief = prior.expand(*tape["flip"].shape[1:], -1)
        for _ in range(self.task.trials):
            choice = self._choose(belief, generator)
            likelihood = self._play_trial(episodes, choice)
            if self.memory_trials is None:
                belief = self._update(belief, likelihood)
                continue
            outcomes.append(likelihood)
            if len(outcomes) > self.memory_trials:
                outcomes.pop(0)
                prior = prior @ self._hazard
            belief = prior.expand_as(likelihood)
            for outcome in outcomes:
                belief = self._update(belief, outcome)
        return episodes

    def _choose(self, belief: Tensor, generator: torch.Generator) -> Tensor:
        value = belief @ self._expected_reward
        tie = torch.isclose(value[..., 0], value[..., 1], rtol=0, atol=1e-9)
        coin = torch.randint(2, tie.shape, generator=generator)
        return torch.where(tie, coin, value.argmax(-1))

    def _play_trial(self, episodes: TwoStepEpisodes, choice: Tensor) -> Tensor:
        """Play one trial; return the likelihood of its outcome in each condition."""
        if self.task.fixation:
            episodes.step(torch.full_like(choice, FIXATE))
        episodes.step(choice)
        state, taken = episodes.last_state, episodes.last_choice
        _, reward = episodes.step(torch.zeros_like(choice))
        pays = self._reward_prob[state]  # (..., episode, condition)
        return self._state_prob[taken, state] * torch.where(
            reward[..., None] > 0, pays, 1 - pays
        )

    def _update(self, belief: Tensor, likelihood: Tensor) -> Tensor:
        posterior = belief * likelihood
        return posterior / posterior.sum(-1, keepdim=True) @ self._hazard

    # Tables over conditions: kind of block, age (both slow) and mapping (fast index).

    @property
    def _n_mappings(self) -> int:
        return 2 if self.task.p_transition_reversal > 0 else 1

    @cached_property
    def _prior(self) -> Tensor:
        blocks = first_block(len(self.task.blocks), self.task.min_block_trials)
        return (blocks / self._n_mappings).repeat_interleave(self._n_mappings)

    @cached_property
    def _hazard(self) -> Tensor:
        blocks = block_chain(
            len(self.task.blocks), self.task.p_reversal, self.task.min_block_trials
        )
        mappings = switching_chain(self._n_mappings, self.task.p_transition_reversal)
        return torch.kron(blocks, mappings)

    @cached_property
    def _reward_prob(self) -> Tensor:
        """P(reward | state, condition), (state, condition)."""
        blocks = torch.tensor(self.task.blocks, dtype=torch.float64)
        per_kind = n_ages(self.task.min_block_trials) * self._n_mappings
        return blocks.repeat_interleave(per_kind, dim=0).T

    @cached_property
    def _state_prob(self) -> Tensor:
        """P(state | choice, condition), (choice, state, condition)."""
        p = self.task.p_common
        mappings = torch.tensor(
            [[[p, 1 - p], [1 - p, p]], [[1 - p, p], [p, 1 - p]]], dtype=torch.float64
        )[: self._n_mappings]
        n_blocks = len(self._prior) // self._n_mappings
        return mappings.repeat(n_blocks, 1, 1).permute(1, 2, 0)

    @cached_property
    def _expected_reward(self) -> Tensor:
        """E(reward | condition, choice), (condition, choice)."""
        return torch.einsum("ask,sk->ka", self._state_prob, self._reward_prob)
