"""The memory protocol: what carries an episode's past from one step to the next.

Many seeds run side by side, each with parameters of its own. Tensors are written as
column vectors, as in the papers (y = W x): a batch of inputs is
(seed, feature, episode), a sequence (step, seed, feature, episode). Features come
before episodes because the blocks of a gate are then contiguous, which is faster.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from pfc_metarl.errors import InputError

State = tuple[Tensor, ...]
"""State of a memory: tensors (seed, unit, episode)."""


class Memory(nn.Module, ABC):
    """A memory; see the module's docstring for the shapes."""

    state_names: tuple[str, ...]
    """What the tensors of the state are called in a recording."""

    not_recorded: frozenset[str] = frozenset()
    """Those that are left out of recordings, as too large and copies of others."""

    def __init__(self, n_seeds: int, n_inputs: int, n_units: int) -> None:
        super().__init__()
        self.n_seeds, self.n_inputs, self.n_units = n_seeds, n_inputs, n_units

    @abstractmethod
    def initialise(self, seed: int, generator: torch.Generator) -> None:
        """Draw the parameters of one seed (its position) from its own generator."""

    @abstractmethod
    def initial_state(self, batch: int) -> State:
        """Return the state in which ``batch`` episodes per seed begin."""

    @abstractmethod
    def forward_step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step.

        Parameters
        ----------
        inputs
            (seed, input, episode).
        state
            As it was after the step before.

        Returns
        -------
        output : Tensor
            (seed, unit, episode).
        state : State
            As it is now.
        """

    def local_state(self, state: State) -> State:
        """Return the state as local credit assignment sees it at the next step.

        The same numbers, detached where the gradient would pass from one unit to
        another: what remains is each unit's own trace, its eligibility.

        Raises
        ------
        InputError
            When the memory has no such rule.
        """
        raise InputError(
            f"{type(self).__name__} has no local credit assignment; "
            "use credit='backpropagation'"
        )

    def forward(self, inputs: Tensor, local_credit: bool = False) -> Tensor:
        """Run whole episodes from the initial state, with a gradient.

        Parameters
        ----------
        inputs
            (step, seed, input, episode).
        local_credit
            Let the gradient pass through time only within each unit; see
            :meth:`local_state`.

        Returns
        -------
        Tensor
            Outputs, (step, seed, unit, episode).
        """
        state = self.initial_state(inputs.shape[-1])
        outputs = []
        for step_inputs in inputs:
            if local_credit:
                state = self.local_state(state)
            output, state = self.forward_step(step_inputs, state)
            outputs.append(output)
        return torch.stack(outputs)

    def activity(
        self,
        steps: int,
        batch: int,
        *,
        local_credit: bool = False,
        compiled: bool = False,
    ) -> "Activity":
        """Prepare to act for whole episodes and then learn from them.

        The plain way: act without a gradient, then run the episodes once more with
        one. A memory that keeps its activations while acting can avoid the second run
        by returning an :class:`Activity` of its own.

        Parameters
        ----------
        steps, batch
            Steps and episodes of a batch.
        local_credit
            Let the gradient pass through time only within each unit.
        compiled
            Use compiled kernels.

        Raises
        ------
        InputError
            When the memory has no compiled kernels.
        """
        if compiled:
            raise InputError(
                f"{type(self).__name__} has no compiled kernels; use kernels='torch'"
            )
        return Activity(self, batch, local_credit)


class Activity:
    """The activity of a memory over a batch of episodes."""

    def __init__(self, memory: Memory, batch: int, local_credit: bool = False) -> None:
        self._memory, self._batch, self._local_credit = memory, batch, local_credit
        self._state: State = ()

    def begin(self) -> None:
        """Put the memory into its initial state."""
        with torch.no_grad():
            self._state = self._memory.initial_state(self._batch)

    def step(self, inputs: Tensor) -> Tensor:
        """Advance one step without a gradient; (seed, input, episode) to outputs."""
        with torch.no_grad():
            output, self._state = self._memory.forward_step(inputs, self._state)
        return output

    def act(self, inputs: Tensor, policy_weight: Tensor, noise: Tensor) -> Tensor:
        """Advance one step and choose the action of the highest logit + noise.

        Parameters
        ----------
        inputs
            (seed, input, episode).
        policy_weight
            (seed, action, unit).
        noise
            (seed, action, episode), the policy's bias included.

        Returns
        -------
        Tensor
            (seed, episode) int64.
        """
        return torch.baddbmm(noise, policy_weight, self.step(inputs)).argmax(1)

    def replay(self, inputs: Tensor) -> None:
        """Run the steps since :meth:`begin` again, with the weights as they are now."""

    def outputs(self, inputs: Tensor) -> Tensor:
        """Return the outputs of all steps since :meth:`begin`, with a gradient.

        Parameters
        ----------
        inputs
            The inputs of those steps, (step, seed, input, episode).
        """
        return self._memory.forward(inputs, self._local_credit)


class KeptActivity(Activity, ABC):
    """Activity that is kept while acting, with a backward pass written out by hand.

    The gradient is for the memory's parameters; that of the inputs is not formed.
    """

    def __init__(self, memory: Memory, batch: int, local_credit: bool) -> None:
        super().__init__(memory, batch, local_credit)
        self._parameters = tuple(memory.parameters())

    @abstractmethod
    def kept(self) -> Tensor:
        """Return the outputs since :meth:`begin`, (step, seed, unit, episode)."""

    @abstractmethod
    def backward(self, grad: Tensor) -> tuple[Tensor, ...]:
        """Return the gradient of every parameter, in the memory's order.

        Parameters
        ----------
        grad
            Of the loss by what :meth:`kept` returns.
        """

    def replay(self, inputs: Tensor) -> None:
        """Run the steps since :meth:`begin` again, with the weights as they are now."""
        self.begin()
        for at_step in inputs:
            self.step(at_step)

    def outputs(self, inputs: Tensor) -> Tensor:
        """Return the outputs of all steps since :meth:`begin`, with a gradient."""
        outputs: Tensor = _Unrolled.apply(self, *self._parameters)
        return outputs


class _Unrolled(torch.autograd.Function):
    """Backpropagation through time from the kept activity."""

    @staticmethod
    def forward(ctx: Any, activity: KeptActivity, *_: Tensor) -> Tensor:
        ctx.activity = activity
        return activity.kept()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return None, *ctx.activity.backward(grads[0])


MEMORIES: dict[str, type[Memory]] = {}
"""Memories by name; users add their own with :func:`register`."""


def register(name: str) -> Callable[[type[Memory]], type[Memory]]:
    """Enter a memory class under a name, as a class decorator."""

    def enter(memory: type[Memory]) -> type[Memory]:
        MEMORIES[name] = memory
        return memory

    return enter


def memory_class(name: str) -> type[Memory]:
    """Look up a registered memory.

    Raises
    ------
    InputError
        When there is none of that name.
    """
    if name not in MEMORIES:
        raise InputError(f"no memory '{name}'; expected one of {', '.join(MEMORIES)}")
    return MEMORIES[name]


def fill_uniform(
    parameters: Sequence[Tensor], seed: int, bound: float, generator: torch.Generator
) -> None:
    """Fill one seed's part of each parameter with U(-bound, bound)."""
    with torch.no_grad():
        for parameter in parameters:
            shape = parameter[seed].shape
            values = torch.rand(shape, generator=generator) * 2 * bound - bound
            parameter[seed] = values.to(parameter)
