"""Figure E2: adaptation by how far the memory reaches."""

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pfc_metarl.emergence.comparison import INTACT
from pfc_metarl.emergence.experiments.memory_needed import HORIZONS, NO_MEMORY, reach
from pfc_metarl.paper.emergence.captions import DOTS, all_indices, of_each_setting
from pfc_metarl.paper.emergence.panels import (
    curves,
    index_dots,
    rows_of_panels,
    title,
)
from pfc_metarl.paper.style import BLUE, GREY, ORANGE, PURPLE, SKY, VERMILLION

REACHES = {NO_MEMORY: "0", **{reach(n): str(n) for n in HORIZONS}, INTACT: "whole"}
"""Conditions in the order of the axis, and their ticks."""

COLOURS = (GREY, ORANGE, VERMILLION, PURPLE, SKY, BLUE)


def draw(results: xr.Dataset) -> Figure:
    """Draw the adaptation index by memory horizon, and P(correct) by trial.

    Parameters
    ----------
    results
        Of :class:`pfc_metarl.emergence.experiments.memory_needed.MemoryNeeded`.
    """
    return rows_of_panels(results, [_by_reach, _curves], [1, 1])


def caption(results: xr.Dataset) -> list[str]:
    """Say what the figure shows; a paragraph for each setting, with its numbers."""
    shown = (
        "Adaptation index by the trials after which the memory is put back into its "
        "initial state, in training and test (0: no memory; whole: never) (left), and "
        "P(correct) by trial, thin lines seeds (right). A network without memory still "
        f"sees its last action and reward. {DOTS}"
    )
    return [shown, *of_each_setting(results, all_indices)]


def _by_reach(axes: Axes, of: xr.Dataset) -> None:
    positions = {name: float(place) for place, name in enumerate(REACHES)}
    index_dots(axes, of, positions, COLOURS)
    axes.set_xticks(range(len(REACHES)), list(REACHES.values()))
    axes.set(xlabel="Memory reset every so many trials", title=title(of))


def _curves(axes: Axes, of: xr.Dataset) -> None:
    named = zip(REACHES.values(), COLOURS, strict=True)
    looks = dict(zip(REACHES, named, strict=True))
    curves(axes, of, looks, "Memory reset every so many trials")
