"""How soon a subject follows a reversal of the good choice."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pfc_metarl.analysis.cell_means import cell_means
from pfc_metarl.analysis.free_choices import free_choices, require_columns
from pfc_metarl.errors import InputError

Integers = NDArray[np.int64]


def reversal_aligned_choice(
    table: xr.Dataset, before: int = 10, after: int = 20
) -> xr.Dataset:
    """Estimate the probability of the newly good choice around reversals.

    A reversal is a trial whose ``good_choice`` differs from that of the trial just
    before it in the session; both must be known and in the table. A window ends at the
    neighbouring change of ``good_choice`` and at the session's ends, so that cells far
    from the reversal hold fewer reversals. Only free, valid trials are counted.

    Parameters
    ----------
    table
        A trial table with ``good_choice``.
    before, after
        Trials shown before the reversal and from it on.

    Returns
    -------
    xarray.Dataset
        Dimensions (subject, trial_from_reversal), from -before to after - 1, where 0 is
        the first trial with the new good choice: ``p_new_good``, the probability of
        that choice, NaN where no trial is, and ``n_trials``. Per subject:
        ``n_reversals``.

    Raises
    ------
    DataError
        When a column is missing.
    InputError
        When before is below 0 or after below 1.
    """
    require_columns(table, "choice around reversals", "choice", "forced", "good_choice")
    if before < 0 or after < 1:
        raise InputError(
            f"before is {before} and after {after}; expected 0 and 1 or more"
        )
    subject, lag, chosen, n_reversals = _aligned_choices(table)
    shown = (lag >= -before) & (lag < after)
    n_subjects = table.subject_id.size
    p_new_good, n_trials = cell_means(
        chosen[shown],
        (subject[shown], lag[shown] + before),
        (n_subjects, before + after),
    )
    dims = ("subject", "trial_from_reversal")
    return xr.Dataset(
        {
            "p_new_good": (dims, p_new_good, {"units": "1"}),
            "n_trials": (dims, n_trials, {"units": "1"}),
            "n_reversals": ("subject", n_reversals),
        },
        coords={
            "subject": table.subject_id.values,
            "trial_from_reversal": np.arange(-before, after),
        },
    )


def _aligned_choices(
    table: xr.Dataset,
) -> tuple[Integers, Integers, NDArray[np.bool_], Integers]:
    """Align each free choice to the reversals that open its run and the next one.

    Returns, for each alignment, the subject, the distance from the reversal in trials
    and whether the choice was the one made good; and the reversals of each subject.
    """
    run, start, reverses = _runs(table)
    subject, number = table.subject.values, table.trial_in_session.values
    trials = np.flatnonzero(free_choices(table))
    trials, to = np.tile(trials, 2), np.append(run[trials], run[trials] + 1)
    kept = np.append(reverses, False)[to]  # nothing follows the last run
    trials, reversal = trials[kept], start[to[kept]]
    chosen = table.choice.values[trials] == table.good_choice.values[reversal]
    n_reversals = np.bincount(subject[start[reverses]], minlength=table.subject_id.size)
    return subject[trials], number[trials] - number[reversal], chosen, n_reversals


def _runs(table: xr.Dataset) -> tuple[Integers, Integers, NDArray[np.bool_]]:
    """Divide the trials into runs of one good choice in one session.

    Returns the run of each trial, the position of each run's first trial, and whether
    the run begins with a reversal.
    """
    good, session = table.good_choice.values, table.session.values
    opens = np.ones(good.size, dtype=bool)
    opens[1:] = (good[1:] != good[:-1]) | (session[1:] != session[:-1])
    reverses = np.zeros(good.size, dtype=bool)
    reverses[1:] = (
        opens[1:]
        & (session[1:] == session[:-1])
        & (np.diff(table.trial_in_session.values) == 1)
        & (good[1:] >= 0)
        & (good[:-1] >= 0)
    )
    return np.cumsum(opens) - 1, np.flatnonzero(opens), reverses[opens]
