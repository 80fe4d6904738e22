"""Figure E5: adaptation with inputs masked, and with the reward told late."""

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pfc_metarl.emergence.comparison import INTACT
from pfc_metarl.emergence.experiments.inputs_needed import (
    DELAYS,
    NEITHER,
    NO_ACTION,
    NO_REWARD,
    delayed,
)
from pfc_metarl.paper.emergence.captions import DOTS, all_indices, of_each_setting
from pfc_metarl.paper.emergence.panels import (
    index_dots,
    rows_of_panels,
    title,
    wrapped,
)
from pfc_metarl.paper.style import BLUE, GREEN, GREY, PURPLE, VERMILLION

MASKED = {INTACT: BLUE, NO_REWARD: VERMILLION, NO_ACTION: PURPLE, NEITHER: GREY}
LATE = {INTACT: 0, **{delayed(trials): trials for trials in DELAYS}}


def draw(results: xr.Dataset) -> Figure:
    """Draw the adaptation index by masked input and by delay of the reward input.

    Parameters
    ----------
    results
        Of :class:`pfc_metarl.emergence.experiments.inputs_needed.InputsNeeded`.
    """
    return rows_of_panels(results, [_by_mask, _by_delay], [1, 1])


def caption(results: xr.Dataset) -> list[str]:
    """Say what the figure shows; a paragraph for each setting, with its numbers."""
    shown = (
        "Adaptation index when the network is not told its last reward, its last "
        "action, or either (left), and when it is told its reward so many trials late "
        "(right). The slow learning of the weights gets every reward in time all the "
        f"same. {DOTS}"
    )
    return [shown, *of_each_setting(results, all_indices)]


def _by_mask(axes: Axes, of: xr.Dataset) -> None:
    positions = {name: float(place) for place, name in enumerate(MASKED)}
    index_dots(axes, of, positions, list(MASKED.values()))
    axes.set_xticks(range(len(MASKED)), [wrapped(name, 12) for name in MASKED])
    axes.set(title=title(of), xlim=(-0.6, len(MASKED) - 0.4))


def _by_delay(axes: Axes, of: xr.Dataset) -> None:
    positions = {name: float(place) for place, name in enumerate(LATE)}
    index_dots(axes, of, positions, [BLUE] + [GREEN] * len(DELAYS))
    axes.set_xticks(range(len(LATE)), [str(trials) for trials in LATE.values()])
    axes.set(xlabel="Delay of the reward input (trials)", xlim=(-0.6, len(LATE) - 0.4))
    axes.set_title("Reward told late")
