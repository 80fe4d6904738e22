"""The LSTM of Wang et al. 2018, with a backward pass written out by hand."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pfc_metarl.memory.base import KeptActivity, Memory, State, fill_uniform, register


@register("lstm")
class LSTM(Memory):
    """One fully connected LSTM layer with a learned initial state.

        i, f, o = sigmoid(W x + U h + b)      g = tanh(W x + U h + b)
        c <- f c + i g                        h = o tanh(c)

    Weights begin uniform within 1/sqrt(n_units), the initial state at zero (the
    literature does not say: a guess, torch's default).

    Source: Wang et al. 2018 (preprint), general Methods: gates, learned initial state.
    """

    state_names = ("hidden", "cell")

    def __init__(self, n_seeds: int, n_inputs: int, n_units: int) -> None:
        super().__init__(n_seeds, n_inputs, n_units)
        # Rows of the gates: i, f, o, g; the three sigmoids lie together.
        self.input_weight = nn.Parameter(torch.empty(n_seeds, 4 * n_units, n_inputs))
        self.recurrent_weight = nn.Parameter(torch.empty(n_seeds, 4 * n_units, n_units))
        self.bias = nn.Parameter(torch.empty(n_seeds, 4 * n_units, 1))
        self.initial_hidden = nn.Parameter(torch.zeros(n_seeds, n_units, 1))
        self.initial_cell = nn.Parameter(torch.zeros(n_seeds, n_units, 1))

    def initialise(self, seed: int, generator: torch.Generator) -> None:
        """Draw the parameters of one seed."""
        weights = (self.input_weight, self.recurrent_weight, self.bias)
        fill_uniform(weights, seed, self.n_units**-0.5, generator)

    def initial_state(self, batch: int) -> State:
        """Return the learned initial state, (seed, unit, episode) twice."""
        shape = (-1, -1, batch)
        return self.initial_hidden.expand(shape), self.initial_cell.expand(shape)

    def forward_step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step; see :meth:`Memory.forward_step`."""
        hidden, cell = state
        gates = self.input_weight @ inputs + self.recurrent_weight @ hidden + self.bias
        i, f, o, g = gates.chunk(4, dim=1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        return hidden, (hidden, cell)

    def local_state(self, state: State) -> State:
        """Keep the gradient of the cell state: its eligibility decays with the gate f.

        Source: Bellec et al. 2020, e-prop for LSTM.
        """
        hidden, cell = state
        return hidden.detach(), cell

    def activity(
        self,
        steps: int,
        batch: int,
        *,
        local_credit: bool = False,
        compiled: bool = False,
    ) -> KeptActivity:
        """Prepare to act, keeping the activations for the backward pass."""
        if compiled:
            # Only now: without the kernels numba need not be there.
            from pfc_metarl.memory.compiled_lstm import CompiledLSTMActivity

            return CompiledLSTMActivity(self, steps, batch, local_credit)
        return LSTMActivity(self, steps, batch, local_credit)


class _Step(NamedTuple):
    """Views into the buffers at one step."""

    seen: Tensor
    inputs: Tensor
    gates: Tensor
    sigmoids: Tensor
    i: Tensor
    f: Tensor
    o: Tensor
    g: Tensor
    cell_before: Tensor
    cell: Tensor
    cell_tanh: Tensor
    hidden: Tensor


class LSTMActivity(KeptActivity):
    """Activations of an LSTM over a batch of episodes, in buffers that are reused.

    What a step sees lies together, hidden state, inputs and a one for the bias, and so
    do the weights: one product gives the gates, and one their gradient. Zeros fill the
    rows up to a multiple of 8, without which the products take half as long again.
    """

    def __init__(
        self, memory: LSTM, steps: int, batch: int, local_credit: bool
    ) -> None:
        super().__init__(memory, batch, local_credit)
        self._lstm = memory
        n, units = memory.n_seeds, memory.n_units
        new = memory.bias.new_empty
        self.gates = new(steps, n, 4 * units, batch)  # after their nonlinearity
        self.cell = new(steps + 1, n, units, batch)  # before each step, and the last
        self.cell_tanh = new(steps, n, units, batch)
        filled = units + memory.n_inputs + 1
        self.seen = new(steps + 1, n, -(-filled // 8) * 8, batch).zero_()
        self.seen[:, :, filled - 1] = 1.0
        self.hidden = self.seen[:, :, :units]
        self.rows = (units, memory.n_inputs, 1, self.seen.shape[2] - filled)
        self.at = [self._views(step) for step in range(steps)]
        self.n_steps = 0

    def _views(self, step: int) -> "_Step":
        gates, units = self.gates[step], self.cell.shape[2]
        i, f, o, g = gates.split(units, dim=1)
        return _Step(
            self.seen[step],
            self.seen[step].split(self.rows, dim=1)[1],
            gates,
            gates[:, : 3 * units],
            i,
            f,
            o,
            g,
            self.cell[step],
            self.cell[step + 1],
            self.cell_tanh[step],
            self.hidden[step + 1],
        )

    def begin(self) -> None:
        """Put the memory into its initial state."""
        self.n_steps = 0
        self.hidden[0], self.cell[0] = (
            part.detach() for part in self._lstm.initial_state(self._batch)
        )
        lstm = self._lstm
        nothing = lstm.bias.new_zeros(*lstm.bias.shape[:2], self.rows[-1])
        parts = (lstm.recurrent_weight, lstm.input_weight, lstm.bias, nothing)
        self.weight = torch.cat([part.detach() for part in parts], dim=2)

    def step(self, inputs: Tensor) -> Tensor:
        """Advance one step without a gradient."""
        at = self.at[self.n_steps]
        self.n_steps += 1
        at.inputs.copy_(inputs)
        torch.bmm(self.weight, at.seen, out=at.gates)
        at.sigmoids.sigmoid_()
        at.g.tanh_()
        torch.mul(at.f, at.cell_before, out=at.cell)
        at.cell.addcmul_(at.i, at.g)
        torch.tanh(at.cell, out=at.cell_tanh)
        torch.mul(at.o, at.cell_tanh, out=at.hidden)
        return at.hidden

    def kept(self) -> Tensor:
        """Return the hidden states since :meth:`begin`."""
        return self.hidden[1 : self.n_steps + 1]

    def backward(self, grad: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of weights, bias and initial state."""
        return _backward(self, grad, self._local_credit)


def _backward(
    activity: LSTMActivity, grad_hidden: Tensor, local_credit: bool
) -> tuple[Tensor, ...]:
    """Backpropagate through time from the kept activations."""
    sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
    tanh_backward = torch.ops.aten.tanh_backward.grad_input
    units, weight = activity.cell.shape[2], activity.weight
    from_gates = weight[:, :, :units].transpose(1, 2)
    d_weight = torch.zeros_like(weight)
    d_gates = torch.empty_like(activity.gates[0])
    d_sigmoids = d_gates[:, : 3 * units]
    d_i, d_f, d_o, d_g = d_gates.split(units, dim=1)
    d_cell = torch.zeros_like(activity.cell[0])
    d_hidden = torch.zeros_like(d_cell)
    scratch = torch.empty_like(d_cell)
    for step in reversed(range(len(grad_hidden))):
        at = activity.at[step]
        d_hidden.add_(grad_hidden[step])
        torch.mul(d_hidden, at.o, out=scratch)
        tanh_backward(scratch, at.cell_tanh, grad_input=scratch)
        d_cell.add_(scratch)
        torch.mul(d_cell, at.g, out=d_i)
        torch.mul(d_cell, at.cell_before, out=d_f)
        torch.mul(d_hidden, at.cell_tanh, out=d_o)
        sigmoid_backward(d_sigmoids, at.sigmoids, grad_input=d_sigmoids)
        torch.mul(d_cell, at.i, out=d_g)
        tanh_backward(d_g, at.g, grad_input=d_g)
        d_cell.mul_(at.f)
        d_weight.baddbmm_(d_gates, at.seen.transpose(1, 2))
        if local_credit:  # nothing passes to the other units
            d_hidden.zero_()
        else:
            torch.bmm(from_gates, d_gates, out=d_hidden)
    recurrent, inputs, bias, _ = d_weight.split(activity.rows, dim=2)
    return (
        inputs,
        recurrent,
        bias,
        d_hidden.sum(2, keepdim=True),
        d_cell.sum(2, keepdim=True),
    )
