"""A sweep in jobs of a cluster ends as a sweep here does."""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import submitit
from submitit.helpers import DelayedSubmission

from pfc_metarl.emergence import cluster
from pfc_metarl.emergence.cell import Cell, finish, networks
from pfc_metarl.emergence.cluster import Part, Resources, sweep_on_cluster
from pfc_metarl.emergence.sweep import note_of, reason_of, state_of, sweep
from pfc_metarl.errors import InputError
from pfc_metarl.parallel import Ended
from pfc_metarl.recording import hashes

TinyCell = Callable[..., Cell]


@dataclass(frozen=True)
class JobAtOnce:
    """A job that has ended, as submitit shows it."""

    job_id: str
    error: Exception | None
    paths: SimpleNamespace

    def done(self) -> bool:
        return True

    def exception(self) -> Exception | None:
        return self.error


class AtOnce:
    """Runs jobs when they are submitted, in this process."""

    def submit_array(self, parts: list[Part]) -> list[JobAtOnce]:
        return [self._run(part) for part in parts]

    def _run(self, part: Part) -> JobAtOnce:
        error = None
        try:
            part()
        except MemoryError as raised:
            error = raised
        return JobAtOnce("7", error, SimpleNamespace(stderr=Path("7.err")))


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch, work_here: None) -> None:
    """Run jobs without submitit and without processes, which start slowly."""
    monkeypatch.setattr(cluster, "_executor", lambda *given: AtOnce())


def silent(name: str, event: object) -> None:
    pass


def weights(cells: list[Cell], root: Path) -> dict[str, list[str]]:
    return {cell.name: list(hashes(networks(cell, root))) for cell in cells}


@pytest.mark.usefixtures("at_once")
def test_jobs_finish_every_cell_with_the_same_bits_as_a_sweep_here(
    tiny_cell: TinyCell, tmp_path: Path
) -> None:
    cells = [tiny_cell(units) for units in (2, 3, 4)]
    ended: list[str] = []

    def report(name: str, event: object) -> None:
        assert isinstance(event, Ended)
        ended.append(name)

    root = tmp_path / "cluster" / "cells"
    sweep(cells[:1], root, silent)  # found finished
    outcome = sweep_on_cluster(cells, root, report, "submitit-local", Resources(jobs=2))
    assert not outcome.failed
    assert sorted(outcome.finished) == sorted(ended) == sorted(c.name for c in cells)
    sweep(cells, tmp_path / "here", silent)
    assert weights(cells, root) == weights(cells, tmp_path / "here")


@pytest.mark.usefixtures("at_once")
def test_a_cell_that_fails_in_a_job_is_listed_with_its_reason(
    tiny_cell: TinyCell, tmp_path: Path
) -> None:
    sound, failing = tiny_cell(3), Cell(tiny_cell(4).configuration, "no such setting")
    outcome = sweep_on_cluster(
        [sound, failing], tmp_path / "cells", silent, "submitit-local", Resources(1)
    )
    assert outcome.finished == (sound.name,)
    assert outcome.failed == {failing.name: "KeyError: 'no such setting'"}


@pytest.mark.usefixtures("at_once")
def test_cells_of_a_job_that_is_lost_are_failures_until_they_succeed(
    tiny_cell: TinyCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, root = tiny_cell(), tmp_path / "cells"

    def lost(part: Part) -> list[str]:
        raise MemoryError("the node is full")

    with monkeypatch.context() as now:
        now.setattr(Part, "__call__", lost)
        outcome = sweep_on_cluster([cell], root, silent, "submitit-local", Resources())
    assert outcome.finished == ()
    assert "ended without it" in outcome.failed[cell.name]
    assert "the node is full" in note_of(cell, root).read_text()
    assert state_of(cell, root) == "failed"
    assert reason_of(cell, root) == outcome.failed[cell.name]
    again = sweep_on_cluster([cell], root, silent, "submitit-local", Resources())
    assert again.finished == (cell.name,)
    assert not note_of(cell, root).exists()


def test_only_a_shard_is_sent_and_nothing_when_all_is_finished(
    tiny_cell: TinyCell, tmp_path: Path, work_here: None
) -> None:
    cells = [tiny_cell(units) for units in (2, 3)]
    done = sweep(cells, tmp_path, silent, (2, 2))
    outcome = sweep_on_cluster(  # without SLURM: nothing needs it
        cells, tmp_path, silent, "slurm", Resources(), (2, 2)
    )
    assert outcome == done


def test_without_submitit_one_line_says_what_to_install(
    tiny_cell: TinyCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(InputError, match=r"pip install 'pfc-metarl\[cluster\]'"):
        sweep_on_cluster([tiny_cell()], tmp_path, silent, "slurm", Resources())


def test_without_slurm_one_line_says_so(
    tiny_cell: TinyCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"srun.*--engine here"):
        sweep_on_cluster([tiny_cell()], tmp_path, silent, "slurm", Resources())


@pytest.mark.parametrize(
    "wrong",
    [{"jobs": 0}, {"processes": 0}, {"hours": 0.0}, {"hours": float("nan")}],
)
def test_resources_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        Resources(**wrong)


def test_an_engine_that_is_unknown_is_refused(
    tiny_cell: TinyCell, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no engine 'moon'"):
        sweep_on_cluster([tiny_cell()], tmp_path, silent, "moon", Resources())


# A SLURM that takes one array, keeps its script, and runs its jobs at once.
SBATCH = """#!/bin/sh
cp "$1" {folder}/submitted.sh
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\)%.*/\\1/p' "$1")
for task in $(seq 0 "$last"); do
    SLURM_JOB_ID=$((8 + task)) SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$task \\
        sh "$1" >/dev/null 2>&1 &
done
echo "Submitted batch job 7"
"""
SRUN = """#!/bin/sh
while [ "${1#--}" != "$1" ]; do  # its options
    case "$1" in --output|--error) shift ;; esac
    shift
done
exec "$@"
"""
SACCT = """#!/bin/sh
echo "JobID|State|NodeList"
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put commands that stand for SLURM's on the path; return their folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("sbatch", SBATCH), ("srun", SRUN), ("sacct", SACCT)):
        (folder / name).write_text(text.replace("{folder}", str(folder)))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_slurm_is_asked_for_one_array_with_what_was_given(
    tiny_cell: TinyCell, tmp_path: Path, slurm: Path
) -> None:
    resources = Resources(jobs=5, processes=3, partition="night", hours=1.51)
    (slurm / "srun").write_text("#!/bin/sh\n")  # nothing is run
    executor = cluster._executor("slurm", tmp_path / "jobs", resources)
    parts = [Part((tiny_cell(units),), tmp_path, 3) for units in (2, 3)]
    jobs = cluster._submitted(executor, parts)
    assert [job.job_id for job in jobs] == ["7_0", "7_1"]
    text = (slurm / "submitted.sh").read_text()
    for line in ("array=0-1%2", "partition=night", "time=91", "cpus-per-task=3"):
        assert f"#SBATCH --{line}\n" in text
    assert "#SBATCH --requeue\n" in text
    assert "#SBATCH --signal=USR2@90\n" in text
    (srun,) = [line for line in text.splitlines() if line.startswith("srun ")]
    assert "--cpus-per-task=3" in srun  # SLURM 22.05 does not take it over
    assert [job.submission().function for job in jobs] == parts


def test_what_sbatch_says_against_the_jobs_is_said(
    tiny_cell: TinyCell, tmp_path: Path, slurm: Path
) -> None:
    (slurm / "sbatch").write_text("#!/bin/sh\necho 'invalid partition' >&2\nexit 1\n")
    with pytest.raises(InputError, match=r"not taken: .*invalid partition") as error:
        sweep_on_cluster([tiny_cell()], tmp_path, silent, "slurm", Resources())
    assert "\n" not in str(error.value)


def test_a_job_whose_time_is_over_is_queued_again_as_it_is(
    tiny_cell: TinyCell, tmp_path: Path
) -> None:
    part = Part((tiny_cell(),), tmp_path, 1)
    again = part.checkpoint()
    assert isinstance(again, DelayedSubmission)
    assert again.function == part


@pytest.mark.slow
def test_slurm_jobs_finish_every_cell_with_the_same_bits(
    tiny_cell: TinyCell, tmp_path: Path, slurm: Path
) -> None:
    cells = [tiny_cell(units, updates=20) for units in (2, 3, 4)]
    outcome = sweep_on_cluster(
        cells, tmp_path / "cells", silent, "slurm", Resources(jobs=2)
    )
    assert not outcome.failed
    for cell in cells:
        finish(cell, tmp_path / "whole", lambda progress: None)
    assert weights(cells, tmp_path / "cells") == weights(cells, tmp_path / "whole")


def processes_below(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the job's process")
def test_a_local_job_that_makes_room_goes_on_with_the_same_bits(
    tiny_cell: TinyCell, tmp_path: Path
) -> None:
    cell, root = tiny_cell(updates=600), tmp_path / "cells"
    executor = cluster._executor("submitit-local", tmp_path / "jobs", Resources())
    (job,) = cluster._submitted(executor, [Part((cell,), root, 1)])
    while not list((root / cell.name).glob("checkpoints/*.metrics.jsonl")):
        assert not job.done()
        time.sleep(0.1)
    (running,) = processes_below(int(job.job_id))
    os.kill(running, signal.SIGUSR2)
    assert job.result() == [str(root / cell.name)]
    log = f"{job.stdout()}{job.stderr()}"
    assert log.count("Starting with") == 2
    assert "Requeued" in log
    finish(cell, tmp_path / "whole", lambda progress: None)
    assert weights([cell], root) == weights([cell], tmp_path / "whole")


@pytest.mark.slow
def test_jobs_on_this_machine_end_with_the_same_bits(
    tiny_cell: TinyCell, tmp_path: Path
) -> None:
    cells = [tiny_cell(units, updates=20) for units in (2, 3, 4)]
    outcome = sweep_on_cluster(
        cells, tmp_path / "cells", silent, "submitit-local", Resources(jobs=2)
    )
    assert not outcome.failed
    for cell in cells:
        finish(cell, tmp_path / "whole", lambda progress: None)
    assert weights(cells, tmp_path / "cells") == weights(cells, tmp_path / "whole")


@pytest.mark.slow
def test_an_interrupt_stops_the_jobs_on_this_machine(
    tiny_cell: TinyCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, long, root = tiny_cell(), tiny_cell(updates=100_000), tmp_path / "cells"
    jobs: list[submitit.Job[list[str]]] = []
    submitted = cluster._submitted

    def remember(*given: Any) -> list[submitit.Job[list[str]]]:
        jobs.extend(submitted(*given))
        return jobs

    def interrupt(name: str, event: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cluster, "_submitted", remember)
    with pytest.raises(KeyboardInterrupt):
        sweep_on_cluster([short, long], root, interrupt, "submitit-local", Resources(2))
    while not all(job.done() for job in jobs):
        time.sleep(0.1)
    assert state_of(short, root) == "finished"
    assert state_of(long, root) == "not run"
