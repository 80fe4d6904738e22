"""The figure of the three conditions: each present or removed, eight systems."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pfc_metarl.emergence.experiments.three_conditions import ALL, called
from pfc_metarl.paper.emergence.captions import (
    DOTS,
    emerged,
    measured,
    number,
    of_each_setting,
    share_emerged,
)
from pfc_metarl.paper.emergence.panels import index_dots, of_setting, title
from pfc_metarl.paper.style import BLUE, FULL_WIDTH, GREY, MM, letter, use_style

CONDITIONS = ("memory", "shaped by reward", "related tasks")

SYSTEMS = {
    called(*present): present
    for present in sorted(product((True, False), repeat=3), key=sum, reverse=True)
}
"""Whether each condition is present, by the system's name; all three first."""


def draw(results: xr.Dataset) -> Figure:
    """Draw the share of seeds that emerge and the adaptation index of the eight.

    Parameters
    ----------
    results
        Of :class:`pfc_metarl.emergence.experiments.three_conditions.ThreeConditions`.
    """
    use_style()
    settings = results.setting.values
    figure = plt.figure(figsize=(FULL_WIDTH, 110 * MM), layout="constrained")
    grid = figure.subplots(
        3, len(settings), sharex=True, squeeze=False, height_ratios=[1, 1.4, 0.55]
    )
    for n, (setting, column) in enumerate(zip(settings, grid.T, strict=True)):
        of = of_setting(results, setting)
        _share(column[0], of)
        _index(column[1], of)
        _matrix(column[2], CONDITIONS if n == 0 else ("", "", ""))
        column[0].set_title(title(of))
        for axes, text in zip(column, "abcdef"[2 * n : 2 * n + 2], strict=False):
            letter(axes, text, x=-0.06)
    return figure


def caption(results: xr.Dataset) -> list[str]:
    """Say what the figure shows; a paragraph for each setting, with its numbers."""
    shown = (
        "Eight systems, same seeds: each of the three conditions is there (filled "
        "circle, below) or removed (open). Above, the share of seeds that meet the "
        "criterion, with Wilson's 95 % interval; in the middle, the adaptation index. "
        f"{DOTS}"
    )
    return [shown, *of_each_setting(results, _in_words)]


def _in_words(of: xr.Dataset) -> str:
    others = of.sel(condition=[name for name in of.condition.values if name != ALL])
    means = others.adaptation_index.mean("seed")
    text = (
        f"with all three, a learner emerges in {emerged(of, ALL)}, adaptation index "
        f"{measured(of.adaptation_index.sel(condition=ALL))}"
    )
    if means.notnull().any():
        best = str(means.idxmax("condition").values)
        index = measured(of.adaptation_index.sel(condition=best))
        text += (
            f"; with one or more removed, in {int((others.emerged > 0).sum())} of "
            f"{others.emerged.size} networks; nearest comes '{best}', {index}"
        )
    return f"{text}; one trial's memory has {number(float(of.one_trial_index))}."


def _colours() -> list[str]:
    return [BLUE if all(present) else GREY for present in SYSTEMS.values()]


def _share(axes: Axes, of: xr.Dataset) -> None:
    for position, (name, colour) in enumerate(zip(SYSTEMS, _colours(), strict=True)):
        if name in of.condition:
            share = share_emerged(of, name)
            around = [[share.estimate - share.low], [share.high - share.estimate]]
            axes.bar(position, share.estimate, color=colour, alpha=0.35, width=0.6)
            axes.errorbar(
                position,
                share.estimate,
                around,
                fmt="o",
                ms=3,
                lw=0.8,
                color=colour,
                clip_on=False,
            )
            n = of.sizes["seed"]
            axes.annotate(
                f"{round(share.estimate * n)}/{n}",
                (position, share.high),
                (0, 4),
                textcoords="offset points",
                ha="center",
                size=5.5,
            )
    axes.set(ylim=(0, 1.12), ylabel="Share of seeds\nthat emerge")


def _index(axes: Axes, of: xr.Dataset) -> None:
    positions = {name: float(place) for place, name in enumerate(SYSTEMS)}
    index_dots(axes, of, positions, _colours())


def _matrix(axes: Axes, names: Sequence[str]) -> None:
    """Draw which conditions are there: a filled circle, else an open one."""
    for position, (present, colour) in enumerate(
        zip(SYSTEMS.values(), _colours(), strict=True)
    ):
        rows = np.arange(3)
        there = np.array(present)
        axes.plot([position] * 3, rows, color=GREY, lw=0.4, zorder=0)
        axes.plot([position] * there.sum(), rows[there], "o", ms=5, color=colour)
        axes.plot(
            [position] * (~there).sum(), rows[~there], "o", ms=5, mec=GREY, mfc="white"
        )
    axes.set(ylim=(2.5, -0.5), xlim=(-0.6, len(SYSTEMS) - 0.4), xticks=[])
    axes.set_yticks(range(3), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
