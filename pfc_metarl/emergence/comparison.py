"""Experiments that put conditions side by side, each judged by the criterion."""

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
import xarray as xr

from pfc_metarl.configuration import Configuration
from pfc_metarl.emergence.cell import Cell
from pfc_metarl.emergence.criterion import measure
from pfc_metarl.emergence.experiment import Claim, Experiment, Plan, Runs, Verdict
from pfc_metarl.emergence.intervals import Interval, mean, wilson
from pfc_metarl.emergence.setting import SETTINGS
from pfc_metarl.network import Network

INTACT = "intact"

KEPT = (
    "p_correct",
    "p_correct_by_side",
    "adaptation_index",
    "low",
    "high",
    "late_index",
    "first",
    "after_reset",
    "slope",
    "reward",
    "regret",
    "emerged",
    "competent_at",
    "diverged_at",
)


class Comparison(Experiment):
    """Conditions side by side: same seeds, same test episodes."""

    @abstractmethod
    def conditions(self, intact: Configuration) -> Mapping[str, Configuration]:
        """Return what to train, by condition, from the intact system."""

    def untrained(self, intact: Configuration) -> Mapping[str, Configuration]:
        """Return conditions whose networks are tested as they are drawn."""
        return {}

    def cells(self, plan: Plan) -> Mapping[tuple[str, str], Cell]:
        """Return the cells of every setting and condition."""
        return {
            (setting, condition): Cell(configuration, setting)
            for setting in plan.settings
            for condition, configuration in self.conditions(
                SETTINGS[setting].configuration(plan.seeds, plan.kernels)
            ).items()
        }

    def analyse(self, plan: Plan, runs: Runs) -> xr.Dataset:
        """Put the measures of all cells side by side.

        Returns
        -------
        xarray.Dataset
            What :func:`pfc_metarl.emergence.cell.measured` tells, with the dimensions
            (setting, condition) in front; NaN for conditions that a setting does not
            have. ``regret`` of an episode, in rewards; ``episodes_to_competence``:
            training episodes until a seed was first competent, NaN: never;
            ``episodes``: all it was trained for; ``ideal_accuracy`` and
            ``one_trial_index`` by setting.
        """
        by_cell: dict[tuple[str, str], xr.Dataset] = {}
        for (setting, condition), cell in self.cells(plan).items():
            learning = cell.configuration.learning
            found = with_regret(runs.measured(cell), setting)
            at = found.competent_at
            found["episodes_to_competence"] = at.where(at >= 0) * learning.batch
            found["episodes"] = xr.full_like(at, learning.batch * learning.updates)
            by_cell[setting, condition] = found
        for setting in plan.settings:
            intact = SETTINGS[setting].configuration(plan.seeds, plan.kernels)
            for condition, configuration in self.untrained(intact).items():
                network = Network(
                    configuration.network, configuration.task, range(plan.seeds)
                )
                one_trial = SETTINGS[setting].one_trial
                found = measure(configuration, network, one_trial)
                by_cell[setting, condition] = with_regret(found, setting)
        return side_by_side(by_cell)


def with_regret(measured: xr.Dataset, setting: str) -> xr.Dataset:
    """Add the expected ``regret`` of a test episode, (seed,), in rewards."""
    lost = (1 - measured.p_correct).sum("trial", skipna=False)
    return measured.assign(regret=SETTINGS[setting].stake * lost)


def side_by_side(by_cell: Mapping[tuple[str, str], xr.Dataset]) -> xr.Dataset:
    """Put measures side by side, by (setting, condition)."""
    settings = list(dict.fromkeys(setting for setting, _ in by_cell))
    parts = []
    for setting in settings:
        of_setting = {c: m for (s, c), m in by_cell.items() if s == setting}
        names = [*KEPT, "episodes_to_competence", "episodes"]
        kept = [
            found[[name for name in names if name in found]].astype(float)
            for found in of_setting.values()
        ]
        condition = xr.IndexVariable("condition", list(of_setting))
        part = xr.concat(kept, condition, data_vars="all", combine_attrs="drop")
        attrs = next(iter(of_setting.values())).attrs
        parts.append(
            part.assign(
                ideal_accuracy=attrs["ideal_accuracy"],
                one_trial_index=attrs["one_trial_index"],
            )
        )
    return xr.concat(
        parts, xr.IndexVariable("setting", settings), join="outer", combine_attrs="drop"
    )


def fraction_emerged(results: xr.Dataset, setting: str, condition: str) -> Interval:
    """Return the share of seeds in which a learner emerged, with Wilson's interval."""
    emerged = results.emerged.sel(setting=setting, condition=condition).values
    return wilson(int(emerged.sum()), emerged.size)


def index(results: xr.Dataset, setting: str, condition: str) -> Interval:
    """Return the mean adaptation index over seeds, with its interval."""
    found = results.adaptation_index.sel(setting=setting, condition=condition)
    return mean(found.values)


def in_words(results: xr.Dataset, setting: str, condition: str) -> str:
    """Say what a condition showed: seeds that emerged, adaptation index."""
    emerged = results.emerged.sel(setting=setting, condition=condition).values
    share = fraction_emerged(results, setting, condition)
    seeds = results.adaptation_index.sel(setting=setting, condition=condition)
    found = mean(seeds.dropna("seed").values)
    numbers = [_two_places(x) for x in (*found, float(seeds.min()), float(seeds.max()))]
    regret = ""
    if "regret" in results:
        lost = results.regret.sel(setting=setting, condition=condition)
        regret = f", regret {_two_places(float(lost.mean()))}"
    return (
        f"{condition}: {int(np.nansum(emerged))}/{emerged.size} emerged "
        f"[{share.low:.2f}, {share.high:.2f}], AI {numbers[0]} "
        f"[{numbers[1]}, {numbers[2]}], seeds {numbers[3]} to {numbers[4]}{regret}"
    )


def _n_diverged(results: xr.Dataset, setting: str, condition: str) -> int:
    at = results.diverged_at.sel(setting=setting, condition=condition)
    return int((at >= 0).sum())


def _two_places(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # without the sign of a zero


def removal(
    results: xr.Dataset, setting: str, condition: str, mark: str, within: xr.DataArray
) -> Claim:
    """Judge whether nothing emerges in a condition that lacks something.

    That shows something only if the intact system emerges.

    Parameters
    ----------
    results
        Of :meth:`Comparison.analyse`, with the intact system.
    setting, condition
        Where, and which.
    mark
        In words, what its seeds must keep beside not emerging.
    within
        (seed,) whether each does.
    """
    emerged = results.emerged.sel(setting=setting)
    n, n_intact = emerged.sizes["seed"], int(emerged.sel(condition=INTACT).sum())
    n_emerged = int(emerged.sel(condition=condition).sum())
    verdict: Verdict = "shown"
    on = ""
    if n_emerged:
        verdict, on = "not shown", f"{n_emerged} of {n} seeds emerge without it"
    elif not n_intact:
        verdict, on = "not shown", "nothing emerges in the intact system either"
    elif n_intact < n:
        verdict, on = "depends", f"the intact system emerges in {n_intact} of {n} seeds"
    elif "diverged_at" in results and (
        diverged := _n_diverged(results, setting, condition)
    ):
        verdict, on = "depends", f"training diverged in {diverged} of {n} seeds"
    elif not within.all():
        verdict, on = (
            "depends",
            "on the mark: no seed emerges, but something is learned",
        )
    return Claim(
        f"{setting}: no learner emerges: {condition}",
        in_words(results, setting, condition),
        f"no seed emerges; {mark}",
        verdict,
        on,
    )
