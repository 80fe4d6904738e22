"""The gated recurrent unit, with a backward pass written out by hand."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pfc_metarl.memory.base import (
    Activity,
    KeptActivity,
    Memory,
    State,
    fill_uniform,
    register,
)


@register("gru")
class GRU(Memory):
    """One fully connected layer of gated recurrent units, initial state learned.

        r, z = sigmoid(W x + U h + b)         m = U h + c
        n = tanh(W x + b + r m)               h <- (1 - z) n + z h

    Weights begin uniform within 1/sqrt(n_units), the initial state at zero, as in the
    LSTM (a guess: torch's default).

    Source: Cho et al. 2014 (arXiv:1406.1078), in the form of torch and cuDNN: the reset
    gate r acts after the recurrent product m, which has a bias c of its own, and z is
    what is kept.
    """

    state_names = ("hidden",)

    def __init__(self, n_seeds: int, n_inputs: int, n_units: int) -> None:
        super().__init__(n_seeds, n_inputs, n_units)
        # Rows: r, z, n; those of n in the recurrent weight give m.
        self.input_weight = nn.Parameter(torch.empty(n_seeds, 3 * n_units, n_inputs))
        self.recurrent_weight = nn.Parameter(torch.empty(n_seeds, 3 * n_units, n_units))
        self.bias = nn.Parameter(torch.empty(n_seeds, 3 * n_units, 1))
        self.recurrent_bias = nn.Parameter(torch.empty(n_seeds, n_units, 1))
        self.initial_hidden = nn.Parameter(torch.zeros(n_seeds, n_units, 1))

    def initialise(self, seed: int, generator: torch.Generator) -> None:
        """Draw the parameters of one seed."""
        weights = (
            self.input_weight,
            self.recurrent_weight,
            self.bias,
            self.recurrent_bias,
        )
        fill_uniform(weights, seed, self.n_units**-0.5, generator)

    def initial_state(self, batch: int) -> State:
        """Return the learned initial state, (seed, unit, episode)."""
        return (self.initial_hidden.expand(-1, -1, batch),)

    def forward_step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step; see :meth:`Memory.forward_step`."""
        (hidden,) = state
        from_inputs = self.input_weight @ inputs + self.bias
        r, z, n = from_inputs.chunk(3, dim=1)
        r_hidden, z_hidden, m = (self.recurrent_weight @ hidden).chunk(3, dim=1)
        r, z = (r + r_hidden).sigmoid(), (z + z_hidden).sigmoid()
        n = torch.tanh(n + r * (m + self.recurrent_bias))
        hidden = (1 - z) * n + z * hidden
        return hidden, (hidden,)

    def activity(
        self,
        steps: int,
        batch: int,
        *,
        local_credit: bool = False,
        compiled: bool = False,
    ) -> Activity:
        """Prepare to act, keeping the activations for the backward pass."""
        if local_credit or compiled:  # not written out here
            return super().activity(
                steps, batch, local_credit=local_credit, compiled=compiled
            )
        return GRUActivity(self, steps, batch)


class _Step(NamedTuple):
    """Views into the buffers at one step."""

    seen: Tensor
    inputs: Tensor
    gates: Tensor
    sigmoids: Tensor
    r: Tensor
    z: Tensor
    m: Tensor
    n: Tensor
    hidden_before: Tensor
    hidden: Tensor


class GRUActivity(KeptActivity):
    """Activations of a GRU over a batch of episodes, in buffers that are reused.

    As in the LSTM's, what a step sees lies together, hidden state, inputs and a one for
    the biases, filled up with zeros to a multiple of 8 rows; one product gives r, z, m
    and the part of n that is not m. The weights of that part from the hidden state and
    those of m from the inputs are zeros: that costs about what a second product would.
    """

    def __init__(self, memory: GRU, steps: int, batch: int) -> None:
        super().__init__(memory, batch, local_credit=False)
        self._gru = memory
        seeds, units = memory.n_seeds, memory.n_units
        new = memory.bias.new_empty
        self.gates = new(steps, seeds, 4 * units, batch)  # r, z, m, n as they act
        filled = units + memory.n_inputs + 1
        self.seen = new(steps + 1, seeds, -(-filled // 8) * 8, batch).zero_()
        self.seen[:, :, filled - 1] = 1.0
        self.hidden = self.seen[:, :, :units]
        self.rows = (units, memory.n_inputs, 1, self.seen.shape[2] - filled)
        self.weight = new(seeds, 4 * units, self.seen.shape[2]).zero_()
        self.at = [self._views(step) for step in range(steps)]
        self.n_steps = 0

    def _views(self, step: int) -> _Step:
        gates, units = self.gates[step], self.rows[0]
        r, z, m, n = gates.split(units, dim=1)
        return _Step(
            self.seen[step],
            self.seen[step].split(self.rows, dim=1)[1],
            gates,
            gates[:, : 2 * units],
            r,
            z,
            m,
            n,
            self.hidden[step],
            self.hidden[step + 1],
        )

    def begin(self) -> None:
        """Put the memory into its initial state."""
        self.n_steps = 0
        gru, units = self._gru, self.rows[0]
        (hidden,) = gru.initial_state(self._batch)
        self.hidden[0] = hidden.detach()
        recurrent, from_inputs, bias, _ = self.weight.split(self.rows, dim=2)
        with torch.no_grad():
            recurrent[:, : 3 * units] = gru.recurrent_weight
            bias[:, 2 * units : 3 * units] = gru.recurrent_bias
            for part, whole in ((from_inputs, gru.input_weight), (bias, gru.bias)):
                part[:, : 2 * units] = whole[:, : 2 * units]
                part[:, 3 * units :] = whole[:, 2 * units :]

    def step(self, inputs: Tensor) -> Tensor:
        """Advance one step without a gradient."""
        at = self.at[self.n_steps]
        self.n_steps += 1
        at.inputs.copy_(inputs)
        torch.bmm(self.weight, at.seen, out=at.gates)
        at.sigmoids.sigmoid_()
        at.n.addcmul_(at.r, at.m)
        at.n.tanh_()
        torch.lerp(at.n, at.hidden_before, at.z, out=at.hidden)
        return at.hidden

    def kept(self) -> Tensor:
        """Return the hidden states since :meth:`begin`."""
        return self.hidden[1 : self.n_steps + 1]

    def backward(self, grad: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of weights, biases and initial state."""
        return _backward(self, grad)


def _backward(activity: GRUActivity, grad_hidden: Tensor) -> tuple[Tensor, ...]:
    """Backpropagate through time from the kept activations."""
    sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
    tanh_backward = torch.ops.aten.tanh_backward.grad_input
    units, weight = activity.rows[0], activity.weight
    from_gates = weight[:, : 3 * units, :units].transpose(1, 2)
    d_weight = torch.zeros_like(weight)
    d_gates = torch.empty_like(activity.gates[0])
    d_recurrent, d_sigmoids = d_gates[:, : 3 * units], d_gates[:, : 2 * units]
    d_r, d_z, d_m, d_n = d_gates.split(units, dim=1)
    d_hidden = torch.zeros_like(d_n)
    scratch = torch.empty_like(d_hidden)
    for step in reversed(range(len(grad_hidden))):
        at = activity.at[step]
        d_hidden.add_(grad_hidden[step])
        torch.sub(at.hidden_before, at.n, out=scratch)
        torch.mul(d_hidden, scratch, out=d_z)
        torch.mul(d_hidden, at.z, out=scratch)
        torch.sub(d_hidden, scratch, out=d_n)
        tanh_backward(d_n, at.n, grad_input=d_n)
        torch.mul(d_n, at.m, out=d_r)
        torch.mul(d_n, at.r, out=d_m)
        sigmoid_backward(d_sigmoids, at.sigmoids, grad_input=d_sigmoids)
        d_weight.baddbmm_(d_gates, at.seen.transpose(1, 2))
        torch.baddbmm(scratch, from_gates, d_recurrent, out=d_hidden)
    return *_parts(activity, d_weight), d_hidden.sum(2, keepdim=True)


def _parts(activity: GRUActivity, d_weight: Tensor) -> tuple[Tensor, ...]:
    """Take the gradients of the parameters out of that of the one weight."""
    units = activity.rows[0]
    d_recurrent, d_inputs, d_bias, _ = d_weight.split(activity.rows, dim=2)
    r_z_n = (slice(2 * units), slice(3 * units, None))
    return (
        torch.cat([d_inputs[:, rows] for rows in r_z_n], dim=1),
        d_recurrent[:, : 3 * units],
        torch.cat([d_bias[:, rows] for rows in r_z_n], dim=1),
        d_bias[:, 2 * units : 3 * units],
    )
