"""Scripted players of Harlow's learning sets with a gaze: they look at what they want.

They fixate the cue, go by chance to one of the objects in the first trial, and from
then on to the object that pays. No other player earns more on average; within the
limit of steps there is time to spare.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.harlow import LEFT, RIGHT
from pfc_metarl.tasks.harlow_gaze import GazeEpisodes, GazeTask, HarlowGaze
from pfc_metarl.tasks.harlow_pixels import STAY, HarlowPixels
from pfc_metarl.tasks.observers.base import Player
from pfc_metarl.tasks.observers.harlow import OneShotMemory


def _memory(task: GazeTask, like: Tensor) -> OneShotMemory:
    return OneShotMemory((task.correct_reward + task.wrong_reward) / 2, like)


@dataclass(frozen=True)
class GazeObserver(Player):
    """Scripted player of the ring of cells.

    It goes towards the cue when it sees it. When the cue is gone the objects are there,
    as far to the left as to the right.
    """

    task: HarlowGaze

    def play(self, tape: Tape, generator: torch.Generator) -> GazeEpisodes:
        """Play the episodes of a tape; see :meth:`Player.play`."""
        episodes = self.task.begin(tape)
        memory = _memory(self.task, tape["good_choice"][0])
        cue, left, right = self._see(episodes.observation)
        side = torch.zeros_like(cue)  # looked for; its objects are left and right
        while episodes.active.any():
            action = torch.where(cue != 0, (cue > 0).long(), side)
            observation, reward = episodes.step(action)
            before, (cue, left_now, right_now) = cue, self._see(observation)
            outcome = (before == 0) & (cue != 0)
            memory.learn(left, right, side, reward, outcome)
            appeared = (before != 0) & (cue == 0)
            choice = memory.choose(left_now, right_now, generator)
            side = torch.where(appeared, choice, side)
            left = torch.where(appeared[..., None], left_now, left)
            right = torch.where(appeared[..., None], right_now, right)
        return episodes

    def _see(self, observation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Read a view.

        Returns
        -------
        cue : Tensor
            (..., episode) int64: cells from the gaze to the cue, 0 where it is gone.
        left, right : Tensor
            (..., episode, feature): the objects, as seen from the centre.
        """
        view, distance = self.task.view, self.task.object_distance
        cells = observation.unflatten(-1, (2 * view, -1))
        offset = torch.tensor(self.task.cells_in_view, device=cells.device)
        cue = (cells[..., 0].long() * offset).sum(-1)
        return cue, cells[..., view - distance, 1:], cells[..., view + distance - 1, 1:]


@dataclass(frozen=True)
class PixelsObserver(Player):
    """Scripted player in front of the screen.

    It knows from its own actions where it looks, and from the middle of the places of
    the objects what the screen shows there.
    """

    task: HarlowPixels

    def play(self, tape: Tape, generator: torch.Generator) -> GazeEpisodes:
        """Play the episodes of a tape; see :meth:`Player.play`."""
        episodes, task = self.task.begin(tape), self.task
        memory = _memory(task, tape["good_choice"][0])
        gaze = torch.zeros_like(tape["good_choice"][0], dtype=torch.float32)
        speed = torch.zeros_like(gaze)
        left, right = self._objects(episodes.observation, gaze)
        side, choosing = torch.zeros_like(gaze).long(), torch.zeros_like(gaze).bool()
        while episodes.active.any():
            towards = task.object_degrees * (2 * side - 1) * choosing
            action = self._action(gaze, speed, towards)
            gaze, speed = task.turn(gaze, speed, action)
            observation, reward = episodes.step(action)
            left_now, right_now = self._objects(observation, gaze)
            chosen = torch.where((side == LEFT)[..., None], left_now, right_now)
            outcome = choosing & ~chosen.any(-1)
            memory.learn(left, right, side, reward, outcome)
            appeared = ~choosing & left_now.any(-1) & right_now.any(-1)
            choosing = (choosing & ~outcome) | appeared
            choice = memory.choose(left_now, right_now, generator)
            side = torch.where(appeared, choice, side)
            left = torch.where(appeared[..., None], left_now, left)
            right = torch.where(appeared[..., None], right_now, right)
        return episodes

    def _action(self, gaze: Tensor, speed: Tensor, towards: Tensor) -> Tensor:
        """Take the turn after which the gaze, left to itself, comes to rest nearest."""
        share = self.task.momentum / (1 - self.task.momentum)
        misses = []
        for action in (LEFT, RIGHT, STAY):
            there, still = self.task.turn(
                gaze, speed, torch.full_like(gaze, action).long()
            )
            misses.append((there + share * still - towards).abs())
        return torch.stack(misses).argmin(0)

    def _objects(self, observation: Tensor, gaze: Tensor) -> tuple[Tensor, Tensor]:
        """(..., episode, pixels of its middle), left and right; 0 where out of view."""
        view = observation.unflatten(-1, self.task.image_shape)
        return self._middle(view, gaze, LEFT), self._middle(view, gaze, RIGHT)

    def _middle(self, view: Tensor, gaze: Tensor, side: int) -> Tensor:
        row, column = self.task.object_corner(side)
        size = self.task.object_pixels
        middle = torch.arange(size // 4, size - size // 4, device=gaze.device)
        columns = column + middle - self.task.columns_turned(gaze)[..., None]
        in_view = (columns >= 0) & (columns < self.task.pixels)
        rows = view[..., row + size // 4 : row + size - size // 4, :]
        index = columns.clamp(0, self.task.pixels - 1)[..., None, None, :]
        index = index.expand(*rows.shape[:-1], -1)
        return (rows.gather(-1, index) * in_view[..., None, None, :]).flatten(-3)
