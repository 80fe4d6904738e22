"""The RNN is torch's, with an initial state that is learned."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pfc_metarl.memory.rnn import RNN

SEEDS, INPUTS, UNITS, EPISODES, STEPS = 2, 3, 4, 5, 6


@pytest.fixture
def rnn() -> RNN:
    """RNN of random weights and initial state, not so large that units saturate."""
    memory = RNN(SEEDS, INPUTS, UNITS).double()
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=draw))
    return memory


@pytest.fixture
def inputs() -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.randn((STEPS, SEEDS, INPUTS, EPISODES), generator=draw).double()


def torchs_rnn(memory: RNN, seed: int) -> nn.RNN:
    twin = nn.RNN(INPUTS, UNITS, nonlinearity="tanh").double()
    with torch.no_grad():
        twin.weight_ih_l0.copy_(memory.input_weight[seed])
        twin.weight_hh_l0.copy_(memory.recurrent_weight[seed])
        twin.bias_ih_l0.copy_(memory.bias[seed, :, 0])
        twin.bias_hh_l0.zero_()
    return twin


def torchs_state(memory: RNN, seed: int) -> Tensor:
    """(seed, unit, 1) to torch's (layer, episode, unit), a leaf of its own."""
    state = memory.initial_hidden[seed].detach().T.expand(EPISODES, UNITS)[None]
    return state.clone().requires_grad_()


@pytest.mark.parametrize("way", ["whole sequence", "kept activity"])
def test_outputs_and_gradients_equal_torchs_rnn(
    rnn: RNN, inputs: Tensor, way: str
) -> None:
    if way == "whole sequence":
        outputs = rnn(inputs)
    else:
        activity = rnn.activity(STEPS, EPISODES)
        activity.begin()
        for at_step in inputs:
            activity.step(at_step)
        outputs = activity.outputs(inputs)
    weight = torch.linspace(-1, 1, STEPS * UNITS).double().view(STEPS, 1, UNITS, 1)
    (outputs * weight).sum().backward()
    for seed in range(SEEDS):
        twin, hidden = torchs_rnn(rnn, seed), torchs_state(rnn, seed)
        expected, _ = twin(inputs[:, seed].transpose(1, 2), hidden)
        expected = expected.transpose(1, 2)
        torch.testing.assert_close(outputs[:, seed], expected, rtol=0, atol=1e-12)
        (expected * weight[:, 0]).sum().backward()
        for ours, torchs in (
            (rnn.input_weight, twin.weight_ih_l0.grad),
            (rnn.recurrent_weight, twin.weight_hh_l0.grad),
            (rnn.bias, twin.bias_ih_l0.grad),
            (rnn.initial_hidden, hidden.grad.sum((0, 1))),
        ):
            found = ours.grad[seed].view_as(torchs)
            assert (found != 0).all()
            torch.testing.assert_close(found, torchs, rtol=1e-9, atol=1e-11)


def test_a_step_follows_the_equation(rnn: RNN, inputs: Tensor) -> None:
    with torch.no_grad():
        output, (hidden,) = rnn.forward_step(inputs[0], rnn.initial_state(EPISODES))
    assert torch.equal(output, hidden)
    W, U, b, h = (
        part[1].detach().numpy()
        for part in (
            rnn.input_weight,
            rnn.recurrent_weight,
            rnn.bias,
            rnn.initial_hidden,
        )
    )
    for episode in range(EPISODES):
        x = inputs[0, 1, :, episode, None].numpy()
        expected = np.tanh(W @ x + U @ h + b)
        np.testing.assert_allclose(hidden[1, :, episode, None], expected, atol=1e-14)


def test_recurrent_weights_begin_orthogonal_others_in_bounds_the_state_at_zero() -> (
    None
):
    memory = RNN(1, 6, 16)
    memory.initialise(0, torch.Generator().manual_seed(0))
    for weight in (memory.input_weight, memory.bias):
        assert weight.abs().max() <= 0.25
        assert (weight > 0).any()
        assert (weight < 0).any()
    recurrent = memory.recurrent_weight[0]
    torch.testing.assert_close(
        recurrent @ recurrent.T, torch.eye(16), rtol=0, atol=1e-6
    )
    assert not any(part.any() for part in memory.initial_state(3))
