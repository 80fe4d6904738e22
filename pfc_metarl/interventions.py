"""What is done to a frozen network while it plays: resets, lesions, altered inputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
        return now.unsqueeze(-2) if now.dim() else now


@dataclass(frozen=True)
class Lesion(Intervention):
    """Silence part of the memory throughout.

    Parameters
    ----------
    part
        Which tensor of the state, by its place in ``Memory.state_names``; None: only
        the output is silenced.
    units
        Which of its units.
    output
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
