import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import beta

from pfc_metarl.analysis import bandit_statistics
from pfc_metarl.analysis.episode_folds import episode_folds
from pfc_metarl.errors import InputError
from pfc_metarl.tasks.bandit import Bandit
from pfc_metarl.tasks.observers.bandit import posterior_mean


def random_history(n_trials=30, seed=0):
    rng = np.random.default_rng(seed)
    shape = (2, 3, n_trials)
    return rng.integers(0, 2, shape), rng.integers(0, 2, shape).astype(float)


def test_counts_are_of_the_trials_before():
    choice, reward = random_history()
    found = bandit_statistics(choice, reward)
    for seed, episode in np.ndindex(2, 3):
        agreeing = 0
        for trial in range(30):
            at = found.isel(seed=seed, episode=episode, trial=trial)
            assert (int(at.agreeing), int(at.trials)) == (agreeing, trial)
            assert int(at.lead) == agreeing - (trial - agreeing)
            here = (seed, episode, trial)
            agreeing += int((choice[here] == 0) == (reward[here] == 1))


def test_posterior_mean_is_that_of_the_ideal_observer():
    choice, reward = random_history()
    found = bandit_statistics(choice, reward)
    arm = choice[..., None] == np.arange(2)
    pulls = (np.cumsum(arm, axis=2) - arm).astype(float)
    won = arm * reward[..., None]
    wins = np.cumsum(won, axis=2) - won
    expected = posterior_mean(Bandit(), torch.from_numpy(wins), torch.from_numpy(pulls))
    np.testing.assert_allclose(found.posterior_mean, expected[..., 0])


def test_log_odds_are_the_integral_of_the_posterior():
    found = bandit_statistics(*random_history()).isel(seed=0, episode=1)
    for trial in (0, 3, 17):
        at = found.isel(trial=trial)
        density = beta(1 + at.agreeing, 1 + at.trials - at.agreeing).pdf
        right, wrong = quad(density, 0.5, 1)[0], quad(density, 0, 0.5)[0]
        assert float(at.log_odds) == pytest.approx(np.log(right / wrong), abs=1e-9)


def test_a_trial_without_a_choice_tells_nothing():
    choice, reward = random_history()
    choice[..., 5], reward[..., 5] = 2, -1.0  # the fixation's action, and its cost
    choice[..., 9], reward[..., 9] = -1, np.nan
    found = bandit_statistics(choice, reward)
    for trial in (5, 9):
        before, after = found.isel(trial=trial), found.isel(trial=trial + 1)
        assert before.identical(after)
    assert (found.trials[..., -1] == 27).all()


def test_thousands_of_wins_leave_the_log_odds_finite():
    found = bandit_statistics(np.zeros((1, 1, 3000)), np.ones((1, 1, 3000)))
    assert np.isfinite(found.log_odds).all()
    assert (np.diff(found.log_odds) >= 0).all()


def test_other_rewards_and_shapes_are_refused():
    choice, reward = random_history()
    with pytest.raises(InputError, match=r"reward 0.5; expected 0 or 1"):
        bandit_statistics(choice, reward * 0 + 0.5)
    with pytest.raises(InputError, match=r"expected both to be \('seed'"):
        bandit_statistics(choice[0], reward[0])


@pytest.mark.parametrize(("n_episodes", "n_folds"), [(2, 2), (11, 2), (11, 5)])
def test_folds_hold_out_every_episode_once_and_share_none(n_episodes, n_folds):
    folds = episode_folds(n_episodes, n_folds)
    held_out = np.concatenate([fold.held_out for fold in folds])
    np.testing.assert_array_equal(np.sort(held_out), np.arange(n_episodes))
    for fit, rest in folds:
        assert not set(fit) & set(rest)
        assert len(fit) + len(rest) == n_episodes


def test_folds_are_not_every_other_episode():
    held_out = episode_folds(40, 2)[0].held_out
    assert len(set(held_out % 2)) == 2
    assert set(np.diff(held_out)) != {1}


@pytest.mark.parametrize(("n_episodes", "n_folds"), [(1, 2), (5, 1), (3, 4)])
def test_too_few_episodes_to_hold_out_are_refused(n_episodes, n_folds):
    with pytest.raises(InputError, match="expected 2 folds or more"):
        episode_folds(n_episodes, n_folds)
