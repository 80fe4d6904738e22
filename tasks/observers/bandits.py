"""Classic players of bandits: by an index of each arm, or by the last outcome.

They know what they chose and earned, and nothing else. Payoffs are 0 or 1.
"""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.arms import ArmEpisodes, ArmTask
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.observers.base import Player

CLOSE = 1e-9  # indices that differ by less are tied


def choose_highest(index: Tensor, generator: torch.Generator) -> Tensor:
    """Choose the arm of the highest index, ties by chance.

    Parameters
    ----------
    index
        (..., arm) float64; may be infinite.
    generator
        Breaks ties.

    Returns
    -------
    Tensor
        (...) int64.
    """
    best = index >= index.amax(-1, keepdim=True) - CLOSE
    lot = torch.rand(index.shape, generator=generator, dtype=torch.float64)
    return lot.masked_fill(~best, -1.0).argmax(-1)


def play_trial(episodes: ArmEpisodes, choice: Tensor) -> Tensor:
    """Play one trial, with its fixation if there is one.

    Returns
    -------
    Tensor
        (..., episode): the reward of the choice.
    """
    if episodes.task.fixation:
        episodes.step(torch.full_like(choice, episodes.task.arms))
    _, reward = episodes.step(choice)
    return reward


@dataclass(frozen=True)
class IndexPlayer(Player):
    """Chooses the arm of the highest index, ties by chance.

    The index depends on how often each arm was chosen and how often it paid.
    """

    task: ArmTask

    @abstractmethod
    def index(self, wins: Tensor, pulls: Tensor, generator: torch.Generator) -> Tensor:
        """Return the index of every arm.

        Parameters
        ----------
        wins, pulls
            (..., episode, arm) float64: how often each arm paid and was chosen.
        generator
            For players that sample.

        Returns
        -------
        Tensor
            (..., episode, arm) float64.
        """

    def play(self, tape: Tape, generator: torch.Generator) -> ArmEpisodes:
        """Play the episodes of a tape; see :meth:`Player.play`."""
        episodes = self.task.begin(tape)
        wins = torch.zeros_like(tape["payoff"][0], dtype=torch.float64)
        pulls = torch.zeros_like(wins)
        for _ in range(self.task.trials):
            choice = choose_highest(self.index(wins, pulls, generator), generator)
            reward = play_trial(episodes, choice).double()
            arm = choice.unsqueeze(-1)
            wins.scatter_add_(-1, arm, reward.unsqueeze(-1))
            pulls.scatter_add_(-1, arm, torch.ones_like(reward).unsqueeze(-1))
        return episodes


@dataclass(frozen=True)
class RandomPlayer(IndexPlayer):
    """Chooses any arm, all alike probable."""

    def index(self, wins: Tensor, pulls: Tensor, generator: torch.Generator) -> Tensor:
        """Return the same index for all arms."""
        return torch.zeros_like(pulls)


@dataclass(frozen=True)
class ThompsonSampling(IndexPlayer):
    """Samples the arms' probabilities from its belief, and chooses the best.

    The belief about each arm is a Beta(1 + wins, 1 + losses), the arms taken for
    independent, each uniform at first (Thompson 1933 Biometrika 25:285; the reference
    of Wang et al. 2016).
    """

    def index(self, wins: Tensor, pulls: Tensor, generator: torch.Generator) -> Tensor:
        """Return a sample of each arm's probability."""
        shape = torch.stack([1 + wins, 1 + pulls - wins])
        gamma = torch._standard_gamma(shape, generator=generator)
        return gamma[0] / gamma.sum(0)


@dataclass(frozen=True)
class UCB1(IndexPlayer):
    """Chooses by mean payoff and a bonus for what is little known.

    The index of arm i, chosen n_i times in n trials, is its mean payoff plus
    sqrt(``bonus`` log n / n_i), infinite while n_i is 0. Wang et al. 2016 have a bonus
    of 1; Auer, Cesa-Bianchi & Fischer 2002 (Mach Learn 47:235) of 2.
    """

    bonus: float = 1.0

    def __post_init__(self) -> None:
        """Check the bonus.

        Raises
        ------
        InputError
            When it is negative or not a number.
        """
        if not self.bonus >= 0:
            raise InputError(f"bonus is {self.bonus}; expected 0 or more")

    def index(self, wins: Tensor, pulls: Tensor, generator: torch.Generator) -> Tensor:
        """Return the upper confidence bound of each arm."""
        tried = pulls.clamp(min=1)
        total = pulls.sum(-1, keepdim=True).clamp(min=1)
        bound = wins / tried + (self.bonus * total.log() / tried).sqrt()
        return bound.masked_fill(pulls == 0, torch.inf)


@dataclass(frozen=True)
class WinStayLoseShift(Player):
    """Repeats what paid, and leaves what did not for any of the other arms.

    The best that can be done with two correlated arms by remembering one trial
    (Robbins 1952 Bull Am Math Soc 58:527).
    """

    task: ArmTask

    def play(self, tape: Tape, generator: torch.Generator) -> ArmEpisodes:
        """Play the episodes of a tape; see :meth:`Player.play`."""
        episodes, arms = self.task.begin(tape), self.task.arms
        shape = tape["payoff"].shape[1:-1]
        choice = torch.randint(arms, shape, generator=generator)
        for _ in range(self.task.trials):
            lost = play_trial(episodes, choice) <= 0
            shift = torch.randint(1, arms, shape, generator=generator)
            choice = torch.where(lost, (choice + shift) % arms, choice)
        return episodes


@dataclass(frozen=True)
class RescorlaWagner(Player):
    """Learns the value of the arm chosen by a delta rule, and chooses by softmax.

    With reward r of the arm a chosen, V_a <- V_a + ``learning_rate`` (r - V_a), from
    V = 1/2 for each, and P(a) proportional to exp(``inverse_temperature`` V_a). Of all
    learning rates, 0.5 did best on the restless bandit of Wang et al. 2016; the inverse
    temperature is a guess, near the best for ours.
    """

    task: ArmTask
    learning_rate: float = 0.5
    inverse_temperature: float = 12.0

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises
        ------
        InputError
            When the learning rate is not from 0 to 1 or the inverse temperature is
            negative.
        """
        if not 0 <= self.learning_rate <= 1:
            raise InputError(f"learning_rate is {self.learning_rate}; expected 0 to 1")
        if not 0 <= self.inverse_temperature < torch.inf:
            raise InputError(
                f"inverse_temperature is {self.inverse_temperature}; expected a number "
                "from 0"
            )

    def play(self, tape: Tape, generator: torch.Generator) -> ArmEpisodes:
        """Play the episodes of a tape; see :meth:`Player.play`."""
        episodes = self.task.begin(tape)
        value = torch.full_like(tape["payoff"][0], 0.5, dtype=torch.float64)
        for _ in range(self.task.trials):
            chances = (self.inverse_temperature * value).softmax(-1)
            lot = torch.rand(value.shape[:-1], generator=generator, dtype=torch.float64)
            below = chances.cumsum(-1)[..., :-1] <= lot.unsqueeze(-1)
            arm = below.sum(-1, keepdim=True)
            reward = play_trial(episodes, arm.squeeze(-1)).unsqueeze(-1).double()
            error = reward - value.gather(-1, arm)
            value.scatter_add_(-1, arm, self.learning_rate * error)
        return episodes
