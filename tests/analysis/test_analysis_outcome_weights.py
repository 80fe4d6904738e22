from collections.abc import Callable

import numpy as np
import pytest
import torch
import xarray as xr

from pfc_metarl.analysis import outcome_weights
from pfc_metarl.analysis.logistic_regression import fit_logistic
from pfc_metarl.errors import DataError, InputError
from pfc_metarl.recording import behaviour
from pfc_metarl.tasks.observers.base import Player
from pfc_metarl.tasks.observers.volatility import VolatilityObserver
from pfc_metarl.tasks.volatility import stable_and_volatile
from pfc_metarl.trials import trial_table

HALVES = stable_and_volatile()


def played(player: Player, n_episodes: int = 60) -> xr.Dataset:
    tape = HALVES.draw(n_episodes, torch.Generator().manual_seed(1))
    episodes = player.play(tape, torch.Generator().manual_seed(2))
    return behaviour(episodes, ["one", "other"], {})


def test_the_regressors_are_the_sides_that_paid(
    random_table: Callable[[int], xr.Dataset],
) -> None:
    table = random_table(3)
    table["weather"] = table.trial_in_session // 20 % 2
    found = outcome_weights(table, "weather", n_lags=2)
    position = {
        (int(s), int(t)): row
        for row, (s, t) in enumerate(
            zip(table.session.values, table.trial_in_session.values, strict=True)
        )
    }
    for subject in range(table.subject_id.size):
        for kind in range(2):
            regressors, response = [], []
            for (session, number), row in position.items():
                rows = [position.get((session, number - lag)) for lag in (0, 1, 2)]
                if None in rows or int(table.subject[row]) != subject:
                    continue
                trials = table.isel(trial=rows)
                if not trials.valid.all() or (trials.weather != kind).any():
                    continue
                if int(table.forced[row]) or int(table.choice[row]) < 0:
                    continue
                past = trials.isel(trial=[1, 2])
                side = np.where(past.choice < 0, 0, 2 * past.choice - 1)
                regressors.append(np.nan_to_num(side * (2 * past.reward - 1)))
                response.append(float(table.choice[row]))
            expected = fit_logistic(np.array(regressors), np.array(response), 0.01)
            fit = found.isel(subject=subject, condition=kind)
            assert fit.n_choices == len(response) > 5
            np.testing.assert_allclose(fit.weights, expected.weights, atol=1e-6)
            np.testing.assert_allclose(
                fit.standard_error, expected.standard_errors, rtol=1e-5
            )


def noisy(rate: float, n_sessions: int = 400) -> xr.Dataset:
    """A learner of one rate from either outcome, with noise in its choice."""
    tape = HALVES.draw(n_sessions, torch.Generator().manual_seed(1))
    paid = tape["payoff"].argmax(-1).T.numpy()
    rng = np.random.default_rng(2)
    value = np.full(n_sessions, 0.5)
    choice = np.zeros_like(paid)
    for trial in range(HALVES.trials):
        p = 1 / (1 + np.exp(-8 * (value - 0.5)))
        choice[:, trial] = rng.random(n_sessions) < p
        value += rate * (paid[:, trial] - value)
    session, trial = np.indices(paid.shape).reshape(2, -1)
    return trial_table(
        {
            "choice": choice.reshape(-1),
            "reward": (choice == paid).reshape(-1),
            "volatility": tape["kind"].T.reshape(-1).numpy(),
        },
        subject=np.zeros_like(session),
        session=session,
        trial_in_session=trial,
        subject_id=["one"],
    )


def test_the_weights_of_a_fixed_rate_fall_geometrically() -> None:
    found = outcome_weights(noisy(0.4), n_lags=12)
    # Which side paid moves 8 times the value by 8 x 0.4 / 2 to either side.
    expected = 1.6 * 0.6 ** np.arange(12)
    assert (np.abs(found.weights - expected) < 4 * found.standard_error).all()


def test_the_share_of_the_last_outcome_tells_a_fixed_rate() -> None:
    found = outcome_weights(noisy(0.3)).last_outcome_share
    np.testing.assert_allclose(found, 0.3 / (1 - 0.7**8), atol=0.02)


def test_the_last_outcome_weighs_more_where_it_is_volatile() -> None:
    found = outcome_weights(played(VolatilityObserver(HALVES))).last_outcome_share
    assert (found[:, 1] > found[:, 0] + 0.1).all()


def small_table(**changes: object) -> xr.Dataset:
    columns = {
        "choice": [0, 1, 1, 0],
        "reward": [1.0, 0.0, 1.0, 1.0],
        "volatility": [0.0, 0.0, 0.2, 0.2],
    }
    return trial_table(
        columns | changes,
        subject=np.zeros(4, int),
        session=np.zeros(4, int),
        trial_in_session=np.arange(4),
        subject_id=["one"],
    )


def test_a_condition_without_complete_history_has_no_weights() -> None:
    found = outcome_weights(small_table(), n_lags=2)
    assert np.isnan(found.weights).all()
    assert not found.n_choices.any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"n_lags": 0}, "n_lags is 0"), ({"ridge": -1.0}, "ridge is -1.0")],
)
def test_settings_out_of_range_are_refused(
    settings: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        outcome_weights(small_table(), **settings)


def test_a_reward_out_of_range_is_refused() -> None:
    with pytest.raises(DataError, match="trial 0 has reward 2"):
        outcome_weights(small_table(reward=[2.0, 0.0, 0.0, 0.0]))
