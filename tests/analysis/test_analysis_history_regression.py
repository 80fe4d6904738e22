import numpy as np
import pytest
from scipy.optimize import minimize

from pfc_metarl.analysis import history_regression
from pfc_metarl.errors import DataError, InputError
from pfc_metarl.trials import trial_table

TYPES = ["common-rewarded", "rare-rewarded", "common-unrewarded", "rare-unrewarded"]


def simulated(weights, bias=0.0, n_sessions=40, n_trials=100, seed=0):
    """Choices of a subject with the given weights (trial type, lag)."""
    rng = np.random.default_rng(seed)
    choice = np.zeros((n_sessions, n_trials), dtype=int)
    reward = rng.integers(0, 2, choice.shape)
    common = (rng.random(choice.shape) < 0.7).astype(int)
    kind = 2 * (1 - reward) + (1 - common)
    for trial in range(n_trials):
        log_odds = np.full(n_sessions, bias)
        for lag in range(1, min(weights.shape[1], trial) + 1):
            past = trial - lag
            side = 2 * choice[:, past] - 1
            log_odds += side * weights[kind[:, past], lag - 1]
        p = 1 / (1 + np.exp(-log_odds))
        choice[:, trial] = rng.random(n_sessions) < p
    session = np.repeat(np.arange(n_sessions), n_trials)
    return trial_table(
        {
            "choice": choice.ravel(),
            "reward": reward.ravel(),
            "transition_common": common.ravel(),
        },
        subject=np.zeros(session.size, dtype=int),
        session=session,
        trial_in_session=np.tile(np.arange(n_trials), n_sessions),
        subject_id=["simulated"],
    )


def regressors_by_loop(table, n_lags, complete_history=False):
    """Design and choices of every scored trial, trial by trial."""
    frame = table.drop_dims(["subjects", "sessions"]).to_dataframe().query("valid == 1")
    rows, choices, subjects = [], [], []
    for trial in range(len(frame)):
        now = frame.iloc[trial]
        if now.forced or now.choice < 0:
            continue
        row, complete = np.zeros((4, n_lags)), True
        for lag in range(1, n_lags + 1):
            past = frame.iloc[trial - lag] if trial >= lag else None
            if past is None or past.session != now.session:
                complete = False
                break
            complete &= now.trial_in_session - past.trial_in_session == lag
            known = not np.isnan(past.reward) and past.transition_common >= 0
            if past.choice >= 0 and known:
                kind = 2 * int(past.reward <= 0) + int(past.transition_common == 0)
                row[kind, lag - 1] = 2 * past.choice - 1
        if complete or not complete_history:
            rows.append(np.append(row.ravel(), 1))
            choices.append(now.choice)
            subjects.append(int(now.subject))
    return np.array(rows), np.array(choices), np.array(subjects)


def fit_by_scipy(design, choice, ridge):
    def loss(w):
        z = design @ w
        return np.sum(np.log1p(np.exp(z)) - choice * z) + ridge / 2 * np.sum(w**2)

    start = np.zeros(design.shape[1])
    return minimize(loss, start, method="BFGS", options={"gtol": 1e-4}).x


def test_weights_of_a_simulated_subject_are_recovered():
    weights = np.array([[1.2, 0.6], [-0.8, -0.3], [-0.7, 0.0], [0.9, 0.2]])
    table = simulated(weights, bias=0.4, n_sessions=100)
    result = history_regression(table, n_lags=2).isel(subject=0)
    z = (result.weights.values - weights) / result.standard_error.values
    assert result.weights.dims == ("trial_type", "lag")
    assert list(result.trial_type.values) == TYPES
    assert np.abs(z).max() < 3.5
    assert abs(float(result.bias) - 0.4) < 3.5 * float(result.bias_standard_error)
    assert not bool(result.separated)


def test_indices_are_contrasts_of_the_summed_weights():
    weights = np.array([[1.2, 0.6], [-0.8, -0.3], [-0.7, 0.0], [0.9, 0.2]])
    result = history_regression(simulated(weights), n_lags=2).isel(subject=0)
    cr, rr, cu, ru = result.weights.sum("lag").values
    assert float(result.planning_index) == pytest.approx(cr - rr - cu + ru)
    assert float(result.model_free_index) == pytest.approx(cr + rr - cu - ru)


@pytest.mark.parametrize("complete_history", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_agrees_with_a_loop_and_another_optimiser(random_table, seed, complete_history):
    table = random_table(seed)
    design, choice, subject = regressors_by_loop(table, 2, complete_history)
    result = history_regression(table, 2, ridge=0.5, complete_history=complete_history)
    for index in range(table.subject_id.size):
        mine = subject == index
        expected = fit_by_scipy(design[mine], choice[mine], ridge=0.5)
        found = result.isel(subject=index)
        weights = np.append(found.weights.values.ravel(), found.bias)
        assert int(found.n_choices) == mine.sum()
        np.testing.assert_allclose(weights, expected, atol=1e-3)


def test_swapping_the_choices_flips_the_bias_and_nothing_else(random_table):
    table = random_table(1)
    swapped = table.assign(
        choice=table.choice.where(table.choice < 0, 1 - table.choice)
    )
    here, there = history_regression(table), history_regression(swapped)
    np.testing.assert_allclose(there.weights, here.weights, atol=1e-6)
    np.testing.assert_allclose(there.bias, -here.bias, atol=1e-6)
    np.testing.assert_allclose(there.log_likelihood, here.log_likelihood)


def test_forced_choices_are_history_but_are_not_scored():
    table = simulated(np.zeros((4, 1)), n_sessions=1, n_trials=30)
    table.forced.values[10] = 1
    result = history_regression(table, n_lags=1)
    before = result.weights.copy()
    table.choice.values[10] = 1 - table.choice.values[10]
    after = history_regression(table, n_lags=1)
    assert int(result.n_choices[0]) == 29
    assert np.abs(after.weights - before).max() > 1e-3


def test_invalid_trials_are_passed_over():
    table = simulated(np.zeros((4, 2)), n_sessions=1, n_trials=40)
    table.valid.values[20] = 0
    without = table.isel(trial=np.arange(40) != 20)
    assert history_regression(table, 2).identical(history_regression(without, 2))
    strict = history_regression(table, 2, complete_history=True)
    assert int(strict.n_choices[0]) == 40 - 2 - 3


def test_a_deterministic_subject_is_called_separated_and_stays_finite():
    table = simulated(np.array([[50.0], [-50.0], [-50.0], [50.0]]), n_sessions=5)
    table = table.isel(trial=table.trial_in_session > 0)  # the first is by chance
    result = history_regression(table, 1, complete_history=True).isel(subject=0)
    assert bool(result.separated)
    assert np.isfinite(result.weights).all()
    assert float(result.planning_index) > 10
    bare = history_regression(table, 1, ridge=0, complete_history=True)
    assert bare.weights.isnull().all()
    assert bool(bare.separated[0])


def test_a_subject_without_choices_is_missing(random_table):
    table = random_table(0)
    table.forced.values[table.subject.values == 1] = 1
    result = history_regression(table, 1)
    assert result.planning_index.isnull().values.tolist() == [False, True, False]
    assert int(result.n_choices[1]) == 0


@pytest.mark.parametrize("changes", [{"n_lags": 0}, {"ridge": -1.0}])
def test_settings_out_of_range_are_refused(random_table, changes):
    with pytest.raises(InputError, match=next(iter(changes))):
        history_regression(random_table(0), **changes)


def test_a_third_option_and_a_missing_column_are_named(random_table):
    table = random_table(0)
    with pytest.raises(DataError, match=r"'reward'.*the history regression"):
        history_regression(table.drop_vars("reward"))
    table.choice.values[7] = 2
    with pytest.raises(DataError, match="trial 7 has choice 2"):
        history_regression(table)
