"""What a fitted model holds in mind, and how well it tells each choice."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pfc_metarl.fits.each_subject import (
    Parameters,
    along_trials,
    each_subject,
    values_of,
)
from pfc_metarl.fits.model import Model, check_values
from pfc_metarl.fits.two_step import model_named


def predict(
    model: str | Model, table: xr.Dataset, parameters: Parameters
) -> xr.Dataset:
    """Run a model through the trials with given parameters.

    Parameters
    ----------
    model
        A model, or its name in :data:`pfc_metarl.fits.MODELS`.
    table
        Trial table.
    parameters
        A result of :func:`pfc_metarl.fits.fit` (each subject has its own), or a mapping
        from parameter name to value (the same for all).

    Returns
    -------
    xarray.Dataset
        Along ``trial``, in the order of the table: the model's latents before each
        choice (``v_mb``, ``v_mf``, ``logit``; NaN on invalid trials), ``p_choice`` =
        P(choice 1), and ``log_likelihood`` of the choice made, NaN where not scored
        (forced or invalid).

    Raises
    ------
    InputError
        When there is no such model, or a parameter is missing or out of bounds.
    DataError
        When the table lacks what the model needs.
    """
    model = model_named(model) if isinstance(model, str) else model
    return along_trials(
        table,
        [
            _columns(model, one, values_of(parameters, name))
            for name, one in each_subject(table)
        ],
    )


def _columns(
    model: Model, table: xr.Dataset, values: dict[str, float]
) -> dict[str, NDArray[np.float64]]:
    check_values(model, values)
    trials = model.arrange(table)
    latents = model.latents(trials, values)
    log_likelihood = model.log_likelihood(trials, values)
    columns = {
        **latents,
        "p_choice": np.exp(-np.logaddexp(0, -latents["logit"])),
        "log_likelihood": np.where(trials.scored, log_likelihood, np.nan),
    }
    return {name: trials.along_trial(values) for name, values in columns.items()}
