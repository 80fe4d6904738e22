"""What is done to a frozen network while it plays: resets, lesions, altered inputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.memory.base import State


class Moment(NamedTuple):
    """Where in their episodes the networks are.

    ``trial`` is the trial of the step, from 0; ``begins`` says whether it is the first
    step of a trial that follows another, so that the reward seen is an outcome. Both
    are (), or (seed, episode) in self-paced tasks.
    """

    step: int
    trial: Tensor
    begins: Tensor


class Seen(NamedTuple):
    """The inputs of a step, (seed, feature, episode) each.

    ``observation`` of the step, ``action`` before it (one-hot), ``reward`` before it.
    """

    observation: Tensor
    action: Tensor
    reward: Tensor


class Intervention:
    """Leaves everything as it is; subclasses override what they change.

    What a method is given must not be changed in place.
    """

    def state(self, state: State, initial: State, moment: Moment) -> State:
        """Return the memory's state to take the step from.

        Parameters
        ----------
        state
            As it was after the step before; see :class:`pfc_metarl.memory.Memory`.
        initial
            The state in which episodes begin.
        moment
            Of the step.
        """
        return state

    def inputs(self, seen: Seen, moment: Moment) -> Seen:
        """Return what the network sees."""
        return seen

    def output(self, output: Tensor, moment: Moment) -> Tensor:
        """Return the memory's output, (seed, unit, episode), as the heads see it."""
        return output


@dataclass(frozen=True)
class Reset(Intervention):
    """Put the memory back into its initial state at the beginning of some trials.

    Parameters
    ----------
    trials
        Which, from 0; None: every trial.
    blank
        Blank the last action and the last reward there, too: nothing of the past is
        left. Otherwise the network still sees one trial back.
    """

    trials: tuple[int, ...] | None = None
    blank: bool = False

    def state(self, state: State, initial: State, moment: Moment) -> State:
        """Return the initial state where it is time, else the state as it is."""
        now = self._now(moment)
        return tuple(
            torch.where(now, first, part)
            for first, part in zip(initial, state, strict=True)
        )

    def inputs(self, seen: Seen, moment: Moment) -> Seen:
        """Return the inputs, blanked if asked for where it is time."""
        if not self.blank:
            return seen
        now = self._now(moment)
        action, reward = (part.masked_fill(now, 0.0) for part in seen[1:])
        return Seen(seen.observation, action, reward)

    def _now(self, moment: Moment) -> Tensor:
        """(), or (seed, 1, episode)."""
        now = moment.begins
        if self.trials is not None:
            here = torch.tensor(self.trials, device=moment.trial.device)
            now = now & torch.isin(moment.trial, here)
        return _by_feature(now)


def _by_feature(now: Tensor) -> Tensor:
    """Give (seed, episode) a place for features, (seed, 1, episode); () stays."""
    return now.unsqueeze(-2) if now.dim() else now


@dataclass(frozen=True)
class Lesion(Intervention):
    """Silence part of the memory throughout.

    Parameters
    ----------
    units
        Which units.
    part
        Of which tensor of the state, by its place in ``Memory.state_names``; None: only
        the output is silenced.
    also_output
        Silence the units of the same numbers in the output, too.
    """

    units: tuple[int, ...]
    part: int | None = 0
    also_output: bool = True

    def state(self, state: State, initial: State, moment: Moment) -> State:
        """Return the state with the units at 0.

        Raises
        ------
        InputError
            When the memory has no such part or no such unit.
        """
        if self.part is None:
            return state
        if not 0 <= self.part < len(state):
            raise InputError(
                f"part is {self.part}; the memory's state has {len(state)} parts"
            )
        parts = list(state)
        parts[self.part] = silenced(parts[self.part], self.units)
        return tuple(parts)

    def output(self, output: Tensor, moment: Moment) -> Tensor:
        """Return the output with the units at 0."""
        return silenced(output, self.units) if self.also_output else output


def silenced(values: Tensor, units: Sequence[int]) -> Tensor:
    """Return (seed, unit, episode) values with some units at 0.

    Raises
    ------
    InputError
        When there is no such unit.
    """
    if units and not 0 <= min(units) <= max(units) < values.shape[1]:
        raise InputError(
            f"units are {tuple(units)}; expected numbers below {values.shape[1]}"
        )
    return values.index_fill(1, torch.tensor(units, device=values.device), 0.0)


@dataclass(frozen=True)
class FlippedReward(Intervention):
    """Show each outcome of 0 as 1, and of 1 as 0; what is paid stays as it is.

    Only outcomes are flipped, which are seen at the first step of the trial that
    follows; so the memory must see rewards without further delay.
    """

    def inputs(self, seen: Seen, moment: Moment) -> Seen:
        """Return the inputs, the reward r as 1 - r where it is an outcome."""
        outcome = _by_feature(moment.begins)
        return seen._replace(reward=torch.where(outcome, 1 - seen.reward, seen.reward))


@dataclass(frozen=True)
class PermutedReward(Intervention):
    """Show each outcome to another episode; what is paid stays as it is.

    In every trial outcomes are dealt out anew among the episodes, for all networks
    alike: on average rewards are as they were, but no longer tell about the choice.

    Parameters
    ----------
    seed
        Of the permutations.
    """

    seed: int = 0

    def inputs(self, seen: Seen, moment: Moment) -> Seen:
        """Return the inputs, the rewards permuted where they are outcomes.

        Raises
        ------
        InputError
            In self-paced tasks, whose episodes are not at the same place in a trial.
        """
        if moment.begins.dim():
            raise InputError(
                "rewards cannot be permuted among the episodes of a self-paced task; "
                "expected one whose episodes go in lockstep"
            )
        if not moment.begins:
            return seen
        rng = np.random.default_rng([self.seed, moment.step])
        order = torch.from_numpy(rng.permutation(seen.reward.shape[-1]))
        return seen._replace(reward=seen.reward[..., order.to(seen.reward.device)])


@dataclass(frozen=True)
class ScaledObservation(Intervention):
    """Show the observation multiplied by a factor."""

    factor: float

    def inputs(self, seen: Seen, moment: Moment) -> Seen:
        """Return the inputs with the observation multiplied."""
        return seen._replace(observation=self.factor * seen.observation)


class Directions(NamedTuple):
    """Directions in the space of units, for every seed.

    ``basis`` (seed, unit, direction), orthonormal columns; ``mean`` (step, seed, unit),
    that of the activity after each step.
    """

    basis: Tensor
    mean: Tensor


@dataclass(frozen=True, eq=False)
class HeldDirections(Intervention):
    """Hold the activity at its mean along some directions; leave the others as is.

    With the mean m of each step, x becomes x - B B' (x - m): the state that a step
    begins with, all its parts side by side, except for that of the first, and the
    output of every step.

    Parameters
    ----------
    of_state
        Directions among the units of all parts of the state, in their order.
    of_output
        Directions among the units of the output.
    """

    of_state: Directions
    of_output: Directions

    def state(self, state: State, initial: State, moment: Moment) -> State:
        """Return the state without its deviation along the directions."""
        if moment.step == 0:
            return state
        whole = torch.cat(state, 1)
        basis, mean = (part.to(whole) for part in self.of_state)
        _check_units(basis, whole)
        return _split_like(_held(whole, basis, mean[moment.step - 1]), state)

    def output(self, output: Tensor, moment: Moment) -> Tensor:
        """Return the output without its deviation along the directions."""
        basis, mean = (part.to(output) for part in self.of_output)
        _check_units(basis, output)
        return _held(output, basis, mean[moment.step])


@dataclass(frozen=True, eq=False)
class Transplant(Intervention):
    """Exchange part of the state between episodes, once.

    At the beginning of a step the state, all its parts side by side, is x, and that of
    the donor y. With orthonormal directions B, x becomes x + B B' (y - x); with
    ``others`` it becomes y + B B' (x - y): all but these directions is the donor's.

    Parameters
    ----------
    basis
        (seed, unit, direction).
    donor
        (episode,) int64: whose state each gets.
    step
        When.
    others
        Exchange what is outside of the directions instead.
    """

    basis: Tensor
    donor: Tensor
    step: int
    others: bool = False

    def state(self, state: State, initial: State, moment: Moment) -> State:
        """Return the state with the donor's part in it, when it is time."""
        if moment.step != self.step:
            return state
        whole = torch.cat(state, 1)
        basis = self.basis.to(whole)
        _check_units(basis, whole)
        theirs = whole[..., self.donor.to(whole.device)]
        host, guest = (theirs, whole) if self.others else (whole, theirs)
        return _split_like(host + _along(basis, guest - host), state)


def _split_like(whole: Tensor, state: State) -> State:
    """Undo the putting side by side of the parts of a state."""
    return tuple(whole.split([part.shape[1] for part in state], 1))


def _held(values: Tensor, basis: Tensor, mean: Tensor) -> Tensor:
    """Return (seed, unit, episode) values held at a mean (seed, unit) along a basis."""
    return values - _along(basis, values - mean.unsqueeze(-1))


def _along(basis: Tensor, values: Tensor) -> Tensor:
    """Return the part of (seed, unit, episode) values in the span of a basis."""
    return basis @ (basis.transpose(1, 2) @ values)


def _check_units(basis: Tensor, values: Tensor) -> None:
    """Check that directions are for these networks.

    Raises
    ------
    InputError
        When the seeds or units are others.
    """
    if basis.shape[:2] != values.shape[:2]:
        raise InputError(
            f"directions are for {tuple(basis.shape[:2])} seeds and units; "
            f"expected {tuple(values.shape[:2])}"
        )
