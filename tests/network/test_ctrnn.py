"""The CTRNN integrates its equation, and its units keep Dale's law."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.stats import gamma, kstest
from torch import Tensor

from pfc_metarl.configuration import preset
from pfc_metarl.errors import InputError
from pfc_metarl.memory import memory_class
from pfc_metarl.memory.ctrnn import CTRNN
from pfc_metarl.network import NetworkSettings
from pfc_metarl.tasks.bandit import Bandit
from pfc_metarl.training import Group

SEEDS, INPUTS, UNITS, EPISODES, STEPS = 2, 3, 10, 4, 6
EXCITATORY, INHIBITORY = slice(0, 8), slice(8, 10)


@pytest.fixture
def ctrnn() -> CTRNN:
    """CTRNN of random weights of both signs, one unit in some at its ceiling."""
    memory = CTRNN(SEEDS, INPUTS, UNITS).double()
    memory.max_rate = 1.0
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw))
    return memory


@pytest.fixture
def inputs() -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.randn((STEPS, SEEDS, INPUTS, EPISODES), generator=draw).double()


def played(memory: CTRNN, inputs: Tensor, way: str) -> Tensor:
    if way == "whole sequence":
        return memory(inputs)
    activity = memory.activity(len(inputs), inputs.shape[-1])
    activity.begin()
    for at_step in inputs:
        activity.step(at_step)
    return activity.outputs(inputs)


def begun(units: int, seeds: int = 1, memory: type[CTRNN] = CTRNN) -> CTRNN:
    """CTRNN as it begins."""
    network = memory(seeds, 5, units)
    for seed in range(seeds):
        network.initialise(seed, torch.Generator().manual_seed(seed))
    return network


def strengths(memory: CTRNN, seed: int) -> np.ndarray[Any, Any]:
    """W_rec of one seed, unit by unit as Dale's law has it."""
    units, excitatory = memory.n_units, memory.n_excitatory
    inhibitory = units - excitatory
    drawn = memory.recurrent_weight[seed].detach().numpy()
    weight = np.zeros((units, units))
    for to in range(units):
        exciting = [u for u in range(excitatory) if u != to]
        inhibiting = [u for u in range(excitatory, units) if u != to]
        ratio = len(exciting) / max(len(inhibiting), 1)
        norm = np.sqrt(len(exciting) + ratio**2 * len(inhibiting))
        for source in exciting:
            weight[to, source] = abs(drawn[to, source]) / norm
        for source in inhibiting:
            weight[to, source] = -abs(drawn[to, source]) * ratio / norm
    assert inhibitory == max(1, round(units / 5))
    return weight


@pytest.mark.parametrize("way", ["whole sequence", "kept activity"])
def test_every_step_follows_the_equation(
    ctrnn: CTRNN, inputs: Tensor, way: str
) -> None:
    found = played(ctrnn, inputs, way).detach().numpy()
    saturated = False
    for seed in range(SEEDS):
        recurrent = strengths(ctrnn, seed)
        from_inputs = np.abs(ctrnn.input_weight[seed].detach().numpy())
        bias = ctrnn.bias[seed].detach().numpy()
        alpha = 1 / (1 + np.exp(-ctrnn.alpha_logit[seed].detach().numpy()))
        current = ctrnn.initial_current[seed].detach().numpy() + np.zeros(EPISODES)
        for step in range(STEPS):
            rate = np.minimum(np.maximum(current, 0), 1)
            u = inputs[step, seed].numpy()
            drive = recurrent @ rate + from_inputs @ u + bias
            current = (1 - alpha) * current + alpha * drive
            output = np.minimum(np.maximum(current, 0), 1)
            output[INHIBITORY] = 0
            saturated |= bool((output == 1).any())
            np.testing.assert_allclose(found[step, seed], output, atol=1e-6)
    assert saturated  # else the ceiling is not tested


def test_short_steps_solve_the_differential_equation(ctrnn: CTRNN) -> None:
    n, duration = 4000, 3.0
    dt = duration / n
    tau = torch.linspace(0.5, 3, UNITS).double()
    with torch.no_grad():
        ctrnn.alpha_logit.copy_(torch.logit(dt / tau)[:, None])
    u = torch.full((SEEDS, INPUTS, 1), 0.3).double()
    with torch.no_grad():
        state = ctrnn.initial_state(1)
        for _ in range(n):
            _, state = ctrnn.forward_step(u, state)
    recurrent, from_inputs = (part[1].detach().numpy() for part in ctrnn.weights())
    drive = from_inputs @ np.full(INPUTS, 0.3) + ctrnn.bias[1, :, 0].detach().numpy()

    def change(_: float, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        rates = np.clip(x, 0, 1)
        return np.asarray((-x + recurrent @ rates + drive) / tau.numpy())

    first = ctrnn.initial_current[1, :, 0].detach().numpy()
    solved = solve_ivp(change, (0, duration), first, rtol=1e-8, atol=1e-10)
    assert np.abs(solved.y[:, -1] - first).max() > 0.5  # it did move
    np.testing.assert_allclose(state[0][1, :, 0], solved.y[:, -1], atol=2e-3)


def test_a_unit_by_itself_decays_with_its_own_time_constant(ctrnn: CTRNN) -> None:
    with torch.no_grad():
        for weight in (ctrnn.recurrent_weight, ctrnn.input_weight, ctrnn.bias):
            weight.zero_()
        (first,) = state = ctrnn.initial_state(1)
        for _ in range(STEPS):
            _, state = ctrnn.forward_step(torch.zeros(SEEDS, INPUTS, 1).double(), state)
    kept = (1 - torch.sigmoid(ctrnn.alpha_logit)) ** STEPS
    torch.testing.assert_close(state[0], first * kept)


@pytest.mark.parametrize("way", ["whole sequence", "kept activity"])
def test_gradients_pass_rightly_through_the_sign_constraint(
    ctrnn: CTRNN, inputs: Tensor, way: str
) -> None:
    weight = torch.linspace(-1, 1, STEPS * UNITS).double().view(STEPS, 1, UNITS, 1)

    def loss() -> Tensor:
        return (played(ctrnn, inputs, way) * weight).sum()

    loss().backward()
    step = 1e-6
    for name, parameter in ctrnn.named_parameters():
        assert parameter.grad is not None
        for where in np.ndindex(*parameter.shape):
            with torch.no_grad():
                value = parameter[where].item()
                parameter[where] = value + step
                above = loss().item()
                parameter[where] = value - step
                below = loss().item()
                parameter[where] = value
            expected = (above - below) / (2 * step)
            found = parameter.grad[where].item()
            assert found == pytest.approx(expected, abs=1e-6), (name, where, value)
    recurrent = ctrnn.recurrent_weight
    assert recurrent.grad is not None
    assert (recurrent.grad[recurrent < 0] != 0).any()  # both signs were tested
    assert (recurrent.grad[recurrent > 0] != 0).any()


def test_four_in_five_units_excite_and_the_others_inhibit(ctrnn: CTRNN) -> None:
    recurrent, from_inputs = ctrnn.weights()
    elsewhere = ~torch.eye(UNITS, dtype=torch.bool)
    assert (recurrent[:, :, EXCITATORY][:, elsewhere[:, EXCITATORY]] > 0).all()
    assert (recurrent[:, :, INHIBITORY][:, elsewhere[:, INHIBITORY]] < 0).all()
    assert (from_inputs > 0).all()
    assert CTRNN(1, 5, 48).n_excitatory == 38


def test_no_unit_connects_to_itself(ctrnn: CTRNN, inputs: Tensor) -> None:
    for way in ("whole sequence", "kept activity"):
        ctrnn.zero_grad()
        played(ctrnn, inputs, way).sum().backward()
        assert ctrnn.recurrent_weight.grad is not None
        for unit in range(UNITS):
            assert (ctrnn.weights()[0][:, unit, unit] == 0).all()
            assert (ctrnn.recurrent_weight.grad[:, unit, unit] == 0).all()


@pytest.mark.parametrize("sending", range(UNITS))
def test_a_more_active_unit_raises_others_or_lowers_them_but_not_both(
    ctrnn: CTRNN, inputs: Tensor, sending: int
) -> None:
    before = torch.full((SEEDS, UNITS, EPISODES), 0.4).double()
    more = before.clone()
    more[:, sending] += 0.2
    with torch.no_grad():
        (after,), (after_more,) = (
            ctrnn.forward_step(inputs[0], (current,))[1] for current in (before, more)
        )
    change = after_more - after
    others = [unit for unit in range(UNITS) if unit != sending]
    excites = sending < ctrnn.n_excitatory
    assert (change[:, others] > 0 if excites else change[:, others] < 0).all()
    kept = 1 - ctrnn.alpha()[:, sending]
    torch.testing.assert_close(change[:, sending], (0.2 * kept).expand(-1, EPISODES))


def test_only_excitatory_units_are_read_out_but_inhibitory_ones_matter(
    ctrnn: CTRNN, inputs: Tensor
) -> None:
    for way in ("whole sequence", "kept activity"):
        outputs = played(ctrnn, inputs, way)
        assert (outputs[:, :, INHIBITORY] == 0).all()
        assert (outputs >= 0).all()
        assert (outputs[:, :, EXCITATORY] > 0).any()
    before = played(ctrnn, inputs, "kept activity").detach().clone()
    with torch.no_grad():
        ctrnn.bias[:, INHIBITORY] += 1
    after = played(ctrnn, inputs, "kept activity").detach()
    assert torch.equal(before[0], after[0])  # they act through the others
    assert (after[1] <= before[1]).all()
    assert (after[1] < before[1]).any()


def test_learning_changes_no_sign_and_makes_no_self_connection() -> None:
    configuration = preset("fast", "bandit", 2)
    learning = replace(
        configuration.learning, learning_rate=0.2, batch=8, updates=8, epochs=2
    )
    group = Group(
        replace(
            configuration,
            task=Bandit(trials=10),
            network=NetworkSettings(memory="ctrnn", units=UNITS),
            learning=learning,
        ),
        [100, 101],
    )
    memory = group.network.memory
    assert isinstance(memory, CTRNN)
    signs = [weight.detach().sign() for weight in memory.weights()]
    raw = memory.recurrent_weight.detach().clone()
    for _ in range(8):
        group.learn()
    assert (group.diverged_at == -1).all()
    now = memory.recurrent_weight.detach()
    assert (now.sign() != raw.sign()).any()  # learning did push some beyond 0
    for weight, sign in zip(memory.weights(), signs, strict=True):
        assert torch.equal(weight.detach().sign(), sign)
    assert torch.equal(now.diagonal(0, 1, 2), raw.diagonal(0, 1, 2))
    assert (memory.alpha() != CTRNN.first_alpha).any()


@pytest.mark.parametrize("units", [3, 5, 10, 48])
def test_weights_begin_at_their_spectral_radius(units: int) -> None:
    memory = begun(units, seeds=3)
    for seed in range(3):
        values = np.linalg.eigvals(strengths(memory, seed))
        assert np.abs(values).max() == pytest.approx(0.9, rel=1e-4)


def test_excitation_and_inhibition_begin_in_balance() -> None:
    recurrent = begun(48, seeds=100).weights()[0].detach()
    sums = recurrent.sum(2)  # of each unit's inputs
    excitation = recurrent.clamp_min(0).sum(2).mean()
    assert excitation > 1
    deviation = sums.std() / sums.numel() ** 0.5
    assert abs(sums.mean()) < 4 * deviation
    assert abs(sums.mean()) < 0.02 * excitation


def test_strengths_begin_gamma_distributed() -> None:
    drawn = begun(48).recurrent_weight[0].detach().numpy().ravel()
    scale = drawn.mean() / 2
    assert kstest(drawn, gamma(2, scale=scale).cdf).pvalue > 0.01


def test_rates_rarely_reach_their_ceiling_before_learning() -> None:
    memory = begun(48, seeds=100)
    draw = torch.Generator().manual_seed(0)
    state = memory.initial_state(2)
    with torch.no_grad():
        for _ in range(100):
            u = torch.rand((100, 5, 2), generator=draw).round()
            _, state = memory.forward_step(u, state)
    reached = (state[0] >= CTRNN.max_rate).any(1).any(1)
    assert reached.float().mean() <= 0.05
    assert (memory.rate(state[0]) <= CTRNN.max_rate).all()


def test_everything_else_begins_at_its_value() -> None:
    memory = begun(10)
    assert (memory.alpha() - 0.8).abs().max() < 1e-6
    assert (memory.initial_current == 0.1).all()
    assert (memory.bias == 0).all()
    assert memory.input_weight.min() >= 0
    assert 0.8 * 5**-0.5 < memory.input_weight.max() <= 5**-0.5


def test_a_variant_is_a_subclass_with_other_values() -> None:
    values = {"inhibitory_share": 0.5, "first_alpha": 0.2, "spectral_radius": 1.5}
    memory = begun(10, memory=type("Other", (CTRNN,), values))
    recurrent = memory.weights()[0][0].detach()
    assert memory.n_excitatory == 5
    assert np.abs(np.linalg.eigvals(recurrent.numpy())).max() == pytest.approx(
        1.5, rel=1e-4
    )
    assert memory.alpha()[0, 0].item() == pytest.approx(0.2, rel=1e-4)


@pytest.mark.parametrize("units", [1, 2])
def test_too_few_units_are_refused(units: int) -> None:
    with pytest.raises(InputError, match=f"units is {units}, of which 1 inhibit"):
        memory_class("ctrnn")(1, 3, units)
