"""A Rescorla-Wagner learner of two options whose learning rate depends on the trial.

The model of :func:`pfc_metarl.analysis.inner_learning_rate`, which has its equations:
the choices of one subject side by side by session, and the likelihood of them.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.linalg.lapack import dtbtrs
from scipy.special import expit

from pfc_metarl.analysis.free_choices import free_choices

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

INITIAL_VALUE = 0.5  # guess: what a choice by chance earns where one of two arms pays


@dataclass(frozen=True)
class Choices:
    """What one subject chose, and what its options learned; sessions side by side.

    Sessions begin together; where one has no more trials, nothing is learned or scored.
    Where both options learn from every outcome, V_0 = 1 - V_1 throughout: the arrays by
    option then hold option 1 alone.
    """

    side: Floats  # (session, trial): 1 for option 1, -1 for option 0, 0 where missing
    outcome: Floats  # (session, option, trial): what the option learns from
    learned: Floats  # (session, option, trial): 1 where it learns from it, else 0
    condition: NDArray[np.int64]  # (session, trial): index of the learning rate
    scored: Flags  # (session, trial): the choice is free, and to be explained

    def pooled(self) -> "Choices":
        """Return the same choices as if there were a single condition."""
        return replace(self, condition=np.zeros_like(self.condition))


def choices_of(
    table: xr.Dataset, subject: int, condition: NDArray[np.int64], mirrored: bool
) -> Choices:
    """Arrange one subject's valid trials by session.

    Parameters
    ----------
    table
        A trial table of choices 0, 1 and -1 (missing).
    subject
        Index of the subject.
    condition
        (trial,) index of every trial's condition, from 0.
    mirrored
        Whether the option not chosen learns from 1 less the reward.
    """
    used = (table.subject.values == subject) & (table.valid.values == 1)
    rows = np.flatnonzero(used)
    _, first, session, length = np.unique(
        table.session.values[rows],
        return_index=True,
        return_inverse=True,
        return_counts=True,
    )
    cell = (session, np.arange(len(rows)) - first[session])

    def laid_out(values: NDArray[Any], missing: float = 0) -> NDArray[Any]:
        array = np.full((len(length), length.max(initial=0)), missing, values.dtype)
        array[cell] = values
        return array

    choice = laid_out(table.choice.values[rows].astype(int), missing=-1)[:, None]
    reward = laid_out(table.reward.values[rows].astype(float))[:, None]
    chosen = choice == np.array([1] if mirrored else [0, 1])[:, None]
    learned = (choice >= 0) & ~np.isnan(reward) & (chosen | mirrored)
    return Choices(
        side=np.where(choice >= 0, 2.0 * choice - 1, 0.0)[:, 0],
        outcome=np.nan_to_num(np.where(chosen, reward, 1 - reward)),
        learned=learned.astype(float),
        condition=laid_out(condition[rows]),
        scored=laid_out(free_choices(table)[rows]),
    )


def value_difference(choices: Choices, rates: Floats) -> tuple[Floats, Floats]:
    """Return V_1 - V_0 before every choice, and its derivative by each learning rate.

    Parameters
    ----------
    choices
        Of one subject.
    rates
        (condition,) learning rates.

    Returns
    -------
    difference : numpy.ndarray
        (session, trial).
    slope : numpy.ndarray
        (condition, session, trial).
    """
    step = choices.learned * rates[choices.condition][:, None]
    kept = 1 - step
    value = _accumulated(kept, (step * choices.outcome)[None], INITIAL_VALUE)[0]
    error = choices.learned * (choices.outcome - value)
    here = choices.condition[:, None] == np.arange(len(rates))[:, None, None, None]
    slope = _accumulated(kept, error * here, 0.0)
    if choices.learned.shape[1] == 1:
        return 2 * value[:, 0] - 1, 2 * slope[:, :, 0]
    return value[:, 1] - value[:, 0], slope[:, :, 1] - slope[:, :, 0]


def _accumulated(kept: Floats, gained: Floats, initial: float) -> Floats:
    """Return x_0, x_1, ... with x_t+1 = kept_t x_t + gained_t, along the trials.

    The recursions of all sessions are one triangular system of equations with two
    diagonals, which is solved at once.

    Parameters
    ----------
    kept
        (session, option, trial).
    gained
        (quantity, session, option, trial).
    initial
        x_0.
    """
    known = np.empty_like(gained)
    known[..., 0] = initial
    known[..., 1:] = gained[..., :-1]
    diagonals = np.empty((kept.size, 2))  # the first, all ones, is never read
    below = diagonals[:, 1].reshape(kept.shape)
    np.negative(kept, out=below)
    below[..., -1] = 0  # sessions and options do not touch
    solved, _ = dtbtrs(
        diagonals.T, known.reshape(len(known), -1).T, uplo="L", diag="U", overwrite_b=1
    )
    accumulated: Floats = solved.T.reshape(gained.shape)
    return accumulated


def log_likelihood(choices: Choices, parameters: Floats) -> tuple[Floats, Floats]:
    """Return the log-likelihood of each session's choices, and its derivative.

    Parameters
    ----------
    choices
        Of one subject.
    parameters
        Learning rates, one per condition, then inverse temperature, perseveration and
        lapse rate.

    Returns
    -------
    log_likelihood : numpy.ndarray
        (session,), in nats.
    score : numpy.ndarray
        (session, parameter), its derivative.
    """
    temperature, perseveration, lapse = parameters[-3:]
    difference, slope = value_difference(choices, parameters[:-3])
    before = np.zeros_like(choices.side)
    before[:, 1:] = choices.side[:, :-1]
    log_odds = temperature * difference + perseveration * before
    softmax = expit(choices.side * log_odds)
    p = (1 - lapse) * softmax + lapse / 2
    by_log_odds = choices.scored * choices.side * softmax * (1 - softmax) / p
    by_log_odds *= 1 - lapse
    score = [
        *(temperature * np.einsum("nt,cnt->cn", by_log_odds, slope)),
        (by_log_odds * difference).sum(1),
        (by_log_odds * before).sum(1),
        (choices.scored * (0.5 - softmax) / p).sum(1),
    ]
    return (choices.scored * np.log(p)).sum(1), np.stack(score, axis=1)
