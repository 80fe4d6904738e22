from collections.abc import Callable
from dataclasses import replace
from math import exp, log

import numpy as np
import pytest
import torch
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import approx_fprime
from scipy.stats import binomtest

from pfc_metarl.analysis import inner_learning_rate
from pfc_metarl.analysis.rescorla_wagner import choices_of, log_likelihood
from pfc_metarl.errors import DataError, InputError
from pfc_metarl.recording import behaviour
from pfc_metarl.tasks.observers.volatility import (
    BehrensLearner,
    FixedRate,
    Predictor,
    VolatilityObserver,
)
from pfc_metarl.tasks.volatility import Volatility, stable_and_volatile
from pfc_metarl.trials import select, trial_table

RandomTable = Callable[[int], xr.Dataset]
HALVES = stable_and_volatile()


def probability_of_1(
    value: list[float], before: int, beta: float, kappa: float, lapse: float
) -> float:
    log_odds = beta * (value[1] - value[0]) + kappa * before
    return (1 - lapse) / (1 + exp(-log_odds)) + lapse / 2


def learn(
    value: list[float], choice: int, reward: float, rate: float, mirrored: bool
) -> None:
    value[choice] += rate * (reward - value[choice])
    if mirrored:
        value[1 - choice] += rate * (1 - reward - value[1 - choice])


def simulated(
    rates: tuple[float, float],
    shared: tuple[float, float, float],
    *,
    mirrored: bool = True,
    n_subjects: int = 1,
    n_sessions: int = 40,
    seed: int = 0,
) -> xr.Dataset:
    """Learners of known rates in the stable and the volatile half, trial by trial."""
    n_episodes = n_subjects * n_sessions
    tape = HALVES.draw(n_episodes, torch.Generator().manual_seed(seed))
    payoff, kind = tape["payoff"].tolist(), tape["kind"].tolist()
    rng = np.random.default_rng(seed)
    choices, rewards = [], []
    for episode in range(n_episodes):
        value, before = [0.5, 0.5], 0
        for trial in range(HALVES.trials):
            choice = int(rng.random() < probability_of_1(value, before, *shared))
            reward = payoff[trial][episode][choice]
            learn(value, choice, reward, rates[kind[trial][episode]], mirrored)
            before = 2 * choice - 1
            choices.append(choice)
            rewards.append(reward)
    session = np.repeat(np.arange(n_episodes), HALVES.trials)
    return trial_table(
        {
            "choice": choices,
            "reward": rewards,
            "volatility": torch.tensor(HALVES.volatilities)[tape["kind"]].T.reshape(-1),
        },
        subject=session // n_sessions,
        session=session,
        trial_in_session=np.tile(np.arange(HALVES.trials), n_episodes),
        subject_id=[f"s{number}" for number in range(n_subjects)],
    )


def played(player: Predictor, n_subjects: int = 8, n_episodes: int = 40) -> xr.Dataset:
    """Players that met different episodes of both halves."""
    tape = player.task.draw(n_subjects * n_episodes, torch.Generator().manual_seed(1))
    episodes = player.play(tape, torch.Generator().manual_seed(2))
    return behaviour(episodes, [f"s{number}" for number in range(n_subjects)], {})


def difference(found: xr.Dataset) -> NDArray[np.float64]:
    """How much faster each subject learns in the volatile half."""
    stable, volatile = found.learning_rate.values.T
    return volatile - stable


def p_of_sign_test(found: xr.Dataset) -> float:
    values = difference(found)
    return float(binomtest(int((values > 0).sum()), len(values)).pvalue)


# The likelihood, on tables with invalid, forced, absent and missing trials.


def any_table(random_table: RandomTable) -> xr.Dataset:
    table = random_table(5)
    rng = np.random.default_rng(6)
    changes = np.cumsum(rng.random(table.sizes["trial"]) < 0.05)
    return table.assign(volatility=("trial", 0.1 * (changes % 3)))


def plain_log_likelihood(
    table: xr.Dataset, subject: int, parameters: NDArray[np.float64], mirrored: bool
) -> float:
    conditions = sorted(set(table.volatility.values.tolist()))
    *rates, beta, kappa, lapse = parameters
    total, session = 0.0, -1
    for row in range(table.sizes["trial"]):
        trial = table.isel(trial=row)
        if int(trial.subject) != subject or not int(trial.valid):
            continue
        if int(trial.session) != session:
            session, value, before = int(trial.session), [0.5, 0.5], 0
        choice, reward = int(trial.choice), float(trial.reward)
        if choice >= 0 and not int(trial.forced):
            p = probability_of_1(value, before, beta, kappa, lapse)
            total += log(p if choice == 1 else 1 - p)
        if choice >= 0 and not np.isnan(reward):
            rate = rates[conditions.index(float(trial.volatility))]
            learn(value, choice, reward, rate, mirrored)
        before = 2 * choice - 1 if choice >= 0 else 0
    return total


PARAMETERS = np.array([0.1, 0.3, 0.7, 4.0, 0.6, 0.1])


@pytest.mark.parametrize("mirrored", [True, False])
def test_the_likelihood_is_that_of_a_plain_loop(
    random_table: RandomTable, mirrored: bool
) -> None:
    table = any_table(random_table)
    _, index = np.unique(table.volatility.values, return_inverse=True)
    choices = choices_of(table, 1, index, mirrored)
    found, _ = log_likelihood(choices, PARAMETERS)
    expected = plain_log_likelihood(table, 1, PARAMETERS, mirrored)
    assert found.sum() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("mirrored", [True, False])
def test_the_gradient_is_that_of_finite_differences(
    random_table: RandomTable, mirrored: bool
) -> None:
    table = any_table(random_table)
    _, index = np.unique(table.volatility.values, return_inverse=True)
    choices = choices_of(table, 0, index, mirrored)
    found = log_likelihood(choices, PARAMETERS)[1].sum(0)
    expected = approx_fprime(
        PARAMETERS, lambda at: log_likelihood(choices, at)[0].sum(), 1e-7
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_the_fit_tells_the_likelihood_of_its_estimates(
    random_table: RandomTable,
) -> None:
    table = any_table(random_table)
    found = inner_learning_rate(table).isel(subject=1)
    shared = ("inverse_temperature", "perseveration", "lapse_rate")
    for model, rates in (
        ("free", found.learning_rate.values),
        ("common", [found.common_learning_rate] * 3),
    ):
        fit = found.sel(model=model)
        at = np.array([*rates, *(fit[name] for name in shared)], dtype=float)
        expected = plain_log_likelihood(table, 1, at, mirrored=True)
        assert fit.log_likelihood == pytest.approx(expected, abs=1e-6)


def test_trials_that_are_not_valid_are_passed_over(random_table: RandomTable) -> None:
    table = any_table(random_table)
    without = select(table, table.valid.values == 1)
    xr.testing.assert_identical(
        inner_learning_rate(table), inner_learning_rate(without)
    )


def test_the_names_of_the_options_do_not_matter() -> None:
    table = simulated((0.1, 0.4), (5.0, 0.5, 0.05), n_sessions=10)
    swapped = table.assign(choice=1 - table.choice)
    xr.testing.assert_allclose(
        inner_learning_rate(table), inner_learning_rate(swapped), rtol=1e-3
    )


# Learners of known rates.


@pytest.mark.parametrize("mirrored", [True, False])
def test_known_rates_are_recovered(mirrored: bool) -> None:
    table = simulated((0.1, 0.4), (5.0, 0.5, 0.05), mirrored=mirrored)
    found = inner_learning_rate(table, mirrored=mirrored).isel(subject=0)
    error = np.abs(found.learning_rate - [0.1, 0.4])
    assert (error < 3 * found.standard_error).all()
    assert (found.standard_error < 0.05).all()
    free = found.sel(model="free")
    assert free.inverse_temperature == pytest.approx(5, abs=0.6)
    assert free.perseveration == pytest.approx(0.5, abs=0.15)
    assert free.lapse_rate == pytest.approx(0.05, abs=0.03)
    np.testing.assert_array_equal(found.n_choices, [4000, 4000])
    assert free.bic < found.bic.sel(model="common")
    assert found.converged.all()
    assert (found.n_starts_at_best == found.n_starts).all()


def test_standard_errors_are_the_spread_of_estimates() -> None:
    found = inner_learning_rate(
        simulated((0.15, 0.35), (6.0, 0.3, 0.04), n_subjects=16, n_sessions=10)
    )
    ratio = found.standard_error.mean("subject") / found.learning_rate.std("subject")
    assert ((ratio > 0.6) & (ratio < 1.6)).all()


def test_one_rate_for_all_needs_no_second() -> None:
    found = inner_learning_rate(
        simulated((0.3, 0.3), (5.0, 0.5, 0.05), n_subjects=8, n_sessions=12)
    )
    free, common = found.log_likelihood.T
    assert (free >= common - 1e-6).all()
    parameters = xr.DataArray([5, 4], dims="model", coords={"model": found.model})
    np.testing.assert_array_equal(found.n_parameters[0], parameters)
    expected = parameters * np.log(2400) - 2 * found.log_likelihood
    np.testing.assert_allclose(found.bic, expected.transpose("subject", "model"))
    assert (found.bic.sel(model="common") < found.bic.sel(model="free")).sum() >= 7
    error = np.abs(found.common_learning_rate - 0.3)
    assert (error < 4 * found.common_standard_error).all()
    assert p_of_sign_test(found) > 0.05


def test_what_is_not_fitted_is_0() -> None:
    table = simulated((0.1, 0.4), (5.0, 0.0, 0.0), n_sessions=10)
    found = inner_learning_rate(table, perseveration=False, lapse=False)
    assert not found.perseveration.any()
    assert not found.lapse_rate.any()
    np.testing.assert_array_equal(found.n_parameters, [[3, 2]])


# Players of the task.


def test_a_fixed_rate_shows_no_difference() -> None:
    found = inner_learning_rate(played(FixedRate(HALVES, 0.2)))
    np.testing.assert_allclose(found.learning_rate, 0.2, atol=0.005)
    assert abs(difference(found).mean()) < 0.001
    assert p_of_sign_test(found) > 0.05
    assert (found.bic.sel(model="common") < found.bic.sel(model="free")).all()
    assert (found.inverse_temperature > 99).all()  # it has no noise


def test_a_fixed_rate_fitted_to_the_chosen_option_alone_seems_to_adapt() -> None:
    found = inner_learning_rate(played(FixedRate(HALVES, 0.2)), mirrored=False)
    assert 0.01 < difference(found).mean() < 0.05  # why both options learn by default


def test_the_ideal_observer_learns_faster_where_it_is_volatile() -> None:
    found = inner_learning_rate(played(VolatilityObserver(HALVES)))
    assert p_of_sign_test(found) < 0.01
    assert (difference(found) > 0.2).all()
    assert (found.bic.sel(model="free") < found.bic.sel(model="common")).all()


def test_the_learner_of_behrens_comes_to_learn_faster_where_it_is_volatile() -> None:
    # It knows no volatilities beforehand, and needs more trials than networks do.
    task = replace(HALVES, part_trials=400, trials=800)
    player = BehrensLearner(task, points=(15, 8, 4))
    found = inner_learning_rate(played(player, n_episodes=10))
    assert p_of_sign_test(found) < 0.01
    assert difference(found).mean() > 0.04


def test_inference_with_one_hazard_differs_by_little() -> None:
    one_hazard = Volatility(volatilities=(0.05,), payoffs=(0.8,))
    found = inner_learning_rate(played(VolatilityObserver(HALVES, one_hazard)))
    assert 0 < difference(found).mean() < 0.02  # but reliably so


# What is refused.


def small_table(**changes: object) -> xr.Dataset:
    columns = {
        "choice": [0, 1, 1, 0],
        "reward": [1.0, 0.0, 1.0, 1.0],
        "volatility": [0.0, 0.2, 0.0, 0.2],
    }
    return trial_table(
        columns | changes,
        subject=[0, 0, 1, 1],
        session=[0, 0, 1, 1],
        trial_in_session=[0, 1, 0, 1],
        subject_id=["one", "other"],
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"choice": [0, 2, 1, 0]}, "trial 1 has choice 2"),
        ({"reward": [1.0, 4.0, 1.0, 1.0]}, "trial 1 has reward 4.0"),
        ({"volatility": [0, np.nan, 0, 0.2]}, "trial 1 has volatility nan"),
        ({"volatility": [0, -1, 0, 1]}, "trial 1 has volatility -1"),
        ({"choice": [0, 1, 1, -1]}, "other has no free choice where volatility is 0.2"),
    ],
)
def test_tables_that_cannot_be_fitted_are_refused(
    wrong: dict[str, list[float]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        inner_learning_rate(small_table(**wrong))


def test_a_table_without_the_condition_is_refused() -> None:
    with pytest.raises(DataError, match="no column 'weather'"):
        inner_learning_rate(small_table(), "weather")


@pytest.mark.parametrize("n_values", [1, 11])
def test_one_condition_or_too_many_are_refused(n_values: int) -> None:
    values = np.arange(40) % n_values / 20
    table = trial_table(
        {"choice": np.arange(40) % 2, "reward": np.ones(40), "volatility": values},
        subject=np.zeros(40, int),
        session=np.zeros(40, int),
        trial_in_session=np.arange(40),
        subject_id=["one"],
    )
    with pytest.raises(InputError, match=f"'volatility' has {n_values} values"):
        inner_learning_rate(table)


def test_a_single_session_has_no_standard_error() -> None:
    found = inner_learning_rate(simulated((0.2, 0.2), (5.0, 0.0, 0.0), n_sessions=1))
    assert np.isnan(found.standard_error).all()
    assert np.isnan(found.common_standard_error).all()
