"""How the choices, transitions and outcomes of past trials weigh on a choice."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pfc_metarl.analysis.free_choices import free_choices, require_columns
from pfc_metarl.analysis.logistic_regression import LogisticFit, fit_logistic
from pfc_metarl.errors import DataError, InputError
from pfc_metarl.trials import previous_trial

TRIAL_TYPES = (
    "common-rewarded",
    "rare-rewarded",
    "common-unrewarded",
    "rare-unrewarded",
)
PLANNING = np.array([1, -1, -1, 1])  # contrasts over the trial types
MODEL_FREE = np.array([1, 1, -1, -1])


def history_regression(
    table: xr.Dataset,
    n_lags: int = 5,
    *,
    ridge: float = 0.01,
    complete_history: bool = False,
) -> xr.Dataset:
    """Regress the choice on the sides, transitions and outcomes of past trials.

    One logistic regression per subject with 4 n_lags + 1 weights. The regressor of a
    trial type at a lag is +1 if that past trial was of that type and chose 1, -1 if it
    was of that type and chose 0, else 0: a positive weight says that choices after
    such a trial repeat it, whichever side it was. The bias is the log odds of choice 1.

    Trials are included as in the authors' code. Trials that are not valid, or not in
    the table, are passed over as if they had not been; instructed (forced) choices
    count as history but are not scored; before the start of a session, history is 0.

    Parameters
    ----------
    table
        A trial table of choices 0 and 1 with ``transition_common``.
    n_lags
        How many trials back.
    ridge
        Penalty (ridge / 2) x (sum of squared weights), the same for every subject,
        agent or animal. A subject without noise is separated: its likelihood has no
        maximum, and the penalty alone keeps its weights finite and sets their size.
        The default, a prior of standard deviation 10, changes the indices of rats by
        less than 0.002 given 1 700 choices or more. 0 is maximum likelihood.
    complete_history
        Score only trials whose n_lags predecessors are all valid and in the table.

    Returns
    -------
    xarray.Dataset
        ``weights`` and ``standard_error`` (subject, trial_type, lag), in log odds; per
        subject ``bias``, ``bias_standard_error``, ``planning_index`` and
        ``model_free_index`` (summed over lags: common-rewarded -/+ rare-rewarded -
        common-unrewarded +/- rare-unrewarded), ``log_likelihood`` (nats), ``n_choices``
        scored and ``separated``. Without a fit (no choices, or ridge 0 and separated or
        dependent regressors) they are NaN.

    Raises
    ------
    DataError
        When a column is missing or a choice is neither 0, 1 nor missing.
    InputError
        When n_lags is below 1 or ridge below 0.

    References
    ----------
    Miller, Botvinick & Brody 2017 Nat Neurosci 20:1269 and its published code; Wang et
    al. 2018 Nat Neurosci 21:860, Figure 5d-e.
    """
    _check(table, n_lags, ridge)
    scored = free_choices(table)
    if complete_history:
        scored &= previous_trial(table, n_lags) >= 0
    history = _history(table, n_lags).reshape(-1, 4 * n_lags)
    regressors = np.column_stack([history, np.ones(len(history))])
    choice = table.choice.values.astype(float)
    fits, n_choices = [], []
    for subject in range(table.subject_id.size):
        rows = scored & (table.subject.values == subject)
        fits.append(fit_logistic(regressors[rows], choice[rows], ridge))
        n_choices.append(int(rows.sum()))
    result = _dataset(fits, n_lags, table.subject_id.values)
    result["n_choices"] = ("subject", n_choices, {"long_name": "choices scored"})
    result.attrs.update(ridge=ridge, complete_history=int(complete_history))
    return result


def _check(table: xr.Dataset, n_lags: int, ridge: float) -> None:
    require_columns(
        table,
        "the history regression",
        *("choice", "forced", "reward", "transition_common"),
    )
    if n_lags < 1:
        raise InputError(f"n_lags is {n_lags}; expected 1 or more trials back")
    if not ridge >= 0:
        raise InputError(f"ridge is {ridge}; expected 0 or more")
    choice = table.choice.values
    if (choice > 1).any():
        trial = int(np.flatnonzero(choice > 1)[0])
        raise DataError(
            f"trial {trial} has choice {choice[trial]}; "
            "the history regression takes 0, 1 and -1 (missing)"
        )


def _history(table: xr.Dataset, n_lags: int) -> NDArray[np.float64]:
    """Return the regressors, (trial, 4, n_lags); 0 on trials that are not valid."""
    rows = np.flatnonzero(table.valid.values == 1)
    session = table.session.values[rows]
    signed = _signed_trial_type(table)[rows]
    past = np.zeros((len(rows), 4, n_lags))
    for lag in range(1, n_lags + 1):
        same_session = session[lag:] == session[:-lag]
        past[lag:, :, lag - 1] = signed[:-lag] * same_session[:, None]
    history = np.zeros((table.sizes["trial"], 4, n_lags))
    history[rows] = past
    return history


def _signed_trial_type(table: xr.Dataset) -> NDArray[np.float64]:
    """Return (trial, 4): +1 or -1 by choice in the trial's type; 0 where unknown."""
    choice = table.choice.values.astype(int)
    side = np.where(choice >= 0, 2 * choice - 1, 0)
    rewarded, unrewarded = table.reward.values > 0, table.reward.values <= 0
    common = table.transition_common.values == 1
    rare = table.transition_common.values == 0
    kinds = (rewarded & common, rewarded & rare, unrewarded & common, unrewarded & rare)
    return np.stack([side * kind for kind in kinds], axis=1).astype(float)


def _dataset(
    fits: list[LogisticFit], n_lags: int, subject_id: NDArray[np.str_]
) -> xr.Dataset:
    shape = (len(fits), 4, n_lags)
    all_weights = np.reshape([fit.weights for fit in fits], (len(fits), -1))
    all_errors = np.reshape([fit.standard_errors for fit in fits], (len(fits), -1))
    weights = all_weights[:, :-1].reshape(shape)
    by_type = weights.sum(axis=2)
    dims, log_odds = ("subject", "trial_type", "lag"), {"units": "log odds"}
    return xr.Dataset(
        {
            "weights": (dims, weights, log_odds),
            "standard_error": (dims, all_errors[:, :-1].reshape(shape), log_odds),
            "bias": ("subject", all_weights[:, -1], log_odds),
            "bias_standard_error": ("subject", all_errors[:, -1], log_odds),
            "planning_index": ("subject", by_type @ PLANNING, log_odds),
            "model_free_index": ("subject", by_type @ MODEL_FREE, log_odds),
            "log_likelihood": ("subject", [fit.log_likelihood for fit in fits]),
            "separated": ("subject", [fit.separated for fit in fits]),
        },
        coords={
            "subject": subject_id,
            "trial_type": list(TRIAL_TYPES),
            "lag": ("lag", np.arange(1, n_lags + 1), {"units": "trials"}),
        },
    )
