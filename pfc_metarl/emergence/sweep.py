"""A sweep: many cells, each finished once, whatever happens to the others.

Cells are independent of each other and each is a pure function of its configuration, so
the results do not depend on the number of processes, on the shards, or on how often the
sweep was stopped. A cell that fails leaves a text beside its run folder that says why.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Literal

from pfc_metarl.emergence.cell import Cell, finish, is_finished
from pfc_metarl.errors import InputError
from pfc_metarl.files import PARTIAL, write_text
from pfc_metarl.parallel import Ended, Event, Failed, work
from pfc_metarl.run_folder import InUseError
from pfc_metarl.simulation import open_run
from pfc_metarl.training import Progress
from pfc_metarl.version import __version__

NOTE = ".failed.txt"
"""Ends the name of the text that says why a cell failed."""

_TRACEBACK_LINES = 40
_HELD_SECONDS = 1.0

State = Literal["finished", "failed", "not run"]
"""Of a cell: trained and judged; tried without success; neither, or not to its end."""


@dataclass(frozen=True)
class Held:
    """Another process is at work in the cell; it comes last."""


Report = Callable[[str, Event | Held], None]
"""Told, by the name of a cell, what happens to it."""


@dataclass(frozen=True)
class Outcome:
    """What became of the cells of a sweep.

    Parameters
    ----------
    finished
        Their names.
    failed
        Why, in one line each, by name.
    """

    finished: tuple[str, ...]
    failed: Mapping[str, str]


def sweep(
    cells: Iterable[Cell],
    root: Path,
    report: Report,
    shard: tuple[int, int] = (1, 1),
    processes: int | None = None,
) -> Outcome:
    """Finish every cell that is not finished, the longest first.

    A cell in which another process is at work is left to it, and waited for at the end.

    Parameters
    ----------
    cells
        In any order; equal ones are done once.
    root
        The run folders are below it.
    report
        Told what happens, in this process.
    shard
        (i, n): take only the i-th of n parts; see :func:`shard_of`.
    processes
        Cells side by side; None: as many as there are cores.

    Raises
    ------
    InputError
        When the shard or the number of processes cannot be, or ``root`` cannot be
        written.
    KeyboardInterrupt, SystemExit
        When stopped; what is unfinished goes on from its last update next time.
    """
    if processes is not None and processes < 1:
        raise InputError(f"processes is {processes}; expected 1 or more")
    mine = shard_of(cells, shard)
    todo = [cell for cell in mine if not _found(cell, root, report)]
    if todo:
        prepare(root, todo)
    todo.sort(key=cost, reverse=True)
    failed: dict[str, str] = {}
    while todo:
        held = _finish_each(todo, root, report, processes, failed)
        todo = _freed(held, root, report)
    finished = tuple(cell.name for cell in mine if cell.name not in failed)
    return Outcome(finished, failed)


def shard_of(cells: Iterable[Cell], shard: tuple[int, int]) -> list[Cell]:
    """Return the i-th of n parts of some cells: every n-th in the order of their names.

    The n parts are disjoint and together all cells.

    Parameters
    ----------
    cells
        Equal ones count once; one that is judged by a criterion stands for the same
        training without.
    shard
        (i, n), i from 1 to n.

    Raises
    ------
    InputError
        When there is no such part.
    """
    part, parts = shard
    if not 1 <= part <= parts:
        raise InputError(
            f"shard is {part}/{parts}; expected i/n with i from 1 to n, such as 1/4"
        )
    by_name: dict[str, Cell] = {}
    for cell in cells:
        known = by_name.setdefault(cell.name, cell)
        if known.setting is None:
            by_name[cell.name] = cell
        elif cell.setting not in (None, known.setting):
            raise InputError(
                f"{cell.name}: judged as {known.setting} and as {cell.setting}; "
                "expected one setting for one configuration"
            )
    return [by_name[name] for name in sorted(by_name)][part - 1 :: parts]


def parsed_shard(text: str) -> tuple[int, int]:
    """Return (i, n) of ``"i/n"``.

    Raises
    ------
    InputError
        When it is something else.
    """
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal()):
        raise InputError(
            f"shard is {text}; expected i/n with i from 1 to n, such as 1/4"
        )
    return int(part), int(parts)


def cost(cell: Cell) -> int:
    """Return how many steps a cell trains for, all seeds together."""
    configuration = cell.configuration
    learning = configuration.learning
    episodes = learning.updates * learning.batch * configuration.seeds
    return episodes * configuration.task.steps


def state_of(cell: Cell, root: Path) -> State:
    """Return whether a cell is finished, failed or not run.

    A cell with a damaged result has failed; see :func:`reason_of`. Nothing is changed.
    """
    return _look(cell, root)[0]


def reason_of(cell: Cell, root: Path) -> str:
    """Return why a cell failed, in one line; "" if it did not."""
    return _look(cell, root)[1]


def note_of(cell: Cell, root: Path) -> Path:
    """Return the path of the text that says why a cell failed, and where."""
    return root / f"{cell.name}{NOTE}"


def note_failure(cell: Cell, root: Path, failed: Failed) -> None:
    """Write why a cell failed: the reason, when, with what, and where in the program.

    Where even that cannot be written the cell counts as not run.
    """
    setting = f", setting {cell.setting}" if cell.setting else ""
    now = datetime.now(UTC).isoformat(" ", "seconds")
    lines = [
        failed.reason,
        "",
        f"{cell.name}{setting}; pfc_metarl {__version__}, {now}",
        *failed.traceback.splitlines()[-_TRACEBACK_LINES:],
    ]
    with suppress(OSError):
        write_text(note_of(cell, root), "\n".join(lines) + "\n")


def _look(cell: Cell, root: Path) -> tuple[State, str]:
    try:
        if is_finished(cell, root):
            return "finished", ""
        note = note_of(cell, root)
        if note.exists():
            return "failed", note.read_text(encoding="utf-8").partition("\n")[0]
    except (InputError, OSError) as error:
        return "failed", str(error)
    return "not run", ""


def _found(cell: Cell, root: Path, report: Report) -> bool:
    """Whether a cell is finished; that it failed once is forgotten then."""
    if state_of(cell, root) != "finished":
        return False
    note_of(cell, root).unlink(missing_ok=True)
    report(cell.name, Ended())
    return True


def prepare(root: Path, cells: Iterable[Cell]) -> None:
    """Make the folder for cells, and remove what a killed sweep left half written.

    Raises
    ------
    InputError
        When it cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=root):
            pass
    except OSError as error:
        raise InputError(
            f"{root}: cannot be written ({error.strerror}); "
            "choose another folder with --out"
        ) from None
    names = {cell.name for cell in cells}
    for stray in root.glob(f"*{NOTE}.*{PARTIAL}"):
        if stray.name.partition(NOTE)[0] in names:
            stray.unlink(missing_ok=True)


def _finish_each(
    cells: Sequence[Cell],
    root: Path,
    report: Report,
    processes: int | None,
    failed: dict[str, str],
) -> list[Cell]:
    """Finish cells, note which failed, and return those that others hold."""
    held: list[Cell] = []

    def tell(at: int, event: Event) -> None:
        cell = cells[at]
        if isinstance(event, Failed):
            failed[cell.name] = event.reason
            note_failure(cell, root, event)
        elif isinstance(event, Ended) and not event.value:
            held.append(cell)
            report(cell.name, Held())
            return
        elif isinstance(event, Ended):
            note_of(cell, root).unlink(missing_ok=True)
        report(cell.name, event)

    work([partial(_finish, cell, root) for cell in cells], tell, processes)
    return held


def _finish(
    cell: Cell,
    root: Path,
    report: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> bool:
    """Finish a cell in a process of :func:`work`; False: another one holds it."""
    try:
        finish(cell, root, report, stop)
    except InUseError:
        return False
    return True


def _freed(held: list[Cell], root: Path, report: Report) -> list[Cell]:
    """Wait until a cell that others hold is free; return those still to be done."""
    while held := [cell for cell in held if not _found(cell, root, report)]:
        if not all(_is_held(cell, root) for cell in held):
            break
        time.sleep(_HELD_SECONDS)
    return held


def _is_held(cell: Cell, root: Path) -> bool:
    try:
        with open_run(cell.configuration, root):
            return False
    except InUseError:
        return True
    except InputError:
        return False  # the next attempt says why
