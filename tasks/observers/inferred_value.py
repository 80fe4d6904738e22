"""Players of the inferred-value task, which differ in what they expect of a target.

All of them respond rightly and earn the same. Beside :meth:`play` each tells the reward
that it expects of either target, whence its reward prediction errors.
"""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.inferred_value import (
    FIXATE,
    InferredValue,
    InferredValueEpisodes,
)
from pfc_metarl.tasks.observers.base import Player
from pfc_metarl.tasks.observers.blocks import block_chain, first_block


@dataclass(frozen=True)
class Responder(Player):
    """Responds to every cue as it asks."""

    task: InferredValue

    def play(self, tape: Tape, generator: torch.Generator) -> InferredValueEpisodes:
        """Play the episodes of a tape; see :meth:`Player.play`."""
        episodes = self.task.begin(tape)
        for _ in range(self.task.trials):
            if self.task.fixation:
                cue = episodes.observation[..., 0].long()
                episodes.step(torch.full_like(cue, FIXATE))
            cue = episodes.observation[..., 1].long()  # 1 if right
            episodes.step(cue)
            episodes.step(torch.zeros_like(cue))
        return episodes

    @abstractmethod
    def expected_reward(self, cue: Tensor, reward: Tensor) -> Tensor:
        """Return the reward expected of either target before each trial.

        Parameters
        ----------
        cue, reward
            Columns of the trial table, (trial, ..., episode); rewards are NaN where a
            trial is not valid.

        Returns
        -------
        Tensor
            (trial, ..., episode, side) float64.
        """


@dataclass(frozen=True)
class InferredValueObserver(Responder):
    """The Bayes-optimal player of the inferred-value task.

    Exact Bayesian filter of the hidden state: the side that pays, and the trials since
    it does (as far as they matter). One outcome tells the value of both sides.
    """

    def expected_reward(self, cue: Tensor, reward: Tensor) -> Tensor:
        """Return the expected reward; see :meth:`Responder.expected_reward`."""
        task = self.task
        chain = block_chain(2, task.p_reversal, task.min_block_trials)
        belief = first_block(2, task.min_block_trials)
        pays = torch.tensor(task.p_reward, dtype=torch.float64)
        p_reward = torch.stack([pays, pays.flip(0)], dim=-1)  # (paying side, cue)
        p_reward = p_reward.repeat_interleave(len(belief) // 2, dim=0)
        belief = belief.expand(*cue.shape[1:], -1)
        expected = []
        for side, earned in zip(cue, reward.unsqueeze(-1), strict=True):
            expected.append(belief @ p_reward)
            p = p_reward.T[side]
            likelihood = torch.where(earned > 0, p, 1 - p)
            belief = belief * torch.where(earned.isnan(), 1.0, likelihood)
            belief = belief / belief.sum(-1, keepdim=True) @ chain
        return torch.stack(expected)


@dataclass(frozen=True)
class ExperiencedValue(Responder):
    """Values each target by what it brought itself, without inference.

    After a trial, V <- V + learning_rate (reward - V) for the target that was there and
    for no other (Rescorla & Wagner 1972); V is the mean reward at first. A rate of 1
    remembers the target's last outcome.
    """

    learning_rate: float = 1.0

    def __post_init__(self) -> None:
        """Check the rate.

        Raises
        ------
        InputError
            When it is not from 0 to 1.
        """
        if not 0 <= self.learning_rate <= 1:
            raise InputError(f"learning_rate is {self.learning_rate}; expected 0 to 1")

    def expected_reward(self, cue: Tensor, reward: Tensor) -> Tensor:
        """Return the values; see :meth:`Responder.expected_reward`."""
        mean = sum(self.task.p_reward) / 2
        value = torch.full((*cue.shape[1:], 2), mean, dtype=torch.float64)
        expected = []
        for side, earned in zip(cue, reward, strict=True):
            expected.append(value)
            error = (earned.unsqueeze(-1) - value).nan_to_num(nan=0.0)
            there = side.unsqueeze(-1) == torch.arange(2)
            value = value + self.learning_rate * error * there
        return torch.stack(expected)
