"""The bandit's ideal observer: exact Bayesian inference, and optimal choice.

The optimum needs no more than how often each arm paid and did not.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.bandit import CORRELATED, LISTED, Bandit
from pfc_metarl.tasks.observers.bandits import CLOSE, IndexPlayer

RULED_OUT = 1e-300  # a probability that stands for 0 where logarithms are taken


def posterior_mean(task: Bandit, wins: Tensor, pulls: Tensor) -> Tensor:
    """Return the expected probability of reward of each arm, given what was seen.

    Exact for the task's distribution of problems. With one p for both correlated arms,
    a win of one arm is a loss of the other. A list of problems k has the posterior

        P(k) proportional to prod_a p_ka^wins_a (1 - p_ka)^losses_a.

    Parameters
    ----------
    task
        The distribution of problems is the prior.
    wins, pulls
        (..., arm) float64: how often each arm paid and was chosen.

    Returns
    -------
    Tensor
        (..., arm) float64.
    """
    losses = pulls - wins
    if task.distribution == LISTED:
        p = torch.tensor(task.problems, dtype=torch.float64)  # (problem, arm)
        # Where p is 0, log p is taken for a number so low that one win rules it out.
        log_p, log_q = (x.clamp(min=RULED_OUT).log().T for x in (p, 1 - p))
        return (wins @ log_p + losses @ log_q).softmax(-1) @ p
    if task.distribution == CORRELATED:
        agreeing = wins + losses.flip(-1)  # for each arm, what speaks for it
        return (1 + agreeing) / (2 + pulls.sum(-1, keepdim=True))
    return (1 + wins) / (2 + pulls)


@dataclass(frozen=True)
class GreedyBayes(IndexPlayer):
    """Exact Bayesian inference, and the choice that is best for the next trial.

    It explores by chance only.
    """

    task: Bandit

    def index(self, wins: Tensor, pulls: Tensor, generator: torch.Generator) -> Tensor:
        """Return the expected probability of reward of each arm."""
        return posterior_mean(self.task, wins, pulls)


@dataclass(frozen=True)
class BanditObserver(IndexPlayer):
    """The Bayes-optimal player of a two-armed bandit.

    Exact Bayesian inference, and the choice that brings the highest expected reward
    over all the trials that remain, ties by chance. Where every problem is p and 1 - p,
    either arm tells as much as the other, so that there is nothing to explore and what
    is best for the next trial is best altogether; otherwise it comes from dynamic
    programming, :func:`two_armed_optimum`.
    """

    task: Bandit

    def __post_init__(self) -> None:
        """Check that the optimum can be computed.

        Raises
        ------
        InputError
            When there are more than two arms.
        """
        _require_two_arms(self.task)

    def index(self, wins: Tensor, pulls: Tensor, generator: torch.Generator) -> Tensor:
        """Return the worth of each arm, up to what both have in common."""
        if _either_arm_tells_as_much(self.task):
            return posterior_mean(self.task, wins, pulls)
        trial = int(pulls.sum(-1).max())  # the same everywhere
        better = two_armed_optimum(self.task).better[trial]
        won, lost = wins.long(), (pulls - wins).long()
        first = better[won[..., 0], lost[..., 0], won[..., 1]].double()
        return torch.stack([first, -first], dim=-1)


def _require_two_arms(task: Bandit) -> None:
    if task.arms != 2:
        raise InputError(
            f"arms is {task.arms}; the optimum is known for 2 arms only "
            "(more: see the Gittins index)"
        )


def _either_arm_tells_as_much(task: Bandit) -> bool:
    """Whether every problem is p and 1 - p."""
    return task.distribution == CORRELATED or (
        task.distribution == LISTED
        and all(abs(p + q - 1) < 1e-9 for p, q in task.problems)
    )


class Optimum(NamedTuple):
    """The Bayes-optimal play of a two-armed bandit."""

    reward: float
    """Expected total reward of an episode."""

    better: tuple[Tensor, ...]
    """By trial: int8 (wins of arm 0, losses of arm 0, wins of arm 1), 1 where arm 0 is
    the better choice, -1 where arm 1 is, 0 where they are worth the same."""


@lru_cache(maxsize=2)
def two_armed_optimum(task: Bandit) -> Optimum:
    """Compute the Bayes-optimal play of a two-armed bandit.

    Backwards over trials t, for every number of wins w and losses l of both arms,

        Q_t(w, l, a) = m_a (1 + V_{t+1}(w + e_a, l)) + (1 - m_a) V_{t+1}(w, l + e_a)

    with m_a the posterior mean of arm a, e_a one more for that arm, V_t = max_a Q_t,
    and nothing to earn after the last trial. That takes about a second and 25 MB for
    100 trials, both growing as trials^4; the result is kept for the next time.

    Parameters
    ----------
    task
        A bandit with two arms.

    Raises
    ------
    InputError
        When it has more arms.
    """
    _require_two_arms(task)
    worth = torch.zeros((task.trials + 1,) * 3, dtype=torch.float64)
    better = []
    for trial in reversed(range(task.trials)):
        mean0, mean1 = _means_at(task, trial).unbind(-1)
        neither = worth[:-1, :-1, :-1]  # nothing of this was counted: arm 1 lost
        arm0 = mean0 * (1 + worth[1:, :-1, :-1]) + (1 - mean0) * worth[:-1, 1:, :-1]
        arm1 = mean1 * (1 + worth[:-1, :-1, 1:]) + (1 - mean1) * neither
        gain = arm0 - arm1
        better.append((gain.sign() * (gain.abs() > CLOSE)).to(torch.int8))
        worth = torch.maximum(arm0, arm1)
    return Optimum(worth.item(), tuple(reversed(better)))


def _means_at(task: Bandit, trial: int) -> Tensor:
    """Posterior means by (wins of arm 0, losses of arm 0, wins of arm 1, arm).

    Where these add up to more than the trials before, the numbers mean nothing.
    """
    count = torch.arange(trial + 1, dtype=torch.float64)
    won0, lost0, won1 = torch.meshgrid(count, count, count, indexing="ij")
    lost1 = (trial - won0 - lost0 - won1).clamp(min=0)
    wins = torch.stack([won0, won1], dim=-1)
    return posterior_mean(task, wins, wins + torch.stack([lost0, lost1], dim=-1))
