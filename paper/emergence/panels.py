"""What the figures of the card share: rows of panels, dots of seeds, curves, levels."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from string import ascii_lowercase
from textwrap import fill

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pfc_metarl.emergence.intervals import mean
from pfc_metarl.emergence.levels import CHANCE
from pfc_metarl.emergence.setting import SETTINGS
from pfc_metarl.paper.style import (
    FULL_WIDTH,
    GREY,
    MM,
    each_and_mean,
    letter,
    use_style,
)

TITLES = {"bandit": "Correlated bandit", "two-step": "Two-step task"}
"""What settings are called in figures; others by their names."""

TRIALS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
"""Ticks of the trial axis."""

IDEAL_NAME, ONE_TRIAL_NAME, CHANCE_NAME = "ideal", "one trial", "chance"
"""Names of the levels: ideal observer, player that remembers one trial, chance."""

SPREAD = 0.28
"""How far the dots of seeds are apart, first to last, of the distance of conditions."""

TOUCHING = 0.12
"""Distance of levels, of the axis, below which their names would touch."""


def rows_of_panels(
    results: xr.Dataset,
    panels: Sequence[Callable[[Axes, xr.Dataset], None]],
    widths: Sequence[float],
    height: float = 50,
) -> Figure:
    """Draw a row of panels for every setting.

    Parameters
    ----------
    results
        Of an experiment, with the dimension ``setting``.
    panels
        Each draws into its axes what the results of one setting show.
    widths
        Of the panels, relative to one another.
    height
        Of a row, in mm.
    """
    use_style()
    settings = results.setting.values
    figure = plt.figure(
        figsize=(FULL_WIDTH, height * len(settings) * MM), layout="constrained"
    )
    grid = figure.subplots(
        len(settings), len(panels), squeeze=False, width_ratios=widths
    )
    letters = count()
    for setting, row in zip(settings, grid, strict=True):
        for axes, panel in zip(row, panels, strict=True):
            panel(axes, of_setting(results, setting))
            letter(axes, ascii_lowercase[next(letters)], x=-0.06)
    return figure


def of_setting(results: xr.Dataset, setting: str) -> xr.Dataset:
    """Return the results of one setting, without the conditions it does not have."""
    return results.sel(setting=setting).dropna(
        "condition", how="all", subset=["emerged"]
    )


def title(of: xr.Dataset) -> str:
    """Return what the setting of some results is called."""
    return TITLES.get(name := str(of.setting.values), name)


def one_trial_player(of: xr.Dataset) -> str:
    """Return the player of a setting that remembers one trial."""
    return SETTINGS[str(of.setting.values)].one_trial


def index_dots(
    axes: Axes, of: xr.Dataset, positions: Mapping[str, float], colours: Sequence[str]
) -> None:
    """Draw the adaptation index by condition: every seed, the mean and its interval.

    A filled dot is a seed that meets the criterion, an open one a seed that does not; a
    cross is one whose training diverged, at the foot when it has no index.

    Parameters
    ----------
    axes
        Where to draw.
    of
        The results of one setting.
    positions
        Place on the x axis, by condition; those that it does not have are left out.
    colours
        By condition, in the order of ``positions``.
    """
    floor = index_axis(axes, of)
    for (name, position), colour in zip(positions.items(), colours, strict=True):
        if name in of.condition:
            _dots(axes, of.sel(condition=name), position, colour, floor)


def _dots(
    axes: Axes, of: xr.Dataset, position: float, colour: str, floor: float
) -> None:
    index = of.adaptation_index.values
    x = position + np.linspace(-SPREAD, SPREAD, index.size + 2)[1:-1]
    y = np.where(np.isnan(index), floor + 0.04, index)
    failed = diverged(of) | np.isnan(index)
    emerged = of.emerged.values > 0
    for which, marker, face in (
        (emerged & ~failed, "o", colour),
        (~emerged & ~failed, "o", "white"),
        (failed, "x", colour),
    ):
        if not which.any():
            continue  # an empty line that is not clipped upsets the layout
        axes.plot(
            x[which],
            y[which],
            marker,
            ms=3,
            mew=0.6,
            mec=colour,
            mfc=face,
            zorder=3,
            clip_on=False,
        )
    known = mean(index[~np.isnan(index)])
    bar = (position - 1.25 * SPREAD, position + 1.25 * SPREAD)
    axes.plot(bar, (known.estimate,) * 2, color=colour, lw=1.6, zorder=2)
    axes.fill_between(bar, known.low, known.high, color=colour, alpha=0.2, lw=0)


def diverged(of: xr.Dataset) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return which seeds' training diverged, (seed,); untrained ones did not."""
    failed: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = of.diverged_at.values >= 0
    return failed


def index_axis(axes: Axes, of: xr.Dataset) -> float:
    """Make the y axis one of adaptation indices, with its levels; return its foot."""
    lowest = float(of.adaptation_index.min())
    floor = -0.12 if np.isnan(lowest) else min(-0.12, lowest - 0.05)
    axes.set(ylim=(floor, 1.08), ylabel="Adaptation index")
    mark_levels(axes, mean_indices(of))
    return floor


def mean_indices(of: xr.Dataset) -> dict[str, float]:
    """Return the adaptation indices of the players that set the scale."""
    return {
        IDEAL_NAME: 1.0,
        ONE_TRIAL_NAME: float(of.one_trial_index),
        CHANCE_NAME: 0.0,
    }


def trial_axis(axes: Axes, n_trials: int, ticks: Sequence[int] = TRIALS) -> None:
    """Make the x axis one of trials, on a log scale: most is learned in the first."""
    shown = [trial for trial in ticks if trial <= n_trials]
    axes.set(xscale="log", xlabel="Trial of the episode", xlim=(1, n_trials))
    axes.set_xticks(shown, [str(trial) for trial in shown])
    axes.minorticks_off()


def accuracy_axis(axes: Axes, *drawn: xr.DataArray) -> None:
    """Make the y axis one of P(correct) that reaches from 1 to the lowest drawn."""
    lowest = np.nanmin([CHANCE, *(values.min() for values in drawn)])
    axes.set(ylim=(min(0.44, float(lowest) - 0.03), 1.02), ylabel="P(correct)")


def mean_accuracies(of: xr.Dataset) -> dict[str, float]:
    """Return the mean P(correct) over an episode of the players that set the scale."""
    best = float(of.ideal_accuracy)
    one = CHANCE + float(of.one_trial_index) * (best - CHANCE)
    return {IDEAL_NAME: best, ONE_TRIAL_NAME: one, CHANCE_NAME: CHANCE}


def mark_levels(axes: Axes, levels: Mapping[str, float]) -> None:
    """Draw dotted lines at levels, by name, each named beside the axes.

    Names that would touch, as those of the ideal and of one trial's memory on two-step,
    stand above and below their lines.
    """
    foot, top = axes.get_ylim()
    highest = max(levels.values())
    for name, level in levels.items():
        gaps = [abs(level - other) for other in levels.values() if other != level]
        near = min(gaps, default=np.inf) < TOUCHING * (top - foot)
        apart = "bottom" if level == highest else "top"
        axes.axhline(level, color=GREY, ls=":", lw=0.8, zorder=0)
        axes.annotate(
            name,
            (1, level),
            (2, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va=apart if near else "center",
            color=GREY,
            size=5.5,
        )


def legend_above(axes: Axes, heading: str, columns: int) -> None:
    """Put the legend above the axes, where no curve is, under a heading."""
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles,
        labels,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=columns,
        title=heading,
        title_fontsize=plt.rcParams["axes.titlesize"],
        columnspacing=1.2,
        borderaxespad=0.1,
    )


def curve(
    axes: Axes, p_correct: xr.DataArray, colour: str, label: str, line: str = "-"
) -> None:
    """Draw P(correct), (seed, trial), from trial 1: every seed, and their mean."""
    counted = p_correct.reset_coords(drop=True)
    counted = counted.assign_coords(trial=counted.trial + 1)
    if counted.notnull().any():
        each_and_mean(axes, counted, "trial", colour=colour, label=label, line=line)
    else:
        axes.plot([], [], color=colour, ls=line, label=label)


def curves(
    axes: Axes, of: xr.Dataset, looks: Mapping[str, tuple[str, str]], heading: str
) -> None:
    """Draw P(correct) by trial of several conditions.

    Parameters
    ----------
    axes
        Where to draw.
    of
        The results of one setting.
    looks
        Label and colour by condition; those that it does not have are left out.
    heading
        Of the legend.
    """
    accuracy_axis(axes, of.p_correct)
    trial_axis(axes, of.sizes["trial"])
    mark_levels(axes, mean_accuracies(of))
    for name, (label, colour) in looks.items():
        if name in of.condition:
            curve(axes, of.p_correct.sel(condition=name), colour, label)
    legend_above(axes, heading, len(looks))


def wrapped(name: str, width: int = 16) -> str:
    """Break the name of a condition into short lines, for the ticks of an axis."""
    return fill(name, width, break_long_words=False)
