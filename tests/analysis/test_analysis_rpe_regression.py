import numpy as np
import pytest
import statsmodels.api as sm

from pfc_metarl.analysis import rpe_regression
from pfc_metarl.errors import DataError

EPOCHS = ("stage2", "reward")


def random_errors(table, seed=0):
    rng = np.random.default_rng(seed)
    n = table.sizes["trial"]
    based = {epoch: rng.normal(size=n) for epoch in EPOCHS}
    free = {epoch: 0.6 * based[epoch] + rng.normal(size=n) for epoch in EPOCHS}
    network = {e: 0.8 * based[e] + 0.1 * free[e] + rng.normal(size=n) for e in EPOCHS}
    return network, based, free


def ols_r2(response, *regressors):
    return sm.OLS(response, sm.add_constant(np.column_stack(regressors))).fit().rsquared


def test_agrees_with_statsmodels(random_table):
    table = random_table(0)
    network, based, free = random_errors(table)
    result = rpe_regression(table, network, based, free)
    assert result.r2.dims == ("subject", "trial_set", "epoch", "comparator")
    assert list(result.epoch.values) == ["stage2", "reward", "pooled"]
    for subject, name in enumerate(table.subject_id.values):
        valid = (table.subject.values == subject) & (table.valid.values == 1)
        rare = valid & (table.transition_common.values == 0)
        for trial_set, rows in (("all", valid), ("rare", rare)):
            for epochs in ((EPOCHS[0],), (EPOCHS[1],), EPOCHS):
                y, mb, mf = (
                    np.concatenate([rpe[epoch][rows] for epoch in epochs])
                    for rpe in (network, based, free)
                )
                epoch = epochs[0] if len(epochs) == 1 else "pooled"
                at = result.sel(subject=name, trial_set=trial_set, epoch=epoch)
                both = ols_r2(y, mb, mf)
                marginal = np.array([ols_r2(y, mb), ols_r2(y, mf)])
                np.testing.assert_allclose(at.r2, marginal)
                np.testing.assert_allclose(at.semipartial_r2, both - marginal[::-1])
                assert float(at.r2_both) == pytest.approx(both)
                assert int(at.n) == y.size


def test_a_copy_of_one_comparator_owes_nothing_to_the_other(random_table):
    table = random_table(1)
    _, based, free = random_errors(table)
    result = rpe_regression(table, based, based, free)
    np.testing.assert_allclose(result.r2.sel(comparator="model_based"), 1)
    np.testing.assert_allclose(
        result.semipartial_r2.sel(comparator="model_free"), 0, atol=1e-12
    )
    assert (result.r2.sel(comparator="model_free", trial_set="all") > 0.05).all()


def test_equal_and_constant_comparators_explain_nothing_alone(random_table):
    table = random_table(1)
    network, based, _ = random_errors(table)
    twin = rpe_regression(table, network, based, based)
    np.testing.assert_allclose(twin.semipartial_r2, 0, atol=1e-12)
    flat = {epoch: np.full(table.sizes["trial"], 0.1) for epoch in EPOCHS}
    constant = rpe_regression(table, network, based, flat)
    np.testing.assert_allclose(constant.r2.sel(comparator="model_free"), 0, atol=1e-12)


def test_unknown_errors_and_invalid_trials_are_left_out(random_table):
    table = random_table(2)
    network, based, free = random_errors(table)
    full = rpe_regression(table, network, based, free)
    dropped = int(np.flatnonzero(table.valid.values == 1)[0])
    invalid = int(np.flatnonzero(table.valid.values == 0)[0])
    free["reward"][dropped] = np.nan
    network["reward"][invalid] = 1e6
    part = rpe_regression(table, network, based, free)
    missing = (full.n - part.n).sel(trial_set="all").sum("subject")
    assert missing.values.tolist() == [0, 1, 1]
    assert float(part.r2_both.max()) < 1


def test_too_few_points_and_a_flat_network_are_missing(random_table):
    table = random_table(0)
    network, based, free = random_errors(table)
    flat = {epoch: np.full(table.sizes["trial"], 0.1) for epoch in EPOCHS}
    assert rpe_regression(table, flat, based, free).r2.isnull().all()
    few = table.isel(trial=slice(0, 3))
    short = [{e: x[e][:3] for e in EPOCHS} for x in (network, based, free)]
    assert rpe_regression(few, *short).r2.sel(epoch="reward").isnull().all()


def test_wrong_inputs_are_named(random_table):
    table = random_table(0)
    network, based, free = random_errors(table)
    with pytest.raises(DataError, match="the same in all three"):
        rpe_regression(table, network, based, {"reward": free["reward"]})
    with pytest.raises(DataError, match=r"network at 'reward' has shape \(3,\)"):
        rpe_regression(table, network | {"reward": [1, 2, 3]}, based, free)
    with pytest.raises(DataError, match=r"'transition_common'.*the RPE regression"):
        rpe_regression(table.drop_vars("transition_common"), network, based, free)
