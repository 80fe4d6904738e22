"""E7: the learning rates of frozen networks, where the world is stable and volatile."""

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pfc_metarl.emergence.experiments.inner_rate import (
    CONSTANT,
    FIXED_RATE,
    MARK,
    SHIFTING,
)
from pfc_metarl.paper.emergence.captions import measured, number
from pfc_metarl.paper.style import (
    BLUE,
    FULL_WIDTH,
    GREEN,
    GREY,
    MM,
    ORANGE,
    letter,
    use_style,
)

COLOURS = {SHIFTING: BLUE, CONSTANT: ORANGE, FIXED_RATE: GREEN}
SHORT = {
    SHIFTING: "shifting\nvolatility",
    CONSTANT: "one\nvolatility",
    FIXED_RATE: "fixed rate\n(no network)",
}


def draw(results: xr.Dataset) -> Figure:
    """Draw the rates by volatility, their difference, and its check without a model."""
    use_style()
    figure = plt.figure(figsize=(FULL_WIDTH, 55 * MM), layout="constrained")
    rates, difference, share = figure.subplots(1, 3, width_ratios=[1.3, 1, 1])
    for axes, name in zip((rates, difference, share), "abc", strict=True):
        letter(axes, name)
    _rates(rates, results)
    _by_condition(difference, results.difference)
    difference.axhline(MARK, color=GREY, ls="--", lw=0.8)
    difference.text(2.45, MARK, "mark", color=GREY, size=5.5, va="bottom", ha="right")
    difference.set_ylabel("Learning rate, volatile - stable")
    _by_condition(share, results.share_difference)
    share.set_ylabel("Share of the last outcome,\nvolatile - stable")
    return figure


def _rates(axes: Axes, results: xr.Dataset) -> None:
    for column, (name, colour) in enumerate(COLOURS.items()):
        of = results.learning_rate.sel(condition=name).values  # (seed, volatility)
        x = 3 * column + np.arange(2)
        axes.plot(x, of.T, color=colour, lw=0.5, alpha=0.5, marker="o", ms=2, mew=0)
        axes.plot(x, np.nanmean(of, axis=0), color=colour, marker="o", ms=4, mew=0)
        axes.text(x.mean(), 0.02, SHORT[name], color=colour, size=6, ha="center")
    axes.set_xticks(
        [0, 1, 3, 4, 6, 7], ["stable", "volatile"] * 3, rotation=45, ha="right"
    )
    axes.set(ylabel="Inner learning rate", xlim=(-0.6, 7.6))
    axes.set_ylim(0, max(0.35, 1.1 * float(results.learning_rate.max())))


def _by_condition(axes: Axes, values: xr.DataArray) -> None:
    for column, (name, colour) in enumerate(COLOURS.items()):
        of = values.sel(condition=name).values
        axes.bar(column, np.nanmean(of), color=colour, alpha=0.35)
        spread = column + np.linspace(-0.25, 0.25, len(of) + 2)[1:-1]
        axes.plot(spread, of, "o", ms=2.5, mew=0, color=colour)
    axes.axhline(0, color=GREY, lw=0.8)
    axes.set_xticks(range(3), [SHORT[name] for name in COLOURS])


def caption(results: xr.Dataset) -> list[str]:
    """State what is seen."""
    shifting = results.sel(condition=SHIFTING)
    stable, volatile = (shifting.learning_rate.isel(volatility=k) for k in (0, -1))
    outer = float(results.outer_learning_rate)
    others = "; ".join(
        f"{name} {measured(results.difference.sel(condition=name), 3)}"
        for name in (CONSTANT, FIXED_RATE)
    )
    seen = (
        "Volatility task, weights frozen; halves of an episode differ in how often the "
        "arms reverse and in nothing else. (a) Rescorla-Wagner learning rates fitted "
        f"to choices: stable {measured(stable, 3)}, volatile {measured(volatile, 3)}. "
        f"(b) Their difference: {measured(shifting.difference, 3)}; {others}; dashed, "
        f"the mark {number(MARK)}. (c) The weight of the last outcome among the last "
        "eight, by logistic regression, without that model. Thin lines and dots are "
        f"seeds. The outer learning rate of training, {outer:g} for Adam, is no "
        "Rescorla-Wagner rate, and at test it is 0: the weights do not change."
    )
    return [seen]
