"""Shared by the tests of training: one thread, and a small configuration."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from pfc_metarl.configuration import FAST, Configuration
from pfc_metarl.network import NetworkSettings
from pfc_metarl.tasks.two_step import TwoStep

Small = Callable[..., Configuration]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def small() -> Small:
    """Small configurations; the learning settings and the seeds can be changed."""

    def configuration(
        seeds: int = 2, *, memory: str = "lstm", **learning: Any
    ) -> Configuration:
        settings = replace(FAST, **{"updates": 8, "batch": 3, **learning})
        network = NetworkSettings(memory=memory, units=6)
        task = TwoStep(trials=5)
        return Configuration("two-step", task, "fast", seeds, network, settings)

    return configuration


@pytest.fixture
def equal() -> Callable[[Any, Any], bool]:
    """Whether two nested containers of tensors are equal, bit for bit."""
    return _equal


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        same_kind = isinstance(b, torch.Tensor) and a.dtype == b.dtype
        return same_kind and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(a == b)
