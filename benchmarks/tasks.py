"""How fast tasks are simulated, beside neurogym's own.

Run it on an otherwise idle machine: ``python benchmarks/tasks.py``. A step is one
action of one episode; actions are random and drawn beforehand. "play" starts the
episodes of a tape and steps them to the end; "and draw" draws the tape, too. As many
processes as asked for, each with one torch thread, work at the same time on batches of
their own; their steps per second are added up, block by block.
"""

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from pfc_metarl.tasks import TASKS

NEUROGYM = ("Bandit-v0", "DawTwoStep-v0")
"""Environments of neurogym that come nearest to ours."""

LARGEST = 2**20
"""Numbers that all observations of a batch may have; episodes are fewer if need be."""

Barrier = Any  # multiprocessing's; it has no type that can be written
Measured = tuple[list[float], list[float]]


def rates(work: Callable[[], int], blocks: int, seconds: float) -> list[float]:
    """Steps per second by block; a first block is not counted."""
    found = []
    for _ in range(blocks + 1):
        steps, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            steps += work()
        found.append(steps / (time.perf_counter() - began))
    return found[1:]


def of_task(
    name: str, batch: int, blocks: int, seconds: float, barrier: Barrier
) -> Measured:
    """Rates of playing, and of drawing and playing, in this process."""
    torch.set_num_threads(1)
    task = TASKS[name]()
    batch = min(batch, max(1, LARGEST // max(1, task.n_observations)))
    generator = torch.Generator().manual_seed(1)
    tape = task.draw(batch, generator)
    shape = (task.steps, batch)
    actions = list(torch.randint(task.n_actions, shape, generator=generator))

    def play(tape: Any = tape) -> int:
        episodes = task.begin(tape)
        steps = 0
        for action in actions:
            running = batch if episodes.active is None else int(episodes.active.sum())
            if not running:
                break
            steps += running
            episodes.step(action)
        return steps

    barrier.wait()
    playing = rates(play, blocks, seconds)
    barrier.wait()
    both = rates(lambda: play(task.draw(batch, generator)), blocks, seconds)
    return playing, both


def of_neurogym(
    name: str, blocks: int, seconds: float, barrier: Barrier
) -> list[float]:
    """Rates of an environment of neurogym in this process."""
    import neurogym

    env = neurogym.make(name)
    env.reset()
    actions = [env.action_space.sample() for _ in range(1000)]

    def play() -> int:
        for action in actions:
            env.step(action)
        return len(actions)

    barrier.wait()
    return rates(play, blocks, seconds)


def together(by_process: Sequence[list[float]]) -> list[float]:
    """Rates of all processes, block by block, sorted."""
    return sorted(map(sum, zip(*by_process, strict=True)))


def shown(found: list[float]) -> str:
    """Median, lowest and highest, in millions of steps per second."""
    middle, low, high = (
        each / 1e6 for each in (statistics.median(found), found[0], found[-1])
    )
    return f"{middle:8.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="per block")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    n, blocks, seconds = arguments.processes, arguments.blocks, arguments.seconds
    print(f"torch {torch.__version__}, load {os.getloadavg()[0]:.2f} before")
    print(f"million steps per second, {n} processes, {arguments.batch} episodes each")
    print(f"{'task':28s} play: median (min to max)     and draw")
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(n) as pool:
        barrier = manager.Barrier(n)
        for name in arguments.tasks:
            call = (name, arguments.batch, blocks, seconds, barrier)
            by_process = pool.starmap(of_task, [call] * n, chunksize=1)
            playing, both = map(together, zip(*by_process, strict=True))
            print(f"{name:28s} {shown(playing)} {shown(both)}", flush=True)
        for name in NEUROGYM:
            call = (name, blocks, seconds, barrier)
            found = together(pool.starmap(of_neurogym, [call] * n, chunksize=1))
            each = n / statistics.median(found) * 1e6
            print(f"neurogym {name:19s} {shown(found)}: {each:.1f} us a step")


if __name__ == "__main__":
    main()
