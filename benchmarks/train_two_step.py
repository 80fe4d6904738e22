"""How fast training is: environment steps per second, and seconds for eight seeds.

Run it on an otherwise idle machine: ``python benchmarks/train_two_step.py``. A step is
one action of one episode, with acting, learning and the optimiser's step included.
"""

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch

from pfc_metarl.configuration import FAST, Configuration, preset
from pfc_metarl.parallel import train
from pfc_metarl.training import Group


def steps_per_second(n_seeds: int, batch: int, blocks: int, updates: int) -> float:
    """Median over blocks of updates, on one thread of this process."""
    learning = replace(FAST, batch=batch, updates=(blocks + 1) * updates)
    configuration = replace(preset("fast", "two-step", n_seeds), learning=learning)
    group = Group(configuration, range(n_seeds))
    seconds = []
    for _ in range(blocks + 1):
        began = time.perf_counter()
        for _ in range(updates):
            group.learn()
        seconds.append(time.perf_counter() - began)
    steps = configuration.task.steps * batch * n_seeds * updates
    return steps / median(seconds[1:])


def seconds_to_train(configuration: Configuration) -> float:
    """Seconds from nothing to the last checkpoint of the last seed."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        train(configuration, Path(folder), lambda progress: None)
        return time.perf_counter() - began


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--updates", type=int, default=10, help="per block")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"load before: {os.getloadavg()[0]:.2f}; torch {torch.__version__}")
    for n_seeds, batch in ((1, 1), (1, 16), (8, 16), (4, 32), (4, 64), (8, 64)):
        rate = steps_per_second(n_seeds, batch, arguments.blocks, arguments.updates)
        print(f"{n_seeds} seeds x {batch:3d} episodes: {rate / 1e3:7.1f} k steps/s")
    configuration = preset("fast", "two-step", 8)
    print(f"8 seeds, preset fast: {seconds_to_train(configuration):.1f} s")


if __name__ == "__main__":
    main()
