"""What a learned learner does on problems of which training had none.

Beside the ideal observer of each problem stands the ideal observer *of training*: the
Bayesian who expects what the networks were trained on. It is wrong about such problems,
and what a network does there tells whether it is wrong alike.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from pfc_metarl.emergence.levels import CHANCE, correct
from pfc_metarl.errors import InputError
from pfc_metarl.interventions import Intervention, ScaledObservation
from pfc_metarl.network import Network
from pfc_metarl.provenance import parameter
from pfc_metarl.recording import TEST_SEED, play
from pfc_metarl.seeds import generator
from pfc_metarl.tasks.bandit import LISTED, Bandit
from pfc_metarl.tasks.base import Episodes, Tape
from pfc_metarl.tasks.observers import IDEAL, ideal_observer
from pfc_metarl.tasks.observers.bandit import GreedyBayes
from pfc_metarl.tasks.observers.bandits import UCB1, ThompsonSampling, WinStayLoseShift
from pfc_metarl.tasks.observers.base import Player

Floats = NDArray[np.float64]

AS_TESTED, BOTH_GOOD, BOTH_BAD, SWAP, LONGER = (
    "0.75 / 0.25",
    "0.9 / 0.8",
    "0.2 / 0.1",
    "arms swap",
    "twice as long",
)
IDEAL_OF_TRAINING = "ideal of training"


@dataclass(frozen=True)
class SwappingBandit(Bandit):
    """Bandit whose arms change places once, unsignalled, in every episode.

    It is no task to train on, and not among the package's: in training nothing changes
    within an episode.
    """

    swap_at: int = parameter(50, "guess: the middle of 100 trials", unit="trials")

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises
        ------
        InputError
            When the arms never swap, or the bandit refuses a parameter.
        """
        super().__post_init__()
        if not 0 < self.swap_at < self.trials:
            raise InputError(
                f"swap_at is {self.swap_at}; expected 1 to {self.trials - 1}"
            )

    def draw_problems(self, n: int, generator: torch.Generator) -> Tape:
        """Draw the probabilities of reward: ``p_reward`` (trial, n, arm)."""
        p_reward = super().draw_problems(n, generator)["p_reward"].clone()
        p_reward[self.swap_at :] = p_reward[self.swap_at :].flip(-1)
        return {"p_reward": p_reward}


@dataclass(frozen=True)
class Elsewhere:
    """A problem off the distribution of training.

    Parameters
    ----------
    task
        The problem.
    ideal
        The task whose ideal observer is its own: :class:`GreedyBayes`, which makes the
        same choices as the optimum by dynamic programming on all of them.
    intervention
        How networks play it; None: as they are.
    """

    task: Bandit
    ideal: Bandit
    intervention: Intervention | None = None


def problems(test: Bandit) -> dict[str, Elsewhere]:
    """Return the problems, by name; first the usual one, for comparison.

    Who knows when arms swap, and what they pay, loses nothing by it, since each outcome
    then speaks for the other arm: its ideal observer does as well as without a swap. In
    episodes twice as long the trial number goes on as in training, from 0 to 2.

    Parameters
    ----------
    test
        The bandit of the other tests.
    """
    good, bad = (_pair(test, *p) for p in ((0.9, 0.8), (0.2, 0.1)))
    swap = SwappingBandit(**vars(test), swap_at=test.trials // 2)
    longer = replace(test, trials=2 * test.trials)
    return {
        AS_TESTED: Elsewhere(test, test),
        BOTH_GOOD: Elsewhere(good, good),
        BOTH_BAD: Elsewhere(bad, bad),
        SWAP: Elsewhere(swap, test),
        LONGER: Elsewhere(longer, longer, ScaledObservation(2.0)),
    }


def _pair(test: Bandit, p: float, q: float) -> Bandit:
    return replace(test, distribution=LISTED, problems=((p, q), (q, p)))


def comparators(trained: Bandit, trials: int) -> dict[str, Player]:
    """Return the players beside the networks; all but the first know no distribution.

    Parameters
    ----------
    trained
        The bandit of training: what the first of them expects.
    trials
        Of the episodes to play.
    """
    known = replace(trained, trials=trials)
    return {
        IDEAL_OF_TRAINING: ideal_observer(known),
        "Thompson": ThompsonSampling(known),
        "UCB1": UCB1(known),
        "win-stay-lose-shift": WinStayLoseShift(known),
    }


def out_of_distribution(
    trained: Bandit, test: Bandit, network: Network, n_episodes: int
) -> xr.Dataset:
    """Let networks and comparators play the problems.

    Parameters
    ----------
    trained
        The bandit of training.
    test
        The bandit of the other tests.
    network
        Trained.
    n_episodes
        Of each problem, the same for all.

    Returns
    -------
    xarray.Dataset
        (problem, seed, trial_elsewhere) ``p_correct_elsewhere`` and (problem, player,
        trial_elsewhere) ``p_correct_of_comparator``, the problem's own ideal among the
        players, NaN past an episode's end; by (problem, seed) and (problem, player)
        ``index_elsewhere``, ``index_of_comparator``, on the scale from chance to the
        problem's own ideal, and ``regret_elsewhere``, ``regret_of_comparator``, the
        expected loss in an episode; by (problem,) ``stake``, by how much the better arm
        pays more often.
    """
    found = {
        name: _one_problem(of, trained, network, n_episodes)
        for name, of in problems(test).items()
    }
    names = xr.IndexVariable("problem", list(found))
    result = xr.concat(list(found.values()), names, join="outer")
    own = result.p_correct_of_comparator.sel(player=IDEAL, drop=True)
    scale = own.mean("trial_elsewhere") - CHANCE
    for who in ("elsewhere", "of_comparator"):
        curve = result[f"p_correct_{who}"]
        mean = curve.mean("trial_elsewhere")
        result[f"index_{who}"] = (mean - CHANCE) / scale
        result[f"regret_{who}"] = result.stake * (1 - curve).sum("trial_elsewhere")
    return result


def _one_problem(
    of: Elsewhere, trained: Bandit, network: Network, n_episodes: int
) -> xr.Dataset:
    task = of.task
    played = play(network, task, n_episodes, intervention=of.intervention).episodes
    curves = {IDEAL: curve_of_player(GreedyBayes(of.ideal), of.ideal, n_episodes)}
    for name, player in comparators(trained, task.trials).items():
        curves[name] = curve_of_player(player, task, n_episodes)
    high, low = task.problems[0]
    dims = "trial_elsewhere"
    return xr.Dataset(
        {
            "p_correct_elsewhere": (("seed", dims), _curve(played)),
            "p_correct_of_comparator": (("player", dims), [*curves.values()]),
            "stake": abs(high - low),
        },
        coords={
            "seed": list(network.seeds),
            "player": list(curves),
            dims: np.arange(task.trials),
        },
    )


def curve_of_player(player: Player, task: Bandit, n_episodes: int) -> Floats:
    """Return P(correct) of a player by trial of a task's test episodes, (trial,)."""
    tape = task.draw(n_episodes, generator(TEST_SEED, "test episodes"))
    return _curve(player.play(tape, generator(TEST_SEED, "observer")))


def _curve(episodes: Episodes) -> Floats:
    """Return P(correct), (trial,) or (seed, trial)."""
    curve: Floats = np.moveaxis(correct(episodes).nanmean(-1).numpy(), 0, -1)
    return curve
