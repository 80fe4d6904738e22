"""The settings of the slow learning, and where each number comes from."""

from dataclasses import dataclass

import torch

from pfc_metarl.errors import InputError
from pfc_metarl.network import Network
from pfc_metarl.provenance import parameter

_NOT_NEGATIVE = (
    "learning_rate",
    "final_learning_rate",
    "value_cost",
    "entropy_cost",
    "final_entropy_cost",
    "max_gradient_norm",
    "optimiser_epsilon",
)
_OPTIONS = {
    "algorithm": ("a2c", "ppo"),
    "credit": ("backpropagation", "local"),
    "optimiser": ("adam", "rmsprop"),
}


@dataclass(frozen=True)
class LearningSettings:
    """The outer algorithm; the defaults are those of Wang et al. 2018.

    ``algorithm`` is "a2c", one change of the weights per batch of episodes, or "ppo",
    ``epochs`` of them with the clipped objective of Schulman et al. 2017; both get the
    same RPE. ``credit`` is "backpropagation" through time, or "local": each weight
    learns from its own eligibility trace and the RPE, which reaches the units through
    the weights of the readout (symmetric e-prop, Bellec et al. 2020; with "ppo" or
    normalised advantages the RPE is no longer one that is known at once). Without
    ``actor_learns`` nothing learns from the policy, without ``critic_learns`` nothing
    from the value: the readout in question stays, but the memory, which both share,
    still learns from the other. Without ``memory_learns`` the memory stays as it was
    drawn, and only the heads learn. ``final_...``: reached linearly at the last update.
    """

    optimiser: str = parameter("rmsprop", "Wang et al. 2018 (preprint), Methods")
    learning_rate: float = parameter(7e-4, "Wang et al. 2018 (preprint), Methods")
    discount: float = parameter(
        0.9, "Wang et al. 2018 (preprint), Methods", unit="per step"
    )
    trace_decay: float = parameter(
        1.0, "Wang et al. 2018 (preprint), Methods: full returns", unit="per step"
    )
    value_cost: float = parameter(0.05, "Wang et al. 2018 (preprint), Methods")
    entropy_cost: float = parameter(0.05, "Wang et al. 2018 (preprint), Methods")
    rmsprop_decay: float = parameter(
        0.9, "guess: default of the authors' framework; no use to adam"
    )
    optimiser_epsilon: float = parameter(
        1e-10,
        "guess: default of the authors' framework (there inside the root, and the mean "
        "square starts at 1; torch adds it outside and starts at 0)",
    )
    max_gradient_norm: float = parameter(
        999.0, "a reimplementation of Wang et al. 2018; the paper does not say"
    )
    final_learning_rate: float | None = parameter(
        None, "Wang et al. 2018 (preprint), Methods: constant; else it falls linearly"
    )
    final_entropy_cost: float | None = parameter(
        None, "Wang et al. 2018 (preprint), Methods: constant; else it falls linearly"
    )
    algorithm: str = parameter(
        "a2c", "Wang et al. 2018 (preprint), Methods: advantage actor-critic"
    )
    epochs: int = parameter(
        4, "Schulman et al. 2017, range of their settings; no use to a2c", unit="passes"
    )
    clip_ratio: float = parameter(
        0.2, "Schulman et al. 2017, Table 1; no use to a2c", unit="ratio"
    )
    normalise_advantage: bool = parameter(
        False, "Wang et al. 2018 (preprint), Methods: as it is"
    )
    credit: str = parameter(
        "backpropagation", "Wang et al. 2018 (preprint), Methods: through time"
    )
    actor_learns: bool = parameter(True, "Wang et al. 2018, Fig. 1a")
    critic_learns: bool = parameter(True, "Wang et al. 2018, Fig. 1a")
    memory_learns: bool = parameter(True, "Wang et al. 2018, Fig. 1a")
    batch: int = parameter(
        1, "Wang et al. 2018 (preprint), Methods: one thread", unit="episodes"
    )
    updates: int = parameter(
        10_000,
        "Wang et al. 2018 as two reimplementations have it; one of them needed 20 000",
        unit="updates",
    )

    def __post_init__(self) -> None:
        """Check the settings.

        Raises
        ------
        InputError
            When one is out of range.
        """
        for name in ("batch", "updates", "epochs"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected 1 or more")
        for name in ("discount", "trace_decay", "rmsprop_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected 0 to 1")
        for name in _NOT_NEGATIVE:
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise InputError(f"{name} is {value}; expected 0 or more")
        if not self.clip_ratio > 0:
            raise InputError(f"clip_ratio is {self.clip_ratio}; expected above 0")
        if not (self.actor_learns or self.critic_learns):
            raise InputError("neither actor nor critic learns; expected at least one")
        for name, options in _OPTIONS.items():
            if getattr(self, name) not in options:
                expected = " or ".join(options)
                raise InputError(
                    f"no {name} '{getattr(self, name)}'; expected {expected}"
                )

    @property
    def passes(self) -> int:
        """Changes of the weights per batch of episodes."""
        return self.epochs if self.algorithm == "ppo" else 1

    def learning_rate_at(self, done: float) -> float:
        """Learning rate when a share of the updates is done, 0 to 1."""
        return _between(self.learning_rate, self.final_learning_rate, done)

    def entropy_cost_at(self, done: float) -> float:
        """Entropy cost when a share of the updates is done, 0 to 1."""
        return _between(self.entropy_cost, self.final_entropy_cost, done)

    def optimiser_for(self, network: Network) -> torch.optim.Optimizer:
        """Return the optimiser; it works element by element, so seeds do not mix."""
        rate, epsilon = self.learning_rate, self.optimiser_epsilon
        learning = list(network.parameters() if self.memory_learns else network.heads())
        if self.optimiser == "rmsprop":
            return torch.optim.RMSprop(
                learning, rate, alpha=self.rmsprop_decay, eps=epsilon
            )
        return torch.optim.Adam(learning, rate, eps=epsilon)


def _between(first: float, last: float | None, done: float) -> float:
    return first if last is None else first + (last - first) * done
