"""The Gittins index: what a sure payoff would have to be to give up an arm for it.

Indices are computed by calibration: for a grid of sure payoffs per trial, dynamic
programming finds whether going on with the arm is worth more; the index lies where the
two are worth the same.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log, pi

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.observers.bandits import IndexPlayer

# Sure payoffs from 0 to 1, denser at the ends, where indices change fast. With five
# times as many, no index changes by more than 0.0004, most by less than 0.00001.
N_SURE = 400
NEGLIGIBLE = 1e-3  # discounted, of what can still be learned that late: nearly nothing


@dataclass(frozen=True)
class Gittins(IndexPlayer):
    """Chooses the arm of the highest Gittins index.

    The arms are taken for independent, each uniform at first. For trials without end,
    a reward losing a share 1 - ``discount`` of its worth per trial, this is optimal
    (Gittins 1979 J R Stat Soc B 41:148); it is the reference of Wang et al. 2016.

    Parameters
    ----------
    task
        Arms that pay 1 or nothing.
    discount
        Above 0 and below 1; or None for the index that knows how many trials remain,
        each as good as the next. That index is all but optimal (Bradt, Johnson &
        Karlin 1956 Ann Math Stat 27:1060; Lattimore 2016 JMLR W&CP 49:1214).
    """

    discount: float | None = None

    def __post_init__(self) -> None:
        """Check the discount.

        Raises
        ------
        InputError
            When it is not between 0 and 1.
        """
        if self.discount is not None and not 0 < self.discount < 1:
            raise InputError(
                f"discount is {self.discount}; expected above 0 and below 1, or None"
            )

    def index(self, wins: Tensor, pulls: Tensor, generator: torch.Generator) -> Tensor:
        """Return the Gittins index of each arm."""
        wins, losses = wins.long(), (pulls - wins).long()
        trials = self.task.trials
        if self.discount is not None:
            return discounted_indices(trials, self.discount)[wins, losses]
        left = trials - pulls.sum(-1, keepdim=True).long()
        return finite_indices(trials)[left, wins, losses]


@lru_cache(maxsize=4)
def discounted_indices(trials: int, discount: float) -> Tensor:
    """Compute the Gittins indices of an arm for trials without end.

    With V(w, l) the worth of the arm after w wins and l losses when a sure payoff per
    trial can be taken instead for good, both times 1 - discount,

        V(w, l) = max(sure, p (1 - discount + discount V(w + 1, l))
                            + (1 - p) discount V(w, l + 1)),  p = (1 + w) / (2 + w + l)

    and the index is the sure payoff for which both sides of the maximum are equal.

    Parameters
    ----------
    trials
        Indices are given for fewer trials than this.
    discount
        Above 0 and below 1.

    Returns
    -------
    Tensor
        (win, loss) float64, NaN from ``trials`` on.

    References
    ----------
    Gittins, Glazebrook & Weber 2011, Multi-armed Bandit Allocation Indices, chapter 8.
    """
    # What remains to be learned of an arm after so many trials is taken for nothing.
    horizon = trials + ceil(log(NEGLIGIBLE) / log(discount))
    sure = _sure_payoffs()[:, None]
    wins = torch.arange(horizon + 1, dtype=torch.float64)
    index = torch.full((trials, trials), torch.nan, dtype=torch.float64)
    worth = torch.maximum(sure, (1 + wins) / (2 + horizon))  # (sure, win)
    for n in reversed(range(horizon)):
        p = (1 + wins[: n + 1]) / (2 + n)
        after_win, after_loss = worth[:, 1:], worth[:, :-1]
        go_on = p * (1 - discount + discount * after_win)
        go_on += (1 - p) * discount * after_loss
        if n < trials:
            won = torch.arange(n + 1)
            index[won, n - won] = _calibrated(go_on - sure)
        worth = torch.maximum(sure, go_on)
    return index


@lru_cache(maxsize=4)
def finite_indices(trials: int) -> Tensor:
    """Compute the Gittins indices of an arm when a known number of trials is left.

    As :func:`discounted_indices`, but with m trials left

        V_m(w, l) = max(m sure, p (1 + V_{m-1}(w + 1, l)) + (1 - p) V_{m-1}(w, l + 1)).

    Parameters
    ----------
    trials
        In all. Indices are given for fewer trials than this.

    Returns
    -------
    Tensor
        (trials left, win, loss) float64; NaN where they add up to more than ``trials``,
        and with none left.
    """
    sure = _sure_payoffs()[:, None, None]
    count = torch.arange(trials, dtype=torch.float64)
    shape = (trials + 1, trials, trials)
    index = torch.full(shape, torch.nan, dtype=torch.float64)
    worth = torch.zeros(1, trials + 1, trials + 1, dtype=torch.float64)
    for left in range(1, trials + 1):
        seen = trials - left  # at most
        wins, losses = count[: seen + 1, None], count[: seen + 1]
        p = (1 + wins) / (2 + wins + losses)
        go_on = p * (1 + worth[:, 1:, :-1]) + (1 - p) * worth[:, :-1, 1:]
        reached = wins + losses <= seen
        at_left = _calibrated(go_on - left * sure)
        index[left, : seen + 1, : seen + 1] = at_left.where(reached, torch.nan)
        worth = torch.maximum(left * sure, go_on)
    return index


def _sure_payoffs() -> Tensor:
    angle = torch.linspace(0, pi / 2, N_SURE + 1, dtype=torch.float64)
    return angle.sin() ** 2


def _calibrated(gain: Tensor) -> Tensor:
    """Return where the gain of going on, (sure, ...), falls to 0, interpolated."""
    sure = _sure_payoffs()
    last = (gain > 0).sum(0).clamp(1, N_SURE) - 1
    before = gain.gather(0, last[None])[0]
    after = gain.gather(0, last[None] + 1)[0]
    return sure[last] + (sure[last + 1] - sure[last]) * before / (before - after)
