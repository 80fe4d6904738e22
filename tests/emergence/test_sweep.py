"""A sweep finishes each cell once, whatever happens to it and to the others."""

import io
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import pfc_metarl
from pfc_metarl import checkpoints
from pfc_metarl.emergence.cell import Cell, finish, measured, networks
from pfc_metarl.emergence.sweep import (
    Held,
    Outcome,
    cost,
    note_of,
    parsed_shard,
    reason_of,
    shard_of,
    state_of,
    sweep,
)
from pfc_metarl.emergence.sweep_display import SweepDisplay
from pfc_metarl.errors import InputError
from pfc_metarl.parallel import Begun, Ended, Failed
from pfc_metarl.recording import hashes
from pfc_metarl.simulation import open_run
from pfc_metarl.training import Progress

TinyCell = Callable[..., Cell]

ROOT = str(Path(pfc_metarl.__file__).parents[1])

# Spawned processes run the top of this file too: they save as often as they can.
SCRIPT = """
import pickle
import sys
from pathlib import Path

from pfc_metarl import training
from pfc_metarl.emergence.sweep import parsed_shard, sweep

training.CHECKPOINT_SECONDS = -1.0

if __name__ == "__main__":
    cells, root, shard, processes = sys.argv[1:]
    sweep(
        pickle.loads(Path(cells).read_bytes()),
        Path(root),
        lambda name, event: None,
        parsed_shard(shard),
        int(processes),
    )
"""


def silent(name: str, event: object) -> None:
    pass


class Log:
    """What is reported: the kind of event, by the name of the cell."""

    def __init__(self) -> None:
        self.events: list[tuple[str, object]] = []

    def __call__(self, name: str, event: object) -> None:
        self.events.append((name, event))

    def names(self, kind: type) -> list[str]:
        return [name for name, event in self.events if isinstance(event, kind)]


def weights(cells: list[Cell], root: Path) -> dict[str, list[str]]:
    """SHA-256 sums of the trained weights of every seed, by cell."""
    return {cell.name: list(hashes(networks(cell, root))) for cell in cells}


def sweep_elsewhere(
    folder: Path, cells: list[Cell], shard: str = "1/1", processes: int = 2
) -> "subprocess.Popen[str]":
    """Start a sweep below ``folder / "cells"`` in a process of its own."""
    script = folder / "sweep.py"
    script.write_text(SCRIPT)
    given = folder / f"cells-{shard.replace('/', '-')}.pkl"
    given.write_bytes(pickle.dumps(cells))
    return subprocess.Popen(
        [sys.executable, script, given, folder / "cells", shard, str(processes)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ROOT},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def interrupt(name: str, event: object) -> None:
    if isinstance(event, Progress):
        raise KeyboardInterrupt


# Which cells, in which order


def test_shards_are_disjoint_and_together_all_cells(tiny_cell: TinyCell) -> None:
    cells = [tiny_cell(units) for units in range(1, 12)]
    names = {cell.name for cell in cells}
    for n in range(1, 14):
        shards = [shard_of(cells[::-1], (i, n)) for i in range(1, n + 1)]
        found = [cell.name for shard in shards for cell in shard]
        assert sorted(found) == sorted(names)
        sizes = [len(shard) for shard in shards]
        assert max(sizes) - min(sizes) <= 1
        assert shards == [shard_of(cells, (i, n)) for i in range(1, n + 1)]


def test_equal_cells_count_once_and_a_judged_one_stands_for_both(
    tiny_cell: TinyCell,
) -> None:
    judged = tiny_cell()
    only_trained = Cell(judged.configuration)
    assert judged.name == only_trained.name
    assert shard_of([only_trained, judged, tiny_cell()], (1, 1)) == [judged]
    assert shard_of([judged, only_trained], (1, 1)) == [judged]
    assert shard_of([only_trained, only_trained], (1, 1)) == [only_trained]
    with pytest.raises(InputError, match="one setting"):
        shard_of([judged, Cell(judged.configuration, "two-step")], (1, 1))


@pytest.mark.parametrize("text", ["3/2", "0/2", "1/0", "2", "a/b", "-1/2", "1/2/3", ""])
def test_a_shard_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected i/n with i from 1 to n"):
        shard_of([], parsed_shard(text))


@pytest.mark.usefixtures("work_here")
def test_the_longest_cells_come_first(tiny_cell: TinyCell, tmp_path: Path) -> None:
    cells = [tiny_cell(updates=n, seeds=seeds) for n, seeds in ((2, 1), (4, 1), (3, 3))]
    assert [cost(cell) for cell in cells] == [2 * 3 * 6, 4 * 3 * 6, 3 * 3 * 3 * 6]
    log = Log()
    sweep(cells, tmp_path, log)
    assert log.names(Begun) == [cells[at].name for at in (2, 1, 0)]


def test_no_processes_at_all_are_refused(tiny_cell: TinyCell, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="processes is 0; expected 1 or more"):
        sweep([tiny_cell()], tmp_path, silent, processes=0)


# Each once


@pytest.mark.usefixtures("work_here")
def test_what_is_finished_is_not_run_again(
    tiny_cell: TinyCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [tiny_cell(units) for units in (3, 4)]
    assert [state_of(cell, tmp_path) for cell in cells] == ["not run", "not run"]
    first = sweep(cells, tmp_path, silent)
    assert first == Outcome(tuple(sorted(cell.name for cell in cells)), {})
    assert [state_of(cell, tmp_path) for cell in cells] == ["finished", "finished"]
    monkeypatch.setattr("pfc_metarl.emergence.sweep.work", None)  # not called
    log = Log()
    assert sweep(cells, tmp_path, log) == first
    assert sorted(log.names(Ended)) == sorted(first.finished)
    assert not log.names(Begun)


@pytest.mark.usefixtures("work_here")
def test_a_cell_that_another_process_holds_comes_last(
    tiny_cell: TinyCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pfc_metarl.emergence.sweep._HELD_SECONDS", 0.0)
    taken, free = tiny_cell(updates=4), tiny_cell()
    other = open_run(taken.configuration, tmp_path)
    begun: list[str] = []

    def report(name: str, event: object) -> None:
        if isinstance(event, Begun):
            begun.append(name)
        if isinstance(event, Ended) and name == free.name:
            other.__exit__()

    outcome = sweep([taken, free], tmp_path, report)
    assert begun == [taken.name, free.name, taken.name]
    assert not outcome.failed
    assert state_of(taken, tmp_path) == "finished"


@pytest.mark.usefixtures("work_here")
def test_a_cell_that_another_process_finishes_is_not_begun_again(
    tiny_cell: TinyCell, tmp_path: Path
) -> None:
    cell = tiny_cell()
    log, other = Log(), open_run(cell.configuration, tmp_path)

    def report(name: str, event: object) -> None:
        log(name, event)
        if isinstance(event, Held):
            other.__exit__()
            finish(cell, tmp_path, lambda progress: None)

    assert sweep([cell], tmp_path, report).finished == (cell.name,)
    assert log.names(Begun) == [cell.name]
    assert [type(event) for _, event in log.events] == [Begun, Held, Ended]


# Failures


def cannot_be_judged(cell: Cell) -> Cell:
    """Return the same with a setting that does not exist."""
    return Cell(cell.configuration, "no such setting")


@pytest.mark.usefixtures("work_here")
def test_a_cell_that_fails_does_not_stop_the_others_and_says_why(
    tiny_cell: TinyCell, tmp_path: Path
) -> None:
    sound, wrong = tiny_cell(3), tiny_cell(4)
    failing = cannot_be_judged(wrong)
    outcome = sweep([sound, failing], tmp_path, silent)
    assert outcome == Outcome(
        (sound.name,), {wrong.name: "KeyError: 'no such setting'"}
    )
    assert state_of(failing, tmp_path) == "failed"
    assert reason_of(failing, tmp_path) == "KeyError: 'no such setting'"
    text = note_of(failing, tmp_path).read_text().splitlines()
    assert text[0] == "KeyError: 'no such setting'"
    assert "cell.py" in "".join(text)  # where it happened
    assert text[-1] == "KeyError: 'no such setting'"
    assert len(text) < 50
    with pytest.raises(InputError, match="not finished"):  # not: did not emerge
        measured(failing, tmp_path)


@pytest.mark.usefixtures("work_here")
def test_a_later_success_clears_a_failure(tiny_cell: TinyCell, tmp_path: Path) -> None:
    cell = tiny_cell()
    sweep([cannot_be_judged(cell)], tmp_path, silent)
    assert state_of(cell, tmp_path) == "failed"
    assert not sweep([cell], tmp_path, silent).failed
    assert state_of(cell, tmp_path) == "finished"
    assert reason_of(cell, tmp_path) == ""
    assert not note_of(cell, tmp_path).exists()


@pytest.mark.usefixtures("work_here")
def test_a_damaged_result_is_a_failure(tiny_cell: TinyCell, tmp_path: Path) -> None:
    cell = tiny_cell()
    sweep([cell], tmp_path, silent)
    result = tmp_path / cell.name / "emergence.nc"
    content = bytearray(result.read_bytes())
    content[100] ^= 1
    result.write_bytes(content)
    assert state_of(cell, tmp_path) == "failed"
    assert "SHA-256 differs" in reason_of(cell, tmp_path)
    assert "SHA-256 differs" in sweep([cell], tmp_path, silent).failed[cell.name]
    result.unlink()
    assert not sweep([cell], tmp_path, silent).failed
    assert state_of(cell, tmp_path) == "finished"


@pytest.mark.usefixtures("work_here")
def test_a_run_folder_that_cannot_be_written_fails_alone(
    tiny_cell: TinyCell, tmp_path: Path
) -> None:
    sound, blocked = tiny_cell(3), tiny_cell(4)
    (tmp_path / blocked.name).write_text("mine")
    outcome = sweep([sound, blocked], tmp_path, silent)
    assert outcome.finished == (sound.name,)
    assert "cannot be written" in outcome.failed[blocked.name]
    assert state_of(blocked, tmp_path) == "failed"


def test_a_folder_that_cannot_be_made_is_refused(
    tiny_cell: TinyCell, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="cannot be written"):
        sweep([tiny_cell()], tmp_path / "file", silent)


@pytest.mark.usefixtures("work_here")
def test_half_written_reasons_are_removed(tiny_cell: TinyCell, tmp_path: Path) -> None:
    cell, other = tiny_cell(3), tiny_cell(4)
    strays = [
        note_of(c, tmp_path).with_name(f"{c.name}.failed.txt.77.partial")
        for c in (cell, other)
    ]
    for stray in strays:
        stray.write_text("half")
    sweep([cell], tmp_path, silent)
    assert [stray.exists() for stray in strays] == [False, True]  # another's may be new


# With processes


def test_two_processes_and_two_shards_end_with_the_same_bits_as_one(
    tiny_cell: TinyCell, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    cells = [tiny_cell(3, seeds=5), tiny_cell(4), tiny_cell(4, "two-step")]
    log = Log()
    sweep(cells, tmp_path / "two", log, processes=2)
    assert sorted(log.names(Ended)) == sorted(cell.name for cell in cells)
    assert not multiprocessing.active_children()
    request.getfixturevalue("work_here")
    sweep(cells, tmp_path / "one", silent)
    for shard in ((1, 2), (2, 2)):
        done = sweep(cells, tmp_path / "shards", silent, shard)
        assert 0 < len(done.finished) < 3
    expected = weights(cells, tmp_path / "one")
    assert len({sum_ for sums in expected.values() for sum_ in sums}) == 9
    assert weights(cells, tmp_path / "two") == expected
    assert weights(cells, tmp_path / "shards") == expected
    for cell in cells:
        one, two = (measured(cell, tmp_path / name) for name in ("one", "two"))
        assert one.identical(two)


@pytest.mark.slow
def test_a_cell_whose_process_is_killed_fails_alone(
    tiny_cell: TinyCell, tmp_path: Path
) -> None:
    long, short = tiny_cell(updates=100_000), tiny_cell()

    def kill(name: str, event: object) -> None:
        if name == long.name and isinstance(event, Progress):
            for process in multiprocessing.active_children():
                process.kill()

    outcome = sweep([long, short], tmp_path, kill, processes=1)
    assert outcome.finished == (short.name,)
    assert "killed by SIGKILL" in outcome.failed[long.name]
    assert state_of(long, tmp_path) == "failed"
    assert "killed by SIGKILL" in reason_of(long, tmp_path)
    assert not multiprocessing.active_children()


def test_an_interrupt_saves_the_update_and_the_next_sweep_goes_on_from_it(
    tiny_cell: TinyCell, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    cell = tiny_cell(updates=300)
    with pytest.raises(KeyboardInterrupt):
        sweep([cell], tmp_path, interrupt, processes=1)
    assert not multiprocessing.active_children()
    assert state_of(cell, tmp_path) == "not run"
    saved = checkpoints.newest(tmp_path / cell.name / "checkpoints", "seeds-000-001")
    assert saved is not None
    assert 0 < saved["update"] < 300
    request.getfixturevalue("work_here")
    log = Log()
    sweep([cell], tmp_path, log)
    first = next(event for _, event in log.events if isinstance(event, Progress))
    assert first.update == saved["update"]
    finish(cell, tmp_path / "whole", lambda progress: None)
    assert weights([cell], tmp_path) == weights([cell], tmp_path / "whole")


def test_killed_amid_a_cell_a_sweep_goes_on_and_repeats_nothing(
    tiny_cell: TinyCell, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    first, second = tiny_cell(updates=31, seeds=4), tiny_cell(updates=120, seeds=1)
    assert cost(first) > cost(second)
    root = tmp_path / "cells"
    process = sweep_elsewhere(tmp_path, [second, first], processes=1)
    end = time.monotonic() + 100
    while not list((root / second.name).glob("checkpoints/*.pt")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, "the sweep does not move"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.communicate(timeout=30)[0] == ""  # all its processes have ended
    assert state_of(first, root) == "finished"
    assert state_of(second, root) == "not run"
    made = {path: path.stat().st_mtime_ns for path in root.glob("*/*.nc")}
    assert len(made) == 2
    request.getfixturevalue("work_here")
    log = Log()
    assert not sweep([first, second], root, log).failed
    assert log.names(Begun) == [second.name]
    resumed = next(event for _, event in log.events if isinstance(event, Progress))
    assert resumed.update > 0
    assert all(path.stat().st_mtime_ns == at for path, at in made.items())
    assert not list(root.glob("**/*.partial"))
    finish(second, tmp_path / "whole", lambda progress: None)
    assert weights([second], root) == weights([second], tmp_path / "whole")


@pytest.mark.slow
def test_shards_in_two_processes_at_once_end_with_the_same_bits(
    tiny_cell: TinyCell, tmp_path: Path
) -> None:
    cells = [tiny_cell(units, updates=20) for units in range(2, 8)]
    shards = [sweep_elsewhere(tmp_path, cells, f"{i}/2", 1) for i in (1, 2)]
    for shard in shards:
        assert shard.communicate(timeout=200)[0] == ""
        assert shard.returncode == 0
    for cell in cells:
        finish(cell, tmp_path / "whole", lambda progress: None)
    expected = weights(cells, tmp_path / "whole")
    assert weights(cells, tmp_path / "cells") == expected


@pytest.mark.slow
def test_the_same_sweep_twice_at_once_shares_the_work(
    tiny_cell: TinyCell, tmp_path: Path
) -> None:
    cells = [tiny_cell(units, updates=50) for units in range(2, 8)]
    both = [sweep_elsewhere(tmp_path, cells, "1/1", 1) for _ in range(2)]
    for one in both:
        assert one.communicate(timeout=200)[0] == ""
        assert one.returncode == 0
    assert all(state_of(cell, tmp_path / "cells") == "finished" for cell in cells)
    assert not list((tmp_path / "cells").glob("*.failed.txt"))


# What is shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def progress(
    update: int, seeds: tuple[int, ...] = (0, 1), speed: float = 9.0
) -> Progress:
    return Progress(seeds, update, 10, (0.5, 0.7), speed, (-1, -1))


def test_a_line_tells_counts_and_what_runs(tiny_cell: TinyCell) -> None:
    cells = [tiny_cell(units, updates=10) for units in range(1, 6)]
    names = [cell.name for cell in cells]
    shown = SweepDisplay(cells, {names[0]: "E1 bandit: intact"}, io.StringIO())
    assert shown.line() == "cells: 0 of 5 done"
    shown.report(names[0], Begun())
    shown.report(names[1], Ended())
    shown.report(names[2], Failed("out of luck"))
    shown.report(names[3], Held())
    assert shown.line() == (
        "cells: 1 of 5 done, 1 running, 1 failed, 1 held elsewhere | "
        "E1 bandit: intact starting"
    )
    shown.report(names[0], progress(4))
    assert "E1 bandit: intact seeds 0-1, update 4/10, reward 0.600" in shown.line()
    shown.report(names[0], progress(10))
    assert "E1 bandit: intact trained, is tested" in shown.line()
    shown.report(names[0], Ended())
    assert shown.line().startswith("cells: 2 of 5 done, 1 failed, 1 held elsewhere")


def test_the_time_left_counts_only_what_was_done_now(
    tiny_cell: TinyCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    cells = [tiny_cell(units, updates=10) for units in range(1, 5)]
    names = [cell.name for cell in cells]
    shown = SweepDisplay(cells, {}, io.StringIO())
    shown.report(names[0], Ended())  # found finished
    shown.report(names[1], Begun())
    shown.report(names[1], progress(5, speed=0.0))  # as the last run left it
    assert "left" not in shown.line()
    now = 600.0
    shown.report(names[1], progress(10))  # half a cell in ten minutes, two cells left
    assert "about 40 min left" in shown.line()
    shown.report(names[1], Ended())
    shown.report(names[2], Failed("out of luck"))
    assert "about 20 min left" in shown.line()


def test_failures_are_said_at_once_and_lines_come_rarely(tiny_cell: TinyCell) -> None:
    cells, stream = [tiny_cell(updates=10)], io.StringIO()
    with SweepDisplay(cells, {cells[0].name: "[E1]"}, stream) as shown:
        shown.report(cells[0].name, Begun())
        shown.report(cells[0].name, progress(4))
        assert stream.getvalue() == ""
        shown.report(cells[0].name, Failed("out of luck"))
    assert stream.getvalue() == "[E1]: failed: out of luck\n"


def test_a_terminal_shows_a_bar_for_each_cell_that_runs(tiny_cell: TinyCell) -> None:
    cells, stream = [tiny_cell(units, updates=10) for units in (1, 2)], Terminal()
    with SweepDisplay(cells, {cells[0].name: "[E1]"}, stream) as shown:
        shown.report(cells[0].name, Begun())
        shown.report(cells[0].name, progress(4))
        shown.report(cells[1].name, Ended())
    assert "cells: 1 of 2 done, 1 running" in stream.getvalue()
    assert "[E1]" in stream.getvalue()
    assert "━" in stream.getvalue()
