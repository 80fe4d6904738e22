import numpy as np
import pytest
import torch

from pfc_metarl.analysis import (
    bandit_observers,
    bandit_statistics,
    block_observers,
    mutual_simulation,
    network_agents,
)
from pfc_metarl.analysis.agents import Agent
from pfc_metarl.analysis.episode_folds import episode_folds
from pfc_metarl.analysis.policy_divergence import divergence
from pfc_metarl.analysis.state_maps import FitMLP, fit_ridge
from pfc_metarl.analysis.state_simulation import last_outcome
from pfc_metarl.errors import InputError

SHAPE = (2, 40, 20)
N_UNITS = 6


def statistics(seed=0):
    rng = np.random.default_rng(seed)
    return bandit_statistics(*rng.integers(0, 2, (2, *SHAPE)))


def two_numbers(found):
    return np.stack([found.lead, found.trials], axis=-1)


def networks(state, seed=0):
    rng = np.random.default_rng(seed)
    n = state.shape[-1]
    return network_agents(state, rng.normal(size=(2, 2, n)), rng.normal(size=(2, 2)))


def test_ridge_is_least_squares_with_rows_for_the_penalty():
    rng = np.random.default_rng(0)
    x, y = rng.normal(3, 2, (50, 4)), rng.normal(size=(50, 2))
    learned = fit_ridge(x, y, penalty=5.0)
    standard = (x - x.mean(0)) / x.std(0)
    rows = np.vstack([standard, np.sqrt(5.0) * np.eye(4)])
    weights = np.linalg.lstsq(rows, np.vstack([y - y.mean(0), np.zeros((4, 2))]))[0]
    np.testing.assert_allclose(learned(x), standard @ weights + y.mean(0))


def test_ridge_bears_flat_and_twin_units():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, 1))
    learned = fit_ridge(np.hstack([x, x, np.full((50, 1), 7.0)]), 2 * x, penalty=1e-6)
    new = np.array([[1.0, 1.0, 99.0]])  # what a flat unit says later counts nothing
    np.testing.assert_allclose(learned(new), 2.0, rtol=1e-4)


def test_a_penalty_of_nothing_is_refused():
    with pytest.raises(InputError, match="penalty is 0"):
        fit_ridge(np.eye(3), np.eye(3), penalty=0)


def test_a_perceptron_learns_what_is_not_linear_and_leaves_the_dice_alone():
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, (800, 1))
    dice = torch.get_rng_state()
    y = np.hstack([x**2, np.ones_like(x)])
    learned = FitMLP()(x, y)
    assert torch.equal(torch.get_rng_state(), dice)
    new = np.linspace(-1, 1, 21)[:, None]
    np.testing.assert_allclose(learned(new)[:, :1], new**2, atol=0.03)
    np.testing.assert_allclose(learned(new)[:, 1], 1)


def test_a_perceptron_is_the_same_each_time():
    x = np.random.default_rng(2).uniform(-1, 1, (50, 2))
    learn = FitMLP(updates=5)
    np.testing.assert_array_equal(learn(x, x)(x), learn(x, x)(x))
    assert (FitMLP(updates=5, seed=1)(x, x)(x) != learn(x, x)(x)).any()


def test_an_observer_acts_by_its_posterior_mean():
    found = statistics()
    (first, second) = bandit_observers(found, [3.0, 8.0])
    for seed, (agent, inverse) in enumerate(((first, 3.0), (second, 8.0))):
        mean = found.posterior_mean.isel(seed=seed)
        expected = 1 / (1 + np.exp(-inverse * (2 * mean - 1)))
        np.testing.assert_allclose(agent.policy(agent.state)[..., 0], expected)
    impossible = first.policy(np.array([[9.0, 4.0], [-9.0, 4.0], [3.0, -1.0]]))
    possible = first.policy(np.array([[4.0, 4.0], [-4.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(impossible, possible)


def test_an_observer_of_blocks_acts_by_the_posterior():
    posterior = np.random.default_rng(0).random(SHAPE)
    agent = block_observers(posterior, 5.0)[1]
    expected = 1 / (1 + np.exp(-5 * (2 * posterior[1] - 1)))
    np.testing.assert_allclose(agent.policy(agent.state)[..., 0], expected)


def test_a_linear_copy_of_the_observer_is_simulated_both_ways():
    found = statistics()
    mixing = np.random.default_rng(3).normal(size=(2, N_UNITS))
    result = mutual_simulation(
        networks(two_numbers(found) @ mixing), bandit_observers(found, 8.0), fit_ridge
    )
    assert (result.state_dissimilarity < 1e-3).all()
    assert (result.output_dissimilarity < 0.01).all()
    assert (result.uninformed_dissimilarity > 0.1).all()


def test_a_copy_that_is_not_linear_needs_the_perceptron():
    found = statistics()
    mixing = np.random.default_rng(3).normal(size=(2, 12))
    scaled = two_numbers(found) / [4.0, 20.0]
    copies = networks(np.tanh(2 * scaled @ mixing + mixing[0]) ** 2)
    observers = bandit_observers(found, 8.0)
    linear = mutual_simulation(copies[:1], observers[:1], fit_ridge)
    curved = mutual_simulation(copies[:1], observers[:1])
    assert (curved.state_dissimilarity < 0.02).all()
    assert (curved.output_dissimilarity < 0.02).all()
    assert (linear.state_dissimilarity > 4 * curved.state_dissimilarity).all()


def test_noise_simulates_nothing():
    found = statistics()
    noise = np.random.default_rng(4).normal(size=(*SHAPE, N_UNITS))
    result = mutual_simulation(networks(noise), bandit_observers(found, 8.0), fit_ridge)
    np.testing.assert_allclose(result.state_dissimilarity, 1, atol=0.1)
    assert (result.output_dissimilarity > 0.95 * result.uninformed_dissimilarity).all()


def test_the_numbers_are_those_of_the_mapped_states():
    found = statistics()
    rng = np.random.default_rng(5)
    network = networks(rng.normal(size=(*SHAPE, N_UNITS)) + two_numbers(found)[..., :1])
    observers = bandit_observers(found, 8.0)
    result = mutual_simulation(network, observers, fit_ridge)
    fit, rest = episode_folds(SHAPE[1], 2)[0]
    a, b = network[1], observers[1]
    flat = [x.state[fit].reshape(-1, x.state.shape[-1]) for x in (a, b)]
    mapped = fit_ridge(*flat)(a.state[rest])
    spread, mean = flat[1].std(0), flat[1].mean(0)
    error, distance = (
        (((guess - b.state[rest]) / spread) ** 2).sum() for guess in (mapped, mean)
    )
    here = result.sel(direction="network_to_observer").isel(seed=1)
    assert float(here.state_dissimilarity) == pytest.approx(error / distance)
    there = np.log(b.policy(mapped))
    own, source = b.policy(b.state[rest]), a.policy(a.state[rest])
    assert float(here.output_dissimilarity) == pytest.approx(
        divergence(own, there).mean()
    )
    assert float(here.behaviour_dissimilarity) == pytest.approx(
        divergence(source, there).mean()
    )


def test_what_is_held_out_does_not_teach():
    found = statistics()
    seen = []

    def spy(source, target):
        seen.append((source, target))
        return fit_ridge(source, target)

    observers = bandit_observers(found, 8.0)
    noise = np.random.default_rng(6).normal(size=(*SHAPE, N_UNITS))
    mutual_simulation(networks(noise), observers, spy)
    fit = episode_folds(SHAPE[1], 2)[0].fit
    expected = noise[0, fit].reshape(-1, N_UNITS)
    np.testing.assert_array_equal(seen[0][0], expected)
    np.testing.assert_array_equal(seen[1][1], expected)


def test_the_last_outcome_is_told_a_step_later():
    told = last_outcome([[0, 1, -1, 1]], [[1.0, 0.0, np.nan, 1.0]])
    expected = [[0, 0, 0], [1, 0, 1], [0, 1, 0], [0, 0, 0]]
    np.testing.assert_array_equal(told, [expected])


def test_what_the_map_is_told_need_not_be_in_the_state():
    found = statistics()
    rng = np.random.default_rng(7)
    outcomes = rng.normal(size=(*SHAPE, 2))
    mixing = rng.normal(size=(4, N_UNITS))
    both = np.concatenate([two_numbers(found), 5 * outcomes], axis=-1)
    network, observers = networks(both @ mixing), bandit_observers(found, 8.0)
    alone = mutual_simulation(network, observers, fit_ridge)
    told = mutual_simulation(network, observers, fit_ridge, outcomes)
    to_network = {"direction": "observer_to_network"}
    assert (alone.state_dissimilarity.sel(to_network) > 0.2).all()
    assert (told.state_dissimilarity.sel(to_network) < 1e-3).all()
    assert (told.output_dissimilarity.sel(to_network) < 0.01).all()
    with pytest.raises(InputError, match="inputs have shape"):
        mutual_simulation(network, observers, fit_ridge, outcomes[:, 1:])


def test_what_cannot_be_compared_is_refused():
    found = statistics()
    observers = bandit_observers(found, 8.0)
    network = networks(np.random.default_rng(0).normal(size=(*SHAPE, N_UNITS)))
    with pytest.raises(InputError, match="2 networks and 1 observers"):
        mutual_simulation(network, observers[:1])
    shorter = [Agent(agent.state[:, :-1], agent.policy) for agent in network]
    with pytest.raises(InputError, match="the same episodes and steps"):
        mutual_simulation(shorter, observers)
    flat = [Agent(agent.state * 0, agent.policy) for agent in network]
    with pytest.raises(InputError, match="does not vary"):
        mutual_simulation(flat, observers)
    three = network_agents(network[0].state[None], np.ones((1, 3, 6)), np.ones((1, 3)))
    with pytest.raises(InputError, match="3 and 2 actions"):
        mutual_simulation(three, observers[:1])
    with pytest.raises(InputError, match="state, weights and biases"):
        network_agents(network[0].state[None], np.ones((1, 2, 5)), np.ones((1, 2)))
    with pytest.raises(InputError, match="inverse temperatures"):
        bandit_observers(found, [1.0, 2.0, 3.0])
