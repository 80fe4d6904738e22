"""The look of all figures: size, colours, panel letters."""

from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import matplotlib as mpl
import seaborn as sns
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pfc_metarl.files import written_atomically

mpl.use("Agg")  # figures are files; no screen is needed

MM = 1 / 25.4
FULL_WIDTH = 183 * MM
"""Width of a two-column figure, in inches."""

# Okabe & Ito's palette, distinct to colour-blind readers.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)
GREY = "#7F7F7F"
COMMON, RARE = BLUE, VERMILLION


def use_style() -> None:
    """Set matplotlib to the figures' style."""
    with as_file(files("pfc_metarl.paper") / "figure.mplstyle") as style:
        mpl.style.use(style)


def letter(axes: Axes, text: str, x: float = -0.02, y: float = 1.06) -> None:
    """Put a panel letter (bold, 8 pt, lower case) at the axes' upper left."""
    axes.text(
        x,
        y,
        text,
        transform=axes.transAxes,
        fontsize=8,
        fontweight="bold",
        va="bottom",
        ha="right",
    )


def each_and_mean(
    axes: Axes,
    values: xr.DataArray,
    x: str,
    *,
    colour: str,
    line: str = "-",
    marker: str | None = None,
    label: str | None = None,
    weights: xr.DataArray | None = None,
) -> None:
    """Draw every seed or subject thin, and their mean.

    Parameters
    ----------
    axes
        Where to draw.
    values
        Two dimensions: ``x`` and the seeds or subjects.
    x
        Dimension with a coordinate, drawn along the x axis.
    colour, line, marker, label
        Of the mean.
    weights
        How much each value counts in the mean, by number of trials, say; None: alike.
    """
    (who,) = (str(dim) for dim in values.dims if dim != x)
    mean = values.mean(who) if weights is None else values.weighted(weights).mean(who)
    look: dict[str, Any] = {"x": x, "y": "y", "ax": axes, "color": colour, "ls": line}
    if values.sizes[who] > 1:
        frame = values.rename("y").to_dataframe().reset_index()
        sns.lineplot(frame, **look, units=who, estimator=None, lw=0.4, alpha=0.45)
    frame = mean.rename("y").to_dataframe().reset_index()
    sns.lineplot(frame, **look, marker=marker, ms=3, mew=0, label=label)
    _without_legend(axes)


def _without_legend(axes: Axes) -> None:
    legend = axes.get_legend()
    if legend is not None:
        legend.remove()


def bars_and_dots(
    axes: Axes, values: xr.DataArray, x: str, hue: str, palette: Mapping[str, str]
) -> None:
    """Draw the mean over seeds or subjects as bars, and each of them as a dot.

    Parameters
    ----------
    axes
        Where to draw.
    values
        Three dimensions: ``x``, ``hue`` and the seeds or subjects.
    x, hue
        Groups of bars, and bars within a group.
    palette
        Colour of each value of ``hue``.
    """
    frame = values.rename("y").to_dataframe().reset_index()
    common: dict[str, Any] = {
        "data": frame,
        "x": x,
        "y": "y",
        "hue": hue,
        "ax": axes,
    }
    sns.barplot(**common, palette=palette, errorbar=None, saturation=1, alpha=0.35)
    sns.stripplot(
        **common, palette=palette, dodge=True, jitter=False, size=2.5, legend=False
    )
    _without_legend(axes)


def save_figure(figure: Figure, stem: Path) -> None:
    """Write a figure as PDF and PNG, each atomically.

    No creation date goes into the files: the same numbers give the same bytes.
    """
    for suffix, metadata in ((".pdf", {"CreationDate": None}), (".png", {})):
        path = stem.with_suffix(suffix)
        with written_atomically(path) as partial:
            figure.savefig(partial, format=suffix[1:], metadata=metadata)
