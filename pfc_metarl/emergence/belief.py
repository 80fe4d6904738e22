"""Where a network keeps its belief about the arms, and whether its choices use it.

That a statistic can be decoded shows that it is there. That choices use it is shown by
changing what carries it, and nothing else, and watching the choices.
"""

from collections.abc import Mapping

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pfc_metarl.analysis import carrying_subspace, state_decoding
from pfc_metarl.emergence.levels import CHANCE, correct
from pfc_metarl.emergence.out_of_distribution import curve_of_player
from pfc_metarl.emergence.yoked import TRAINED, Observed
from pfc_metarl.interventions import (
    Directions,
    HeldDirections,
    Intervention,
    Transplant,
)
from pfc_metarl.recording import TEST_SEED, play
from pfc_metarl.seeds import generator
from pfc_metarl.tasks.bandit import Bandit
from pfc_metarl.tasks.observers.bandit import GreedyBayes

Floats = NDArray[np.float64]

STATISTICS = ("lead", "log_odds")
"""What is decoded: outcomes for arm 0 less those for arm 1, and the posterior odds.

With the number of trials, which is an input, either is sufficient. Neither grows with
the trial, so that no clock tells it.
"""

INTACT, BELIEF, REST = "intact", "belief", "rest"
HELD = (INTACT, BELIEF, REST)


def decoded(observed: Mapping[str, Observed]) -> xr.Dataset:
    """Decode the ideal observer's statistics from states, by ridge regression.

    Parameters
    ----------
    observed
        Of :func:`pfc_metarl.emergence.yoked.trained_and_not`.

    Returns
    -------
    xarray.Dataset
        (network, seed, statistic) ``r2`` on held-out episodes.
    """
    found = [
        state_decoding(of.state, {name: of.statistics[name] for name in STATISTICS})
        for of in observed.values()
    ]
    names = xr.IndexVariable("network", list(observed))
    return xr.concat(found, names).assign_coords(seed=_seeds(observed))


def used(observed: Mapping[str, Observed], task: Bandit, n_episodes: int) -> xr.Dataset:
    """Hold what carries the belief, or exchange it between episodes.

    The belief is the subspace of hidden and cell state, :func:`carrying_subspace`, that
    carries :data:`STATISTICS`, found in the deviations from the mean of each trial. It
    has most of the variance, so that no control of equal variance can exist; the rest
    that is held are the directions, as many, that have the most variance of what
    remains.

    Exchanged, at the beginning of the middle trial: each episode is given the belief,
    or everything but the belief, of one in which the other arm is the good one. Where
    choices go by the belief alone they then follow the donor of the belief, whichever
    it is.

    Parameters
    ----------
    observed
        With trained networks; their activity says where the belief is.
    task
        The bandit to test on, of p and 1 - p.
    n_episodes
        Of the test.

    Returns
    -------
    xarray.Dataset
        (held, seed) ``index_held``, the adaptation index. (part, seed)
        ``variance_share`` of what is held, of the variance about each trial's mean.
        (part, seed, trial) ``p_correct_exchanged``; ``exchange_trial``. (seed,)
        ``by_belief``, of the trial of the exchange:

            P(correct | rest exchanged) - P(correct | belief exchanged)

        1 where the choice goes by the belief, -1 where it goes by the rest.
    """
    of = observed[TRAINED]
    state, output = (_parts(x, of) for x in (of.state, of.output))
    trial = task.trials // 2
    indices, exchanged = [], []
    for part in HELD:
        held = None
        if part != INTACT:
            held = HeldDirections(
                Directions(_tensor(state[part]), _by_trial(of.state)),
                Directions(_tensor(output[part]), _by_trial(of.output)),
            )
        right = correct(play(of.network, task, n_episodes, intervention=held).episodes)
        indices.append(right.nanmean((0, -1)).numpy())
    donor = donors(task, n_episodes)
    counted = torch.nonzero(donor != torch.arange(n_episodes)).flatten()
    for part in (BELIEF, REST):
        transplant: Intervention = Transplant(
            _tensor(state[BELIEF]), donor, trial, others=part == REST
        )
        episodes = play(of.network, task, n_episodes, intervention=transplant).episodes
        exchanged.append(correct(episodes)[..., counted].nanmean(-1).T.numpy())
    ideal = curve_of_player(GreedyBayes(task), task, n_episodes).mean()
    scale = ideal - CHANCE
    curves = np.stack(exchanged)
    at_once = curves[:, :, trial]
    return xr.Dataset(
        {
            "index_held": (("held", "seed"), (np.stack(indices) - CHANCE) / scale),
            "variance_share": (
                ("part", "seed"),
                np.stack([_share(of.state, state[part]) for part in (BELIEF, REST)]),
            ),
            "p_correct_exchanged": (("part", "seed", "trial"), curves),
            "by_belief": ("seed", at_once[1] - at_once[0]),
            "exchange_trial": trial,
        },
        coords={
            "held": list(HELD),
            "part": [BELIEF, REST],
            "seed": _seeds(observed),
            "trial": np.arange(task.trials),
        },
    )


def donors(task: Bandit, n_episodes: int) -> Tensor:
    """Pair the test episodes in which one arm is good with those of the other.

    Returns
    -------
    Tensor
        (episode,) int64: the number of the other of its pair; of those that are left
        over, their own.
    """
    tape = task.draw(n_episodes, generator(TEST_SEED, "test episodes"))
    good = task.latent_columns(tape)["good_choice"][0]
    first, second = (torch.nonzero(good == arm).flatten() for arm in (0, 1))
    n = min(len(first), len(second))
    donor = torch.arange(n_episodes)
    donor[first[:n]], donor[second[:n]] = second[:n], first[:n]
    return donor


def _parts(values: Floats, of: Observed) -> dict[str, Floats]:
    """Return bases (seed, unit, direction) of the belief, and of the rest's widest."""
    away = _centred(values)
    statistics = {name: of.statistics[name] for name in STATISTICS}
    belief = carrying_subspace(away, statistics).basis.values
    n = len(STATISTICS)
    rest = np.linalg.qr(belief, mode="complete").Q[..., n:]  # at right angles to it
    points = away.reshape(len(away), -1, away.shape[-1]) @ rest
    _, directions = np.linalg.eigh(points.swapaxes(1, 2) @ points)
    return {BELIEF: belief, REST: rest @ directions[..., -n:]}  # the widest are last


def _centred(values: Floats) -> Floats:
    """Return (seed, episode, trial, unit) values less the mean of each trial."""
    away: Floats = values - values.mean(1, keepdims=True)
    return away


def _share(values: Floats, basis: Floats) -> Floats:
    away = _centred(values)
    inside = ((away @ basis[:, None]) ** 2).sum((1, 2, 3))
    share: Floats = inside / (away**2).sum((1, 2, 3))
    return share


def _by_trial(values: Floats) -> Tensor:
    """Return the mean of each trial over episodes, (step, seed, unit)."""
    return _tensor(values.mean(1).swapaxes(0, 1))


def _tensor(values: ArrayLike) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).float()


def _seeds(observed: Mapping[str, Observed]) -> list[int]:
    return list(observed[TRAINED].network.seeds)
