"""Shared by the tests of training: one thread, and a small configuration."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pfc_metarl.configuration import FAST, Configuration
from pfc_metarl.learning import exploration_noise
from pfc_metarl.network import Network, NetworkSettings
from pfc_metarl.tasks.base import Episodes, Task, side_by_side
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
def drawn() -> Callable[..., tuple[Episodes, Tensor]]:
    """Draw a batch of episodes for some seeds, and the exploration, by a number."""
    return _drawn


def _drawn(task: Task, seeds: int, batch: int, number: int) -> tuple[Episodes, Tensor]:
    draw = torch.Generator().manual_seed(number)
    tapes = [task.draw(batch, draw) for _ in range(seeds)]
    noise = [
        exploration_noise(task.steps, task.n_actions, batch, draw) for _ in range(seeds)
    ]
    return task.begin(side_by_side(tapes)), torch.stack(noise, dim=1)


@dataclass(frozen=True)
class Played:
    """What went in and out in a batch of episodes: tensors (step, seed, ..., episode).

    ``log_policy`` and ``value`` have the graph of every step.
    """

    inputs: Tensor
    action: Tensor
    reward: Tensor
    log_policy: Tensor
    value: Tensor


@pytest.fixture
def played() -> Callable[..., Played]:
    """Play a batch in one plain loop that keeps the graph of every step."""
    return _played


def _played(network: Network, episodes: Episodes, noise: Tensor) -> Played:
    steps, seeds, n_actions, batch = noise.shape
    state = network.memory.initial_state(batch)
    observation = episodes.observation
    done = torch.zeros(seeds, n_actions, batch)
    earned = torch.zeros(seeds, 1, batch)
    log: list[tuple[Tensor, ...]] = []
    for step in range(steps):
        seen = torch.cat([observation.transpose(1, 2), done, earned], dim=1)
        seen = seen.to(network.policy_bias)
        output, state = network.memory.forward_step(seen, state)
        logits = network.logits(output)
        value = (network.value_weight @ output + network.value_bias).squeeze(1)
        action = (logits + noise[step]).argmax(1)
        observation, reward = episodes.step(action)
        done = torch.nn.functional.one_hot(action, n_actions).transpose(1, 2)
        earned = reward.unsqueeze(1)
        log.append((seen, action, reward, logits.log_softmax(1), value))
    return Played(*(torch.stack(column) for column in zip(*log, strict=True)))


@pytest.fixture
def equal() -> Callable[[Any, Any], bool]:
    """Whether two nested containers of tensors are equal, bit for bit."""
    return _equal


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        same_kind = isinstance(b, Tensor) and (a.dtype, a.shape) == (b.dtype, b.shape)
        return same_kind and torch.equal(_bits(a), _bits(b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(a == b)


def _bits(a: Tensor) -> Tensor:
    return a.reshape(-1).view(torch.uint8)  # NaN is equal to NaN
