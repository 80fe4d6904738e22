"""The GRU is torch's, with an initial state that is learned."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pfc_metarl.memory.gru import GRU

SEEDS, INPUTS, UNITS, EPISODES, STEPS = 2, 3, 4, 5, 6


@pytest.fixture
def gru() -> GRU:
    """GRU of random weights and initial state."""
    memory = GRU(SEEDS, INPUTS, UNITS).double()
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw))
    return memory


@pytest.fixture
def inputs() -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.randn((STEPS, SEEDS, INPUTS, EPISODES), generator=draw).double()


def torchs_gru(memory: GRU, seed: int) -> nn.GRU:
    """Of torch's two biases that of m alone differs from adding to the other."""
    twin = nn.GRU(INPUTS, UNITS).double()
    with torch.no_grad():
        twin.weight_ih_l0.copy_(memory.input_weight[seed])
        twin.weight_hh_l0.copy_(memory.recurrent_weight[seed])
        twin.bias_ih_l0.copy_(memory.bias[seed, :, 0])
        twin.bias_hh_l0.zero_()
        twin.bias_hh_l0[2 * UNITS :].copy_(memory.recurrent_bias[seed, :, 0])
    return twin


def torchs_state(memory: GRU, seed: int) -> Tensor:
    """(seed, unit, 1) to torch's (layer, episode, unit), a leaf of its own."""
    state = memory.initial_hidden[seed].detach().T.expand(EPISODES, UNITS)[None]
    return state.clone().requires_grad_()


@pytest.mark.parametrize("way", ["whole sequence", "kept activity"])
def test_outputs_and_gradients_equal_torchs_gru(
    gru: GRU, inputs: Tensor, way: str
) -> None:
    if way == "whole sequence":
        outputs = gru(inputs)
    else:
        activity = gru.activity(STEPS, EPISODES)
        activity.begin()
        for at_step in inputs:
            activity.step(at_step)
        outputs = activity.outputs(inputs)
    weight = torch.linspace(-1, 1, STEPS * UNITS).double().view(STEPS, 1, UNITS, 1)
    (outputs * weight).sum().backward()
    for seed in range(SEEDS):
        twin, hidden = torchs_gru(gru, seed), torchs_state(gru, seed)
        expected, _ = twin(inputs[:, seed].transpose(1, 2), hidden)
        expected = expected.transpose(1, 2)
        torch.testing.assert_close(outputs[:, seed], expected, rtol=0, atol=1e-12)
        (expected * weight[:, 0]).sum().backward()
        for ours, torchs in (
            (gru.input_weight, twin.weight_ih_l0.grad),
            (gru.recurrent_weight, twin.weight_hh_l0.grad),
            (gru.bias, twin.bias_ih_l0.grad),
            (gru.recurrent_bias, twin.bias_hh_l0.grad[2 * UNITS :]),
            (gru.initial_hidden, hidden.grad.sum((0, 1))),
        ):
            found = ours.grad[seed].view_as(torchs)
            assert (found != 0).all()
            torch.testing.assert_close(found, torchs, rtol=1e-9, atol=1e-11)


def test_a_step_follows_the_equations(gru: GRU, inputs: Tensor) -> None:
    with torch.no_grad():
        output, (hidden,) = gru.forward_step(inputs[0], gru.initial_state(EPISODES))
    assert torch.equal(output, hidden)
    W, U, b, c, h = (
        part[1].detach().numpy()
        for part in (
            gru.input_weight,
            gru.recurrent_weight,
            gru.bias,
            gru.recurrent_bias,
            gru.initial_hidden,
        )
    )
    W_r, W_z, W_n = np.split(W, 3)
    U_r, U_z, U_n = np.split(U, 3)
    b_r, b_z, b_n = np.split(b, 3)
    for episode in range(EPISODES):
        x = inputs[0, 1, :, episode, None].numpy()
        r = 1 / (1 + np.exp(-(W_r @ x + U_r @ h + b_r)))
        z = 1 / (1 + np.exp(-(W_z @ x + U_z @ h + b_z)))
        n = np.tanh(W_n @ x + b_n + r * (U_n @ h + c))
        expected = (1 - z) * n + z * h
        np.testing.assert_allclose(hidden[1, :, episode, None], expected, atol=1e-14)


def test_weights_begin_within_their_bound_and_the_state_at_zero() -> None:
    memory = GRU(1, 6, 16)
    memory.initialise(0, torch.Generator().manual_seed(0))
    for weight in (
        memory.input_weight,
        memory.recurrent_weight,
        memory.bias,
        memory.recurrent_bias,
    ):
        assert weight.abs().max() <= 0.25
        assert weight.abs().max() > 0.24 if weight.numel() > 100 else True
        assert (weight > 0).any()
        assert (weight < 0).any()
    assert not any(part.any() for part in memory.initial_state(3))
