import numpy as np
import pytest
import statsmodels.api as sm

from pfc_metarl.analysis.logistic_regression import fit_logistic, is_separated


def noisy_data(n_trials=400, seed=0):
    rng = np.random.default_rng(seed)
    design = np.column_stack([rng.normal(size=(n_trials, 3)), np.ones(n_trials)])
    p = 1 / (1 + np.exp(-design @ [1.0, -2.0, 0.0, 0.5]))
    return design, (rng.random(n_trials) < p).astype(float)


def test_without_ridge_it_is_maximum_likelihood():
    design, response = noisy_data()
    fit, expected = fit_logistic(design, response, 0), sm.Logit(response, design)
    expected = expected.fit(disp=False)
    np.testing.assert_allclose(fit.weights, expected.params, atol=1e-6)
    np.testing.assert_allclose(fit.standard_errors, expected.bse, rtol=1e-5)
    assert fit.log_likelihood == pytest.approx(expected.llf)


def test_ridge_balances_the_gradient_of_the_likelihood():
    design, response = noisy_data()
    weights = fit_logistic(design, response, 3.0).weights
    p = 1 / (1 + np.exp(-design @ weights))
    np.testing.assert_allclose(design.T @ (response - p), 3.0 * weights, atol=1e-5)


@pytest.mark.parametrize(
    ("x", "response", "separated"),
    [
        ([-2, -1, 1, 2], [0, 0, 1, 1], True),
        ([-2, 0, 0, 2], [0, 0, 1, 1], True),  # in part: a tie at 0
        ([-2, 1, -1, 2], [0, 0, 1, 1], False),
        ([-2, -1, 1, 2], [1, 1, 1, 1], True),  # by the constant alone
    ],
)
def test_separation_is_found(x, response, separated):
    design = np.column_stack([x, np.ones(4)])
    assert is_separated(design, np.array(response, dtype=float)) is separated


def test_dependent_regressors_have_an_answer_only_with_ridge():
    design, response = noisy_data()
    twice = np.column_stack([design, design[:, 0]])
    assert np.isnan(fit_logistic(twice, response, 0).weights).all()
    weights = fit_logistic(twice, response, 0.01).weights
    assert weights[0] == pytest.approx(weights[-1], abs=1e-4)
