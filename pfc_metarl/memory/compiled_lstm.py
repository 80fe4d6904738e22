"""The LSTM's kernels, compiled by numba: as :mod:`pfc_metarl.memory.lstm`, but faster.

Networks of this size spend their time in products of a few dozen rows, for which
general libraries are not made, and in one small operation after another. Here a step
is one call. Activations of the gates are not kept but computed again on the way
back, which is cheaper than the memory they would pass through: 4 x (2 x units + inputs)
bytes remain per step and episode.

Within an array, episodes are rows and units are columns; the units of a gate lie
together. Units are padded with zeros to whole vectors of the processor, episodes to
whole tiles; the padding stays zero and gives no gradient.

All in one module: numba recompiles what it has cached when the file changes.
"""

import math
from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload
from numpy.typing import NDArray
from torch import Tensor

from pfc_metarl.memory.base import KeptActivity, Memory

Array = NDArray[Any]

LANES = 16 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 8
"""Numbers of 32 bits in a vector of this processor."""

ROWS = 4
"""Rows of a tile: with three vectors each they fill the registers of all processors."""

_REORDER = {"reassoc", "contract"}  # sums; NaN and infinity stay what they are

EPISODES = 32
"""Episodes at a time, whose gates stay in the cache."""


def _kernel(function: Callable[..., None]) -> Any:
    """Compile an entry; keep the result on disk where there is a place for it."""
    try:
        return njit(error_model="numpy", fastmath=_REORDER, cache=True)(function)
    except RuntimeError:  # neither the package's folder nor the home can be written
        return njit(error_model="numpy", fastmath=_REORDER)(function)


def _tile(width: int) -> Any:
    """Return code that computes ``ROWS`` rows by ``width`` vectors of a product.

        out[r, c] (+)= sum_k a[r, k] b[k, c]

    The sums stay in registers. Arguments: a number of the arrays' type; addresses of
    out, a and b with their strides in numbers (out and b by row, a by row and by k);
    the length of the sum; whether to add to what is there.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, out, out_row, a, a_row, a_k, b, b_row, n, adds = arguments
        number = context.get_value_type(signature.args[0])
        size = context.get_abi_sizeof(number)
        vector = ir.VectorType(number, LANES)
        multiply_add = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(vector, [vector] * 3),
            f"llvm.fma.v{LANES}f{8 * size}",
        )
        tile = [(r, c) for r in range(ROWS) for c in range(width)]
        sums = {place: cgutils.alloca_once(builder, vector) for place in tile}

        def at(base: Any, offset: Any, kind: Any) -> Any:
            address = builder.add(base, builder.mul(offset, n.type(size)))
            return builder.inttoptr(address, kind.as_pointer())

        def plus(*terms: Any) -> Any:
            total = terms[0]
            for term in terms[1:]:
                total = builder.add(total, term)
            return total

        def of_out(r: int, c: int) -> Any:
            row = builder.mul(out_row, n.type(r))
            return at(out, plus(row, n.type(c * LANES)), vector)

        is_adding = builder.icmp_signed("!=", adds, n.type(0))
        with builder.if_else(is_adding) as (add, begin):
            with add:
                for place in tile:
                    before = builder.load(of_out(*place), align=size)
                    builder.store(before, sums[place])
            with begin:
                for place in tile:
                    builder.store(ir.Constant(vector, [0.0] * LANES), sums[place])
        blank = ir.Constant(vector, ir.Undefined)
        first_lane = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        with cgutils.for_range(builder, n) as loop:
            k = loop.index
            b_at_k = builder.mul(k, b_row)
            of_b = [
                builder.load(at(b, plus(b_at_k, n.type(c * LANES)), vector), align=size)
                for c in range(width)
            ]
            for r in range(ROWS):
                offset = plus(builder.mul(k, a_k), builder.mul(a_row, n.type(r)))
                one = builder.load(at(a, offset, number))
                lane = builder.insert_element(blank, one, ir.IntType(32)(0))
                of_a = builder.shuffle_vector(lane, blank, first_lane)
                for c in range(width):
                    total = builder.load(sums[r, c])
                    total = builder.call(multiply_add, [of_a, of_b[c], total])
                    builder.store(total, sums[r, c])
        for place in tile:
            builder.store(builder.load(sums[place]), of_out(*place), align=size)
        return context.get_dummy_value()

    def tile(context, like, out, out_row, a, a_row, a_k, b, b_row, n, adds):  # type: ignore[no-untyped-def]
        return types.void(like, *[types.intp] * 9), generate

    return intrinsic(tile)


_three_vectors, _one_vector = _tile(3), _tile(1)


@njit(error_model="numpy")
def product(out: Array, a: Array, b: Array, adds: int) -> None:
    """Put a @ b into ``out``, or add it.

    Parameters
    ----------
    out
        (row, column): a multiple of ``ROWS`` and of ``LANES``, columns contiguous.
    a
        (row, k), any strides.
    b
        (k, column), columns contiguous.
    adds
        1 to add to what ``out`` holds, 0 to overwrite it.
    """
    size = out.itemsize
    like = out.dtype.type(0)
    rows, n = a.shape
    out_at, a_at, b_at = out.ctypes.data, a.ctypes.data, b.ctypes.data
    out_row, b_row = out.strides[0] // size, b.strides[0] // size
    a_row, a_k = a.strides[0] // size, a.strides[1] // size
    c = 0
    while c < out.shape[1]:
        wide = out.shape[1] - c >= 3 * LANES
        for r in range(0, rows, ROWS):
            o, x, y = out_at + size * (r * out_row + c), a_at + size * r * a_row, b_at
            y += size * c
            if wide:
                _three_vectors(like, o, out_row, x, a_row, a_k, y, b_row, n, adds)
            else:
                _one_vector(like, o, out_row, x, a_row, a_k, y, b_row, n, adds)
        c += 3 * LANES if wide else LANES


# Constants of 32 bits do not turn a computation of 32 bits into one of 64.
_ONE, _TWO, _HALF = np.float32(1), np.float32(2), np.float32(0.5)
_LARGEST = np.float32(87.0)  # beyond it exp leaves the range of 32 bits
_LOG2_E = np.float32(1 / math.log(2))
_LN_2 = np.float32(0.693359375)  # of few bits, so that n * _LN_2 is exact
_LN_2_REST = np.float32(math.log(2) - 0.693359375)
_C = np.array([1 / math.factorial(n) for n in range(8)], dtype=np.float32)
_C2, _C3, _C4, _C5, _C6, _C7 = _C[2:]


@intrinsic
def _as_float(context, bits):  # type: ignore[no-untyped-def]
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


def exponential(x: Any) -> Any:
    """Return exp(x), in a form that becomes vectors; for compiled code only."""
    raise NotImplementedError


@overload(exponential, inline="always")
def _exponential(x):  # type: ignore[no-untyped-def]
    if x != types.float32:
        return lambda x: np.exp(x)

    def of_32_bits(x):  # type: ignore[no-untyped-def]
        # exp(x) = 2^n exp(rest), |rest| <= ln(2) / 2: seven terms of Taylor's series
        x = min(max(x, -_LARGEST), _LARGEST)
        n = np.floor(x * _LOG2_E + _HALF)
        rest = x - n * _LN_2 - n * _LN_2_REST
        p = _C6 + rest * _C7
        p = _C5 + rest * p
        p = _C4 + rest * p
        p = _C3 + rest * p
        p = _C2 + rest * p
        p = _ONE + rest * p
        p = _ONE + rest * p
        bits = (np.int32(n) + np.int32(127)) << np.int32(23)
        return p * _as_float(bits)  # type: ignore[call-arg]

    return of_32_bits


# One small loop per line of the equations: over few arrays, numba's compiler can see
# that they do not overlap and uses vectors. (fastmath: sums may be reordered.)


@njit(error_model="numpy", fastmath=True)
def _sigmoid(x: Array) -> None:
    for k in range(x.size):
        x[k] = _ONE / (_ONE + exponential(-x[k]))


@njit(error_model="numpy", fastmath=True)
def _tanh(x: Array) -> None:
    for k in range(x.size):
        x[k] = _ONE - _TWO / (_ONE + exponential(_TWO * x[k]))


@njit(error_model="numpy", fastmath=True)
def _tanh_of(x: Array, y: Array) -> None:
    for k in range(x.size):
        y[k] = _ONE - _TWO / (_ONE + exponential(_TWO * x[k]))


@njit(error_model="numpy", fastmath=True)
def _next_cell(f: Array, before: Array, i: Array, g: Array, cell: Array) -> None:
    for k in range(cell.size):
        cell[k] = f[k] * before[k] + i[k] * g[k]


@njit(error_model="numpy", fastmath=True)
def _next_hidden(o: Array, cell_tanh: Array, hidden: Array) -> None:
    for row in range(o.shape[0]):
        for unit in range(o.shape[1]):
            hidden[row, unit] = o[row, unit] * cell_tanh[row, unit]


@njit(error_model="numpy", fastmath=True)
def _add_transposed(d_hidden: Array, more: Array) -> None:
    for row in range(more.shape[1]):
        for unit in range(more.shape[0]):
            d_hidden[row, unit] += more[unit, row]


@njit(error_model="numpy", fastmath=True)
def _into_cell(d_hidden: Array, o: Array, cell_tanh: Array, d_cell: Array) -> None:
    for k in range(o.size):
        d_cell[k] += d_hidden[k] * o[k] * (_ONE - cell_tanh[k] * cell_tanh[k])


@njit(error_model="numpy", fastmath=True)
def _into_o(d_hidden: Array, cell_tanh: Array, o: Array) -> None:
    for k in range(o.size):
        o[k] = d_hidden[k] * cell_tanh[k] * o[k] * (_ONE - o[k])


@njit(error_model="numpy", fastmath=True)
def _into_i_and_g(d_cell: Array, i: Array, g: Array) -> None:
    for k in range(i.size):
        i_k, g_k = i[k], g[k]
        i[k] = d_cell[k] * g_k * i_k * (_ONE - i_k)
        g[k] = d_cell[k] * i_k * (_ONE - g_k * g_k)


@njit(error_model="numpy", fastmath=True)
def _into_f_and_back(d_cell: Array, before: Array, f: Array) -> None:
    for k in range(f.size):
        f_k = f[k]
        f[k] = d_cell[k] * before[k] * f_k * (_ONE - f_k)
        d_cell[k] = d_cell[k] * f_k


@njit(error_model="numpy")
def _gates(gates: Array, seen: Array, weight: Array) -> None:
    """Compute i, f, o and g, (gate, episode, unit), after their nonlinearity."""
    units = gates.shape[2]
    for q in range(4):
        product(gates[q], seen, weight[:, q * units : (q + 1) * units], 0)
    _sigmoid(gates[:3].reshape(-1))
    _tanh(gates[3].reshape(-1))


@_kernel
def advance(
    step: int, inputs: Array, weight: Array, seen: Array, cell: Array, space: Array
) -> None:
    """Advance all seeds one step.

    Parameters
    ----------
    step
        The step; reads ``seen`` and ``cell`` there and writes at the next.
    inputs
        (seed, input, episode).
    weight
        (seed, row of seen, 4 x unit), gates i, f, o, g.
    seen
        (seed, step + 1, episode, unit + input + 1): hidden state, inputs, one.
    cell
        (seed, step + 1, episode, unit).
    space
        For scratch, 5 x EPISODES x unit numbers.
    """
    n_seeds, _, episodes, units = cell.shape
    for s in range(n_seeds):
        for episode in range(inputs.shape[2]):
            for k in range(inputs.shape[1]):
                seen[s, step, episode, units + k] = inputs[s, k, episode]
        for first in range(0, episodes, EPISODES):
            last = min(first + EPISODES, episodes)
            size = (last - first) * units
            gates = space[: 4 * size].reshape(4, last - first, units)
            cell_tanh = space[4 * size : 5 * size]
            _gates(gates, seen[s, step, first:last], weight[s])
            now = cell[s, step + 1, first:last].reshape(-1)
            before = cell[s, step, first:last].reshape(-1)
            i, f, o, g = gates[0], gates[1], gates[2], gates[3]
            _next_cell(f.reshape(-1), before, i.reshape(-1), g.reshape(-1), now)
            _tanh_of(now, cell_tanh)
            hidden = seen[s, step + 1, first:last]
            _next_hidden(o, cell_tanh.reshape(last - first, units), hidden)


@_kernel
def choose(
    step: int, seen: Array, policy_weight: Array, noise: Array, action: Array
) -> None:
    """Choose the action of the highest logit + noise, from the state after a step.

    Parameters
    ----------
    step
        The step after the one just advanced.
    seen
        As in :func:`advance`.
    policy_weight
        (seed, action, unit).
    noise
        (seed, action, episode), bias included.
    action
        (seed, episode) int64, gets the choices.
    """
    n_seeds, n_actions, episodes = noise.shape
    units = policy_weight.shape[2]
    for s in range(n_seeds):
        for episode in range(episodes):
            highest = noise.dtype.type(-np.inf)
            action[s, episode] = 0
            for a in range(n_actions):
                logit = noise[s, a, episode]
                for unit in range(units):
                    logit += policy_weight[s, a, unit] * seen[s, step, episode, unit]
                if logit > highest:
                    highest = logit
                    action[s, episode] = a


@_kernel
def backpropagate(
    local_credit: bool,
    grad: Array,
    weight: Array,
    recurrent: Array,
    seen: Array,
    cell: Array,
    space: Array,
    d_weight: Array,
    d_hidden: Array,
    d_cell: Array,
) -> None:
    """Backpropagate through time.

    Parameters
    ----------
    local_credit
        Leave out what a unit does to other units, as a local rule must.
    grad
        (step, seed, unit, episode): of the loss by the hidden states.
    weight, seen, cell, space
        As in :func:`advance`.
    recurrent
        (seed, 4 x unit, unit): the part of the weight that meets the hidden state,
        transposed.
    d_weight, d_hidden, d_cell
        Zeros; get the gradients by ``weight`` and by the state before the first step.
    """
    n_seeds, _, episodes, units = cell.shape
    steps, present = grad.shape[0], grad.shape[3]
    for s in range(n_seeds):
        for step in range(steps - 1, -1, -1):
            for first in range(0, episodes, EPISODES):
                last = min(first + EPISODES, episodes)
                size = (last - first) * units
                gates = space[: 4 * size].reshape(4, last - first, units)
                cell_tanh = space[4 * size : 5 * size]
                _gates(gates, seen[s, step, first:last], weight[s])
                i, f = gates[0].reshape(-1), gates[1].reshape(-1)
                o, g = gates[2].reshape(-1), gates[3].reshape(-1)
                _tanh_of(cell[s, step + 1, first:last].reshape(-1), cell_tanh)
                above = grad[step, s, :, first : min(last, present)]
                _add_transposed(d_hidden[s, first:last], above)
                by_hidden = d_hidden[s, first:last].reshape(-1)
                by_cell = d_cell[s, first:last].reshape(-1)
                _into_cell(by_hidden, o, cell_tanh, by_cell)
                _into_o(by_hidden, cell_tanh, o)
                _into_i_and_g(by_cell, i, g)
                _into_f_and_back(by_cell, cell[s, step, first:last].reshape(-1), f)
                for q in range(4):
                    columns = slice(q * units, (q + 1) * units)
                    product(
                        d_weight[s, :, columns],
                        seen[s, step, first:last].T,
                        gates[q],
                        1,
                    )
                    if not local_credit:
                        product(
                            d_hidden[s, first:last],
                            gates[q],
                            recurrent[s, columns],
                            1 if q else 0,
                        )
                if local_credit:
                    by_hidden[:] = 0


def _up_to(multiple: int, n: int) -> int:
    return -(-n // multiple) * multiple


class CompiledLSTMActivity(KeptActivity):
    """Activity of an LSTM over a batch of episodes, by the compiled kernels.

    Parameters
    ----------
    memory
        An LSTM on the CPU.
    steps, batch
        Steps and episodes of a batch.
    local_credit
        See :meth:`Memory.activity`.
    """

    def __init__(
        self, memory: Memory, steps: int, batch: int, local_credit: bool
    ) -> None:
        super().__init__(memory, batch, local_credit)
        n, units, inputs = memory.n_seeds, memory.n_units, memory.n_inputs
        self._units, self._padded = units, _up_to(LANES, units)
        episodes, rows = _up_to(ROWS, batch), _up_to(ROWS, self._padded + inputs + 1)
        self._bias_row = self._padded + inputs
        zeros = next(memory.parameters()).new_zeros
        self._seen = zeros(n, steps + 1, episodes, rows)
        self._seen[..., self._bias_row] = 1.0
        self._cell = zeros(n, steps + 1, episodes, self._padded)
        self._weight = zeros(n, rows, 4 * self._padded)
        self._space = zeros(5 * EPISODES * self._padded).numpy()
        self._arrays = [t.numpy() for t in (self._weight, self._seen, self._cell)]
        self._step = 0

    def begin(self) -> None:
        """Put the memory into its initial state."""
        self._step = 0
        inputs, recurrent, bias, hidden, cell = map(Tensor.detach, self._parameters)
        by_gate = self._by_gate(self._weight)
        for part, weight in zip(by_gate, (recurrent, inputs, bias), strict=True):
            part.copy_(weight.unflatten(1, (4, self._units)).permute(0, 3, 1, 2))
        for state, initial in ((self._seen, hidden), (self._cell, cell)):
            state[:, 0, : self._batch, : self._units] = initial.transpose(1, 2)

    def _by_gate(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return views of recurrent, input and bias rows, (seed, row, gate, unit)."""
        rows = weight.unflatten(2, (4, self._padded))[..., : self._units]
        return (
            rows[:, : self._units],
            rows[:, self._padded : self._bias_row],
            rows[:, self._bias_row : self._bias_row + 1],
        )

    def step(self, inputs: Tensor) -> Tensor:
        """Advance one step without a gradient."""
        self._advance(inputs)
        hidden = self._seen[:, self._step, : self._batch, : self._units]
        return hidden.transpose(1, 2)

    def act(self, inputs: Tensor, policy_weight: Tensor, noise: Tensor) -> Tensor:
        """Advance one step and choose."""
        self._advance(inputs)
        action = torch.empty(noise.shape[::2], dtype=torch.int64)
        arrays = (t.numpy() for t in (self._seen, policy_weight, noise, action))
        choose(self._step, *arrays)
        return action

    def _advance(self, inputs: Tensor) -> None:
        seen = inputs.contiguous().numpy()
        advance(self._step, seen, *self._arrays, self._space)
        self._step += 1

    def kept(self) -> Tensor:
        """Return the hidden states since :meth:`begin`."""
        hidden = self._seen[:, 1 : self._step + 1, : self._batch, : self._units]
        return hidden.permute(1, 0, 3, 2)

    def backward(self, grad: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of weights, bias and initial state."""
        weight, seen, cell = self._arrays
        transposed = self._weight[:, : self._padded].transpose(1, 2).contiguous()
        d_weight = torch.zeros_like(self._weight)
        d_hidden, d_cell = (
            torch.zeros_like(self._cell[:, 0]),
            torch.zeros_like(self._cell[:, 0]),
        )
        backpropagate(
            self._local_credit,
            grad.contiguous().numpy(),
            weight,
            transposed.numpy(),
            seen,
            cell,
            self._space,
            d_weight.numpy(),
            d_hidden.numpy(),
            d_cell.numpy(),
        )
        recurrent, inputs, bias = (
            part.permute(0, 2, 3, 1).flatten(1, 2) for part in self._by_gate(d_weight)
        )
        states = (state.sum(1)[:, : self._units, None] for state in (d_hidden, d_cell))
        return inputs, recurrent, bias, *states
