"""Players of the risk task: an exact Bayesian filter, with and without foresight."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.observers.bandits import choose_highest
from pfc_metarl.tasks.observers.base import Player
from pfc_metarl.tasks.observers.blocks import switching_chain
from pfc_metarl.tasks.risk import RiskyChoice, RiskyChoiceEpisodes


@dataclass(frozen=True)
class GreedyRisk(Player):
    """Exact Bayesian filter of the risk task, and choice for the next reward only.

    The hidden condition of a trial is its kind of block. Only the risky lever tells
    about it: with b_t(k) the belief before trial t, p_k the probability that it pays
    and T the chain between kinds, after a risky choice

        b_{t+1}(k') = sum_k T(k, k') b_t(k) p_k^win (1 - p_k)^loss / normaliser,

    and after a safe one the same without the likelihood. The first reward, 0 included,
    tells which lever is which. Ties are broken by chance.
    """

    task: RiskyChoice

    def play(self, tape: Tape, generator: torch.Generator) -> RiskyChoiceEpisodes:
        """Play the episodes of a tape; see :meth:`Player.play`."""
        episodes, task = self.task.begin(tape), self.task
        here = tape["risky_lever"][0]
        risky_lever = torch.full_like(here, -1)  # not known
        belief = self._prior.expand(*here.shape, -1)
        for trial in range(task.trials):
            if task.fixation:
                episodes.step(torch.full_like(here, task.arms))
            lever = self._lever_shown(episodes.observation)
            value = self._values(trial, belief)  # of safe and risky
            swap = (risky_lever == 0).unsqueeze(-1)
            value = torch.where(swap, value.flip(-1), value)
            value = value * (risky_lever >= 0).unsqueeze(-1)
            choice = choose_highest(value, generator)
            choice = torch.where(lever >= 0, lever, choice)
            _, reward = episodes.step(choice)
            risky = reward != task.safe_reward
            risky_lever = torch.where(risky, choice, 1 - choice)
            belief = self._update(trial, belief, risky, reward > 0)
        return episodes

    def _lever_shown(self, observation: Tensor) -> Tensor:
        """(..., episode): lever of a forced trial, or -1."""
        if not self.task.forced_trials:
            return torch.full(observation.shape[:-1], -1)
        shown = observation[..., -2:]
        return torch.where(shown.any(-1), shown.argmax(-1), -1)

    def _values(self, trial: int, belief: Tensor) -> Tensor:
        """(..., episode, 2): what the safe and the risky choice are worth."""
        risky = self.task.risky_reward * (belief @ self._probs)
        return torch.stack([torch.full_like(risky, self.task.safe_reward), risky], -1)

    def _update(self, trial: int, belief: Tensor, risky: Tensor, win: Tensor) -> Tensor:
        likelihood = torch.where(win.unsqueeze(-1), self._probs, 1 - self._probs)
        posterior = torch.where(risky.unsqueeze(-1), belief * likelihood, belief)
        posterior = posterior / posterior.sum(-1, keepdim=True)
        return posterior @ self._chain(trial)

    @cached_property
    def _probs(self) -> Tensor:
        return torch.tensor(self.task.risky_probs, dtype=torch.float64)

    @cached_property
    def _prior(self) -> Tensor:
        kinds = len(self.task.risky_probs)
        if self.task.block_trials:
            return torch.eye(kinds, dtype=torch.float64)[0]
        return torch.full((kinds,), 1 / kinds, dtype=torch.float64)

    def _chain(self, trial: int) -> Tensor:
        """(kind, kind): from this trial to the next."""
        kinds, length = len(self.task.risky_probs), self.task.block_trials
        if not length:
            return switching_chain(kinds, self.task.p_shift)
        ends = (trial + 1) % length == 0
        return torch.eye(kinds, dtype=torch.float64).roll(int(ends), dims=1)


GRID = 2001
"""Points at which the value of a belief is computed."""


@dataclass(frozen=True)
class RiskObserver(GreedyRisk):
    """The Bayes-optimal player: exact belief, and the best choice for all the episode.

    The safe lever tells nothing, so that a risky choice may be worth its price. With
    two kinds of block the belief is one number b, that of the first kind, and values
    follow from the last trial backwards (dynamic programming):

        Q_t(b, safe) = safe_reward + V_{t+1}(T b)
        Q_t(b, risky) = P(win | b) (risky_reward + V_{t+1}(T b_win))
                        + P(loss | b) V_{t+1}(T b_loss),   V_t = max(Q_t).

    Between the points of a grid, V is interpolated; it is convex, so that the error is
    a slight excess, less than 0.001 pellets per episode with the default parameters.
    Before the levers are told apart either is as good.
    """

    def __post_init__(self) -> None:
        """Check that the belief is one number.

        Raises
        ------
        InputError
            When there are more than two kinds of block and their order is not known.
        """
        if len(self.task.risky_probs) > 2 and not self.task.block_trials:
            raise InputError(
                f"risky_probs has {len(self.task.risky_probs)} kinds; the ideal "
                "observer plans for one or two, or for block_trials"
            )

    def _values(self, trial: int, belief: Tensor) -> Tensor:
        if len(self.task.risky_probs) != 2 or self.task.block_trials:
            return super()._values(trial, belief)  # the probability is known
        return _interpolate(self._plan[trial], belief[..., 0])

    @cached_property
    def _plan(self) -> Tensor:
        """(trial, grid point, choice): Q of the safe and the risky choice."""
        first = torch.linspace(0, 1, GRID, dtype=torch.float64)
        belief = torch.stack([first, 1 - first], -1)
        no, yes = torch.zeros(GRID).bool(), torch.ones(GRID).bool()
        p_win = belief @ self._probs
        later = torch.zeros(GRID, 1, dtype=torch.float64)
        values = []
        for trial in reversed(range(self.task.trials)):
            safe, win, loss = (
                _interpolate(later, after[..., 0]).squeeze(-1)
                for after in (
                    self._update(trial, belief, no, no),
                    self._update(trial, belief, yes, yes).nan_to_num(),
                    self._update(trial, belief, yes, no).nan_to_num(),
                )
            )
            risky = p_win * (self.task.risky_reward + win) + (1 - p_win) * loss
            values.append(torch.stack([self.task.safe_reward + safe, risky], -1))
            later = values[-1].amax(-1, keepdim=True)
        return torch.stack(values[::-1])


def _interpolate(values: Tensor, at: Tensor) -> Tensor:
    """Read (grid point, column) between its points; ``at`` (...) is from 0 to 1."""
    place = at * (GRID - 1)
    below = place.long().clamp(max=GRID - 2)
    share = (place - below).unsqueeze(-1)
    return values[below] * (1 - share) + values[below + 1] * share
