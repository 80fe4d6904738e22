"""Agents as machines: the states that they were in, and what they do in any state."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from pfc_metarl.analysis.bandit_statistics import both_arms
from pfc_metarl.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Agent:
    """The states that an agent was in, and what it does in any state.

    Parameters
    ----------
    state
        (episode, step, unit).
    policy
        From states (..., unit) to probabilities (..., action).
    """

    state: Floats
    policy: Callable[[Floats], Floats]


def network_agents(
    state: ArrayLike, policy_weight: ArrayLike, policy_bias: ArrayLike
) -> list[Agent]:
    """Return networks whose policy is a softmax of a linear read-out of their state.

    Parameters
    ----------
    state
        (seed, episode, step, unit): what the policy's head reads, of an LSTM its
        ``hidden`` state. Where the head reads something else, as with slots, this does
        not apply.
    policy_weight
        (seed, action, unit), and perhaps only the actions that matter here: they share
        the probability.
    policy_bias
        (seed, action) or (seed, action, 1).

    Returns
    -------
    list of Agent
        One per seed.

    Raises
    ------
    InputError
        When the shapes do not fit.
    """
    states = np.asarray(state, dtype=float)
    weight = np.asarray(policy_weight, dtype=float)
    bias = np.asarray(policy_bias, dtype=float)
    n_seeds, n_units = states.shape[0], states.shape[-1]
    fits = weight.ndim == 3 and weight.shape[::2] == (n_seeds, n_units)
    if states.ndim != 4 or not fits or bias.size != n_seeds * weight.shape[1]:
        raise InputError(
            f"state, weights and biases have shapes {states.shape}, {weight.shape} and "
            f"{bias.shape}; expected (seed, episode, step, unit), (seed, action, unit) "
            "and (seed, action)"
        )
    offsets = bias.reshape(weight.shape[:2])
    return [
        Agent(own, _LinearPolicy(rows, offset))
        for own, rows, offset in zip(states, weight, offsets, strict=True)
    ]


@dataclass(frozen=True)
class _LinearPolicy:
    weight: Floats  # (action, unit)
    bias: Floats  # (action,)

    def __call__(self, state: Floats) -> Floats:
        chances: Floats = softmax(state @ self.weight.T + self.bias, axis=-1)
        return chances


def bandit_observers(
    statistics: xr.Dataset, inverse_temperature: ArrayLike
) -> list[Agent]:
    """Return ideal observers of the correlated bandit, softened.

    Their state is ``lead`` and ``trials``. In any state they compute the posterior mean
    of each arm and choose by softmax; a state that cannot be, with a lead of more than
    the trials, is taken for the nearest lead that can.

    Parameters
    ----------
    statistics
        From :func:`bandit_statistics`.
    inverse_temperature
        () or (seed,). That of fold 0 of :func:`policy_divergence` with 2 folds was
        fitted on the same half of the episodes as the map. An untrained network has
        none to speak of: give its observer that of the trained one, since two agents
        that choose at random resemble each other whatever their states.

    Returns
    -------
    list of Agent
        One per seed.

    Raises
    ------
    InputError
        When the inverse temperatures are not as many as the seeds.
    """
    state = np.stack([statistics.lead.values, statistics.trials.values], axis=-1)
    return _observers(state, _mean_from_lead, inverse_temperature)


def block_observers(
    posterior: ArrayLike, inverse_temperature: ArrayLike
) -> list[Agent]:
    """Return observers of a task with two kinds of block, softened.

    Their state is the probability of the block in which action 0 is the better one, as
    it is before each choice; they choose by softmax over it and its complement. In the
    two-step task, as Wang et al. 2018 have it, expected rewards are linear in it.

    Parameters
    ----------
    posterior
        (seed, episode, step).
    inverse_temperature
        () or (seed,); see :func:`bandit_observers`.

    Returns
    -------
    list of Agent
        One per seed.

    Raises
    ------
    InputError
        When a shape is wrong.
    """
    state = np.asarray(posterior, dtype=float)[..., None]
    return _observers(state, _only_unit, inverse_temperature)


def _observers(
    state: Floats,
    first_action: Callable[[Floats], Floats],
    inverse_temperature: ArrayLike,
) -> list[Agent]:
    inverse = np.asarray(inverse_temperature, dtype=float)
    if state.ndim != 4 or inverse.shape not in ((), state.shape[:1]):
        raise InputError(
            f"statistics and inverse temperatures have shapes {state.shape[:-1]} and "
            f"{inverse.shape}; expected (seed, episode, step), and () or (seed,)"
        )
    inverse = np.broadcast_to(inverse, len(state))
    return [
        Agent(own, _SoftenedPolicy(first_action, float(softness)))
        for own, softness in zip(state, inverse, strict=True)
    ]


@dataclass(frozen=True)
class _SoftenedPolicy:
    """Softmax of a probability that speaks for action 0, and its complement."""

    first_action: Callable[[Floats], Floats]
    inverse_temperature: float

    def __call__(self, state: Floats) -> Floats:
        preference = both_arms(self.first_action(state))
        chances: Floats = softmax(self.inverse_temperature * preference, axis=-1)
        return chances


def _mean_from_lead(state: Floats) -> Floats:
    trials = np.maximum(state[..., 1], 0.0)
    lead = np.clip(state[..., 0], -trials, trials)
    mean: Floats = (1 + (trials + lead) / 2) / (2 + trials)
    return mean


def _only_unit(state: Floats) -> Floats:
    return np.clip(state[..., 0], 0.0, 1.0)
