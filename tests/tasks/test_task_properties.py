"""What holds for every task whatever its size, parameters, device and storage."""

import pickle
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pfc_metarl.errors import InputError
from pfc_metarl.recording import behaviour
from pfc_metarl.tasks import TASKS, side_by_side
from pfc_metarl.tasks.base import Task
from pfc_metarl.tasks.harlow_pixels import HarlowPixels
from pfc_metarl.trial_files import load, save

QUICK = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SELF_PACED = {"harlow-gaze", "harlow-pixels"}  # they ask who is still active


def short(name: str, trials: int = 3) -> Task:
    """Return a task with few trials, and the pixels with few of those."""
    task: Any = TASKS[name]()
    if isinstance(task, HarlowPixels):
        task = replace(task, pixels=21, max_steps=40)
    changed: Task = replace(task, trials=trials)
    return changed


def played(task: Task, batch: int, seed: int) -> dict[str, torch.Tensor]:
    """Return the trial columns of a random player; observations must be in range."""
    draw = torch.Generator().manual_seed(seed)
    episodes = task.reset(batch, draw)
    for _ in range(task.steps):
        action = torch.randint(task.n_actions, (batch,), generator=draw)
        observation, reward = episodes.step(action)
        assert observation.shape == (batch, task.n_observations)
        assert ((observation >= 0) & (observation <= 1)).all()
        assert reward.shape == (batch,)
        assert reward.isfinite().all()
    return episodes.trials()


@pytest.mark.parametrize("name", TASKS)
@QUICK
@given(trials=st.integers(1, 5), batch=st.integers(1, 4), seed=st.integers(0, 2**31))
def test_any_number_of_trials_and_episodes_can_be_played(
    name: str, trials: int, batch: int, seed: int
) -> None:
    try:
        task = short(name, trials)
    except InputError:  # a barcode bandit of fewer trials than contexts, say
        return
    for values in played(task, batch, seed).values():
        assert values.shape == (trials, batch)


@pytest.mark.parametrize("name", TASKS)
@QUICK
@given(data=st.data(), value=st.floats(-0.5, 1.5, width=32))
def test_a_number_is_refused_in_one_line_or_can_be_played(
    name: str, data: st.DataObject, value: float
) -> None:
    task: Any = short(name)
    numbers = [f.name for f in fields(task) if isinstance(getattr(task, f.name), float)]
    if not numbers:
        return
    field = data.draw(st.sampled_from(numbers))
    try:
        changed = replace(task, **{field: value})
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    played(changed, 3, 0)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_can_be_pickled(name: str) -> None:
    task = TASKS[name]()
    copy = pickle.loads(pickle.dumps(task))
    assert copy == task
    assert hash(copy) == hash(task)


@pytest.mark.parametrize("name", [n for n in TASKS if n not in SELF_PACED])
def test_episodes_are_played_on_the_device_of_their_tape(name: str) -> None:
    # The device "meta" holds no numbers, and refuses to be mixed with another.
    task = short(name)
    draw = torch.Generator().manual_seed(0)
    tape = side_by_side([task.draw(4, draw) for _ in range(2)], "meta")
    episodes = task.begin(tape)
    assert episodes.observation.device.type == "meta"
    for _ in range(task.steps):
        action = torch.zeros((2, 4), dtype=torch.int64, device="meta")
        observation, reward = episodes.step(action)
        assert observation.device.type == reward.device.type == "meta"
    assert all(v.device.type == "meta" for v in episodes.trials().values())


@pytest.mark.parametrize("name", TASKS)
def test_the_trials_come_back_from_the_disk_as_they_were(
    name: str, tmp_path: Path
) -> None:
    task = short(name)
    episodes = task.reset(5, torch.Generator().manual_seed(0))
    for _ in range(task.steps):
        episodes.step(torch.zeros(5, dtype=torch.int64))
    table = behaviour(episodes, ["someone"], {"task": name})
    save(table, tmp_path / "trials.nc")
    assert load(tmp_path / "trials.nc").identical(table)
