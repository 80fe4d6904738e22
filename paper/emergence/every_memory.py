"""Figure E6: every memory at matched size: adaptation, curves, time to emergence."""

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from pfc_metarl.emergence.intervals import Survival, kaplan_meier
from pfc_metarl.paper.emergence.captions import (
    DOTS,
    emerged,
    measured,
    of_each_setting,
)
from pfc_metarl.paper.emergence.panels import (
    accuracy_axis,
    curve,
    index_dots,
    mark_levels,
    mean_accuracies,
    of_setting,
    title,
    trial_axis,
    wrapped,
)
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

NAMES = {
    "lstm": "LSTM",
    "gru": "GRU",
    "rnn": "vanilla RNN",
    "ctrnn": "continuous-time RNN",
    "slots": "slots",
    "episodic-lstm": "episodic LSTM",
    "attention": "attention",
    "none": "none",
}
"""What memories are called in figures; others by their names."""

UPRIGHT = 5
"""More memories have slanted names, lest they touch."""

COLOURS = (BLUE, SKY, GREEN, ORANGE, VERMILLION, PURPLE, "black", GREY)


def draw(results: xr.Dataset) -> Figure:
    """Draw adaptation, time to competence and P(correct) by trial, by memory.

    Parameters
    ----------
    results
        Of :class:`pfc_metarl.emergence.experiments.every_memory.EveryMemory`.
    """
    use_style()
    settings = results.setting.values
    figure = plt.figure(
        figsize=(FULL_WIDTH, 95 * len(settings) * MM), layout="constrained"
    )
    rows = figure.subfigures(len(settings), 1, squeeze=False)[:, 0]
    for n, (setting, row) in enumerate(zip(settings, rows, strict=True)):
        _row(row, of_setting(results, setting), "abcdef"[3 * n : 3 * n + 3])
    return figure


def caption(results: xr.Dataset) -> list[str]:
    """Say what the figure shows; a paragraph for each setting, with its numbers."""
    shown = (
        "Adaptation index by memory, at as many parameters as the LSTM's (left); share "
        "of seeds that have not yet been competent on validation episodes, by training "
        "(Kaplan-Meier; a tick: training of seeds that never were ends there) (right); "
        f"P(correct) by trial, each seed thin (below). {DOTS}"
    )
    return [shown, *of_each_setting(results, _in_words)]


def _in_words(of: xr.Dataset) -> str:
    parts = []
    for name in of.condition.values:
        one = of.sel(condition=name)
        reached = one.episodes_to_competence.dropna("seed")
        time = (
            f"{reached.size} competent after {measured(reached, 0)} episodes"
            if reached.size
            else f"no seed competent in {float(one.episodes.max()):.0f} episodes"
        )
        parts.append(
            f"{_full(name)}: emerged in {emerged(of, name)}, adaptation "
            f"index {measured(one.adaptation_index)}, {time}"
        )
    return "; ".join(parts) + "."


def _row(figure: SubFigure, of: xr.Dataset, letters: str) -> None:
    memories = [str(name) for name in of.condition.values]
    colours = [COLOURS[n % len(COLOURS)] for n in range(len(memories))]
    above, below = figure.subfigures(2, 1, height_ratios=[1.25, 1])
    index, times = above.subplots(1, 2, width_ratios=[1.3, 1])
    for axes, text in zip((index, times), letters, strict=False):
        letter(axes, text, x=-0.06)
    positions = {name: float(place) for place, name in enumerate(memories)}
    index_dots(index, of, positions, colours)
    _names_below(index, memories)
    index.set(title=title(of), xlim=(-0.6, len(memories) - 0.4))
    _times(times, of, colours)
    panels = below.subplots(1, len(memories), sharey=True, squeeze=False)[0]
    letter(panels[0], letters[2], x=-0.06)
    for axes, name, colour in zip(panels, memories, colours, strict=True):
        accuracy_axis(axes, of.p_correct)
        trial_axis(axes, of.sizes["trial"], (1, 10, 100))
        curve(axes, of.p_correct.sel(condition=name), colour, name)
        axes.set(title=_called(name), xlabel="Trial")
        if axes is not panels[0]:
            axes.set_ylabel("")
        for level in mean_accuracies(of).values():
            axes.axhline(level, color=GREY, ls=":", lw=0.8, zorder=0)
    mark_levels(panels[-1], mean_accuracies(of))


def _names_below(axes: Axes, memories: list[str]) -> None:
    places = range(len(memories))
    if len(memories) <= UPRIGHT:
        axes.set_xticks(places, [_called(name) for name in memories])
    else:
        names = [_full(name) for name in memories]
        axes.set_xticks(places, names, rotation=25, ha="right", rotation_mode="anchor")


def _full(name: str) -> str:
    return NAMES.get(name, name)


def _called(name: str) -> str:
    return wrapped(_full(name), 12)


def _times(axes: Axes, of: xr.Dataset, colours: list[str]) -> None:
    """Draw the share of seeds not yet competent, by thousands of episodes."""
    widths = np.linspace(2.4, 0.8, len(colours))  # those beneath others show
    for name, colour, width in zip(of.condition.values, colours, widths, strict=True):
        survival, end = _survival(of, name)
        x = np.array([0.0, *survival.time, end]) / 1000
        y = np.array([1.0, *survival.share, survival.share[-1]])
        axes.step(x, y, where="post", color=colour, lw=width, label=_full(name))
        if y[-1] > 0:
            axes.plot(x[-1], y[-1], "|", ms=6, mew=1, color=colour, clip_on=False)
    axes.set(ylim=(-0.03, 1.03), xlim=(0, None), ylabel="Seeds not yet competent")
    axes.set(xlabel="Training episodes (thousands)", title="Time to competence")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def _survival(of: xr.Dataset, memory: str) -> tuple[Survival, float]:
    """Return the curve of seeds not yet competent, and the episodes of training."""
    one = of.sel(condition=memory)
    happened = one.episodes_to_competence.notnull().values
    time = np.where(happened, one.episodes_to_competence, one.episodes)
    return kaplan_meier(time, happened), float(one.episodes.max())
