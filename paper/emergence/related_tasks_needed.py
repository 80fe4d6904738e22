"""Figure E4: adaptation by the number of training problems, and on which side."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pfc_metarl.emergence.comparison import INTACT
from pfc_metarl.emergence.experiments.related_tasks_needed import (
    PROBLEMS,
    UNRELATED,
    limited_to,
)
from pfc_metarl.paper.emergence.captions import (
    DOTS,
    all_indices,
    measured,
    of_each_setting,
)
from pfc_metarl.paper.emergence.panels import (
    SPREAD,
    accuracy_axis,
    index_dots,
    legend_above,
    mark_levels,
    mean_accuracies,
    rows_of_panels,
    title,
)
from pfc_metarl.paper.style import BLUE, VERMILLION

LIMITED = {limited_to(n): float(np.log2(n)) for n in PROBLEMS}
"""Where conditions stand on a log axis of problems; all of them, after a gap."""

ALL_AT = max(LIMITED.values()) + 2.0
POSITIONS = {**LIMITED, INTACT: ALL_AT, UNRELATED: ALL_AT + 2.0}
TICKS = [*map(str, PROBLEMS), "∞", "unrelated"]
COLOURS = [BLUE] * (len(POSITIONS) - 1) + [VERMILLION]


def draw(results: xr.Dataset) -> Figure:
    """Draw the adaptation index by number of problems; P(correct) on either side.

    Parameters
    ----------
    results
        Of :class:`pfc_metarl.emergence.experiments.related_tasks_needed.
        RelatedTasksNeeded`.
    """
    return rows_of_panels(results, [_by_problems, _by_side], [1, 1])


def caption(results: xr.Dataset) -> list[str]:
    """Say what the figure shows; a paragraph for each setting, with its numbers."""
    shown = (
        "Adaptation index, on all problems, after training on so many of them (∞: a "
        "new one in every episode) or on trials that have nothing in common (left); "
        "P(correct) where the choice that each seed prefers is the good one, and where "
        "it is the other (right): a network that learned one answer and no learning is "
        "right on the side it was trained on and wrong on its mirror image. The better "
        "side is chosen by seed after the test, so that the two differ a little even "
        f"by chance. {DOTS}"
    )
    return [shown, *of_each_setting(results, _in_words)]


def _in_words(of: xr.Dataset) -> str:
    one = of.p_correct_by_side.sel(condition=limited_to(1))
    return (
        f"{all_indices(of)} After one problem P(correct) is "
        f"{measured(one.max('side'))} on the preferred side and "
        f"{measured(one.min('side'))} on the other."
    )


def _by_problems(axes: Axes, of: xr.Dataset) -> None:
    index_dots(axes, of, POSITIONS, COLOURS)
    _problems_axis(axes)
    axes.set_title(title(of))


def _by_side(axes: Axes, of: xr.Dataset) -> None:
    sides = of.p_correct_by_side
    accuracy_axis(axes, sides)
    mark_levels(axes, mean_accuracies(of))
    for values, colour, label in (
        (sides.max("side"), BLUE, "the one that the seed prefers"),
        (sides.min("side"), VERMILLION, "the other"),
    ):
        shown = {name: at for name, at in POSITIONS.items() if name in of.condition}
        for name, at in shown.items():
            seeds = values.sel(condition=name).values
            x = at + np.linspace(-SPREAD, SPREAD, seeds.size + 2)[1:-1]
            axes.plot(x, seeds, "o", ms=2.5, mew=0, color=colour, alpha=0.6)
        joined = [name for name in shown if name in LIMITED]
        means = values.sel(condition=joined).mean("seed")
        at_all = [shown[name] for name in joined]
        axes.plot(at_all, means, color=colour, label=label, zorder=1)
    _problems_axis(axes)
    legend_above(axes, "Where the good choice is", 2)


def _problems_axis(axes: Axes) -> None:
    axes.set_xticks(list(POSITIONS.values()), TICKS)
    axes.set(xlabel="Training problems (log scale)", xlim=(-0.7, ALL_AT + 2.7))
