"""The two-step task of Kool et al. 2016: certain transitions, and points that drift.

Kool, Cushman & Gershman 2016 (PLoS Comput Biol 12:e1005090), their novel paradigm; the
numbers are those of the authors' experiment (github wkool/tradeoffs).
"""

from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.drift import draw_steps, reflected
from pfc_metarl.tasks.stages import (
    CUE,
    FIXATE,
    FIXATION,
    STATE,
    StagedEpisodes,
    StagedTask,
)


@dataclass(frozen=True)
class KoolTwoStep(StagedTask):
    """Two-step task with two first-step states and certain transitions.

    **A trial.** (Fixation;) one of two pairs of spaceships appears, on the sides drawn
    for the trial; one ship of either pair always flies to second-step state 0, the
    other to state 1. The state pays its points of the moment. What is learned with one
    pair about a state holds for the other pair: a planner uses it at once, a model-free
    learner has to learn it again.

    **Actions.** 0 and 1, left and right; with ``fixation`` also 2, the central
    fixation. At the second-step state any action is accepted and has no effect.

    **Observation.** One-hot: second-step states 0 and 1; the four first-step cues, 2 *
    pair + side of the ship that flies to state 0; the fixation cue when in use. Blank
    (all zeros) after an invalid choice.

    **Reward.** On leaving the second-step state, its points times
    ``reward_per_point``. Points are whole numbers that drift as independent random
    walks with reflecting bounds: steps are Gaussian, rounded. One state starts above
    0, the other below. With ``fixation``, a wrong response to the fixation cue or the
    choice cue costs ``invalid_reward``; after a wrong response to the choice cue the
    trial has no second step and is not valid.

    **End.** After ``trials`` trials.

    Departures: a step of the walk that would cross both bounds turns at either, where
    the experiment cut it off (steps of more than four standard deviations).
    """

    points: tuple[int, int] = parameter(
        (-4, 5),
        "Kool et al. 2016, experiment's code: bounds of the walk",
        unit="points",
    )
    step_sd: float = parameter(
        2.0, "Kool et al. 2016, experiment's code", unit="points per trial"
    )
    reward_per_point: float = parameter(
        1 / 9,
        "guess: rewards span 1, as in the simulations of Kool et al. 2016, Fig. 11",
        unit="reward",
    )
    trials: int = parameter(
        125, "Kool et al. 2016, after 25 for practice", unit="trials"
    )
    fixation: bool = parameter(False, "Kool et al. 2016: none in the task")
    invalid_reward: float = parameter(
        -1.0, "Wang et al. 2018 (preprint), general Methods", unit="reward"
    )

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises
        ------
        InputError
            When a count is out of range, or the points leave no room for a walk or
            are worth nothing.
        """
        self.check_trials()
        low, high = self.points
        if not low < 0 < high:
            raise InputError(
                f"points is {self.points}; expected a whole number below 0 and one "
                "above"
            )
        if not 0 <= self.step_sd < high - low:
            raise InputError(
                f"step_sd is {self.step_sd}; expected 0 or more, "
                f"and less than the {high - low} points between the bounds"
            )
        if not (isfinite(self.reward_per_point) and self.reward_per_point > 0):
            raise InputError(
                f"reward_per_point is {self.reward_per_point}; expected more than 0"
            )

    @property
    def n_observations(self) -> int:
        """Two states, four choice cues, and the fixation cue where there is one."""
        return 6 + self.fixation

    @property
    def latents(self) -> dict[str, str]:
        """What is seen of the pair and its sides, and the states' points."""
        return {
            "pair": "pair of spaceships on offer",
            "choice_side": "side chosen, 0 left and 1 right",
            "points_0": "points that second-step state 0 pays (latent)",
            "points_1": "points that second-step state 1 pays (latent)",
        }

    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        """Draw pairs, sides and drifts.

        Returns
        -------
        Tape
            (trial, episode) int64: ``pair`` on offer; ``side`` of its ship that flies
            to state 0. (trial, episode, state) int64: ``points``.
        """
        shape, (low, high) = (self.trials, batch), self.points
        pair = torch.randint(2, shape, generator=generator)
        side = torch.randint(2, shape, generator=generator)
        above = torch.randint(1, high + 1, (batch,), generator=generator)
        below = torch.randint(low, 0, (batch,), generator=generator)
        first_is_above = torch.randint(2, (batch,), generator=generator) == 1
        start = torch.where(
            first_is_above, torch.stack([above, below]), torch.stack([below, above])
        )
        steps = draw_steps((*shape, 2), self.step_sd, generator).round().long()
        points = reflected(start.T + steps.cumsum(0), low, high)
        return {"pair": pair, "side": side, "points": points}

    def begin(self, tape: Tape) -> "KoolTwoStepEpisodes":
        """Start the episodes of a tape."""
        return KoolTwoStepEpisodes(self, tape)


class KoolTwoStepEpisodes(StagedEpisodes):
    """Episodes of the two-step task of Kool et al., played in lockstep."""

    def __init__(self, task: KoolTwoStep, tape: Tape) -> None:
        self.task = task
        cues = [STATE, STATE + 1, *range(CUE, CUE + 4)]
        if task.fixation:
            cues.append(FIXATION)
        super().__init__(task, tape, cues, like=tape["pair"][0])

    @property
    def pair(self) -> Tensor:
        """(..., episode): the pair of spaceships of this trial, which the cue shows."""
        return self.tape["pair"][self.trial]

    @property
    def side(self) -> Tensor:
        """(..., episode): the side of the ship that flies to state 0, on the cue."""
        return self.tape["side"][self.trial]

    def _choice_cue(self) -> Tensor:
        if self.trial == self.task.trials:
            return torch.zeros_like(self.observation)  # there is no further pair
        return self._show(CUE + 2 * self.pair + self.side)

    def _choose(self, action: Tensor) -> Tensor:
        state = action ^ self.side  # the ship's number is that of the state it flies to
        reward = torch.zeros_like(action, dtype=torch.float32)
        if self.task.fixation:
            invalid = action == FIXATE
            state = state.masked_fill(invalid, -1)
            reward = self._penalty * invalid
        self._choices.append(state)
        self._states.append(state)
        self.observation = self._show(STATE + state)
        return reward

    def _leave_state(self, action: Tensor) -> Tensor:
        state = self._states[-1]
        points0, points1 = self.tape["points"][self.trial].unbind(-1)
        points = torch.where(state == 1, points1, points0)
        reward = points.float() * self.task.reward_per_point
        if self.task.fixation:
            reward = reward.masked_fill(state < 0, 0.0)
        self._rewards.append(reward)
        return reward.clone()  # what is recorded stays ours

    def trials(self) -> dict[str, Tensor]:
        """Return the trials finished so far; see :meth:`Episodes.trials`.

        ``choice`` is the spaceship of the pair, by the state it flies to. ``reward`` is
        NaN in trials that are not valid; penalties for invalid responses are not in it.

        Raises
        ------
        InputError
            When no trial is finished yet.
        """
        done = self._finished()
        choice = torch.stack(self._choices[:done])
        side = self.tape["side"][:done]
        points = self.tape["points"][:done]
        good = (points[..., 1] > points[..., 0]).long()
        good = good.masked_fill(points[..., 0] == points[..., 1], -1)
        valid = choice >= 0
        return {
            "choice": choice,
            "state2": torch.stack(self._states[:done]),
            "reward": torch.where(valid, torch.stack(self._rewards), torch.nan),
            "valid": valid.long(),
            "good_state": good,
            "good_choice": good,
            "pair": self.tape["pair"][:done],
            "choice_side": torch.where(valid, choice ^ side, -1),
            "points_0": points[..., 0],
            "points_1": points[..., 1],
        }
