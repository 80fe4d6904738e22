"""What a network's state tells about a statistic, and where in the state it is.

That a statistic can be decoded shows that it is there, not that the network uses it:
for that, take away the subspace that carries it and see what becomes of behaviour.
"""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from pfc_metarl.analysis.episode_folds import episode_folds
from pfc_metarl.analysis.state_maps import PENALTY, fit_ridge
from pfc_metarl.errors import InputError

Floats = NDArray[np.float64]

NO_SHARE = 1e-9  # of the largest direction: a smaller one is rounding


def state_decoding(
    state: ArrayLike,
    statistics: Mapping[str, ArrayLike],
    *,
    penalty: float = PENALTY,
    n_folds: int = 5,
) -> xr.Dataset:
    """Decode statistics from states by ridge regression, cross-validated by episode.

    Parameters
    ----------
    state
        (seed, episode, step, unit).
    statistics
        By name, (seed, episode, step), such as some of :func:`bandit_statistics`, or
        the posterior probability of a block. What grows with the trial number, as
        counts do, a clock decodes in part; ``lead`` and ``log_odds`` it does not.
    penalty
        Of the ridge; see :func:`fit_ridge`.
    n_folds
        In how many parts to hold out episodes.

    Returns
    -------
    xarray.Dataset
        (seed, statistic) ``r2`` = 1 - (squared error) / (squared distance from the mean
        of the episodes fitted on), both summed over all held-out episodes: 1 is
        perfect, 0 no better than the mean, and less than 0 worse. NaN for a statistic
        that does not vary.

    Raises
    ------
    InputError
        When a shape is wrong or a value is not finite.

    References
    ----------
    The sufficient statistics in the state: Mikulik et al. 2020, arXiv 2010.11223.
    """
    states, names, targets = _checked(state, statistics)
    error = np.zeros((len(states), len(names)))
    total = np.zeros_like(error)
    for seed, (own, wanted) in enumerate(zip(states, targets, strict=True)):
        for fit, held_out in episode_folds(states.shape[1], n_folds):
            decode = fit_ridge(_points(own[fit]), _points(wanted[fit]), penalty)
            truth = _points(wanted[held_out])
            mean = _points(wanted[fit]).mean(0)
            error[seed] += ((truth - decode(_points(own[held_out]))) ** 2).sum(0)
            total[seed] += ((truth - mean) ** 2).sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(total > 0, 1 - error / total, np.nan)
    meaning = {"long_name": "variance explained, held-out episodes", "units": "1"}
    return xr.Dataset(
        {"r2": (("seed", "statistic"), r2, meaning)}, coords={"statistic": names}
    )


def carrying_subspace(
    state: ArrayLike, statistics: Mapping[str, ArrayLike]
) -> xr.Dataset:
    """Find the subspace of the state in which statistics can be read out linearly.

    It is spanned by the covariances of the units with each statistic. In what is left
    when it is projected out, :func:`without_subspace`, no unit is correlated with any
    of the statistics, and so no linear read-out tells more than the mean. (Decoding
    weights would not do: what is read along one direction is often written along
    others, too.)

    Parameters
    ----------
    state
        (seed, episode, step, unit).
    statistics
        By name, (seed, episode, step); none a linear combination of others.

    Returns
    -------
    xarray.Dataset
        ``basis`` (seed, unit, direction), orthonormal, one direction per statistic;
        ``mean`` (seed, unit), that of the state; ``variance_share`` (seed,), the part
        of the state's variance in the subspace, as a yardstick for a random one.

    Raises
    ------
    InputError
        When a shape is wrong, a value is not finite, or the covariances span fewer
        dimensions than there are statistics.

    References
    ----------
    Belrose et al. 2023, arXiv 2306.03819: no linear read-out is left exactly when the
    covariances are 0.
    """
    states, names, targets = _checked(state, statistics)
    points = states.reshape(len(states), -1, states.shape[-1])
    wanted = targets.reshape(len(targets), -1, len(names))
    mean = points.mean(1)
    centred = points - mean[:, None]
    spread = wanted.std(1, keepdims=True)
    deviations = (wanted - wanted.mean(1, keepdims=True)) / np.where(spread, spread, 1)
    covariance = centred.swapaxes(1, 2) @ deviations / points.shape[1]
    basis, size, _ = np.linalg.svd(covariance, full_matrices=False)
    if basis.shape[-1] < len(names) or (size[:, -1] <= NO_SHARE * size[:, 0]).any():
        raise InputError(
            f"the covariances with {', '.join(names)} span fewer dimensions than there "
            "are statistics; leave out those that follow from others, or do not vary"
        )
    inside = ((centred @ basis) ** 2).sum((1, 2)) / (centred**2).sum((1, 2))
    return xr.Dataset(
        {
            "basis": (("seed", "unit", "direction"), basis, {"units": "1"}),
            "mean": (("seed", "unit"), mean, {"units": "1"}),
            "variance_share": ("seed", inside, {"units": "1"}),
        }
    )


def without_subspace(state: ArrayLike, subspace: xr.Dataset) -> Floats:
    """Return states with a subspace projected out: along it they are at their mean.

    With the orthonormal basis B, x becomes x - B B' (x - mean).

    Parameters
    ----------
    state
        (seed, episode, step, unit).
    subspace
        From :func:`carrying_subspace`.

    Returns
    -------
    numpy.ndarray
        (seed, episode, step, unit).

    Raises
    ------
    InputError
        When the seeds or units are not those of the subspace.
    """
    states, basis = np.asarray(state, dtype=float), subspace.basis.values
    if states.ndim != 4 or states.shape[::3] != basis.shape[:2]:
        raise InputError(
            f"state has shape {states.shape} and the basis {basis.shape}; expected "
            "(seed, episode, step, unit) and the same seeds and units"
        )
    away = states - subspace["mean"].values[:, None, None]
    projection = (basis @ basis.swapaxes(1, 2))[:, None]
    left: Floats = states - away @ projection
    return left


def _checked(
    state: ArrayLike, statistics: Mapping[str, ArrayLike]
) -> tuple[Floats, list[str], Floats]:
    """Return states, names, and statistics (seed, episode, step, statistic)."""
    states = np.asarray(state, dtype=float)
    given = {str(name): np.asarray(x, dtype=float) for name, x in statistics.items()}
    if not given:
        raise InputError("no statistics; expected at least one")
    for name, values in given.items():
        if states.ndim != 4 or values.shape != states.shape[:3]:
            raise InputError(
                f"state and '{name}' have shapes {states.shape} and {values.shape}; "
                "expected (seed, episode, step, unit) and (seed, episode, step)"
            )
    targets = np.stack(list(given.values()), axis=-1)
    if not (np.isfinite(states).all() and np.isfinite(targets).all()):
        raise InputError("a state or statistic is not finite; expected numbers only")
    return states, list(given), targets


def _points(values: Floats) -> Floats:
    return values.reshape(-1, values.shape[-1])
