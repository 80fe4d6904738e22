"""E7 tells learning rates that follow volatility from those that do not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from pfc_metarl.emergence.cell import finish
from pfc_metarl.emergence.experiment import Plan, Runs
from pfc_metarl.emergence.experiments import inner_rate
from pfc_metarl.emergence.experiments.inner_rate import (
    CONSTANT,
    FIXED_RATE,
    SHIFTING,
    TEST,
    InnerRate,
)
from pfc_metarl.paper.emergence.inner_rate import caption, draw

PLAN = Plan(seeds=2)


def made_up(
    shifting: list[float], constant: list[float], fixed: list[float], bic: float = -100
) -> xr.Dataset:
    difference = np.array([shifting, constant, fixed])
    rate = np.stack([np.full_like(difference, 0.2), 0.2 + difference], axis=-1)
    dims = ("condition", "seed")
    return xr.Dataset(
        {
            "learning_rate": ((*dims, "volatility"), rate),
            "difference": (dims, difference),
            "share_difference": (dims, difference),
            "bic_difference": (dims, np.full_like(difference, bic)),
        },
        coords={
            "condition": [SHIFTING, CONSTANT, FIXED_RATE],
            "volatility": [0.0, 0.2],
        },
    ).assign(outer_learning_rate=0.01)


NONE, FASTER = [0.001, -0.002] * 4, list(np.linspace(0.06, 0.09, 8))


def verdicts(results: xr.Dataset) -> list[str]:
    return [claim.verdict for claim in InnerRate().claims(results)]


def test_rates_that_follow_volatility_in_every_seed_are_shown() -> None:
    assert verdicts(made_up(FASTER, NONE, NONE)) == ["shown", "shown"]


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        (made_up([*FASTER[:7], 0.02], NONE, NONE), "not shown"),
        (made_up(FASTER, NONE, NONE, bic=5), "not shown"),
        (made_up(FASTER[:2], NONE[:2], NONE[:2]), "not shown"),  # too few seeds
    ],
)
def test_one_seed_below_the_mark_a_better_common_rate_or_few_seeds_are_not(
    results: xr.Dataset, expected: str
) -> None:
    assert verdicts(results)[0] == expected


def test_controls_that_show_it_too_speak_against_it() -> None:
    assert verdicts(made_up(FASTER, [0.05] * 8, NONE))[1] == "not shown"
    assert verdicts(made_up(FASTER, NONE, [0.05] * 8))[1] == "not shown"


def test_the_halves_of_the_test_differ_in_volatility_alone() -> None:
    assert TEST.payoffs[0] == TEST.payoffs[1]
    assert TEST.volatilities[0] < TEST.volatilities[1]
    assert TEST.part_trials * 2 == TEST.trials


def test_networks_and_a_learner_of_one_rate_are_fitted_alike(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    small = replace(inner_rate.LEARNING, updates=1, batch=2)
    monkeypatch.setattr(inner_rate, "LEARNING", small)
    monkeypatch.setattr(inner_rate, "UNITS", 4)
    monkeypatch.setattr(inner_rate, "N_EPISODES", 20)
    of = InnerRate()
    for cell in of.cells(PLAN).values():
        finish(cell, tmp_path, lambda progress: None)
    results = of.analyse(PLAN, Runs(tmp_path))
    assert results.condition.values.tolist() == [SHIFTING, CONSTANT, FIXED_RATE]
    fixed = results.sel(condition=FIXED_RATE)
    assert fixed.learning_rate.values == pytest.approx(0.2, abs=0.05)
    assert (fixed.bic_difference > 0).all()
    assert len(of.claims(results)) == 2


def test_the_figure_shows_every_seed_and_the_caption_the_numbers() -> None:
    results = made_up(FASTER, NONE, NONE).assign_coords(seed=range(8))
    figure = draw(results)
    dots = [line for line in figure.axes[1].lines if len(line.get_xdata()) == 8]
    assert len(dots) == 3
    assert "0.075" in "".join(caption(results))
