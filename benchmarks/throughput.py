"""Steps per second of training, and what its matrix products alone would take.

A step is one action of one episode, with acting, learning and the optimiser's step
included; the two-step task, 100 trials, 48 units. The floor is the time of the three
matrix products that no LSTM can do without, by torch, in the same process, in the form
in which they are fastest: gates and gradient to the hidden state step by step, 55 rows
filled up to 56; the gradient of the weights once per episode. Medians everywhere.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from statistics import median

import torch

from pfc_metarl.configuration import FAST, Configuration, preset
from pfc_metarl.network import NetworkSettings
from pfc_metarl.training import Group

STEPS, STEPS_PER_BLOCK = 200, 200_000


@dataclass(frozen=True)
class Rate:
    """Steps per second by block, sorted."""

    blocks: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return median(self.blocks)

    def __str__(self) -> str:
        """Say it in thousands: median (min to max)."""
        low, high = self.blocks[0] / 1e3, self.blocks[-1] / 1e3
        return f"{self.median / 1e3:6.1f} ({low:.1f} to {high:.1f})"


def seconds_per_call(
    work: Callable[[], object], blocks: int, calls: int
) -> list[float]:
    """Seconds per call in each of some blocks; a first block is not counted."""
    seconds = []
    for _ in range(blocks + 1):
        began = time.perf_counter()
        for _ in range(calls):
            work()
        seconds.append((time.perf_counter() - began) / calls)
    return seconds[1:]


def floor(n_seeds: int, batch: int, n_inputs: int = 6, units: int = 48) -> float:
    """Steps per second if there were nothing but an LSTM's matrix products."""
    rows = -(-(units + n_inputs + 1) // 8) * 8
    weight = torch.randn(n_seeds, 4 * units, rows)
    recurrent = weight[:, :, :units].transpose(1, 2).contiguous()
    seen = torch.randn(n_seeds, rows, batch)
    gates = torch.randn(n_seeds, 4 * units, batch)
    d_hidden = torch.empty(n_seeds, units, batch)
    all_seen = torch.randn(n_seeds, STEPS * batch, rows)
    all_gates = torch.randn(n_seeds, 4 * units, STEPS * batch)

    def products() -> None:
        for _ in range(STEPS):
            torch.bmm(weight, seen, out=gates)
            torch.bmm(recurrent, gates, out=d_hidden)
        torch.bmm(all_gates, all_seen)

    calls = max(1, STEPS_PER_BLOCK // (STEPS * n_seeds * batch))
    seconds = median(seconds_per_call(products, 5, calls))
    return STEPS * n_seeds * batch / seconds


def group_of(memory: str, kernels: str, n_seeds: int, batch: int) -> Group:
    """Return a group that trains the two-step task for as long as is wanted."""
    configuration: Configuration = replace(
        preset("fast", "two-step", n_seeds, kernels=kernels),
        network=NetworkSettings(memory=memory),
        learning=replace(FAST, batch=batch, updates=1_000_000),
    )
    return Group(configuration, range(n_seeds))


def rate(memory: str, kernels: str, n_seeds: int, batch: int, blocks: int) -> Rate:
    """Measure training on one thread."""
    group = group_of(memory, kernels, n_seeds, batch)
    steps = group.configuration.task.steps * batch * n_seeds
    updates = min(max(2, STEPS_PER_BLOCK // steps), 60)
    seconds = seconds_per_call(group.learn, blocks, updates)
    return Rate(tuple(sorted(steps / each for each in seconds)))


def _together(barrier: Barrier, results: object, kernels: str, blocks: int) -> None:
    torch.set_num_threads(1)
    group = group_of("lstm", kernels, 8, 64)
    group.learn()
    steps = group.configuration.task.steps * 64 * 8
    barrier.wait()
    found = Rate(
        tuple(sorted(steps / s for s in seconds_per_call(group.learn, blocks, 2)))
    )
    results.put(found.median)  # type: ignore[attr-defined]


def rate_of_processes(n_processes: int, kernels: str, blocks: int) -> float:
    """Steps per second of 8 x 64 in each of some processes at once, all together."""
    context = get_context("spawn")
    barrier, results = context.Barrier(n_processes), context.SimpleQueue()
    processes = [
        context.Process(target=_together, args=(barrier, results, kernels, blocks))
        for _ in range(n_processes)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode:
            raise SystemExit(f"a process ended with exit code {process.exitcode}")
    return sum(results.get() for _ in processes)
