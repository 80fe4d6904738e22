"""A configuration determines a run; presets do not mix."""

import json
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from pfc_metarl.configuration import (
    FAST,
    PRESETS,
    Configuration,
    kernels_named,
    preset,
)
from pfc_metarl.errors import InputError
from pfc_metarl.network import NetworkSettings
from pfc_metarl.provenance import provenance
from pfc_metarl.stopping import Stopping
from pfc_metarl.tasks import TASKS
from pfc_metarl.tasks.two_step import TwoStep

OTHERS = {
    "optimiser": "rmsprop",
    "algorithm": "ppo",
    "credit": "local",
    "kernels": "compiled",
    "device": "cuda",
    "final_learning_rate": 1e-4,
    "final_entropy_cost": 0.0,
    "reward": 0.7,
    "stopping": Stopping(),
    "horizon": 2,
    "problems": 3,
    "test_task": TwoStep(p_common=0.7),
}
"""Other values of settings that take only a few, or that are None."""


def other(name: str, value: Any) -> Any:
    """Return another value of a setting, of the same kind."""
    if name in OTHERS:
        assert OTHERS[name] != value
        return OTHERS[name]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2 + 0.01
    if isinstance(value, str):
        return f"{value}x"
    assert isinstance(value, tuple)
    return value[::-1]


def changed_in_one_field(settings: Any) -> list[Any]:
    """Every dataclass that differs from this one in one field, however deep."""
    result = []
    for entry in fields(settings):
        value = getattr(settings, entry.name)
        if is_dataclass(value):
            values = changed_in_one_field(value)
        else:
            values = [other(entry.name, value)]
        result += [replace(settings, **{entry.name: new}) for new in values]
    return result


def test_the_paper_preset_has_the_published_numbers() -> None:
    paper = preset("paper", "two-step", 8)
    learning, network, task = paper.learning, paper.network, paper.task
    assert learning.optimiser == "rmsprop"
    assert learning.learning_rate == 7e-4
    assert learning.discount == 0.9
    assert learning.trace_decay == 1.0  # full returns
    assert learning.value_cost == learning.entropy_cost == 0.05
    assert learning.batch == 1
    assert learning.updates >= 10_000
    assert (network.memory, network.units) == ("lstm", 48)
    assert network.reward_input
    assert network.action_input
    assert isinstance(task, TwoStep)
    assert task.fixation
    assert task.invalid_reward == -1
    assert (task.p_common, task.p_reversal, task.trials) == (0.8, 0.025, 100)
    assert task.blocks == ((0.9, 0.1), (0.1, 0.9))
    assert (task.p_forced, task.p_transition_reversal, task.min_block_trials) == (
        0,
        0,
        0,
    )
    assert paper.test_episodes == 300


def test_the_fast_preset_is_another_and_says_so() -> None:
    paper, fast = (preset(name, "two-step", 8) for name in ("paper", "fast"))
    assert (paper.preset, fast.preset) == ("paper", "fast")
    assert fast.learning == FAST
    assert fast.learning != paper.learning
    assert fast.folder_name() != paper.folder_name()
    assert "-fast-" in fast.folder_name()
    assert "-paper-" in paper.folder_name()


@pytest.mark.parametrize(
    ("task", "name"), [(task, name) for task in PRESETS for name in PRESETS[task]]
)
def test_presets_of_every_task_can_be_changed(name: str, task: str) -> None:
    assert isinstance(preset(name, task, 2).task, TASKS[task])
    network = NetworkSettings(units=3)
    changed = replace(preset(name, task, 2), network=network, test_episodes=70)
    assert (changed.network, changed.test_episodes) == (network, 70)
    assert (changed.task_name, changed.seeds) == (task, 2)
    assert changed.digest() != preset(name, task, 2).digest()


def test_an_unknown_preset_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InputError, match="no preset 'slow'; expected fast or paper"):
        preset("slow", "two-step", 1)


def test_an_unknown_task_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InputError, match="no task 'chess'") as error:
        preset("fast", "chess", 1)
    assert all(name in str(error.value) for name in PRESETS)


@pytest.mark.parametrize("seeds", [0, -1])
def test_a_run_has_at_least_one_seed(seeds: int) -> None:
    with pytest.raises(InputError, match=f"seeds is {seeds}; expected 1 or more"):
        preset("fast", "two-step", seeds)


def test_unknown_kernels_are_refused_with_the_names_there_are() -> None:
    with pytest.raises(InputError, match="no kernels 'fast'; expected torch or comp"):
        replace(preset("fast", "two-step", 1), kernels="fast")
    with pytest.raises(InputError, match="no kernels 'fast'; expected torch, compil"):
        kernels_named("fast", "cpu")


def test_compiled_kernels_are_for_the_cpu() -> None:
    with pytest.raises(InputError, match="compiled kernels run on the cpu, not on cud"):
        preset("fast", "two-step", 1, device="cuda", kernels="compiled")
    assert kernels_named("auto", "cuda") == "torch"


def test_kernels_are_compiled_where_numba_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for installed in (True, False):
        monkeypatch.setattr(
            "pfc_metarl.configuration.find_spec", lambda _, f=installed: f or None
        )
        expected = "compiled" if installed else "torch"
        assert kernels_named("auto", "cpu") == expected
        assert kernels_named("torch", "cpu") == "torch"
    with pytest.raises(InputError, match="compiled kernels need numba; pip inst") as e:
        kernels_named("compiled", "cpu")
    assert "\n" not in str(e.value)


def test_equal_configurations_have_equal_digests() -> None:
    one, two = (preset("fast", "two-step", 3) for _ in range(2))
    assert one == two
    assert one.digest() == two.digest()
    assert one.folder_name() == two.folder_name()


def test_the_digest_is_that_of_the_text_and_the_text_is_json() -> None:
    configuration = preset("paper", "two-step", 3)
    content = json.loads(configuration.as_json())
    assert content["learning"]["learning_rate"] == 7e-4
    assert content["task"]["blocks"] == [[0.9, 0.1], [0.1, 0.9]]
    assert len(configuration.digest()) == 8
    assert configuration.digest() in configuration.folder_name()


@pytest.mark.parametrize("stopping", [None, Stopping()], ids=["to the end", "early"])
def test_any_other_setting_gives_another_digest(stopping: Stopping | None) -> None:
    one = replace(preset("fast", "two-step", 3), stopping=stopping)
    changed = changed_in_one_field(one)
    assert len(changed) > 40
    digests = {one.digest(), *(c.digest() for c in changed)}
    assert len(digests) == len(changed) + 1
    names = {one.folder_name(), *(c.folder_name() for c in changed)}
    assert len(names) == len(changed) + 1


@pytest.mark.parametrize("seeds", [1, 4, 5, 8, 11])
def test_every_seed_is_in_one_group(seeds: int) -> None:
    groups = preset("fast", "two-step", seeds).groups()
    assert [seed for group in groups for seed in group] == list(range(seeds))
    assert max(map(len, groups)) <= 4


def test_groups_do_not_depend_on_how_many_follow() -> None:
    few, many = (preset("fast", "two-step", seeds).groups() for seeds in (8, 30))
    assert many[:2] == few


def test_on_a_gpu_all_seeds_are_one_group() -> None:
    configuration = Configuration("two-step", TwoStep(), "fast", 11, device="cuda")
    assert configuration.groups() == [list(range(11))]


def test_every_setting_of_the_paper_has_a_source() -> None:
    paper = preset("paper", "two-step", 1)
    for settings in (paper.task, paper.network, paper.learning):
        sources = list(provenance(settings, "user"))
        assert [s.name for s in sources] == [entry.name for entry in fields(settings)]
        assert all(s.source for s in sources)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"test_episodes": 10}, "recorded_episodes 30"),
        ({"test_episodes": 0, "recorded_episodes": 0}, "test_episodes is 0"),
        ({"recorded_episodes": -1}, "recorded_episodes -1"),
        ({"device": "gpu"}, "no device 'gpu'; expected cpu or cuda"),
    ],
)
def test_what_cannot_be_run_is_refused_before_training(
    change: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(InputError, match=wrong) as error:
        replace(preset("fast", "two-step", 1), **change)
    assert "\n" not in str(error.value)
