"""A memory that reaches back no further than its horizon."""

import torch
from torch import Tensor, nn

from pfc_metarl.errors import InputError
from pfc_metarl.memory.base import Memory, State


class Horizon(Memory):
    """Any memory, put back into its initial state every so many steps.

    What is further back cannot be known, in training as in testing. Not registered by
    name: it is made of another memory.

    Parameters
    ----------
    memory
        The memory.
    steps
        Steps from one reset to the next.

    Raises
    ------
    InputError
        When there are none.
    """

    def __init__(self, memory: Memory, steps: int) -> None:
        super().__init__(memory.n_seeds, memory.n_inputs, memory.n_units)
        if steps < 1:
            raise InputError(f"horizon is {steps} steps; expected 1 or more, or None")
        self.memory, self.steps = memory, steps
        self.state_names = ("steps_since_reset", *memory.state_names)
        self.not_recorded = memory.not_recorded
        # Moves with the module, and is no parameter: tells dtype and device.
        self._like = nn.Buffer(torch.zeros(()), persistent=False)

    def initialise(self, seed: int, generator: torch.Generator) -> None:
        """Draw the parameters of one seed."""
        self.memory.initialise(seed, generator)

    def initial_state(self, batch: int) -> State:
        """Return the memory's initial state, 0 steps old."""
        age = self._like.new_zeros(self.n_seeds, 1, batch)
        return age, *self.memory.initial_state(batch)

    def forward_step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step; see :meth:`Memory.forward_step`."""
        age, *parts = state
        over = age == self.steps
        initial = self.memory.initial_state(inputs.shape[-1])
        fresh = tuple(
            torch.where(over, first, part)
            for first, part in zip(initial, parts, strict=True)
        )
        output, after = self.memory.forward_step(inputs, fresh)
        return output, (torch.where(over, 0.0, age) + 1, *after)

    def forward(self, inputs: Tensor, local_credit: bool = False) -> Tensor:
        """Run whole episodes; see :meth:`Memory.forward`.

        The stretches between resets know nothing of each other: they are run at once,
        as episodes.
        """
        steps, _, _, batch = inputs.shape
        n = -(-steps // self.steps)  # stretches; the last may be filled up
        filled = nn.functional.pad(inputs, (0, 0) * 3 + (0, n * self.steps - steps))
        # (stretch x step, seed, input, episode) to (step, seed, input, stretch x ...).
        stretches = filled.unflatten(0, (n, self.steps)).permute(1, 2, 3, 0, 4)
        outputs: Tensor = self.memory(stretches.flatten(3), local_credit)
        outputs = outputs.unflatten(3, (n, batch)).permute(3, 0, 1, 2, 4)
        return outputs.flatten(0, 1)[:steps]
