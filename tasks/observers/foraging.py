"""Players of foraging: by known base rates, by inference, and by matching."""

from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.arms import ArmEpisodes
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.foraging import Foraging
from pfc_metarl.tasks.hazards import pass_trial
from pfc_metarl.tasks.observers.bandits import (
    RandomPlayer,
    WinStayLoseShift,
    choose_highest,
    play_trial,
)
from pfc_metarl.tasks.observers.base import Player


@dataclass(frozen=True)
class KnownRates(Player):
    """Optimal choice for base rates that it is told, which no agent is.

    What is left to know is how long ago each arm was chosen. One of them was chosen on
    the last trial, the other n trials before; with the base rates p of the one and q of
    the other, and k trials to go, the value of a stay and of a switch are

        p + V_{k-1}(one, n + 1)   and   1 - (1 - q)^(n + 1) + V_{k-1}(other, 1),

    and V_k is the greater of them. Where base rates change from block to block it is
    told after a block's first trial, and plans as if the rates stayed and had been so
    when the baits were laid: then it is near the optimum and not at it.
    """

    task: Foraging

    def play(self, tape: Tape, generator: torch.Generator) -> ArmEpisodes:
        """Play the episodes of a tape; see :meth:`Player.play`."""
        episodes = self.task.begin(tape)
        rates = tape["p_base"].double()
        pairs, which = rates.flatten(0, -2).unique(dim=0, return_inverse=True)
        which = which.reshape(rates.shape[:-1])
        told = torch.cat([which[:1], which[:-1]])  # what was so on the last trial
        switches = optimal_switches(pairs, self.task.trials)
        last = torch.randint(2, which.shape[1:], generator=generator)
        away = torch.zeros_like(last)  # at first it is as if both were just chosen
        for trial in range(self.task.trials):
            switch = switches[trial, told[trial], last, away]
            last = torch.where(switch, 1 - last, last)
            away = torch.where(switch, 1, away + 1)
            play_trial(episodes, last)
        return episodes


def optimal_switches(pairs: Tensor, trials: int) -> Tensor:
    """Return when it is best to switch to the other arm, by value iteration.

    Parameters
    ----------
    pairs
        (pair, arm) float64 base rates.
    trials
        Trials per episode.

    Returns
    -------
    Tensor
        (trial, pair, last arm, n) bool: on that trial, with an arm chosen last and the
        other n trials before it, n from 0 to ``trials``.
    """
    n = torch.arange(trials + 1)
    pays = 1 - (1 - pairs.unsqueeze(-1)) ** (n + 1)  # (pair, arm, n)
    best = torch.zeros_like(pays)
    switches = torch.zeros((trials, *pays.shape), dtype=torch.bool)
    for trial in reversed(range(trials)):
        later = torch.cat([best[..., 1:], best[..., -1:]], dim=-1)
        stay = pairs.unsqueeze(-1) + later
        switch = pays.flip(1) + best.flip(1)[..., 1:2]
        switches[trial] = switch > stay
        best = torch.maximum(stay, switch)
    return switches


@dataclass(frozen=True)
class BayesianForager(Player):
    """Exact Bayesian inference, and the choice that is best for the next trial.

    The hidden state is the kind of condition with its base rates, the trials its block
    has lasted, and whether the arm not chosen last holds a bait; the arm chosen last
    never does, and the reward has told whether it did. Before a choice each arm without
    bait gets one with its base rate; after it the block may end. The arm more probably
    baited is chosen, ties by chance: that neither explores nor looks ahead.

    Parameters
    ----------
    task
        Foraging, with blocks or without. Its distribution of base rates is the prior.
    points
        Base rates that stand for a range of them: the midpoints of so many equal parts.
        With ranges, inference is exact up to this grid.
    """

    task: Foraging
    points: int = 20

    def __post_init__(self) -> None:
        """Check the grid.

        Raises
        ------
        InputError
            When it has no point.
        """
        if self.points < 1:
            raise InputError(f"points is {self.points}; expected 1 or more")

    def play(self, tape: Tape, generator: torch.Generator) -> ArmEpisodes:
        """Play the episodes of a tape; see :meth:`Player.play`."""
        episodes = self.task.begin(tape)
        pairs, kind = self.pairs()
        following = self.chain(kind)
        shape = tape["bait"].shape[1:-1]
        belief = self.prior(kind).expand(*shape, -1, -1, -1)
        last = torch.randint(2, shape, generator=generator)
        for _ in range(self.task.trials):
            of_last, of_other = pairs.T[last], pairs.T[1 - last]
            belief = lay_bait(belief, of_other)
            expected = expected_reward(belief, of_last)
            switch = choose_highest(expected, generator) == 1
            last = torch.where(switch, 1 - last, last)
            paid = play_trial(episodes, last) > 0
            belief = take_bait(belief, of_last, switch, paid)
            belief = self.next_block(belief, following)
        return episodes

    # The belief is (..., episode, pair, bait of the arm not chosen last, age).

    def pairs(self) -> tuple[Tensor, Tensor]:
        """Return the base rates (pair, arm) on the grid, and the kind of each pair."""
        left, kind = [], []
        for number, (low, high) in enumerate(self.task.left_rates):
            points = self.points if high > low else 1
            middle = (torch.arange(points, dtype=torch.float64) + 0.5) / points
            left.append(low + (high - low) * middle)
            kind.append(torch.full((points,), number))
        rate = torch.cat(left)
        pairs = torch.stack([rate, self.task.total - rate], dim=-1).clamp(0, 1)
        return pairs, torch.cat(kind)

    def prior(self, kind: Tensor) -> Tensor:
        """Return the belief before the first trial: no baits, all kinds alike."""
        belief = torch.zeros(len(kind), 2, len(self.task.hazard), dtype=torch.float64)
        kinds = len(self.task.left_rates)
        belief[:, 0, 0] = 1 / (kinds * torch.bincount(kind)[kind])
        return belief

    def chain(self, kind: Tensor) -> Tensor:
        """Return P(next pair | pair) at the end of a block."""
        size = torch.bincount(kind).double()
        after = torch.zeros(len(size), len(size), dtype=torch.float64)
        for row, kinds in zip(after, self.task.following, strict=True):
            for next_kind in kinds:
                row[next_kind] += 1 / len(kinds)
        return (after / size)[kind][:, kind]

    def next_block(self, belief: Tensor, following: Tensor) -> Tensor:
        """Return the belief after one more trial of the block, or its end."""
        lasting, ended = pass_trial(belief, self.task.hazard)
        lasting[..., 0] += (ended.transpose(-1, -2) @ following).transpose(-1, -2)
        return lasting


def lay_bait(belief: Tensor, of_other: Tensor) -> Tensor:
    """Return the belief once the arm not chosen last may have got a bait.

    Parameters
    ----------
    belief
        (..., pair, bait of the arm not chosen last, age).
    of_other
        (..., pair): its base rate.
    """
    empty, full = belief.unbind(-2)
    laid = empty * of_other.unsqueeze(-1)
    return torch.stack([empty - laid, full + laid], dim=-2)


def expected_reward(belief: Tensor, of_last: Tensor) -> Tensor:
    """Return the probability of reward of a stay and of a switch, (..., 2).

    Parameters
    ----------
    belief
        As :func:`lay_bait` returns it.
    of_last
        (..., pair): base rate of the arm chosen last.
    """
    pair_and_bait = belief.sum(-1)
    stay = (pair_and_bait.sum(-1) * of_last).sum(-1)
    return torch.stack([stay, pair_and_bait[..., 1].sum(-1)], dim=-1)


def take_bait(belief: Tensor, of_last: Tensor, switch: Tensor, paid: Tensor) -> Tensor:
    """Return the belief after a choice.

    Parameters
    ----------
    belief, of_last
        As for :func:`expected_reward`.
    switch, paid
        (...) bool: whether the other arm was chosen, and whether there was a reward.

    Returns
    -------
    Tensor
        As ``belief``; the bait is now that of the arm not chosen.
    """
    switch, paid = switch[..., None, None], paid[..., None, None]
    empty, full = belief.unbind(-2)
    of_last = of_last.unsqueeze(-1)
    # A switch tells of the bait and leaves the other arm behind, which may have got
    # one; a stay tells of the base rate only.
    told = torch.where(paid, full, empty)
    likelihood = torch.where(paid, of_last, 1 - of_last)
    empty = torch.where(switch, told * (1 - of_last), empty * likelihood)
    full = torch.where(switch, told * of_last, full * likelihood)
    posterior = torch.stack([empty, full], dim=-2)
    return posterior / posterior.sum((-3, -2, -1), keepdim=True)


@dataclass(frozen=True)
class Matching(Player):
    """Chooses each arm as often as its share of the income was.

    The income I_a of an arm is what it has paid, older rewards counting less,

        P(a) = I_a / (I_0 + I_1),   I <- I exp(-1 / memory_trials) + reward,

    and 1/2 before any. With a memory for ever it is Herrnstein's matching law (1961, J
    Exp Anal Behav 4:267) as a rule of choice; with a short one it is the local matching
    of Sugrue, Corrado & Newsome 2004 (Science 304:1782).

    Parameters
    ----------
    task
        Foraging.
    memory_trials
        Time constant of the income.
    lapse
        Probability of a choice at random, without which an arm that never paid is
        never chosen again. A guess: near the best in the task of Wang et al. 2018;
        Sugrue et al. have none.
    """

    task: Foraging
    memory_trials: float = inf
    lapse: float = 0.2

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises
        ------
        InputError
            When the memory is not positive, or the lapse no probability.
        """
        if not self.memory_trials > 0:
            raise InputError(
                f"memory_trials is {self.memory_trials}; expected more than 0"
            )
        if not 0 <= self.lapse <= 1:
            raise InputError(f"lapse is {self.lapse}; expected 0 to 1")

    def play(self, tape: Tape, generator: torch.Generator) -> ArmEpisodes:
        """Play the episodes of a tape; see :meth:`Player.play`."""
        episodes = self.task.begin(tape)
        income = torch.zeros_like(tape["bait"][0], dtype=torch.float64)
        keep = torch.tensor(-1 / self.memory_trials, dtype=torch.float64).exp()
        for _ in range(self.task.trials):
            total = income.sum(-1)
            share = torch.where(total > 0, income[..., 1] / total, 0.5)
            p_second = (1 - self.lapse) * share + self.lapse / 2
            chance = torch.rand(share.shape, generator=generator, dtype=torch.float64)
            choice = (chance < p_second).long()
            reward = play_trial(episodes, choice).double()
            income = income * keep
            income.scatter_add_(-1, choice.unsqueeze(-1), reward.unsqueeze(-1))
        return episodes


# Players of bandits read a tape's shape off its payoffs.


@dataclass(frozen=True)
class RandomForager(RandomPlayer):
    """Chooses either arm, both alike probable."""

    def play(self, tape: Tape, generator: torch.Generator) -> ArmEpisodes:
        """Play the episodes of a tape; see :meth:`Player.play`."""
        return super().play({**tape, "payoff": tape["bait"]}, generator)


@dataclass(frozen=True)
class WinStayLoseShiftForager(WinStayLoseShift):
    """Repeats what paid, and leaves what did not for the other arm."""

    def play(self, tape: Tape, generator: torch.Generator) -> ArmEpisodes:
        """Play the episodes of a tape; see :meth:`Player.play`."""
        return super().play({**tape, "payoff": tape["bait"]}, generator)
