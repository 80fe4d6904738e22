"""The mean and the number of the trials that fall into each cell of a design."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def cell_means(
    values: ArrayLike, cells: tuple[NDArray[np.integer], ...], shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Average values by cell.

    Parameters
    ----------
    values
        (trial,) numbers; those that are NaN are left out.
    cells
        One (trial,) array of indices for each dimension of the design.
    shape
        Size of each dimension of the design.

    Returns
    -------
    mean, n : numpy.ndarray
        Of the design's shape; the mean is NaN where n is 0.
    """
    numbers = np.asarray(values, dtype=float)
    known = ~np.isnan(numbers)
    flat = np.ravel_multi_index(cells, shape)[known]
    n = np.bincount(flat, minlength=math.prod(shape))
    total = np.bincount(flat, weights=numbers[known], minlength=math.prod(shape))
    mean = np.full(total.shape, np.nan)
    np.divide(total, n, out=mean, where=n > 0)
    return mean.reshape(shape), n.reshape(shape)
