"""The compiled kernels do what the plain LSTM does: outputs, gradients and choices."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

# Numba is an optional extra, which the extra "test" installs: left out only where a
# user runs the tests without it.
pytest.importorskip("numba")

from numba import njit

from pfc_metarl.errors import InputError
from pfc_metarl.memory import MEMORIES
from pfc_metarl.memory.base import Activity, KeptActivity
from pfc_metarl.memory.compiled_lstm import (
    LANES,
    ROWS,
    _sigmoid,
    _tanh,
    _tanh_of,
    exponential,
    product,
)
from pfc_metarl.memory.lstm import LSTM

# seeds, inputs, units, episodes, steps
SIZES = {
    "one of everything": (1, 1, 1, 1, 1),
    "one unit": (2, 3, 1, 5, 4),
    "one episode": (2, 6, 12, 1, 6),
    "whole vectors and tiles": (2, 7, 32, 8, 5),
    "the paper's": (1, 6, 48, 32, 5),
    "filled up": (2, 5, 17, 6, 7),
    "filled up, many episodes": (3, 4, 50, 71, 4),
    "many inputs": (1, 40, 3, 33, 3),
}
SMALL = SIZES["filled up"]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}


@pytest.fixture(params=sorted(SIZES))
def sizes(request: pytest.FixtureRequest) -> tuple[int, ...]:
    return SIZES[request.param]


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    dtype: torch.dtype = request.param
    return dtype


@pytest.fixture(params=[False, True], ids=["backpropagation", "local credit"])
def local(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def normal(shape: tuple[int, ...], seed: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=draw, dtype=torch.float64)


def lstm_of(sizes: tuple[int, ...], dtype: torch.dtype = torch.float64) -> LSTM:
    """Return an LSTM of random weights, the initial states random too."""
    seeds, inputs, units, *_ = sizes
    memory = LSTM(seeds, inputs, units).to(dtype)
    with torch.no_grad():
        for number, parameter in enumerate(memory.parameters()):
            parameter.copy_(normal(tuple(parameter.shape), number) * units**-0.5)
    return memory


def inputs_of(sizes: tuple[int, ...], seed: int = 100) -> Tensor:
    seeds, inputs, _, episodes, steps = sizes
    return normal((steps, seeds, inputs, episodes), seed)


def feedback_of(sizes: tuple[int, ...]) -> Tensor:
    """Gradient of a loss by the outputs."""
    seeds, _, units, episodes, steps = sizes
    return normal((steps, seeds, units, episodes), 200)


def compiled(memory: LSTM, steps: int, batch: int, local: bool = False) -> KeptActivity:
    activity = memory.activity(steps, batch, local_credit=local, compiled=True)
    assert type(activity).__name__ == "CompiledLSTMActivity"
    return activity


def played(activity: Activity, inputs: Tensor) -> Tensor:
    """Outputs while acting."""
    activity.begin()
    return torch.stack([activity.step(at_step).clone() for at_step in inputs])


def gradients(memory: LSTM, outputs: Tensor, feedback: Tensor) -> dict[str, Tensor]:
    memory.zero_grad()
    outputs.backward(feedback.to(outputs))
    return {
        name: torch.zeros_like(parameter)
        if parameter.grad is None
        else parameter.grad.clone()
        for name, parameter in memory.named_parameters()
    }


def learned(
    memory: LSTM, activity: Activity, inputs: Tensor, feedback: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Outputs when learning, and the gradients."""
    played(activity, inputs)
    outputs = activity.outputs(inputs)
    return outputs.detach().clone(), gradients(memory, outputs, feedback)


def assert_close(found: Tensor, expected: Tensor, tolerance: float, name: str) -> None:
    """Compare, relative to the largest number there is."""
    found, expected = found.detach(), expected.detach().to(found).view_as(found)
    scale = float(expected.abs().max())
    torch.testing.assert_close(
        found, expected, rtol=0, atol=tolerance * scale, msg=lambda m: f"{name}: {m}"
    )


def test_outputs_and_gradients_equal_those_of_plain_autograd(
    sizes: tuple[int, ...], dtype: torch.dtype, local: bool
) -> None:
    exact, memory = lstm_of(sizes), lstm_of(sizes, dtype)
    inputs, feedback = inputs_of(sizes), feedback_of(sizes)
    expected = exact(inputs, local_credit=local)
    right = gradients(exact, expected, feedback)
    activity = compiled(memory, sizes[4], sizes[3], local)
    acting = played(activity, inputs.to(dtype))
    assert_close(acting, expected, TOLERANCE[dtype], "acting")
    outputs, found = learned(memory, activity, inputs.to(dtype), feedback)
    assert torch.equal(outputs, acting)
    assert found.keys() == right.keys()
    for name, gradient in right.items():
        assert (gradient != 0).any() or (local and name == "initial_hidden"), name
        assert_close(found[name], gradient, TOLERANCE[dtype], name)


def torchs_order(rows: Tensor) -> Tensor:
    """Gates i, f, o, g to torch's i, f, g, o."""
    i, f, o, g = rows.detach().chunk(4)
    return torch.cat([i, f, g, o])


def torchs_lstm(memory: LSTM, seed: int) -> nn.LSTM:
    twin = nn.LSTM(memory.n_inputs, memory.n_units).to(memory.bias)
    with torch.no_grad():
        twin.weight_ih_l0.copy_(torchs_order(memory.input_weight[seed]))
        twin.weight_hh_l0.copy_(torchs_order(memory.recurrent_weight[seed]))
        twin.bias_ih_l0.copy_(torchs_order(memory.bias[seed, :, 0]))
        twin.bias_hh_l0.zero_()
    return twin


def torchs_state(initial: Tensor, seed: int, batch: int) -> Tensor:
    """(seed, unit, 1) to torch's (layer, episode, unit), a leaf of its own."""
    state = initial[seed].detach().T.expand(batch, -1)[None]
    return state.clone().requires_grad_()


def test_outputs_and_gradients_equal_torchs_lstm(
    sizes: tuple[int, ...], dtype: torch.dtype
) -> None:
    memory, tolerance = lstm_of(sizes, dtype), TOLERANCE[dtype]
    inputs, feedback = inputs_of(sizes).to(dtype), feedback_of(sizes).to(dtype)
    activity = compiled(memory, sizes[4], sizes[3])
    outputs, found = learned(memory, activity, inputs, feedback)
    for seed in range(sizes[0]):
        twin = torchs_lstm(memory, seed)
        hidden = torchs_state(memory.initial_hidden, seed, sizes[3])
        cell = torchs_state(memory.initial_cell, seed, sizes[3])
        expected, _ = twin(inputs[:, seed].transpose(1, 2), (hidden, cell))
        assert_close(outputs[:, seed], expected.transpose(1, 2), tolerance, "outputs")
        expected.backward(feedback[:, seed].transpose(1, 2))
        for name, torchs in (
            ("input_weight", twin.weight_ih_l0),
            ("recurrent_weight", twin.weight_hh_l0),
            ("bias", twin.bias_ih_l0),
        ):
            assert_close(torchs_order(found[name][seed]), torchs.grad, tolerance, name)
        for name, state in (("initial_hidden", hidden), ("initial_cell", cell)):
            assert_close(found[name][seed], state.grad.sum((0, 1)), tolerance, name)


def test_one_batch_leaves_nothing_over_for_the_next(
    dtype: torch.dtype, local: bool
) -> None:
    memory = lstm_of(SMALL, dtype)
    inputs, feedback = inputs_of(SMALL).to(dtype), feedback_of(SMALL)
    activity = compiled(memory, SMALL[4], SMALL[3], local)
    first, right = learned(memory, activity, inputs, feedback)
    for before in (10 * inputs_of(SMALL, 7).to(dtype), torch.full_like(inputs, np.nan)):
        learned(memory, activity, before, feedback)
        again, found = learned(memory, activity, inputs, feedback)
        assert torch.equal(again, first)
        for name, gradient in right.items():
            assert torch.equal(found[name], gradient), name


def test_an_episode_may_end_before_the_steps_prepared_for(local: bool) -> None:
    memory, inputs, feedback = lstm_of(SMALL), inputs_of(SMALL), feedback_of(SMALL)
    activity = compiled(memory, SMALL[4], SMALL[3], local)
    learned(memory, activity, inputs, feedback)
    outputs, found = learned(memory, activity, inputs[:3], feedback[:3])
    expected = memory(inputs[:3], local_credit=local)
    assert_close(outputs, expected, 1e-12, "outputs")
    for name, gradient in gradients(memory, expected, feedback[:3]).items():
        assert_close(found[name], gradient, 1e-9, name)


def test_replaying_follows_the_weights_when_they_change(local: bool) -> None:
    memory, inputs, feedback = lstm_of(SMALL), inputs_of(SMALL), feedback_of(SMALL)
    activity = compiled(memory, SMALL[4], SMALL[3], local)
    played(activity, inputs)
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter += 0.3
    activity.replay(inputs)
    outputs = activity.outputs(inputs)
    expected = memory(inputs, local_credit=local)
    assert_close(outputs, expected, 1e-12, "outputs")
    found = gradients(memory, outputs, feedback)
    for name, gradient in gradients(memory, expected, feedback).items():
        assert_close(found[name], gradient, 1e-9, name)


def test_it_chooses_the_actions_that_the_plain_activity_chooses(
    sizes: tuple[int, ...], dtype: torch.dtype
) -> None:
    memory, inputs = lstm_of(sizes, dtype), inputs_of(sizes).to(dtype)
    seeds, _, units, episodes, steps = sizes
    n_actions = 4
    policy_weight = normal((seeds, n_actions, units), 1).to(dtype)
    noise = normal((steps, seeds, n_actions, episodes), 2).to(dtype)
    plain, fast = Activity(memory, episodes), compiled(memory, steps, episodes)
    plain.begin()
    fast.begin()
    chosen = []
    for at_step, exploration in zip(inputs, noise, strict=True):
        action = fast.act(at_step, policy_weight, exploration)
        assert torch.equal(action, plain.act(at_step, policy_weight, exploration))
        assert action.dtype == torch.int64
        chosen.append(action)
    assert len(torch.stack(chosen).unique()) > 2 or episodes == 1
    expected = memory(inputs)
    assert_close(fast.outputs(inputs), expected, TOLERANCE[dtype], "outputs")


def test_choosing_minds_noise_and_weights_both(dtype: torch.dtype) -> None:
    memory, inputs = lstm_of(SMALL, dtype), inputs_of(SMALL).to(dtype)
    seeds, _, units, episodes, steps = SMALL
    activity = compiled(memory, steps, episodes)
    activity.begin()
    weight = torch.zeros(seeds, 3, units, dtype=dtype)
    noise = torch.full((seeds, 3, episodes), -5.0, dtype=dtype)
    noise[:, 1] = -4.0  # all below 0
    assert (activity.act(inputs[0], weight, noise) == 1).all()
    hidden = memory(inputs[:2])[1].detach()
    weight[:, 2] = 100 * hidden[:, :, 0]  # as the first episode's hidden state
    action = activity.act(inputs[1], weight, noise)
    expected = (noise + weight @ hidden).argmax(1)
    assert (expected[:, 0] == 2).all()
    assert torch.equal(action, expected)


def only(memory: LSTM, seed: int) -> LSTM:
    """Return one seed of a memory, alone."""
    alone = LSTM(1, memory.n_inputs, memory.n_units).to(memory.bias)
    with torch.no_grad():
        for name, parameter in alone.named_parameters():
            parameter[0] = memory.get_parameter(name)[seed]
    return alone


@pytest.mark.parametrize("name", ["filled up, many episodes", "filled up", "one unit"])
def test_the_bits_of_a_seed_do_not_depend_on_what_is_beside_it(
    name: str, dtype: torch.dtype, local: bool
) -> None:
    sizes = SIZES[name]
    memory = lstm_of(sizes, dtype)
    inputs, feedback = inputs_of(sizes).to(dtype), feedback_of(sizes)
    activity = compiled(memory, sizes[4], sizes[3], local)
    among, found = learned(memory, activity, inputs, feedback)
    for seed in range(sizes[0]):
        alone, one = only(memory, seed), slice(seed, seed + 1)
        activity = compiled(alone, sizes[4], sizes[3], local)
        outputs, right = learned(alone, activity, inputs[:, one], feedback[:, one])
        assert torch.equal(outputs, among[:, one])
        for key, gradient in right.items():
            assert torch.equal(gradient, found[key][one]), key


@pytest.mark.parametrize("value", [5.0, np.inf, np.nan])
def test_seeds_do_not_mix_whatever_one_of_them_is(
    value: float, dtype: torch.dtype
) -> None:
    memory, one = lstm_of(SMALL, dtype), 1
    inputs, feedback = inputs_of(SMALL).to(dtype), feedback_of(SMALL)
    activity = compiled(memory, SMALL[4], SMALL[3])
    before, right = learned(memory, activity, inputs, feedback)
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter[one] = value
    inputs[:, one] = value
    after, found = learned(memory, activity, inputs, feedback)
    assert torch.equal(after[:, 0], before[:, 0])
    assert not torch.equal(after[:, one], before[:, one])
    for name, gradient in right.items():
        assert torch.equal(found[name][0], gradient[0]), name


@pytest.mark.parametrize("name", [name for name, _ in LSTM(1, 1, 1).named_parameters()])
def test_a_weight_that_is_no_number_gives_a_gradient_that_is_none(
    name: str, dtype: torch.dtype
) -> None:
    """Or a seed that diverges would go unnoticed."""
    memory = lstm_of(SMALL, dtype)
    with torch.no_grad():
        memory.get_parameter(name)[0].view(-1)[0] = np.nan
    inputs, feedback = inputs_of(SMALL).to(dtype), feedback_of(SMALL)
    activity = compiled(memory, SMALL[4], SMALL[3])
    outputs, found = learned(memory, activity, inputs, feedback)
    assert outputs[-1, 0].isnan().all()
    assert all(gradient[0].isnan().any() for gradient in found.values())
    assert outputs[:, 1].isfinite().all()
    assert all(gradient[1].isfinite().all() for gradient in found.values())


def test_memories_without_kernels_refuse_in_one_line() -> None:
    for name, memory in MEMORIES.items():
        if name == "lstm":
            continue
        with pytest.raises(InputError, match="no compiled kernels; use kern") as error:
            memory(1, 2, 3).activity(4, 5, compiled=True)
        assert memory.__name__ in str(error.value)
        assert "\n" not in str(error.value)


@njit(error_model="numpy", fastmath=True)
def _exponentials(x: NDArray[np.float32]) -> None:
    for k in range(x.size):
        x[k] = exponential(x[k])


def float32_range() -> NDArray[np.float32]:
    """Numbers over the range of exponents, of both signs, dense where it matters."""
    draw = np.random.default_rng(0)
    tiny_to_huge = 10.0 ** draw.uniform(-45, 38.5, 20_000)
    usual = draw.uniform(0, 100, 200_000)
    x = np.concatenate([[0.0], tiny_to_huge, usual]).astype(np.float32)
    return np.concatenate([x, -x])


def test_the_exponential_is_accurate_over_its_range() -> None:
    x = float32_range()
    x = x[np.abs(x) < 87]
    found = x.copy()
    _exponentials(found)
    error = np.abs(found / np.exp(x.astype(np.float64)) - 1)
    assert error[np.abs(x) < 5].max() < 2e-7
    assert error.max() < 4e-7  # measured: 3.1e-7, at the ends


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-x)))


def tanh_of(x: NDArray[np.float32]) -> None:
    y = np.empty_like(x)
    _tanh_of(x.copy(), y)
    x[:] = y


NONLINEARITIES = {
    "sigmoid": (_sigmoid, sigmoid),
    "tanh": (_tanh, np.tanh),
    "tanh of": (tanh_of, np.tanh),
}


@pytest.fixture(params=sorted(NONLINEARITIES))
def nonlinearity(request: pytest.FixtureRequest) -> tuple[Callable, Callable]:
    return NONLINEARITIES[request.param]


def test_sigmoid_and_tanh_are_accurate_over_the_whole_range(
    nonlinearity: tuple[Callable, Callable],
) -> None:
    fast, exact = nonlinearity
    for dtype, tolerance in ((np.float32, 2e-7), (np.float64, 1e-15)):
        x = float32_range().astype(dtype)
        expected = exact(x.astype(np.float64))
        fast(x)
        assert x.dtype == dtype
        assert np.abs(x - expected).max() < tolerance


def test_sigmoid_and_tanh_saturate_and_keep_within_their_range(
    nonlinearity: tuple[Callable, Callable],
) -> None:
    fast, exact = nonlinearity
    largest = np.finfo(np.float32).max
    x = np.array([np.inf, largest, 1e10, 100, -np.inf, -largest, -1e10, -100])
    found = x.astype(np.float32)
    fast(found)
    np.testing.assert_allclose(found, exact(x), rtol=0, atol=2e-7)
    everywhere = float32_range()
    fast(everywhere)
    for values in (found, everywhere):
        assert exact(np.array(-np.inf)) <= values.min() < values.max() <= 1


def test_no_number_stays_no_number(nonlinearity: tuple[Callable, Callable]) -> None:
    fast, _ = nonlinearity
    for dtype in (np.float32, np.float64):
        for size in (1, 3, LANES, 4 * LANES + 5):  # vectors, and what is left over
            for place in range(size):
                x = np.full(size, 0.5, dtype=dtype)
                x[place] = np.nan
                fast(x)
                assert np.isnan(x).tolist() == [at == place for at in range(size)]


@pytest.mark.parametrize("adds", [0, 1])
@pytest.mark.parametrize("columns", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("rows", [1, 3])
def test_products_of_all_shapes(rows: int, columns: int, adds: int) -> None:
    draw = np.random.default_rng(rows * columns)
    for dtype, tolerance in ((np.float32, 1e-5), (np.float64, 1e-13)):
        for n in (1, 2, 5, 16, 33):
            a = draw.normal(size=(rows * ROWS, n)).astype(dtype)
            wide = draw.normal(size=(n, columns * LANES + 3)).astype(dtype)
            b = wide[:, 2:-1]  # rows that do not touch, and begin anywhere
            around = np.full((rows * ROWS + 2, columns * LANES + 5), 7, dtype=dtype)
            out = around[1:-1, 3:-2]
            before = out.copy()
            expected = a.astype(np.float64) @ b.astype(np.float64) + adds * before
            for way in (a, np.asfortranarray(a)):
                out[:] = before
                product(out, way, b, adds)
                np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance * n)
            outside = np.ones(around.shape, dtype=bool)
            outside[1:-1, 3:-2] = False
            assert (around[outside] == 7).all()
