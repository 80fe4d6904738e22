from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from pfc_metarl.tasks.base import Episodes, Tape, Task

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(20)


@pytest.fixture
def play() -> Play:
    """Play given actions (step, ..., episode); return what was seen and earned.

    Observations are (step + 1, ..., episode, observation), rewards (step, ...,
    episode).
    """
    return _play


def _play(task: Task, tape: Tape, actions: Tensor) -> tuple[Episodes, Tensor, Tensor]:
    episodes = task.begin(tape)
    seen, earned = [episodes.observation.clone()], []
    for action in actions:
        observation, reward = episodes.step(action)
        seen.append(observation.clone())
        earned.append(reward.clone())
    return episodes, torch.stack(seen), torch.stack(earned)


@pytest.fixture
def near() -> Callable[..., None]:
    """Check a share of yes/no events: within 4 standard errors of a probability."""
    return _near


def _near(events: Any, probability: float) -> None:
    events = torch.as_tensor(events)
    share, n = events.double().mean().item(), events.numel()
    error = (probability * (1 - probability) / n) ** 0.5
    assert abs(share - probability) < 4 * error, f"{share:.5f}, n = {n}"


@pytest.fixture(autouse=True)
def _leaves_the_global_generator_alone() -> Iterator[None]:
    """No task and no observer may draw from global state."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(torch.get_rng_state(), before)
