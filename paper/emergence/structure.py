"""Figure E8: bandits' learners by the arms of their training; asking; planning."""

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pfc_metarl.emergence.experiments.structure import ASKS, TESTED
from pfc_metarl.emergence.levels import CHANCE
from pfc_metarl.paper.emergence.captions import measured, number
from pfc_metarl.paper.emergence.dots import dots, spread, tick
from pfc_metarl.paper.emergence.panels import trial_axis
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
    bars_and_dots,
    each_and_mean,
    letter,
    use_style,
)
from pfc_metarl.tasks.bandit import CORRELATED, INDEPENDENT

TRAINED = {CORRELATED: BLUE, INDEPENDENT: ORANGE}
IDEAL = "optimal player of these"
ARMS = {"p_informative": ("informative arm", PURPLE), "p_target": ("target", GREEN)}
EFFECTS = {"reward x\ntransition": "interaction", "reward\nalone": "reward_effect"}


def draw(results: xr.Dataset) -> Figure:
    """Draw regret and belief by training, the informative arm, and two-step choices.

    Parameters
    ----------
    results
        Of :class:`pfc_metarl.emergence.experiments.structure.Structure`.
    """
    use_style()
    figure = plt.figure(figsize=(FULL_WIDTH, 110 * MM), layout="constrained")
    panels = (_course, _regret, _belief, _asking, _stay, _effects)
    for axes, panel, name in zip(
        figure.subplots(2, 3).flat, panels, "abcdef", strict=True
    ):
        panel(axes, results)
        letter(axes, name, x=-0.08)
    return figure


def caption(results: xr.Dataset) -> list[str]:
    """Say what the figure shows, with its numbers; a paragraph each part."""
    regret, follows = results.regret, results.follows_dependence
    by_training = "; ".join(
        f"trained on {on} arms {measured(regret.sel(trained_on=on, tested_on=TESTED))}"
        f" at {TESTED} and "
        f"{measured(regret.sel(trained_on=on, tested_on=INDEPENDENT))} on independent "
        f"arms, P(choice as if dependent) {measured(follows.sel(trained_on=on))}"
        for on in TRAINED
    )
    asked = results.p_informative.isel(informative_trial=0)
    hit = results.p_target.isel(informative_trial=slice(1, None))
    return [
        "Bandits, after as many updates on correlated or on independent arms: regret "
        f"at {TESTED} by trial (a) and of an episode on both tests (b), dashed the "
        "player that is optimal for the arms of the training; the policy when told of "
        "the same choices of a coin, on trials where the beliefs that arms are "
        "dependent and independent favour different arms (c). Thin lines and dots are "
        "seeds, bars means with their 95 % interval. Regret of an episode: "
        f"{by_training}.",
        "Informative bandit: the arm that pays least but tells the target is chosen "
        f"first (d), P {measured(asked)}, and the target from then on, P "
        f"{measured(hit.mean('informative_trial'))}; the dotted line is the mark.",
        "Two-step task: probability to repeat the choice (e), dashed the ideal "
        "observer's, and what reward does to it through the transition, "
        f"{measured(results.interaction)}, and alone, "
        f"{measured(results.reward_effect)} (f; ideal observer "
        f"{number(float(results.interaction_of_ideal))} and "
        f"{number(float(results.reward_effect_of_ideal))}).",
    ]


def _course(axes: Axes, results: xr.Dataset) -> None:
    of = results.sel(tested_on=TESTED)
    trials = of.trial.values + 1
    for on, colour in TRAINED.items():
        regret = of.cumulative_regret.sel(trained_on=on).reset_coords(drop=True)
        counted = regret.assign_coords(trial=trials)
        each_and_mean(axes, counted, "trial", colour=colour, label=f"{on} arms")
        ideal = of.cumulative_regret_of_ideal.sel(trained_on=on)
        axes.plot(trials, ideal, color=colour, ls="--", lw=0.9)
    axes.plot([], [], color=GREY, ls="--", lw=0.9, label=IDEAL)
    trial_axis(axes, len(trials))
    axes.set(ylabel="Cumulative regret (rewards)", ylim=(0, None))
    axes.set_title(f"Tested on {TESTED}")
    axes.legend(title="trained on", loc="upper left")


def _regret(axes: Axes, results: xr.Dataset) -> None:
    tests = list(results.tested_on.values)
    for group, test in enumerate(tests):
        for side, (on, colour) in enumerate(TRAINED.items()):
            of, place = results.sel(trained_on=on, tested_on=test), 2.4 * group + side
            dots(axes, place, of.regret, colour)
            tick(axes, place, float(of.regret_of_ideal), colour)
    middles = [2.4 * group + 0.5 for group in range(len(tests))]
    axes.set_xticks(middles, [f"tested on\n{test}" for test in tests])
    axes.set(ylabel="Regret of an episode (rewards)", ylim=(0, None))
    axes.tick_params(axis="x", length=0)
    axes.set_title("Each training on both tests")


def _belief(axes: Axes, results: xr.Dataset) -> None:
    follows = results.follows_dependence
    both = [follows.sel(trained_on=on) for on in TRAINED]
    places = [spread(place, follows.sizes["seed"]) for place in (0, 1)]
    axes.plot(places, both, color=GREY, lw=0.4, alpha=0.6, zorder=0)
    for place, (on, colour) in enumerate(TRAINED.items()):
        dots(axes, place, follows.sel(trained_on=on), colour)
    axes.axhline(CHANCE, color=GREY, ls=":", lw=0.8)
    axes.set_xticks([0, 1], [f"trained on\n{on}" for on in TRAINED])
    low, high = float(follows.min()), float(follows.max())
    axes.set(xlim=(-0.6, 1.6), ylim=(min(0.4, low - 0.03), max(0.75, high + 0.03)))
    axes.set_ylabel("P(choice as if arms depend)")
    axes.set_title("The same past, two beliefs")


def _asking(axes: Axes, results: xr.Dataset) -> None:
    for name, (label, colour) in ARMS.items():
        p = results[name].assign_coords(
            informative_trial=results.informative_trial.values + 1
        )
        each_and_mean(
            axes, p, "informative_trial", colour=colour, marker="o", label=label
        )
    axes.axhline(ASKS, color=GREY, ls=":", lw=0.8)
    n = results.sizes["informative_trial"]
    axes.set(xlabel="Trial of the episode", ylabel="P(choice)", ylim=(-0.03, 1.05))
    axes.set_xticks(range(1, n + 1))
    axes.set_title("Informative bandit")
    axes.legend(loc="center right")


def _stay(axes: Axes, results: xr.Dataset) -> None:
    palette = {"common": COMMON, "rare": RARE}
    bars_and_dots(axes, results.stay, "outcome", "transition", palette)
    for group, outcome in enumerate(results.outcome.values):
        for side, (transition, colour) in enumerate(palette.items()):
            ideal = results.stay_of_ideal.sel(outcome=outcome, transition=transition)
            bar = group + 0.4 * side - 0.2 + np.array([-0.19, 0.19])
            axes.plot(bar, [ideal, ideal], color=colour, ls="--", lw=0.9)
    axes.set(ylim=(0, 1.3), xlim=(-0.5, 1.5), xlabel="Last trial")
    axes.set_ylabel("Stay probability")
    axes.set_xticks([0, 1], ["rewarded", "unrewarded"])
    axes.set_yticks([0, 0.5, 1])
    handles = [
        Rectangle((0, 0), 1, 1, color=colour, alpha=0.35) for colour in palette.values()
    ]
    labels = [f"{name} transition" for name in palette]
    axes.legend(handles, labels, loc="upper center", ncols=2, columnspacing=1)
    axes.set_title("Two-step task")


def _effects(axes: Axes, results: xr.Dataset) -> None:
    axes.axhline(0, color=GREY, lw=0.5)
    for place, name in enumerate(EFFECTS.values()):
        dots(axes, place, results[name], BLUE)
        ideal = float(results[f"{name}_of_ideal"])
        tick(axes, place, ideal, "black", "" if place else "ideal observer")
    axes.set_xticks(range(len(EFFECTS)), list(EFFECTS))
    axes.set(xlim=(-0.6, 1.6), ylabel="Effect on stay probability")
    axes.set_title("Two-step task")
    axes.legend(loc="upper right")
