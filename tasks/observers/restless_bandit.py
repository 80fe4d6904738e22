"""Players of the restless bandit: its ideal observer, and Kalman filters.

Either arm tells as much about p as the other: that arm 1 pays speaks against arm 0. So
there is nothing to explore, and the players here know it.
"""

from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.arms import ArmEpisodes
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.observers.bandits import choose_highest, play_trial
from pfc_metarl.tasks.observers.base import Player
from pfc_metarl.tasks.restless_bandit import RestlessBandit

MIN_CELLS, MAX_CELLS = 100, 1000
CELLS_PER_STEP = 2  # of the slowest walk; the grid is then as good as the line


@dataclass(frozen=True)
class _Tracker(Player):
    """Follows the probability p of arm 0, and chooses by it.

    ``belief`` is whatever a subclass knows about p: a tensor (..., episode, number).
    """

    task: RestlessBandit

    @abstractmethod
    def _prior(self) -> Tensor:
        """Belief about p at the first trial, (number,) float64."""

    @abstractmethod
    def _estimate(self, belief: Tensor, generator: torch.Generator) -> Tensor:
        """Estimate of p by which to choose, (..., episode)."""

    @abstractmethod
    def _updated(self, belief: Tensor, evidence: Tensor) -> Tensor:
        """Belief about p at the next trial.

        ``evidence`` (..., episode) is 1 where the outcome spoke for arm 0, else 0.
        """

    def play(self, tape: Tape, generator: torch.Generator) -> ArmEpisodes:
        """Play the episodes of a tape; see :meth:`Player.play`."""
        episodes = self.task.begin(tape)
        belief = self._prior().expand(*tape["payoff"].shape[1:-1], -1)
        for _ in range(self.task.trials):
            p = self._estimate(belief, generator)
            choice = choose_highest(torch.stack([p, 1 - p], dim=-1), generator)
            reward = play_trial(episodes, choice).double()
            evidence = torch.where(choice == 0, reward, 1 - reward)
            belief = self._updated(belief, evidence)
        return episodes


@dataclass(frozen=True)
class RestlessBanditObserver(_Tracker):
    """Exact Bayesian filter of the restless bandit, and optimal choice.

    The hidden state is p, on a grid of cells, and the volatility v. With b_t(v, p) the
    belief before trial t, y the evidence for arm 0, and T_v the step, reflected,

        b_{t+1}(v, p') = sum_p T_v(p, p') b_t(v, p) p^y (1 - p)^(1 - y) / normaliser.

    The arm with the higher expected reward is taken, ties by chance. That is optimal,
    since the choice changes neither p nor what is learned of it.
    """

    def __post_init__(self) -> None:
        """Check that the grid can be fine enough.

        Raises
        ------
        InputError
            When a volatility is not 0 but too small.
        """
        if _n_cells(self.task) > MAX_CELLS:
            raise InputError(
                f"volatilities is {self.task.volatilities}; the ideal observer needs "
                f"each to be 0 or at least {CELLS_PER_STEP / MAX_CELLS}"
            )

    def _prior(self) -> Tensor:
        size = len(self.task.volatilities) * _n_cells(self.task)
        return torch.full((size,), 1 / size, dtype=torch.float64)

    def _estimate(self, belief: Tensor, generator: torch.Generator) -> Tensor:
        return self._by_volatility(belief).sum(-2) @ _centres(_n_cells(self.task))

    def _updated(self, belief: Tensor, evidence: Tensor) -> Tensor:
        p = _centres(_n_cells(self.task))
        likelihood = torch.where(evidence[..., None] > 0, p, 1 - p)
        posterior = self._by_volatility(belief) * likelihood.unsqueeze(-2)
        posterior = posterior / posterior.sum((-2, -1), keepdim=True)
        moved = [
            posterior[..., kind, :] @ _walk(volatility, len(p))
            for kind, volatility in enumerate(self.task.volatilities)
        ]
        return torch.cat(moved, dim=-1)

    def _by_volatility(self, belief: Tensor) -> Tensor:
        return belief.reshape(*belief.shape[:-1], len(self.task.volatilities), -1)


def _n_cells(task: RestlessBandit) -> int:
    slowest = min((v for v in task.volatilities if v > 0), default=1.0)
    return max(MIN_CELLS, ceil(CELLS_PER_STEP / slowest - 1e-9))


def _centres(cells: int) -> Tensor:
    return (torch.arange(cells, dtype=torch.float64) + 0.5) / cells


@lru_cache(maxsize=16)
def _walk(volatility: float, cells: int) -> Tensor:
    """Chances (cell, next cell) of a Gaussian step that is reflected at 0 and 1."""
    if volatility == 0:
        return torch.eye(cells, dtype=torch.float64)
    p = _centres(cells)
    laps = 2.0 * torch.arange(-ceil(4 * volatility) - 1, ceil(4 * volatility) + 2)
    mirrored = torch.cat([p + lap for lap in laps] + [lap - p for lap in laps])
    density = torch.exp(-0.5 * ((mirrored - p[:, None]) / volatility) ** 2)
    chances = density.reshape(cells, -1, cells).sum(1)
    return chances / chances.sum(-1, keepdim=True)


@dataclass(frozen=True)
class KalmanFilter(_Tracker):
    """Kalman filter of p for one volatility, and the better arm by its mean.

    With mean m, variance s, evidence y and outcomes of variance ``noise``,

        k = s / (s + noise),  m <- m + k (y - m),  s <- (1 - k) s + volatility^2.

    Outcomes are not Gaussian and p has bounds, so it is not exact. It starts with mean
    and variance of a uniform p.

    Parameters
    ----------
    task
        A restless bandit.
    volatility
        Taken for that of all episodes; None for the root mean square of the task's.
    noise
        Variance of an outcome; by default that of p (1 - p) averaged over all p.
    """

    volatility: float | None = None
    noise: float = 1 / 6

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises
        ------
        InputError
            When the volatility is negative or the noise not positive.
        """
        if self.volatility is not None and not self.volatility >= 0:
            raise InputError(
                f"volatility is {self.volatility}; expected 0 or more, or None"
            )
        if not self.noise > 0:
            raise InputError(f"noise is {self.noise}; expected above 0")

    def _prior(self) -> Tensor:
        return torch.tensor([1 / 2, 1 / 12], dtype=torch.float64)

    def _estimate(self, belief: Tensor, generator: torch.Generator) -> Tensor:
        return belief[..., 0]

    def _updated(self, belief: Tensor, evidence: Tensor) -> Tensor:
        mean, variance = belief.unbind(-1)
        gain = variance / (variance + self.noise)
        mean = mean + gain * (evidence - mean)
        return torch.stack([mean, (1 - gain) * variance + self._drift()], dim=-1)

    def _drift(self) -> float:
        """Variance of a step."""
        if self.volatility is not None:
            return self.volatility**2
        squares = [v**2 for v in self.task.volatilities]
        return sum(squares) / len(squares)


@dataclass(frozen=True)
class KalmanThompson(KalmanFilter):
    """Thompson sampling with a Kalman filter: chooses by a sample of its belief.

    A baseline of Wang et al. 2016 (Thompson sampling with a fixed volatility).
    """

    def _estimate(self, belief: Tensor, generator: torch.Generator) -> Tensor:
        mean, variance = belief.unbind(-1)
        noise = torch.randn(mean.shape, generator=generator, dtype=torch.float64)
        return mean + variance.sqrt() * noise
