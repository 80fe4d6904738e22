"""How fast training is: one command, one run, the whole table.

Run it on an otherwise idle machine:

    python benchmarks/train.py [--yardsticks PYTHON] [--blocks 5]

It prints steps per second by memory, kernels and size, beside the floor of the matrix
products; the yardsticks, if PYTHON is an interpreter with
benchmarks/requirements-yardsticks.txt installed; the time to competence; what the bits
depend on; where the time goes; peak memory. One thread unless said.
"""

import argparse
import cProfile
import importlib.util
import json
import os
import pstats
import resource
import subprocess
from pathlib import Path

import competence
import determinism
import throughput
import torch
from throughput import Rate

SIZES = ((1, 1), (1, 16), (1, 64), (1, 256), (8, 16), (8, 64), (32, 16), (1, 1024))
KERNELS = ("torch", "compiled") if importlib.util.find_spec("numba") else ("torch",)
WAYS = (
    *(("lstm", kernels) for kernels in KERNELS),
    ("gru", "torch"),
    ("slots", "torch"),
)
HERE = Path(__file__).parent
FLOOR = "floor of the LSTM's products"
YARDSTICKS = {
    "naive": ("yardstick_naive.py", ("1x1", "1x16")),
    "jax": ("yardstick_jax.py", ("1x16", "1x256", "8x16", "8x64")),
    "sb3": ("yardstick_sb3.py", ("1x16", "1x64")),
}

Rates = dict[tuple[str, str], float]
"""Median steps per second by who and size."""


def print_rates(blocks: int) -> Rates:
    """Measure and print training of every memory at every size."""
    rates: Rates = {}
    print(f"\n{'seeds x episodes':28s}k steps/s: median (min to max)   of the floor")
    for n_seeds, batch in SIZES:
        size = f"{n_seeds}x{batch}"
        bound = rates[FLOOR, size] = throughput.floor(n_seeds, batch)
        print(f"{size:8s}{FLOOR:30s}{bound / 1e3:8.0f}")
        for memory, kernels in WAYS:
            if memory == "slots" and n_seeds * batch > 512:
                print(f"{'':8s}{memory + ', ' + kernels:30s}   not run: minutes")
                continue
            found = throughput.rate(memory, kernels, n_seeds, batch, blocks)
            rates[f"{memory}, {kernels}", size] = found.median
            share = f"{found.median / bound:6.2f}" if memory == "lstm" else ""
            print(
                f"{'':8s}{memory + ', ' + kernels:30s}{found!s:30s}{share}", flush=True
            )
    return rates


def print_processes(blocks: int) -> Rates:
    """Measure and print two processes against one, 8 x 64 in each."""
    rates: Rates = {}
    print("\nprocesses at once, 8x64 each, k steps/s together")
    for kernels in KERNELS:
        one, two = (throughput.rate_of_processes(n, kernels, blocks) for n in (1, 2))
        rates[f"lstm, {kernels}", "1 process"] = one
        rates[f"lstm, {kernels}", "2 processes"] = two
        print(
            f"{kernels:10s} one {one / 1e3:.0f}, two {two / 1e3:.0f}: {two / one:.2f}"
        )
    return rates


def print_yardsticks(python: Path, blocks: int) -> Rates:
    """Run the yardsticks in their environment; print what they measured."""
    rates: Rates = {}
    print("\nyardsticks, k steps/s: median (min to max)")
    for name, (script, sizes) in YARDSTICKS.items():
        run = subprocess.run(
            [
                python,
                HERE / script,
                "--json",
                "--blocks",
                str(blocks),
                "--sizes",
                *sizes,
            ],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        if run.returncode:
            said = run.stderr.strip().splitlines() or ["it said nothing"]
            print(f"{name}: not run ({said[-1]})")
            continue
        report = json.loads(run.stdout)
        for size, found in report["sizes"].items():
            rate = Rate(tuple(sorted(found["steps_per_second"])))
            rates[name, size] = rate.median
            print(f"{report['yardstick']:34s}{size:8s}{rate}", flush=True)
    return rates


def print_competence() -> dict[str, str]:
    """Measure and print the time to competence; return it, and how many passed."""
    seconds: dict[str, str] = {}
    print("\nseconds of training until competent, 8 seeds, all processes")
    for task, run in (("two-step", competence.two_step), ("bandit", competence.bandit)):
        for kernels in KERNELS:
            found = run(kernels)
            each = " ".join(f"{s:.1f}" for s in found.seconds)
            print(f"{task}, {kernels}: {each}; process ends {found.all_seconds:.1f}")
            shown = " ".join(found.test)
            print(f"    frozen, test: {shown}; {sum(found.passed)} of 8", flush=True)
            passed = sum(found.passed)
            seconds[f"{task}, {kernels}"] = f"{max(found.seconds):.1f}, {passed} of 8"
    return seconds


def print_determinism() -> None:
    """Print what the bits depend on."""
    print(f"\nsame bits of seed 3 after {determinism.UPDATES} updates?")
    for c in determinism.comparisons(KERNELS):
        verdict = "same" if c.same_bits else f"differ by up to {c.difference:.1e}"
        print(f"{c.kernels:10s}{c.what:32s}{verdict}")


def print_profile() -> None:
    """Print the ten functions in which an update of 8 x 16 spends most."""
    for kernels in KERNELS:
        group = throughput.group_of("lstm", kernels, 8, 16)
        group.learn()
        profile = cProfile.Profile()
        with profile:
            for _ in range(10):
                group.learn()
        found = pstats.Stats(profile).stats  # type: ignore[attr-defined]
        own = sorted(((v[2], v[1], k[2]) for k, v in found.items()), reverse=True)
        whole = sum(seconds for seconds, _, _ in own)
        print(
            f"\ntop ten at 8x16, {kernels}, share of {whole / 10 * 1e3:.0f} ms/update"
        )
        for seconds, calls, name in own[:10]:
            print(f"  {seconds / whole:5.1%}  {calls:6d} calls  {name[:60]}")


def print_targets(rates: Rates, seconds: dict[str, str]) -> None:
    """Print every target beside its figure."""

    def ratio(who: tuple[str, str], to: tuple[str, str]) -> str:
        if who in rates and to in rates:
            return f"{rates[who] / rates[to]:.2f}"
        return "not measured"

    torch_, compiled = "lstm, torch", "lstm, compiled"
    lines = [
        ("two-step, 8 seeds competent, torch: s", "< 20", seconds["two-step, torch"]),
        ("bandit, 8 seeds competent, torch: s", "< 15", seconds["bandit, torch"]),
        ("8x16 to JAX, torch", ">= 1.2", ratio((torch_, "8x16"), ("jax", "8x16"))),
        ("8x16 to naive 1x16", ">= 14", ratio((torch_, "8x16"), ("naive", "1x16"))),
        ("8x16 to JAX, compiled", ">= 2.3", ratio((compiled, "8x16"), ("jax", "8x16"))),
        ("1x256 to JAX, torch", ">= 1.35", ratio((torch_, "1x256"), ("jax", "1x256"))),
        ("1x256 to floor, torch", ">= .30", ratio((torch_, "1x256"), (FLOOR, "1x256"))),
        (
            "1x256 to JAX, compiled",
            ">= 2.3",
            ratio((compiled, "1x256"), ("jax", "1x256")),
        ),
        (
            "1x256 to floor, compiled",
            ">= .50",
            ratio((compiled, "1x256"), (FLOOR, "1x256")),
        ),
        (
            "compiled to torch, 8x16",
            ">= 2 to be shipped",
            ratio((compiled, "8x16"), (torch_, "8x16")),
        ),
        (
            "two processes to one, torch",
            ">= 1.9",
            ratio((torch_, "2 processes"), (torch_, "1 process")),
        ),
        (
            "two processes to naive 1x1, torch",
            ">= 400",
            ratio((torch_, "2 processes"), ("naive", "1x1")),
        ),
    ]
    print("\ntarget")
    for what, wanted, found in lines:
        print(f"{what:40s}{wanted:20s}{found}")


def print_memory() -> None:
    """Print the peak memory so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"\npeak memory {peak:.0f} MiB here (1x1024), {child:.0f} MiB in a process")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--yardsticks", type=Path, metavar="PYTHON")
    arguments = parser.parse_args()
    if arguments.yardsticks and not arguments.yardsticks.is_file():
        parser.error(f"{arguments.yardsticks} is no interpreter")
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, 1 thread, load {os.getloadavg()[0]:.2f} before")
    rates = print_rates(arguments.blocks) | print_processes(arguments.blocks)
    seconds = print_competence()
    print_memory()
    if arguments.yardsticks:
        rates |= print_yardsticks(arguments.yardsticks, arguments.blocks)
    print_determinism()
    print_profile()
    print_targets(rates, seconds)


if __name__ == "__main__":
    main()
