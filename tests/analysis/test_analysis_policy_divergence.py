import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from scipy.stats import entropy

from pfc_metarl.analysis import bandit_statistics, policy_divergence
from pfc_metarl.analysis.bandit_statistics import both_arms
from pfc_metarl.analysis.episode_folds import episode_folds
from pfc_metarl.analysis.policy_divergence import (
    GREEDIEST,
    divergence,
    fit_inverse_temperature,
    win_stay_lose_shift,
)
from pfc_metarl.errors import InputError

SHAPE = (2, 20, 15)


def preferences(seed=0):
    """What the Bayesian and win-stay-lose-shift want, after random histories."""
    rng = np.random.default_rng(seed)
    choice, reward = rng.integers(0, 2, (2, *SHAPE))
    means = bandit_statistics(choice, reward).posterior_mean
    return {"bayes": both_arms(means), "wsls": win_stay_lose_shift(choice, reward)}


def test_divergence_is_that_of_scipy():
    rng = np.random.default_rng(0)
    policy, logits = rng.dirichlet(np.ones(3), 50), rng.normal(size=(50, 3))
    expected = entropy(policy, softmax(logits, axis=1), axis=1)
    np.testing.assert_allclose(divergence(policy, logits), expected)


def test_a_certain_choice_costs_its_surprise():
    logits = np.array([2.0, -1.0])
    surprise = -log_softmax(logits)[1]
    assert divergence(np.array([0.0, 1.0]), logits) == pytest.approx(surprise)


def test_the_inverse_temperature_has_the_least_divergence():
    rng = np.random.default_rng(1)
    preference = rng.normal(size=(200, 3))
    policy = softmax(0.7 * preference + rng.normal(size=(200, 3)), axis=1)
    best = minimize_scalar(
        lambda b: divergence(policy, b * preference).mean(),
        bounds=(0, 50),
        method="bounded",
        options={"xatol": 1e-8},
    )
    assert fit_inverse_temperature(policy, preference) == pytest.approx(best.x, 1e-5)


def test_the_inverse_temperature_keeps_its_bounds():
    preference = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert fit_inverse_temperature(preference, preference) == GREEDIEST
    assert fit_inverse_temperature(1 - preference, preference) == 0


@pytest.mark.parametrize("name", ["bayes", "wsls"])
def test_an_agent_is_nearest_to_its_own_kind(name):
    wanted = preferences()
    found = policy_divergence(softmax(4 * wanted[name], axis=-1), wanted)
    own = found.sel(comparator=name)
    np.testing.assert_allclose(own.divergence, 0, atol=1e-9)
    np.testing.assert_allclose(own.inverse_temperature, 4, rtol=1e-4)
    np.testing.assert_allclose(own.agreement, 1)
    others = found.drop_sel(comparator=name)
    assert (others.divergence > 0.02).all()
    assert (others.divergence <= found.divergence.sel(comparator="random") + 0.01).all()


def test_the_random_comparator_lacks_the_entropy():
    rng = np.random.default_rng(2)
    policy = rng.dirichlet(np.ones(2), SHAPE)
    found = policy_divergence(policy, {}).sel(comparator="random")
    lacking = np.log(2) - entropy(policy, axis=-1)
    np.testing.assert_allclose(found.divergence, lacking.mean((1, 2)))
    np.testing.assert_allclose(found.divergence_by_trial, lacking.mean(1))
    assert found.agreement.isnull().all()


def test_the_temperature_is_fitted_on_other_episodes():
    wanted = preferences()
    policy = softmax(4 * wanted["bayes"], axis=-1)
    before = policy_divergence(policy, wanted).inverse_temperature
    held_out = episode_folds(SHAPE[1], 2)[0].held_out
    policy[:, held_out] = 0.5
    after = policy_divergence(policy, wanted).inverse_temperature
    changed = (after != before).sel(comparator="bayes").any("seed")
    assert changed.values.tolist() == [False, True]


def test_win_stay_lose_shift_looks_one_trial_back():
    choice = np.array([0, 1, 2, -1, 1])
    reward = np.array([1.0, 0.0, 1.0, np.nan, 0.0])
    wanted = win_stay_lose_shift(choice, reward, 3)
    np.testing.assert_array_equal(
        wanted, [[0, 0, 0], [1, 0, 0], [1, 0, 1], [0, 0, 1], [0, 0, 0]]
    )


def test_what_is_no_policy_or_preference_is_refused():
    policy = np.full((*SHAPE, 2), 0.5)
    with pytest.raises(InputError, match="does not add up to 1"):
        policy_divergence(policy * 0.9, {})
    with pytest.raises(InputError, match="policy has shape"):
        policy_divergence(policy[0], {})
    with pytest.raises(InputError, match="preference of 'bayes'"):
        policy_divergence(policy, {"bayes": policy[..., :1]})
    with pytest.raises(InputError, match="preference of 'bayes'"):
        policy_divergence(policy, {"bayes": policy * np.inf})
