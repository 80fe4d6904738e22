"""The ideal observer of Daw's two-step task: a filter over drifting probabilities."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.daw_two_step import DawTwoStep, DawTwoStepEpisodes
from pfc_metarl.tasks.observers.bandits import choose_highest
from pfc_metarl.tasks.observers.base import Player
from pfc_metarl.tasks.stages import FIXATE


@dataclass(frozen=True)
class DawTwoStepObserver(Player):
    """Bayesian filter of Daw's two-step task, exact up to its grid, with greedy choice.

    The four probabilities drift independently and an outcome tells of one alone, so
    that the belief is a density for each, here at ``n_points`` points x_i in the middle
    of equal parts of the range. After a reward of the option chosen,

        b'(x_j) = sum_i K(x_i, x_j) b(x_i) x_i / normaliser,

    with 1 - x_i after none, and b'(x_j) = sum_i K(x_i, x_j) b(x_i) for the others. K is
    the density of a step of the reflected walk: Gaussians about x_j and its mirror
    images. The sum is the midpoint rule on a smooth function, periodic with its mirror
    image, and so very accurate once points are no further apart than a step.

    Chosen are the option of the highest expected probability, and first the action
    after which that is highest on average, ties by chance. Greedy is not quite optimal,
    as to look at an option that may have improved can be worth its price; a bonus of
    0.1 to 0.4 standard deviations for what is uncertain changed the reward per trial by
    less than 0.0005.

    Parameters
    ----------
    task
        Any version of the task.
    n_points
        Points per probability.
    """

    task: DawTwoStep
    n_points: int = 40

    def __post_init__(self) -> None:
        """Check the grid.

        Raises
        ------
        InputError
            When its points are further apart than a step of the walk.
        """
        low, high = self.task.bounds
        if self.task.step_sd > 0 and self.n_points * self.task.step_sd < high - low:
            raise InputError(
                f"n_points is {self.n_points}; expected "
                f"{int((high - low) / self.task.step_sd) + 1} or more, "
                "one for each standard deviation of a step"
            )

    def play(self, tape: Tape, generator: torch.Generator) -> DawTwoStepEpisodes:
        """Play the episodes of a tape.

        Parameters
        ----------
        tape
            Drawn from the task; tensors (trial, ..., episode) and more.
        generator
            Breaks ties.

        Returns
        -------
        DawTwoStepEpisodes
            The episodes, finished.
        """
        episodes = self.task.begin(tape)
        shape = (*tape["p_reward"].shape[1:], self.n_points)
        belief = torch.full(shape, 1 / self.n_points, dtype=torch.float64)
        for _ in range(self.task.trials):
            mean = (belief @ self._points).unflatten(-1, (2, 2))
            if self.task.fixation:
                episodes.step(torch.full(shape[:-2], FIXATE))
            episodes.step(choose_highest(self._first_values(mean), generator))
            state = episodes.last_state.unsqueeze(-1)
            of_state = mean.gather(-2, state.unsqueeze(-1).expand(*state.shape, 2))
            option = choose_highest(of_state.squeeze(-2), generator)
            _, reward = episodes.step(option)
            belief = self._update(belief, 2 * state.squeeze(-1) + option, reward)
        return episodes

    def _first_values(self, mean: Tensor) -> Tensor:
        """Return what either first choice is worth, by what the options are."""
        best, p = mean.amax(-1), self.task.p_common
        return p * best + (1 - p) * best.flip(-1)

    def _update(self, belief: Tensor, chosen: Tensor, reward: Tensor) -> Tensor:
        paid = reward[..., None, None] > 0
        likelihood = torch.where(paid, self._points, 1 - self._points)
        told = torch.arange(4) == chosen.unsqueeze(-1)  # of which option
        posterior = torch.where(told.unsqueeze(-1), belief * likelihood, belief)
        return posterior / posterior.sum(-1, keepdim=True) @ self._step

    @cached_property
    def _points(self) -> Tensor:
        """(point,) float64 probabilities."""
        low, high = self.task.bounds
        part = (torch.arange(self.n_points, dtype=torch.float64) + 0.5) / self.n_points
        return low + (high - low) * part

    @cached_property
    def _step(self) -> Tensor:
        """(point, point): a step of the reflected walk, from row to column."""
        if self.task.step_sd == 0:
            return torch.eye(self.n_points, dtype=torch.float64)
        low, high = self.task.bounds
        turn = 2 * (high - low)
        start, end = self._points[:, None], self._points
        kernel = sum(
            (-0.5 * ((image + k * turn - start) / self.task.step_sd) ** 2).exp()
            for image in (end, 2 * low - end)
            for k in (-1, 0, 1)
        )
        assert isinstance(kernel, Tensor)
        return kernel / kernel.sum(1, keepdim=True)
