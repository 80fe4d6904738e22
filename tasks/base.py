"""The task protocol: a distribution of problems, simulated for many episodes at once.

All the randomness of a batch of episodes is drawn beforehand as a **tape** of tensors.
The same tape gives exact replay, paired comparison of agents, and the ideal observer's
result on the very same episodes; a step is then a few small tensor operations.

Shapes: a tape's tensors are (trial, ..., episode); actions and rewards are
(..., episode); observations are (..., episode, observation). The dots may hold a seed
dimension, see :func:`side_by_side`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from pfc_metarl.errors import InputError

Tape = dict[str, Tensor]
"""Random numbers of a batch of episodes by name, each (trial, ..., episode)."""


class Episodes(ABC):
    """A batch of episodes being played in lockstep."""

    observation: Tensor
    """(..., episode, observation) float32: what the agent sees now."""

    trial: int | Tensor
    """Trial of the step to come, from 0; (..., episode) int64 in self-paced tasks."""

    phase: int | Tensor
    """Index into the task's ``phases`` of the step to come, likewise."""

    active: Tensor | None = None
    """(..., episode) bool: where the next action still counts; None: everywhere.

    Only self-paced tasks have it, whose trials take as many steps as the agent needs.
    An episode that is over waits for the others: its observation is blank and it earns
    nothing. When none is active, the rest need not be played.
    """

    @abstractmethod
    def step(self, action: Tensor) -> tuple[Tensor, Tensor]:
        """Take one action in every episode.

        Parameters
        ----------
        action
            (..., episode) int64, from 0 to the task's ``n_actions`` - 1.

        Returns
        -------
        observation : Tensor
            (..., episode, observation): what the agent sees next.
        reward : Tensor
            (..., episode) float32: what the action just taken brought.
        """

    @abstractmethod
    def trials(self) -> dict[str, Tensor]:
        """Return the columns of the trial table so far, latents included.

        Returns
        -------
        dict
            Names of :data:`pfc_metarl.trials.VARIABLES` or :attr:`Task.latents`,
            each (trial, ..., episode).
        """


class Task(ABC):
    """A distribution of related problems.

    Subclasses are frozen dataclasses whose fields are the task's parameters, declared
    with :func:`pfc_metarl.provenance.parameter`.
    """

    trials: int
    """Trials per episode."""

    @property
    @abstractmethod
    def n_observations(self) -> int:
        """Length of the observation."""

    @property
    @abstractmethod
    def n_actions(self) -> int:
        """Number of actions."""

    @property
    @abstractmethod
    def phases(self) -> tuple[str, ...]:
        """Names of the steps of a trial, an action each.

        In self-paced tasks (see :attr:`Episodes.active`) a phase takes several steps.
        """

    @property
    def latents(self) -> dict[str, str]:
        """Meaning of the trial table's columns that only this task has, by name."""
        return {}

    @property
    def steps_per_trial(self) -> int:
        """Steps in a trial; without meaning in self-paced tasks."""
        return len(self.phases)

    @property
    def steps(self) -> int:
        """Steps in an episode; in self-paced tasks at most."""
        return self.trials * self.steps_per_trial

    @abstractmethod
    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        """Draw the problems and all the chance events of a batch of episodes.

        Parameters
        ----------
        batch
            Number of episodes.
        generator
            The only source of randomness.
        """

    def draw_problems(self, n: int, generator: torch.Generator) -> Tape:
        """Draw only what makes ``n`` problems differ, the latents of their trials.

        Tensors are (trial, n, ...). Tasks whose problems can be drawn apart from their
        outcomes have this and :meth:`draw_outcomes`: then training may be confined to a
        few problems.

        Raises
        ------
        InputError
            When the task has none.
        """
        raise InputError(
            f"{type(self).__name__} does not draw its problems apart from their "
            "outcomes; expected a task with draw_problems, such as Bandit"
        )

    def draw_outcomes(self, problems: Tape, generator: torch.Generator) -> Tape:
        """Draw the chance events of episodes with given problems, one per episode.

        Returns the whole tape, as :meth:`draw` does.

        Raises
        ------
        InputError
            When the task has none.
        """
        raise InputError(
            f"{type(self).__name__} does not draw outcomes for given problems; "
            "expected a task with draw_outcomes beside draw_problems, such as Bandit"
        )

    @abstractmethod
    def begin(self, tape: Tape) -> Episodes:
        """Start the episodes of a tape."""

    def reset(self, batch: int, generator: torch.Generator) -> Episodes:
        """Draw a batch of episodes and start them."""
        return self.begin(self.draw(batch, generator))


def side_by_side(tapes: Sequence[Tape], device: str = "cpu") -> Tape:
    """Put the tapes of several seeds side by side, to be played in one go.

    Parameters
    ----------
    tapes
        One per seed, tensors of shape (trial, episode, ...).
    device
        Where the episodes will be played.

    Returns
    -------
    Tape
        Tensors of shape (trial, seed, episode, ...).
    """
    return {
        name: torch.stack([tape[name] for tape in tapes], dim=1).to(device)
        for name in tapes[0]
    }
