"""Harlow's learning sets in pixels: the agent turns its view over a screen.

Wang et al. 2016 (arXiv 1611.05763) and 2018 (Nat Neurosci 21:860), simulation 5: a
simulated laboratory in DeepMind Lab. Here the same geometry is drawn with tensors.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.harlow import LEFT, RIGHT
from pfc_metarl.tasks.harlow_gaze import (
    CENTRE,
    CHOICE,
    FIXATION,
    NOWHERE,
    GazeEpisodes,
    GazeTask,
)
from pfc_metarl.tasks.harlow_images import (
    N_FEATURES,
    chosen_images,
    generated_images,
    images_in,
)

STAY = 2  # the action that turns nowhere
BLACK, CROSS, GOOD_LEFT, GOOD_RIGHT = range(4)  # what the screen shows
SURROUND = 0.5  # grey level beside the screen
RED = (1.0, 0.0, 0.0)


@dataclass(frozen=True)
class HarlowPixels(GazeTask):
    """Harlow's learning sets on a screen that the agent turns its view over.

    **A trial.** A red cross at the centre of the screen; when the gaze, the centre of
    the view, has rested on it for ``fixation_hold`` steps, the episode's two objects
    take its place, left and right of it; the one that the gaze comes to first is
    chosen; then the screen is black for ``interval`` steps. One of the objects pays on
    every trial, the other never; their sides are drawn anew on every trial.

    **Actions.** 0 turns the view to the left, 1 to the right, 2 not at all. Each adds
    ``shift_degrees`` to the turn, of which a share ``momentum`` carries over to the
    next step. The turn does not end: after 360 degrees the screen is back.

    **Observation.** The view as red, green and blue from 0 to 1, flattened;
    ``image_shape`` tells its (channel, row, column). Seen from straight ahead the
    screen fills the view; beside it all is grey. All zeros when the episode is over.

    **Reward.** ``fixation_reward`` for fixating the cross; ``correct_reward`` or
    ``wrong_reward`` for the object chosen.

    **End.** After ``trials`` trials or ``max_steps`` steps.

    Departures: the world is flat, so that the screen shifts without perspective;
    objects are generated and new in every episode, not photographs of a set of 1,000
    (for those, give an ``image_folder``, and another for the test).
    """

    pixels: int = parameter(84, "Wang et al. 2016, Harlow task", unit="pixels")
    screen_degrees: float = parameter(
        65.0, "Wang et al. 2016, Harlow task", unit="degrees"
    )
    object_size: float = parameter(
        0.4,
        "DeepMind Lab, harlow_factory.lua; 34 of 84 pixels in Wang et al. 2016",
        unit="share of the screen",
    )
    object_offset: float = parameter(
        0.25,
        "DeepMind Lab, harlow_factory.lua: centres at 0.25 and 0.75",
        unit="share of the screen, from its centre",
    )
    cross_size: float = parameter(
        0.1, "DeepMind Lab, harlow_factory.lua", unit="share of the screen"
    )
    shift_degrees: float = parameter(
        4.4, "Wang et al. 2016, Harlow task", unit="degrees per action"
    )
    momentum: float = parameter(
        0.2, "guess: Wang et al. 2016 call it small", unit="share per step"
    )
    fixation_tolerance: float = parameter(
        3.5, "Wang et al. 2016, Harlow task", unit="degrees"
    )
    object_tolerance: float = parameter(
        7.0, "Wang et al. 2016, Harlow task", unit="degrees"
    )
    fixation_hold: int = parameter(4, "Wang et al. 2016, Harlow task", unit="steps")
    object_hold: int = parameter(
        1, "DeepMind Lab, harlow_factory.lua (4 in a remark there)", unit="steps"
    )
    interval: int = parameter(10, "Wang et al. 2016, Harlow task", unit="steps")
    fixation_reward: float = parameter(
        0.2, "Wang et al. 2016, Harlow task", unit="reward"
    )
    correct_reward: float = parameter(
        1.0, "Wang et al. 2016, Harlow task", unit="reward"
    )
    wrong_reward: float = parameter(
        -1.0, "Wang et al. 2016, Harlow task", unit="reward"
    )
    image_folder: str = parameter(
        "", "guess: none, objects are generated; the papers use photographs"
    )
    trials: int = parameter(6, "Harlow 1949; Wang et al. 2018, Fig. 6", unit="trials")
    max_steps: int = parameter(
        900,
        "Wang et al. 2016, Harlow task: 3,600 frames, 4 to an action",
        unit="steps",
    )

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises
        ------
        InputError
            When the objects overlap or leave the screen, the view has too few pixels,
            a size or a count is out of range, or the folder holds no pictures.
        """
        super().__post_init__()
        if self.pixels < 20:
            raise InputError(f"pixels is {self.pixels}; expected 20 or more")
        if not 0 <= self.momentum < 1:
            raise InputError(f"momentum is {self.momentum}; expected 0 to less than 1")
        for name in (
            "shift_degrees",
            "fixation_tolerance",
            "object_tolerance",
            "object_size",
            "cross_size",
        ):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}; expected above 0")
        if not 0 < self.screen_degrees <= 120:
            raise InputError(
                f"screen_degrees is {self.screen_degrees}; expected above 0, to 120"
            )
        reach = self.object_size / 2
        if not reach <= self.object_offset <= 0.5 - reach:
            raise InputError(
                f"object_offset is {self.object_offset}; expected {reach} to "
                f"{0.5 - reach}, so that objects do not meet or leave the screen"
            )
        nearest = self.object_degrees - self.object_tolerance
        if not self.fixation_tolerance < nearest:
            raise InputError(
                f"fixation_tolerance is {self.fixation_tolerance}; expected below "
                f"{nearest}, from where on an object is chosen"
            )
        if self.image_folder:
            images_in(self.image_folder, self.object_pixels)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of the observation."""
        return (3, self.pixels, self.pixels)

    @property
    def object_pixels(self) -> int:
        """Side of an object."""
        return round(self.object_size * self.pixels)

    @property
    def object_degrees(self) -> float:
        """How far an object's centre lies from that of the screen."""
        return self.object_offset * self.screen_degrees

    @property
    def object_features(self) -> int:
        """As many as it takes to generate one."""
        return N_FEATURES

    @property
    def n_observations(self) -> int:
        """Three colours of each pixel."""
        return 3 * self.pixels**2

    @property
    def n_actions(self) -> int:
        """Left, right, and not at all."""
        return 3

    def object_corner(self, side: int) -> tuple[int, int]:
        """First row and column of an object on the screen, side LEFT or RIGHT."""
        offset = self.object_offset * (1 if side == RIGHT else -1)
        column = (0.5 + offset) * self.pixels - self.object_pixels / 2
        return (self.pixels - self.object_pixels) // 2, round(column)

    def columns_turned(self, gaze: Tensor) -> Tensor:
        """How many columns the screen lies off to the left, by the gaze in degrees."""
        return (gaze * (self.pixels / self.screen_degrees)).round().long()

    def turn(
        self, gaze: Tensor, speed: Tensor, action: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return gaze (degrees right of the centre) and speed after an action."""
        direction = (action == RIGHT).float() - (action == LEFT).float()
        speed = self.shift_degrees * direction + self.momentum * speed
        gaze = gaze + speed
        return gaze - 360 * (gaze / 360).round(), speed

    def begin(self, tape: Tape) -> "HarlowPixelsEpisodes":
        """Start the episodes of a tape, looking straight ahead."""
        return HarlowPixelsEpisodes(self, tape)


class HarlowPixelsEpisodes(GazeEpisodes):
    """Episodes in front of a screen.

    Attributes
    ----------
    gaze
        (..., episode) float32: degrees to the right of the screen's centre.
    """

    task: HarlowPixels

    def __init__(self, task: HarlowPixels, tape: Tape) -> None:
        self.gaze = torch.zeros_like(tape["good_choice"][0], dtype=torch.float32)
        self._speed = torch.zeros_like(self.gaze)
        self._screens = _screens(task, tape)
        super().__init__(task, tape)

    def _turn(self, action: Tensor) -> None:
        self.gaze, self._speed = self.task.turn(self.gaze, self._speed, action)

    def _place(self) -> Tensor:
        distance = (self.gaze.abs() - self.task.object_degrees).abs()
        at_object = distance <= self.task.object_tolerance
        side = (self.gaze > 0).long()  # LEFT is 0, RIGHT is 1
        place = torch.where(at_object, side, NOWHERE)
        at_cross = self.gaze.abs() <= self.task.fixation_tolerance
        return place.masked_fill(at_cross, CENTRE)

    def _look(self) -> Tensor:
        shown = torch.where(self.phase == FIXATION, CROSS, BLACK)
        objects = GOOD_LEFT + self._good_choice()
        shown = torch.where(self.phase == CHOICE, objects, shown)
        # The screens have a column of surround at either end: all that is beyond.
        n = self.task.pixels
        view = torch.arange(1, n + 1, device=shown.device)
        column = (view + self.task.columns_turned(self.gaze)[..., None]).clamp(0, n + 1)
        episode = torch.arange(shown.numel(), device=shown.device)
        # index_select: twice as fast as [episode, shown]
        which = episode * self._screens.shape[1] + shown.flatten()
        screen = self._screens.flatten(0, 1).index_select(0, which)
        column = column.view(-1, 1, 1, n).expand(-1, 3, n, -1)
        return screen.gather(-1, column).reshape(*shown.shape, -1)


def _screens(task: HarlowPixels, tape: Tape) -> Tensor:
    """All that the screen can show in each episode.

    Returns
    -------
    Tensor
        (episodes of all seeds, what it shows, channel, row, column), with a column of
        the surround at either end.
    """
    rewarded = tape["rewarded"][0].flatten(0, -2)
    unrewarded = tape["unrewarded"][0].flatten(0, -2)
    size, n = task.object_pixels, task.pixels
    if task.image_folder:
        images = images_in(task.image_folder, size).to(rewarded.device)
        good, bad = chosen_images(images, rewarded, unrewarded)
    else:
        good, bad = (generated_images(o, size) for o in (rewarded, unrewarded))
    screens = rewarded.new_zeros(len(rewarded), 4, 3, n, n)
    screens[:, CROSS] = _cross(task).to(screens.device)
    for shown, left, right in ((GOOD_LEFT, good, bad), (GOOD_RIGHT, bad, good)):
        for side, image in ((LEFT, left), (RIGHT, right)):
            row, column = task.object_corner(side)
            here = screens[:, shown, :, row : row + size, column : column + size]
            here.copy_(image)
    return torch.nn.functional.pad(screens, (1, 1), value=SURROUND)


def _cross(task: HarlowPixels) -> Tensor:
    """(channel, row, column): a red cross on black."""
    n = task.pixels
    middle = (torch.arange(n) + 0.5 - n / 2).abs()
    long = middle < max(task.cross_size * n / 2, 1)
    thin = middle < max(task.cross_size * n / 8, 1)
    cross = (long & thin[:, None]) | (thin & long[:, None])
    return cross * torch.tensor(RED)[:, None, None]
