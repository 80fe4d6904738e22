import numpy as np
import pytest

from pfc_metarl.analysis import (
    bandit_statistics,
    carrying_subspace,
    state_decoding,
    without_subspace,
)
from pfc_metarl.analysis.episode_folds import episode_folds
from pfc_metarl.errors import InputError

SHAPE = (2, 30, 20)


def statistics(*names, seed=0):
    rng = np.random.default_rng(seed)
    return bandit_statistics(*rng.integers(0, 2, (2, *SHAPE)))[list(names)]


def written(found, noise=0.0, n_units=8, seed=1):
    """A state into which every statistic is written along a random direction."""
    rng = np.random.default_rng(seed)
    values = np.stack([found[name] for name in found], axis=-1)
    state = values @ rng.normal(size=(len(found), n_units))
    return state + noise * rng.normal(size=state.shape)


def least_squares_r2(state, values):
    x = np.column_stack([np.ones(values.size), state.reshape(values.size, -1)])
    y = values.ravel()
    residual = y - x @ np.linalg.lstsq(x, y)[0]
    return 1 - residual @ residual / ((y - y.mean()) @ (y - y.mean()))


def test_what_is_written_linearly_is_decoded():
    found = statistics("lead", "trials")
    r2 = state_decoding(written(found), found).r2
    assert r2.dims == ("seed", "statistic")
    assert (r2 > 0.999).all()


def test_noise_tells_nothing():
    noise = np.random.default_rng(2).normal(size=(*SHAPE, 8))
    r2 = state_decoding(noise, statistics("lead", "trials", "log_odds")).r2
    assert (r2 < 0.02).all()
    assert (r2 > -0.15).all()


def test_r2_is_that_of_the_normal_equations_on_other_episodes():
    found = statistics("lead")
    state = written(found, noise=3.0, n_units=4)
    error = total = 0.0
    for fit, rest in episode_folds(SHAPE[1], 5):
        x, y = state[1, fit].reshape(-1, 4), found.lead.values[1, fit].ravel()
        z = (x - x.mean(0)) / x.std(0)
        weights = np.linalg.solve(z.T @ z + 2.5 * np.eye(4), z.T @ (y - y.mean()))
        new = (state[1, rest].reshape(-1, 4) - x.mean(0)) / x.std(0)
        truth = found.lead.values[1, rest].ravel()
        error += ((truth - new @ weights - y.mean()) ** 2).sum()
        total += ((truth - y.mean()) ** 2).sum()
    r2 = state_decoding(state, found, penalty=2.5).r2
    assert float(r2[1, 0]) == pytest.approx(1 - error / total)
    assert 0.1 < float(r2[1, 0]) < 0.9


def test_a_statistic_that_does_not_vary_has_no_r2():
    found = statistics("lead")
    r2 = state_decoding(written(found), {**found, "one": np.ones(SHAPE)}).r2
    assert r2.sel(statistic="one").isnull().all()


def test_nothing_linear_is_left_without_the_subspace():
    found = statistics("lead", "trials")
    state = written(found, noise=2.0)
    left = without_subspace(state, carrying_subspace(state, found))
    for seed in range(2):
        for values in (found.lead.values, found.trials.values):
            assert least_squares_r2(state[seed], values[seed]) > 0.5
            assert abs(least_squares_r2(left[seed], values[seed])) < 1e-9
    assert (state_decoding(left, found).r2 < 0.01).all()


def test_the_subspace_is_orthonormal_and_removed_along_the_mean():
    found = statistics("lead", "log_odds")
    state = written(found, noise=1.0) + 5.0
    subspace = carrying_subspace(state, found)
    left = without_subspace(state, subspace)
    for seed in range(2):
        basis = subspace.basis.values[seed]
        np.testing.assert_allclose(basis.T @ basis, np.eye(2), atol=1e-12)
        points, rest = (x[seed].reshape(-1, 8) for x in (state, left))
        np.testing.assert_allclose(rest.mean(0), points.mean(0))
        np.testing.assert_allclose((rest - points.mean(0)) @ basis, 0, atol=1e-9)
        removed = 1 - rest.var(0).sum() / points.var(0).sum()
        assert float(subspace.variance_share[seed]) == pytest.approx(removed)


def test_decoding_weights_would_leave_something_to_read():
    # Written along two units, one of which is noisier: the decoder reads the other.
    found = statistics("lead")
    rng = np.random.default_rng(3)
    lead = found.lead.values[..., None]
    state = lead + rng.normal(size=(*SHAPE, 2)) * [0.1, 2.0]
    x, y = state[0].reshape(-1, 2), found.lead.values[0].ravel()
    weights = np.linalg.lstsq(x - x.mean(0), y - y.mean())[0]
    along = weights / np.linalg.norm(weights)
    left = x - np.outer(x @ along, along)
    assert least_squares_r2(left, y) > 0.5
    proper = without_subspace(state, carrying_subspace(state, found))[0]
    assert abs(least_squares_r2(proper, y)) < 1e-9


def test_dependent_statistics_have_no_subspace_each():
    found = statistics("lead", "trials", "agreeing")
    with pytest.raises(InputError, match="span fewer dimensions"):
        carrying_subspace(written(found, noise=1.0), found)


def test_wrong_shapes_and_missing_values_are_refused():
    found = statistics("lead")
    state = written(found)
    with pytest.raises(InputError, match="state and 'lead' have shapes"):
        state_decoding(state[:, :-1], found)
    with pytest.raises(InputError, match="not finite"):
        state_decoding(np.where(state > 0, state, np.nan), found)
    with pytest.raises(InputError, match="no statistics"):
        state_decoding(state, {})
    with pytest.raises(InputError, match="the same seeds and units"):
        without_subspace(state[..., :-1], carrying_subspace(state, found))
