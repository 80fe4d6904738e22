"""Figure E3: adaptation with a memory that is shaped by reward, and one that is not."""

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pfc_metarl.emergence.comparison import INTACT
from pfc_metarl.emergence.experiments.shaping_needed import RANDOM_MEMORY, UNTRAINED
from pfc_metarl.paper.emergence.captions import DOTS, all_indices, of_each_setting
from pfc_metarl.paper.emergence.panels import (
    curves,
    index_dots,
    rows_of_panels,
    title,
    wrapped,
)
from pfc_metarl.paper.style import BLUE, GREY, VERMILLION

COLOURS = {INTACT: BLUE, RANDOM_MEMORY: VERMILLION, UNTRAINED: GREY}


def draw(results: xr.Dataset) -> Figure:
    """Draw the adaptation index by condition, and P(correct) by trial.

    Parameters
    ----------
    results
        Of :class:`pfc_metarl.emergence.experiments.shaping_needed.ShapingNeeded`.
    """
    return rows_of_panels(results, [_by_condition, _curves], [1, 1])


def caption(results: xr.Dataset) -> list[str]:
    """Say what the figure shows; a paragraph for each setting, with its numbers."""
    shown = (
        "Adaptation index of the intact system, of one whose memory stays as it was "
        "drawn while the readout is trained, and of one that is not trained at all "
        f"(left), and P(correct) by trial, thin lines seeds (right). {DOTS}"
    )
    return [shown, *of_each_setting(results, all_indices)]


def _by_condition(axes: Axes, of: xr.Dataset) -> None:
    positions = {name: float(place) for place, name in enumerate(COLOURS)}
    index_dots(axes, of, positions, list(COLOURS.values()))
    axes.set_xticks(range(len(COLOURS)), [wrapped(name) for name in COLOURS])
    axes.set(title=title(of), xlim=(-0.6, len(COLOURS) - 0.4))


def _curves(axes: Axes, of: xr.Dataset) -> None:
    looks = {name: (name, colour) for name, colour in COLOURS.items()}
    curves(axes, of, looks, "Within the episode")
