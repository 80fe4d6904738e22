"""Players of the volatility task: exact inference, Behrens' learner, fixed rates.

All of them predict which arm pays, learn from which one did, and choose the more
probable one. As p and 1 - p belong together, either choice tells as much, so that there
is nothing to explore.
"""

from abc import abstractmethod
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.arms import ArmEpisodes
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.hazards import pass_trial
from pfc_metarl.tasks.observers.bandits import choose_highest, play_trial
from pfc_metarl.tasks.observers.base import Player
from pfc_metarl.tasks.volatility import Volatility


@dataclass(frozen=True)
class Predictor(Player):
    """Chooses the arm that it predicts to pay, ties by chance."""

    task: Volatility

    @abstractmethod
    def prior(self) -> Tensor:
        """Return what is believed before the first trial, without the episodes."""

    @abstractmethod
    def estimate(self, belief: Tensor) -> dict[str, Tensor]:
        """Return what is expected of the next trial.

        Parameters
        ----------
        belief
            (..., episode, and the dimensions of the prior).

        Returns
        -------
        dict
            ``p_reward_0``, the probability that arm 0 pays, and what else is known;
            each (..., episode).
        """

    @abstractmethod
    def learn(self, belief: Tensor, paid: Tensor, trial: int) -> Tensor:
        """Return the belief for the next trial.

        Parameters
        ----------
        belief
            As for :meth:`estimate`.
        paid
            (..., episode): the arm that paid; -1 where it is not known.
        trial
            The trial just seen, from 0.
        """

    def play(self, tape: Tape, generator: torch.Generator) -> ArmEpisodes:
        """Play the episodes of a tape; see :meth:`Player.play`."""
        episodes = self.task.begin(tape)
        belief = self._start(tape["payoff"].shape[1:-1])
        for trial in range(self.task.trials):
            p = self.estimate(belief)["p_reward_0"]
            choice = choose_highest(torch.stack([p, 1 - p], dim=-1), generator)
            reward = play_trial(episodes, choice)
            belief = self.learn(belief, _which_paid(choice, reward), trial)
        return episodes

    def follow(self, choice: Tensor, reward: Tensor) -> dict[str, Tensor]:
        """Return what is expected before each trial of someone else's play.

        Parameters
        ----------
        choice, reward
            Columns of the trial table, (trial, ..., episode); -1 and NaN where a trial
            is not valid.

        Returns
        -------
        dict
            As :meth:`estimate`, each (trial, ..., episode).
        """
        belief = self._start(choice.shape[1:])
        expected = []
        for trial in range(len(choice)):
            expected.append(self.estimate(belief))
            paid = _which_paid(choice[trial], reward[trial])
            belief = self.learn(belief, paid, trial)
        return {name: torch.stack([e[name] for e in expected]) for name in expected[0]}

    def _start(self, shape: tuple[int, ...]) -> Tensor:
        prior = self.prior()
        return prior.expand(*shape, *prior.shape)


def _which_paid(choice: Tensor, reward: Tensor) -> Tensor:
    paid = torch.where(reward > 0, choice, 1 - choice)
    return paid.masked_fill(choice < 0, -1)


@dataclass(frozen=True)
class VolatilityObserver(Predictor):
    """The Bayes-optimal player of the volatility task.

    Exact Bayesian filter of the hidden state: the kind of part, the better arm, and the
    trials since it became so (as far as they matter).

    Parameters
    ----------
    task
        What it plays.
    assumed
        What it takes the task to be; None: as it is. Training episodes, for instance,
        for an observer that meets test episodes with what training has taught.
    """

    assumed: Volatility | None = None

    @property
    def _model(self) -> Volatility:
        return self.task if self.assumed is None else self.assumed

    # The belief is (..., episode, kind, better arm, age).

    def prior(self) -> Tensor:
        """Return the belief before the first trial: any kind, either arm."""
        kinds, ages = self._model.hazard.shape
        belief = torch.zeros(kinds, 2, ages, dtype=torch.float64)
        belief[..., 0] = 1 / (2 * kinds)
        return belief

    def estimate(self, belief: Tensor) -> dict[str, Tensor]:
        """Return P(arm 0 pays) and the expected ``volatility``."""
        volatility = torch.tensor(self._model.volatilities, dtype=torch.float64)
        return {
            "p_reward_0": torch.einsum("...kba,kb->...", belief, self._pays(0)),
            "volatility": belief.sum((-2, -1)) @ volatility,
        }

    def learn(self, belief: Tensor, paid: Tensor, trial: int) -> Tensor:
        """Return the belief for the next trial; see :meth:`Predictor.learn`."""
        likelihood = torch.stack([self._pays(0), self._pays(1), self._unknown()])[paid]
        belief = belief * likelihood.unsqueeze(-1)
        belief = belief / belief.sum((-3, -2, -1), keepdim=True)
        belief = torch.einsum("kl,...kba->...lba", self._shift(trial + 1), belief)
        lasting, ended = pass_trial(belief, self._model.hazard.unsqueeze(-2))
        lasting[..., 0] += ended.flip(-1)
        return lasting

    def _pays(self, arm: int) -> Tensor:
        """P(arm pays | kind, better arm), (kind, better arm)."""
        p = torch.tensor(self._model.payoffs, dtype=torch.float64)
        by_arm = torch.stack([p, 1 - p], dim=-1)
        return by_arm.flip(-1) if arm else by_arm

    def _unknown(self) -> Tensor:
        return torch.ones_like(self._pays(0))

    def _shift(self, trial: int) -> Tensor:
        """P(kind of this trial | kind of the last), (last, this)."""
        model = self._model
        kinds = len(model.volatilities)
        fixed = model.part_trials > 0 and trial % model.part_trials == 0
        p = 0.0 if kinds == 1 else 1.0 if fixed else model.p_shift
        chain = torch.full((kinds, kinds), p / max(kinds - 1, 1), dtype=torch.float64)
        return chain.fill_diagonal_(1 - p)


@dataclass(frozen=True)
class BehrensLearner(Predictor):
    """The Bayesian learner of Behrens et al. 2007, which assumes a drifting volatility.

    The probability r that arm 0 pays, its volatility v, and the change k of that obey

        r_{t+1} ~ Beta(mode r_t, precision exp(I_{t+1})),  I = -v,
        I_{t+1} ~ Normal(I_t, exp(k)),

    with a = 1 + exp(I) r, b = 1 + exp(I) (1 - r). The joint belief p(r, I, k) is kept
    on a grid, uniform at first, that spans what the published implementation does: r
    from 0.01 to 0.99, I from log 2 to log 10,000, k from log 0.0005 to log 20.

    It is exact for its own assumptions, and those are not the task's, in which p jumps.

    Parameters
    ----------
    task
        What it plays.
    points
        Grid points of r, I and k; 50, 43 and 53 in the published implementation,
        fewer here for speed.
    """

    points: tuple[int, int, int] = (25, 12, 6)

    def __post_init__(self) -> None:
        """Check the grid.

        Raises
        ------
        InputError
            When a dimension has fewer than 2 points.
        """
        if min(self.points) < 2:
            raise InputError(f"points is {self.points}; expected 2 or more of each")

    # The belief is (..., episode, r, I, k).

    def grid(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the values of r, I and k."""
        spans = ((0.01, 0.99), (log(2), log(10_000)), (log(5e-4), log(20)))
        r, precision, change = (
            torch.linspace(low, high, points, dtype=torch.float64)
            for (low, high), points in zip(spans, self.points, strict=True)
        )
        return r, precision, change

    def transitions(self) -> tuple[Tensor, Tensor]:
        """Return P(next I | I, k) and P(next r | r, next I).

        Of shapes (I, k, next I) and (r, next I, next r): the densities at the points of
        the grid, made to sum to 1.
        """
        r, precision, change = self.grid()
        step = precision - precision[:, None, None]
        drift = (-0.5 * (step / change.exp()[:, None]) ** 2).softmax(-1)
        strength, mode = precision.exp()[:, None], r[:, None, None]
        # Beta density without its constant: r^(a - 1) (1 - r)^(b - 1).
        jump = strength * (mode * r.log() + (1 - mode) * (1 - r).log())
        return drift, jump.softmax(-1)

    def prior(self) -> Tensor:
        """Return a uniform belief."""
        size = torch.tensor(self.points).prod()
        return torch.full(self.points, 1 / float(size), dtype=torch.float64)

    def estimate(self, belief: Tensor) -> dict[str, Tensor]:
        """Return the expected r, and the ``volatility``, the expected v = -I."""
        r, precision, _ = self.grid()
        return {
            "p_reward_0": belief.sum((-2, -1)) @ r,
            "volatility": -(belief.sum((-3, -1)) @ precision),
        }

    def learn(self, belief: Tensor, paid: Tensor, trial: int) -> Tensor:
        """Return the belief for the next trial; see :meth:`Predictor.learn`."""
        r, _, _ = self.grid()
        drift, jump = self.transitions()
        likelihood = torch.stack([r, 1 - r, torch.ones_like(r)])[paid]
        belief = belief * likelihood[..., None, None]
        belief = belief / belief.sum((-3, -2, -1), keepdim=True)
        belief = torch.einsum("...rik,ikj->...rjk", belief, drift)
        return torch.einsum("...rjk,rjs->...sjk", belief, jump)


@dataclass(frozen=True)
class FixedRate(Predictor):
    """Learns with one rate, whatever the volatility (Rescorla & Wagner 1972).

    After each trial, r <- r + learning_rate (y - r), with y 1 if arm 0 paid, else 0; r
    is 1/2 at first.
    """

    learning_rate: float = 0.2

    def __post_init__(self) -> None:
        """Check the rate.

        Raises
        ------
        InputError
            When it is not from 0 to 1.
        """
        if not 0 <= self.learning_rate <= 1:
            raise InputError(f"learning_rate is {self.learning_rate}; expected 0 to 1")

    def prior(self) -> Tensor:
        """Return 1/2."""
        return torch.tensor(0.5, dtype=torch.float64)

    def estimate(self, belief: Tensor) -> dict[str, Tensor]:
        """Return r."""
        return {"p_reward_0": belief}

    def learn(self, belief: Tensor, paid: Tensor, trial: int) -> Tensor:
        """Return r for the next trial; see :meth:`Predictor.learn`."""
        error = (paid == 0).double() - belief
        return torch.where(paid < 0, belief, belief + self.learning_rate * error)
