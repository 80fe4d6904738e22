"""The figures of the card show every seed, whatever became of it."""

from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
import xarray as xr
from made_up_results import NAMES, TRIALS, results
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from numpy.typing import NDArray

from pfc_metarl.analysis import regret as regret_of_table
from pfc_metarl.emergence.levels import correct
from pfc_metarl.emergence.setting import SETTINGS
from pfc_metarl.paper.emergence import regret, related_tasks_needed
from pfc_metarl.paper.emergence.captions import measured, number
from pfc_metarl.paper.emergence.figures import CAPTIONS, FIGURES
from pfc_metarl.paper.emergence.panels import of_setting
from pfc_metarl.recording import behaviour
from pfc_metarl.seeds import generator
from pfc_metarl.tasks.bandit import Bandit
from pfc_metarl.tasks.observers import players
from pfc_metarl.tasks.two_step import TwoStep

CASES: dict[str, dict[str, Any]] = {
    "a seed diverged": {"diverged": (1,)},
    "one seed": {"settings": ("two-step",), "seeds": 1},
    "every seed diverged": {"settings": ("bandit",), "seeds": 2, "diverged": (0, 1)},
}


@cache
def drawn(name: str, case: str) -> tuple[Figure, xr.Dataset]:
    found = results(name, **CASES[case])
    figure = FIGURES[name](found)
    figure.draw_without_rendering()  # a layout that does not fit is a warning
    plt.close(figure)
    return figure, found


def markers(axes: Axes, kind: str) -> int:
    return sum(len(xy(line)) for line in axes.lines if line.get_marker() == kind)


def xy(line: Line2D) -> NDArray[np.float64]:
    return np.asarray(line.get_xydata())


ALL_CASES = [
    *product(NAMES, ["a seed diverged", "one seed"]),
    *product(["E1", "E3"], ["every seed diverged"]),
]


@pytest.mark.parametrize(("name", "case"), ALL_CASES)
def test_every_figure_is_drawn_as_wide_as_two_columns(name: str, case: str) -> None:
    figure, _ = drawn(name, case)
    assert figure.get_figwidth() * 25.4 == pytest.approx(183)
    texts = [text for text in figure.findobj(Text) if text.get_text().strip()]
    sizes = {text.get_fontsize() for text in texts}
    assert 5 <= min(sizes) <= max(sizes) <= 8


@pytest.mark.parametrize("name", ["E2", "E3", "E4", "E5", "E6", "2x2x2"])
def test_every_seed_is_a_dot_and_a_diverged_one_a_cross(name: str) -> None:
    figure, found = drawn(name, "a seed diverged")
    panels = [axes for axes in figure.axes if axes.get_ylabel() == "Adaptation index"]
    index = found.adaptation_index
    if name == "E5":  # the intact system stands in both panels
        index = xr.concat([index, index.sel(condition=["intact"])], "condition")
    n_failed = int(index.isnull().sum())
    assert sum(markers(axes, "x") for axes in panels) == n_failed > 0
    assert sum(markers(axes, "o") for axes in panels) == index.size - n_failed


def test_dots_are_filled_where_a_learner_emerged() -> None:
    figure, _ = drawn("E3", "a seed diverged")
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [line.get_markerfacecolor() == "white" for line in dots] == [
        False,
        True,
        True,
    ]


def test_the_course_within_the_episode_shows_every_seed_and_the_mean() -> None:
    figure, found = drawn("E2", "a seed diverged")
    curves = [line for line in figure.axes[1].lines if len(xy(line)) == TRIALS]
    n_seeds = int(found.adaptation_index.isel(setting=0).notnull().sum())
    assert len(curves) == n_seeds + found.sizes["condition"]
    assert xy(curves[0])[0, 0] == 1


def test_problems_stand_on_a_log_scale() -> None:
    at = related_tasks_needed.LIMITED
    assert at["2 problems"] - at["1 problem"] == at["16 problems"] - at["8 problems"]
    assert at["64 problems"] - at["16 problems"] == 2 * at["2 problems"]
    assert max(at.values()) < related_tasks_needed.ALL_AT


def test_a_seed_that_was_never_competent_stays_to_the_end() -> None:
    figure, _ = drawn("E6", "a seed diverged")
    axes, _ = (a for a in figure.axes if a.get_ylabel() == "Seeds not yet competent")
    steps = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    for line in steps:
        episodes, share = xy(line)[-1]
        assert episodes == 4.8
        assert share == pytest.approx(1 / 3)


def test_regret_is_what_the_trial_table_says() -> None:
    task = SETTINGS["bandit"].test_task
    tape = task.draw(200, generator(3, "test episodes"))
    episodes = players(task)["win-stay-lose-shift"].play(tape, generator(3, "observer"))
    p = correct(episodes).nanmean(-1).numpy()
    of = results("E1").sel(setting="bandit")
    table = regret_of_table(behaviour(episodes, ["player"], {}))
    mine = regret.stake(of) * (1 - p).sum()
    assert mine == pytest.approx(table.total_regret.item())


@pytest.mark.parametrize("setting", ["bandit", "two-step"])
def test_the_stake_is_what_a_good_choice_pays_more(setting: str) -> None:
    task = SETTINGS[setting].test_task
    tape = task.draw(4000, generator(5, "test episodes"))
    episodes = players(task)[SETTINGS[setting].one_trial].play(
        tape, generator(5, "observer")
    )
    columns = episodes.trials()
    good = columns["choice"] == columns["good_choice"]
    reward = columns["reward"].double()
    paid = float(reward[good].mean() - reward[~good].mean())
    found = regret.stake(results("E1").sel(setting=setting))
    assert found == pytest.approx(paid, abs=0.01)


def test_stakes_are_those_of_the_test_tasks() -> None:
    bandit, two_step = (SETTINGS[name].test_task for name in ("bandit", "two-step"))
    assert isinstance(bandit, Bandit)
    assert isinstance(two_step, TwoStep)
    for high, low in map(sorted, bandit.problems):
        assert SETTINGS["bandit"].stake == pytest.approx(abs(high - low))
    for high, low in two_step.blocks:
        gap = (2 * two_step.p_common - 1) * abs(high - low)
        assert SETTINGS["two-step"].stake == pytest.approx(gap)


def test_regret_of_chance_is_half_of_every_stake() -> None:
    of = of_setting(results("E1"), "bandit")
    assert regret.of_chance(of) == pytest.approx(0.5 * 0.5 * TRIALS)
    assert regret.of_players(of)["ideal"] == pytest.approx(0.5 * 0.05 * TRIALS)
    assert "last trial" not in regret.of_players(of)
    of = of_setting(results("E1", diverged=(1,)), "bandit")
    assert regret.of_networks(of).isnull().values.tolist() == [False, True, False]


@pytest.mark.parametrize("name", NAMES)
def test_captions_take_their_numbers_from_the_results(name: str) -> None:
    found = results(name)
    shown, *by_setting = CAPTIONS[name](found)
    assert "nan" not in " ".join([shown, *by_setting]).lower()
    assert [text.split(":")[0] for text in by_setting] == [
        "Correlated bandit",
        "Two-step task",
    ]
    index = found.adaptation_index.isel(setting=0, condition=0)
    value = found.p_correct.isel(setting=0, trial=-1) if name == "E1" else index
    expected = measured(value.squeeze())
    assert expected in by_setting[0]
    other = found.assign(
        adaptation_index=found.adaptation_index + 1, p_correct=found.p_correct / 2
    )
    assert expected not in CAPTIONS[name](other)[1]


@pytest.mark.parametrize("name", NAMES)
def test_captions_speak_of_seeds_that_have_no_number(name: str) -> None:
    found = results(name, seeds=2, diverged=(0, 1))
    text = " ".join(CAPTIONS[name](found))
    assert "no seed has a number" in text
    assert "nan" not in text.lower()


def test_numbers_that_round_to_nothing_have_no_sign() -> None:
    assert number(-0.001) == "0.00"
    assert number(-0.01) == "-0.01"
    assert number(1234.4, 0) == "1234"


def test_settings_and_conditions_that_are_absent_are_left_out() -> None:
    found = results("E3")
    there = (found.setting != "bandit") | (found.condition != "untrained")
    absent = found.assign(
        {
            name: values.where(there)
            for name, values in found.data_vars.items()
            if "condition" in values.dims
        }
    )
    assert of_setting(absent, "bandit").sizes["condition"] == 2
    assert of_setting(absent, "two-step").sizes["condition"] == 3
    figure = FIGURES["E3"](absent)
    figure.draw_without_rendering()
    plt.close(figure)
