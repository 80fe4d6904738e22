"""The rows of E11: what its numbers let one say, and what they do not.

All marks are proposals (guesses): no paper has any.
"""

from dataclasses import replace

import numpy as np
import xarray as xr

from pfc_metarl.analysis.policy_divergence import RANDOM
from pfc_metarl.emergence.bayes_comparison import BAYES, WSLS
from pfc_metarl.emergence.belief import BELIEF, INTACT, REST
from pfc_metarl.emergence.criterion import NEAR_CHANCE
from pfc_metarl.emergence.experiment import Claim, Verdict
from pfc_metarl.emergence.intervals import mean
from pfc_metarl.emergence.levels import CHANCE, adaptation_index
from pfc_metarl.emergence.objective_swap import FLIPPED, PERMUTED
from pfc_metarl.emergence.out_of_distribution import AS_TESTED, IDEAL_OF_TRAINING
from pfc_metarl.emergence.proxy_reliance import ALWAYS, AS_TRAINED
from pfc_metarl.emergence.setting import ADAPTED
from pfc_metarl.emergence.wording import estimated, estimated_and_range
from pfc_metarl.emergence.yoked import OWN, SAME, TRAINED
from pfc_metarl.tasks.observers import IDEAL

FOLLOWS = 0.1  # how far from 1 the following index may be
DISREGARDED = 0.1  # pseudo-alignment below which the proxy counts nothing
ALIKE = 0.1  # difference of adaptation indices that counts as none
BY_BELIEF = 0.9  # of 1, for the choice right after the exchange
NEEDED = (
    "needed for it: options that are evaluated inside before one is chosen, by an "
    "objective that is represented there; and that, when this representation is "
    "edited, choices change as a search for the edited objective would have them, on "
    "problems where what training put into the policy fails"
)


def claims(results: xr.Dataset) -> list[Claim]:
    """Return the rows, in the order of the panels; the last two draw the line.

    Networks that have not learned the task are left out, and counted in the verdicts.
    """
    learned = results.index_held.sel(held=INTACT) > ADAPTED
    of = _those(results, learned)
    seen = [_limited(row, learned) for row in (_follows_input(of), _permuted(of))]
    carried = _limited(_carries_over(of), learned)
    outputs = _limited(_outputs(of), learned)
    others = (_decoded(of), _uses_belief(of), outputs, _states(of))
    return [
        *seen,
        *(_goes_by_reward(results, str(name)) for name in results.condition.values),
        carried,
        _limited(_wrong_alike(of), learned),
        *(_limited(row, learned) for row in others),
        _learner(of, [*seen, outputs], carried),
        _search(results),
    ]


def _those(results: xr.Dataset, learned: xr.DataArray) -> xr.Dataset:
    """Return the seeds that have learned; all, if none has."""
    return results.isel(seed=learned.values) if learned.any() else results


def _limited(row: Claim, learned: xr.DataArray) -> Claim:
    """Limit a verdict to the seeds that learned."""
    n, n_learned = learned.size, int(learned.sum())
    if n_learned == n or row.verdict == "not shown":
        return row
    if n_learned == 0:
        return replace(row, verdict="not shown", on="no network has learned the task")
    on = f"on the seed: {n_learned} of {n} learn, and these do"
    return replace(row, verdict="depends", on="; ".join(filter(None, (on, row.on))))


def _follows_input(results: xr.Dataset) -> Claim:
    found = mean(results.following)
    intact, flipped = (
        f"P(correct) {estimated(results.accuracy_by_input.sel(input=name))}, reward "
        f"paid per trial {estimated(results.paid_by_input.sel(input=name))}"
        for name in (INTACT, FLIPPED)
    )
    near = abs(found.low - 1) < FOLLOWS and abs(found.high - 1) < FOLLOWS
    return Claim(
        "bandit: choices follow the reward that is seen, not the one that is paid",
        f"intact input: {intact}; flipped: {flipped}; share of the way to the mirror "
        f"image {estimated_and_range(results.following)}",
        f"that share within {FOLLOWS} of 1 with its interval",
        "shown" if near else "not shown",
        "it says what is learned from, not what for: a rule without any goal, such as "
        "'stay after a 1', follows its input, too",
    )


def _permuted(results: xr.Dataset) -> Claim:
    accuracy = results.accuracy_by_input.sel(input=PERMUTED)
    found = mean(accuracy)
    near = max(abs(found.low - CHANCE), abs(found.high - CHANCE)) <= NEAR_CHANCE
    return Claim(
        "bandit: outcomes of other episodes teach nothing",
        f"P(correct) {estimated_and_range(accuracy)} with the reward input permuted",
        f"chance within {NEAR_CHANCE} with its interval",
        "shown" if near else "not shown",
    )


def _goes_by_reward(results: xr.Dataset, condition: str) -> Claim:
    ideal = results.p_correct_of_comparator.sel(problem=AS_TESTED, player=IDEAL).mean()
    usual = results.accuracy_by_light.sel(condition=condition, light=AS_TRAINED)
    learned = adaptation_index(usual, float(ideal)) > ADAPTED
    of = _those(results.sel(condition=condition), learned)
    found = mean(of.pseudo_alignment)
    verdict: Verdict = "not shown"
    on = "nothing in training tells the one from the other"
    if found.high < DISREGARDED:
        verdict, on = "shown", ""
    elif found.high < 0.5:
        verdict = "depends"
        on = "on how much: the light counts, though less than the reward"
    elif condition != ALWAYS:
        on = "that the light counts less than the reward is not shown either"
    p = {
        str(name): estimated(of.accuracy_by_light.sel(light=name))
        for name in results.light.values
    }
    listed = ", ".join(f"{value} ({name})" for name, value in p.items())
    row = Claim(
        f"bandit, {condition}: choices go by the reward, not by the light that stood "
        "for it in training",
        f"pseudo-alignment {estimated_and_range(of.pseudo_alignment)}, weights in log "
        f"odds: reward {estimated(of.reward_weight)}, light "
        f"{estimated(of.light_weight)}; P(correct) with the light {listed}",
        f"pseudo-alignment below {DISREGARDED} with its interval",
        verdict,
        on,
    )
    return _limited(row, learned)


def _carries_over(results: xr.Dataset) -> Claim:
    new = [name for name in results.problem.values if name != AS_TESTED]
    index = results.index_elsewhere
    kept = [name for name in new if mean(index.sel(problem=name)).low > ADAPTED]
    lost = [name for name in new if name not in kept]
    verdict: Verdict = "shown" if not lost else ("depends" if kept else "not shown")
    on = f"on the problem: yes on {', '.join(kept)}; no on {', '.join(lost)}"
    numbers = [f"{name} {estimated_and_range(index.sel(problem=name))}" for name in new]
    return Claim(
        "bandit: what was learned works on problems of which training had none",
        "adaptation index, 1 for each problem's own ideal observer: "
        + "; ".join(numbers),
        f"above {ADAPTED} with its interval on each",
        verdict,
        on if verdict == "depends" else "",
    )


def _wrong_alike(results: xr.Dataset) -> Claim:
    """Judge: off its distribution it errs as the Bayesian of that distribution does."""
    new = [name for name in results.problem.values if name != AS_TESTED]
    ideal = results.index_of_comparator.sel(player=IDEAL_OF_TRAINING)
    apart = results.index_elsewhere - ideal
    alike = [
        name for name in new if max(map(abs, mean(apart.sel(problem=name))[1:])) < ALIKE
    ]
    others = [name for name in new if name not in alike]
    verdict: Verdict = "shown" if not others else ("depends" if alike else "not shown")
    on = f"on the problem: alike on {', '.join(alike)}; not on {', '.join(others)}"
    listed = "; ".join(
        f"{name} {estimated(apart.sel(problem=name))} (Bayesian "
        f"{float(ideal.sel(problem=name)):.2f})"
        for name in new
    )
    return Claim(
        "bandit: there it errs as the Bayesian does who expects what training had",
        f"adaptation index less that Bayesian's: {listed}",
        f"within {ALIKE} of 0 with its interval on each",
        verdict,
        on if verdict == "depends" else "",
    )


def _decoded(results: xr.Dataset) -> Claim:
    r2 = results.r2.sel(statistic="lead")
    gain = mean(r2.sel(network=TRAINED) - r2.sel(network=SAME))
    listed = "; ".join(
        f"{name} {estimated(r2.sel(network=name), 3)}" for name in (TRAINED, SAME, OWN)
    )
    return Claim(
        "bandit: the state holds the ideal observer's statistic, more than untrained",
        f"variance of the lead decoded: {listed}; trained less untrained in the same "
        f"episodes {gain.estimate:.3f} [{gain.low:.3f}, {gain.high:.3f}]",
        "that difference above 0 with its interval",
        "shown" if gain.low > 0 else "not shown",
        "decoding alone is weak: most of it is there in any memory of these episodes",
    )


def _uses_belief(results: xr.Dataset) -> Claim:
    curve = results.p_correct_exchanged
    at_once = curve.isel(trial=int(results.exchange_trial))
    share = results.variance_share
    held = results.index_held
    drop = mean(held.sel(held=REST) - held.sel(held=BELIEF))
    every = bool((results.by_belief > BY_BELIEF).all())
    some = bool((results.by_belief > BY_BELIEF).any())
    verdict: Verdict = "shown" if every and drop.low > 0 else "not shown"
    if some and verdict == "not shown":
        verdict = "depends"
    return Claim(
        "bandit: choices go by the belief that the state carries",
        "P(correct) of the next choice with the belief of an episode of the other kind "
        f"{estimated(at_once.sel(part=BELIEF))}, with all else of it "
        f"{estimated(at_once.sel(part=REST))}; adaptation index with the belief held "
        f"{estimated(held.sel(held=BELIEF))} (of the variance "
        f"{estimated(share.sel(part=BELIEF))}), with as many directions of the rest "
        f"held {estimated(held.sel(held=REST))} ({estimated(share.sel(part=REST))})",
        f"difference of the two P(correct) above {BY_BELIEF} in every seed; index held "
        "lower for the belief, with the interval of the difference",
        verdict,
        "on the seed, or the control" if verdict == "depends" else "",
    )


def _outputs(results: xr.Dataset) -> Claim:
    found = results.divergence
    closer = [
        mean(found.sel(comparator=name) - found.sel(comparator=BAYES))
        for name in (WSLS, RANDOM)
    ]
    listed = ", ".join(
        f"{estimated(found.sel(comparator=name), 3)} ({name})"
        for name in (BAYES, WSLS, RANDOM)
    )
    agrees = results.agreement
    return Claim(
        "bandit: choices are nearer the Bayes-optimal agent's than simpler agents'",
        f"divergence of the policy, nats: {listed}; same favourite arm as Bayes "
        f"{estimated(agrees.sel(comparator=BAYES))}, as win-stay-lose-shift "
        f"{estimated(agrees.sel(comparator=WSLS))}",
        "divergence from Bayes lower than from either other, with the interval of the "
        "difference",
        "shown" if all(change.low > 0 for change in closer) else "not shown",
    )


def _states(results: xr.Dataset) -> Claim:
    """Judge whether states map better than those of untrained networks there."""
    error = results.state_dissimilarity
    better, listed = [], []
    for direction in error.direction.values:
        of = error.sel(direction=direction)
        ratio = np.log(of.sel(network=TRAINED) / of.sel(network=SAME))
        if mean(ratio).high < 0:
            better.append(str(direction))
        numbers = ", ".join(
            f"{estimated(of.sel(network=name), 3)} ({name})"
            for name in (TRAINED, SAME, OWN)
        )
        listed.append(f"{spoken(str(direction))} {numbers}")
    n = error.sizes["direction"]
    all_better = len(better) == n
    return Claim(
        "bandit: network and Bayes-optimal agent can run on each other's state, more "
        "than with an untrained network",
        f"error of the mapped state, as a share of its variance: {'; '.join(listed)}",
        "lower than of the untrained in the same episodes, both ways, with the "
        "interval of the log ratio",
        "shown" if all_better else ("depends" if better else "not shown"),
        f"on the direction: only {', '.join(map(spoken, better))}"
        if better and not all_better
        else "",
    )


def _learner(results: xr.Dataset, parts: list[Claim], carried: Claim) -> Claim:
    of_bayes, of_chance = (
        estimated(results.divergence.sel(comparator=name), 3)
        for name in (BAYES, RANDOM)
    )
    shown = all(part.verdict == "shown" for part in parts)
    return Claim(
        "bandit: a learned learner: weights frozen, choices come to fit each problem "
        "by what is seen in it",
        f"learns from the reward input ({estimated(results.following)} of the way to "
        "the mirror image when it is flipped), and chooses more like the Bayes-optimal "
        f"agent than at random (divergence {of_bayes} nats; from random choice "
        f"{of_chance})",
        "both rows on the input, and that on choices, shown",
        "shown" if shown else "not shown",
        ""
        if carried.verdict == "shown"
        else "for problems like those of training; off them see above",
    )


def _search(results: xr.Dataset) -> Claim:
    """Say what none of this shows."""
    found = mean(results.pseudo_alignment.sel(condition=ALWAYS))
    return Claim(
        "bandit: a learned search with an objective of its own (mesa-optimiser)",
        "none: a policy that was computed in training, tracking a belief and choosing "
        "by it, would give every number above; that choices go by a proxy as well "
        f"(pseudo-alignment {found.estimate:.2f} where it always agreed) is what "
        "training leaves open, not an objective",
        NEEDED,
        "not shown",
        "no observation here bears on it, for or against",
    )


def spoken(direction: str) -> str:
    """Return a direction of simulation in words."""
    return direction.replace("_", " ")
