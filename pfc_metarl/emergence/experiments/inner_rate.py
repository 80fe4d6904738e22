"""E7: the inner learning rate follows volatility, while the outer one is fixed."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import xarray as xr

from pfc_metarl.analysis import inner_learning_rate, outcome_weights
from pfc_metarl.configuration import FAST_BANDIT, Configuration
from pfc_metarl.emergence.cell import Cell
from pfc_metarl.emergence.experiment import Claim, Experiment, Plan, Runs
from pfc_metarl.emergence.intervals import mean, sign_test
from pfc_metarl.network import NetworkSettings
from pfc_metarl.recording import TEST_SEED, behaviour, play
from pfc_metarl.seeds import generator
from pfc_metarl.simulation import subject_names
from pfc_metarl.tasks.base import side_by_side
from pfc_metarl.tasks.observers.volatility import FixedRate
from pfc_metarl.tasks.volatility import Volatility, stable_and_volatile

SHIFTING, CONSTANT, FIXED_RATE = (
    "trained on shifting volatility",
    "trained on one volatility",
    "fixed learning rate 0.2",
)
TASK = Volatility()
ONE_VOLATILITY = replace(TASK, volatilities=(0.03,), payoffs=(0.8,))
"""Never anything to adapt to: between stable and volatile (a guess)."""

TEST = replace(stable_and_volatile(), payoffs=(0.8, 0.8))
"""Halves of an episode that differ in nothing but volatility."""

LEARNING = replace(FAST_BANDIT, learning_rate=1e-2, discount=0.0, updates=120)
"""Guesses: chosen by measurement, on seeds from 100 on and validation episodes."""

UNITS = 48
N_EPISODES = 150
MARK = 0.03
"""A guess: no learner with one rate or one hazard was seen to reach it (0.026)."""


class InnerRate(Experiment):
    """Fit learning rates to the choices of frozen networks, by volatility."""

    name = "E7"
    title = "The inner learning rate adapts"

    def cells(self, plan: Plan) -> Mapping[tuple[str, str], Cell]:
        """Return training on shifting volatility, and on one."""
        tasks = {SHIFTING: TASK, CONSTANT: ONE_VOLATILITY}
        return {
            ("volatility", condition): Cell(
                Configuration(
                    "volatility",
                    task,
                    "emergence",
                    plan.seeds,
                    network=NetworkSettings(units=UNITS),
                    learning=LEARNING,
                    kernels=plan.kernels,
                    test_task=TEST,
                    test_episodes=N_EPISODES,
                    recorded_episodes=0,
                )
            )
            for condition, task in tasks.items()
        }

    def analyse(self, plan: Plan, runs: Runs) -> xr.Dataset:
        """Fit rates to networks, and to a learner that has one.

        Returns
        -------
        xarray.Dataset
            (condition, seed, volatility) ``learning_rate`` with ``standard_error``, and
            ``last_outcome_share``, its estimate free of a model; (condition, seed)
            ``difference`` of the rates, volatile - stable, ``share_difference``,
            ``bic_difference`` (free rates - common rate; below 0: they differ) and
            ``common_learning_rate``. ``outer_learning_rate`` of the weights, which are
            frozen when this is measured.
        """
        by_condition = {
            condition: _rates(_of_networks(runs, cell))
            for (_, condition), cell in self.cells(plan).items()
        }
        by_condition[FIXED_RATE] = _rates(_of_one_rate(plan.seeds))
        names = xr.IndexVariable("condition", list(by_condition))
        results = xr.concat(list(by_condition.values()), names, combine_attrs="drop")
        return results.assign(outer_learning_rate=LEARNING.learning_rate)

    def claims(self, results: xr.Dataset) -> list[Claim]:
        """Judge against the learner with one rate and networks without need of more."""
        of = {name: results.sel(condition=name) for name in results.condition.values}
        shifting, constant = of[SHIFTING], of[CONSTANT]
        difference = mean(shifting.difference)
        p = sign_test(shifting.difference)
        n = shifting.sizes["seed"]
        preferred = int((shifting.bic_difference < 0).sum())
        rates = shifting.learning_rate.mean("seed").values
        shown = (
            bool((shifting.difference > MARK).all())
            and p < 0.01
            and preferred == n
            and bool((shifting.share_difference > 0).all())
        )
        control = mean(constant.difference)
        fixed = mean(of[FIXED_RATE].difference)
        controls = bool((abs(constant.difference) < MARK).all()) and bool(
            (abs(of[FIXED_RATE].difference) < MARK).all()
        )
        share = mean(shifting.share_difference)
        paired = mean(shifting.difference - constant.difference)
        return [
            Claim(
                "volatility: the inner learning rate is higher where the world is "
                "volatile, weights frozen",
                f"rate {rates[0]:.3f} stable, {rates[1]:.3f} volatile; difference "
                f"{difference.estimate:.3f} [{difference.low:.3f}, "
                f"{difference.high:.3f}], positive in "
                f"{int((shifting.difference > 0).sum())} of {n} seeds, sign test "
                f"p = {p:.2g}; BIC prefers two rates in {preferred} of {n}; share of "
                f"the last outcome {share.estimate:+.3f} [{share.low:+.3f}, "
                f"{share.high:+.3f}]",
                f"every seed above {MARK}, sign test p < .01 (8 seeds), BIC and share "
                "of the last outcome agree in every seed",
                "shown" if shown else "not shown",
                ""
                if 2 / 2**n < 0.01
                else f"with {n} seeds the sign test cannot be below {2 / 2**n:.2g}",
            ),
            Claim(
                "volatility: it is learned, from volatility that shifts",
                f"networks trained on one volatility {control.estimate:+.3f} "
                f"[{control.low:+.3f}, {control.high:+.3f}], a learner of one rate "
                f"{fixed.estimate:+.3f} [{fixed.low:+.3f}, {fixed.high:+.3f}]; "
                f"shifting - one, same seeds, {paired.estimate:+.3f} "
                f"[{paired.low:+.3f}, {paired.high:+.3f}]",
                f"every control within {MARK} of 0, paired difference above 0",
                "shown" if controls and paired.low > 0 else "not shown",
            ),
        ]


def _of_networks(runs: Runs, cell: Cell) -> xr.Dataset:
    network = runs.networks(cell)
    played = play(network, TEST, N_EPISODES)
    return behaviour(played.episodes, subject_names(network.seeds), {})


def _of_one_rate(n_subjects: int) -> xr.Dataset:
    """Let a learner of one rate play, each subject test episodes of its own."""
    tapes = [
        TEST.draw(N_EPISODES, generator(TEST_SEED + subject, "test episodes"))
        for subject in range(n_subjects)
    ]
    draw = generator(TEST_SEED, "observer")
    episodes = FixedRate(TEST).play(side_by_side(tapes), draw)
    return behaviour(episodes, [f"subject {n}" for n in range(n_subjects)], {})


def _rates(table: xr.Dataset) -> xr.Dataset:
    """Return what is fitted to the choices of every subject."""
    fits, weights = inner_learning_rate(table), outcome_weights(table)

    def more_if_volatile(values: xr.DataArray) -> xr.DataArray:
        return values.isel(condition=-1, drop=True) - values.isel(
            condition=0, drop=True
        )

    free, common = (fits.bic.sel(model=m, drop=True) for m in ("free", "common"))
    result = xr.Dataset(
        {
            "learning_rate": fits.learning_rate,
            "standard_error": fits.standard_error,
            "last_outcome_share": weights.last_outcome_share,
            "difference": more_if_volatile(fits.learning_rate),
            "share_difference": more_if_volatile(weights.last_outcome_share),
            "bic_difference": free - common,
            "common_learning_rate": fits.common_learning_rate,
        }
    ).rename({"subject": "seed", "condition": "volatility"})
    return result.assign_coords(seed=np.arange(result.sizes["seed"]))
