"""Whether a network's reward prediction errors are those of a model-based learner.

The two comparators' errors resemble each other, so that a marginal r2 says little; the
semipartial r2 is the variance that one comparator explains and the other does not.
"""

from collections.abc import Mapping
from itertools import product

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from pfc_metarl.analysis.free_choices import require_columns
from pfc_metarl.errors import DataError

COMPARATORS = ("model_based", "model_free")
TRIAL_SETS = ("all", "rare")
POOLED = "pooled"
MIN_POINTS = 4  # three would always be explained, by two comparators and an intercept

Floats = NDArray[np.float64]


def rpe_regression(
    table: xr.Dataset,
    network: Mapping[str, ArrayLike],
    model_based: Mapping[str, ArrayLike],
    model_free: Mapping[str, ArrayLike],
) -> xr.Dataset:
    """Regress a network's RPE on those of a model-based and a model-free comparator.

    Ordinary least squares with an intercept, per subject, over valid trials (forced
    ones too) on which all three errors are known.

    Parameters
    ----------
    table
        The trial table of the recording, with ``transition_common``.
    network, model_based, model_free
        RPEs in units of reward by epoch, such as ``stage2`` and ``reward``; each of
        shape (trial,), in the table's order. The same epochs in all three.

    Returns
    -------
    xarray.Dataset
        Dimensions (subject, trial_set, epoch): ``r2_both``, of the two comparators
        together, and ``n``, the points behind it; with a further dimension comparator:
        ``r2`` (marginal) and ``semipartial_r2`` = r2 of both - r2 of the other alone.
        Trial sets are ``all`` and ``rare`` (rare transitions); epochs those given, then
        ``pooled``: the points of all epochs in one regression. NaN with fewer than four
        points or an RPE that does not vary.

    Raises
    ------
    DataError
        When a column is missing, the epochs differ or an RPE is not of shape (trial,).

    References
    ----------
    Wang et al. 2018 Nat Neurosci 21:860, Figure 5, which gives the marginal r2.
    """
    require_columns(table, "the RPE regression", "transition_common")
    given = (network, model_based, model_free)
    errors = {epoch: _errors(epoch, given, table) for epoch in _epochs(given)}
    valid = table.valid.values == 1
    rare = table.transition_common.values == 0
    sets = {"all": valid, "rare": valid & rare}
    shape = (table.subject_id.size, len(TRIAL_SETS), len(errors) + 1)
    r2, both, n = np.empty((*shape, 2)), np.empty(shape), np.empty(shape, dtype=int)
    for cell in product(*map(range, shape)):
        subject, trial_set, epoch = cell
        rows = sets[TRIAL_SETS[trial_set]] & (table.subject.values == subject)
        chosen = list(errors.values())[epoch : epoch + 1] or list(errors.values())
        points = np.concatenate([error[rows] for error in chosen])
        points = points[np.isfinite(points).all(axis=1)]
        n[cell], both[cell] = len(points), explained_variance(points)
        r2[cell] = [explained_variance(points[:, [0, column]]) for column in (1, 2)]
    return _dataset(r2, both, n, table.subject_id.values, [*errors, POOLED])


def explained_variance(points: Floats) -> float:
    """Return the r2 of the first column regressed on the others and an intercept.

    Parameters
    ----------
    points
        (point, 1 + regressors); regressors may be constant or dependent.

    Returns
    -------
    float
        From 0 to 1; NaN with fewer than four points or a constant first column.
    """
    response, regressors = points[:, 0], points[:, 1:]
    if len(points) < MIN_POINTS or np.ptp(response) == 0:
        return np.nan
    design = np.column_stack([np.ones(len(points)), regressors])
    residual = response - design @ np.linalg.lstsq(design, response)[0]
    return float(1 - residual @ residual / np.sum((response - response.mean()) ** 2))


def _epochs(given: tuple[Mapping[str, ArrayLike], ...]) -> list[str]:
    epochs = list(given[0])
    if not epochs or POOLED in epochs or any(set(x) != set(epochs) for x in given):
        raise DataError(
            f"the RPEs have the epochs {', '.join(map(str, map(list, given)))}; "
            f"expected the same in all three, at least one, none called '{POOLED}'"
        )
    return epochs


def _errors(
    epoch: str, given: tuple[Mapping[str, ArrayLike], ...], table: xr.Dataset
) -> Floats:
    """Return (trial, 3): the RPEs of the network and of both comparators."""
    columns = [np.asarray(rpe[epoch], dtype=float) for rpe in given]
    for column, name in zip(columns, ("network", *COMPARATORS), strict=True):
        if column.shape != table.trial.shape:
            raise DataError(
                f"the RPE of {name} at '{epoch}' has shape {column.shape}; "
                f"expected one value for each trial, {table.trial.shape}"
            )
    return np.stack(columns, axis=1)


def _dataset(
    r2: Floats,
    both: Floats,
    n: NDArray[np.int64],
    subject_id: NDArray[np.str_],
    epochs: list[str],
) -> xr.Dataset:
    dims = ("subject", "trial_set", "epoch")
    semipartial = np.maximum(both[..., None] - r2[..., ::-1], 0)  # rounding, below 0
    variance = {"units": "1"}
    return xr.Dataset(
        {
            "r2": ((*dims, "comparator"), r2, variance),
            "semipartial_r2": ((*dims, "comparator"), semipartial, variance),
            "r2_both": (dims, both, variance),
            "n": (dims, n, {"long_name": "points in the regression"}),
        },
        coords={
            "subject": subject_id,
            "trial_set": list(TRIAL_SETS),
            "epoch": epochs,
            "comparator": list(COMPARATORS),
        },
    )
