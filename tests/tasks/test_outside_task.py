"""A task in a user's own files: the code of tasks/README.md, run as it stands."""

import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import pytest
import torch
import xarray as xr

from pfc_metarl.configuration import FAST, Configuration
from pfc_metarl.recording import behaviour, play
from pfc_metarl.tasks.environments import TaskEnv
from pfc_metarl.tasks.observers import PLAYERS, players
from pfc_metarl.tasks.vector_environment import TaskVectorEnv
from pfc_metarl.training import Group

PAGE = Path(__file__).parents[2] / "tasks" / "README.md"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A folder with the files of the page."""
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        name = code.splitlines()[0].removeprefix("# ")
        (tmp_path / name).write_text(code)
    return tmp_path


@pytest.fixture
def t_maze(lab: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The user's module, imported."""
    monkeypatch.syspath_prepend(lab)
    module = import_module("t_maze")
    yield module
    del sys.modules["t_maze"], PLAYERS[module.TMaze]


def test_its_players_are_known(t_maze: ModuleType) -> None:
    task = t_maze.TMaze()
    tape = task.draw(10_000, torch.Generator().manual_seed(1))
    (player,) = players(task).values()
    reward = player.play(tape, torch.Generator().manual_seed(2)).trials()["reward"]
    # stays with 0.9 where it is right, always leaves where it is wrong: 1 / 1.1 right
    assert reward[10:].mean().item() == pytest.approx(0.9 / 1.1, abs=0.01)


def test_networks_learn_it_and_make_trial_tables(t_maze: ModuleType) -> None:
    learning = replace(FAST, learning_rate=5e-3, updates=120)
    task = t_maze.TMaze()
    configuration = Configuration("t-maze", task, "mine", 2, learning=learning)
    group = Group(configuration, [0, 1])
    for _ in range(learning.updates):
        group.learn()
    assert (group.reward[-5:].mean(0) > 0.6).all()  # chance: 0.45
    assert play(group.network, task, 3).trial.tolist() == list(range(20))
    episodes = task.reset(3, torch.Generator().manual_seed(1))
    for _ in range(task.steps):
        episodes.step(torch.zeros(3, dtype=torch.int64))
    assert behaviour(episodes, ["left"], {}).sizes["trial"] == 60


def test_it_becomes_an_environment(t_maze: ModuleType, lab: Path) -> None:
    done: dict[str, Any] = runpy.run_path(str(lab / "environment.py"))
    try:
        assert isinstance(done["env"].unwrapped, TaskEnv)
        assert done["env"].unwrapped.task == t_maze.TMaze(trials=50)
        assert done["info"]["gt"] in (0, 1)
    finally:
        del gymnasium.envs.registration.registry["MyLab/TMaze-v0"]
    assert TaskVectorEnv(t_maze.TMaze(), 64).reset(seed=1)[0].shape == (64, 1)


def test_the_other_way_is_as_the_page_says(lab: Path) -> None:
    assert runpy.run_path(str(lab / "theirs.py"))["task"].steps_per_trial == 5


@pytest.mark.slow
def test_a_run_of_the_users_script_leaves_its_results(lab: Path) -> None:
    command = [sys.executable, "train.py"]
    done = subprocess.run(command, cwd=lab, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (run,) = (lab / "runs").glob("t-maze-mine-2seeds-*")
    with xr.open_dataset(run / "behaviour.nc") as table:
        assert float(table.reward.mean()) > 0.6
