"""Figure E11: a learned learner: what it learns from, where it fails, its state."""

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pfc_metarl.analysis.policy_divergence import RANDOM
from pfc_metarl.emergence.bayes_comparison import BAYES, WSLS
from pfc_metarl.emergence.belief import BELIEF, REST
from pfc_metarl.emergence.levels import CHANCE
from pfc_metarl.emergence.objective_swap import FLIPPED, INTACT, PERMUTED
from pfc_metarl.emergence.out_of_distribution import (
    AS_TESTED,
    BOTH_BAD,
    BOTH_GOOD,
    IDEAL_OF_TRAINING,
    LONGER,
    SWAP,
)
from pfc_metarl.emergence.proxy_reliance import ALWAYS, LIGHTS, MOSTLY
from pfc_metarl.emergence.yoked import OWN, SAME, TRAINED
from pfc_metarl.paper.emergence.captions import measured
from pfc_metarl.paper.emergence.dots import dots
from pfc_metarl.paper.emergence.panels import (
    CHANCE_NAME,
    curve,
    legend_above,
    mark_levels,
    trial_axis,
)
from pfc_metarl.paper.style import (
    BLUE,
    FULL_WIDTH,
    GREEN,
    GREY,
    MM,
    ORANGE,
    PURPLE,
    VERMILLION,
    letter,
    use_style,
)

INPUTS = {INTACT: BLUE, FLIPPED: VERMILLION, PERMUTED: GREY}
LIT = {MOSTLY: BLUE, ALWAYS: ORANGE}
PROBLEMS = (AS_TESTED, LONGER, BOTH_GOOD, BOTH_BAD, SWAP)
PLAYERS = {
    IDEAL_OF_TRAINING: ("black", "s"),
    "Thompson": (GREEN, "^"),
    "UCB1": (ORANGE, "D"),
    "win-stay-lose-shift": (PURPLE, "v"),
}
NETWORKS = {TRAINED: BLUE, SAME: VERMILLION, OWN: GREY}
PARTS = {BELIEF: (VERMILLION, "belief"), REST: (BLUE, "all else")}
COMPARATORS = (BAYES, WSLS, RANDOM)
DIRECTIONS = {
    "network_to_observer": "network's\nto Bayesian's",
    "observer_to_network": "Bayesian's\nto network's",
}


def draw(results: xr.Dataset) -> Figure:
    """Draw a page, a row each but for the first: a and b, c, d, e.

    Parameters
    ----------
    results
        Of :class:`pfc_metarl.emergence.experiments.mesa_optimisation.MesaOptimisation`.
    """
    use_style()
    figure = plt.figure(figsize=(FULL_WIDTH, 205 * MM), layout="constrained")
    rows = figure.subfigures(4, 1)
    panels = (
        ((1.2, _inputs, "a"), (1.2, _by_light, "b"), (0.8, _alignment, "")),
        ((1.7, _elsewhere, "c"), (1, _swap, "")),
        ((1.2, _decoded, "d"), (1, _held, ""), (1.2, _exchanged, "")),
        ((1, _divergence, "e"), (1.2, _states, ""), (0.9, _outputs, "")),
    )
    for row, drawn in zip(rows, panels, strict=True):
        widths = [width for width, _, _ in drawn]
        grid = row.subplots(1, len(drawn), width_ratios=widths)
        for axes, (_, panel, name) in zip(grid, drawn, strict=True):
            panel(axes, results)
            letter(axes, name, x=-0.1)
    return figure


def caption(results: xr.Dataset) -> list[str]:
    """Say what the figure shows, with its numbers, and what it does not show."""
    accuracy, curves = results.accuracy_by_input, results.p_correct_exchanged
    at_once = curves.isel(trial=int(results.exchange_trial))
    light, index = results.pseudo_alignment, results.index_elsewhere
    r2, held = results.r2.sel(statistic="lead"), results.index_held
    divergence, error = results.divergence, results.state_dissimilarity
    to_bayes = error.sel(direction="network_to_observer")
    trial = int(results.exchange_trial) + 1
    return [
        "Correlated bandit, weights frozen, tested on 0.75/0.25; dots and thin lines "
        "are seeds, bars means with their 95 % interval. The reward input flipped, or "
        "dealt out anew among the episodes, while the task pays as before (a): "
        f"P(correct) {measured(accuracy.sel(input=INTACT))} intact, "
        f"{measured(accuracy.sel(input=FLIPPED))} and "
        f"{measured(accuracy.sel(input=PERMUTED))}. Any network that knows its rewards "
        "from this input alone, and learns from them, must do so.",
        "Networks trained with a light that told the reward as well, in "
        f"{LIGHTS[MOSTLY]:g} "
        "of the trials or always; tested with the light as trained, unrelated to the "
        "reward, or opposed to it (b). Pseudo-alignment is the weight of the light "
        "among those of light and reward, in a regression of repeating the last "
        "choice on both, "
        f"with the unrelated light: {measured(light.sel(condition=MOSTLY))} and "
        f"{measured(light.sel(condition=ALWAYS))}.",
        "Problems of which training had none (c): adaptation index, 1 for each "
        "problem's own ideal observer, which knows it; in episodes twice as long the "
        "trial number goes on past where it ended in training; where the arms swap, it "
        "is in the middle of the episode, and its own ideal observer knows when. "
        + "; ".join(
            f"{name} {measured(index.sel(problem=name))}" for name in PROBLEMS[1:]
        )
        + ". The ideal of training is the Bayesian who expects what training had.",
        "Belief (d): variance of the lead (outcomes for one arm less those for the "
        f"other) decoded from the state, {measured(r2.sel(network=TRAINED), 3)} "
        f"trained, {measured(r2.sel(network=SAME), 3)} untrained in the same episodes, "
        f"{measured(r2.sel(network=OWN), 3)} in its own; adaptation index with the two "
        "directions that carry the belief held at their mean, "
        f"{measured(held.sel(held=BELIEF))}, or the two widest of the rest, "
        f"{measured(held.sel(held=REST))}; P(correct) where on trial {trial} an "
        "episode is given the belief, or all else, of one in which the other arm is "
        f"the good one: {measured(at_once.sel(part=BELIEF))} and "
        f"{measured(at_once.sel(part=REST))} at once.",
        "Beside the Bayes-optimal agent (e): divergence of the network's policy from "
        "agents' that are softened alike, nats, "
        f"{measured(divergence.sel(comparator=BAYES), 3)} from the Bayesian's, "
        f"{measured(divergence.sel(comparator=WSLS), 3)} from win-stay-lose-shift's; "
        "error of either's state when mapped from the other's, as a share of its "
        "variance (network's to Bayesian's "
        f"{measured(to_bayes.sel(network=TRAINED), 3)} trained, "
        f"{measured(to_bayes.sel(network=SAME), 3)} untrained in the same episodes), "
        "and what is lost by acting in the mapped state, as a share of what is lost by "
        "acting in the mean one.",
        "Such numbers can show a learned learner: choices that are learned within the "
        "episode from the reward input, by a belief that the state carries, much as "
        "the Bayes-optimal agent's. They cannot show a learned search with an "
        "objective of its own (Hubinger et al. 2019): a policy that was computed in "
        "training gives all of them. To show it one would have to see options "
        "evaluated inside before one is chosen, by an objective that is represented "
        "there and that, when edited, redirects choices as a search for the edited "
        "objective would, on problems where what training put into the policy fails.",
    ]


def _inputs(axes: Axes, results: xr.Dataset) -> None:
    axes.set_ylim(-0.03, 1.03)
    trial_axis(axes, results.sizes["trial"])
    mark_levels(axes, {CHANCE_NAME: CHANCE})
    for name, colour in INPUTS.items():
        curve(axes, results.p_correct_by_input.sel(input=name), colour, name)
    axes.set_ylabel("P(correct)")
    legend_above(axes, "Reward input, task as before", 3)


def _by_light(axes: Axes, results: xr.Dataset) -> None:
    lights = list(results.light.values)
    axes.set_ylim(-0.03, 1.03)
    mark_levels(axes, {CHANCE_NAME: CHANCE})
    for side, (name, colour) in enumerate(LIT.items()):
        of = results.accuracy_by_light.sel(condition=name)
        for place, light in enumerate(lights):
            label = name if place == 0 else ""
            x = place + 0.5 * side - 0.25
            _narrow(axes, x, of.sel(light=light), colour, label)
    axes.set_xticks(range(len(lights)), lights)
    axes.set(ylabel="P(correct)", xlabel="Light at test")
    legend_above(axes, "By the light in training", 2)


def _narrow(
    axes: Axes, place: float, values: xr.DataArray, colour: str, label: str
) -> None:
    """Draw seeds and mean where two conditions share a place."""
    x = place + np.linspace(-0.15, 0.15, values.size + 2)[1:-1]
    axes.plot(x, values, "o", ms=2.5, mew=0, color=colour, label=label, clip_on=False)
    bar = (place - 0.18, place + 0.18)
    axes.plot(bar, [float(values.mean())] * 2, color=colour, lw=1.4)


def _alignment(axes: Axes, results: xr.Dataset) -> None:
    mark_levels(axes, {"both alike": 0.5, "reward only": 0.0})
    for place, (name, colour) in enumerate(LIT.items()):
        dots(axes, place, results.pseudo_alignment.sel(condition=name), colour)
    lowest = float(results.pseudo_alignment.min())
    axes.set(ylim=(min(-0.05, lowest - 0.05), 1), xlim=(-0.6, 1.6))
    axes.set_xticks([0, 1], ["mostly\nright", "always\nright"])
    axes.set(ylabel="Pseudo-alignment", title="Weight of the light")


def _elsewhere(axes: Axes, results: xr.Dataset) -> None:
    index = results.index_elsewhere
    for place, name in enumerate(PROBLEMS):
        dots(
            axes, place - 0.15, index.sel(problem=name), BLUE, _first(place, "networks")
        )
        for player, (colour, marker) in PLAYERS.items():
            found = results.index_of_comparator.sel(problem=name, player=player)
            axes.plot(
                place + 0.3,
                found,
                marker,
                ms=3.5,
                mew=0.7,
                mec=colour,
                mfc="none",
                label=_first(place, player),
            )
    axes.axhline(1, color=GREY, ls=":", lw=0.8)
    axes.axhline(0, color=GREY, ls=":", lw=0.8)
    axes.axvline(0.6, color=GREY, lw=0.4)
    axes.set_xticks(range(len(PROBLEMS)), PROBLEMS)
    axes.set(ylabel="Adaptation index", xlim=(-0.6, len(PROBLEMS) - 0.3))
    legend_above(axes, "Problems unlike those of training (right of the line)", 5)


def _first(place: int, name: str) -> str:
    return name if place == 0 else ""


def _swap(axes: Axes, results: xr.Dataset) -> None:
    of = results.sel(problem=SWAP).dropna("trial_elsewhere", how="all")
    p = of.p_correct_elsewhere.rename(trial_elsewhere="trial")
    axes.set_ylim(-0.03, 1.03)
    curve(axes, p.drop_vars("problem"), BLUE, "networks")
    for name in (IDEAL_OF_TRAINING, "UCB1"):
        known = of.p_correct_of_comparator.sel(player=name)
        colour = PLAYERS[name][0]
        axes.plot(of.trial_elsewhere + 1, known, color=colour, lw=0.8, label=name)
    mark_levels(axes, {CHANCE_NAME: CHANCE})
    axes.set(xlabel="Trial of the episode", ylabel="P(correct)")
    axes.set_xlim(1, of.sizes["trial_elsewhere"])
    legend_above(axes, "Arms swap", 3)


def _decoded(axes: Axes, results: xr.Dataset) -> None:
    for place, (name, colour) in enumerate(NETWORKS.items()):
        dots(axes, place, results.r2.sel(statistic="lead", network=name), colour)
    names = [name.replace(", ", ",\n") for name in NETWORKS]
    axes.set_xticks(range(len(NETWORKS)), names)
    lowest = float(results.r2.sel(statistic="lead").min())
    axes.set(
        ylim=(min(0.0, lowest - 0.05), 1.03), ylabel="Variance of the lead decoded"
    )
    axes.set_title("What the state tells")


def _held(axes: Axes, results: xr.Dataset) -> None:
    of = results.index_held
    for place, (name, colour) in enumerate(
        {INTACT: "black", **{part: look[0] for part, look in PARTS.items()}}.items()
    ):
        dots(axes, place, of.sel(held=name), colour)
    share = results.variance_share.mean("seed")
    axes.set_xticks(
        range(3),
        [
            "nothing",
            f"belief\n({float(share.sel(part=BELIEF)):.0%} of\nvariance)",
            f"the rest's\nwidest\n({float(share.sel(part=REST)):.0%})",
        ],
    )
    axes.axhline(0, color=GREY, ls=":", lw=0.8)
    axes.set(ylabel="Adaptation index", title="Two directions held")


def _exchanged(axes: Axes, results: xr.Dataset) -> None:
    axes.set_ylim(-0.03, 1.03)
    for name, (colour, label) in PARTS.items():
        curve(axes, results.p_correct_exchanged.sel(part=name), colour, label)
    mark_levels(axes, {CHANCE_NAME: CHANCE})
    axes.set(xlabel="Trial of the episode", ylabel="P(correct)")
    axes.set_xlim(1, results.sizes["trial"])
    legend_above(axes, "Exchanged with another episode", 2)


def _divergence(axes: Axes, results: xr.Dataset) -> None:
    for place, name in enumerate(COMPARATORS):
        colour = BLUE if name == BAYES else GREY
        dots(axes, place, results.divergence.sel(comparator=name), colour)
    names = [name.replace("-lose", "-\nlose") for name in COMPARATORS]
    axes.set_xticks(range(len(COMPARATORS)), names)
    axes.set(ylim=(0, None), ylabel="Divergence of the policy (nats)")
    axes.set_title("Network's policy beside agents'")


def _states(axes: Axes, results: xr.Dataset) -> None:
    for group, direction in enumerate(DIRECTIONS):
        of = results.state_dissimilarity.sel(direction=direction)
        for side, (name, colour) in enumerate(NETWORKS.items()):
            place = 3.6 * group + side
            dots(axes, place, of.sel(network=name), colour, _first(group, name))
    axes.set_xticks([1, 4.6], list(DIRECTIONS.values()))
    axes.set(yscale="log", ylabel="Error of mapped state")
    error = results.state_dissimilarity
    lowest, highest = float(error.min()), float(error.max())
    axes.set_ylim(10 ** np.floor(np.log10(lowest)), max(1.0, 1.5 * highest))
    axes.tick_params(axis="x", length=0)
    legend_above(axes, "One's state from the other's", 3)


def _outputs(axes: Axes, results: xr.Dataset) -> None:
    places = {"network_to_observer": 0, "observer_to_network": 3.6}
    for direction, first in places.items():
        of = results.output_dissimilarity.sel(direction=direction)
        for side, (name, colour) in enumerate(NETWORKS.items()):
            values = of.sel(network=name)
            if values.notnull().all():
                dots(axes, first + side, values, colour)
    axes.set_xticks([1, 3.6], list(DIRECTIONS.values()))
    highest = float(results.output_dissimilarity.max())
    axes.set(ylim=(0, max(1.03, 1.05 * highest)), ylabel="Loss in mapped state")
    axes.tick_params(axis="x", length=0)
    axes.set_title("Acting in it")
