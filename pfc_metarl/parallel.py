"""All seeds of a run in training, a process for each group.

Groups are fixed and each has one thread: faster for networks this small, and the result
does not depend on the number of cores, bit for bit.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path

import torch

from pfc_metarl.configuration import Configuration
from pfc_metarl.errors import InputError
from pfc_metarl.training import Progress, train_group

STOP_SECONDS = 10.0  # for an update and a checkpoint


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
    if multiprocessing.parent_process() is not None:
        raise InputError(
            "training was started while a process of training was starting; in a "
            "script, put it below  if __name__ == '__main__':"
        )
    processes = _cores() if configuration.device == "cpu" else 1
    waiting = configuration.groups()
    running: dict[Connection, multiprocessing.process.BaseProcess] = {}
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                connection, process = _start(
                    configuration, waiting.pop(0), folder, tensorboard
                )
                running[connection] = process
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                _receive(ready, running, report)
    except KeyboardInterrupt:
        _stop(running)
        raise
    finally:
        for process in running.values():
            process.kill()  # it ignores other signals; its last checkpoint stands
            process.join()


def _stop(
    running: dict[Connection, multiprocessing.process.BaseProcess],
) -> None:
    """Ask all processes to save and end; wait for them a while."""
    for connection in running:
        with suppress(OSError):
            connection.send("stop")
    for process in running.values():
        process.join(STOP_SECONDS)


def _cores() -> int:
    """Cores that this process may use (not every system says so)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _start(
    configuration: Configuration,
    seeds: Sequence[int],
    folder: Path,
    tensorboard: Path | None,
) -> tuple[Connection, multiprocessing.process.BaseProcess]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(
        target=_train_in_process,
        args=(configuration, seeds, folder, there, tensorboard),
    )
    with _no_interruption():  # the child inherits it, and leaves signals to us
        process.start()
    there.close()  # so that the end of the process is noticed here
    return here, process


@contextmanager
def _no_interruption() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM for a moment; only a main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(name, signal.SIG_IGN) for name in names]
    try:
        yield
    finally:
        for name, handler in zip(names, handlers, strict=True):
            signal.signal(name, handler)


def _receive(
    connection: Connection,
    running: dict[Connection, multiprocessing.process.BaseProcess],
    report: Callable[[Progress], None],
) -> None:
    try:
        message = connection.recv()
    except (EOFError, OSError):  # the process ended, perhaps amid a message
        process = running.pop(connection)
        process.join()
        if process.exitcode:
            raise InputError(
                f"a training process ended with exit code {process.exitcode}; "
                "run the same command again to go on from the last checkpoint"
            ) from None
        return
    if isinstance(message, InputError):
        raise message
    report(message)


def _train_in_process(
    configuration: Configuration,
    seeds: Sequence[int],
    folder: Path,
    connection: Connection,
    tensorboard: Path | None,
) -> None:
    for name in (signal.SIGINT, signal.SIGTERM):  # the parent ends this process
        signal.signal(name, signal.SIG_IGN)
    torch.set_num_threads(1)
    try:
        train_group(
            configuration,
            seeds,
            folder,
            connection.send,
            connection.poll,
            tensorboard,
        )
    except InputError as error:
        connection.send(error)
    except ConnectionError:
        pass  # the parent is gone: the last checkpoint stands
    except OSError as error:
        connection.send(InputError(f"{folder}: cannot be written ({error})"))
