"""How a subject improves within a session.

For a network with frozen weights a session is an episode, and a rise from chance on the
first trial is learning by its activity alone.
"""

import numpy as np
import xarray as xr

from pfc_metarl.analysis.cell_means import cell_means
from pfc_metarl.analysis.free_choices import free_choices, require_columns
from pfc_metarl.errors import InputError


def learning_curve(table: xr.Dataset, window: int = 1) -> xr.Dataset:
    """Average reward and correct choices by trial number within the session.

    Only free, valid trials count. A choice is correct when it is the good one; trials
    without a known good choice or reward are left out of that average alone.

    Parameters
    ----------
    table
        A trial table with ``good_choice``.
    window
        How many successive trial numbers to take together.

    Returns
    -------
    xarray.Dataset
        Dimensions (subject, trial_in_session), the latter the first number of each
        window, from 0: ``mean_reward`` in units of reward and ``p_correct``, NaN where
        no trial is, and the counts ``n_reward`` and ``n_correct`` behind them.

    Raises
    ------
    DataError
        When a column is missing.
    InputError
        When window is below 1.

    References
    ----------
    Wang et al. 2018 Nat Neurosci 21:860, Figure 1 (behaviour within test episodes).
    """
    require_columns(
        table, "the learning curve", "choice", "forced", "reward", "good_choice"
    )
    if window < 1:
        raise InputError(f"window is {window}; expected 1 or more trials")
    trials = np.flatnonzero(free_choices(table))
    good = table.good_choice.values[trials]
    correct = np.where(good >= 0, table.choice.values[trials] == good, np.nan)
    bins = table.trial_in_session.values // window
    n_bins = int(bins.max(initial=-1)) + 1
    cells = (table.subject.values[trials], bins[trials])
    shape = (table.subject_id.size, n_bins)
    mean_reward, n_reward = cell_means(table.reward.values[trials], cells, shape)
    p_correct, n_correct = cell_means(correct, cells, shape)
    dims = ("subject", "trial_in_session")
    return xr.Dataset(
        {
            "mean_reward": (dims, mean_reward, {"units": "reward"}),
            "p_correct": (dims, p_correct, {"units": "1"}),
            "n_reward": (dims, n_reward, {"long_name": "trials of known reward"}),
            "n_correct": (
                dims,
                n_correct,
                {"long_name": "trials of known good choice"},
            ),
        },
        coords={
            "subject": table.subject_id.values,
            "trial_in_session": window * np.arange(n_bins),
        },
        attrs={"window": window},
    )
