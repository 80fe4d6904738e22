"""Harlow's learning sets with a gaze: the agent looks left and right to choose.

What all versions with a gaze share (:class:`GazeTask`, :class:`GazeEpisodes`), and
the one of a single dimension, a ring of cells of which a few are seen
(:class:`HarlowGaze`). A trial takes as many steps as the agent needs.
"""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.base import Episodes, Tape, Task
from pfc_metarl.tasks.harlow import (
    LEFT,
    RIGHT,
    check_object_rewards,
    draw_objects,
    left_and_right,
)

NOWHERE, CENTRE = -1, 2
"""What the gaze rests on, beside LEFT (0) and RIGHT (1)."""

FIXATION, CHOICE, INTERVAL = 0, 1, 2  # phases


class GazeTask(Task):
    """A task of Harlow's whose responses are places looked at.

    A trial is a fixation cue at the centre, then the two objects at its sides, then,
    perhaps, an interval with nothing to see. Each phase lasts until the agent has done
    what it asks for, so that a trial has no fixed number of steps: :attr:`phases` names
    what a step can belong to, and :attr:`steps` is the most that an episode may take.
    Where each episode is, its :class:`GazeEpisodes` say: ``trial``, ``phase`` and
    ``active``.
    """

    max_steps: int
    fixation_reward: float
    correct_reward: float
    wrong_reward: float
    fixation_hold: int
    object_hold: int
    interval: int

    def __post_init__(self) -> None:
        """Check what all these tasks have.

        Raises
        ------
        InputError
            When a count is out of range, or the rewarded object is not worth more.
        """
        for name in ("trials", "max_steps", "fixation_hold", "object_hold"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if self.interval < 0:
            raise InputError(f"interval is {self.interval}; expected 0 or more")
        check_object_rewards(self.correct_reward, self.wrong_reward)

    @property
    @abstractmethod
    def object_features(self) -> int:
        """How many numbers make an object."""

    @property
    def phases(self) -> tuple[str, ...]:
        """Fixation, choice, (interval)."""
        return ("fixation", "choice", "interval")[: 3 if self.interval else 2]

    @property
    def latents(self) -> dict[str, str]:
        """When the choices were made."""
        return {"choice_step": "step of the episode that chose, from 0; -1: none did"}

    @property
    def steps(self) -> int:
        """The most steps an episode may take."""
        return self.max_steps

    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        """Draw objects and their sides; see :func:`draw_objects`."""
        return draw_objects(self.trials, batch, self.object_features, generator)

    @abstractmethod
    def begin(self, tape: Tape) -> "GazeEpisodes":
        """Start the episodes of a tape."""


class GazeEpisodes(Episodes):
    """Episodes with a gaze. They step together, but each has its own trial and phase.

    Attributes
    ----------
    trial
        (..., episode) int64: how many trials are finished.
    phase
        (..., episode) int64: index into :attr:`Task.phases` of the step to come.
    active
        (..., episode) bool: neither all trials are finished nor ``max_steps`` taken.
    """

    trial: Tensor
    phase: Tensor
    active: Tensor

    def __init__(self, task: GazeTask, tape: Tape) -> None:
        self.task, self.tape = task, tape
        good_choice = tape["good_choice"]
        self.trial = torch.zeros_like(good_choice[0])
        self.phase = torch.zeros_like(good_choice[0])
        self.active = torch.ones_like(good_choice[0], dtype=torch.bool)
        self._steps_taken = 0
        self._held = torch.zeros_like(good_choice[0])  # steps that count, in a row
        needed = [task.fixation_hold, task.object_hold, task.interval]
        self._needed = torch.tensor(needed, device=good_choice.device)
        trials = torch.arange(task.trials, device=good_choice.device)
        self._trials = trials.view(-1, *[1] * (good_choice.dim() - 1))
        self._choice = torch.full_like(good_choice, -1)
        self._choice_step = torch.full_like(good_choice, -1)
        self.observation = self._observe()

    @abstractmethod
    def _turn(self, action: Tensor) -> None:
        """Move the gaze."""

    @abstractmethod
    def _place(self) -> Tensor:
        """(..., episode): NOWHERE, LEFT, RIGHT or CENTRE, where the gaze rests."""

    @abstractmethod
    def _look(self) -> Tensor:
        """(..., episode, observation): what is in view, as a fresh tensor."""

    def step(self, action: Tensor) -> tuple[Tensor, Tensor]:
        """Take one action in every episode; see :meth:`Episodes.step`."""
        self._turn(action)
        place = self._place()
        at_object = (place == LEFT) | (place == RIGHT)
        on_target = torch.where(self.phase == FIXATION, place == CENTRE, at_object)
        on_target |= self.phase == INTERVAL
        self._held = torch.where(on_target, self._held + 1, 0)
        done = self.active & (self._held >= self._needed[self.phase])
        fixated, chosen = (
            done & (self.phase == FIXATION),
            done & (self.phase == CHOICE),
        )
        reward = self._pay(fixated, chosen, place)
        self._record(chosen, place)
        self._advance(done, chosen)
        self.observation = self._observe()
        return self.observation, reward

    def _pay(self, fixated: Tensor, chosen: Tensor, place: Tensor) -> Tensor:
        right, wrong = float(self.task.correct_reward), float(self.task.wrong_reward)
        outcome = torch.where(place == self._good_choice(), right, wrong)
        return float(self.task.fixation_reward) * fixated + outcome * chosen

    def _record(self, chosen: Tensor, place: Tensor) -> None:
        now = chosen & (self._trials == self.trial)
        self._choice = torch.where(now, place, self._choice)
        self._choice_step = torch.where(now, self._steps_taken, self._choice_step)

    def _advance(self, done: Tensor, chosen: Tensor) -> None:
        self._steps_taken += 1
        self._held = self._held.masked_fill(done, 0)
        self.phase = (self.phase + done) % len(self.task.phases)
        self.trial = self.trial + chosen
        in_time = self._steps_taken < self.task.max_steps
        self.active = (self.trial < self.task.trials) & in_time

    def _observe(self) -> Tensor:
        return self._look().mul_(self.active.unsqueeze(-1))

    def _good_choice(self) -> Tensor:
        """(..., episode): side of the rewarded object in each episode's trial."""
        trial = self.trial.clamp(max=self.task.trials - 1).unsqueeze(0)
        return self.tape["good_choice"].gather(0, trial).squeeze(0)

    def trials(self) -> dict[str, Tensor]:
        """Return all trials of the episodes; see :meth:`Episodes.trials`.

        A trial that an episode did not finish is not valid: its choice is -1, its
        reward NaN.
        """
        choice, good_choice = self._choice, self.tape["good_choice"]
        right, wrong = float(self.task.correct_reward), float(self.task.wrong_reward)
        valid = choice >= 0
        reward = torch.where(choice == good_choice, right, wrong)
        return {
            "choice": choice.clone(),
            "reward": reward.masked_fill(~valid, torch.nan),
            "valid": valid.long(),
            "good_choice": good_choice.clone(),
            "choice_step": self._choice_step.clone(),
        }


@dataclass(frozen=True)
class HarlowGaze(GazeTask):
    """Harlow's learning sets on a ring of cells.

    **A trial.** A fixation cue stands in the central cell; when the gaze is on it, it
    gives way to the episode's two objects, each ``object_distance`` cells to a side;
    the one that the gaze comes to first is chosen, and the fixation cue is back. One of
    the objects pays on every trial, the other never; their sides are drawn anew on
    every trial. An episode begins with the gaze off the centre, but the cue in view.

    **Actions.** 0 and 1: the gaze goes one cell to the left or to the right. It never
    stands still.

    **Observation.** For each cell within ``view`` of the gaze, from left to right: 1 if
    the fixation cue is there, then the features of the object there. The cell that the
    gaze is on is left out: what it comes to is gone at once.

    **Reward.** ``fixation_reward`` on coming to the cue; ``correct_reward`` or
    ``wrong_reward`` on coming to an object.

    **End.** After ``trials`` trials or ``max_steps`` steps.

    Source: the one-dimensional task of BKHMSI/Meta-RL-Harlow (GitHub, 2020), there told
    from the outside: a world that moves around the gaze. Departures: the cue has a unit
    of its own (there, the number 1 in the object's unit); objects are numbers from 0 to
    1 (there, of 1,000, and now and then twice the same); the gaze begins at any of the
    other cells within ``object_distance``, all alike probable.
    """

    cells: int = parameter(17, "BKHMSI/Meta-RL-Harlow, Harlow_1D", unit="cells")
    view: int = parameter(
        4, "BKHMSI/Meta-RL-Harlow, Harlow_1D", unit="cells to either side"
    )
    object_distance: int = parameter(
        3, "BKHMSI/Meta-RL-Harlow, Harlow_1D", unit="cells"
    )
    n_features: int = parameter(
        1, "BKHMSI/Meta-RL-Harlow, Harlow_1D: a number per object", unit="features"
    )
    fixation_reward: float = parameter(
        0.2, "Wang et al. 2016, Harlow task", unit="reward"
    )
    correct_reward: float = parameter(
        1.0, "Wang et al. 2016, Harlow task", unit="reward"
    )
    wrong_reward: float = parameter(
        -1.0, "Wang et al. 2016, Harlow task", unit="reward"
    )
    trials: int = parameter(6, "Harlow 1949; Wang et al. 2018, Fig. 6", unit="trials")
    max_steps: int = parameter(250, "BKHMSI/Meta-RL-Harlow, Harlow_1D", unit="steps")

    fixation_hold = 1
    object_hold = 1
    interval = 0

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises
        ------
        InputError
            When the ring is too small for the objects, they would be out of view, or a
            count is out of range.
        """
        super().__post_init__()
        if not 1 <= self.object_distance <= self.view:
            raise InputError(
                f"object_distance is {self.object_distance}; expected 1 to the view, "
                f"which is {self.view}"
            )
        if self.cells < 2 * self.view + 1:
            raise InputError(
                f"cells is {self.cells}; expected at least the {2 * self.view + 1} "
                "in view"
            )
        if self.n_features < 1:
            raise InputError(f"n_features is {self.n_features}; expected 1 or more")

    @property
    def object_features(self) -> int:
        """As many as asked for."""
        return self.n_features

    @property
    def n_observations(self) -> int:
        """The cue and an object's features, for each cell in view."""
        return 2 * self.view * (1 + self.n_features)

    @property
    def cells_in_view(self) -> list[int]:
        """Cells seen, counted from the gaze to the right."""
        return [cell for cell in range(-self.view, self.view + 1) if cell]

    @property
    def n_actions(self) -> int:
        """To the left and to the right."""
        return 2

    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        """Draw objects, their sides, and where the gaze begins.

        Returns
        -------
        Tape
            That of :func:`draw_objects`, and ``start`` (trial, episode) int64: cells to
            the right of the centre, the same in all trials.
        """
        near = self.object_distance
        cells = [cell for cell in range(-near, near + 1) if cell]
        start = torch.tensor(cells)[
            torch.randint(len(cells), (batch,), generator=generator)
        ]
        return {
            **super().draw(batch, generator),
            "start": start.expand(self.trials, -1),
        }

    def begin(self, tape: Tape) -> "HarlowGazeEpisodes":
        """Start the episodes of a tape."""
        return HarlowGazeEpisodes(self, tape)


class HarlowGazeEpisodes(GazeEpisodes):
    """Episodes on a ring of cells, of which cell 0 is the centre."""

    task: HarlowGaze

    def __init__(self, task: HarlowGaze, tape: Tape) -> None:
        device = tape["start"].device
        self._gaze = tape["start"][0] % task.cells
        self._in_view = torch.tensor(task.cells_in_view, device=device)
        super().__init__(task, tape)

    def _turn(self, action: Tensor) -> None:
        self._gaze = (self._gaze + 2 * action - 1) % self.task.cells

    def _place(self) -> Tensor:
        """(..., episode): where the gaze rests."""
        return self._place_of(self._gaze)

    def _place_of(self, cell: Tensor) -> Tensor:
        distance, cells = self.task.object_distance, self.task.cells
        place = torch.full_like(cell, NOWHERE).masked_fill(cell == 0, CENTRE)
        place = place.masked_fill(cell == distance, RIGHT)
        return place.masked_fill(cell == cells - distance, LEFT)

    def _look(self) -> Tensor:
        place = self._place_of(
            (self._gaze[..., None] + self._in_view) % self.task.cells
        )
        choosing = (self.phase == CHOICE)[..., None]
        cue = (place == CENTRE) & ~choosing
        left, right = left_and_right(
            self._good_choice(), self.tape["rewarded"][0], self.tape["unrewarded"][0]
        )
        objects = (choosing & (place == LEFT))[..., None] * left[..., None, :] + (
            choosing & (place == RIGHT)
        )[..., None] * right[..., None, :]
        return torch.cat([cue[..., None], objects], dim=-1).flatten(-2)
