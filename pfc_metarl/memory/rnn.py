"""The simplest recurrent network, with a backward pass written out by hand."""

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


@register("rnn")
class RNN(Memory):
    """One fully connected layer of recurrent tanh units, initial state learned.

        h <- tanh(W x + U h + b)

    A memory without gates. The recurrent weights begin orthogonal, so that at first
    nothing that is remembered grows or fades: from uniform ones, as in the LSTM, few
    seeds learn a bandit. The others begin uniform within 1/sqrt(n_units), the initial
    state at zero (a guess: torch's default).

    Sources: Elman 1990 (Cognitive Science 14:179); orthogonal weights: Saxe, McClelland
    & Ganguli 2014 (arXiv:1312.6120).
    """

    state_names = ("hidden",)

    def __init__(self, n_seeds: int, n_inputs: int, n_units: int) -> None:
        super().__init__(n_seeds, n_inputs, n_units)
        self.input_weight = nn.Parameter(torch.empty(n_seeds, n_units, n_inputs))
        self.recurrent_weight = nn.Parameter(torch.empty(n_seeds, n_units, n_units))
        self.bias = nn.Parameter(torch.empty(n_seeds, n_units, 1))
        self.initial_hidden = nn.Parameter(torch.zeros(n_seeds, n_units, 1))

    def initialise(self, seed: int, generator: torch.Generator) -> None:
        """Draw the parameters of one seed."""
        weights = (self.input_weight, self.bias)
        fill_uniform(weights, seed, self.n_units**-0.5, generator)
        recurrent = torch.empty(self.recurrent_weight.shape[1:])
        nn.init.orthogonal_(recurrent, generator=generator)
        with torch.no_grad():
            self.recurrent_weight[seed] = recurrent.to(self.recurrent_weight)

    def initial_state(self, batch: int) -> State:
        """Return the learned initial state, (seed, unit, episode)."""
        return (self.initial_hidden.expand(-1, -1, batch),)

    def forward_step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step; see :meth:`Memory.forward_step`."""
        (hidden,) = state
        hidden = torch.tanh(
            self.input_weight @ inputs + self.recurrent_weight @ hidden + self.bias
        )
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
        return RNNActivity(self, steps, batch)


class _Step(NamedTuple):
    """Views into the buffers at one step."""

    seen: Tensor
    inputs: Tensor
    hidden: Tensor


class RNNActivity(KeptActivity):
    """Activations of an RNN over a batch of episodes, in buffers that are reused.

    As in the LSTM's, what a step sees lies together, hidden state, inputs and a one for
    the bias, filled up with zeros to a multiple of 8 rows, and so do the weights.
    """

    def __init__(self, memory: RNN, steps: int, batch: int) -> None:
        super().__init__(memory, batch, local_credit=False)
        self._rnn = memory
        seeds, units = memory.n_seeds, memory.n_units
        filled = units + memory.n_inputs + 1
        shape = (steps + 1, seeds, -(-filled // 8) * 8, batch)
        self.seen = memory.bias.new_zeros(shape)
        self.seen[:, :, filled - 1] = 1.0
        self.hidden = self.seen[:, :, :units]
        self.drive = memory.bias.new_empty(seeds, units, batch)
        self.rows = (units, memory.n_inputs, 1, self.seen.shape[2] - filled)
        self.at = [self._views(step) for step in range(steps)]
        self.n_steps = 0

    def _views(self, step: int) -> _Step:
        inputs = self.seen[step].split(self.rows, dim=1)[1]
        return _Step(self.seen[step], inputs, self.hidden[step + 1])

    def begin(self) -> None:
        """Put the memory into its initial state."""
        self.n_steps = 0
        rnn = self._rnn
        (hidden,) = rnn.initial_state(self._batch)
        self.hidden[0] = hidden.detach()
        nothing = rnn.bias.new_zeros(*rnn.bias.shape[:2], self.rows[-1])
        parts = (rnn.recurrent_weight, rnn.input_weight, rnn.bias, nothing)
        self.weight = torch.cat([part.detach() for part in parts], dim=2)

    def step(self, inputs: Tensor) -> Tensor:
        """Advance one step without a gradient."""
        at = self.at[self.n_steps]
        self.n_steps += 1
        at.inputs.copy_(inputs)
        torch.bmm(self.weight, at.seen, out=self.drive)
        torch.tanh(self.drive, out=at.hidden)
        return at.hidden

    def kept(self) -> Tensor:
        """Return the hidden states since :meth:`begin`."""
        return self.hidden[1 : self.n_steps + 1]

    def backward(self, grad: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of weights, bias and initial state."""
        return _backward(self, grad)


def _backward(activity: RNNActivity, grad_hidden: Tensor) -> tuple[Tensor, ...]:
    """Backpropagate through time from the kept activations."""
    tanh_backward = torch.ops.aten.tanh_backward.grad_input
    weight = activity.weight
    from_drive = weight[:, :, : activity.rows[0]].transpose(1, 2)
    d_weight = torch.zeros_like(weight)
    d_hidden = torch.zeros_like(activity.drive)
    d_drive = torch.empty_like(d_hidden)
    for step in reversed(range(len(grad_hidden))):
        at = activity.at[step]
        d_hidden.add_(grad_hidden[step])
        tanh_backward(d_hidden, at.hidden, grad_input=d_drive)
        d_weight.baddbmm_(d_drive, at.seen.transpose(1, 2))
        torch.bmm(from_drive, d_drive, out=d_hidden)
    recurrent, inputs, bias, _ = d_weight.split(activity.rows, dim=2)
    return inputs, recurrent, bias, d_hidden.sum(2, keepdim=True)
