"""The hybrid of model-based and model-free learning, fitted to people's choices.

Daw, Gershman, Seymour, Dayan & Dolan 2011 (Neuron 69:1204), in the form of Kool,
Cushman & Gershman 2016 (PLoS Comput Biol 12:e1005090).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.daw_two_step import DawTwoStep, DawTwoStepEpisodes
from pfc_metarl.tasks.kool_two_step import KoolTwoStep, KoolTwoStepEpisodes
from pfc_metarl.tasks.observers.base import Player
from pfc_metarl.tasks.stages import FIXATE


@dataclass(frozen=True)
class HybridLearner(Player):
    """Mixes planning over known transitions with SARSA(lambda), and chooses by softmax.

    Values start at 0. In a trial with first-step state f, choice a, second-step state
    s, its option c and reward r, with the values before the trial,

        delta_1 = Q_2(s, c) - Q_1(f, a)
        delta_2 = r - Q_2(s, c)
        Q_1(f, a) += alpha (delta_1 + lambda delta_2)
        Q_2(s, c) += alpha delta_2

    and choices are softmax, with inverse temperature beta, of Q_2 at the second step
    and, at the first, of

        w sum_s P(s | a) max_c Q_2(s, c) + (1 - w) Q_1(f, a).

    The defaults are the middle of the values for which Kool et al. 2016 simulated what
    planning earns (their Fig. 3 and 11: beta 0 to 10, alpha 0 to 1; lambda 0.5).

    Parameters
    ----------
    task
        Daw's or Kool's two-step task.
    model_based_weight
        w, from 0 (model-free) to 1 (model-based).
    learning_rate
        alpha, from 0 to 1.
    eligibility
        lambda, from 0 to 1.
    inverse_temperature
        beta, per unit of reward.
    """

    task: DawTwoStep | KoolTwoStep
    model_based_weight: float = 0.5
    learning_rate: float = 0.5
    eligibility: float = 0.5
    inverse_temperature: float = 5.0

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises
        ------
        InputError
            When one is out of range.
        """
        for name in ("model_based_weight", "learning_rate", "eligibility"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected 0 to 1")
        if not self.inverse_temperature >= 0:
            raise InputError(
                f"inverse_temperature is {self.inverse_temperature}; expected 0 or more"
            )

    def play(
        self, tape: Tape, generator: torch.Generator
    ) -> DawTwoStepEpisodes | KoolTwoStepEpisodes:
        """Play the episodes of a tape; see :meth:`Player.play`."""
        episodes = self.task.begin(tape)
        shape = episodes.observation.shape[:-1]
        first_values = torch.zeros(*shape, 2, 2, dtype=torch.float64)
        second_values = torch.zeros_like(first_values)
        for _ in range(self.task.trials):
            if self.task.fixation:
                episodes.step(torch.full(shape, FIXATE))
            first_state = _first_state(episodes)
            learned = _row(first_values, first_state)
            weight = self.model_based_weight
            value = weight * self._planned(second_values) + (1 - weight) * learned
            choice = self._softmax(value, generator)
            if isinstance(episodes, KoolTwoStepEpisodes):
                episodes.step(choice ^ episodes.side)
                option = torch.zeros_like(choice)  # its states have one option
            else:
                episodes.step(choice)
                of_state = _row(second_values, episodes.last_state)
                option = self._softmax(of_state, generator)
            state = episodes.last_state
            _, reward = episodes.step(option)
            was_first, was_second = (
                _entry(first_values, first_state, choice),
                _entry(second_values, state, option),
            )
            second_error = reward - was_second
            first_error = was_second - was_first + self.eligibility * second_error
            _add(first_values, first_state, choice, self.learning_rate * first_error)
            _add(second_values, state, option, self.learning_rate * second_error)
        return episodes

    def _planned(self, second_values: Tensor) -> Tensor:
        """Value of either choice by the known transitions, (..., episode, choice)."""
        if isinstance(self.task, KoolTwoStep):
            return second_values[..., 0]  # a ship's number is that of its state
        best, p = second_values.amax(-1), self.task.p_common
        return p * best + (1 - p) * best.flip(-1)

    def _softmax(self, value: Tensor, generator: torch.Generator) -> Tensor:
        """Choose between two options."""
        preference = self.inverse_temperature * (value[..., 1] - value[..., 0])
        lot = torch.rand(preference.shape, generator=generator, dtype=torch.float64)
        return (lot < preference.sigmoid()).long()


def _first_state(episodes: DawTwoStepEpisodes | KoolTwoStepEpisodes) -> Tensor:
    if isinstance(episodes, KoolTwoStepEpisodes):
        return episodes.pair
    return torch.zeros(episodes.observation.shape[:-1], dtype=torch.int64)


def _row(values: Tensor, state: Tensor) -> Tensor:
    """Return the values of one state's options in each episode."""
    index = state[..., None, None].expand(*state.shape, 1, 2)
    return values.gather(-2, index).squeeze(-2)


def _entry(values: Tensor, state: Tensor, option: Tensor) -> Tensor:
    flat = (2 * state + option).unsqueeze(-1)
    return values.flatten(-2).gather(-1, flat).squeeze(-1)


def _add(values: Tensor, state: Tensor, option: Tensor, change: Tensor) -> None:
    flat = (2 * state + option).unsqueeze(-1)
    values.flatten(-2).scatter_add_(-1, flat, change.unsqueeze(-1))
