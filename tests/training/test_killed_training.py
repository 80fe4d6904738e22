"""Training killed at any moment leaves no half files and no process, and goes on."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import pfc_metarl
from pfc_metarl import checkpoints
from pfc_metarl.configuration import Configuration
from pfc_metarl.training import train_group

Small = Callable[..., Configuration]
Equal = Callable[[Any, Any], bool]

ROOT = str(Path(pfc_metarl.__file__).parents[1])

# Spawned processes run the top of this file too: they save as often as they can.
SCRIPT = """
import signal
import sys
from dataclasses import replace
from pathlib import Path

from pfc_metarl import parallel, training
from pfc_metarl.configuration import FAST, Configuration
from pfc_metarl.network import NetworkSettings
from pfc_metarl.tasks.two_step import TwoStep

training.CHECKPOINT_SECONDS = -1.0

if __name__ == "__main__":
    seeds, updates = map(int, sys.argv[2:])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parallel._cores = lambda: 2
    task, network = TwoStep(trials=5), NetworkSettings(units=6)
    learning = replace(FAST, updates=updates, batch=3)
    parallel.train(
        Configuration("two-step", task, "fast", seeds, network, learning),
        Path(sys.argv[1]),
        lambda progress: None,
    )
"""


class Training:
    """Training processes in a process group of their own."""

    def __init__(self, script: Path, configuration: Configuration) -> None:
        self.folder = script.with_name("run")
        self.names = [
            f"seeds-{group[0]:03d}-{group[-1]:03d}" for group in configuration.groups()
        ]
        seeds, updates = configuration.seeds, configuration.learning.updates
        self.process = subprocess.Popen(
            [sys.executable, script, self.folder, str(seeds), str(updates)],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ROOT},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def updates(self) -> int:
        """Return how many updates the checkpoints of the slowest group hold."""
        return min(map(self._updates_of, self.names))

    def _updates_of(self, name: str) -> int:
        names = [path.name for path in self.folder.glob(f"{name}.update-*.pt")]
        return max((int(name.split(".")[1][7:]) for name in names), default=0)

    def wait_for(self, updates: int) -> None:
        """Wait until so many updates are done."""
        end = time.monotonic() + 60
        while self.updates() < updates and self.process.poll() is None:
            assert time.monotonic() < end, "training does not move"
            time.sleep(0.005)

    def wait(self, seconds: float) -> str:
        """Wait until the last of the processes has ended; return what they wrote.

        The output ends when no process is left that could write to it.
        """
        return self.process.communicate(timeout=seconds)[0]

    def kill(self) -> None:
        """Kill all its processes at once, those left without a parent included."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[Configuration], Training]]:
    """Start trainings in one folder; whatever still runs at the end is killed."""
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    started: list[Training] = []

    def start(configuration: Configuration) -> Training:
        started.append(Training(script, configuration))
        return started[-1]

    yield start
    for run in started:
        run.kill()
        with suppress(ValueError):  # its output was read to the end
            run.wait(30)


Start = Callable[[Configuration], Training]


def killed_and_resumed(
    start: Start, configuration: Configuration, kills: int, equal: Equal
) -> None:
    moments, updates = random.Random(kills), configuration.learning.updates
    for kill in range(kills):
        run = start(configuration)
        done = run.updates()
        run.wait_for(max(done + 1, updates * (kill + 1) // (kills + 2)))
        time.sleep(moments.uniform(0, 0.02))
        assert run.process.poll() is None, "it ended before it was killed"
        run.kill()
        run.wait(30)
        assert done < run.updates() < updates
        for path in run.folder.glob("*.pt"):
            checkpoints.read(path)  # whole, or this raises
    run = start(configuration)
    assert run.wait(120) == ""
    assert run.process.returncode == 0
    assert not list(run.folder.glob("*.partial"))
    assert len(list(run.folder.glob("*.pt"))) <= 2 * len(run.names)
    for seeds, name in zip(configuration.groups(), run.names, strict=True):
        whole = run.folder.with_name("whole")
        train_group(configuration, seeds, whole, lambda progress: None)
        found, expected = (checkpoints.newest(f, name) for f in (run.folder, whole))
        assert found is not None
        assert found["update"] == updates
        assert equal(found, expected)


def test_killed_three_times_it_ends_with_the_bits_of_an_uninterrupted_run(
    start: Start, small: Small, equal: Equal
) -> None:
    killed_and_resumed(start, small(2, updates=300), 3, equal)


@pytest.mark.slow
def test_killed_twenty_times_it_ends_with_the_bits_of_an_uninterrupted_run(
    start: Start, small: Small, equal: Equal
) -> None:
    killed_and_resumed(start, small(5, updates=3000), 20, equal)


def test_when_the_parent_is_killed_its_processes_end_by_themselves(
    start: Start, small: Small
) -> None:
    run = start(small(5, updates=1_000_000))
    run.wait_for(1)
    os.kill(run.process.pid, signal.SIGKILL)
    assert "Traceback" not in run.wait(10)
    for name in run.names:
        assert checkpoints.newest(run.folder, name) is not None


def test_interrupted_by_control_c_it_ends_and_can_be_resumed(
    start: Start, small: Small
) -> None:
    run = start(small(2, updates=1_000_000))
    run.wait_for(1)
    os.killpg(run.process.pid, signal.SIGINT)  # as a terminal does
    output = run.wait(10)
    assert output.strip().splitlines()[-1] == "KeyboardInterrupt"
    assert output.count("Traceback") == 1  # the other processes say nothing
    assert checkpoints.newest(run.folder, run.names[0]) is not None
