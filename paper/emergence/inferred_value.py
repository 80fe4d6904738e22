"""Figure E9: RPEs around reversals of inferred values, and on the two-step task."""

from collections.abc import Mapping

import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from pfc_metarl.emergence.experiments.inferred_value import INFERS, flips
from pfc_metarl.emergence.inferred_values import APPEARANCE, OUTCOME, VALUE
from pfc_metarl.paper.emergence.captions import measured
from pfc_metarl.paper.emergence.dots import dots, tick
from pfc_metarl.paper.style import (
    BLUE,
    FULL_WIDTH,
    GREEN,
    GREY,
    MM,
    ORANGE,
    PURPLE,
    VERMILLION,
    bars_and_dots,
    letter,
    use_style,
)

WHEN = {
    "before": "trial n\nnot told yet",
    "inferred": "trial n+1\nthe other",
    "experienced": "trial n+1\nthe same",
}
PAYS = {"pays": (GREEN, "now pays"), "does not pay": (VERMILLION, "no longer pays")}
PLAYERS = {"ideal": "black", "experience only": PURPLE}
EPOCHS = {"reward": (ORANGE, "reward"), "stage2": (BLUE, "stage 2")}
LEARNERS = {"model-based": GREEN, "model-free": PURPLE}


def draw(results: xr.Dataset) -> Figure:
    """Draw RPEs and values around reversals; below, what explains two-step RPEs.

    Parameters
    ----------
    results
        Of experiment E9, :mod:`pfc_metarl.emergence.experiments.inferred_value`.
    """
    use_style()
    figure = plt.figure(figsize=(FULL_WIDTH, 115 * MM), layout="constrained")
    above, below = figure.subfigures(2, 1)
    target, outcome, index = above.subplots(1, 3, width_ratios=[1.2, 1.2, 1])
    _measure(target, results, APPEARANCE, "RPE on the target's appearance")
    _measure(outcome, results, OUTCOME, "RPE on the outcome")
    _index(index, results)
    for axes, name in zip((target, outcome, index), "abc", strict=True):
        letter(axes, name, x=-0.08)
    _two_step(below, results)
    return figure


def caption(results: xr.Dataset) -> list[str]:
    """Say what the figure shows, with its numbers; a paragraph each part."""
    flipped = flips(results)
    index = results["index"]
    unique = "; ".join(
        f"{label}, {trials} trials: model-based "
        f"{measured(of.sel(comparator='model_based'))}, model-free "
        f"{measured(of.sel(comparator='model_free'))}"
        for epoch, (_, label) in EPOCHS.items()
        for trials in results.trial_set.values
        for of in (results.semipartial_r2.sel(epoch=epoch, trial_set=trials),)
    )
    return [
        "Inferred value: networks' RPE when the target appears (a) and on its outcome "
        "(b), by what the target does after the reversal: on its first trial n, before "
        "the outcome; on the next for the target that trial n did not show, whose "
        "value can only be inferred; and for the same again. The RPE on the other "
        f"target changes its sign in {int(flipped.sum())} of {flipped.size} seeds. The "
        "change of an inferred value over that of an experienced one (c): of the "
        f"target's value {measured(index.sel(measure=VALUE))}, of the outcome's RPE "
        f"{measured(index.sel(measure=OUTCOME))}; the ideal observer has 1, a player "
        "that learns from experience alone 0 (dashed); dotted the mark. Dots are "
        "seeds, bars means with their 95 % interval.",
        "Two-step task: RPE of the first seed against those of a model-based (d) and a "
        "model-free learner (e) with rates fitted to its choices; the variance that "
        "each explains and the other does not, every seed, on all trials (f) and after "
        f"rare transitions (g). Semipartial r2: {unique}.",
    ]


def _measure(axes: Axes, results: xr.Dataset, measure: str, title: str) -> None:
    axes.axhline(0, color=GREY, lw=0.5)
    of = results["mean"].sel(measure=measure)
    for place, when in enumerate(WHEN):
        for pays, (colour, label) in PAYS.items():
            named = "" if place else label
            dots(axes, place, of.sel(when=when, pays=pays), colour, named)
    axes.set_xticks(range(len(WHEN)), list(WHEN.values()))
    axes.set(ylabel="RPE (rewards)", title=title, xlim=(-0.6, len(WHEN) - 0.4))
    axes.legend(title="target", loc="best")


def _index(axes: Axes, results: xr.Dataset) -> None:
    index, of_player = results["index"], results.index_of_player
    for place, measure in enumerate((VALUE, OUTCOME)):
        dots(axes, place, index.sel(measure=measure), BLUE, "" if place else "networks")
        for player, colour in PLAYERS.items():
            reached = float(of_player.sel(measure=measure, player=player))
            tick(axes, place, reached, colour, "" if place else player)
    axes.axhline(INFERS, color=GREY, ls=":", lw=0.8)
    axes.set_xticks([0, 1], ["value of\nthe target", "RPE on\nthe outcome"])
    axes.set(xlim=(-0.6, 1.6), ylabel="Inferred / experienced change")
    axes.set_title("Inference index")
    axes.legend(loc="center right")


def _two_step(panel: SubFigure, results: xr.Dataset) -> None:
    based, free, every, rare = panel.subplots(1, 4)
    for axes, name, learner in ((based, "d", "model-based"), (free, "e", "model-free")):
        _scatter(axes, results, learner)
        letter(axes, name, x=-0.08)
    free.set_ylabel("")
    based.legend(loc="upper left", markerscale=3, handletextpad=0.2)
    for axes, name, trials in ((every, "f", "all"), (rare, "g", "rare")):
        _explained(axes, results, trials)
        letter(axes, name, x=-0.08)
    top = max(every.get_ylim()[1], rare.get_ylim()[1])
    for axes in (every, rare):
        axes.set_ylim(0, top)
    every.set_title("All trials")
    rare.set_title("Rare transitions")
    rare.set_ylabel("")
    every.legend(loc="upper left")


def _scatter(axes: Axes, results: xr.Dataset, learner: str) -> None:
    first = results.rpe.isel(seed=0)
    for epoch, (colour, label) in EPOCHS.items():
        axes.plot(
            first.sel(source=learner, error=epoch),
            first.sel(source="network", error=epoch),
            "o",
            ms=1,
            mew=0,
            color=colour,
            alpha=0.35,
            label=label,
            rasterized=True,
        )
    axes.set(xlabel=f"{learner.capitalize()} RPE", ylabel="Network's RPE")
    axes.set_title(f"Seed {int(first.seed)}")


def _explained(axes: Axes, results: xr.Dataset, trials: str) -> None:
    unique = results.semipartial_r2.sel(trial_set=trials, epoch=list(EPOCHS))
    unique = unique.reset_coords(drop=True)
    labels: Mapping[str, str] = {epoch: label for epoch, (_, label) in EPOCHS.items()}
    unique = unique.assign_coords(
        epoch=[labels[name] for name in unique.epoch.values],
        comparator=[name.replace("_", "-") for name in unique.comparator.values],
    )
    bars_and_dots(axes, unique, "epoch", "comparator", LEARNERS)
    axes.set(xlabel="", ylabel="Semipartial r²")
