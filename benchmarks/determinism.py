"""What the bits of a trained network depend on, and what they do not.

Each line trains the same seed for some updates in two ways and compares the SHA-256 sum
of the weights; where they differ, the largest difference of a weight is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from pfc_metarl import checkpoints
from pfc_metarl.configuration import FAST, Configuration, preset
from pfc_metarl.network import weights_hash
from pfc_metarl.training import Group

UPDATES = 20
Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Comparison:
    """Two ways of training one seed."""

    what: str
    kernels: str
    same_bits: bool
    difference: float


def _configuration(kernels: str, algorithm: str = "a2c") -> Configuration:
    learning = replace(FAST, updates=UPDATES, algorithm=algorithm)
    return replace(preset("fast", "two-step", 4, kernels=kernels), learning=learning)


def _finish(group: Group) -> Weights:
    while group.update < UPDATES:
        group.learn()
    return group.seed_weights(group.seeds.index(3))


def _on_threads(threads: int, kernels: str) -> Weights:
    torch.set_num_threads(threads)
    try:
        return _finish(Group(_configuration(kernels), range(4)))
    finally:
        torch.set_num_threads(1)


def _resumed(configuration: Configuration) -> Weights:
    with TemporaryDirectory() as folder:
        first = Group(configuration, range(4))
        for _ in range(UPDATES // 2):
            first.learn()
        checkpoints.save(Path(folder), first.name, first.update, first.state())
        saved = checkpoints.newest(Path(folder), first.name)
    assert saved is not None
    second = Group(configuration, range(4))
    second.restore(saved)
    return _finish(second)


def _compare(what: str, kernels: str, one: Weights, other: Weights) -> Comparison:
    difference = max(float((one[name] - other[name]).abs().max()) for name in one)
    same = weights_hash(one) == weights_hash(other)
    return Comparison(what, kernels, same, difference)


def comparisons(every_kernels: Sequence[str]) -> list[Comparison]:
    """Train in all the ways and compare."""
    found = []
    for kernels in every_kernels:
        configuration = _configuration(kernels)
        whole = _on_threads(1, kernels)
        ppo = _configuration(kernels, "ppo")
        for what, other in (
            ("run again", _on_threads(1, kernels)),
            ("2 threads in place of 1", _on_threads(2, kernels)),
            ("alone, not beside 3 others", _finish(Group(configuration, [3]))),
            ("stopped half-way and resumed", _resumed(configuration)),
        ):
            found.append(_compare(what, kernels, whole, other))
        whole = _finish(Group(ppo, range(4)))
        found.append(_compare("ppo: resumed", kernels, whole, _resumed(ppo)))
    return found
