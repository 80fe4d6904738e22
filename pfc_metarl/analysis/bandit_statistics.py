"""What an ideal observer of the correlated bandit needs to remember.

With one p for both arms, a win of one arm is a loss of the other, so that two numbers
say everything: how many outcomes spoke for arm 0, and how many outcomes there were.
"""

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaincc

from pfc_metarl.errors import InputError

Floats = NDArray[np.float64]

DIMS = ("seed", "episode", "trial")


def bandit_statistics(choice: ArrayLike, reward: ArrayLike) -> xr.Dataset:
    """Compute the ideal observer's statistics from an agent's own choices and rewards.

    They are those before each choice, as is the state of a network that has seen the
    trials before it. The prior is that of the task: arm 0 pays with p, arm 1 with
    1 - p, and p is uniform from 0 to 1. After ``trials`` outcomes of which ``agreeing``
    spoke for arm 0 (it paid, or arm 1 did not), p is Beta(1 + agreeing, 1 + trials -
    agreeing).

    Parameters
    ----------
    choice
        (seed, episode, trial) 0 or 1; any other value, such as -1 (missing) or a
        fixation, is no outcome.
    reward
        (seed, episode, trial) 1 or 0 where there is an outcome.

    Returns
    -------
    xarray.Dataset
        Dimensions (seed, episode, trial): ``agreeing`` and ``trials``, in trials;
        ``lead`` = 2 agreeing - trials, the outcomes for arm 0 less those for arm 1;
        ``posterior_mean``, the expected p; ``log_odds``, log P(p > 1/2) / P(p < 1/2).
        The first two (or ``lead`` and ``trials``) are sufficient, the others follow.

    Raises
    ------
    InputError
        When the shapes differ, or a reward is neither 0 nor 1.

    References
    ----------
    Task: Wang et al. 2016, arXiv 1611.05763, section 3.1.2. Sufficient statistics as
    the agent's state: Mikulik et al. 2020, arXiv 2010.11223.
    """
    chosen, earned = np.asarray(choice), np.asarray(reward, dtype=float)
    if chosen.ndim != len(DIMS) or chosen.shape != earned.shape:
        raise InputError(
            f"choice and reward have shapes {chosen.shape} and {earned.shape}; "
            f"expected both to be {DIMS}"
        )
    outcome = (chosen == 0) | (chosen == 1)
    wrong = outcome & (earned != 0) & (earned != 1)
    if wrong.any():
        raise InputError(
            f"a trial has reward {earned[wrong][0]}; expected 0 or 1, "
            "as the correlated bandit pays"
        )
    for_arm0 = outcome & ((chosen == 0) == (earned == 1))
    trials, agreeing = _before(outcome), _before(for_arm0)
    alpha, beta = 1 + agreeing, 1 + trials - agreeing
    # Both tails have their own relative precision; the floor is that of the format.
    tails = np.stack([betaincc(alpha, beta, 0.5), betainc(alpha, beta, 0.5)])
    log_right, log_wrong = np.log(np.maximum(tails, np.finfo(float).tiny))
    count, probability = {"units": "trials"}, {"units": "1"}
    return xr.Dataset(
        {
            "agreeing": (DIMS, agreeing, count),
            "trials": (DIMS, trials, count),
            "lead": (DIMS, 2 * agreeing - trials, count),
            "posterior_mean": (DIMS, alpha / (alpha + beta), probability),
            "log_odds": (DIMS, log_right - log_wrong, {"units": "nat"}),
        }
    )


def _before(events: NDArray[np.bool_]) -> Floats:
    """Count the events of the trials before each."""
    counts: Floats = np.cumsum(events, axis=-1).astype(float) - events
    return counts


def both_arms(posterior_mean: ArrayLike) -> Floats:
    """Return the expected probability of reward of each arm, (..., arm).

    Parameters
    ----------
    posterior_mean
        (...) that of arm 0.
    """
    mean = np.asarray(posterior_mean, dtype=float)
    return np.stack([mean, 1 - mean], axis=-1)
