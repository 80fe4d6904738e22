"""Ideal observers of reversal tasks: exact filters, and greedy choice."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pfc_metarl.tasks.arms import ArmEpisodes
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.observers.bandits import choose_highest, play_trial
from pfc_metarl.tasks.observers.base import Player
from pfc_metarl.tasks.observers.blocks import block_chain, first_block, n_ages
from pfc_metarl.tasks.reversal import Reversal
from pfc_metarl.tasks.stages import FIXATE
from pfc_metarl.tasks.what_where_reversal import WhatWhereEpisodes, WhatWhereReversal


@dataclass(frozen=True)
class ReversalObserver(Player):
    """Exact Bayesian filter of a reversal task with greedy choice.

    The hidden condition k of a trial is its kind of block and the block's age as far as
    the hazard depends on it. With b_t(k) the belief before trial t, T the hazards
    between conditions, and the reward r of arm a,

        b_{t+1}(k') = sum_k T(k, k') b_t(k) P(r | a, k) / normaliser.

    The arm of the highest expected reward is chosen, ties by chance. Greedy is optimal
    for two arms that pay p or 1 - p, since either tells as much about the block; with
    more, an arm that tells more can be worth more: looking one trial ahead earned 0.9 %
    more of :class:`ThreeArmReversal`, for which this is no ideal.

    Parameters
    ----------
    task
        Any reversal task.
    """

    task: Reversal

    def play(self, tape: Tape, generator: torch.Generator) -> ArmEpisodes:
        """Play the episodes of a tape; see :meth:`Player.play`."""
        episodes = self.task.begin(tape)
        belief = self._prior.expand(*tape["payoff"].shape[1:-1], -1)
        for _ in range(self.task.trials):
            choice = choose_highest(belief @ self._reward_prob, generator)
            paid = play_trial(episodes, choice) > 0
            pays = self._reward_prob.T[choice]  # (..., episode, condition)
            posterior = belief * torch.where(paid.unsqueeze(-1), pays, 1 - pays)
            belief = posterior / posterior.sum(-1, keepdim=True) @ self._hazard
        return episodes

    @cached_property
    def _prior(self) -> Tensor:
        return first_block(len(self.task.blocks), self.task.min_block_trials)

    @cached_property
    def _hazard(self) -> Tensor:
        return block_chain(
            len(self.task.blocks), self.task.p_reversal, self.task.min_block_trials
        )

    @cached_property
    def _reward_prob(self) -> Tensor:
        """P(reward | condition, arm), (condition, arm)."""
        blocks = torch.tensor(self.task.blocks, dtype=torch.float64)
        return blocks.repeat_interleave(n_ages(self.task.min_block_trials), dim=0)


@dataclass(frozen=True)
class WhatWhereObserver(Player):
    """Exact Bayesian filter of the what/where task with greedy choice.

    The hidden condition of a trial is the kind of block, the option that is better now,
    and whether the reversal has been. A reversal comes at trial t, if it has not yet,
    with probability 1 / (last - t + 1) from the first to the last trial possible. The
    location of the higher expected reward is chosen, ties by chance. Greedy is optimal:
    the locations pay p and 1 - p, and so either tells as much.

    Parameters
    ----------
    task
        Any version of the task; where the probabilities do not sum to 1, greedy is
        short-sighted.
    """

    task: WhatWhereReversal

    def play(self, tape: Tape, generator: torch.Generator) -> WhatWhereEpisodes:
        """Play the episodes of a tape; see :meth:`Player.play`."""
        episodes = self.task.begin(tape)
        shape = tape["image_left"].shape[1:]
        belief = self._prior.expand(*shape, -1)
        for trial in range(1, self.task.trials + 1):
            if trial > 1:
                belief = belief @ self._hazard(trial)
            if self.task.fixation:
                episodes.step(torch.full(shape, FIXATE))
            pays = self._reward_prob[episodes.image_left]  # (..., location, condition)
            value = (pays @ belief.unsqueeze(-1)).squeeze(-1)
            choice = choose_highest(value, generator)
            _, reward = episodes.step(choice)
            index = choice[..., None, None].expand(*shape, 1, pays.shape[-1])
            chosen = pays.gather(-2, index).squeeze(-2)
            paid = reward.unsqueeze(-1) > 0
            posterior = belief * torch.where(paid, chosen, 1 - chosen)
            belief = posterior / posterior.sum(-1, keepdim=True)
        return episodes

    # Tables over conditions: kind (slow), better option, reversed or not (fast index).

    @cached_property
    def _prior(self) -> Tensor:
        p = self.task.p_what
        kinds = torch.tensor([p, 1 - p], dtype=torch.float64)
        option_and_reversed = torch.tensor([0.5, 0.0, 0.5, 0.0], dtype=torch.float64)
        return torch.kron(kinds, option_and_reversed)

    def _hazard(self, trial: int) -> Tensor:
        """Return the chain from the trial before to this one, counted from 1."""
        first, last = self.task.reversal_trials
        p = 1 / (last - trial + 1) if first <= trial <= last else 0.0
        chain = torch.zeros(
            (2, 2, 2, 2), dtype=torch.float64
        )  # option, reversed: twice
        for option in (0, 1):
            chain[option, 0, option, 0] = 1 - p
            chain[option, 0, 1 - option, 1] = p
            chain[option, 1, option, 1] = 1.0
        return torch.kron(torch.eye(2, dtype=torch.float64), chain.reshape(4, 4))

    @cached_property
    def _reward_prob(self) -> Tensor:
        """P(reward | ...), (image on the left, location, condition)."""
        image_left, location, kind, option = torch.meshgrid(
            *(torch.arange(2) for _ in range(4)), indexing="ij"
        )
        chosen = torch.where(kind == 0, location ^ image_left, location)
        good, bad = torch.tensor(self.task.p_reward, dtype=torch.float64)
        pays = torch.where(chosen == option, good, bad)
        return pays.flatten(-2).repeat_interleave(2, dim=-1)
