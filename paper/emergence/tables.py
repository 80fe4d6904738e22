"""Tables of the report: every seed, the scale, what each condition changes."""

from collections.abc import Hashable, Iterator
from itertools import product

import numpy as np
import xarray as xr

from pfc_metarl.configuration import Configuration
from pfc_metarl.emergence.experiment import Experiment, Plan
from pfc_metarl.emergence.levels import CHANCE
from pfc_metarl.emergence.setting import SETTINGS
from pfc_metarl.paper.emergence.blocks import Block, Strong, Table, Text
from pfc_metarl.paper.emergence.captions import number
from pfc_metarl.paper.emergence.panels import mean_accuracies, of_setting

PARTS = {
    "low": "AI, lower end",
    "late_index": "AI of the last trials",
    "first": "P(correct) on trial 1",
    "after_reset": "after the reset",
    "slope": "slope per trial",
    "competent_at": "updates until competent",
}
"""What the criterion looks at, by seed, and what the table calls it."""

ROWS_AT_MOST = 24
NOTHING = "nothing"


def scale(results: xr.Dataset) -> Table:
    """Return what chance, one trial's memory and the ideal observer reach."""
    rows: list[tuple[Text, ...]] = []
    for setting in results.setting.values:
        of = of_setting(results, setting)
        one = SETTINGS[str(setting)].one_trial
        indices = (1.0, float(of.one_trial_index), 0.0)
        for (name, accuracy), index in zip(
            mean_accuracies(of).items(), indices, strict=True
        ):
            who = f"{name} ({one})" if accuracy > CHANCE and index < 1 else name
            rows.append((str(setting), who, number(accuracy, 3), number(index)))
    head = ("setting", "player", "P(correct)", "AI")
    return Table("The scale, on the test episodes", head, tuple(rows))


def by_seed(results: xr.Dataset) -> Iterator[Block]:
    """Yield what is known of every seed, those that failed and diverged included."""
    if "emerged" in results and "adaptation_index" in results:
        yield _emergence(results)
        if results.sizes["condition"] == 1:
            yield _parts_of_the_criterion(results)
    else:
        yield from _measures(results)


def _emergence(results: xr.Dataset) -> Table:
    rows = []
    for label, of in _conditions(results):
        cells = [_seed(of.sel(seed=seed)) for seed in of.seed.values]
        n_emerged = int((of.emerged > 0).sum())
        rows.append((label, *cells, f"{n_emerged} of {of.sizes['seed']}"))
    head = ("condition", *(f"seed {n}" for n in results.seed.values), "emerged")
    caption = (
        "Adaptation index by seed. Yes: it meets the criterion, a learner emerged. "
        "Diverged: training failed in that update."
    )
    return Table(caption, head, tuple(rows), "seeds")


def _conditions(results: xr.Dataset) -> Iterator[tuple[str, xr.Dataset]]:
    """Yield every condition that was tested, with its setting where there are some."""
    settings = results.setting.values if "setting" in results.dims else [None]
    for setting, condition in product(settings, results.condition.values):
        of = results.sel(condition=condition)
        of = of if setting is None else of.sel(setting=setting)
        if of.emerged.notnull().any():
            yield (condition if setting is None else f"{setting}: {condition}"), of


def _seed(of: xr.Dataset) -> Text:
    index = float(of.adaptation_index)
    words = "no number" if np.isnan(index) else number(index)
    if "diverged_at" in of and float(of.diverged_at) >= 0:
        words += f", diverged in update {int(of.diverged_at)}"
    elif "diverged" in of and float(of.diverged) > 0:
        words += ", diverged"
    return (Strong(f"{words} yes"),) if float(of.emerged) > 0 else words


def _parts_of_the_criterion(results: xr.Dataset) -> Table:
    names = [name for name in PARTS if name in results]
    rows: list[tuple[Text, ...]] = []
    for label, of in _conditions(results):
        for seed in of.seed.values:
            one = of.sel(seed=seed)
            values = [_value(name, float(one[name])) for name in names]
            rows.append((f"{label}, seed {seed}", _seed(one), *values))
    head = ("seed", "AI", *(PARTS[name] for name in names))
    return Table("What the criterion looks at, by seed", head, tuple(rows), "seeds")


def _value(name: str, value: float) -> str:
    if np.isnan(value):
        return "no number"
    if name == "competent_at":
        return "never" if value < 0 else f"{value:.0f}"
    return number(value, 4 if name == "slope" else 3)


def _measures(results: xr.Dataset) -> Iterator[Block]:
    """Yield the numbers by seed of an experiment with measures of its own."""
    rows: list[tuple[Text, ...]] = []
    for name, values in results.data_vars.items():
        others = [dim for dim in values.dims if dim != "seed"]
        size = int(np.prod([values.sizes[dim] for dim in others]))
        if "seed" in values.dims and size <= ROWS_AT_MOST:
            rows += _rows(str(name), values, others)
    if rows:
        head = ("measure", *(f"seed {n}" for n in results.seed.values))
        yield Table("Measures by seed", head, tuple(rows), "seeds")


def _rows(
    name: str, values: xr.DataArray, others: list[Hashable]
) -> Iterator[tuple[Text, ...]]:
    for place in product(*(range(values.sizes[dim]) for dim in others)):
        at = dict(zip(others, place, strict=True))
        of = values.isel(at)
        named = ", ".join(
            f"{dim} {of[dim].item()}" for dim in others if dim in of.coords
        )
        label = f"{name} ({named})" if named else name
        yield label, *(f"{float(value):.3g}" for value in of)


def changed_by_condition(experiment: Experiment, plan: Plan) -> Iterator[Block]:
    """Yield what each condition changes in the intact system of its setting."""
    rows = []
    for (setting, condition), cell in experiment.cells(plan).items():
        if setting in SETTINGS:
            intact = SETTINGS[setting].configuration(plan.seeds, plan.kernels)
            changed = "; ".join(differences(intact, cell.configuration))
            rows.append((f"{setting}: {condition}", changed or NOTHING))
    if len(rows) <= ROWS_AT_MOST and any(row[1] != NOTHING for row in rows):
        head = ("condition", "differs from the intact system in")
        yield Table("What is trained, by condition", head, tuple(rows))


def differences(one: Configuration, other: Configuration) -> list[str]:
    """Return in which settings a configuration differs from another, and how."""
    found = []
    for part in ("network", "learning", "curriculum", "task", "tested_on"):
        mine, its = vars(getattr(one, part)), vars(getattr(other, part))
        found += [
            f"{name} {its.get(name)} (instead of {mine.get(name)})"
            for name in dict.fromkeys([*mine, *its])
            if mine.get(name) != its.get(name)
        ]
    return found
