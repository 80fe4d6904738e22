"""Training learns; stopped anywhere it ends with the same bits."""

import math
import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

from pfc_metarl import checkpoints, parallel, training
from pfc_metarl.configuration import FAST, Configuration, preset
from pfc_metarl.errors import DataError, InputError
from pfc_metarl.network import NetworkSettings
from pfc_metarl.recording import play
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.two_step import TwoStep
from pfc_metarl.training import Group, Progress, train_group

Small = Callable[..., Configuration]
Equal = Callable[[Any, Any], bool]
Report = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Report to nobody."""


def win_stay_lose_shift(task: TwoStep, tape: Tape) -> float:
    """Reward per trial of repeating a rewarded first-step choice, else changing it."""
    episodes = task.begin(tape)
    choice = torch.zeros_like(tape["flip"][0])
    for _ in range(task.trials):
        episodes.step(choice)
        _, reward = episodes.step(choice)
        choice = torch.where(reward > 0, choice, 1 - choice)
    return float(episodes.trials()["reward"].mean())


EASY = Configuration(
    "two-step",
    TwoStep(blocks=((1.0, 0.0), (0.0, 1.0)), p_reversal=0.05, trials=20),
    "fast",
    2,
    NetworkSettings(units=16),
    replace(FAST, learning_rate=2e-2, updates=150),
)

BY_PPO = replace(EASY.learning, algorithm="ppo", updates=60)
BY_TRACES = replace(EASY.learning, credit="local")

# Numba is an optional extra, which the extra "test" installs.
compiled = pytest.mark.skipif(find_spec("numba") is None, reason="needs numba")


@pytest.mark.parametrize(
    "configuration",
    [
        pytest.param(EASY, id="an easy task"),
        pytest.param(replace(EASY, learning=BY_PPO), id="an easy task, PPO"),
        pytest.param(replace(EASY, learning=BY_TRACES), id="an easy task, local"),
        pytest.param(
            replace(EASY, kernels="compiled"),
            id="an easy task, compiled",
            marks=compiled,
        ),
        pytest.param(preset("fast", "two-step", 2), id="the fast preset"),
    ],
)
def test_frozen_networks_earn_more_than_win_stay_lose_shift(
    configuration: Configuration, tmp_path: Path
) -> None:
    group = train_group(configuration, [0, 1], tmp_path, silent)
    task = configuration.task
    assert isinstance(task, TwoStep)
    tape = task.draw(2000, torch.Generator().manual_seed(0))
    baseline = win_stay_lose_shift(task, tape)
    early = group.reward[:10].mean(0)
    frozen = play(group.network, task, 300).episodes.trials()["reward"].mean((0, 2))
    assert (early < 0.55).all()
    assert (frozen > baseline + 0.03).all(), (frozen, baseline)


class StoppedError(Exception):
    """The training is stopped from outside."""


def stop_at(update: int) -> Report:
    def report(progress: Progress) -> None:
        if progress.update == update:
            raise StoppedError

    return report


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Report and save after every update."""
    monkeypatch.setattr(training, "REPORT_SECONDS", -1.0)
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)


def final(folder: Path, name: str = "seeds-000-001") -> dict[str, Any]:
    """Read the last checkpoint: weights, optimiser, generators, curve."""
    content = checkpoints.newest(folder, name)
    assert content is not None
    return content


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("memory", ["lstm", "none"])
@pytest.mark.parametrize("optimiser", ["adam", "rmsprop"])
@pytest.mark.parametrize("stops", [[1], [4], [8], [2, 3, 7], [1, 1, 1]])
def test_stopped_and_resumed_it_ends_with_the_same_bits(
    small: Small,
    equal: Equal,
    tmp_path: Path,
    memory: str,
    optimiser: str,
    stops: list[int],
) -> None:
    configuration = small(memory=memory, optimiser=optimiser)
    ends_with_the_same_bits(configuration, stops, equal, tmp_path)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize(
    ("learning", "kernels"),
    [
        pytest.param({"algorithm": "ppo"}, "torch", id="ppo"),
        pytest.param({"credit": "local"}, "torch", id="local"),
        pytest.param({}, "compiled", id="compiled", marks=compiled),
    ],
)
def test_stopped_and_resumed_it_ends_with_the_same_bits_however_it_learns(
    small: Small,
    equal: Equal,
    tmp_path: Path,
    learning: dict[str, str],
    kernels: str,
) -> None:
    configuration = replace(small(**learning), kernels=kernels)
    ends_with_the_same_bits(configuration, [3, 5], equal, tmp_path)


def ends_with_the_same_bits(
    configuration: Configuration, stops: list[int], equal: Equal, tmp_path: Path
) -> None:
    whole = train_group(configuration, [0, 1], tmp_path / "whole", silent)
    for update in stops:
        with pytest.raises(StoppedError):
            train_group(configuration, [0, 1], tmp_path / "parts", stop_at(update))
    resumed = train_group(configuration, [0, 1], tmp_path / "parts", silent)
    assert equal(whole.state(), resumed.state())
    assert resumed.reward.all(1).any()
    assert equal(final(tmp_path / "whole"), final(tmp_path / "parts"))
    assert final(tmp_path / "parts")["update"] == 8


@pytest.mark.usefixtures("often")
def test_resuming_does_not_begin_again(small: Small, tmp_path: Path) -> None:
    seen: list[int] = []
    with pytest.raises(StoppedError):
        train_group(small(), [0, 1], tmp_path, stop_at(6))
    train_group(
        small(), [0, 1], tmp_path, lambda progress: seen.append(progress.update)
    )
    assert seen == [5, 6, 7, 8]  # first what was found, then what was added


@pytest.mark.usefixtures("often")
def test_what_is_finished_is_not_trained_again(
    small: Small, equal: Equal, tmp_path: Path
) -> None:
    done = train_group(small(), [0, 1], tmp_path, silent)
    seen: list[Progress] = []
    again = train_group(small(), [0, 1], tmp_path, seen.append)
    assert [progress.update for progress in seen] == [8]
    assert equal(done.state(), again.state())


def test_two_processes_cannot_train_one_group(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "LOCK_SECONDS", 0.1)
    with (
        FileLock(tmp_path / "seeds-000-001.lock"),
        pytest.raises(InputError, match="another process trains seeds-000-001"),
    ):
        train_group(small(), [0, 1], tmp_path, silent)
    assert not list(tmp_path.glob("*.pt"))


@pytest.mark.parametrize("part", ["network", "optimiser", "generators", "reward"])
def test_every_part_of_a_checkpoint_is_needed(
    small: Small, equal: Equal, tmp_path: Path, part: str
) -> None:
    whole, resumed = Group(small(), [0, 1]), Group(small(), [0, 1])
    fresh = resumed.state()
    for _ in range(4):
        whole.learn()
    checkpoints.save(tmp_path, whole.name, whole.update, whole.state())
    content = final(tmp_path)
    content[part] = torch.zeros(4, 2) if part == "reward" else fresh[part]
    resumed.restore(content)
    for _ in range(4):
        whole.learn()
        resumed.learn()
    assert whole.update == resumed.update
    assert not equal(whole.state(), resumed.state())


def test_a_checkpoint_of_another_configuration_or_other_seeds_is_refused(
    small: Small, tmp_path: Path
) -> None:
    train_group(small(4), [0, 1], tmp_path, silent)
    content = final(tmp_path)
    for group in (
        Group(small(4, learning_rate=0.5), [0, 1]),
        Group(small(5), [0, 1]),
        Group(small(4), [0, 2]),
        Group(small(4), [1, 0]),
    ):
        before = group.state()
        with pytest.raises(InputError, match="made with another configuration"):
            group.restore(content)
        assert group.update == 0
        assert group.state().keys() == before.keys()
    with pytest.raises(InputError, match="choose another --out"):
        train_group(small(4, learning_rate=0.5), [0, 1], tmp_path, silent)


def test_a_damaged_checkpoint_stops_the_training(small: Small, tmp_path: Path) -> None:
    train_group(small(), [0, 1], tmp_path, silent)
    for path in tmp_path.glob("*.pt"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        train_group(small(), [0, 1], tmp_path, silent)


@pytest.mark.usefixtures("often")
def test_training_ends_when_all_seeds_diverged_with_numbers_for_weights(
    small: Small, tmp_path: Path
) -> None:
    configuration = small(learning_rate=1e30, optimiser="rmsprop", updates=50)
    group = train_group(configuration, [0, 1], tmp_path, silent)
    assert (group.diverged_at >= 0).all()
    assert group.update == 50
    left = checkpoints.newest(tmp_path, "seeds-000-001")
    assert left is not None
    assert left["diverged_at"].equal(group.diverged_at)
    again = Group(configuration, [0, 1])
    again.restore(left)
    for position in (0, 1):
        weights = again.seed_weights(position)
        assert all(torch.isfinite(w).all() for w in weights.values())


@pytest.mark.usefixtures("often")
def test_progress_tells_seeds_updates_reward_and_speed(
    small: Small, tmp_path: Path
) -> None:
    seen: list[Progress] = []
    group = train_group(small(updates=13), [0, 1], tmp_path, seen.append)
    assert [p.update for p in seen] == list(range(1, 14))
    assert {p.updates for p in seen} == {13}
    assert {p.seeds for p in seen} == {(0, 1)}
    assert all(p.steps_per_second > 0 for p in seen)
    assert seen[-1].reward == tuple(group.reward[3:].mean(0).tolist())
    assert seen[1].reward == tuple(group.reward[:2].mean(0).tolist())


def test_processes_end_with_the_same_bits_as_training_here(
    small: Small, equal: Equal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "_cores", lambda: 2)
    configuration = small(5, updates=4)  # two groups, side by side
    parallel.train(configuration, tmp_path / "processes", silent)
    for seeds in configuration.groups():
        name = train_group(configuration, seeds, tmp_path / "here", silent).name
        found, expected = (final(tmp_path / f, name) for f in ("processes", "here"))
        assert found["update"] == 4
        assert equal(found, expected)


@pytest.mark.slow
def test_the_same_bits_with_one_two_or_three_processes_at_a_time(
    small: Small, equal: Equal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = small(10)  # three groups
    busy: list[int] = []

    def report(progress: Progress) -> None:
        busy.append(len(multiprocessing.active_children()))

    for processes in (1, 2, 3):
        monkeypatch.setattr(parallel, "_cores", lambda n=processes: n)
        busy.clear()
        parallel.train(configuration, tmp_path / str(processes), report)
        assert max(busy) <= processes
        assert not multiprocessing.active_children()
    for name in ("seeds-000-003", "seeds-004-007", "seeds-008-009"):
        one, two, three = (final(tmp_path / n, name) for n in ("1", "2", "3"))
        assert equal(one, two)
        assert equal(one, three)


def test_a_diverged_seed_is_reported_as_no_number(small: Small, tmp_path: Path) -> None:
    configuration = small(1, learning_rate=1e30, optimiser="rmsprop", updates=50)
    seen: list[Progress] = []
    parallel.train(configuration, tmp_path, seen.append)
    assert math.isnan(seen[-1].reward[0])
    assert not multiprocessing.active_children()


def test_a_stop_finishes_the_update_and_saves_it(small: Small, tmp_path: Path) -> None:
    asked = iter([False, False, True])
    group = train_group(
        small(updates=50), [0, 1], tmp_path, silent, lambda: next(asked)
    )
    assert group.update == 3
    left = checkpoints.newest(tmp_path, group.name)
    assert left is not None
    assert left["update"] == 3


def test_a_process_that_is_killed_is_reported_in_one_line(
    small: Small, tmp_path: Path
) -> None:
    def kill(progress: Progress) -> None:
        for process in multiprocessing.active_children():
            process.kill()

    with pytest.raises(InputError, match="exit code -9; run the same") as error:
        parallel.train(small(1, updates=100_000), tmp_path, kill)
    assert "\n" not in str(error.value)
    assert not multiprocessing.active_children()


def test_a_folder_that_cannot_be_written_is_reported_in_one_line(
    small: Small, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "file" / "checkpoints"
    folder.parent.touch()
    with pytest.raises(InputError, match="checkpoints") as error:
        parallel.train(small(1), folder, silent)
    assert "\n" not in str(error.value)
    assert "Traceback" not in capfd.readouterr().err


def test_a_control_c_that_reaches_the_processes_too_does_not_stop_them(
    small: Small, tmp_path: Path
) -> None:
    interrupted: set[int] = set()

    def interrupt_once(progress: Progress) -> None:
        for process in multiprocessing.active_children():
            if process.pid is not None and process.pid not in interrupted:
                interrupted.add(process.pid)
                os.kill(process.pid, signal.SIGINT)

    parallel.train(small(1, updates=1000), tmp_path, interrupt_once)
    assert len(interrupted) == 1
    assert final(tmp_path, "seeds-000-000")["update"] == 1000


def test_an_error_here_ends_the_processes(small: Small, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        parallel.train(small(1, updates=100_000), tmp_path, stop_at_once)
    assert not multiprocessing.active_children()


def stop_at_once(progress: Progress) -> None:
    raise StoppedError
