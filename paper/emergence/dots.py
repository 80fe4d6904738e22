"""Every seed as a dot, beside the mean and its interval."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from pfc_metarl.emergence.intervals import mean

WIDTH = 0.3
"""Half the width of the bar of the mean, of the distance between places."""


def dots(
    axes: Axes, place: float, values: xr.DataArray, colour: str, label: str = ""
) -> None:
    """Draw the seeds of a condition, their mean and its 95 % interval.

    Parameters
    ----------
    axes
        Where to draw.
    place
        On the x axis.
    values
        (seed,).
    colour, label
        Of the dots.
    """
    found = mean(values.values)
    x = spread(place, values.size)
    axes.plot(x, values, "o", ms=2.5, mew=0, color=colour, label=label, clip_on=False)
    bar = (place - WIDTH, place + WIDTH)
    axes.plot(bar, (found.estimate,) * 2, color=colour, lw=1.4)
    axes.fill_between(bar, found.low, found.high, color=colour, alpha=0.2, lw=0)


def spread(place: float, n: int) -> NDArray[np.float64]:
    """Return where the dots of n seeds are around a place, (seed,)."""
    return np.linspace(place - WIDTH, place + WIDTH, n + 2, dtype=float)[1:-1]


def tick(axes: Axes, place: float, value: float, colour: str, label: str = "") -> None:
    """Mark what a player without a network reaches at a place, dashed."""
    bar = (place - 1.3 * WIDTH, place + 1.3 * WIDTH)
    axes.plot(bar, (value, value), color=colour, ls="--", lw=0.9, label=label)
