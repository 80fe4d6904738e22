"""Logistic regression that stays finite when a subject is deterministic."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog, minimize
from scipy.sparse import csr_array
from scipy.special import expit, log_expit

Floats = NDArray[np.float64]


class LogisticFit(NamedTuple):
    """Result of a logistic regression on k regressors."""

    weights: Floats  # (k,)
    standard_errors: Floats  # (k,)
    log_likelihood: float  # without the penalty, in nats
    separated: bool  # the data alone put no bound on the weights


def fit_logistic(regressors: Floats, response: Floats, ridge: float) -> LogisticFit:
    """Maximise the log-likelihood less (ridge / 2) times the sum of squared weights.

    Parameters
    ----------
    regressors
        (trial, k); a constant is a regressor like the others.
    response
        (trial,) 0 or 1.
    ridge
        Precision of a normal prior of mean 0 on every weight, the constant's too. At 0
        this is maximum likelihood.

    Returns
    -------
    LogisticFit
        Standard errors are from the curvature at the maximum. All is NaN where there is
        no unique maximum: without trials, or with ridge 0 when the data are separated
        or the regressors dependent.
    """
    n_weights = regressors.shape[1]
    separated = is_separated(regressors, response)
    if not _has_one_maximum(regressors, ridge, separated):
        nothing = np.full(n_weights, np.nan)
        return LogisticFit(nothing, nothing, np.nan, separated)
    side = 2.0 * response - 1.0

    def loss(weights: Floats) -> float:
        penalty = ridge / 2 * weights @ weights
        return float(penalty - log_expit(side * (regressors @ weights)).sum())

    def gradient(weights: Floats) -> Floats:
        error: Floats = expit(regressors @ weights) - response
        slope: Floats = regressors.T @ error + ridge * weights
        return slope

    def curvature(weights: Floats) -> Floats:
        p = expit(regressors @ weights)
        information: Floats = (regressors.T * (p * (1 - p))) @ regressors
        return information + ridge * np.eye(n_weights)

    found = minimize(
        loss,
        np.zeros(n_weights),
        jac=gradient,
        hess=curvature,
        method="trust-exact",  # safe where a plain Newton step would overshoot
        options={"gtol": 1e-6, "maxiter": 1000},
    )
    return LogisticFit(
        weights=found.x,
        standard_errors=np.sqrt(np.diag(np.linalg.inv(curvature(found.x)))),
        log_likelihood=float(log_expit(side * (regressors @ found.x)).sum()),
        separated=separated,
    )


def is_separated(regressors: Floats, response: Floats) -> bool:
    """Tell whether some weights put no trial on the wrong side and some on the right.

    The likelihood then rises for ever along these weights, wholly or in part
    (quasi-separation). Found by linear programming (Konis 2007).
    """
    if not len(response):
        return False
    margins = csr_array(regressors * (2.0 * response - 1.0)[:, None])
    best = linprog(
        -np.asarray(margins.sum(axis=0)).ravel(),
        A_ub=-margins,
        b_ub=np.zeros(len(response)),
        bounds=(-1, 1),
        method="highs",
    )
    return bool(-best.fun > 1e-6 * len(response))  # the solver's tolerance per trial


def _has_one_maximum(regressors: Floats, ridge: float, separated: bool) -> bool:
    n_trials, n_weights = regressors.shape
    if n_trials == 0 or ridge > 0:
        return n_trials > 0
    return not separated and bool(np.linalg.matrix_rank(regressors) == n_weights)
