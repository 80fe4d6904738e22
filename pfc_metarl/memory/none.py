"""No memory: a feed-forward layer in the place of the recurrent one."""

import torch
from torch import Tensor, nn

from pfc_metarl.memory.base import Memory, State, fill_uniform, register


@register("none")
class FeedForward(Memory):
    """One layer of tanh units that sees the present inputs only: y = tanh(W x + b).

    The control that lacks the first of the three conditions. Weights begin uniform
    within 1/sqrt(n_inputs) (a guess: torch's default).
    """

    state_names = ()

    def __init__(self, n_seeds: int, n_inputs: int, n_units: int) -> None:
        super().__init__(n_seeds, n_inputs, n_units)
        self.weight = nn.Parameter(torch.empty(n_seeds, n_units, n_inputs))
        self.bias = nn.Parameter(torch.empty(n_seeds, n_units, 1))

    def initialise(self, seed: int, generator: torch.Generator) -> None:
        """Draw the parameters of one seed."""
        bound = self.n_inputs**-0.5
        fill_uniform((self.weight, self.bias), seed, bound, generator)

    def initial_state(self, batch: int) -> State:
        """Return the empty state."""
        return ()

    def forward_step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Respond to the present inputs."""
        return torch.tanh(self.weight @ inputs + self.bias), ()

    def local_state(self, state: State) -> State:
        """Return the empty state."""
        return state

    def forward(self, inputs: Tensor, local_credit: bool = False) -> Tensor:
        """Respond to all steps at once."""
        return torch.tanh(self.weight @ inputs + self.bias)
