"""The two-step figure, in the form of Wang et al. 2018, Figure 5."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from pfc_metarl.paper.style import (
    BLUE,
    COMMON,
    FULL_WIDTH,
    GREEN,
    GREY,
    MM,
    ORANGE,
    PURPLE,
    RARE,
    VERMILLION,
    bars_and_dots,
    each_and_mean,
    letter,
    use_style,
)
from pfc_metarl.tasks.two_step import TwoStep

TITLES = {"agents": "Networks", "observer": "Ideal observer", "rats": "Rats"}
TRIAL_TYPES = {  # colour by transition, line by outcome, as in Miller et al. 2017
    "common-rewarded": (COMMON, "-"),
    "rare-rewarded": (RARE, "-"),
    "common-unrewarded": (COMMON, "--"),
    "rare-unrewarded": (RARE, "--"),
}


def draw(statistics: xr.DataTree, task: TwoStep) -> Figure:
    """Draw the figure from its numbers.

    Parameters
    ----------
    statistics
        From :func:`pfc_metarl.paper.two_step_statistics.statistics`; without
        ``/rats`` their places stay empty and say so.
    task
        For the schematic.

    Returns
    -------
    matplotlib.figure.Figure
        183 mm wide.
    """
    use_style()
    figure = plt.figure(figsize=(FULL_WIDTH, 165 * MM), layout="constrained")
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=[1.0, 0.95, 1.0])
    left, right = top.subfigures(1, 2, width_ratios=[1.35, 1.0])
    schematic, curves = left.subplots(1, 2, width_ratios=[1.0, 1.15])
    _schematic(schematic, task)
    _training(curves, statistics)
    _stay(right, statistics)
    _history(middle, statistics)
    errors, aligned = bottom.subfigures(1, 2, width_ratios=[2.6, 1.0])
    _rpe(errors, statistics)
    _reversals(aligned.subplots(), statistics)
    return figure


def _present(statistics: xr.DataTree) -> list[str]:
    return [who for who in TITLES if who in statistics.children]


def _schematic(axes: Axes, task: TwoStep) -> None:
    """Draw a: choice, transition, state, reward."""
    letter(axes, "a")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.axis("off")
    first, second = (0.22, 0.62), (0.78, 0.62)
    high, low = task.blocks[0]
    rare = 1 - task.p_common
    _box(axes, 0.5, 0.95, "choose", GREY)
    for x, y, text, colour in (
        (*first, "A1", BLUE),
        (*second, "A2", VERMILLION),
        (0.22, 0.26, "S1", GREEN),
        (0.78, 0.26, "S2", PURPLE),
    ):
        _box(axes, x, y, text, colour)
    for x in (0.22, 0.78):
        _arrow(axes, (0.5, 0.89), (x, 0.69), GREY, 0.8)
        _arrow(axes, (x, 0.55), (x, 0.33), "black", 1.6)
        _arrow(axes, (x, 0.55), (1 - x, 0.33), "black", 0.5)
    axes.text(0.17, 0.44, f"{task.p_common:g}", ha="right", va="center")
    axes.text(0.83, 0.44, f"{task.p_common:g}", ha="left", va="center")
    axes.text(0.5, 0.50, f"{rare:.2g}", ha="center", va="center")
    for x, probability in ((0.22, high), (0.78, low)):
        axes.text(x, 0.13, f"reward {probability:g}", ha="center", va="center")
    swap = {"arrowstyle": "<->", "color": "black", "lw": 0.6}
    axes.annotate("", (0.64, 0.13), (0.36, 0.13), arrowprops=swap)
    note = f"swap with p = {task.p_reversal:g} per trial"
    axes.text(0.5, 0.02, note, ha="center", va="center", color=GREY)


def _box(axes: Axes, x: float, y: float, text: str, colour: str) -> None:
    style = "round,pad=0.02"
    box = FancyBboxPatch((x - 0.09, y - 0.045), 0.18, 0.09, boxstyle=style, fc=colour)
    box.set(ec="none", alpha=0.25)
    axes.add_patch(box)
    axes.text(x, y, text, ha="center", va="center")


def _arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str,
    width: float,
) -> None:
    style = "-|>,head_length=2,head_width=1.2"
    arrow = FancyArrowPatch(
        start, end, arrowstyle=style, color=colour, lw=width, shrinkA=0, shrinkB=0
    )
    axes.add_patch(arrow)


def _training(axes: Axes, statistics: xr.DataTree) -> None:
    """Draw b: reward per trial over training, every seed, from chance upwards."""
    letter(axes, "b")
    training = statistics["/training"].to_dataset()
    episodes = training.attrs["episodes_per_update"]
    window = max(1, training.sizes["update"] // 40)
    smooth = training.reward.rolling(update=window, center=True, min_periods=1).mean()
    thousands = (np.arange(training.sizes["update"]) + 1) * episodes / 1000
    each_and_mean(axes, smooth.assign_coords(update=thousands), "update", colour=BLUE)
    for name, above, side in (("ideal_observer", 2, "bottom"), ("random", -2, "top")):
        level = statistics.attrs[name]
        axes.axhline(level, color=GREY, ls="--", lw=0.8)
        axes.annotate(
            f"{name.replace('_', ' ')} {level:.3f}",
            (thousands[-1], level),
            (0, above),
            textcoords="offset points",
            ha="right",
            va=side,
            color=GREY,
        )
    n_seeds = training.sizes["seed"]
    axes.set(
        xlabel="Training episodes (thousands)",
        ylabel="Reward per trial",
        ylim=(min(0.47, float(smooth.min()) - 0.02), 0.74),
        title=f"{n_seeds} seed{'s' if n_seeds > 1 else ''}, all shown",
    )


def _stay(panel: SubFigure, statistics: xr.DataTree) -> None:
    """Draw c: probability of repeating a choice by last outcome and transition."""
    all_axes = panel.subplots(1, 3, sharey=True)
    letter(all_axes[0], "c", x=-0.5)
    palette = {"common": COMMON, "rare": RARE}
    for axes, (who, title) in zip(all_axes, TITLES.items(), strict=True):
        if who in _present(statistics):
            stay = statistics[f"/{who}/stay"].to_dataset().stay
            bars_and_dots(axes, stay, "outcome", "transition", palette)
        else:
            _absent(axes)
        axes.set(title=title, xlabel="", ylabel="", ylim=(0, 1.04), xlim=(-0.5, 1.5))
        axes.set_xticks([0, 1], ["Rew.", "Unrew."])
    all_axes[0].set_ylabel("Stay probability")
    all_axes[1].set_xlabel("Last trial")
    handles = [
        Rectangle((0, 0), 1, 1, color=colour, alpha=0.35) for colour in palette.values()
    ]
    labels = ["common", "rare transition"]
    panel.legend(handles, labels, loc="outside lower center", ncols=2)


def _absent(axes: Axes) -> None:
    axes.text(
        0.5,
        0.5,
        "no data\n(see report.md)",
        transform=axes.transAxes,
        ha="center",
        va="center",
        color=GREY,
    )


def _history(panel: SubFigure, statistics: xr.DataTree) -> None:
    """Draw d: weights of the last trials on the choice, by type of trial."""
    all_axes = panel.subplots(1, 3)
    letter(all_axes[0], "d", x=-0.12)
    for axes, (who, title) in zip(all_axes, TITLES.items(), strict=True):
        axes.axhline(0, color=GREY, lw=0.5)
        axes.set(title=title, xlabel="Trials back", xticks=[1, 2, 3, 4, 5])
        if who not in _present(statistics):
            _absent(axes)
            continue
        weights = statistics[f"/{who}/history"].to_dataset().weights
        for kind, (colour, line) in TRIAL_TYPES.items():
            one = weights.sel(trial_type=kind, drop=True)
            each_and_mean(
                axes, one, "lag", colour=colour, line=line, marker="o", label=kind
            )
        if statistics[f"/{who}/history"].to_dataset().separated.any():
            axes.set_title(f"{title} (size set by the penalty)")
        axes.set(xlabel="Trials back", ylabel="")
    all_axes[0].set_ylabel("Weight on choice (log odds)")
    shown = all_axes[2] if "rats" in _present(statistics) else all_axes[0]
    shown.legend(loc="upper right", handlelength=2.2)


def _rpe(panel: SubFigure, statistics: xr.DataTree) -> None:
    """Draw e: the networks' RPE against a model-based and a model-free learner's."""
    based, free, unique = panel.subplots(1, 3, width_ratios=[1, 1, 1.25])
    letter(based, "e", x=-0.2)
    by_trial = statistics["/agents/rpe_by_trial"].to_dataset()
    first = by_trial.isel(trial=by_trial.subject.values == 0)
    results = statistics["/agents/rpe"].to_dataset()
    for axes, name, label in (
        (based, "model-based", "Model-based RPE"),
        (free, "model-free", "Model-free RPE"),
    ):
        for epoch, colour in (("reward", ORANGE), ("stage2", BLUE)):
            axes.plot(
                first[f"{name}_{epoch}"],
                first[f"network_{epoch}"],
                "o",
                ms=1,
                mew=0,
                color=colour,
                alpha=0.35,
                label="stage 2" if epoch == "stage2" else "reward",
                rasterized=True,
            )
        r2 = results.r2.sel(trial_set="all", comparator=name.replace("-", "_"))
        stage2, reward = (
            float(r2.sel(epoch=epoch).mean()) for epoch in ("stage2", "reward")
        )
        axes.set(xlabel=label, ylabel="Network's RPE")
        axes.set_title(f"r²: stage 2 {stage2:.2f}, reward {reward:.2f}")
    free.set_ylabel("")
    based.legend(loc="upper left", markerscale=3, handletextpad=0.2)
    _unique(unique, results)


def _unique(axes: Axes, results: xr.Dataset) -> None:
    """Draw what either comparator explains, alone and after rare transitions."""
    unique = results.semipartial_r2.sel(trial_set="all", drop=True)
    rare = results.r2.sel(trial_set="rare", drop=True)
    groups = {
        "stage 2\nunique": unique.sel(epoch="stage2", drop=True),
        "reward\nunique": unique.sel(epoch="reward", drop=True),
        "stage 2\nrare": rare.sel(epoch="stage2", drop=True),
        "reward\nrare": rare.sel(epoch="reward", drop=True),
    }
    explained = xr.concat(
        list(groups.values()), dim=xr.IndexVariable("group", list(groups))
    )
    names = [str(name).replace("_", "-") for name in explained.comparator.values]
    explained["comparator"] = names
    palette = {"model-based": GREEN, "model-free": PURPLE}
    bars_and_dots(axes, explained, "group", "comparator", palette)
    axes.axvline(1.5, color=GREY, lw=0.5)
    axes.set(xlabel="", ylabel="Explained variance", ylim=(0, 1.25))
    axes.set_title("semipartial r²  |  r², rare transitions")
    axes.legend(loc="upper left", ncols=2, columnspacing=1)


def _reversals(axes: Axes, statistics: xr.DataTree) -> None:
    """Draw f: choice of the arm that becomes the good one, around reversals."""
    letter(axes, "f", x=-0.12)
    axes.axvline(-0.5, color=GREY, lw=0.5)
    styles: Mapping[str, tuple[str, str]] = {
        "agents": (BLUE, "-"),
        "observer": ("black", "--"),
        "rats": (ORANGE, "-"),
    }
    for who in _present(statistics):
        colour, line = styles[who]
        reversals = statistics[f"/{who}/reversals"].to_dataset()
        p = reversals.p_new_good
        each_and_mean(
            axes,
            p,
            "trial_from_reversal",
            colour=colour,
            line=line,
            label=TITLES[who],
            weights=reversals.n_trials,
        )
    axes.set(
        xlabel="Trials from reversal",
        ylabel="P(choose the newly good arm)",
        ylim=(0, 1),
    )
    axes.legend(loc="lower right")
