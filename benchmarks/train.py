"""How fast training is, beside what its matrix products alone would take.

Run it on an otherwise idle machine: ``python benchmarks/train.py``. A step is one
action of one episode, with acting, learning and the optimiser's step included; the
two-step task, LSTM of 48 units, 100 trials. The floor is the time of the three matrix
products that no LSTM can do without (gates, gradient to the hidden state, gradient of
the weights), measured in the same process at the same sizes.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from pfc_metarl.configuration import FAST, preset
from pfc_metarl.parallel import train
from pfc_metarl.training import Group, Progress

SIZES = ((1, 1), (1, 16), (1, 64), (8, 16), (8, 64), (32, 16), (1, 1024))
COMPETENT = 0.690  # reward per trial over the latest ten updates


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


def floor(n_seeds: int, batch: int, n_inputs: int, units: int = 48) -> float:
    """Steps per second if there were nothing but matrix products."""
    weight = torch.randn(n_seeds, 4 * units, units + n_inputs + 1)
    recurrent = weight[:, :, :units].transpose(1, 2).contiguous()
    seen = torch.randn(n_seeds, units + n_inputs + 1, batch)
    gates, gradient = torch.randn(n_seeds, 4 * units, batch), torch.zeros_like(weight)

    def products() -> None:
        torch.bmm(weight, seen)
        torch.bmm(recurrent, gates)
        gradient.baddbmm_(gates, seen.transpose(1, 2))

    return n_seeds * batch / min(seconds_per_call(products, 5, 200))


def rates(n_seeds: int, batch: int, blocks: int) -> tuple[list[float], float]:
    """Steps per second of training, by block, on one thread; and the floor."""
    learning = replace(FAST, batch=batch, updates=1_000_000)
    configuration = replace(preset("fast", "two-step", n_seeds), learning=learning)
    group = Group(configuration, range(n_seeds))
    steps = configuration.task.steps * batch * n_seeds
    updates = max(2, 200_000 // steps)
    seconds = seconds_per_call(group.learn, blocks, updates)
    found = sorted(steps / each for each in seconds)
    return found, floor(n_seeds, batch, group.network.n_inputs)


def competence(n_seeds: int) -> tuple[dict[int, float], float]:
    """Seconds after which each seed first is competent; and those of all training."""
    reached: dict[int, float] = {}
    began = time.perf_counter()

    def note(progress: Progress) -> None:
        for seed, reward in zip(progress.seeds, progress.reward, strict=True):
            if reward >= COMPETENT:
                reached.setdefault(seed, time.perf_counter() - began)

    with tempfile.TemporaryDirectory() as folder:
        train(preset("fast", "two-step", n_seeds), Path(folder), note)
    return reached, time.perf_counter() - began


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, 1 thread, load {os.getloadavg()[0]:.2f} before")
    print("seeds x episodes   k steps/s: median (min to max)   floor   of the floor")
    for n_seeds, batch in SIZES:
        found, bound = rates(n_seeds, batch, arguments.blocks)
        middle = statistics.median(found)
        print(
            f"{n_seeds:5d} x {batch:<8d} {middle / 1e3:12.1f} "
            f"({found[0] / 1e3:.1f} to {found[-1] / 1e3:.1f}) "
            f"{bound / 1e3:12.0f} {middle / bound:8.2f}",
            flush=True,
        )
    reached, whole = competence(8)
    each = " ".join(f"{reached.get(seed, float('inf')):.1f}" for seed in range(8))
    print(f"preset fast, 8 seeds, all processes: reward {COMPETENT} after {each} s")
    print(f"all updates done after {whole:.1f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MiB here, {child:.0f} MiB in the largest process")


if __name__ == "__main__":
    main()
