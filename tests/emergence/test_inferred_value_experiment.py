"""E9: values and errors are read where they arise, and judged as they should be."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from matplotlib import pyplot as plt

from pfc_metarl.analysis import network_rpe, rpe_regression
from pfc_metarl.emergence import setting
from pfc_metarl.emergence.cell import finish
from pfc_metarl.emergence.experiment import Plan, Runs
from pfc_metarl.emergence.experiments import inferred_value
from pfc_metarl.emergence.experiments.inferred_value import (
    InferredValueAndModel,
    flips,
)
from pfc_metarl.emergence.experiments.second_learner import SecondLearner
from pfc_metarl.emergence.inferred_values import (
    APPEARANCE,
    OUTCOME,
    VALUE,
    expectations,
    inference,
    player_expectations,
)
from pfc_metarl.emergence.setting import SETTINGS
from pfc_metarl.emergence.two_step_errors import explained_errors
from pfc_metarl.network import Network, NetworkSettings
from pfc_metarl.paper.emergence import inferred_value as figure
from pfc_metarl.paper.style import FULL_WIDTH
from pfc_metarl.recording import play, recording
from pfc_metarl.tasks import InferredValue, TwoStep
from pfc_metarl.tasks.observers.inferred_value import (
    ExperiencedValue,
    InferredValueObserver,
)
from pfc_metarl.training import Progress

DISCOUNT = 0.7


def silent(progress: Progress) -> None:
    """Report to nobody."""


# What is trained.


def test_the_two_step_cell_is_shared_with_the_first_experiment() -> None:
    plan = Plan(seeds=3)
    mine, first = InferredValueAndModel().cells(plan), SecondLearner().cells(plan)
    assert mine["two-step", "intact"].name == first["two-step", "intact"].name


def test_the_cost_of_the_cell_is_at_most_the_bandit_s() -> None:
    def steps(system: Any) -> int:
        learning = system.learning
        n: int = system.task.steps * learning.batch * learning.updates
        return n

    mine = InferredValueAndModel().cells(Plan())["inferred-value", "intact"]
    bandit = SETTINGS["bandit"].configuration(8)
    assert steps(mine.configuration) <= steps(bandit)


# Expectations.


@pytest.mark.parametrize("fixation", [False, True])
def test_errors_are_those_of_the_recording_at_their_steps(fixation: bool) -> None:
    task = InferredValue(trials=5, fixation=fixation)
    network = Network(NetworkSettings(units=4), task, range(2))
    played = play(network, task, 3, n_recorded=3)
    found = expectations(played, task, DISCOUNT)
    steps = recording(played, task, network, DISCOUNT, {})["/steps"].to_dataset()
    at_target = np.flatnonzero(steps.phase.values == "target")
    for name, recorded in ((VALUE, steps.value), (OUTCOME, steps.rpe)):
        expected = recorded.isel(step=at_target).transpose("step", "seed", "episode")
        np.testing.assert_array_equal(found[name], expected)
    first = 0 if fixation else 1  # without fixation nothing is before the first
    expected = steps.rpe.isel(step=at_target[first:] - 1)
    expected = expected.transpose("step", "seed", "episode")
    np.testing.assert_array_equal(found[APPEARANCE][first:], expected)
    assert bool(found[APPEARANCE][:first].isnan().all())


def test_a_player_s_errors_by_hand() -> None:
    """Side 0 pays; the player that learns from experience starts at a half."""
    player = ExperiencedValue(InferredValue())
    trials = {
        "cue": torch.tensor([0, 1, 0])[:, None],
        "reward": torch.tensor([1.0, 0.0, 0.0])[:, None],
    }
    found = player_expectations(player, trials)
    assert found[VALUE][:, 0].tolist() == [0.5, 0.5, 1.0]
    assert found[APPEARANCE][:, 0].tolist() == [0.0, -0.25, 0.5]
    assert found[OUTCOME][:, 0].tolist() == [0.5, -0.5, -1.0]
    ideal = player_expectations(InferredValueObserver(InferredValue()), trials)
    assert ideal[VALUE][:, 0].tolist() == pytest.approx([0.5, 0.0, 1.0])


def test_the_index_is_1_with_full_inference_and_0_from_experience_alone() -> None:
    task = InferredValue(trials=40)
    network = Network(NetworkSettings(units=4), task, range(2))
    found = inference(task, network, DISCOUNT, 200)
    index = found.index_of_player
    for measure in (VALUE, OUTCOME):
        of = index.sel(measure=measure)
        assert float(of.sel(player="ideal")) == pytest.approx(1)
        assert float(of.sel(player="experience only")) == pytest.approx(0, abs=1e-12)
    turned = found.contrast_of_player.sel(measure=APPEARANCE, when="inferred")
    assert float(turned.sel(player="ideal")) == pytest.approx(1)
    assert float(turned.sel(player="experience only")) == pytest.approx(0, abs=1e-12)
    assert index.sel(measure=APPEARANCE).values == pytest.approx([1, 1])
    before = found.contrast_of_player.sel(measure=VALUE, when="before")
    # of either side it expects that the block goes on: 0.95, and 0.05
    assert float(before.sel(player="ideal")) == pytest.approx(-0.9, abs=0.05)


def test_who_has_learned_nothing_does_not_change_its_sign() -> None:
    task = InferredValue()
    network = Network(NetworkSettings(units=8), task, range(2))
    assert not flips(inference(task, network, DISCOUNT, 200)).any()


# Two-step errors.


def test_errors_stay_with_their_seed_trial_and_epoch() -> None:
    task = TwoStep(trials=20)
    network = Network(NetworkSettings(units=5), task, range(2))
    found = explained_errors(task, network, DISCOUNT, 10)
    played = play(network, task, 10, n_recorded=10)
    tree = recording(played, task, network, DISCOUNT, {})
    steps, trials = tree["/steps"].to_dataset(), tree["/trials"].to_dataset()
    at_choice = steps.rpe.isel(step=steps.phase.values == "choice").values
    mine = found.rpe.sel(source="network", error="stage2").values
    np.testing.assert_allclose(mine, at_choice.reshape(2, -1), rtol=1e-6)
    place = trials.session.values, trials.trial_in_session.values
    by_source = {
        source: {
            epoch: found.rpe.sel(source=source, error=epoch).values.ravel()
            for epoch in ("stage2", "reward")
        }
        for source in ("model-based", "model-free")
    }
    again = rpe_regression(trials, network_rpe(steps, *place), *by_source.values())
    np.testing.assert_allclose(
        found.semipartial_r2, again.semipartial_r2, rtol=1e-4, atol=1e-6
    )
    assert found.n_points.dims == ("seed", "trial_set", "epoch")


# Judging.


def made_up(
    inferred: list[float] | None = None,
    index: list[float] | None = None,
    sem: float = 0.05,
    model_free: float = 0.01,
    on_rare: float = 0.3,
) -> xr.Dataset:
    """Results of four seeds in which everything is shown."""
    inferred = inferred or [0.6, 0.5, 0.6, 0.7]
    contrast = np.stack([[-0.6] * 4, inferred, [0.6] * 4], axis=-1)
    based = np.array([[0.3] * 3, [on_rare] * 3])  # (trial set, epoch)
    semipartial = np.stack([based, np.full_like(based, model_free)], axis=-1)
    noise = np.array([-0.01, 0.0, 0.0, 0.01])[:, None, None, None]
    noise = noise * np.array([1.0, 0.5])
    points = ("seed", "trial_set", "epoch", "comparator")
    return xr.Dataset(
        {
            "contrast": (("measure", "seed", "when"), [contrast] * 3),
            "sem": (("measure", "seed", "when"), np.full((3, 4, 3), sem)),
            "index": (("measure", "seed"), [index or [1.0, 0.9, 0.95, 1.0]] * 3),
            "contrast_of_player": (("measure", "player", "when"), np.ones((3, 2, 3))),
            "index_of_player": (("measure", "player"), [[1.0, 0.0]] * 3),
            "semipartial_r2": (points, semipartial + noise),
            "r2": (points, semipartial + 0.5 + noise),
        },
        coords={
            "measure": [APPEARANCE, VALUE, OUTCOME],
            "when": ["before", "inferred", "experienced"],
            "player": ["ideal", "experience only"],
            "trial_set": ["all", "rare"],
            "epoch": ["stage2", "reward", "pooled"],
            "comparator": ["model_based", "model_free"],
        },
    )


def verdicts(**changed: Any) -> list[str]:
    return [row.verdict for row in InferredValueAndModel().claims(made_up(**changed))]


def test_everything_is_shown_when_it_is() -> None:
    assert verdicts() == ["shown"] * 4


def test_a_seed_whose_sign_stays_passes_neither_mark() -> None:
    assert verdicts(inferred=[0.6, -0.1, 0.6, 0.6])[:2] == ["depends"] * 2
    assert verdicts(inferred=[-0.1] * 4)[:2] == ["not shown"] * 2


def test_a_sign_within_its_own_error_does_not_count() -> None:
    """Noise about 0 makes an index of anything."""
    assert verdicts(sem=0.5)[:2] == ["not shown"] * 2


def test_partial_inference_is_not_enough() -> None:
    assert verdicts(index=[0.5] * 4)[1] == "not shown"
    assert verdicts(index=[0.9, 0.5, 0.9, 0.9])[1] == "depends"


def test_the_model_based_learner_must_explain_more_of_its_own_everywhere() -> None:
    assert verdicts(model_free=0.4)[2:] == ["not shown"] * 2
    rows = InferredValueAndModel().claims(made_up(on_rare=0.01))
    assert [row.verdict for row in rows[2:]] == ["depends"] * 2
    assert rows[2].on == "only on all trials"


# From end to end.


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runs:
    """All cells, of tiny settings."""
    torch.set_num_threads(1)
    of, task = SETTINGS["two-step"], TwoStep(trials=20)
    few = {"updates": 2, "batch": 3}
    learning = replace(of.learning, **few)
    small = replace(of, task=task, test_task=task, learning=learning, units=5)
    monkeypatch.setitem(setting.SETTINGS, "two-step", small)
    learning = replace(inferred_value.LEARNING, **few)
    monkeypatch.setattr(inferred_value, "LEARNING", learning)
    monkeypatch.setattr(inferred_value, "EPISODES", 60)
    monkeypatch.setattr(inferred_value, "RECORDED_EPISODES", 10)
    for cell in InferredValueAndModel().cells(Plan(seeds=2)).values():
        finish(cell, tmp_path, silent)
    return Runs(tmp_path)


def test_it_is_analysed_judged_and_drawn(trained: Runs) -> None:
    of = InferredValueAndModel()
    results = of.analyse(Plan(seeds=2), trained)
    assert results.contrast.dims == ("measure", "seed", "when")
    assert results.seed.values.tolist() == [0, 1]
    rows = of.claims(results)
    assert len(rows) == 4
    assert all("nan" not in row.statistic for row in rows)
    drawn = figure.draw(results)
    assert drawn.get_figwidth() == pytest.approx(FULL_WIDTH)
    drawn.canvas.draw()
    plt.close(drawn)
    assert len(figure.caption(results)) == 2
