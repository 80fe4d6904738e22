"""Harlow's learning sets: two new objects, one of which pays through the episode.

Harlow 1949 (Psychol Rev 56:51); Wang et al. 2018 (Nat Neurosci 21:860), simulation 5.
Here an object is a vector of features. The same problem with a gaze that has to be
moved: :mod:`pfc_metarl.tasks.harlow_gaze`, and with pixels:
:mod:`pfc_metarl.tasks.harlow_pixels`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.arms import ArmEpisodes, ArmTask
from pfc_metarl.tasks.base import Tape

LEFT, RIGHT = 0, 1


def draw_objects(
    trials: int, batch: int, n_features: int, generator: torch.Generator
) -> Tape:
    """Draw two objects per episode, and the side of the one that pays per trial.

    Returns
    -------
    Tape
        ``good_choice`` (trial, episode) int64, the side of the rewarded object;
        ``rewarded`` and ``unrewarded`` (trial, episode, feature) float32, uniform from
        0 to 1 and the same in all trials: the objects.
    """
    pair = torch.rand((2, batch, n_features), generator=generator)
    rewarded, unrewarded = pair.expand(trials, -1, -1, -1).unbind(1)
    return {
        "good_choice": torch.randint(2, (trials, batch), generator=generator),
        "rewarded": rewarded,
        "unrewarded": unrewarded,
    }


def left_and_right(
    good_choice: Tensor, rewarded: Tensor, unrewarded: Tensor
) -> tuple[Tensor, Tensor]:
    """Put the two objects on their sides.

    Parameters
    ----------
    good_choice
        (..., episode): side of the rewarded object.
    rewarded, unrewarded
        (..., episode, feature).
    """
    on_left = (good_choice == LEFT).unsqueeze(-1)
    left = torch.where(on_left, rewarded, unrewarded)
    return left, torch.where(on_left, unrewarded, rewarded)


def check_object_rewards(correct_reward: float, wrong_reward: float) -> None:
    """Check that the rewarded object is worth more.

    Raises
    ------
    InputError
        When it is not.
    """
    if not correct_reward > wrong_reward:
        raise InputError(
            f"correct_reward is {correct_reward} and wrong_reward {wrong_reward}; "
            "expected the first to be higher"
        )


@dataclass(frozen=True)
class Harlow(ArmTask):
    """Harlow's learning sets with objects as vectors of features.

    **A trial.** (Fixation;) choice between the object on the left and the one on the
    right. One of the episode's two objects pays on every trial, the other never; which
    side it lies on is drawn anew on every trial. Both objects are new in every episode,
    so that nothing but the rule can be carried from one to the next.

    **Actions.** 0 left, 1 right; with ``fixation`` also 2, the central fixation.

    **Observation.** One-hot fixation and choice cues, where there is a fixation; the
    trial number, where asked for; the features of the left object, then those of the
    right. There are no objects at fixation.

    **Reward.** ``correct_reward`` or ``wrong_reward``. With ``fixation``, a wrong
    response to the fixation cue or the choice costs ``invalid_reward``, and in the
    latter case the trial is not valid.

    **End.** After ``trials`` trials.

    Departures: the papers show images on a screen that the agent moves its view over.
    """

    n_features: int = parameter(
        4,
        "guess: the papers use images; with 4, two objects are hardly ever alike, and "
        "the task is learned sooner than with 1, 8 or 16",
        unit="features",
    )
    correct_reward: float = parameter(
        1.0, "Wang et al. 2016, Harlow task", unit="reward"
    )
    wrong_reward: float = parameter(
        -1.0, "Wang et al. 2016, Harlow task", unit="reward"
    )
    trials: int = parameter(6, "Harlow 1949; Wang et al. 2018, Fig. 6", unit="trials")
    trial_number: bool = parameter(
        False, "Wang et al. 2018 (preprint): not among the inputs"
    )
    fixation: bool = parameter(
        False, "guess: left out for speed; Wang et al. 2018 have a fixation cross"
    )
    invalid_reward: float = parameter(
        -1.0, "Wang et al. 2018 (preprint), general Methods", unit="reward"
    )

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises
        ------
        InputError
            When an object has no feature, the rewarded one is not worth more, or there
            is no trial.
        """
        super().__post_init__()
        if self.n_features < 1:
            raise InputError(f"n_features is {self.n_features}; expected 1 or more")
        check_object_rewards(self.correct_reward, self.wrong_reward)

    @property
    def arms(self) -> int:
        """Two sides."""
        return 2

    @property
    def n_observations(self) -> int:
        """Cues and trial number, where there are any, and two objects' features."""
        return super().n_observations + 2 * self.n_features

    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        """Draw objects and their sides.

        Returns
        -------
        Tape
            That of :func:`draw_objects`, and ``payoff`` (trial, episode, side) float32.
        """
        tape = draw_objects(self.trials, batch, self.n_features, generator)
        good = torch.arange(2) == tape["good_choice"].unsqueeze(-1)
        payoff = torch.where(good, float(self.correct_reward), float(self.wrong_reward))
        return {**tape, "payoff": payoff}

    def begin(self, tape: Tape) -> "HarlowEpisodes":
        """Start the episodes of a tape."""
        return HarlowEpisodes(self, tape)

    def latent_columns(self, tape: Tape) -> dict[str, Tensor]:
        """Return ``good_choice``, the side of the rewarded object."""
        return {"good_choice": tape["good_choice"]}


class HarlowEpisodes(ArmEpisodes):
    """Episodes with two objects on show, played in lockstep."""

    def _observe(self) -> Tensor:
        objects = self._objects()
        if self.trial == self.task.trials or self.phase < self.task.steps_per_trial - 1:
            objects = torch.zeros_like(objects)
        return torch.cat([super()._observe(), objects], dim=-1)

    def _objects(self) -> Tensor:
        trial = min(self.trial, self.task.trials - 1)
        return torch.cat(
            left_and_right(
                self.tape["good_choice"][trial],
                self.tape["rewarded"][trial],
                self.tape["unrewarded"][trial],
            ),
            dim=-1,
        )
