"""A rate network of excitatory and inhibitory units, as neuroscience models cortex."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pfc_metarl.errors import InputError
from pfc_metarl.memory.base import (
    Activity,
    KeptActivity,
    Memory,
    State,
    fill_uniform,
    register,
)


@register("ctrnn")
class CTRNN(Memory):
    """Continuous-time rate units that obey Dale's law, initial state learned.

    Currents x decay with their time constants tau while rates r and inputs u drive
    them,

        tau dx/dt = -x + W_rec r + W_in u + b        r = [x]_+, up to a ceiling

    in Euler steps of dt, alpha = dt / tau:

        x <- (1 - alpha) x + alpha (W_rec r + W_in u + b)

    **Dale's law.** W_rec = abs(W) M, element by element. M has the signs: + in the
    columns of the first 80 % of the units, which excite, - in those of the others,
    which inhibit, 0 on the diagonal, for no unit connects to itself. Its sizes make
    inhibition as much stronger as it is rarer, so that a unit's inputs cancel on
    average. What comes from other areas excites, W_in >= 0, and only excitatory units
    project to other areas: the output, which the heads see, is their rates, and 0 for
    the others.

    **Initial values.** W gamma distributed (shape 2), scaled to a spectral radius of
    W_rec; x at 0.1, b at 0; W_in uniform up to 1/sqrt(n_inputs).

    Sources: equations, Dale's law, shares, M, gamma, W_in >= 0, the excitatory readout,
    learned initial x and its 0.1: Song, Yang & Wang 2016 (PLoS Comput Biol 12:e1004792)
    and its code, pycog. abs(W) and the range of W_in: Yang & Wang 2020 (Neuron
    107:1048), code; Song et al. prefer [W]_+, in which a weight that reaches 0 learns
    no more. Time constants learned through a sigmoid, a ceiling on the rates: Kim, Li &
    Sejnowski 2019 (PNAS 116:22811), code.

    Departures. No noise is added to x: all that is random in an episode is on the
    task's tape and in the choice of actions. The heads' weights may have any sign (in
    Song et al. they excite), and so may inputs: a reward of -1 inhibits. b is learned
    (there an option). For initial time constants and spectral radius see below.

    Raises
    ------
    InputError
        When there are too few units: fewer than 2 that excite.
    """

    state_names = ("current",)

    # A variant is a subclass with other values, registered under a name of its own.

    inhibitory_share = 0.2  # Song et al. 2016: 4 excitatory units to 1 inhibitory
    first_current = 0.1  # Song et al. 2016, code

    first_alpha = 0.8
    """dt / tau at the beginning, per step; each unit learns its own, within 0 and 1.

    A guess. The papers have 0.2 (a step of 20 ms, tau of 100 ms); a step here is a
    whole event, and units must take it up before the next. Kept at 0.2 in all units the
    two-step task is hardly learned, at 0.5 slowly, at 0.8 well. That units come to
    differ is as in cortex, whose traces of reward last from a fraction of a second to
    many trials: Bernacchia et al. 2011 (Nat Neurosci 14:366).
    """

    spectral_radius = 0.9
    """Of W_rec at the beginning; dimensionless.

    A guess. Song et al. 2016, code, begin at 1.5, for trials of some tens of steps. In
    100 steps of a bandit that lets the rates of every fifth network run up to the
    ceiling before it has learned anything, 0.9 those of one in a hundred.
    """

    max_rate = 20.0
    """Ceiling of the rates, in the arbitrary unit of the currents.

    Kim et al. 2019, code. Rates begin around 1. Without a ceiling those of a network in
    which excitation wins grow without bound, and its loss is no finite number.
    """

    def __init__(self, n_seeds: int, n_inputs: int, n_units: int) -> None:
        super().__init__(n_seeds, n_inputs, n_units)
        n_inhibitory = max(1, round(self.inhibitory_share * n_units))
        self.n_excitatory = n_units - n_inhibitory
        if self.n_excitatory < 2:
            raise InputError(
                f"units is {n_units}, of which {n_inhibitory} inhibit; expected at "
                "least 2 others, or no unit is excited; use more units"
            )
        self.input_weight = nn.Parameter(torch.empty(n_seeds, n_units, n_inputs))
        self.recurrent_weight = nn.Parameter(torch.empty(n_seeds, n_units, n_units))
        self.bias = nn.Parameter(torch.zeros(n_seeds, n_units, 1))
        begin = torch.full((n_seeds, n_units, 1), self.first_current)
        self.initial_current = nn.Parameter(begin)
        logit = math.log(self.first_alpha / (1 - self.first_alpha))
        self.alpha_logit = nn.Parameter(torch.full((n_seeds, n_units, 1), logit))
        # No parameter; moves with the module.
        self.wiring = nn.Buffer(_wiring(self.n_excitatory, n_units), persistent=False)

    def initialise(self, seed: int, generator: torch.Generator) -> None:
        """Draw the parameters of one seed."""
        fill_uniform((self.input_weight,), seed, self.n_inputs**-0.5, generator)
        # A sum of two exponential variables is gamma distributed, of shape 2.
        shape = (2, self.n_units, self.n_units)
        strength = torch.empty(shape).exponential_(generator=generator).sum(0)
        radius = torch.linalg.eigvals(strength * self.wiring.cpu()).abs().max()
        with torch.no_grad():
            self.input_weight[seed].abs_()
            self.recurrent_weight[seed] = strength * (self.spectral_radius / radius)

    def weights(self) -> tuple[Tensor, Tensor]:
        """Return W_rec (seed, unit, unit) and W_in (seed, unit, input), with signs."""
        return self.recurrent_weight.abs() * self.wiring, self.input_weight.abs()

    def alpha(self) -> Tensor:
        """Return dt / tau, (seed, unit, 1), between 0 and 1."""
        return self.alpha_logit.sigmoid()

    def rate(self, current: Tensor) -> Tensor:
        """Return the rates that go with currents, of any shape."""
        return nn.functional.hardtanh(current, 0.0, self.max_rate)

    def initial_state(self, batch: int) -> State:
        """Return the learned initial currents, (seed, unit, episode)."""
        return (self.initial_current.expand(-1, -1, batch),)

    def forward_step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step; see :meth:`Memory.forward_step`."""
        (current,) = state
        recurrent, from_inputs = self.weights()
        drive = recurrent @ self.rate(current) + from_inputs @ inputs + self.bias
        current = torch.lerp(current, drive, self.alpha())
        excitatory = self.rate(current[:, : self.n_excitatory])
        silent = (0, 0, 0, self.n_units - self.n_excitatory)
        return nn.functional.pad(excitatory, silent), (current,)

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
        return CTRNNActivity(self, steps, batch)


def _wiring(n_excitatory: int, n_units: int) -> Tensor:
    """Return sign and relative strength of every connection, (to, from).

    In every row excitation and inhibition sum to the same, and the squares to 1. Only
    a single inhibitory unit, which gets no inhibition, is not balanced.
    """
    wiring = torch.ones(n_units, n_units).fill_diagonal_(0)
    excitation, inhibition = wiring.split((n_excitatory, n_units - n_excitatory), 1)
    n_inhibiting = inhibition.sum(1, keepdim=True).clamp_min(1)
    inhibition *= -excitation.sum(1, keepdim=True) / n_inhibiting
    length: Tensor = wiring.square().sum(1, keepdim=True).sqrt()
    return wiring / length


class _Step(NamedTuple):
    """Views into the buffers at one step."""

    seen: Tensor
    inputs: Tensor
    current_before: Tensor
    current: Tensor
    rate: Tensor
    excitatory_rate: Tensor
    output: Tensor
    excitatory_output: Tensor


class CTRNNActivity(KeptActivity):
    """Activations of a CTRNN over a batch of episodes, in buffers that are reused.

    As in the LSTM's, what a step sees lies together, rates, inputs and a one for the
    bias, filled up with zeros to a multiple of 8 rows, and so do the weights.
    """

    def __init__(self, memory: CTRNN, steps: int, batch: int) -> None:
        super().__init__(memory, batch, local_credit=False)
        self._ctrnn = memory
        seeds, units = memory.n_seeds, memory.n_units
        new = memory.bias.new_zeros
        filled = units + memory.n_inputs + 1
        self.seen = new(steps + 1, seeds, -(-filled // 8) * 8, batch)
        self.seen[:, :, filled - 1] = 1.0
        self.rate = self.seen[:, :, :units]
        self.current = new(steps + 1, seeds, units, batch)
        self.output = new(steps, seeds, units, batch)  # of inhibitory units: stays 0
        self.drive = new(seeds, units, batch)
        self.rows = (units, memory.n_inputs, 1, self.seen.shape[2] - filled)
        self.at = [self._views(step) for step in range(steps)]
        self.n_steps = 0

    def _views(self, step: int) -> _Step:
        excitatory = self._ctrnn.n_excitatory
        return _Step(
            self.seen[step],
            self.seen[step].split(self.rows, dim=1)[1],
            self.current[step],
            self.current[step + 1],
            self.rate[step + 1],
            self.rate[step + 1, :, :excitatory],
            self.output[step],
            self.output[step, :, :excitatory],
        )

    def begin(self) -> None:
        """Put the memory into its initial state."""
        self.n_steps = 0
        ctrnn = self._ctrnn
        (current,) = ctrnn.initial_state(self._batch)
        self.current[0] = current.detach()
        self.rate[0] = ctrnn.rate(self.current[0])
        self.alpha = ctrnn.alpha().detach()
        nothing = ctrnn.bias.new_zeros(*ctrnn.bias.shape[:2], self.rows[-1])
        parts = (*ctrnn.weights(), ctrnn.bias, nothing)
        self.weight = torch.cat([part.detach() for part in parts], dim=2)

    def step(self, inputs: Tensor) -> Tensor:
        """Advance one step without a gradient."""
        at = self.at[self.n_steps]
        self.n_steps += 1
        at.inputs.copy_(inputs)
        torch.bmm(self.weight, at.seen, out=self.drive)
        torch.lerp(at.current_before, self.drive, self.alpha, out=at.current)
        torch.clamp(at.current, 0.0, self._ctrnn.max_rate, out=at.rate)
        at.excitatory_output.copy_(at.excitatory_rate)
        return at.output

    def kept(self) -> Tensor:
        """Return the outputs since :meth:`begin`."""
        return self.output[: self.n_steps]

    def backward(self, grad: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of weights, bias, initial currents and alphas."""
        return _backward(self, self._ctrnn, grad)


def _backward(
    activity: CTRNNActivity, ctrnn: CTRNN, grad_output: Tensor
) -> tuple[Tensor, ...]:
    """Backpropagate through time from the kept activations."""
    rate_backward = torch.ops.aten.hardtanh_backward.grad_input
    rates = (0.0, ctrnn.max_rate)
    units, excitatory = ctrnn.n_units, ctrnn.n_excitatory
    weight, alpha = activity.weight, activity.alpha
    from_drive = weight[:, :, :units].transpose(1, 2)
    d_weight = torch.zeros_like(weight)
    d_current = torch.zeros_like(activity.drive)
    d_rate = torch.zeros_like(d_current)
    d_alpha = torch.zeros_like(d_current)
    d_drive, scratch = torch.empty_like(d_current), torch.empty_like(d_current)
    for step in reversed(range(len(grad_output))):
        at = activity.at[step]
        d_rate[:, :excitatory].add_(grad_output[step, :, :excitatory])
        rate_backward(d_rate, at.current, *rates, grad_input=scratch)
        d_current.add_(scratch)
        torch.sub(at.current, at.current_before, out=scratch)
        d_alpha.addcmul_(d_current, scratch)
        torch.mul(d_current, alpha, out=d_drive)
        d_weight.baddbmm_(d_drive, at.seen.transpose(1, 2))
        torch.bmm(from_drive, d_drive, out=d_rate)
        d_current.sub_(d_drive)
    d_current += rate_backward(d_rate, activity.current[0], *rates, grad_input=scratch)
    recurrent, inputs, bias, _ = d_weight.split(activity.rows, dim=2)
    return (
        inputs * ctrnn.input_weight.detach().sign(),
        recurrent * ctrnn.recurrent_weight.detach().sign() * ctrnn.wiring,
        bias,
        d_current.sum(2, keepdim=True),
        # The change of x is alpha (drive - x), and d alpha / d logit has that alpha.
        d_alpha.sum(2, keepdim=True) * (1 - alpha),
    )
