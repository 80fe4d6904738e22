"""E9: reward prediction errors are those of a learner that infers, and has a model."""

from collections.abc import Mapping
from dataclasses import replace

import xarray as xr

from pfc_metarl.configuration import FAST, Configuration
from pfc_metarl.emergence.cell import Cell
from pfc_metarl.emergence.comparison import INTACT
from pfc_metarl.emergence.experiment import Claim, Experiment, Plan, Runs
from pfc_metarl.emergence.inferred_values import (
    APPEARANCE,
    OUTCOME,
    VALUE,
    inference,
)
from pfc_metarl.emergence.intervals import mean
from pfc_metarl.emergence.setting import SETTINGS
from pfc_metarl.emergence.two_step_errors import explained_errors
from pfc_metarl.emergence.wording import estimated, estimated_and_range, of_every_seed
from pfc_metarl.tasks.inferred_value import InferredValue

INFERRED_VALUE, TWO_STEP = "inferred-value", "two-step"
TASK = InferredValue()
LEARNING = replace(FAST, value_cost=1.0, updates=200)
"""Settings that learn the values soonest (a guess: by measurement, seeds 100 to 107).

The value costs more than in the two-step task: here every response is instructed, and
only the critic has anything to learn from the past.
"""
EPISODES = 1000
RECORDED_EPISODES = 30  # Wang et al. 2018, RPE analysis of simulation 4
INFERS = 0.8
Z = 1.96  # of a 95 % interval


class InferredValueAndModel(Experiment):
    """Whether RPEs hold what was not experienced: a target's value, and transitions.

    In the inferred-value task the side that pays changes. Networks see the target of
    one side fail to pay; then comes the other, and its RPE tells what they expect. In
    the two-step task the RPEs are regressed on those of a model-based and of a
    model-free learner, whose rates are fitted to the networks' choices.
    """

    name = "E9"
    title = "Reward prediction errors reflect inference"

    def cells(self, plan: Plan) -> Mapping[tuple[str, str], Cell]:
        """Return the inferred-value cell, and the two-step cell that E1 has too."""
        two_step = SETTINGS[TWO_STEP].configuration(plan.seeds, plan.kernels)
        return {
            (INFERRED_VALUE, INTACT): Cell(inferring(plan)),
            (TWO_STEP, INTACT): Cell(two_step, TWO_STEP),
        }

    def analyse(self, plan: Plan, runs: Runs) -> xr.Dataset:
        """Measure inference around reversals, and what explains the two-step RPEs.

        Returns
        -------
        xarray.Dataset
            Of :func:`pfc_metarl.emergence.inferred_values.inference` and
            :func:`pfc_metarl.emergence.two_step_errors.explained_errors`.
        """
        inferred, two_step = self.cells(plan).values()
        return xr.merge(
            [
                inference(TASK, runs.networks(inferred), LEARNING.discount, EPISODES),
                explained_errors(
                    two_step.configuration.tested_on,
                    runs.networks(two_step),
                    two_step.configuration.learning.discount,
                    RECORDED_EPISODES,
                ),
            ]
        )

    def claims(self, results: xr.Dataset) -> list[Claim]:
        """Judge: the sign, the index, and the semipartial r2 of either learner."""
        return [
            _sign(results),
            _index(results),
            _errors(results, "stage2", "on reaching the second step"),
            _errors(results, "reward", "on the outcome"),
        ]


def inferring(plan: Plan) -> Configuration:
    """Return the system that learns the inferred-value task."""
    return Configuration(
        INFERRED_VALUE,
        TASK,
        "emergence",
        plan.seeds,
        learning=LEARNING,
        kernels=plan.kernels,
        test_episodes=EPISODES,
        recorded_episodes=0,
    )


def flips(results: xr.Dataset) -> xr.DataArray:
    """Return in which seeds the RPE on a target not seen again changes its sign.

    Each seed is held against its own interval: the contrast before the reversal is
    told, and the one that is inferred, are more than 1.96 standard errors below and
    above 0.
    """
    contrast = results.contrast.sel(measure=APPEARANCE, drop=True)
    margin = Z * results.sem.sel(measure=APPEARANCE, drop=True)
    below, above = contrast + margin < 0, contrast - margin > 0
    stale, turned = below.sel(when="before"), above.sel(when="inferred")
    changes: xr.DataArray = stale.drop_vars("when") & turned.drop_vars("when")
    return changes


def _of_players(values: xr.DataArray) -> str:
    return ", ".join(
        f"{name} {float(values.sel(player=name).round(2)) + 0.0:.2f}"
        for name in values.player.values
    )


def _sign(results: xr.Dataset) -> Claim:
    contrast = results.contrast.sel(measure=APPEARANCE)
    words = [f"{w} {estimated(contrast.sel(when=w))}" for w in contrast.when.values]
    flipped = flips(results)
    verdict, on = of_every_seed(flipped)
    players = results.contrast_of_player.sel(measure=APPEARANCE, when="inferred")
    return Claim(
        "inferred value: after one outcome the RPE on the other target changes sign",
        "RPE on the target that now pays minus on the one that does not: "
        f"{'; '.join(words)}; {int(flipped.sum())} of {flipped.size} seeds change sign "
        f"(inferred by players: {_of_players(players)})",
        "in every seed below 0 before and above 0 inferred, by its own interval",
        verdict,
        on,
    )


def _index(results: xr.Dataset) -> Claim:
    value, outcome = (results["index"].sel(measure=name) for name in (VALUE, OUTCOME))
    verdict, on = of_every_seed((value > INFERS).values & flips(results).values)
    players = results.index_of_player.sel(measure=VALUE)
    return Claim(
        "inferred value: a value that is inferred changes as much as one experienced",
        "inferred change / experienced change, of the target's value: "
        f"{estimated_and_range(value)}; of the outcome's RPE: "
        f"{estimated_and_range(outcome)} (value, players: {_of_players(players)})",
        f"value's above {INFERS} in every seed, and its RPE changes sign",
        verdict,
        on,
    )


def _errors(results: xr.Dataset, epoch: str, meaning: str) -> Claim:
    """Judge an epoch: the model-based learner explains more that the other does not."""
    words, better = [], {}
    for trial_set in results.trial_set.values:
        of = results.sel(epoch=epoch, trial_set=trial_set)
        based, free = (
            of.semipartial_r2.sel(comparator=name, drop=True)
            for name in ("model_based", "model_free")
        )
        marginal = of.r2.mean("seed")
        better[trial_set] = mean(based - free).low > 0
        words.append(
            f"{trial_set} trials: model-based {estimated_and_range(based, 3)}, "
            f"model-free {estimated_and_range(free, 3)}, difference "
            f"{estimated(based - free, 3)} (marginal r2 "
            f"{float(marginal.sel(comparator='model_based')):.2f} and "
            f"{float(marginal.sel(comparator='model_free')):.2f})"
        )
    only = [str(name) for name, good in better.items() if good]
    everywhere = len(only) == len(better)
    return Claim(
        f"two-step: RPEs {meaning} are a model-based learner's",
        f"semipartial r2; {'; '.join(words)}",
        "larger for the model-based learner, difference above 0 with its interval, on "
        "all trials and on rare transitions",
        "shown" if everywhere else ("depends" if only else "not shown"),
        f"only on {only[0]} trials" if only and not everywhere else "",
    )
