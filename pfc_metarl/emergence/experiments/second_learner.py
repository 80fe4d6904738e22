"""E1: a second learning algorithm emerges, and it runs in the activity."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from pfc_metarl.configuration import Configuration
from pfc_metarl.emergence.comparison import INTACT, Comparison, fraction_emerged, index
from pfc_metarl.emergence.experiment import Claim, Plan, Runs
from pfc_metarl.emergence.intervals import mean
from pfc_metarl.emergence.levels import correct, levels
from pfc_metarl.interventions import Reset
from pfc_metarl.recording import play


class SecondLearner(Comparison):
    """Train, freeze, test; in the middle of the episode take the activity away."""

    name = "E1"
    title = "A second learner emerges"

    def conditions(self, intact: Configuration) -> Mapping[str, Configuration]:
        """Return the intact system alone."""
        return {INTACT: intact}

    def analyse(self, plan: Plan, runs: Runs) -> xr.Dataset:
        """Measure emergence; add the course with a reset, and what others achieve.

        Returns
        -------
        xarray.Dataset
            As :meth:`Comparison.analyse`, and (setting, seed, trial)
            ``p_correct_reset``: with memory and last inputs blanked at ``reset_trial``
            (setting); (setting, player, trial) ``p_correct_of_player``.
        """
        results = super().analyse(plan, runs)
        curves, of_players = [], []
        for (_, _), cell in self.cells(plan).items():
            configuration = cell.configuration
            task, n = configuration.tested_on, configuration.test_episodes
            reset = Reset((task.trials // 2,), blank=True)
            network = runs.networks(cell)
            episodes = play(network, task, n, intervention=reset).episodes
            curves.append(
                xr.DataArray(
                    correct(episodes).nanmean(-1).T.numpy(),
                    dims=("seed", "trial"),
                    coords={"seed": results.seed, "trial": np.arange(task.trials)},
                )
            )
            of_players.append(levels(task, n).p_correct)
        return results.assign(
            p_correct_reset=xr.concat(curves, results.setting),
            p_correct_of_player=xr.concat(of_players, results.setting, join="outer"),
            reset_trial=("setting", [curve.sizes["trial"] // 2 for curve in curves]),
        )

    def claims(self, results: xr.Dataset) -> list[Claim]:
        """Judge by the criterion, every seed."""
        rows = []
        for setting in results.setting.values:
            of = results.sel(setting=setting, condition=INTACT)
            n, emerged = of.sizes["seed"], int(of.emerged.sum())
            share, found = (
                fraction_emerged(results, setting, INTACT),
                index(results, setting, INTACT),
            )
            slope, loss = mean(of.slope), mean(of.after_reset)
            rows.append(
                Claim(
                    f"{setting}: a learner emerges in the activity of frozen networks",
                    f"{emerged} of {n} seeds meet the criterion [{share.low:.2f}, "
                    f"{share.high:.2f}]; adaptation index {found.estimate:.3f} "
                    f"[{found.low:.3f}, {found.high:.3f}]; P(correct) rises by "
                    f"{slope.estimate:.2g} a trial [{slope.low:.2g}, {slope.high:.2g}];"
                    f" after the reset {loss.estimate:.3f} "
                    f"[{loss.low:.3f}, {loss.high:.3f}]; weights' hashes unchanged",
                    "every seed meets the criterion",
                    "shown"
                    if emerged == n
                    else ("depends" if emerged else "not shown"),
                    "" if emerged in (0, n) else "on the seed",
                )
            )
        return rows
