"""The two-step task of Daw et al. 2011: two choices, and payoffs that drift.

Daw, Gershman, Seymour, Dayan & Dolan 2011 (Neuron 69:1204); Kool, Cushman & Gershman
2016 (PLoS Comput Biol 12:e1005090), whose data are human_twostep_kool2016.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.drift import draw_steps, reflected
from pfc_metarl.tasks.stages import (
    CHOICE,
    FIXATE,
    FIXATION,
    STATE,
    StagedEpisodes,
    StagedTask,
)


@dataclass(frozen=True)
class DawTwoStep(StagedTask):
    """Two-step task with a second-step choice and drifting reward probabilities.

    **A trial.** (Fixation;) choice between two actions; one of two second-step states
    appears, the choice's own with probability ``p_common``; choice between that state's
    two options, each of which pays with a probability of its own. The four
    probabilities drift as independent Gaussian random walks with reflecting bounds.

    **Actions.** 0 and 1, the choices at either step; with ``fixation`` also 2, the
    central fixation.

    **Observation.** One-hot: choice cue, second-step states 0 and 1, and the fixation
    cue when in use. Blank (all zeros) after an invalid first choice.

    **Reward.** 1 or 0 on the second choice. With ``fixation``, a wrong response to any
    cue costs ``invalid_reward``; after a wrong response at either choice the trial pays
    nothing and is not valid. At the blank any action is accepted.

    **End.** After ``trials`` trials.

    Departures: actions choose options, not sides of a screen; which choice commonly
    leads where, told to participants beforehand, is the same in all episodes.
    """

    p_common: float = parameter(0.7, "Daw et al. 2011", unit="probability")
    bounds: tuple[float, float] = parameter(
        (0.25, 0.75), "Daw et al. 2011", unit="probability of reward"
    )
    step_sd: float = parameter(
        0.025,
        "Daw et al. 2011; 0.030 in the data of Kool et al. 2016",
        unit="probability of reward per trial",
    )
    trials: int = parameter(
        201, "Daw et al. 2011, as simulated by Kool et al. 2016", unit="trials"
    )
    fixation: bool = parameter(False, "Daw et al. 2011: none in the task")
    invalid_reward: float = parameter(
        -1.0, "Wang et al. 2018 (preprint), general Methods", unit="reward"
    )
    second_phase = "choice2"

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises
        ------
        InputError
            When a probability or a count is out of range, or a walk has no room.
        """
        self.check_trials()
        if not 0 <= self.p_common <= 1:
            raise InputError(f"p_common is {self.p_common}; expected 0 to 1")
        low, high = self.bounds
        if not 0 <= low < high <= 1:
            raise InputError(
                f"bounds is {self.bounds}; expected two probabilities, the lower first"
            )
        if not 0 <= self.step_sd < high - low:
            raise InputError(
                f"step_sd is {self.step_sd}; expected 0 or more, "
                f"and less than the {high - low:g} between the bounds"
            )

    @property
    def n_observations(self) -> int:
        """Choice cue, two states, and the fixation cue where there is one."""
        return 3 + self.fixation

    @property
    def latents(self) -> dict[str, str]:
        """The options' probabilities."""
        return {
            f"p_reward_s{state}a{option}": "probability that the option "
            f"{option} of second-step state {state} pays (latent)"
            for state in (0, 1)
            for option in (0, 1)
        }

    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        """Draw transitions, drifts and outcomes.

        The walks start anywhere between the bounds, all alike probable, and so are as
        likely anywhere in every trial.

        Returns
        -------
        Tape
            (trial, episode): ``common`` bool; ``flip`` int64, 1 where state 2 differs
            from the choice. (trial, episode, 2 * state + option) float32: ``p_reward``,
            and ``outcome``, the reward each option would pay.
        """
        common = torch.rand((self.trials, batch), generator=generator) < self.p_common
        low, high = self.bounds
        start = torch.rand((batch, 4), generator=generator) * (high - low) + low
        steps = draw_steps((self.trials, batch, 4), self.step_sd, generator)
        p_reward = reflected(start + steps.cumsum(0), low, high)
        outcome = torch.rand(p_reward.shape, generator=generator) < p_reward
        return {
            "common": common,
            "flip": (~common).long(),
            "p_reward": p_reward,
            "outcome": outcome.float(),
        }

    def begin(self, tape: Tape) -> "DawTwoStepEpisodes":
        """Start the episodes of a tape."""
        return DawTwoStepEpisodes(self, tape)


class DawTwoStepEpisodes(StagedEpisodes):
    """Episodes of the two-step task of Daw et al., played in lockstep."""

    def __init__(self, task: DawTwoStep, tape: Tape) -> None:
        self.task = task
        self._second_choices: list[Tensor] = []
        cues = [CHOICE, STATE, STATE + 1, *([FIXATION] if task.fixation else [])]
        super().__init__(task, tape, cues, like=tape["flip"][0])

    def _choice_cue(self) -> Tensor:
        return self._alike(CHOICE)

    def _choose(self, action: Tensor) -> Tensor:
        choice, state = action.clone(), action ^ self.tape["flip"][self.trial]
        reward = torch.zeros_like(action, dtype=torch.float32)
        if self.task.fixation:
            invalid = action == FIXATE
            choice = choice.masked_fill(invalid, -1)
            state = state.masked_fill(invalid, -1)
            reward = self._penalty * invalid
        self._choices.append(choice)
        self._states.append(state)
        self.observation = self._show(STATE + state)
        return reward

    def _leave_state(self, action: Tensor) -> Tensor:
        state, outcome = self._states[-1], self.tape["outcome"][self.trial]
        if not self.task.fixation:
            reward = _of_option(outcome, state, action)
            self._second_choices.append(action.clone())
            self._rewards.append(reward)
            return reward.clone()  # what is recorded stays ours
        missed, wrong = state < 0, action == FIXATE
        invalid = missed | wrong
        earned = _of_option(outcome, state.clamp(min=0), action.masked_fill(wrong, 0))
        self._second_choices.append(action.masked_fill(invalid, -1))
        self._rewards.append(earned.masked_fill(invalid, torch.nan))
        penalty = self._penalty * (wrong & ~missed)
        return torch.where(invalid, penalty, earned)

    def trials(self) -> dict[str, Tensor]:
        """Return the trials finished so far; see :meth:`Episodes.trials`.

        ``reward`` is the option's, NaN in trials that are not valid; penalties for
        invalid responses are not in it. ``good_state`` has the best option, and
        ``good_choice`` commonly leads there.

        Raises
        ------
        InputError
            When no trial is finished yet.
        """
        done = self._finished()
        choice = torch.stack(self._choices[:done])
        second_choice = torch.stack(self._second_choices[:done])
        p_reward = self.tape["p_reward"][:done]
        best = p_reward.unflatten(-1, (2, 2)).amax(-1)  # of each state
        good = (best[..., 1] > best[..., 0]).long()
        good = good.masked_fill(best[..., 0] == best[..., 1], -1)
        common = self.tape["common"][:done].long()
        return {
            "choice": choice,
            "state2": torch.stack(self._states[:done]),
            "transition_common": torch.where(choice >= 0, common, -1),
            "choice2": second_choice,
            "reward": torch.stack(self._rewards),
            "valid": (second_choice >= 0).long(),
            "good_state": good,
            "good_choice": good,
            **dict(zip(self.task.latents, p_reward.unbind(-1), strict=True)),
        }


def _of_option(values: Tensor, state: Tensor, option: Tensor) -> Tensor:
    """Return the value of one option in each episode, (..., episode)."""
    return values.gather(-1, (2 * state + option).unsqueeze(-1)).squeeze(-1)
