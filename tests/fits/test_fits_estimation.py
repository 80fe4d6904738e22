"""Fits find the optimum, recover parameters and tell models apart."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from pfc_metarl.errors import InputError
from pfc_metarl.fits import MODELS, compare, fit, predict
from pfc_metarl.trials import concatenate

Make = Callable[..., xr.Dataset]
TRUE = {"alpha": 0.4, "beta": 2.5, "perseveration": 0.5, "bias": -0.2}


@pytest.mark.parametrize("name", ["model-based", "model-free"])
def test_parameters_and_model_of_a_simulated_agent_are_recovered(
    name: str, simulated: Make
) -> None:
    table = simulated(name, alpha=TRUE["alpha"], beta=TRUE["beta"])
    fits = {model: fit(model, table, restarts=3) for model in MODELS}
    estimate = fits[name].estimate.squeeze("subject").values
    np.testing.assert_allclose(estimate, list(TRUE.values()), atol=0.25)
    assert bool(fits[name].converged.all())
    assert int(fits[name].restarts_at_best[0]) == 3
    comparison = compare(list(fits.values()))
    assert comparison.delta_bic.sel(model=name) == 0
    assert comparison.n_best.sel(model=name) == 1
    other = ({"model-based", "model-free"} - {name}).pop()
    assert comparison.delta_bic.sel(model=other) > 50


@pytest.mark.parametrize("name", MODELS)
def test_no_random_parameters_beat_the_fit(name: str, simulated: Make) -> None:
    table = simulated("model-based", alpha=0.4, beta=2.5, n_sessions=2, n_trials=150)
    result = fit(name, table, restarts=4)
    generator = np.random.default_rng(5)
    for _ in range(200):
        values = {p.name: generator.uniform(*p.starts) for p in MODELS[name].parameters}
        tried = predict(name, table, values).log_likelihood.sum()
        assert float(tried) <= float(result.log_likelihood[0])


def test_the_result_adds_up(simulated: Make) -> None:
    table = simulated("model-free", alpha=0.4, beta=2.5, n_sessions=2, n_trials=100)
    table["forced"][:20] = 1
    result = fit("model-free", table, restarts=3).squeeze("subject")
    log_likelihood = float(result.log_likelihood)
    assert int(result.n_choices) == 180
    assert float(result.bic) == pytest.approx(4 * np.log(180) - 2 * log_likelihood)
    assert float(result.aic) == pytest.approx(8 - 2 * log_likelihood)
    assert float(result.restart_log_likelihood.max()) == log_likelihood
    assert result.attrs["model"] == "model-free"


def test_predictions_of_a_fit_have_its_likelihood(simulated: Make) -> None:
    table = two_agents(simulated)
    result = fit("hybrid", table, restarts=2)
    predicted = predict("hybrid", table, result)
    sums = predicted.log_likelihood.groupby("subject").sum()
    np.testing.assert_allclose(sums, result.log_likelihood)


def test_a_subject_is_fitted_the_same_in_any_company(simulated: Make) -> None:
    table = two_agents(simulated)
    alone = fit(
        "model-based", named(simulated("model-free", 0.3, 2.0), "b"), restarts=2
    )
    together = fit("model-based", table, restarts=2)
    xr.testing.assert_identical(alone.sel(subject="b"), together.sel(subject="b"))


def test_an_estimate_on_its_bound_is_said_to_be(make_table: Make) -> None:
    always = make_table([1] * 30, [1] * 30, [1] * 30)
    result = fit("model-free", always, restarts=3).squeeze("subject")
    assert bool(result.on_bound.any())
    assert float(result.log_likelihood) <= 0


def test_no_restart_is_refused(four_trials: xr.Dataset) -> None:
    with pytest.raises(InputError, match="restarts is 0"):
        fit("model-based", four_trials, restarts=0)


def test_only_fits_of_the_same_choices_are_compared(simulated: Make) -> None:
    fits = [
        fit("model-based", simulated("model-based", 0.4, 2.5, n_sessions=n), restarts=1)
        for n in (1, 2)
    ]
    with pytest.raises(InputError, match="different subjects or choices"):
        compare(fits)
    with pytest.raises(InputError, match="expected two or more"):
        compare(fits[:1])


def two_agents(simulated: Make) -> xr.Dataset:
    return concatenate(
        [
            named(simulated("model-based", 0.4, 2.5, n_sessions=1), "a"),
            named(simulated("model-free", 0.3, 2.0), "b"),
        ]
    )


def named(table: xr.Dataset, name: str) -> xr.Dataset:
    return table.assign(subject_id=("subjects", [name]))
