"""Players of Harlow's learning sets: who knows the rule is right from trial 2 on."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.tasks.arms import ArmEpisodes
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.harlow import LEFT, Harlow
from pfc_metarl.tasks.observers.base import Player


class OneShotMemory:
    """What is known of each episode's objects: after one outcome, which of them pays.

    Parameters
    ----------
    between
        A reward between those of the right and the wrong object.
    like
        (..., episode): the batch's shape and device.
    """

    def __init__(self, between: float, like: Tensor) -> None:
        self._between = between
        self._known = torch.zeros_like(like, dtype=torch.bool)
        self._rewarded: Tensor | None = None  # (..., episode, feature), where known

    def choose(self, left: Tensor, right: Tensor, generator: torch.Generator) -> Tensor:
        """Choose the side of the object that pays; any where that is not known.

        Parameters
        ----------
        left, right
            (..., episode, feature): the objects in view.
        generator
            Chooses where they are alike to the player.

        Returns
        -------
        Tensor
            (..., episode) int64.
        """
        coin = torch.randint(2, self._known.shape, generator=generator)
        coin = coin.to(left.device)
        if self._rewarded is None:
            return coin
        off_left = (left - self._rewarded).abs().sum(-1)
        off_right = (right - self._rewarded).abs().sum(-1)
        sure = self._known & (off_left != off_right)
        return torch.where(sure, (off_right < off_left).long(), coin)

    def learn(
        self, left: Tensor, right: Tensor, choice: Tensor, reward: Tensor, now: Tensor
    ) -> None:
        """Remember from an outcome which object pays.

        Parameters
        ----------
        left, right
            (..., episode, feature): the objects chosen from.
        choice, reward
            (..., episode): the side chosen, and what it paid.
        now
            (..., episode) bool: where there was an outcome.
        """
        good = torch.where(reward > self._between, choice, 1 - choice)
        paid = torch.where((good == LEFT).unsqueeze(-1), left, right)
        if self._rewarded is None:
            self._rewarded = torch.zeros_like(paid)
        self._rewarded = torch.where(now.unsqueeze(-1), paid, self._rewarded)
        self._known = self._known | now


@dataclass(frozen=True)
class HarlowObserver(Player):
    """The ideal player: the first choice by chance, then always the object that pays.

    One outcome tells which object pays, whichever was chosen, so that nothing is to be
    gained by anything else: with the papers' rewards, 5 in an episode of 6 trials.
    """

    task: Harlow

    def play(self, tape: Tape, generator: torch.Generator) -> ArmEpisodes:
        """Play the episodes of a tape; see :meth:`Player.play`."""
        episodes, task = self.task.begin(tape), self.task
        here = tape["good_choice"][0]
        memory = OneShotMemory((task.correct_reward + task.wrong_reward) / 2, here)
        for _ in range(task.trials):
            if task.fixation:
                episodes.step(torch.full_like(here, task.arms))
            objects = episodes.observation[..., -2 * task.n_features :]
            left, right = objects.chunk(2, dim=-1)
            choice = memory.choose(left, right, generator)
            _, reward = episodes.step(choice)
            memory.learn(left, right, choice, reward, torch.ones_like(here).bool())
        return episodes
