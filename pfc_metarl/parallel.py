"""Pieces of work in processes: the seeds of a run, the cells of a sweep.

Each process has one thread: faster for networks this small. Seeds train in fixed
groups, so that the result does not depend on the number of processes, bit for bit.
"""

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NoReturn

import torch

from pfc_metarl.configuration import Configuration
from pfc_metarl.errors import InputError
from pfc_metarl.training import Progress, train_group

STOP_SECONDS = 10.0  # for an update and a checkpoint

# USR1 and USR2 (a scheduler's warnings) reach all processes of a job.
_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
]

Piece = Callable[[Callable[[Progress], None], Callable[[], bool]], Any]
"""A piece of work; it can be pickled.

It is given what to report to, and what to ask after every update whether to stop; if
so, it saves what it has and raises KeyboardInterrupt.
"""


@dataclass(frozen=True)
class Begun:
    """A process took up the piece."""


@dataclass(frozen=True)
class Ended:
    """The piece is done, with what it returned."""

    value: Any = None


@dataclass(frozen=True)
class Failed:
    """The piece cannot be done.

    Parameters
    ----------
    reason
        Why, in one line.
    traceback
        Where, when it is a mistake in the program; empty when the line says enough.
    """

    reason: str
    traceback: str = ""


Event = Begun | Progress | Ended | Failed
"""What can be told of a piece of work."""


def work(
    pieces: Sequence[Piece],
    tell: Callable[[int, Event], None],
    processes: int | None = None,
) -> None:
    """Do pieces of work, in order, in as many processes at a time as there are cores.

    Parameters
    ----------
    pieces
        The work. One that fails does not stop the others.
    tell
        Told in this process, by the piece's position, when it begins, how far it is,
        and how it ends.
    processes
        Number of processes; None: as many as there are cores.

    Raises
    ------
    InputError
        When called while a process of ours starts.
    KeyboardInterrupt, SystemExit
        When stopped; the processes have finished their update and saved it.
    """
    if multiprocessing.parent_process() is not None:
        raise InputError(
            "training was started while a process of training was starting; in a "
            "script, put it below  if __name__ == '__main__':"
        )
    waiting = list(enumerate(pieces))
    workers: dict[Connection, _Worker] = {}
    n_workers = min(processes or _cores(), len(pieces))
    try:
        while True:
            while waiting and len(workers) < n_workers:
                worker = _Worker()
                workers[worker.connection] = worker
            for worker in workers.values():
                if worker.at is None and waiting:
                    at, piece = waiting.pop(0)
                    worker.begin(at, piece)
                    tell(at, Begun())
            busy = [worker for worker in workers.values() if worker.at is not None]
            if not busy:
                break
            for ready in wait([worker.connection for worker in busy]):
                assert isinstance(ready, Connection)
                at, event = workers[ready].receive()
                if workers[ready].dead:
                    del workers[ready]
                tell(at, event)
        _dismiss(workers.values())
    except (KeyboardInterrupt, SystemExit):  # the latter: a cluster's time is over
        _dismiss(workers.values())
        raise
    finally:
        for worker in workers.values():
            worker.process.kill()  # it ignores other signals; its checkpoint stands
            worker.process.join()


class _Worker:
    """A process that does one piece after the other."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, there = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(there,))
        self.at: int | None = None  # the position of the piece it does
        self.dead = False
        with _no_interruption():  # the child inherits it, and leaves signals to us
            self.process.start()
        there.close()  # so that the end of the process is noticed here

    def begin(self, at: int, piece: Piece) -> None:
        """Hand it a piece."""
        self.at = at
        with suppress(OSError):  # it was killed meanwhile, as receive() will say
            self.connection.send(piece)

    def receive(self) -> tuple[int, Event]:
        """Return what it tells of its piece."""
        at = self.at
        assert at is not None
        event: Event
        try:
            event = self.connection.recv()
        except (EOFError, OSError):  # the process ended, perhaps amid a message
            self.process.join()
            self.dead = True
            event = Failed(_how_it_ended(self.process.exitcode or 0))
        if not isinstance(event, Progress):
            self.at = None
        return at, event


def _how_it_ended(exitcode: int) -> str:
    by = ""
    if -exitcode in list(signal.Signals):
        by = f", killed by {signal.Signals(-exitcode).name} (out of memory, perhaps),"
    return (
        f"a training process{by} ended with exit code {exitcode}; run the same "
        "command again to go on from the last checkpoint"
    )


def _dismiss(workers: Collection[_Worker]) -> None:
    """Ask processes to end, saving what they have; wait for them a while."""
    for worker in workers:
        with suppress(OSError):
            worker.connection.send(None)
    end = time.monotonic() + STOP_SECONDS
    for worker in workers:
        worker.process.join(max(0.0, end - time.monotonic()))


def _cores() -> int:
    """Cores that this process may use (not every system says so)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _no_interruption() -> Iterator[None]:
    """Ignore Ctrl-C and the like for a moment; only a main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = [signal.signal(name, signal.SIG_IGN) for name in _SIGNALS]
    try:
        yield
    finally:
        for name, handler in zip(_SIGNALS, handlers, strict=True):
            signal.signal(name, handler)


def _serve(connection: Connection) -> None:
    """Do the pieces that come, in a process of its own, until told to end."""
    for name in _SIGNALS:  # the parent ends this process
        signal.signal(name, signal.SIG_IGN)
    torch.set_num_threads(1)
    with suppress(EOFError, ConnectionError, KeyboardInterrupt):  # parent gone; told to
        while (piece := connection.recv()) is not None:
            connection.send(_done(piece, connection))


def _done(piece: Piece, connection: Connection) -> Ended | Failed:
    try:
        return Ended(piece(connection.send, connection.poll))
    except ConnectionError:
        raise  # the parent is gone: the last checkpoint stands
    except InputError as error:
        return Failed(str(error))
    except Exception as error:  # told to the parent, which decides what to do
        first = str(error).partition("\n")[0]
        trace = "".join(traceback.format_exception(error))
        return Failed(f"{type(error).__name__}: {first}", trace)


def train(
    configuration: Configuration,
    folder: Path,
    report: Callable[[Progress], None],
    tensorboard: Path | None = None,
) -> None:
    """Train all seeds, as many groups at a time as there are cores.

    Parameters
    ----------
    configuration
        What to train.
    folder
        Where checkpoints go; finished groups are not trained again.
    report
        Called in this process whenever a group tells how far it is.
    tensorboard
        Folder for a TensorBoard log; None: none.

    Raises
    ------
    InputError
        When a group cannot go on; its message says why.
    KeyboardInterrupt
        When interrupted; the groups have finished their update and saved it.
    """

    def tell(_: int, event: Event) -> None:
        if isinstance(event, Progress):
            report(event)
        elif isinstance(event, Failed):
            _give_up(event)

    pieces = [
        partial(_train_group, configuration, seeds, folder, tensorboard)
        for seeds in configuration.groups()
    ]
    work(pieces, tell, None if configuration.device == "cpu" else 1)


def _give_up(failed: Failed) -> NoReturn:
    if failed.traceback:
        raise RuntimeError(f"in a process of training:\n{failed.traceback}")
    raise InputError(failed.reason)


def _train_group(
    configuration: Configuration,
    seeds: Sequence[int],
    folder: Path,
    tensorboard: Path | None,
    report: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> None:
    try:
        train_group(configuration, seeds, folder, report, stop, tensorboard)
    except ConnectionError:
        raise
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error})") from None
