"""A sweep on a cluster: SLURM through submitit, or submitit's stand-in on this machine.

The cells are dealt to jobs, and each job is a sweep (:mod:`pfc_metarl.emergence.sweep`)
over its part, so that results are the same as here. A job whose time is over, or that
makes room for another, is queued again and goes on from the last update.
"""

import math
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from pfc_metarl.emergence.cell import Cell
from pfc_metarl.emergence.sweep import (
    Outcome,
    Report,
    note_failure,
    note_of,
    prepare,
    reason_of,
    shard_of,
    state_of,
    sweep,
)
from pfc_metarl.emergence.sweep_display import SweepDisplay
from pfc_metarl.errors import InputError
from pfc_metarl.parallel import Ended, Failed

if TYPE_CHECKING:
    from submitit import AutoExecutor, Job
    from submitit.helpers import DelayedSubmission

ENGINES = {"submitit-local": "local", "slurm": "slurm"}
"""What submitit calls them."""

_LOOK_SECONDS = 2.0
_TIMEOUTS = 100  # how often a job is queued again; it moves on every time


@dataclass(frozen=True)
class Resources:
    """What is asked of the cluster.

    Parameters
    ----------
    jobs
        Jobs in the array; fewer where there are fewer cells.
    processes
        Cells side by side in a job, each on a core.
    partition
        Of SLURM; None: its default.
    hours
        Time limit of a job; one that needs longer is queued again.
    """

    jobs: int = 16
    processes: int = 1
    partition: str | None = None
    hours: float = 24.0

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises
        ------
        InputError
            When one cannot be.
        """
        for name in ("jobs", "processes"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if not 0 < self.hours < math.inf:
            raise InputError(f"time is {self.hours} hours; expected more than 0")


@dataclass(frozen=True)
class Part:
    """A job: the cells that it finishes. Called by submitit, where the job runs."""

    cells: tuple[Cell, ...]
    root: Path
    processes: int

    def __call__(self) -> list[str]:
        """Finish the cells; return the run folders of those that are."""
        torch.set_num_threads(1)  # the processes of the sweep use the other cores
        with SweepDisplay(self.cells, stream=sys.stderr) as display:
            done = sweep(
                self.cells, self.root, display.report, processes=self.processes
            )
        return [str(self.root / name) for name in done.finished]

    def checkpoint(self) -> "DelayedSubmission":
        """Return what is to be queued when its time is over: the same."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def sweep_on_cluster(
    cells: Iterable[Cell],
    root: Path,
    report: Report,
    engine: str,
    resources: Resources,
    shard: tuple[int, int] = (1, 1),
) -> Outcome:
    """Finish every cell that is not finished, in jobs of a cluster; wait for them.

    Parameters
    ----------
    cells
        In any order; equal ones are done once.
    root
        The run folders are below it; every node must see it. What jobs print is in the
        folder ``jobs`` beside it.
    report
        Told which cells are finished.
    engine
        A key of :data:`ENGINES`.
    resources
        What is asked for.
    shard
        (i, n): take only the i-th of n parts.

    Raises
    ------
    InputError
        When submitit or SLURM is missing, or does not take the jobs.
    KeyboardInterrupt
        When interrupted. Jobs on this machine are stopped; those of SLURM go on, as
        the message says.
    """
    mine = shard_of(cells, shard)
    waiting = _unfinished(mine, root, report)
    if waiting:
        prepare(root, waiting)
        executor = _executor(engine, _new_folder(root), resources)
        n = min(resources.jobs, len(waiting))
        parts = [
            Part(
                tuple(shard_of(waiting, (i + 1, n))),
                root.absolute(),
                resources.processes,
            )
            for i in range(n)
        ]
        for cell in waiting:
            note_of(cell, root).unlink(missing_ok=True)  # it gets another chance
        jobs = _submitted(executor, parts)
        _wait(jobs, waiting, root, report, stop=engine == "submitit-local")
        for part, job in zip(parts, jobs, strict=True):
            _note_lost(part, job, root)
    failed = {
        cell.name: reason_of(cell, root) or "not finished"
        for cell in mine
        if state_of(cell, root) != "finished"
    }
    finished = tuple(cell.name for cell in mine if cell.name not in failed)
    return Outcome(finished, failed)


def _unfinished(cells: Iterable[Cell], root: Path, report: Report) -> list[Cell]:
    """Return the cells that are not finished, and report those that are."""
    waiting = []
    for cell in cells:
        if state_of(cell, root) == "finished":
            report(cell.name, Ended())
        else:
            waiting.append(cell)
    return waiting


def _new_folder(root: Path) -> Path:
    """Return where the jobs write; a new one, as local jobs are named by process."""
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return root.absolute().parent / "jobs" / f"{now}-{os.getpid()}"


def _executor(engine: str, folder: Path, resources: Resources) -> "AutoExecutor":
    if engine not in ENGINES:
        raise InputError(f"no engine '{engine}'; expected here or {', '.join(ENGINES)}")
    try:
        from submitit import AutoExecutor
    except ImportError:
        raise InputError(
            f"engine {engine} needs submitit; pip install 'pfc-metarl[cluster]', "
            "or use --engine here"
        ) from None
    try:
        executor = AutoExecutor(
            folder,
            ENGINES[engine],
            slurm_max_num_timeout=_TIMEOUTS,
            local_max_num_timeout=_TIMEOUTS,
        )
    except RuntimeError as error:  # no srun here
        raise InputError(f"engine {engine}: {error} Use --engine here") from None
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from None
    n = resources.processes
    executor.update_parameters(
        name="pfc-metarl",
        timeout_min=math.ceil(60 * resources.hours),
        cpus_per_task=n,
        slurm_partition=resources.partition,
        # Since SLURM 22.05 srun does not take this over from sbatch: all on one core.
        slurm_srun_args=[f"--cpus-per-task={n}"],
        slurm_additional_parameters={"requeue": True},
    )
    return executor


def _submitted(executor: "AutoExecutor", parts: list[Part]) -> list["Job[list[str]]"]:
    """Submit the parts: one array."""
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        return executor.submit_array(parts)
    except (FailedJobError, FailedSubmissionError, OSError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"the jobs were not taken: {lines[-1]}") from None


def _wait(
    jobs: list["Job[list[str]]"],
    waiting: list[Cell],
    root: Path,
    report: Report,
    stop: bool,
) -> None:
    try:
        while True:
            ended = all(job.done() for job in jobs)
            waiting = _unfinished(waiting, root, report)
            if ended:
                break
            time.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        if stop:
            for job in jobs:
                job.cancel()
            raise
        number = jobs[0].job_id.partition("_")[0]
        raise KeyboardInterrupt(
            f"no longer waiting; job {number} goes on (scancel {number} ends it), and "
            "when it has ended the same command makes the report"
        ) from None


def _note_lost(part: Part, job: "Job[list[str]]", root: Path) -> None:
    """Say why of the cells that a job neither finished nor gave a reason for."""
    lost = [cell for cell in part.cells if state_of(cell, root) == "not run"]
    if lost:
        error = job.exception()
        trace = str(error) if error else ""
        last = (trace.strip().splitlines() or ["no reason given"])[-1]
        reason = f"job {job.job_id} ended without it ({last}); see {job.paths.stderr}"
        for cell in lost:
            note_failure(cell, root, Failed(reason, trace))
