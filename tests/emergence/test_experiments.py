"""Every experiment removes what it says it removes, and judges by what it measured."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from pfc_metarl.configuration import Configuration
from pfc_metarl.curriculum import Curriculum
from pfc_metarl.emergence import setting as settings
from pfc_metarl.emergence.cell import Cell, finish, is_finished, measured
from pfc_metarl.emergence.comparison import INTACT, Comparison, in_words, side_by_side
from pfc_metarl.emergence.experiment import Experiment, Plan, Runs
from pfc_metarl.emergence.experiments import EXPERIMENTS, experiment
from pfc_metarl.emergence.experiments.every_memory import (
    EveryMemory,
    matched_units,
    n_parameters,
)
from pfc_metarl.emergence.experiments.inputs_needed import InputsNeeded
from pfc_metarl.emergence.experiments.memory_needed import MemoryNeeded
from pfc_metarl.emergence.experiments.related_tasks_needed import RelatedTasksNeeded
from pfc_metarl.emergence.experiments.second_learner import SecondLearner
from pfc_metarl.emergence.experiments.shaping_needed import ShapingNeeded
from pfc_metarl.emergence.experiments.three_conditions import ALL, ThreeConditions
from pfc_metarl.emergence.setting import SETTINGS
from pfc_metarl.errors import InputError
from pfc_metarl.memory import MEMORIES, memory_class
from pfc_metarl.network import Network
from pfc_metarl.tasks.bandit import Bandit, medium_bandit
from pfc_metarl.tasks.two_step import TwoStep
from pfc_metarl.training import Progress

COMPARISONS = [e for e in EXPERIMENTS.values() if isinstance(e, Comparison)]
INTACT_SYSTEMS = {name: SETTINGS[name].configuration(8) for name in SETTINGS}
PLAN = Plan(seeds=2, settings=("bandit",))


def silent(progress: Progress) -> None:
    """Report to nobody."""


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the bandit's setting small enough to train in no time."""
    bandit = SETTINGS["bandit"]
    small = replace(
        bandit,
        task=Bandit(trials=22),
        test_task=replace(medium_bandit(), trials=22),
        learning=replace(bandit.learning, updates=2, batch=3),
        units=5,
    )
    monkeypatch.setitem(settings.SETTINGS, "bandit", small)


@pytest.fixture
def trained(tiny: None, tmp_path: Path) -> Runs:
    """Cells that the experiments below share."""
    torch.set_num_threads(1)
    for of in (SecondLearner(), ShapingNeeded()):
        for cell in of.cells(PLAN).values():
            finish(cell, tmp_path, silent)
    return Runs(tmp_path)


def differences(one: Configuration, two: Configuration) -> set[str]:
    """Names of the settings that differ."""
    found = set()
    for part in ("network", "learning", "curriculum"):
        mine, theirs = vars(getattr(one, part)), vars(getattr(two, part))
        found |= {f"{part}.{name}" for name in mine if mine[name] != theirs[name]}
    rest = replace(
        two, network=one.network, learning=one.learning, curriculum=one.curriculum
    )
    return found | (set() if rest == one else {"else"})


def test_names_are_those_of_the_card() -> None:
    assert list(EXPERIMENTS)[:3] == ["E1", "E2", "E3"]
    assert all(experiment(name).name == name for name in EXPERIMENTS)
    with pytest.raises(InputError, match="no experiment 'E99'; expected some of E1"):
        experiment("E99")


@pytest.mark.parametrize("of", COMPARISONS, ids=lambda e: e.name)
@pytest.mark.parametrize("task", sorted(INTACT_SYSTEMS))
def test_conditions_differ_in_what_they_remove_and_nothing_else(
    of: Comparison, task: str
) -> None:
    intact = INTACT_SYSTEMS[task]
    may_differ = {
        "E1": set(),
        "E2": {"network.memory", "network.horizon"},
        "E3": {"learning.memory_learns"},
        "E4": {"curriculum.problems", "curriculum.related"},
        "E5": {
            "network.reward_input",
            "network.action_input",
            "network.reward_delay",
        },
        "E6": {
            "network.memory",
            "network.units",
            "learning.updates",
            "learning.learning_rate",
            "learning.final_learning_rate",
            "learning.max_gradient_norm",
        },
        "2x2x2": {"network.memory", "learning.memory_learns", "curriculum.problems"},
    }
    if task == "two-step":  # one problem: no reversals
        may_differ["E4"].add("else")
        may_differ["2x2x2"].add("else")
    if of.name not in may_differ:
        pytest.skip(f"{of.name} has conditions of its own")
    conditions = of.conditions(intact)
    found = {name: differences(intact, system) for name, system in conditions.items()}
    assert set().union(*found.values()) <= may_differ[of.name]
    unchanged = [name for name, changed in found.items() if not changed]
    assert len(unchanged) == 1  # the intact system is beside the others
    assert len({system.as_json() for system in conditions.values()}) == len(conditions)
    assert {system.seeds for system in conditions.values()} == {8}


def conditions_of(of: Comparison, task: str = "bandit") -> Mapping[str, Configuration]:
    return of.conditions(INTACT_SYSTEMS[task])


def test_horizons_and_delays_are_whole_trials() -> None:
    for task, per_trial in (("bandit", 1), ("two-step", 2)):
        short = conditions_of(MemoryNeeded(), task)["reset every 5 trials"]
        late = conditions_of(InputsNeeded(), task)["reward 2 trials late"]
        assert short.network.horizon == 5 * per_trial
        assert late.network.reward_delay == 2 * per_trial


def test_the_intact_system_is_trained_once_for_all_experiments() -> None:
    names = {
        of.cells(PLAN)["bandit", condition].name
        for of, condition in (
            (SecondLearner(), INTACT),
            (MemoryNeeded(), INTACT),
            (ShapingNeeded(), INTACT),
            (RelatedTasksNeeded(), INTACT),
            (InputsNeeded(), INTACT),
            (ThreeConditions(), ALL),
        )
    }
    assert len(names) == 1


def test_one_problem_of_the_two_step_task_is_a_block_that_does_not_end() -> None:
    one = conditions_of(RelatedTasksNeeded(), "two-step")["1 problem"]
    two = conditions_of(RelatedTasksNeeded(), "two-step")["2 problems"]
    assert isinstance(one.task, TwoStep)
    assert one.task.p_reversal == 0
    assert two.task == one.tested_on == INTACT_SYSTEMS["two-step"].task


def test_a_condition_in_which_training_diverged_shows_nothing() -> None:
    name = "random memory, trained readout"
    results = made_up(every(ShapingNeeded()))
    at = xr.full_like(results.adaptation_index, -1)
    results["diverged_at"] = xr.where(results.condition == name, 3, at)
    first, second = ShapingNeeded().claims(results)
    assert (first.verdict, second.verdict) == ("depends", "shown")
    assert first.on == "training diverged in 3 of 3 seeds"


def test_one_problem_is_the_same_with_and_without_the_other_conditions() -> None:
    combined = conditions_of(ThreeConditions())
    assert combined["memory + shaped"].curriculum == Curriculum(problems=1)
    assert combined["memory + related"].learning.memory_learns is False
    assert combined["shaped + related"].network.memory == "none"
    assert len(combined) == 8


@pytest.mark.parametrize("memory", sorted(MEMORIES))
@pytest.mark.parametrize("task", sorted(INTACT_SYSTEMS))
def test_parameters_are_counted_without_making_the_network(
    memory: str, task: str
) -> None:
    intact = INTACT_SYSTEMS[task]
    network = Network(replace(intact.network, memory=memory, units=7), intact.task, [0])
    expected = sum(parameter.numel() for parameter in network.parameters())
    assert n_parameters(memory, 7, intact.task) == expected


def test_every_memory_has_as_many_parameters_as_the_lstm() -> None:
    for intact in INTACT_SYSTEMS.values():
        size = n_parameters("lstm", 48, intact.task)
        assert matched_units("lstm", size, intact.task) == 48
        for system in EveryMemory().conditions(intact).values():
            network = system.network
            found = n_parameters(network.memory, network.units, intact.task)
            assert found == pytest.approx(size, rel=0.03), network.memory


def test_a_finished_cell_is_not_run_again(tiny: None, tmp_path: Path) -> None:
    (cell,) = SecondLearner().cells(PLAN).values()
    assert not is_finished(cell, tmp_path)
    finish(cell, tmp_path, silent)
    assert is_finished(cell, tmp_path)
    folder = tmp_path / cell.name
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.[np]*")}
    finish(cell, tmp_path, silent)
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_cell_tells_how_training_went_and_what_the_test_showed(
    trained: Runs,
) -> None:
    (cell,) = SecondLearner().cells(PLAN).values()
    found = trained.measured(cell)
    assert found.sizes["seed"] == 2
    assert set(found.competent_at.values) == {-1}
    assert set(found.diverged_at.values) == {-1}
    assert not found.emerged.any()
    assert "configuration" in found.attrs
    network = trained.networks(cell)
    assert network.seeds == (0, 1)


def test_an_unfinished_cell_is_told_apart(tiny: None, tmp_path: Path) -> None:
    (cell,) = SecondLearner().cells(PLAN).values()
    with pytest.raises(InputError, match="not finished; run it first"):
        measured(cell, tmp_path)


@pytest.mark.parametrize("name", ["E1", "E3"])
def test_an_experiment_is_analysed_and_judged(name: str, trained: Runs) -> None:
    of = EXPERIMENTS[name]
    results = of.analyse(PLAN, trained)
    assert results.setting.values.tolist() == ["bandit"]
    claims = of.claims(results)
    assert claims
    for row in claims:
        assert row.verdict in ("shown", "not shown", "depends")
        assert "nan" not in row.statistic.lower()
    if name == "E1":
        assert [row.verdict for row in claims] == ["not shown"]
        assert results.p_correct_reset.shape == (1, 2, 22)
        assert "Thompson" in results.player.values


def made_up(index: Mapping[str, list[float]]) -> xr.Dataset:
    """Results of one setting in which seeds emerge that adapt by more than 0.8."""
    by_cell = {}
    for condition, values in index.items():
        n = len(values)
        of = xr.Dataset(
            {
                "adaptation_index": ("seed", values),
                "emerged": ("seed", np.array(values) > 0.8),
                "p_correct_by_side": (("seed", "side"), np.full((n, 2), 0.5)),
                "episodes_to_competence": ("seed", np.full(n, np.nan)),
                "slope": ("seed", np.full(n, 0.01)),
                "after_reset": ("seed", np.full(n, 0.5)),
            },
            coords={"seed": np.arange(n)},
            attrs={"ideal_accuracy": 0.98, "one_trial_index": 0.52},
        )
        by_cell["bandit", condition] = of
    return side_by_side(by_cell)


def verdicts(of: Experiment, index: Mapping[str, list[float]]) -> list[str]:
    return [row.verdict for row in of.claims(made_up(index))]


HIGH, LOW = [0.97, 0.95, 0.96], [0.01, -0.02, 0.03]


def every(of: Comparison, **changed: list[float]) -> dict[str, list[float]]:
    names = [*of.conditions(INTACT_SYSTEMS["bandit"])]
    names += [*of.untrained(INTACT_SYSTEMS["bandit"])]
    marked = dict.fromkeys(names, LOW)
    return marked | {INTACT: HIGH} | changed


def test_emergence_in_some_seeds_depends_on_the_seed() -> None:
    of = SecondLearner()
    assert verdicts(of, {INTACT: HIGH}) == ["shown"]
    assert verdicts(of, {INTACT: LOW}) == ["not shown"]
    (row,) = of.claims(made_up({INTACT: [0.97, 0.1, 0.96]}))
    assert (row.verdict, row.on) == ("depends", "on the seed")
    assert "2 of 3 seeds" in row.statistic


def test_a_removal_shows_nothing_unless_the_intact_system_learns() -> None:
    for of in (MemoryNeeded(), ShapingNeeded(), RelatedTasksNeeded(), InputsNeeded()):
        assert "shown" not in verdicts(of, every(of) | {INTACT: LOW}), of.name


def test_memory_is_needed_if_without_it_one_trial_is_all() -> None:
    of = MemoryNeeded()
    rising = {
        "no memory": [0.5, 0.51, 0.49],
        "reset every trial": [0.5, 0.5, 0.51],
        "reset every 2 trials": [0.6, 0.6, 0.61],
        "reset every 5 trials": [0.7, 0.7, 0.71],
        "reset every 10 trials": [0.8, 0.8, 0.79],
        INTACT: HIGH,
    }
    assert verdicts(of, rising) == ["shown", "shown"]
    assert verdicts(of, rising | {"no memory": [0.5, 0.6, 0.5]})[0] == "depends"
    assert verdicts(of, rising | {"no memory": [0.5, 0.9, 0.5]})[0] == "not shown"
    assert verdicts(of, rising | {"reset every 5 trials": LOW})[1] == "not shown"


def test_too_much_adaptation_without_emergence_depends_on_the_mark() -> None:
    of = ShapingNeeded()
    name = "random memory, trained readout"
    assert verdicts(of, every(of)) == ["shown", "shown"]
    assert verdicts(of, every(of) | {name: [0.5, 0.1, 0.1]}) == ["depends", "shown"]
    assert verdicts(of, every(of) | {name: HIGH}) == ["not shown", "shown"]


def test_the_three_conditions_must_suffice_and_each_be_needed() -> None:
    of = ThreeConditions()
    all_low = dict.fromkeys(conditions_of(of), LOW)
    assert verdicts(of, all_low | {ALL: HIGH}) == ["shown"]
    assert verdicts(of, all_low) == ["not shown"]
    one_more = all_low | {ALL: HIGH, "memory + shaped": [0.1, 0.9, 0.1]}
    (row,) = of.claims(made_up(one_more))
    assert row.verdict == "depends"
    assert "memory + shaped" in row.on


def test_words_give_seeds_interval_and_range() -> None:
    text = in_words(made_up({INTACT: HIGH}), "bandit", INTACT)
    assert text.startswith("intact: 3/3 emerged [0.44, 1.00], AI 0.96 [")
    assert text.endswith("seeds 0.95 to 0.97")


def test_a_cell_s_name_follows_its_configuration() -> None:
    one, two = (Cell(SETTINGS["bandit"].configuration(n), "bandit") for n in (2, 3))
    assert one.name == Cell(SETTINGS["bandit"].configuration(2), "bandit").name
    assert one.name != two.name
    assert memory_class("lstm") is MEMORIES["lstm"]
