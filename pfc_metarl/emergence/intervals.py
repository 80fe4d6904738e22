"""Intervals: of a fraction of seeds, of a mean over seeds, of the time to emergence."""

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from pfc_metarl.errors import InputError

LEVEL = 0.95


class Interval(NamedTuple):
    """An estimate between its bounds."""

    estimate: float
    low: float
    high: float


def wilson(n_emerged: int, n: int) -> Interval:
    """Return a fraction of seeds with its Wilson 95 % interval.

    Parameters
    ----------
    n_emerged, n
        Seeds that did, of all. With none at all: NaN, from 0 to 1.

    Raises
    ------
    InputError
        When more emerged than there are.

    References
    ----------
    Wilson 1927, J Am Stat Assoc 22:209.
    """
    if not 0 <= n_emerged <= n:
        raise InputError(f"{n_emerged} of {n} seeds; expected 0 to {n}")
    if n == 0:
        return Interval(float("nan"), 0.0, 1.0)
    ci = stats.binomtest(n_emerged, n).proportion_ci(LEVEL, "wilson")
    return Interval(n_emerged / n, float(ci.low), float(ci.high))


def mean(values: ArrayLike) -> Interval:
    """Return the mean over seeds with its 95 % interval by Student's t.

    NaN bounds with fewer than two seeds.
    """
    array = np.asarray(values, dtype=float)
    if array.size < 2:
        return Interval(float(array.mean()) if array.size else np.nan, np.nan, np.nan)
    half = stats.t.ppf(0.5 + LEVEL / 2, array.size - 1) * stats.sem(array)
    centre = float(array.mean())
    return Interval(centre, centre - float(half), centre + float(half))


def sign_test(values: ArrayLike) -> float:
    """Return the two-sided p value that as many values are above 0 as below.

    Values of 0 are left out; with no others it is 1.
    """
    array = np.asarray(values, dtype=float)
    n_above, n_below = int((array > 0).sum()), int((array < 0).sum())
    if n_above + n_below == 0:
        return 1.0
    return float(stats.binomtest(n_above, n_above + n_below).pvalue)


class Survival(NamedTuple):
    """Share of seeds that has not emerged yet, by training: Kaplan and Meier's curve.

    ``time`` is when a seed emerged or was no longer followed; ``share``, ``low`` and
    ``high`` hold from there to the next. The share is 1 before the first.
    """

    time: NDArray[np.float64]
    share: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def kaplan_meier(time: ArrayLike, emerged: ArrayLike) -> Survival:
    """Estimate how long it takes to emerge, with seeds that had not when they ended.

    Parameters
    ----------
    time
        (seed,) training until emergence, or until the end for those that did not.
    emerged
        (seed,) bool.

    Returns
    -------
    Survival
        With the 95 % interval by log(-log) and Greenwood's formula; NaN bounds where
        the curve is 1 or 0.

    References
    ----------
    Kaplan & Meier 1958, J Am Stat Assoc 53:457; scipy.stats.ecdf.
    """
    times, happened = np.asarray(time, dtype=float), np.asarray(emerged, dtype=bool)
    if times.shape != happened.shape or times.ndim != 1 or not times.size:
        raise InputError(
            f"time is {times.shape} and emerged {happened.shape}; expected one "
            "dimension, as many of each, and at least one"
        )
    data = stats.CensoredData(times[happened], right=times[~happened])
    survival = stats.ecdf(data).sf
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # it has no bounds at 1 and 0
        bounds = survival.confidence_interval(LEVEL, method="log-log")
    return Survival(
        survival.quantiles,
        survival.probabilities,
        bounds.low.probabilities,
        bounds.high.probabilities,
    )
