"""A memory with a horizon begins anew every so many steps, trained or tested."""

import pytest
import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.memory import MEMORIES
from pfc_metarl.memory.horizon import Horizon
from pfc_metarl.network import Network, NetworkSettings
from pfc_metarl.tasks.bandit import Bandit

SEEDS, INPUTS, UNITS, EPISODES, STEPS = 2, 3, 6, 4, 10


def random_inputs() -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(STEPS, SEEDS, INPUTS, EPISODES, generator=draw).double()


def made(name: str, steps: int) -> Horizon:
    memory = MEMORIES[name](SEEDS, INPUTS, UNITS).double()
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=draw))
    return Horizon(memory, steps)


@pytest.fixture(params=sorted(MEMORIES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("horizon", [1, 3, 5, 10, 40])
def test_it_is_the_memory_run_over_each_stretch(name: str, horizon: int) -> None:
    memory, inputs = made(name, horizon), random_inputs()
    expected = torch.cat([memory.memory(part) for part in inputs.split(horizon)])
    torch.testing.assert_close(memory(inputs), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("horizon", [1, 3, 10])
def test_one_step_at_a_time_equals_the_whole_sequence(name: str, horizon: int) -> None:
    memory, inputs = made(name, horizon), random_inputs()
    activity = memory.activity(STEPS, EPISODES)
    activity.begin()
    acted = torch.stack([activity.step(at_step) for at_step in inputs])
    torch.testing.assert_close(acted, memory(inputs).detach(), rtol=0, atol=1e-9)


def test_what_is_further_back_has_no_effect_and_no_gradient() -> None:
    memory, inputs = made("lstm", 5), random_inputs().requires_grad_()
    memory(inputs)[7].sum().backward()
    assert inputs.grad is not None
    reached = inputs.grad.flatten(1).any(1)
    assert reached.tolist() == [5 <= step <= 7 for step in range(STEPS)]


def test_a_network_is_given_a_horizon_by_its_settings() -> None:
    task = Bandit(trials=4)
    network = Network(NetworkSettings(units=3, horizon=2), task, (0, 1))
    whole = Network(NetworkSettings(units=3), task, (0, 1))
    assert isinstance(network.memory, Horizon)
    assert network.memory.steps == 2
    for mine, theirs in zip(network.parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, theirs)  # the same seed, the same network


@pytest.mark.parametrize("horizon", [0, -3])
def test_a_horizon_of_no_steps_is_refused(horizon: int) -> None:
    with pytest.raises(InputError, match=f"horizon is {horizon}"):
        NetworkSettings(horizon=horizon)
    with pytest.raises(InputError, match=f"horizon is {horizon} steps"):
        Horizon(MEMORIES["lstm"](1, 1, 1), horizon)
