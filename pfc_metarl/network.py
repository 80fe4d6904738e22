"""The network: inputs, a memory, and heads for policy and value."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pfc_metarl.errors import InputError
from pfc_metarl.memory import Memory, memory_class
from pfc_metarl.memory.base import fill_uniform
from pfc_metarl.memory.horizon import Horizon
from pfc_metarl.provenance import parameter
from pfc_metarl.seeds import generator
from pfc_metarl.tasks.base import Task


@dataclass(frozen=True)
class NetworkSettings:
    """What the network is made of."""

    memory: str = parameter("lstm", "Wang et al. 2018 (preprint), general Methods")
    units: int = parameter(
        48, "Wang et al. 2018 (preprint), general Methods", unit="units"
    )
    reward_input: bool = parameter(True, "Wang et al. 2018, Fig. 1a")
    action_input: bool = parameter(True, "Wang et al. 2018, Fig. 1a")
    reward_delay: int = parameter(
        0, "Wang et al. 2018, Fig. 1a: the reward of the step before", unit="steps"
    )
    horizon: int | None = parameter(
        None, "Wang et al. 2018: memory lasts the whole episode", unit="steps"
    )

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises
        ------
        InputError
            When one is out of range.
        """
        if self.units < 1:
            raise InputError(f"units is {self.units}; expected 1 or more")
        if self.reward_delay < 0:
            raise InputError(f"reward_delay is {self.reward_delay}; expected 0 or more")
        if self.horizon is not None and self.horizon < 1:
            raise InputError(f"horizon is {self.horizon}; expected None, or 1 or more")


class Network(nn.Module):
    """Networks of several seeds, side by side.

    At step t the memory sees the observation of step t, the action of step t - 1
    (one-hot; all zeros at the first step) and the reward of step t - 1, or of so many
    more steps before as there is delay. An input that is switched off stays zero, so
    that every variant has the same size. With a horizon, the memory begins anew every
    so many steps.

    Parameters
    ----------
    settings
        What it is made of.
    task
        Gives the number of observations and actions.
    seeds
        The replicas; each is initialised from its own generator, whatever is beside it.

    Source: Wang et al. 2018, Fig. 1a and general Methods: softmax policy and linear
    value share everything but the output layer.
    """

    def __init__(
        self, settings: NetworkSettings, task: Task, seeds: Sequence[int]
    ) -> None:
        super().__init__()
        self.settings, self.seeds = settings, tuple(seeds)
        self.n_observations, self.n_actions = task.n_observations, task.n_actions
        self.n_inputs = self.n_observations + self.n_actions + 1
        n, units = len(self.seeds), settings.units
        memory: Memory = memory_class(settings.memory)(n, self.n_inputs, units)
        horizon = settings.horizon
        self.memory = memory if horizon is None else Horizon(memory, horizon)
        self.policy_weight = nn.Parameter(torch.empty(n, self.n_actions, units))
        self.policy_bias = nn.Parameter(torch.zeros(n, self.n_actions, 1))
        self.value_weight = nn.Parameter(torch.empty(n, 1, units))
        self.value_bias = nn.Parameter(torch.zeros(n, 1, 1))
        for position, seed in enumerate(self.seeds):
            draw = generator(seed, "weights")
            self.memory.initialise(position, draw)
            heads = (self.policy_weight, self.value_weight)
            fill_uniform(heads, position, units**-0.5, draw)

    def heads(self) -> list[nn.Parameter]:
        """Return the parameters of policy and value, all but the memory's."""
        return [
            self.policy_weight,
            self.policy_bias,
            self.value_weight,
            self.value_bias,
        ]

    def logits(self, output: Tensor) -> Tensor:
        """Policy logits of one step, (seed, action, episode)."""
        return torch.baddbmm(self.policy_bias, self.policy_weight, output)

    def logits_and_value(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Policy and value of whole episodes from the memory's outputs.

        Parameters
        ----------
        outputs
            (step, seed, unit, episode).

        Returns
        -------
        logits : Tensor
            (step, seed, action, episode).
        value : Tensor
            (step, seed, episode).
        """
        # Both heads in one product, which halves the cost of its gradient.
        weight = torch.cat([self.policy_weight, self.value_weight], dim=1)
        bias = torch.cat([self.policy_bias, self.value_bias], dim=1)
        logits, value = (weight @ outputs + bias).split([self.n_actions, 1], dim=2)
        return logits, value.squeeze(2)

    def blank_inputs(self, steps: int, batch: int) -> "Inputs":
        """Return zeroed inputs for whole episodes."""
        return Inputs(self, steps, batch)

    def seed_weights(self, position: int) -> dict[str, Tensor]:
        """Return the parameters of one seed, by name, without the seed dimension."""
        return {
            name: weight[position].detach().clone()
            for name, weight in self.state_dict().items()
        }

    def load_seed_weights(self, position: int, weights: dict[str, Tensor]) -> None:
        """Put the parameters of one seed into their place."""
        with torch.no_grad():
            for name, weight in self.state_dict().items():
                weight[position] = weights[name]


class Inputs:
    """The inputs of whole episodes, filled in as they are played.

    ``steps`` is (step, seed, input, episode): observation, previous action, previous
    reward.
    """

    def __init__(self, network: Network, steps: int, batch: int) -> None:
        shape = (steps + 1, len(network.seeds), network.n_inputs, batch)
        self._buffer = network.policy_bias.new_zeros(shape)
        split = (network.n_observations, network.n_actions, 1)
        observations, actions, rewards = self._buffer.split(split, dim=2)
        self._observations = list(observations.transpose(-1, -2))
        self._actions, self._rewards = list(actions), list(rewards.squeeze(2))
        self._all_actions = actions
        self._sees_action = network.settings.action_input
        self._sees_reward = network.settings.reward_input
        self._delay = network.settings.reward_delay
        self.steps = self._buffer[:-1]

    def clear(self) -> None:
        """Forget the episodes before."""
        self._all_actions.zero_()

    def observe(self, step: int, observation: Tensor) -> Tensor:
        """Enter the observation of a step; return all its inputs.

        Parameters
        ----------
        step
            The step, from 0.
        observation
            (seed, episode, observation).
        """
        self._observations[step].copy_(observation)
        return self._buffer[step]

    def feed_back(self, step: int, action: Tensor, reward: Tensor) -> None:
        """Enter what was done and earned at a step: it is seen at the next.

        Parameters
        ----------
        step
            The step at which the action was taken.
        action
            (seed, episode) int64.
        reward
            (seed, episode).
        """
        if self._sees_action:
            self._actions[step + 1].scatter_(1, action.unsqueeze(1), 1.0)
        seen_at = step + 1 + self._delay
        if self._sees_reward and seen_at < len(self._rewards):
            self._rewards[seen_at].copy_(reward)


def weights_hash(weights: dict[str, Tensor]) -> str:
    """Return the SHA-256 sum of parameters: names, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        values = weights[name].detach().cpu().contiguous()
        digest.update(f"{name}{tuple(values.shape)}{values.dtype}".encode())
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()
