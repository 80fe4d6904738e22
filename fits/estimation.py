"""Maximum likelihood: a model fitted to each subject of a trial table."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import Bounds, OptimizeResult, minimize

from pfc_metarl.errors import InputError
from pfc_metarl.fits.each_subject import each_subject
from pfc_metarl.fits.model import Model, Parameter, Trials
from pfc_metarl.fits.two_step import model_named

SAME_OPTIMUM = 0.1  # log-likelihood units within which two restarts agree
ON_BOUND = 1e-3  # of the range, on the scale of estimation


def fit(
    model: str | Model, table: xr.Dataset, *, restarts: int = 10, seed: int = 0
) -> xr.Dataset:
    """Fit a model to every subject by maximum likelihood.

    Minimises -mean log P(c_t) over free, valid choices by L-BFGS-B within the bounds of
    the parameters, from several random starts, which are the same for every subject.

    Parameters
    ----------
    model
        A model, or its name in :data:`pfc_metarl.fits.MODELS`.
    table
        Trial table of agents, animals or people.
    restarts
        How many starts.
    seed
        Of the starts.

    Returns
    -------
    xarray.Dataset
        Dims ``subject``, ``parameter`` and ``restart``. ``estimate`` and ``on_bound``
        (subject, parameter): an estimate on its bound is a limit, not a value.
        Per subject ``log_likelihood``, ``n_choices`` (scored), ``n_parameters``,
        ``aic`` (2k - 2 LL), ``bic`` (k ln n - 2 LL), ``restarts_at_best`` (within 0.1
        of the best) and ``converged``. ``restart_log_likelihood`` (subject, restart)
        shows the spread: a lone best restart calls for more of them.

    Raises
    ------
    InputError
        When there is no such model, or ``restarts`` is below 1.
    DataError
        When the table lacks a column or values the model needs, or a subject has no
        choice to score.

    Examples
    --------
    >>> fits = [fit(name, table) for name in MODELS]  # doctest: +SKIP
    """
    if restarts < 1:
        raise InputError(f"restarts is {restarts}; expected 1 or more")
    model = model_named(model) if isinstance(model, str) else model
    starts = _starts(model.parameters, restarts, np.random.default_rng(seed))
    fits = [_fit_subject(model, one, starts) for _, one in each_subject(table)]
    result = xr.concat(fits, dim="subject").assign_coords(
        subject=table.subject_id.values.astype(str)
    )
    result.attrs = {"model": model.name, "seed": seed, "restarts": restarts}
    return _described(result, model)


def _starts(
    parameters: tuple[Parameter, ...], restarts: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Draw (restart, parameter) starts on the scale of estimation."""
    low, high = np.array([[p.to_scale(x) for x in p.starts] for p in parameters]).T
    return generator.uniform(low, high, size=(restarts, len(parameters)))


def _fit_subject(
    model: Model, table: xr.Dataset, starts: NDArray[np.float64]
) -> xr.Dataset:
    trials: Trials = model.arrange(table)
    low, high = np.array(
        [[p.to_scale(x) for x in p.bounds] for p in model.parameters]
    ).T

    def loss(place: NDArray[np.float64]) -> float:
        log_likelihood = model.log_likelihood(trials, _values(model, place))
        return -float(log_likelihood[trials.scored].mean())

    options = {"ftol": 1e-11, "gtol": 1e-6}
    runs = [
        minimize(
            loss, start, method="L-BFGS-B", bounds=Bounds(low, high), options=options
        )
        for start in starts
    ]
    near = ON_BOUND * (high - low)
    best = min(runs, key=lambda run: run.fun)
    on_bound = (best.x - low < near) | (high - best.x < near)
    return _result(model, runs, best, int(trials.scored.sum()), on_bound)


def _values(model: Model, place: NDArray[np.float64]) -> dict[str, float]:
    return {
        parameter.name: parameter.from_scale(value)
        for parameter, value in zip(model.parameters, place, strict=True)
    }


def _result(
    model: Model,
    runs: list[OptimizeResult],
    best: OptimizeResult,
    n_choices: int,
    on_bound: NDArray[np.bool_],
) -> xr.Dataset:
    reached = np.array([-run.fun * n_choices for run in runs])
    log_likelihood, k = reached.max(), len(model.parameters)
    values: dict[str, Any] = {
        "estimate": ("parameter", list(_values(model, best.x).values())),
        "on_bound": ("parameter", on_bound),
        "log_likelihood": log_likelihood,
        "n_choices": n_choices,
        "n_parameters": k,
        "aic": 2 * k - 2 * log_likelihood,
        "bic": k * np.log(n_choices) - 2 * log_likelihood,
        "restarts_at_best": int((reached > log_likelihood - SAME_OPTIMUM).sum()),
        "converged": bool(best.success),
        "restart_log_likelihood": ("restart", reached),
    }
    return xr.Dataset(values)


def _described(result: xr.Dataset, model: Model) -> xr.Dataset:
    parameters = model.parameters
    return result.assign_coords(
        parameter=[p.name for p in parameters],
        description=("parameter", [p.description for p in parameters]),
        low=("parameter", [p.bounds[0] for p in parameters]),
        high=("parameter", [p.bounds[1] for p in parameters]),
    )
