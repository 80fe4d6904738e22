"""The LSTM is the textbook's, hidden state and cell state both carried along."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pfc_metarl.memory.lstm import LSTM

SEEDS, INPUTS, UNITS, EPISODES, STEPS = 2, 3, 4, 5, 6


@pytest.fixture
def lstm() -> LSTM:
    """LSTM of random weights, the initial states random and different."""
    memory = LSTM(SEEDS, INPUTS, UNITS).double()
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw))
    return memory


@pytest.fixture
def inputs() -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.randn((STEPS, SEEDS, INPUTS, EPISODES), generator=draw).double()


def torchs_order(rows: Tensor) -> Tensor:
    """Gates i, f, o, g to torch's i, f, g, o."""
    i, f, o, g = rows.detach().chunk(4)
    return torch.cat([i, f, g, o])


def torchs_lstm(memory: LSTM, seed: int) -> nn.LSTM:
    twin = nn.LSTM(INPUTS, UNITS).double()
    with torch.no_grad():
        twin.weight_ih_l0.copy_(torchs_order(memory.input_weight[seed]))
        twin.weight_hh_l0.copy_(torchs_order(memory.recurrent_weight[seed]))
        twin.bias_ih_l0.copy_(torchs_order(memory.bias[seed, :, 0]))
        twin.bias_hh_l0.zero_()
    return twin


def torchs_state(initial: Tensor, seed: int) -> Tensor:
    """(seed, unit, 1) to torch's (layer, episode, unit), a leaf of its own."""
    state = initial[seed].detach().T.expand(EPISODES, UNITS)[None]
    return state.clone().requires_grad_()


@pytest.mark.parametrize("way", ["whole sequence", "kept activity"])
def test_outputs_and_gradients_equal_torchs_lstm(
    lstm: LSTM, inputs: Tensor, way: str
) -> None:
    if way == "whole sequence":
        outputs = lstm(inputs)
    else:
        activity = lstm.activity(STEPS, EPISODES)
        activity.begin()
        for at_step in inputs:
            activity.step(at_step)
        outputs = activity.outputs(inputs)
    weight = torch.linspace(-1, 1, STEPS * UNITS).double().view(STEPS, 1, UNITS, 1)
    (outputs * weight).sum().backward()
    for seed in range(SEEDS):
        twin = torchs_lstm(lstm, seed)
        hidden = torchs_state(lstm.initial_hidden, seed)
        cell = torchs_state(lstm.initial_cell, seed)
        expected, _ = twin(inputs[:, seed].transpose(1, 2), (hidden, cell))
        expected = expected.transpose(1, 2)
        torch.testing.assert_close(outputs[:, seed], expected, rtol=0, atol=1e-12)
        (expected * weight[:, 0]).sum().backward()
        for ours, torchs in (
            (lstm.input_weight, twin.weight_ih_l0),
            (lstm.recurrent_weight, twin.weight_hh_l0),
            (lstm.bias, twin.bias_ih_l0),
        ):
            found = torchs_order(ours.grad[seed]).view_as(torchs)
            torch.testing.assert_close(found, torchs.grad, rtol=1e-9, atol=1e-11)
        for ours, torchs in ((lstm.initial_hidden, hidden), (lstm.initial_cell, cell)):
            found, right = ours.grad[seed, :, 0], torchs.grad.sum((0, 1))
            assert (found != 0).all()
            torch.testing.assert_close(found, right, rtol=1e-9, atol=1e-11)


def test_hidden_and_cell_state_are_both_carried_in_that_order(
    lstm: LSTM, inputs: Tensor
) -> None:
    assert lstm.state_names == ("hidden", "cell")
    state = lstm.initial_state(EPISODES)
    for at_step in inputs:
        output, state = lstm.forward_step(at_step, state)
        assert torch.equal(output, state[0])
        assert not torch.equal(state[0], state[1])
    for seed in range(SEEDS):
        begin = tuple(
            torchs_state(initial, seed)
            for initial in (lstm.initial_hidden, lstm.initial_cell)
        )
        _, end = torchs_lstm(lstm, seed)(inputs[:, seed].transpose(1, 2), begin)
        for ours, torchs in zip(state, end, strict=True):
            torch.testing.assert_close(ours[seed], torchs[0].T, rtol=0, atol=1e-12)


def test_a_step_follows_the_equations_of_the_paper(lstm: LSTM, inputs: Tensor) -> None:
    with torch.no_grad():
        _, (hidden, cell) = lstm.forward_step(inputs[0], lstm.initial_state(EPISODES))
    W, U, b, h, c = (
        part[1].detach().numpy()
        for part in (
            lstm.input_weight,
            lstm.recurrent_weight,
            lstm.bias,
            lstm.initial_hidden,
            lstm.initial_cell,
        )
    )
    for episode in range(EPISODES):
        x = inputs[0, 1, :, episode, None].numpy()
        i, f, o, g = np.split(W @ x + U @ h + b, 4)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c_new = f * c + i * np.tanh(g)
        np.testing.assert_allclose(cell[1, :, episode, None], c_new, atol=1e-14)
        h_new = o * np.tanh(c_new)
        np.testing.assert_allclose(hidden[1, :, episode, None], h_new, atol=1e-14)


@pytest.mark.parametrize("local", [False, True], ids=["through time", "local credit"])
def test_what_was_acted_teaches_what_the_whole_sequence_teaches(
    lstm: LSTM, inputs: Tensor, local: bool
) -> None:
    weight = torch.linspace(-1, 1, STEPS * UNITS).double().view(STEPS, 1, UNITS, 1)
    activity = lstm.activity(STEPS, EPISODES, local_credit=local)
    gradients = []
    for _ in range(2):  # with nothing left over the second time
        activity.begin()
        for at_step in inputs:
            activity.step(at_step)
        outputs = activity.outputs(inputs)
        lstm.zero_grad()
        (outputs * weight).sum().backward()
        gradients.append({n: p.grad.clone() for n, p in lstm.named_parameters()})
    lstm.zero_grad()
    expected = lstm(inputs, local_credit=local)
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-12)
    (expected * weight).sum().backward()
    for name, parameter in lstm.named_parameters():
        right = parameter.grad
        if local and name == "initial_hidden":  # it acts through other units only
            assert right is None
            right = torch.zeros_like(parameter)
        else:
            assert right.any()
        for found in gradients:
            torch.testing.assert_close(found[name], right, rtol=1e-9, atol=1e-11)


def test_local_credit_changes_the_gradient_and_nothing_else(
    lstm: LSTM, inputs: Tensor
) -> None:
    outputs = [lstm(inputs, local_credit=local) for local in (False, True)]
    assert torch.equal(*outputs)
    whole, local = (
        torch.autograd.grad(o.sum(), lstm.recurrent_weight)[0] for o in outputs
    )
    assert not torch.allclose(whole, local)


def test_with_local_credit_no_gradient_passes_from_unit_to_unit(
    lstm: LSTM, inputs: Tensor
) -> None:
    outputs = lstm(inputs, local_credit=True)
    rows = [gate * UNITS + 2 for gate in range(4)]  # of unit 2
    others = [row for row in range(4 * UNITS) if row not in rows]
    outputs[:, :, 2].sum().backward()
    for weight in (lstm.input_weight, lstm.recurrent_weight, lstm.bias):
        assert weight.grad[:, rows].any()
        assert not weight.grad[:, others].any()


def test_weights_begin_within_their_bound_and_the_state_at_zero() -> None:
    memory = LSTM(1, 6, 16)
    memory.initialise(0, torch.Generator().manual_seed(0))
    for weight in (memory.input_weight, memory.recurrent_weight, memory.bias):
        assert weight.abs().max() <= 0.25
        assert weight.abs().max() > 0.24 if weight.numel() > 100 else True
        assert (weight > 0).any()
        assert (weight < 0).any()
    assert not any(part.any() for part in memory.initial_state(3))
