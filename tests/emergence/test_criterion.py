"""Only a network that learns in its activity meets the criterion."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor

from pfc_metarl.configuration import Configuration
from pfc_metarl.emergence.criterion import Criterion, judged, measure
from pfc_metarl.emergence.levels import adaptation_index, correct, level, levels
from pfc_metarl.emergence.setting import SETTINGS, with_learning, with_network
from pfc_metarl.errors import InputError
from pfc_metarl.network import Network
from pfc_metarl.tasks.bandit import Bandit, medium_bandit
from pfc_metarl.tasks.foraging import Foraging
from pfc_metarl.tasks.two_step import TwoStep

EPISODES = 400


def learned_curve(late: float = 0.99, trials: int = 100) -> np.ndarray:
    """Rise from chance within some trials."""
    return late - (late - 0.5) * np.exp(-np.arange(trials) / 4)


def measured(**changed: float) -> xr.Dataset:
    """Return what :func:`measure` would find in a network that learns well."""
    values = {"late": 0.99, "after_reset": 0.5, "accuracy_sem": 0.002} | changed
    curve = learned_curve(values["late"])
    if "first" in changed:
        curve[0] = changed["first"]
    return xr.Dataset(
        {
            "p_correct": (("seed", "trial"), curve[None]),
            "accuracy": ("seed", [changed.get("accuracy", curve.mean())]),
            "accuracy_sem": ("seed", [values["accuracy_sem"]]),
            "after_reset": ("seed", [values["after_reset"]]),
        },
        coords={"seed": [0], "trial": np.arange(100)},
        attrs={"reset_trial": 50, "n_episodes": 100, "one_trial": "one"},
    )


SCALE = xr.Dataset(
    {
        "p_correct": (
            ("player", "trial"),
            [learned_curve(1.0), np.full(100, 0.75)],
        )
    },
    coords={"player": ["ideal", "one"], "trial": np.arange(100)},
)


def emerged(**changed: float) -> bool:
    return bool(judged(measured(**changed), SCALE, Criterion()).emerged)


def test_a_learner_meets_the_criterion() -> None:
    assert emerged()


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"accuracy": 0.85}, "too little adaptation"),
        ({"late": 0.88, "accuracy": 0.95}, "too few correct in the end"),
        ({"first": 0.6}, "it knew before the first trial"),
        ({"after_reset": 0.6}, "it still knows after the reset"),
        ({"after_reset": 0.4}, "it is wrong after the reset"),
        ({"accuracy_sem": 0.15}, "no better, within error, than one trial's memory"),
    ],
)
def test_whoever_misses_a_mark_does_not(changed: dict[str, float], what: str) -> None:
    assert not emerged(**changed), what


def test_where_one_trial_is_nearly_enough_more_is_asked() -> None:
    """One trial's memory at 0.9 of the way asks for 0.95."""
    curve = 0.5 + 0.9 * (learned_curve(1.0) - 0.5)
    easy = SCALE.copy()
    easy["p_correct"] = (("player", "trial"), [learned_curve(1.0), curve])
    found = judged(measured(late=0.96), easy, Criterion())
    assert (found.adaptation_index > 0.9).all()
    assert not found.emerged
    assert judged(measured(), easy, Criterion()).emerged


def test_the_adaptation_index_is_0_at_chance_and_1_at_the_ideal_observer() -> None:
    index = adaptation_index(xr.DataArray([0.5, 0.98, 0.74]), 0.98)
    assert index.values == pytest.approx([0, 1, 0.5])


def test_win_stay_lose_shift_is_half_way_and_thompson_near_the_top() -> None:
    """The anchors: AI .52 and .92 on the bandit of 0.25/0.75."""
    task, n = medium_bandit(), 2000
    ideal = level(task, n)
    for player, anchor in (("win-stay-lose-shift", 0.52), ("Thompson", 0.92)):
        found = float(adaptation_index(xr.DataArray(level(task, n, player)), ideal))
        assert found == pytest.approx(anchor, abs=0.015), player


def test_players_meet_the_episodes_that_the_networks_meet() -> None:
    task = replace(medium_bandit(), trials=30)
    assert levels(task, 200).p_correct.sel(player="ideal")[0] == pytest.approx(
        0.5, abs=0.1
    )
    assert levels(task, 200) is levels(task, 200)  # played once


def test_without_an_ideal_observer_there_is_no_scale() -> None:
    with pytest.raises(InputError, match="ideal"):
        levels(Foraging(), 10)


def test_trials_without_a_better_option_are_not_counted() -> None:
    task = Bandit(distribution="listed", problems=((0.5, 0.5), (0.9, 0.1)), trials=4)
    episodes = task.reset(200, torch.Generator().manual_seed(0))
    for _ in range(4):
        episodes.step(torch.zeros(200, dtype=torch.int64))
    right = correct(episodes)
    equal = episodes.trials()["p_reward_0"] == 0.5
    assert right[equal].isnan().all()
    assert (right[~equal] == 1).all()


def small(task_name: str) -> Configuration:
    setting = SETTINGS[task_name]
    tasks: dict[str, tuple[Bandit, Bandit] | tuple[TwoStep, TwoStep]] = {
        "bandit": (Bandit(trials=30), replace(medium_bandit(), trials=30)),
        "two-step": (TwoStep(trials=30), TwoStep(trials=30)),
    }
    task, test_task = tasks[task_name]
    setting = replace(setting, task=task, test_task=test_task, units=6)
    return replace(setting.configuration(2), test_episodes=EPISODES)


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_an_untrained_network_is_at_chance_and_has_not_emerged(name: str) -> None:
    configuration = small(name)
    network = Network(configuration.network, configuration.task, (0, 1))
    found = measure(configuration, network, SETTINGS[name].one_trial)
    assert (abs(found.adaptation_index) < 0.1).all()
    assert not found.emerged.any()
    assert found.p_correct.shape == (2, 30)
    assert (found.low < found.high).all()


class Perfect(Network):
    """Knows nothing, but always chooses the first arm."""

    def logits(self, output: Tensor) -> Tensor:
        logits = super().logits(output).clone()
        logits[:, 0] += 100
        return logits


def test_sides_are_told_apart() -> None:
    configuration = small("bandit")
    network = Perfect(configuration.network, configuration.task, (0, 1))
    found = measure(configuration, network, SETTINGS["bandit"].one_trial)
    assert (found.p_correct_by_side == [[1, 0], [1, 0]]).all()


def test_other_memories_and_horizons_use_torch_s_kernels() -> None:
    intact = SETTINGS["bandit"].configuration(2, "compiled")
    assert with_network(intact, reward_input=False).kernels == "compiled"
    assert with_network(intact, memory="gru").kernels == "torch"
    assert with_network(intact, horizon=3).kernels == "torch"
    assert with_learning(intact, discount=0.0).learning.discount == 0
