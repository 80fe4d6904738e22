from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.recording import behaviour
from pfc_metarl.tasks import Bandit
from pfc_metarl.tasks.bandit import (
    easy_bandit,
    hard_bandit,
    independent_bandit,
    medium_bandit,
)
from pfc_metarl.tasks.base import Episodes, Tape, Task

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]
Near = Callable[..., None]

EPISODES = 10_000  # of 100 trials: a million trials
THREE = Bandit(
    arms=3, distribution="listed", problems=((0.2, 0.5, 0.9), (0.7, 0.7, 0.1))
)


def draw(task: Bandit, n_episodes: int = EPISODES, seed: int = 1) -> Tape:
    return task.draw(n_episodes, torch.Generator().manual_seed(seed))


# Problems and outcomes.


@pytest.mark.parametrize("task", [Bandit(), independent_bandit()])
@pytest.mark.parametrize("arm", [0, 1])
def test_each_probability_is_uniform(near: Near, task: Bandit, arm: int) -> None:
    p = draw(task)["p_reward"][0, :, arm]
    for quantile in (0.05, 0.25, 0.5, 0.9):
        near(p < quantile, quantile)


def test_correlated_arms_pay_p_and_1_minus_p() -> None:
    p = draw(Bandit())["p_reward"]
    torch.testing.assert_close(p.sum(-1), torch.ones(100, EPISODES))


def test_independent_arms_tell_nothing_of_each_other() -> None:
    p = draw(independent_bandit(3))["p_reward"][0]
    correlation = torch.corrcoef(p.T) - torch.eye(3)
    assert correlation.abs().max() < 4 / EPISODES**0.5


@pytest.mark.parametrize(
    ("task", "high"), [(easy_bandit(), 0.9), (medium_bandit(), 0.75)]
)
def test_a_listed_problem_is_as_likely_as_the_other(
    near: Near, task: Bandit, high: float
) -> None:
    p = draw(task)["p_reward"][0]
    near(p[:, 0] == torch.tensor(high), 0.5)
    torch.testing.assert_close(p.sort(-1).values[0], torch.tensor([1 - high, high]))


def test_the_hard_set_is_06_and_04() -> None:
    assert hard_bandit().problems == ((0.6, 0.4), (0.4, 0.6))


@pytest.mark.parametrize("problem", [0, 1])
@pytest.mark.parametrize("arm", [0, 1, 2])
def test_each_arm_pays_with_its_probability(near: Near, problem: int, arm: int) -> None:
    tape = draw(THREE)
    expected = THREE.problems[problem][arm]
    chosen = tape["p_reward"][..., arm] == torch.tensor(expected)
    near(tape["payoff"][..., arm][chosen], expected)


def test_outcomes_of_uniform_arms_follow_their_probability(near: Near) -> None:
    tape = draw(Bandit())
    for low in (0.0, 0.4, 0.9):  # E(payoff | p in a narrow range) is its middle
        p = tape["p_reward"][..., 0]
        here = (p >= low) & (p < low + 0.1)
        near(tape["payoff"][..., 0][here], p[here].double().mean().item())


def test_a_problem_lasts_the_episode() -> None:
    p = draw(Bandit(), 20)["p_reward"]
    assert torch.equal(p, p[:1].expand_as(p))


def test_outcomes_of_successive_trials_are_independent(near: Near) -> None:
    first = draw(medium_bandit())
    good = first["p_reward"][..., 0] > 0.5
    paid = first["payoff"][..., 0] == 1
    near(paid[1:][good[1:] & paid[:-1]], 0.75)
    near(paid[1:][good[1:] & ~paid[:-1]], 0.75)


# What is paid, seen and recorded.


def test_the_arm_chosen_pays(play: Play) -> None:
    tape = draw(THREE, 50)
    choices = torch.randint(3, (100, 50), generator=torch.Generator().manual_seed(3))
    episodes, _, earned = play(THREE, tape, choices)
    expected = tape["payoff"].gather(-1, choices[..., None])[..., 0]
    assert torch.equal(earned, expected)
    assert torch.equal(episodes.trials()["reward"], expected)
    assert torch.equal(episodes.trials()["choice"], choices)


def test_the_trial_number_rises_from_0_to_1(play: Play) -> None:
    task = Bandit(trials=4)
    _, seen, _ = play(task, draw(task, 1), torch.zeros(4, 1, dtype=torch.int64))
    assert seen[:, 0, 0].tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_without_the_trial_number_nothing_is_seen(play: Play) -> None:
    task = Bandit(trials=4, trial_number=False)
    _, seen, _ = play(task, draw(task, 3), torch.zeros(4, 3, dtype=torch.int64))
    assert task.n_observations == 0
    assert seen.shape == (5, 3, 0)


def test_with_fixation_cues_alternate(play: Play) -> None:
    task = Bandit(trials=2, fixation=True)
    _, seen, _ = play(task, draw(task, 1), torch.full((4, 1), 2))
    assert seen[:, 0].tolist() == [
        [1, 0, 0],
        [0, 1, 0],
        [1, 0, 0.5],
        [0, 1, 0.5],
        [1, 0, 1],
    ]


def test_with_fixation_a_wrong_response_costs(play: Play) -> None:
    task = Bandit(trials=2, fixation=True, invalid_reward=-0.5)
    tape = draw(task, 1)
    actions = torch.tensor([0, 2, 2, 1])[:, None]  # wrong, wrong, right, arm 1
    episodes, _, earned = play(task, tape, actions)
    pays = tape["payoff"][1, 0, 1].item()
    assert earned[:, 0].tolist() == [-0.5, -0.5, 0, pays]
    columns = episodes.trials()
    assert columns["valid"][:, 0].tolist() == [0, 1]
    assert columns["choice"][:, 0].tolist() == [-1, 1]
    assert columns["reward"][0].isnan().all()
    assert columns["reward"][1, 0] == pays


def test_fixating_changes_no_reward(play: Play) -> None:
    plain, fixating = Bandit(), Bandit(fixation=True)
    tape = draw(plain, 50)
    choices = torch.randint(2, (100, 50), generator=torch.Generator().manual_seed(3))
    actions = torch.stack([torch.full_like(choices, 2), choices], 1).flatten(0, 1)
    one, _, _ = play(plain, tape, choices)
    other, _, _ = play(fixating, tape, actions)
    for name, values in one.trials().items():
        assert torch.equal(values, other.trials()[name]), name


def test_the_good_choice_is_the_arm_that_pays_more(play: Play) -> None:
    task = Bandit()
    tape = draw(task, 200)
    episodes, _, _ = play(task, tape, torch.zeros(100, 200, dtype=torch.int64))
    columns = episodes.trials()
    assert torch.equal(columns["good_choice"] == 0, columns["p_reward_0"] > 0.5)


def test_no_choice_is_good_where_arms_are_alike(play: Play) -> None:
    task = Bandit(distribution="listed", problems=((0.5, 0.5),))
    episodes, _, _ = play(task, draw(task, 3), torch.zeros(100, 3, dtype=torch.int64))
    assert (episodes.trials()["good_choice"] == -1).all()


def test_many_arms_make_a_trial_table_with_their_probabilities(play: Play) -> None:
    task = independent_bandit(12)
    tape = draw(task, 4)
    actions = torch.randint(12, (100, 4), generator=torch.Generator().manual_seed(3))
    episodes, _, _ = play(task, tape, actions)
    table = behaviour(episodes, ["one"], {})
    expected = tape["p_reward"][0, 2, 11].item()
    assert (table.p_reward_11.values[table.session.values == 2] == expected).all()


# What is refused.


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"trials": 0}, "trials is 0; expected 1 or more"),
        ({"arms": 1, "distribution": "independent"}, "arms is 1; expected 2 or more"),
        ({"arms": 3}, "arms is 3; 'correlated' is for 2 arms"),
        ({"distribution": "other"}, "distribution is 'other'; expected correlated"),
        ({"distribution": "listed"}, "problems is"),
        ({"problems": ((0.2, 0.8),)}, "problems is"),
        ({"distribution": "listed", "problems": ((0.2, 0.8, 0.1),)}, "problems is"),
        ({"distribution": "listed", "problems": ((0.2, 1.1),)}, "problems is"),
        ({"distribution": "listed", "problems": (0.2, 0.8)}, "problems is"),
        ({"invalid_reward": float("nan")}, "invalid_reward is nan"),
    ],
)
def test_parameters_that_make_no_task_are_refused(
    wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Bandit(**wrong)
