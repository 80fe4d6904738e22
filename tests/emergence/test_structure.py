"""E8: what a learner takes its tasks for is measured as the definitions say."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from matplotlib import pyplot as plt

from pfc_metarl.emergence import dependent_arms, informative_arm, setting
from pfc_metarl.emergence.cell import finish
from pfc_metarl.emergence.dependent_arms import (
    ToldHistory,
    belief_followed,
    better_arms,
    regret_on,
)
from pfc_metarl.emergence.experiment import Plan, Runs
from pfc_metarl.emergence.experiments import structure
from pfc_metarl.emergence.experiments.second_learner import SecondLearner
from pfc_metarl.emergence.experiments.structure import TESTED, Structure
from pfc_metarl.emergence.informative_arm import asking
from pfc_metarl.emergence.planned_choices import effects
from pfc_metarl.emergence.setting import SETTINGS
from pfc_metarl.emergence.wording import estimated, estimated_and_range, of_every_seed
from pfc_metarl.errors import InputError
from pfc_metarl.network import Network, NetworkSettings
from pfc_metarl.paper.emergence import structure as figure
from pfc_metarl.paper.style import FULL_WIDTH
from pfc_metarl.recording import behaviour, play
from pfc_metarl.seeds import generator
from pfc_metarl.tasks import InformativeBandit, TwoStep
from pfc_metarl.tasks.bandit import (
    CORRELATED,
    INDEPENDENT,
    Bandit,
    independent_bandit,
    medium_bandit,
)
from pfc_metarl.tasks.base import side_by_side
from pfc_metarl.tasks.observers import players
from pfc_metarl.tasks.observers.two_step import TwoStepObserver
from pfc_metarl.training import Progress
from pfc_metarl.trials import trial_table

SHORT = replace(independent_bandit(), trials=20)


def silent(progress: Progress) -> None:
    """Report to nobody."""


def untrained(task: Bandit, seeds: range = range(2)) -> Network:
    return Network(NetworkSettings(units=5), task, seeds)


# What is trained.


def test_learners_differ_in_the_arms_they_are_trained_on_and_in_nothing_else() -> None:
    cells = Structure().cells(Plan(seeds=3))
    one, other = (cells["bandit", on].configuration for on in (CORRELATED, INDEPENDENT))
    assert replace(other, task=one.task) == one
    assert other.task == independent_bandit()
    assert other.tested_on == one.tested_on == medium_bandit()


def test_cells_are_shared_with_the_first_experiment() -> None:
    plan = Plan(seeds=3)
    mine, first = Structure().cells(plan), SecondLearner().cells(plan)
    assert mine["bandit", CORRELATED].name == first["bandit", "intact"].name
    assert mine["two-step", "intact"].name == first["two-step", "intact"].name
    assert len({cell.name for cell in mine.values()}) == 4


def test_the_cost_of_every_cell_is_at_most_the_bandit_s() -> None:
    steps = {
        key: cell.configuration.task.steps
        * cell.configuration.learning.batch
        * cell.configuration.learning.updates
        for key, cell in Structure().cells(Plan()).items()
    }
    assert steps["informative-bandit", "intact"] <= steps["bandit", CORRELATED]


# Beliefs.


def by_integration(
    choice: list[int], reward: list[int], dependent: bool
) -> list[float]:
    """Expected payoff of either arm, by summing the likelihood over a grid."""
    p = (np.arange(400) + 0.5) / 400
    grid = [p, 1 - p] if dependent else list(np.meshgrid(p, p, indexing="ij"))
    likelihood = np.ones_like(grid[0])
    for arm, paid in zip(choice, reward, strict=True):
        likelihood = likelihood * (grid[arm] if paid else 1 - grid[arm])
    return [float((q * likelihood).sum() / likelihood.sum()) for q in grid]


def test_beliefs_are_those_of_bayes_rule() -> None:
    draw = np.random.default_rng(3)
    choice, reward = draw.integers(2, size=(2, 12, 6))
    found = better_arms(torch.tensor(choice), torch.tensor(reward))
    for belief, dependent in zip(found, (True, False), strict=True):
        for episode in range(6):
            for trial in range(12):
                past = (choice[:trial, episode], reward[:trial, episode])
                first, second = by_integration(*past, dependent)
                alike = abs(first - second) < 1e-4
                expected = -1 if alike else int(second > first)
                assert int(belief[trial, episode]) == expected


def test_a_loss_of_one_arm_speaks_for_the_other_only_if_they_depend() -> None:
    """Twice 1, lost; then six times 0, won twice: 4 to 4, and 3/8 above 1/4."""
    choice = torch.tensor([1, 1, 0, 0, 0, 0, 0, 0, 0, 0])[:, None]
    reward = torch.tensor([0, 0, 1, 1, 0, 0, 0, 0, 0, 0])[:, None]
    dependent, independent = better_arms(choice, reward)
    assert dependent[8:, 0].tolist() == [-1, 1]
    assert independent[8:, 0].tolist() == [0, 0]


def test_told_its_own_past_a_network_does_as_it_did() -> None:
    network = untrained(SHORT, range(1))
    played = play(network, SHORT, 4)
    told = ToldHistory(played.action[:, 0], played.reward[:, 0])
    again = play(network, SHORT, 4, intervention=told, purpose="validation")
    torch.testing.assert_close(again.policy, played.policy)


def test_told_another_past_all_networks_are_told_it() -> None:
    choice = torch.ones((20, 4), dtype=torch.int64)
    network = untrained(SHORT)
    results = [
        play(network, SHORT, 4, intervention=ToldHistory(choice, reward))
        for reward in (torch.zeros(20, 4), torch.ones(20, 4))
    ]
    same = results[0].policy == results[1].policy
    assert same[0].all()
    assert not same[1:].any(dim=-1).any()
    spread = results[0].policy.std(-1)  # over episodes, which are all alike
    torch.testing.assert_close(spread, torch.zeros_like(spread), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("belief", "expected"), [(0, 0.9), (1, 0.1)])
def test_a_policy_that_follows_a_belief_is_found_to(
    belief: int, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def follower(
        network: Network, task: Bandit, n: int, *, intervention: ToldHistory
    ) -> SimpleNamespace:
        better = better_arms(intervention.choice, intervention.reward)[belief]
        second = torch.where(better == 1, 0.9, torch.where(better == 0, 0.1, 0.5))
        policy = torch.stack([1 - second, second], dim=1)  # (trial, arm, episode)
        return SimpleNamespace(policy=policy.unsqueeze(1).expand(-1, 2, -1, -1))

    monkeypatch.setattr(dependent_arms, "play", follower)
    found = belief_followed(SHORT, untrained(SHORT), 200)
    assert found.follows_dependence.values == pytest.approx([expected] * 2)
    assert found.follows_both.values == pytest.approx([0.9] * 2)


def test_to_choose_by_chance_or_by_habit_follows_neither_belief(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def habit(
        network: Network, task: Bandit, n: int, *, intervention: ToldHistory
    ) -> SimpleNamespace:
        last = torch.cat([intervention.choice[:1], intervention.choice[:-1]])
        policy = torch.stack([last == 0, last == 1], dim=1).double()
        return SimpleNamespace(policy=policy.unsqueeze(1))

    monkeypatch.setattr(dependent_arms, "play", habit)
    one = untrained(SHORT, range(1))
    found = belief_followed(replace(SHORT, trials=100), one, 4000)
    assert found.follows_dependence.item() == pytest.approx(0.5, abs=0.04)


def test_a_bandit_with_fixation_is_refused() -> None:
    fixating = replace(SHORT, fixation=True)
    with pytest.raises(InputError, match="expected a bandit without"):
        belief_followed(fixating, untrained(fixating), 3)


def test_regret_is_what_the_best_arm_would_have_paid_more() -> None:
    network = untrained(SHORT)
    found = regret_on(Bandit(trials=20), SHORT, network, 30)
    columns = play(network, SHORT, 30).episodes.trials()
    p = torch.stack([columns["p_reward_0"], columns["p_reward_1"]], dim=-1)
    taken = p.gather(-1, columns["choice"].unsqueeze(-1)).squeeze(-1)
    lost = (p.amax(-1) - taken).double()
    np.testing.assert_allclose(found.regret, lost.sum(0).mean(-1), rtol=1e-6)
    course = lost.mean(-1).cumsum(0).T
    np.testing.assert_allclose(found.cumulative_regret, course, rtol=1e-5)
    at_home = regret_on(SHORT, SHORT, network, 30)
    assert float(at_home.regret_of_ideal) < float(found.regret_of_ideal)


# The informative arm.


@pytest.mark.parametrize(
    ("name", "asks", "hits"), [("ideal", 1, 1), ("search", 0, 0.2)]
)
def test_asking_is_told_from_searching(
    name: str, asks: float, hits: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = InformativeBandit()
    player = players(task)[name]

    def both(network: Network, task: InformativeBandit, n: int) -> SimpleNamespace:
        tape = side_by_side([task.draw(n, generator(0, "test episodes"))] * 2)
        return SimpleNamespace(episodes=player.play(tape, generator(0, "observer")))

    monkeypatch.setattr(informative_arm, "play", both)
    network = Network(NetworkSettings(units=3), task, range(2))
    found = asking(task, network, 400)
    first = found.isel(informative_trial=0)
    assert first.p_informative.values.tolist() == [asks] * 2
    second = found.p_target.isel(informative_trial=1).values
    assert second == pytest.approx([hits] * 2, abs=0.06)  # two of ten arms tried
    own = float(found.reward_of_player.sel(player=name))
    assert found.reward.values == pytest.approx([own] * 2)


# Planning.


def made_of(stays: Mapping[tuple[bool, bool], float], n: int = 20_000) -> xr.Dataset:
    """Choices that are repeated with a probability by (rewarded, common)."""
    draw = np.random.default_rng(1)
    rewarded, common = draw.random((2, n)) < np.array([[0.5], [0.8]])
    choice = np.zeros(n, dtype=int)
    for trial in range(1, n):
        p = stays[bool(rewarded[trial - 1]), bool(common[trial - 1])]
        stay = draw.random() < p
        choice[trial] = choice[trial - 1] if stay else 1 - choice[trial - 1]
    return trial_table(
        {
            "choice": choice,
            "state2": np.where(common, choice, 1 - choice),
            "reward": rewarded.astype(float),
            "transition_common": common.astype(int),
        },
        subject=np.zeros(n, dtype=int),
        session=np.zeros(n, dtype=int),
        trial_in_session=np.arange(n),
        subject_id=["made up"],
    )


def test_effects_on_staying_are_their_contrasts() -> None:
    stays = {
        (True, True): 0.9,
        (True, False): 0.6,
        (False, True): 0.4,
        (False, False): 0.5,
    }
    found = effects(made_of(stays)).isel(subject=0)
    assert float(found.interaction) == pytest.approx(0.9 - 0.4 - (0.6 - 0.5), abs=0.04)
    expected = (0.9 + 0.6 - 0.4 - 0.5) / 2
    assert float(found.reward_effect) == pytest.approx(expected, abs=0.03)


def test_reward_alone_is_told_from_reward_through_the_transition() -> None:
    plain = {(r, c): 0.8 if r else 0.2 for r in (True, False) for c in (True, False)}
    found = effects(made_of(plain)).isel(subject=0)
    assert abs(float(found.planning_index)) < 0.4 < float(found.model_free_index)
    task = TwoStep()
    ideal = TwoStepObserver(task).play(
        task.draw(60, generator(0, "validation episodes")), generator(0, "observer")
    )
    found = effects(behaviour(ideal, ["ideal"], {})).isel(subject=0)
    assert float(found.interaction) > 0.5 > 0.05 > abs(float(found.reward_effect))
    assert float(found.planning_index) > 10 * abs(float(found.model_free_index))


# Judging.


def made_up(**changed: Any) -> xr.Dataset:
    """Results in which everything is shown; values by training where they differ."""
    noise = np.array([-0.02, 0.0, 0.01, 0.01])
    by_test = {
        "regret": [[1.5, 3.5], [2.5, 2.4]],  # (trained on, tested on)
        "regret_of_ideal": [[1.07, 3.28], [1.29, 1.84]],
        "follows_dependence": [0.7, 0.4],
        "follows_both": [0.8, 0.8],
        "interaction": 0.7,
        "reward_effect": 0.0,
        "planning_index": 5.0,
        "model_free_index": 0.0,
        "p_informative": 1.0,
        "p_target": 0.95,
    } | changed

    def seeds(name: str) -> np.ndarray:
        return np.asarray(by_test[name])[..., None] + noise

    return xr.Dataset(
        {
            "regret": (("trained_on", "tested_on", "seed"), seeds("regret")),
            "regret_of_ideal": (
                ("trained_on", "tested_on"),
                by_test["regret_of_ideal"],
            ),
            "follows_dependence": (("trained_on", "seed"), seeds("follows_dependence")),
            "follows_both": (("trained_on", "seed"), seeds("follows_both")),
            "p_informative": (
                ("seed", "informative_trial"),
                np.broadcast_to(by_test["p_informative"], (3, 4)).T,
            ),
            "p_target": (("seed", "informative_trial"), np.full((4, 3), 0.9)),
            "reward": ("seed", 4 + noise),
            "reward_of_player": ("player", [4.1]),
            **{
                name: ("seed", seeds(name))
                for name in (
                    "interaction",
                    "reward_effect",
                    "planning_index",
                    "model_free_index",
                )
            },
            "interaction_of_ideal": 0.65,
            "reward_effect_of_ideal": 0.02,
            "planning_index_of_ideal": 9.0,
            "model_free_index_of_ideal": 0.1,
        },
        coords={
            "trained_on": [CORRELATED, INDEPENDENT],
            "tested_on": [TESTED, INDEPENDENT],
            "player": ["ideal"],
        },
    )


def verdicts(**changed: Any) -> list[str]:
    return [row.verdict for row in Structure().claims(made_up(**changed))]


def test_everything_is_shown_when_it_is() -> None:
    assert verdicts() == ["shown"] * 6


def test_who_was_trained_less_well_shows_nothing_of_structure() -> None:
    worse = [[1.5, 2.3], [2.5, 2.4]]
    rows = Structure().claims(made_up(regret=worse))
    assert [row.verdict for row in rows[:2]] == ["depends", "not shown"]
    assert "on training" in rows[0].on
    assert verdicts(regret=[[2.5, 3.5], [2.5, 2.4]])[:2] == ["not shown", "shown"]


def test_a_belief_must_be_followed_and_more_than_by_the_others() -> None:
    assert verdicts(follows_dependence=[0.7, 0.7])[2] == "not shown"
    assert verdicts(follows_dependence=[0.45, 0.3])[2] == "not shown"


def test_asking_first_depends_on_the_seed_if_some_do_not() -> None:
    assert verdicts(p_informative=[1.0, 1.0, 0.9, 0.0])[3] == "depends"
    assert verdicts(p_informative=0.1)[3] == "not shown"


def test_reward_alone_makes_planning_depend_on_the_mark() -> None:
    rows = Structure().claims(made_up(reward_effect=0.2, planning_index=-1.0))
    assert [row.verdict for row in rows[4:]] == ["depends", "not shown"]
    assert "28.6% of reward x transition; the ideal observer's is 3.1%" in rows[4].on


def test_numbers_are_said_with_their_interval_and_without_a_negative_zero() -> None:
    assert estimated([-0.001, 0.0, 0.001]) == "0.00 [0.00, 0.00]"
    assert (
        estimated_and_range([1.0, 2.0, 3.0], 1) == "2.0 [-0.5, 4.5], seeds 1.0 to 3.0"
    )
    assert of_every_seed([True, True]) == ("shown", "")
    assert of_every_seed([False, False]) == ("not shown", "")
    assert of_every_seed([True, False]) == ("depends", "on the seed: 1 of 2 pass")


# From end to end.


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runs:
    """All cells, of tiny settings."""
    torch.set_num_threads(1)
    few = {"updates": 2, "batch": 3}
    for name, task, test in (
        ("bandit", Bandit(trials=20), replace(medium_bandit(), trials=20)),
        ("two-step", TwoStep(trials=20), TwoStep(trials=20)),
    ):
        of = SETTINGS[name]
        learning = replace(of.learning, **few)
        small = replace(of, task=task, test_task=test, learning=learning, units=5)
        monkeypatch.setitem(setting.SETTINGS, name, small)
    learning = replace(structure.LEARNING, **few)
    monkeypatch.setattr(structure, "LEARNING", learning)
    monkeypatch.setattr(structure, "EPISODES", 40)
    for cell in Structure().cells(Plan(seeds=2)).values():
        finish(cell, tmp_path, silent)
    return Runs(tmp_path)


def test_it_is_analysed_judged_and_drawn(trained: Runs) -> None:
    of = Structure()
    results = of.analyse(Plan(seeds=2), trained)
    assert results.regret.dims == ("trained_on", "tested_on", "seed")
    assert results.cumulative_regret.sizes["trial"] == 20
    assert results.stay.shape == (2, 2, 2)
    rows = of.claims(results)
    assert len(rows) == 6
    assert all("nan" not in row.statistic for row in rows)
    drawn = figure.draw(results)
    assert drawn.get_figwidth() == pytest.approx(FULL_WIDTH)
    drawn.canvas.draw()
    plt.close(drawn)
    assert len(figure.caption(results)) == 3


def test_the_setting_must_be_a_bandit() -> None:
    with pytest.raises(InputError, match="expected a Bandit"):
        structure._bandit(TwoStep())
