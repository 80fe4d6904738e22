"""What players without a network achieve on the test episodes: the scale of emergence.

Chance is at 0 of the scale, the ideal observer at 1.
"""

from functools import lru_cache

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from pfc_metarl.recording import TEST_SEED
from pfc_metarl.seeds import generator
from pfc_metarl.tasks.base import Episodes, Task
from pfc_metarl.tasks.observers import IDEAL, ideal_observer, players

CHANCE = 0.5
"""Of two options, one good."""


def correct(episodes: Episodes) -> Tensor:
    """Return whether each choice was the good one.

    Returns
    -------
    Tensor
        (trial, ..., episode) float64: 1 or 0, NaN where no option is better; a trial
        without a valid choice is not correct.
    """
    columns = episodes.trials()
    good = columns["good_choice"]
    return torch.where(good < 0, torch.nan, (columns["choice"] == good).double())


@lru_cache(maxsize=8)
def levels(
    task: Task, n_episodes: int, names: tuple[str, ...] | None = None
) -> xr.Dataset:
    """Let the players of a task play the test episodes that the networks play.

    Parameters
    ----------
    task
        With two options and an ideal observer.
    n_episodes
        Number of episodes.
    names
        Which players; None: all that know something.

    Returns
    -------
    xarray.Dataset
        (player, trial) ``p_correct`` over the episodes.

    Raises
    ------
    InputError
        When the task has no ideal observer.
    """
    ideal_observer(task)
    tape = task.draw(n_episodes, generator(TEST_SEED, "test episodes"))
    curves = {
        name: _curve(player.play(tape, generator(TEST_SEED, "observer")))
        for name, player in players(task).items()
        if (name in names if names else name != "random")  # random: exactly CHANCE
    }
    return xr.Dataset(
        {"p_correct": (("player", "trial"), np.stack(list(curves.values())))},
        coords={"player": list(curves), "trial": np.arange(task.trials)},
    )


def _curve(episodes: Episodes) -> NDArray[np.float64]:
    curve: NDArray[np.float64] = correct(episodes).nanmean(-1).numpy()
    return curve


def adaptation_index(accuracy: xr.DataArray, ideal: float) -> xr.DataArray:
    """Return how far accuracy has come from chance to the ideal observer's.

        AI = (accuracy - chance) / (ideal - chance)

    Where every good choice is worth the same, as in the tasks here, this is also
    (regret of random choice - regret) / (regret of random choice - ideal's regret).
    """
    return (accuracy - CHANCE) / (ideal - CHANCE)


def level(task: Task, n_episodes: int, player: str = IDEAL) -> float:
    """Return the mean accuracy of a player over an episode's trials."""
    return float(levels(task, n_episodes, (player,)).p_correct.mean())
