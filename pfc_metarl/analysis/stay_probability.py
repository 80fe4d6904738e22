"""Whether a choice is repeated, given the last trial's transition and outcome.

In the two-step task a model-free learner repeats what was rewarded; a model-based one
does so after a common transition and the opposite after a rare one.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pfc_metarl.analysis.cell_means import cell_means
from pfc_metarl.analysis.free_choices import free_choices, require_columns
from pfc_metarl.trials import previous_trial

OUTCOMES = ("rewarded", "unrewarded")
TRANSITIONS = ("common", "rare")


def stay_probability(table: xr.Dataset) -> xr.Dataset:
    """Estimate the probability of repeating the first-step choice.

    A pair is two successive trials of one session, both valid and both chosen freely,
    of which the first has a known transition and reward. Rewarded means reward > 0.

    Parameters
    ----------
    table
        A trial table with ``transition_common``. Any number of options.

    Returns
    -------
    xarray.Dataset
        Dimensions (subject, outcome, transition): ``stay``, a probability, NaN where
        there is no pair, and ``n_pairs``. Over the pairs of all subjects together,
        (outcome, transition): ``pooled_stay`` and ``pooled_n_pairs``.

    Raises
    ------
    DataError
        When a column is missing.

    References
    ----------
    Daw et al. 2011 Neuron 69:1204; Miller, Botvinick & Brody 2017 Nat Neurosci
    20:1269; Wang et al. 2018 Nat Neurosci 21:860, Figure 5.
    """
    require_columns(
        table,
        "the stay probability",
        *("choice", "forced", "reward", "transition_common"),
    )
    first, second = _pairs(table)
    stay = table.choice.values[first] == table.choice.values[second]
    outcome = (~(table.reward.values[first] > 0)).astype(int)
    transition = 1 - table.transition_common.values[first].astype(int)
    subject = table.subject.values[first]
    n_subjects = table.subject_id.size
    by_subject, n = cell_means(stay, (subject, outcome, transition), (n_subjects, 2, 2))
    pooled, pooled_n = cell_means(stay, (outcome, transition), (2, 2))
    cell = ("outcome", "transition")
    probability = {"long_name": "probability of repeating the choice", "units": "1"}
    count = {"long_name": "pairs of successive trials", "units": "1"}
    return xr.Dataset(
        {
            "stay": (("subject", *cell), by_subject, probability),
            "n_pairs": (("subject", *cell), n, count),
            "pooled_stay": (cell, pooled, probability),
            "pooled_n_pairs": (cell, pooled_n, count),
        },
        coords={
            "subject": table.subject_id.values,
            "outcome": list(OUTCOMES),
            "transition": list(TRANSITIONS),
        },
    )


def _pairs(table: xr.Dataset) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the positions of the first and of the second trial of each pair."""
    free = free_choices(table)
    known = (table.transition_common.values >= 0) & ~np.isnan(table.reward.values)
    previous = previous_trial(table)
    second = np.flatnonzero((previous >= 0) & free)
    first = previous[second]
    kept = free[first] & known[first]
    return first[kept], second[kept]
