"""How fast the inner algorithm learns: learning rates fitted to choices, by condition.

The weights of a frozen network do not change. What is fitted is the learning that its
choices show from trial to trial.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize

from pfc_metarl.analysis.rescorla_wagner import Choices, choices_of, log_likelihood
from pfc_metarl.analysis.trial_conditions import trial_conditions
from pfc_metarl.errors import DataError

Floats = NDArray[np.float64]

STARTS = (0.1, 0.5)  # learning rates at which the search begins; guesses
SAME_OPTIMUM = 0.1  # log-likelihood units within which two starts agree
ON_BOUND = 1e-3  # of the range

# Bounds and start of what all conditions share; guesses. At an inverse temperature of
# 100, a difference of value of 0.05 decides 99 % of choices.
SHARED = {
    "inverse_temperature": ((0.0, 100.0), 5.0),
    "perseveration": ((-10.0, 10.0), 0.0),
    "lapse_rate": ((0.0, 0.5), 0.02),
}


def inner_learning_rate(
    table: xr.Dataset,
    condition: str = "volatility",
    *,
    mirrored: bool = True,
    perseveration: bool = True,
    lapse: bool = True,
) -> xr.Dataset:
    """Fit a Rescorla-Wagner learner whose learning rate depends on a condition.

    With r_t the reward and a the option chosen of two, b the other, k the condition of
    trial t, and s_t = 1 or -1 the side chosen (1 for option 1),

        V_a <- V_a + alpha_k (r_t - V_a),
        V_b <- V_b + alpha_k (1 - r_t - V_b)                     (if ``mirrored``),
        P(option 1) = (1 - eps) / (1 + exp(-x_t)) + eps / 2,
        x_t = beta (V_1 - V_0) + kappa s_{t-1}.

    Values are 1/2 at the start of a session and are carried over its conditions. This
    ``free`` model has one learning rate alpha for each condition; beta, kappa and eps
    are shared. The ``common`` model has one learning rate for all trials. Both are
    fitted to each subject by maximum likelihood, by L-BFGS-B within bounds.

    Trials that are not valid are passed over as if they had not been; instructed
    (forced) choices are learned from but not scored.

    A rate that differs is no proof of an adapting learner: the fit to another fixed
    learner than this one may differ, too. Bayesian inference that assumes one hazard
    throughout shows up to 0.02 more in the volatile half of
    :func:`pfc_metarl.tasks.volatility.stable_and_volatile`, in every subject, and BIC
    may side with it. Compare with such a learner, or with networks trained on one
    volatility, and with :func:`pfc_metarl.analysis.outcome_weights`, which it does not
    deceive.

    Parameters
    ----------
    table
        A trial table of choices 0 and 1, and rewards from 0 to 1.
    condition
        A column of a few numbers, such as a task's latents.
    mirrored
        Both options learn from every outcome, as they should where one of the two pays
        (Behrens et al. 2007); else the one chosen only. A learner of the former kind
        with one rate, fitted as the latter, seems to learn faster in volatile parts by
        0.03 to 0.07.
    perseveration
        Whether kappa is fitted; else it is 0.
    lapse
        Whether eps is fitted; else it is 0. A learner with one rate that lapses in 0.1
        of trials seems, fitted without, to learn faster in volatile parts by 0.02.

    Returns
    -------
    xarray.Dataset
        Dimensions (subject, condition): ``learning_rate`` of the free model, its
        ``standard_error``, whether it is ``on_bound`` (a limit, then, with no standard
        error), and ``n_choices`` scored. Dimensions (subject, model), the model
        ``free`` or ``common``: ``inverse_temperature``, ``perseveration``,
        ``lapse_rate``, ``log_likelihood`` (nats), ``n_parameters``, ``bic``
        (k ln n - 2 LL), ``n_starts_at_best`` (within 0.1 of the best; one alone calls
        for doubt) of ``n_starts``, ``converged``. Along subject: the
        ``common_learning_rate`` and its ``common_standard_error``.

        Standard errors take sessions to be independent and hold even if the model is
        wrong (White 1982); NaN with a single session, or where the curvature has no
        inverse. ``inverse_temperature`` near its bound of 100 says that choices are
        deterministic.

    Raises
    ------
    DataError
        When a column is missing, a choice or reward is out of range, a condition is
        missing, or a subject has no free choice in one.
    InputError
        When the column holds a single value or more than ten.

    References
    ----------
    Rescorla & Wagner 1972. Wang et al. 2016, arXiv 1611.05763, restless bandits:
    maximum likelihood, beta, alpha and eps fixed or free, compared by BIC, to blocks of
    ten episodes of one volatility. How Wang et al. 2018 (Nat Neurosci 21:860, Fig. 3d)
    estimated the rates is not known to us. Guesses, therefore: rates by part of an
    episode, the initial value, ``mirrored``, and kappa. Behrens et al. 2007 Nat
    Neurosci 10:1214. White 1982 Econometrica 50:1.
    """
    index, values = trial_conditions(table, condition, "the inner learning rate")
    fitted = {"perseveration": perseveration, "lapse_rate": lapse}
    fits = []
    for subject, name in enumerate(table.subject_id.values):
        choices = choices_of(table, subject, index, mirrored)
        n_choices = np.bincount(
            choices.condition[choices.scored], minlength=len(values)
        )
        if not n_choices.all():
            raise DataError(
                f"{name} has no free choice where {condition} is "
                f"{values[np.argmin(n_choices)]}; leave out that subject or condition"
            )
        common = _fit(choices.pooled(), 1, fitted)
        free = _fit(choices, len(values), fitted, common.estimate)
        fits.append(_result(free, common, n_choices))
    result = xr.concat(fits, dim="subject").assign_coords(
        subject=table.subject_id.values, condition=values
    )
    result.condition.attrs["long_name"] = condition
    result.attrs = {"condition": condition, "mirrored": int(mirrored)}
    return result


@dataclass(frozen=True)
class _Fit:
    """A model fitted to one subject; learning rates first, then what is shared."""

    estimate: Floats  # (parameter,)
    standard_error: Floats  # (parameter,)
    on_bound: NDArray[np.bool_]  # (parameter,)
    n_free: int
    log_likelihood: float
    n_at_best: int
    n_starts: int
    converged: bool


def _fit(
    choices: Choices,
    n_rates: int,
    fitted: dict[str, bool],
    nested: Floats | None = None,
) -> _Fit:
    """Maximise the likelihood from several starts, among them a nested model's."""
    bounds = [(0.0, 1.0)] * n_rates + [
        bound if fitted.get(name, True) else (0.0, 0.0)
        for name, (bound, _) in SHARED.items()
    ]
    shared = [start for _, start in SHARED.values()]
    starts = [np.array([rate] * n_rates + shared) for rate in STARTS]
    if nested is not None:
        starts.append(np.array([nested[0]] * n_rates + list(nested[1:])))
    n_choices = choices.scored.sum()

    def loss(parameters: Floats) -> tuple[float, Floats]:
        by_session, score = log_likelihood(choices, parameters)
        return -float(by_session.sum()) / n_choices, -score.sum(0) / n_choices

    options = {"ftol": 1e-10, "gtol": 1e-6}
    runs: list[OptimizeResult] = [
        minimize(
            loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
        )
        for start in starts
    ]
    best = min(runs, key=lambda run: run.fun)
    reached = np.array([-run.fun * n_choices for run in runs])
    low, high = np.array(bounds).T
    near = ON_BOUND * (high - low)
    on_bound = (best.x - low <= near) | (high - best.x <= near)
    return _Fit(
        estimate=best.x,
        standard_error=_standard_errors(choices, best.x, ~on_bound),
        on_bound=on_bound,
        n_free=int((high > low).sum()),
        log_likelihood=float(reached.max()),
        n_at_best=int((reached > reached.max() - SAME_OPTIMUM).sum()),
        n_starts=len(starts),
        converged=bool(best.success),
    )


def _standard_errors(
    choices: Choices, estimate: Floats, inside: NDArray[np.bool_]
) -> Floats:
    """Return the standard errors of the parameters inside their bounds, else NaN.

    The covariance is H^-1 (sum over sessions of g g') H^-1 x n / (n - 1), with g the
    gradient of one session's log-likelihood and H the curvature of the whole.
    """
    errors = np.full(len(estimate), np.nan)
    free = np.flatnonzero(inside)
    _, score = log_likelihood(choices, estimate)
    curvature: Floats = np.empty((len(free), len(free)))
    for row, parameter in enumerate(free):
        step = np.zeros(len(estimate))
        step[parameter] = 1e-4 * max(abs(estimate[parameter]), 0.01)
        _, above = log_likelihood(choices, estimate + step)
        _, below = log_likelihood(choices, estimate - step)
        slope = (below - above).sum(0) / (2 * step[parameter])
        curvature[row] = slope[free]
    n_sessions = len(score)
    curvature = (curvature + curvature.T) / 2
    if n_sessions < 2 or not len(free) or np.linalg.eigvalsh(curvature)[0] <= 0:
        return errors
    inverse = np.linalg.inv(curvature)
    spread = score[:, free].T @ score[:, free] * n_sessions / (n_sessions - 1)
    errors[free] = np.sqrt(np.diag(inverse @ spread @ inverse))
    return errors


def _result(free: _Fit, common: _Fit, n_choices: NDArray[np.int64]) -> xr.Dataset:
    rates, both = len(n_choices), (free, common)
    total = n_choices.sum()
    values: dict[str, Any] = {
        "learning_rate": ("condition", free.estimate[:rates]),
        "standard_error": ("condition", free.standard_error[:rates]),
        "on_bound": ("condition", free.on_bound[:rates]),
        "n_choices": ("condition", n_choices),
        "common_learning_rate": common.estimate[0],
        "common_standard_error": common.standard_error[0],
    }
    for place, name in enumerate(SHARED):
        values[name] = ("model", [fit.estimate[place - len(SHARED)] for fit in both])
    values |= {
        "log_likelihood": ("model", [fit.log_likelihood for fit in both]),
        "n_parameters": ("model", [fit.n_free for fit in both]),
        "bic": (
            "model",
            [fit.n_free * np.log(total) - 2 * fit.log_likelihood for fit in both],
        ),
        "n_starts_at_best": ("model", [fit.n_at_best for fit in both]),
        "n_starts": ("model", [fit.n_starts for fit in both]),
        "converged": ("model", [fit.converged for fit in both]),
    }
    return xr.Dataset(values, coords={"model": ["free", "common"]})
