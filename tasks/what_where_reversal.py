"""What/where reversal: does an image pay or a location, and which one just now?

Bartolo, Saunders, Mitz & Averbeck 2020 (J Neurosci 40:1668; Neuron 106:1044), whose
data are monkey_reversal_bartolo2020; the task is that of Costa, Tran, Turchi &
Averbeck 2015 (J Neurosci 35:2407) and later.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.arms import ArmEpisodes, ArmTask, good_choice
from pfc_metarl.tasks.base import Tape

WHAT, WHERE = 0, 1


@dataclass(frozen=True)
class WhatWhereReversal(ArmTask):
    """A block of trials in which one image, or one location, pays more.

    **A trial.** (Fixation;) two images appear left and right, sides drawn for the
    trial; choice of a location. In a *what* block one image pays more wherever it is,
    in a *where* block one location whatever is there. Once in the middle of the block
    the better one becomes the worse. Neither the kind of block nor the reversal is
    signalled.

    **Actions.** 0 left and 1 right; with ``fixation`` also 2, the central fixation.

    **Observation.** One-hot: image 0 on the left, image 1 on the left; then the
    fixation cue where there is one.

    **Reward.** 1 or 0. With ``fixation``, a wrong response to the fixation cue or the
    choice cue costs ``invalid_reward``, and in the latter case the trial is not valid.

    **End.** After ``trials`` trials: an episode is one block, with images of its own.
    Kind and better option are drawn at random.

    Departures: monkeys did up to 24 such blocks a day, always with new images.
    """

    p_reward: tuple[float, float] = parameter(
        (0.7, 0.3),
        "Bartolo et al. 2020; 0.70 and 0.30 in the data",
        unit="probability of reward of the better and the worse option",
    )
    reversal_trials: tuple[int, int] = parameter(
        (31, 50),
        "Bartolo et al. 2020, data: first and last of 71 reversals, the block's first "
        "trial being 1",
        unit="trial, all from first to last alike probable",
    )
    p_what: float = parameter(
        0.5, "Bartolo et al. 2020: 12 what and 12 where blocks", unit="probability"
    )
    trials: int = parameter(80, "Bartolo et al. 2020, data", unit="trials")
    fixation: bool = parameter(
        False, "guess: left out for speed; monkeys fixated before the images came"
    )
    invalid_reward: float = parameter(
        -1.0, "Wang et al. 2018 (preprint), general Methods", unit="reward"
    )
    trial_number = False
    """Not shown."""

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises
        ------
        InputError
            When a probability or a trial is out of range.
        """
        super().__post_init__()
        good, bad = self.p_reward
        if not 0 <= bad <= good <= 1:
            raise InputError(
                f"p_reward is {self.p_reward}; expected two probabilities, "
                "the better first"
            )
        first, last = self.reversal_trials
        if not 2 <= first <= last:
            raise InputError(
                f"reversal_trials is {self.reversal_trials}; expected two trials from "
                "the second on, the earlier first"
            )
        if not 0 <= self.p_what <= 1:
            raise InputError(f"p_what is {self.p_what}; expected 0 to 1")

    @property
    def arms(self) -> int:
        """Two locations."""
        return 2

    @property
    def n_observations(self) -> int:
        """Two arrangements of the images, and the fixation cue where there is one."""
        return 2 + self.fixation

    @property
    def latents(self) -> dict[str, str]:
        """What is seen of the images, the hidden rule, and the locations' chances."""
        return {
            "image_left": "image on the left",
            "choice_image": "image chosen",
            "block_type": "what pays: 0 an image, 1 a location (latent)",
            "best": "image or location that pays more (latent)",
            "p_reward_0": "probability that the left pays (latent)",
            "p_reward_1": "probability that the right pays (latent)",
        }

    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        """Draw the rule, its reversal, the images' sides and outcomes.

        Returns
        -------
        Tape
            (trial, episode) int64: ``image_left``; ``block_type``, 0 what and 1 where;
            ``best``, the image or location that pays more. (trial, episode, location)
            float32: ``p_reward``, and ``payoff``, what each would pay.
        """
        shape = (self.trials, batch)
        is_what = torch.rand(batch, generator=generator) < self.p_what
        block_type = torch.where(is_what, WHAT, WHERE).expand(shape)
        first_best = torch.randint(2, (batch,), generator=generator)
        first, last = self.reversal_trials
        reversal = torch.randint(first, last + 1, (batch,), generator=generator)
        best = first_best ^ (torch.arange(1, self.trials + 1)[:, None] >= reversal)
        image_left = torch.randint(2, shape, generator=generator)
        best_location = torch.where(block_type == WHAT, best ^ image_left, best)
        is_best = best_location.unsqueeze(-1) == torch.arange(2)
        p_reward = torch.where(is_best, *self.p_reward)
        payoff = torch.rand(p_reward.shape, generator=generator) < p_reward
        return {
            "image_left": image_left,
            "block_type": block_type,
            "best": best,
            "p_reward": p_reward,
            "payoff": payoff.float(),
        }

    def begin(self, tape: Tape) -> "WhatWhereEpisodes":
        """Start the episodes of a tape."""
        return WhatWhereEpisodes(self, tape)

    def latent_columns(self, tape: Tape) -> dict[str, Tensor]:
        """Return all columns but what was done and earned."""
        p_reward = tape["p_reward"]
        return {
            **{name: tape[name] for name in ("image_left", "block_type", "best")},
            "p_reward_0": p_reward[..., 0],
            "p_reward_1": p_reward[..., 1],
            "good_choice": good_choice(p_reward),
        }


class WhatWhereEpisodes(ArmEpisodes):
    """Blocks of the what/where task, played in lockstep."""

    task: WhatWhereReversal

    def __init__(self, task: WhatWhereReversal, tape: Tape) -> None:
        device = tape["payoff"].device
        self._shown = torch.eye(3, device=device)[:, : task.n_observations]
        super().__init__(task, tape)

    @property
    def image_left(self) -> Tensor:
        """(..., episode): the image on the left, as the choice cue shows."""
        return self.tape["image_left"][self.trial]

    def trials(self) -> dict[str, Tensor]:
        """Return the trials finished so far; see :meth:`ArmEpisodes.trials`."""
        columns = super().trials()
        image = columns["choice"] ^ columns["image_left"]
        return {**columns, "choice_image": image.clamp(min=-1)}

    def _observe(self) -> Tensor:
        """Return the images' sides, or the fixation cue."""
        if self.task.fixation and self.phase == 0:
            shape = self.tape["image_left"].shape[1:]
            return self._shown[2].expand(*shape, -1).clone()
        if self.trial == self.task.trials:  # there are no further images
            return torch.zeros_like(self.observation)
        image = self.image_left
        return self._shown.index_select(0, image.flatten()).view(*image.shape, -1)
