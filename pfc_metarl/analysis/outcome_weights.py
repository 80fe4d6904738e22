"""How past outcomes weigh on a choice, by condition: learning without a learner."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pfc_metarl.analysis.free_choices import free_choices
from pfc_metarl.analysis.logistic_regression import fit_logistic
from pfc_metarl.analysis.trial_conditions import trial_conditions
from pfc_metarl.errors import InputError
from pfc_metarl.trials import previous_trial


def outcome_weights(
    table: xr.Dataset,
    condition: str = "volatility",
    n_lags: int = 8,
    *,
    ridge: float = 0.01,
) -> xr.Dataset:
    """Regress the choice on past outcomes, separately in each condition.

    One logistic regression per subject and condition. The regressor of a lag is
    s (2 r - 1), with s = 1 or -1 the side chosen then and r the reward: with one of two
    options paying, it is the side that paid. A learner that moves its values by alpha
    towards each outcome, and chooses by them, has weights proportional to
    (1 - alpha)^(lag - 1). The share of the last outcome in their sum is then
    alpha / (1 - (1 - alpha)^n_lags), whatever the noise of the choice. Of inference
    that assumes one hazard, which the fit of learning rates takes for a little faster
    in volatile parts, this share hardly differs.

    Trials count whose ``n_lags`` predecessors are valid, in the table and of the same
    condition; instructed (forced) choices count as history but are not scored.

    Parameters
    ----------
    table
        A trial table of choices 0 and 1, and rewards from 0 to 1.
    condition
        A column of a few numbers, such as a task's latents.
    n_lags
        How many trials back; a guess that suits learning rates from 0.15. Where
        learning is slower, outcomes from before weigh, too, and the share is biased.
    ridge
        As in :func:`pfc_metarl.analysis.history_regression`.

    Returns
    -------
    xarray.Dataset
        ``weights`` and ``standard_error`` (subject, condition, lag), in log odds; per
        subject and condition ``last_outcome_share``, ``n_choices`` scored and
        ``separated``. NaN without a fit: no choices, or ridge 0 and separated.

    Raises
    ------
    DataError
        When a column is missing, a choice or reward is out of range, or a condition is
        missing.
    InputError
        When ``n_lags`` is below 1 or ridge below 0, or the column holds a single value
        or more than ten.

    References
    ----------
    The form of Lau & Glimcher 2005 J Exp Anal Behav 84:555, with one regressor.
    """
    if n_lags < 1:
        raise InputError(f"n_lags is {n_lags}; expected 1 or more trials back")
    if not ridge >= 0:
        raise InputError(f"ridge is {ridge}; expected 0 or more")
    index, values = trial_conditions(table, condition, "the weight of outcomes")
    past, complete = _history(table, index, n_lags)
    scored = complete & free_choices(table)
    choice, subject = table.choice.values.astype(float), table.subject.values
    shape = (table.subject_id.size, len(values))
    rows = [
        [scored & (subject == one) & (index == kind) for kind in range(shape[1])]
        for one in range(shape[0])
    ]
    fits = [[fit_logistic(past[r], choice[r], ridge) for r in row] for row in rows]
    weights = np.array([[fit.weights for fit in row] for row in fits])
    errors = np.array([[fit.standard_errors for fit in row] for row in fits])
    dims = ("subject", "condition")
    log_odds = {"units": "log odds"}
    return xr.Dataset(
        {
            "weights": ((*dims, "lag"), weights, log_odds),
            "standard_error": ((*dims, "lag"), errors, log_odds),
            "last_outcome_share": (dims, weights[:, :, 0] / weights.sum(axis=2)),
            "n_choices": (dims, [[int(r.sum()) for r in row] for row in rows]),
            "separated": (dims, [[fit.separated for fit in row] for row in fits]),
        },
        coords={
            "subject": table.subject_id.values,
            "condition": ("condition", values, {"long_name": condition}),
            "lag": ("lag", np.arange(1, n_lags + 1), {"units": "trials"}),
        },
        attrs={"condition": condition, "ridge": ridge},
    )


def _history(
    table: xr.Dataset, condition: NDArray[np.int64], n_lags: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the regressors, (trial, lag), and where all of them are known."""
    choice = table.choice.values.astype(int)
    side = np.where(choice >= 0, 2 * choice - 1, 0)
    signed = side * np.nan_to_num(2.0 * table.reward.values - 1)
    past = np.zeros((len(signed), n_lags))
    complete = np.ones(len(signed), dtype=bool)
    for lag in range(1, n_lags + 1):
        before = previous_trial(table, lag)
        complete &= (before >= 0) & (condition[before] == condition)
        past[:, lag - 1] = signed[before]
    return past, complete
