"""The two-step task's ideal observer: an exact Bayesian filter, and greedy choice."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.observers.base import Player
from pfc_metarl.tasks.two_step import FIXATE, TwoStep, TwoStepEpisodes


@dataclass(frozen=True)
class TwoStepObserver(Player):
    """Exact Bayesian filter of the two-step task with greedy choice.

    The hidden condition k of a trial is its kind of block and, when transitions
    reverse, its mapping of choices to states. With b_t(k) the belief before trial t,
    T the hazards between conditions, and the outcome (state s, reward r) of choice a,

        b_{t+1}(k') = sum_k T(k, k') b_t(k) P(s | a, k) P(r | s, k) / normaliser.

    The choice with the higher expected reward is taken, ties by chance. Greedy is
    optimal for the task of Wang et al. 2018, where both states tell equally much
    about the block whichever choice was made.

    Parameters
    ----------
    task
        A two-step task without ``min_block_trials`` (its hazard would depend on the
        block's age, which this filter does not carry).
    memory_trials
        Forget all but the last so many trials; None for all. With 1 it is the best
        that can be done by remembering one trial.
    """

    task: TwoStep
    memory_trials: int | None = None

    def __post_init__(self) -> None:
        """Check that the filter is exact for the task.

        Raises
        ------
        InputError
            When blocks have a minimum length, or the memory is not at least 1 trial.
        """
        if self.memory_trials is not None and self.memory_trials < 1:
            raise InputError(
                f"memory_trials is {self.memory_trials}; expected 1 or more, or None"
            )
        if self.task.min_block_trials:
            raise InputError(
                f"min_block_trials is {self.task.min_block_trials}; the ideal observer "
                "is exact only for a constant hazard, min_block_trials=0"
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
        outcomes: list[
            Tensor
        ] = []  # likelihood of each trial, (..., episode, condition)
        belief = self._prior().expand(*tape["flip"].shape[1:], -1)
        for _ in range(self.task.trials):
            choice = self._choose(belief, generator)
            likelihood = self._play_trial(episodes, choice)
            if self.memory_trials is None:
                belief = self._update(belief, likelihood)
            else:
                outcomes = [*outcomes, likelihood][-self.memory_trials :]
                belief = self._prior().expand_as(likelihood)
                for outcome in outcomes:
                    belief = self._update(belief, outcome)
        return episodes

    def _choose(self, belief: Tensor, generator: torch.Generator) -> Tensor:
        value = belief @ self._expected_reward()
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
        pays = self._reward_prob()[state]  # (..., episode, condition)
        return self._state_prob()[taken, state] * torch.where(
            reward[..., None] > 0, pays, 1 - pays
        )

    def _update(self, belief: Tensor, likelihood: Tensor) -> Tensor:
        posterior = belief * likelihood
        return posterior / posterior.sum(-1, keepdim=True) @ self._hazard()

    # Tables over conditions: kind of block (slow index) x mapping (fast index).

    @property
    def _n_mappings(self) -> int:
        return 2 if self.task.p_transition_reversal > 0 else 1

    def _prior(self) -> Tensor:
        n = len(self.task.blocks) * self._n_mappings
        return torch.full((n,), 1 / n, dtype=torch.float64)

    def _hazard(self) -> Tensor:
        blocks = _switching(len(self.task.blocks), self.task.p_reversal)
        mappings = _switching(self._n_mappings, self.task.p_transition_reversal)
        return torch.kron(blocks, mappings)

    def _reward_prob(self) -> Tensor:
        """P(reward | state, condition), (state, condition)."""
        blocks = torch.tensor(self.task.blocks, dtype=torch.float64)
        return blocks.repeat_interleave(self._n_mappings, dim=0).T

    def _state_prob(self) -> Tensor:
        """P(state | choice, condition), (choice, state, condition)."""
        p = self.task.p_common
        mappings = torch.tensor(
            [[[p, 1 - p], [1 - p, p]], [[1 - p, p], [p, 1 - p]]], dtype=torch.float64
        )[: self._n_mappings]
        return mappings.repeat(len(self.task.blocks), 1, 1).permute(1, 2, 0)

    def _expected_reward(self) -> Tensor:
        """E(reward | condition, choice), (condition, choice)."""
        return torch.einsum("ask,sk->ka", self._state_prob(), self._reward_prob())


def _switching(kinds: int, hazard: float) -> Tensor:
    """Chain that leaves its kind with the hazard, for any of the others."""
    if kinds == 1:
        return torch.ones((1, 1), dtype=torch.float64)
    chain = torch.full((kinds, kinds), hazard / (kinds - 1), dtype=torch.float64)
    return chain.fill_diagonal_(1 - hazard)
