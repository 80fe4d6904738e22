"""Models side by side on the same subjects."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from pfc_metarl.errors import InputError


def compare(fits: Sequence[xr.Dataset]) -> xr.Dataset:
    """Sum the fits of several models over subjects.

    Each subject counts with its own BIC, k ln n - 2 LL over its n scored choices, and
    the sums are compared: a fixed-effects comparison of groups.

    Parameters
    ----------
    fits
        Results of :func:`pfc_metarl.fits.fit` of different models on one table.

    Returns
    -------
    xarray.Dataset
        Along ``model``: ``log_likelihood``, ``n_parameters`` (per subject), ``aic``,
        ``bic`` (sums over subjects), ``delta_bic`` (above the best model, 0 for the
        best) and ``n_best`` (subjects with their lowest BIC there).

    Raises
    ------
    InputError
        When fewer than two fits are given, or they are of different choices.
    """
    if len(fits) < 2:
        raise InputError(f"{len(fits)} fit to compare; expected two or more")
    for other in fits[1:]:
        if not other.n_choices.equals(fits[0].n_choices):
            raise InputError(
                f"the {other.attrs['model']} and {fits[0].attrs['model']} fits are of "
                "different subjects or choices; fit all models to one table"
            )
    names = [fit.attrs["model"] for fit in fits]
    keep = ["log_likelihood", "aic", "bic"]
    sums = xr.concat([fit[keep].sum("subject") for fit in fits], dim="model")
    best = np.argmin([fit.bic.values for fit in fits], axis=0)
    return sums.assign(
        n_parameters=("model", [fit.sizes["parameter"] for fit in fits]),
        delta_bic=sums.bic - sums.bic.min(),
        n_best=("model", np.bincount(best, minlength=len(fits))),
    ).assign_coords(model=names)
