"""What the outcome of one target does to the value of the other, after a reversal.

Two targets, one of which pays; now and then they exchange their value. The first trial
of a new block shows one target, whose outcome gives the exchange away. If the value of
the other target turns round as well, before it is seen again, it was inferred.
"""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pfc_metarl.analysis.cell_means import cell_means
from pfc_metarl.errors import DataError

WHEN = ("before", "inferred", "experienced")
PAYS = ("pays", "does not pay")

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def value_inference(
    target: NDArray[np.int64],
    paying_side: NDArray[np.int64],
    valid: Flags,
    measures: Mapping[str, Floats],
) -> xr.Dataset:
    """Average measures around reversals, and say how far a value was inferred.

    A reversal counts if both targets were seen in the block that ends with it, and its
    first trial n and the next, n + 1, are valid trials of the new block. With the
    targets called by what they do in the new block, the contrast of a measure is its
    mean when the target pays minus its mean when it does not:

    - ``before``: on trial n, where nothing tells of the reversal yet;
    - ``inferred``: on trial n + 1, where it shows the target that trial n did not;
    - ``experienced``: on trial n + 1, where it shows the target of trial n again.

    The index is the inferred change over the experienced change::

        index = (inferred - before) / (experienced - before)

    For the value of a target, and the RPE on its outcome, it is 1 with full inference
    and 0 without any. For the RPE on the appearance of a target it is 1 in both cases,
    since that RPE is the value less the mean of both targets' values, and the mean
    changes with either of them: there the sign of ``inferred`` tells, which is 0
    without inference.

    Parameters
    ----------
    target
        (trial, subject, session) side that is shown, 0 or 1.
    paying_side
        (trial, subject, session) side whose target pays.
    valid
        (trial, subject, session) whether the target was responded to rightly.
    measures
        By name, (trial, subject, session), such as values or RPEs; NaN is left out.

    Returns
    -------
    xarray.Dataset
        ``mean`` (measure, subject, when, pays) and ``n``, the trials behind it;
        ``contrast`` (measure, subject, when) and its standard error ``sem``; ``index``
        (measure, subject). NaN where there are no trials.

    Raises
    ------
    DataError
        When the shapes differ.

    References
    ----------
    Bromberg-Martin et al. 2010 J Neurophysiol 104:1068; Wang et al. 2018 Nat Neurosci
    21:860, Figure 4. The index is ours.
    """
    given = {"paying_side": paying_side, "valid": valid, **measures}
    for name, values in given.items():
        if np.shape(values) != np.shape(target):
            raise DataError(
                f"{name} has shape {np.shape(values)}; expected that of target, "
                f"{np.shape(target)}"
            )
    first = _told_reversals(target, paying_side, valid)
    after = np.zeros_like(first)
    after[1:] = first[:-1]
    again = np.zeros_like(first)
    again[1:] = target[1:] == target[:-1]
    kinds = np.stack([first, after & ~again, after & again])
    when, trial, subject, session = np.nonzero(kinds)
    pays = np.where(target == paying_side, 0, 1)[trial, subject, session]
    cells, shape = (subject, when, pays), (target.shape[1], len(WHEN), len(PAYS))
    parts = []
    for values in measures.values():
        chosen = np.asarray(values, dtype=float)[trial, subject, session]
        average, n = cell_means(chosen, cells, shape)
        variance, _ = cell_means((chosen - average[cells]) ** 2, cells, shape)
        parts.append((average, n, variance / np.maximum(n - 1, 1)))
    average, n, error = (np.stack(part) for part in zip(*parts, strict=True))
    return _dataset(list(measures), average, n, error)


def _told_reversals(
    target: NDArray[np.int64], paying_side: NDArray[np.int64], valid: Flags
) -> Flags:
    """Mark the first trials of blocks that count; see :func:`value_inference`."""
    counts = np.zeros(target.shape, dtype=bool)
    seen = np.zeros((2, *target.shape[1:]), dtype=bool)  # in the block so far, by side
    for trial in range(len(target) - 1):
        if trial:
            reversal = paying_side[trial] != paying_side[trial - 1]
            stays = paying_side[trial + 1] == paying_side[trial]
            told = valid[trial] & valid[trial + 1]
            counts[trial] = reversal & stays & told & seen.all(0)
            seen &= ~reversal
        for side in (0, 1):
            seen[side] |= valid[trial] & (target[trial] == side)
    return counts


def _dataset(
    names: list[str], average: Floats, n: NDArray[np.int64], error: Floats
) -> xr.Dataset:
    contrast = average[..., 0] - average[..., 1]
    before, inferred, experienced = np.moveaxis(contrast, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        index = (inferred - before) / (experienced - before)
    dims = ("measure", "subject", "when")
    return xr.Dataset(
        {
            "mean": ((*dims, "pays"), average),
            "n": ((*dims, "pays"), n, {"long_name": "trials"}),
            "contrast": (dims, contrast),
            "sem": (dims, np.sqrt(error.sum(-1))),
            "index": (dims[:2], index, {"units": "1"}),
        },
        coords={"measure": names, "when": list(WHEN), "pays": list(PAYS)},
    )
