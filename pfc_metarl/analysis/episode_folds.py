"""Which episodes a quantity is fitted on, and which it is judged on."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pfc_metarl.errors import InputError

SHUFFLE_SEED = 0
"""Episodes are dealt out in a fixed random order: tasks may list theirs in pairs."""


class Fold(NamedTuple):
    """Positions of episodes, in order; none is in both."""

    fit: NDArray[np.int64]
    held_out: NDArray[np.int64]


def episode_folds(n_episodes: int, n_folds: int) -> list[Fold]:
    """Deal episodes out to folds; each is held out once.

    Whole episodes are held out, since the trials of one episode resemble each other.

    Parameters
    ----------
    n_episodes
        How many there are.
    n_folds
        How many times to fit; 2 fits on one half and judges on the other, and back.

    Returns
    -------
    list of Fold
        The same for the same numbers.

    Raises
    ------
    InputError
        When there are fewer than two folds, or fewer episodes than folds.
    """
    if not 2 <= n_folds <= n_episodes:
        raise InputError(
            f"{n_folds} folds of {n_episodes} episodes; expected 2 folds or more, and "
            "an episode or more in each"
        )
    order = np.random.default_rng(SHUFFLE_SEED).permutation(n_episodes)
    parts = [np.sort(part) for part in np.array_split(order, n_folds)]
    everything = np.arange(n_episodes)
    return [Fold(np.setdiff1d(everything, part), part) for part in parts]
