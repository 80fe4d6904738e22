"""How measures of seeds are put into words on the card, and into a verdict."""

import numpy as np
from numpy.typing import ArrayLike

from pfc_metarl.emergence.experiment import Verdict
from pfc_metarl.emergence.intervals import mean


def estimated(values: ArrayLike, digits: int = 2) -> str:
    """Return the mean over seeds with its 95 % interval, such as 0.50 [0.41, 0.59]."""
    rounded = [round(number, digits) + 0.0 for number in mean(values)]  # no -0
    estimate, low, high = (f"{number:.{digits}f}" for number in rounded)
    return f"{estimate} [{low}, {high}]"


def estimated_and_range(values: ArrayLike, digits: int = 2) -> str:
    """Return the mean with its interval, and the lowest and highest seed."""
    array = np.asarray(values, dtype=float)
    low, high = (round(number, digits) + 0.0 for number in (array.min(), array.max()))
    return f"{estimated(array, digits)}, seeds {low:.{digits}f} to {high:.{digits}f}"


def of_every_seed(passed: ArrayLike) -> tuple[Verdict, str]:
    """Return the verdict on a mark for every seed, and on what it depends.

    Parameters
    ----------
    passed
        (seed,) bool.
    """
    array = np.asarray(passed, dtype=bool)
    if array.all():
        return "shown", ""
    if not array.any():
        return "not shown", ""
    return "depends", f"on the seed: {int(array.sum())} of {array.size} pass"
