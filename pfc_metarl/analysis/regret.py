"""Expected regret: what is lost by not choosing the best option throughout.

It is computed from the probabilities of reward, which only a simulation knows, and so
is free of the outcomes' chance.
"""

import re

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pfc_metarl.analysis.cell_means import cell_means
from pfc_metarl.analysis.free_choices import require_columns
from pfc_metarl.errors import DataError

_PROBABILITY = re.compile(r"p_reward_\d+")


def regret(table: xr.Dataset) -> xr.Dataset:
    """Sum the expected regret of each session, and average over sessions.

    The regret of trial t is max_a p_t(a) - p_t(a_t), with p_t(a) the probability of
    reward of option a. A trial that is not valid has earned nothing: its regret is
    max_a p_t(a).

    Parameters
    ----------
    table
        A trial table with ``p_reward_0``, ``p_reward_1``, ...

    Returns
    -------
    xarray.Dataset
        Dimension (subject,): ``total_regret``, the mean over sessions of the sum over
        trials, in units of reward; its standard error ``sem``, NaN with fewer than two
        sessions; ``n_suboptimal``, the mean number of trials with any regret, and
        ``n_sessions``. Dimensions (subject, trial_in_session): ``mean_regret``, NaN
        where no trial is, ``cumulative_regret``, its sum so far, and ``n_trials``.

    Raises
    ------
    DataError
        When a column is missing, a probability is, or a choice has none.

    References
    ----------
    Wang et al. 2016, arXiv 1611.05763, Figure 2; Wang et al. 2018 Nat Neurosci 21:860,
    Figure 1d; Lai & Robbins 1985 Adv Appl Math 6:4.
    """
    require_columns(table, "the regret", "choice", "p_reward_0")
    lost = trial_regret(table)
    n_subjects = table.subject_id.size
    n_numbers = int(table.trial_in_session.values.max(initial=-1)) + 1
    cells = (table.subject.values, table.trial_in_session.values)
    by_trial, n_trials = cell_means(lost, cells, (n_subjects, n_numbers))
    owner, total = _by_session(table, lost)
    _, suboptimal = _by_session(table, lost > 0)
    mean, n_sessions = cell_means(total, (owner,), (n_subjects,))
    square, _ = cell_means((total - mean[owner]) ** 2, (owner,), (n_subjects,))
    with np.errstate(divide="ignore", invalid="ignore"):
        sem = np.where(n_sessions > 1, np.sqrt(square / (n_sessions - 1)), np.nan)
    mean_suboptimal, _ = cell_means(suboptimal, (owner,), (n_subjects,))
    dims = ("subject", "trial_in_session")
    reward = {"units": "reward"}
    return xr.Dataset(
        {
            "total_regret": ("subject", mean, reward),
            "sem": ("subject", sem, reward),
            "n_suboptimal": ("subject", mean_suboptimal, {"units": "trials"}),
            "n_sessions": ("subject", n_sessions),
            "mean_regret": (dims, by_trial, reward),
            "cumulative_regret": (dims, np.nancumsum(by_trial, axis=1), reward),
            "n_trials": (dims, n_trials),
        },
        coords={
            "subject": table.subject_id.values,
            "trial_in_session": np.arange(n_numbers),
        },
    )


def trial_regret(table: xr.Dataset) -> NDArray[np.float64]:
    """Return the expected regret of every trial of a table; see :func:`regret`.

    Raises
    ------
    DataError
        When a probability is missing or a choice has none.
    """
    names = [n for n in map(str, table.data_vars) if _PROBABILITY.fullmatch(n)]
    names.sort(key=lambda name: int(name.rsplit("_", 1)[1]))
    p_reward = np.stack([table[name].values for name in names], axis=1).astype(float)
    choice = table.choice.values.astype(int)
    wrong = np.isnan(p_reward).any(1) | (choice >= len(names))
    if wrong.any():
        trial = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"trial {trial} has choice {choice[trial]} among options of reward "
            f"probability {p_reward[trial]}; expected one that is known"
        )
    chosen = np.take_along_axis(p_reward, choice.clip(0)[:, None], axis=1)[:, 0]
    taken = (choice >= 0) & (table.valid.values == 1)
    lost: NDArray[np.float64] = p_reward.max(1) - np.where(taken, chosen, 0.0)
    return lost


def _by_session(
    table: xr.Dataset, values: NDArray[np.generic]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the subject of each session that has trials, and its sum of values."""
    session, first = np.unique(table.session.values, return_index=True)
    total = np.bincount(table.session.values, weights=values.astype(float))[session]
    owner: NDArray[np.int64] = table.subject.values[first].astype(np.int64)
    return owner, total.astype(np.float64)
