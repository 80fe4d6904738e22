"""The ideal observer of Kool's two-step task: an exact filter over drifting points."""

from dataclasses import dataclass
from functools import cached_property
from math import erf

import torch
from torch import Tensor

from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.drift import reflected
from pfc_metarl.tasks.kool_two_step import KoolTwoStep, KoolTwoStepEpisodes
from pfc_metarl.tasks.observers.bandits import choose_highest
from pfc_metarl.tasks.observers.base import Player
from pfc_metarl.tasks.stages import FIXATE


@dataclass(frozen=True)
class KoolTwoStepObserver(Player):
    """Exact Bayesian filter of Kool's two-step task with greedy choice.

    The belief is over the points of both states jointly, since they start on different
    sides of 0. The state visited shows its points; then both take a step of their walk.
    The ship to the state of the higher expected points is taken, ties by chance. Greedy
    is not quite optimal, as to look at a state that may have improved can be worth its
    price, but earns 99.9 % of the optimum (by dynamic programming, in the tests).

    Parameters
    ----------
    task
        Any version of the task.
    """

    task: KoolTwoStep

    def play(self, tape: Tape, generator: torch.Generator) -> KoolTwoStepEpisodes:
        """Play the episodes of a tape.

        Parameters
        ----------
        tape
            Drawn from the task; tensors (trial, ..., episode) and more.
        generator
            Breaks ties.

        Returns
        -------
        KoolTwoStepEpisodes
            The episodes, finished.
        """
        episodes = self.task.begin(tape)
        shape = tape["pair"].shape[1:]
        belief = self._prior.expand(*shape, -1, -1)
        for _ in range(self.task.trials):
            if self.task.fixation:
                episodes.step(torch.full(shape, FIXATE))
            ship = choose_highest(self._expected_points(belief), generator)
            episodes.step(ship ^ episodes.side)
            _, reward = episodes.step(ship)
            belief = self._update(belief, ship, reward)
        return episodes

    def _expected_points(self, belief: Tensor) -> Tensor:
        """Return each state's expected points, (..., episode, state)."""
        return torch.stack([belief.sum(-1), belief.sum(-2)], -2) @ self._values

    def _update(self, belief: Tensor, state: Tensor, reward: Tensor) -> Tensor:
        seen = (reward.double() / self.task.reward_per_point).round()
        is_seen = (self._values == seen.unsqueeze(-1)).double()
        of_first = (state == 0)[..., None, None]
        shown = torch.where(of_first, is_seen.unsqueeze(-1), is_seen.unsqueeze(-2))
        posterior = belief * shown
        posterior = posterior / posterior.sum((-2, -1), keepdim=True)
        return self._step.T @ posterior @ self._step

    @cached_property
    def _values(self) -> Tensor:
        """(value,) float64: the points there are."""
        low, high = self.task.points
        return torch.arange(low, high + 1, dtype=torch.float64)

    @cached_property
    def _prior(self) -> Tensor:
        """(value, value): of state 0 and state 1 in the first trial."""
        above, below = (self._values > 0).double(), (self._values < 0).double()
        either = torch.outer(above, below) + torch.outer(below, above)
        return either / either.sum()

    @cached_property
    def _step(self) -> Tensor:
        """(value, value): a step of the walk, from row to column."""
        low, high = self.task.points
        n = len(self._values)
        if self.task.step_sd == 0:
            return torch.eye(n, dtype=torch.float64)
        reach = int(8 * self.task.step_sd) + 1  # beyond, probability is below 1e-15
        steps = torch.arange(-reach, reach + 1)
        edges = (torch.arange(-reach, reach + 2) - 0.5) / self.task.step_sd
        below = torch.tensor([0.5 * (1 + erf(x / 2**0.5)) for x in edges.tolist()])
        end = reflected(self._values.long()[:, None] + steps, low, high) - low
        p_step = below.double().diff().expand(n, -1)
        chain = torch.zeros((n, n), dtype=torch.float64).scatter_add_(1, end, p_step)
        return chain / chain.sum(1, keepdim=True)
