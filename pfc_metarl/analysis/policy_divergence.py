"""How far a network's policy is from those of simpler agents, trial by trial.

The Bayes-optimal player of a bandit is deterministic, and a divergence from what is
deterministic is infinite at the first exception. Every comparator is therefore a
preference over actions, softened by one inverse temperature that is fitted on other
episodes: the Bayesian and the simple strategies have the same freedom.
"""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import log_softmax, softmax, xlogy

from pfc_metarl.analysis.episode_folds import episode_folds
from pfc_metarl.errors import InputError

Floats = NDArray[np.float64]

RANDOM = "random"
"""The comparator that prefers nothing; it is always there."""

GREEDIEST = 1e4
"""Limit of the inverse temperature; guess: greedy wherever preferences matter."""

ROUNDING = 1e-4  # how far from 1 single-precision probabilities may add up


def policy_divergence(
    policy: ArrayLike, preferences: Mapping[str, ArrayLike], n_folds: int = 2
) -> xr.Dataset:
    """Compare policies with softened preferences, on the network's own history.

    The divergence of a trial is, in nats,

        KL(policy || comparator) = sum_a policy(a) log(policy(a) / comparator(a)):

    what is lost by predicting the network's choices from the comparator instead of from
    the network's own probabilities. The comparator's inverse temperature is the one of
    least divergence over the episodes of the other folds.

    Parameters
    ----------
    policy
        (seed, episode, trial, action) probabilities.
    preferences
        By comparator, (seed, episode, trial, action): what it would like to do after
        the history that the network had, such as :func:`both_arms` of the posterior
        mean, or :func:`win_stay_lose_shift`. :data:`RANDOM` is added.
    n_folds
        In how many parts to hold out episodes.

    Returns
    -------
    xarray.Dataset
        Dimensions (seed, comparator): ``divergence``, the mean over trials and
        episodes, and ``agreement``, the share of trials on which both have the same
        favourite action, among those on which each has one (NaN: none). (seed,
        comparator, trial): ``divergence_by_trial``, the mean over episodes. (seed,
        comparator, fold): ``inverse_temperature``.

    Raises
    ------
    InputError
        When shapes differ, a policy is none, or a preference is not finite.

    References
    ----------
    After Mikulik et al. 2020, arXiv 2010.11223, who compare what agents put out. On
    bandits, public code after them (of Kuo et al. 2025, arXiv 2510.22039) compares
    expected returns; that is :func:`pfc_metarl.analysis.regret`. The softening and the
    simple comparators are ours.
    """
    chances = probabilities(policy)
    wanted = {
        name: _preference(name, values, chances.shape)
        for name, values in {RANDOM: np.zeros_like(chances), **preferences}.items()
    }
    folds = episode_folds(chances.shape[1], n_folds)
    per_trial = np.empty((len(chances), len(wanted), *chances.shape[1:3]))
    fitted = np.empty((len(chances), len(wanted), n_folds))
    for seed, own in enumerate(chances):
        for place, preference in enumerate(wanted.values()):
            for fold, (fit, held_out) in enumerate(folds):
                inverse = fit_inverse_temperature(own[fit], preference[seed, fit])
                logits = inverse * preference[seed, held_out]
                per_trial[seed, place, held_out] = divergence(own[held_out], logits)
                fitted[seed, place, fold] = inverse
    dims = ("seed", "comparator")
    agreed = [_agreement(chances, preference) for preference in wanted.values()]
    nats = {"long_name": "KL divergence of the network's policy", "units": "nat"}
    return xr.Dataset(
        {
            "divergence": (dims, per_trial.mean((2, 3)), nats),
            "agreement": (dims, np.stack(agreed, axis=1), {"units": "1"}),
            "divergence_by_trial": ((*dims, "trial"), per_trial.mean(2), nats),
            "inverse_temperature": ((*dims, "fold"), fitted, {"units": "1"}),
        },
        coords={"comparator": list(wanted)},
    )


def divergence(policy: Floats, logits: Floats) -> Floats:
    """Return KL(policy || softmax(logits)) in nats, over the last dimension.

    Parameters
    ----------
    policy, logits
        (..., action).

    Returns
    -------
    numpy.ndarray
        (...).
    """
    terms = xlogy(policy, policy) - policy * log_softmax(logits, axis=-1)
    total: Floats = terms.sum(-1)
    return total


def fit_inverse_temperature(policy: Floats, preference: Floats) -> float:
    """Find the inverse temperature of least mean divergence, from 0 to GREEDIEST.

    The mean divergence is convex in it, with the slope

        mean over trials of sum_a (softmax_a - policy(a)) preference(a).

    Parameters
    ----------
    policy, preference
        (..., action).

    Returns
    -------
    float
        0 where the policy is unrelated to the preference, or opposes it.
    """

    def slope(inverse: float) -> float:
        excess = softmax(inverse * preference, axis=-1) - policy
        return float((excess * preference).sum(-1).mean())

    if slope(0.0) >= 0:
        return 0.0
    if slope(GREEDIEST) <= 0:
        return GREEDIEST
    return float(brentq(slope, 0.0, GREEDIEST, xtol=1e-6))


def win_stay_lose_shift(
    choice: ArrayLike, reward: ArrayLike, n_actions: int = 2
) -> Floats:
    """Return what win-stay-lose-shift would like to do before each trial.

    Parameters
    ----------
    choice
        (..., trial) the action taken; outside 0 ... n_actions - 1: none.
    reward
        (..., trial); a win is more than 0.
    n_actions
        How many there are.

    Returns
    -------
    numpy.ndarray
        (..., trial, action): 1 for the action to repeat, or for each of the others; all
        0 on the first trial and after no choice.
    """
    chosen, won = np.asarray(choice), np.asarray(reward, dtype=float) > 0
    same = chosen[..., None] == np.arange(n_actions)
    there = same.any(-1, keepdims=True)
    after = np.where(won[..., None], same, ~same & there).astype(float)
    before = np.zeros_like(after)
    before[..., 1:, :] = after[..., :-1, :]
    return before


def probabilities(policy: ArrayLike) -> Floats:
    """Check a policy, and return it in double precision, adding up to 1.

    Parameters
    ----------
    policy
        (seed, episode, trial, action).

    Raises
    ------
    InputError
        When the dimensions are others, a value is negative or they do not add up to 1.
    """
    chances = np.asarray(policy, dtype=float)
    if chances.ndim != 4:
        raise InputError(
            f"policy has shape {chances.shape}; expected (seed, episode, trial, action)"
        )
    total = chances.sum(-1, keepdims=True)
    if not (np.abs(total - 1) < ROUNDING).all() or (chances < 0).any():
        raise InputError(
            "a policy is negative or does not add up to 1; "
            "expected probabilities of actions (of some actions: renormalise)"
        )
    normalised: Floats = chances / total
    return normalised


def _preference(name: str, values: ArrayLike, shape: tuple[int, ...]) -> Floats:
    preference = np.asarray(values, dtype=float)
    if preference.shape != shape or not np.isfinite(preference).all():
        raise InputError(
            f"the preference of '{name}' has shape {preference.shape}, finite or not; "
            f"expected finite numbers like the policy, {shape}"
        )
    return preference


def _agreement(policy: Floats, preference: Floats) -> Floats:
    """Return the share of trials with the same favourite, (seed,)."""
    share = np.full(len(policy), np.nan)
    both = _has_favourite(policy) & _has_favourite(preference)
    same = policy.argmax(-1) == preference.argmax(-1)
    for seed, counted in enumerate(both):
        if counted.any():
            share[seed] = same[seed][counted].mean()
    return share


def _has_favourite(values: Floats) -> NDArray[np.bool_]:
    second, first = np.moveaxis(np.sort(values, axis=-1)[..., -2:], -1, 0)
    clear: NDArray[np.bool_] = first - second > 1e-9
    return clear
