"""Figure E10: the attractor map: where a learner emerges, where not, and how soon."""

from collections.abc import Sequence
from itertools import count, cycle
from string import ascii_lowercase
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pfc_metarl.emergence.experiments.attractor_grid import (
    AS_SET,
    Level,
    in_words,
)
from pfc_metarl.emergence.experiments.attractor_map import (
    FAILED,
    FINISHED,
    NOT_RUN,
    levels_in,
    slice_of,
    time_to_emergence,
)
from pfc_metarl.emergence.intervals import Survival, wilson
from pfc_metarl.emergence.setting import ADAPTED
from pfc_metarl.paper.emergence.every_memory import NAMES
from pfc_metarl.paper.style import (
    BLUE,
    FULL_WIDTH,
    GREEN,
    GREY,
    MM,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    letter,
    use_style,
)

IN_A_ROW = 3
NONE_EMERGED = "#F7C59F"  # a pale orange: not a shade of the blues for some or all
UNKNOWN = "#E4E4E4"
HATCH: dict[str, str] = {FAILED: "xxxx", NOT_RUN: "////"}
COLOURS = (BLUE, SKY, GREEN, ORANGE, VERMILLION, PURPLE, "black", GREY)
CALLED = {
    **NAMES,
    "adam": "Adam",
    "rmsprop": "RMSProp",
    "ppo": "PPO",
    "a2c": "A2C",
}
LABELS = {
    "lifetime": "Lifetime (trials)",
    "task_spread": "Task spread (p in 0.5 ± …)",
    "entropy_cost": "Entropy cost, at first",
}
TIMED = ("memory", "discount")


def draw(results: xr.Dataset) -> Figure:
    """Draw every slice as a map of seeds that emerged; time to emergence below.

    Parameters
    ----------
    results
        Of :class:`pfc_metarl.emergence.experiments.attractor_map.AttractorMap`; with
        ``failed`` in ``state`` where a cell's training failed.
    """
    use_style()
    names = [str(name) for name in results.slice.values]
    rows = [names[i : i + IN_A_ROW] for i in range(0, len(names), IN_A_ROW)]
    heights = [12 + 5.5 * max(_n_rows(results, name) for name in row) for row in rows]
    heights += [9, 50]
    figure = plt.figure(figsize=(FULL_WIDTH, sum(heights) * MM), layout="constrained")
    parts = figure.subfigures(len(heights), 1, height_ratios=heights)
    letters = (ascii_lowercase[n] for n in count())
    for row, part in zip(rows, parts, strict=False):
        widths = [2 + len(_levels(results, name, "across")) for name in row]
        panels = part.subplots(1, len(row), squeeze=False, width_ratios=widths)[0]
        for name, axes in zip(row, panels, strict=True):
            _map(axes, slice_of(results, name))
            letter(axes, next(letters), x=-0.02)
    _key(parts[-2].subplots(), results)
    panels = parts[-1].subplots(1, len(TIMED), sharey=True)
    for axes, factor in zip(panels, TIMED, strict=True):
        letter(axes, next(letters), x=-0.02)
        _times(axes, results, factor)
    panels[0].set_ylabel("Seeds not yet competent")
    return figure


def _levels(results: xr.Dataset, name: str, axis: str) -> list[Level]:
    of = slice_of(results, name)
    return levels_in(of, str(of[axis].values))


def _n_rows(results: xr.Dataset, name: str) -> int:
    return len(_levels(results, name, "down"))


def _map(axes: Axes, of: xr.Dataset) -> None:
    """Draw the cells of a slice: how many seeds of how many."""
    down, across = str(of.down.values), str(of.across.values)
    rows, columns = levels_in(of, down), levels_in(of, across)
    for condition in of.condition.values:
        cell = of.sel(condition=condition)
        place = (columns.index(cell[across].item()), rows.index(cell[down].item()))
        _cell(axes, cell, place)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    axes.set_xticks(range(len(columns)), [_called(level) for level in columns])
    axes.set_yticks(range(len(rows)), [_called(level) for level in rows])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(
        xlabel=_label(across),
        ylabel=_label(down),
        title=_written(of.slice.item()),
    )


def _cell(axes: Axes, cell: xr.Dataset, place: tuple[int, int]) -> None:
    x, y = place
    corner = (x - 0.5, y - 0.5)
    state = str(cell.state.values)
    k, n = int(cell.emerged.sum()), int(cell.emerged.notnull().sum())
    look = _look(k, n) if state == FINISHED else _unknown(state)
    axes.add_patch(Rectangle(corner, 1, 1, lw=0, **look))
    axes.add_patch(Rectangle(corner, 1, 1, fc="none", ec="white", lw=0.8))
    if str(cell.condition.values) == AS_SET:
        inner = (x - 0.46, y - 0.44)
        frame = Rectangle(inner, 0.92, 0.88, fc="none", ec="black", lw=0.9, zorder=3)
        axes.add_patch(frame)
    if state == FINISHED:
        mark = "†" if (cell.diverged > 0).any() else ""
        colour = "white" if k > n / 2 else "black"
        axes.text(x, y, f"{k}/{n}{mark}", ha="center", va="center", color=colour)


def _look(k: int, n: int) -> dict[str, Any]:
    """Colour of a cell by its share of seeds."""
    return {"fc": NONE_EMERGED if k == 0 else colormaps["Blues"](0.15 + 0.75 * k / n)}


def _unknown(state: str) -> dict[str, Any]:
    return {"fc": UNKNOWN, "ec": GREY, "hatch": HATCH[state]}


def _called(level: Level) -> str:
    return CALLED.get(level, level) if isinstance(level, str) else f"{level:g}"


def _written(name: str) -> str:
    return name.replace(" x ", " \N{MULTIPLICATION SIGN} ")


def _label(factor: str) -> str:
    return LABELS.get(factor, in_words(factor).capitalize())


def _key(axes: Axes, results: xr.Dataset) -> None:
    """Draw what the colours mean: seeds that emerged, with Wilson's interval."""
    n = results.sizes["seed"]
    entries: list[tuple[dict[str, Any], str]] = []
    for k in range(n + 1):
        share = wilson(k, n)
        entries.append((_look(k, n), f"{k}/{n}\n[{share.low:.2f}, {share.high:.2f}]"))
    entries += [
        (_unknown(FAILED), "cell\nfailed"),
        (_unknown(NOT_RUN), "cell\nnot run"),
    ]
    frame = {"fc": "none", "ec": "black", "lw": 0.9}
    entries.append((frame, "settings\nof the card"))
    for place, (look, text) in enumerate(entries):
        axes.add_patch(Rectangle((place, 0.25), 0.25, 0.5, **({"lw": 0} | look)))
        axes.text(place + 0.3, 0.5, text, va="center", size=5.5)
    axes.text(-0.1, 0.5, "Seeds that\nemerged", ha="right", va="center")
    axes.set(xlim=(-0.7, len(entries)), ylim=(0, 1))
    axes.axis("off")


def timed_slice(results: xr.Dataset, factor: str) -> str | None:
    """Return the slice whose cells tell the time to emergence by level of a factor.

    The first that varies the factor, if possible without another memory in it.
    """
    varied = [
        str(name)
        for name in results.slice.values
        if factor in _factors(results, str(name))
    ]
    alone = [name for name in varied if "memory" not in _factors(results, name)]
    return next(iter(alone or varied), None)


def _factors(results: xr.Dataset, name: str) -> tuple[str, str]:
    of = results.sel(slice=name)
    return str(of.down.values), str(of.across.values)


def _times(axes: Axes, results: xr.Dataset, factor: str) -> None:
    """Draw the share of seeds not yet competent, by thousands of episodes."""
    axes.set(title=f"Time to competence by {factor}", ylim=(-0.03, 1.03))
    axes.set_xlabel("Training episodes (thousands)")
    name = timed_slice(results, factor)
    of = None if name is None else slice_of(results, name)
    curves = {} if of is None else time_to_emergence(of, factor)
    if of is None or not curves:
        axes.text(0.5, 0.5, "no cell", transform=axes.transAxes, color=GREY)
        return
    last = float(of.episodes.max())
    colours = _colours(levels_in(of, factor))
    for level, curve in curves.items():
        _survival(axes, curve, last, colours[level], _called(level))
    where = _written(of.slice.item())
    axes.set(xlim=(0, last / 1000), title=f"Time to competence by {factor} ({where})")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), title=_label(factor))


def _colours(levels: Sequence[Level]) -> dict[Level, Any]:
    """Colours by level: of one scale for numbers, as different as can be for names."""
    if any(isinstance(level, str) for level in levels):
        return dict(zip(levels, cycle(COLOURS), strict=False))
    shades = colormaps["viridis"](np.linspace(0, 0.9, len(levels)))
    return dict(zip(levels, shades, strict=True))


def _survival(
    axes: Axes, curve: Survival, last: float, colour: Any, label: str
) -> None:
    """Draw a curve with its interval from the beginning to the end of training."""
    ends = np.concatenate([[0.0], curve.time, [last]]) / 1000
    x = np.repeat(ends, 2)[1:-1]  # both ends of every step
    share, low, high = (
        np.repeat(np.concatenate([[1.0], values]), 2)
        for values in (curve.share, curve.low, curve.high)
    )
    axes.plot(x, share, color=colour, label=label)
    axes.fill_between(x, low, high, color=colour, alpha=0.12, lw=0)


def caption(results: xr.Dataset) -> list[str]:
    """Say what the figure shows, with its numbers."""
    n = results.sizes["seed"]
    full, nothing = wilson(n, n), wilson(0, n)
    states = results.state.values
    left_out = {state: int((states == state).sum()) for state in (FAILED, NOT_RUN)}
    listed = [f"{number} {state}" for state, number in left_out.items() if number]
    missing = f"; of the map's cells {', '.join(listed)}" if listed else ""
    shown = (
        "Slices of two factors each through the settings of the card, all other "
        "factors as they are there (framed). Numbers: seeds that meet the criterion at "
        f"the end of training, of all, diverged ones (†) included. With {n} seeds a "
        f"cell tells little: {n}/{n} is P(emerge) in [{full.low:.2f}, {full.high:.2f}],"
        f" 0/{n} in [{nothing.low:.2f}, {nothing.high:.2f}] (Wilson); the card pools "
        "cells. The seeds are the same in every cell, so that pooled intervals are "
        "somewhat too narrow. Hatched cells failed or were not run and count nowhere"
        f"{missing}."
    )
    times = (
        "Below: Kaplan-Meier curves of the share of seeds not yet competent on "
        "validation episodes, with 95 % intervals, all cells of a slice together; "
        "seeds that never were, diverged ones too, stay in to the end; a curve at 1 or "
        "0 has no interval. Competence is an adaptation index of "
        f"{ADAPTED:g} there (in short lifetimes, where one trial's memory does nearly "
        "as well, half way from it to the ideal). Some seeds are competent and lose "
        "it: the maps count the end."
    )
    return [shown, times]
