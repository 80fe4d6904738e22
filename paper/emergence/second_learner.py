"""Figure E1: the second learner beside classic ones, its activity reset, its regret."""

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pfc_metarl.emergence.comparison import INTACT
from pfc_metarl.emergence.levels import CHANCE
from pfc_metarl.paper.emergence.captions import measured, number, of_each_setting
from pfc_metarl.paper.emergence.panels import (
    CHANCE_NAME,
    accuracy_axis,
    curve,
    legend_above,
    mark_levels,
    mean_accuracies,
    one_trial_player,
    rows_of_panels,
    title,
    trial_axis,
)
from pfc_metarl.paper.emergence.regret import (
    NETWORKS,
    draw_regret,
    of_chance,
    of_networks,
    of_players,
)
from pfc_metarl.paper.style import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILLION
from pfc_metarl.tasks.observers import IDEAL

RELEARNED = 10  # trials after the reset, of which the caption tells


def draw(results: xr.Dataset) -> Figure:
    """Draw P(correct) by trial beside players, with a reset, and the expected loss.

    Parameters
    ----------
    results
        Of :class:`pfc_metarl.emergence.experiments.second_learner.SecondLearner`.
    """
    return rows_of_panels(
        results, [_beside_players, _reset, draw_regret], [1.25, 1.1, 1], 54
    )


def caption(results: xr.Dataset) -> list[str]:
    """Say what the figure shows; a paragraph for each setting, with its numbers."""
    shown = (
        "P(correct) by trial of the test episodes, weights frozen: each network (thin) "
        "and their mean, beside players without a network on the same episodes (left); "
        "the same with memory and last inputs blanked in the middle of the episode "
        "(middle); regret of an episode, the expected loss against always making the "
        "good choice: stake times the sum over trials of 1 - P(correct), where the "
        "stake is by how much the good choice pays more often (right; dots are seeds, "
        "a cross one whose training diverged)."
    )
    return [shown, *of_each_setting(results, _in_words)]


def _in_words(of: xr.Dataset) -> str:
    intact = of.sel(condition=INTACT)
    p, again = intact.p_correct, of.p_correct_reset
    at = int(of.reset_trial)
    later = min(at + RELEARNED, of.sizes["trial"] - 1)
    players = ", ".join(
        f"{number(value)} {name}" for name, value in of_players(of).items()
    )
    return (
        f"P(correct) {measured(p.isel(trial=0))} on the first trial, "
        f"{measured(p.isel(trial=-1))} on the last; on the trial after the reset "
        f"(trial {at + 1}) {measured(again.isel(trial=at))}, {later - at} trials later "
        f"{measured(again.isel(trial=later))}. Regret {measured(of_networks(of))}; of "
        f"the players {players}; of random choice {number(of_chance(of))}."
    )


def _beside_players(axes: Axes, of: xr.Dataset) -> None:
    intact = of.p_correct.sel(condition=INTACT)
    accuracy_axis(axes, intact, of.p_correct_of_player)
    trial_axis(axes, of.sizes["trial"])
    mark_levels(axes, {CHANCE_NAME: CHANCE})
    curve(axes, intact, BLUE, NETWORKS)
    looks = {
        IDEAL: ("black", "--"),
        "Thompson": (GREEN, "-"),
        "UCB1": (ORANGE, "-"),
        one_trial_player(of): (PURPLE, "-"),
    }
    trials, known = of.trial.values + 1, of_players(of)
    for name, (colour, line) in looks.items():
        if name in known:
            p = of.p_correct_of_player.sel(player=name).values
            axes.plot(trials, p, color=colour, ls=line, label=name)
    legend_above(axes, title(of), 2)


def _reset(axes: Axes, of: xr.Dataset) -> None:
    intact = of.p_correct.sel(condition=INTACT)
    since = max(int(of.reset_trial) - 1, 0)  # until then the two are the same
    reset = of.p_correct_reset.isel(trial=slice(since, None))
    accuracy_axis(axes, intact, reset)
    mark_levels(axes, mean_accuracies(of))
    axes.axvline(int(of.reset_trial) + 1, color=GREY, lw=0.5)
    curve(axes, intact, BLUE, "intact")
    curve(axes, reset, VERMILLION, "activity reset")
    axes.set(xlabel="Trial of the episode", xlim=(1, of.sizes["trial"]))
    legend_above(axes, "Activity taken away in the middle", 2)
