from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks import InformativeBandit
from pfc_metarl.tasks.base import Episodes, Tape, Task
from pfc_metarl.tasks.observers import players
from pfc_metarl.tasks.observers.informative_bandit import (
    InformativeBanditObserver,
    SearchPlayer,
)

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]
Near = Callable[..., None]


def draw(task: InformativeBandit, n_episodes: int) -> Tape:
    return task.draw(n_episodes, torch.Generator().manual_seed(1))


def constant(task: Task, action: int, n_episodes: int) -> Tensor:
    return torch.full((task.steps, n_episodes), action)


@pytest.mark.parametrize("target", range(10))
def test_every_target_is_as_likely(near: Near, target: int) -> None:
    near(draw(InformativeBandit(), 20_000)["target"][0] == target, 0.1)


def test_the_target_pays_5_and_the_others_1() -> None:
    tape = draw(InformativeBandit(), 500)
    is_target = torch.arange(10) == tape["target"][..., None]
    expected = torch.where(is_target, 5.0, 1.0)
    assert torch.equal(tape["payoff"][..., :10], expected)


def test_the_informative_arm_pays_a_tenth_of_the_targets_number() -> None:
    tape = draw(InformativeBandit(), 500)
    torch.testing.assert_close(tape["payoff"][..., 10], (tape["target"] + 1) / 10)


def test_the_first_choice_brings_14_or_with_the_informative_arm_055() -> None:
    payoff = draw(InformativeBandit(), 50_000)["payoff"][0]
    mean, error = payoff.mean(0), payoff.std(0) / 50_000**0.5
    expected = torch.tensor([1.4] * 10 + [0.55])
    assert ((mean - expected).abs() < 4 * error).all()


def test_the_arm_chosen_pays_and_the_target_is_recorded(play: Play) -> None:
    task = InformativeBandit()
    tape = draw(task, 50)
    episodes, _, earned = play(task, tape, constant(task, 10, 50))
    columns = episodes.trials()
    torch.testing.assert_close(earned, (columns["target"] + 1) / 10)
    assert torch.equal(columns["reward"], earned)
    assert torch.equal(columns["target"], columns["target"][:1].expand(5, -1))


def test_the_last_reward_can_be_shown_by_a_cue(play: Play) -> None:
    task = InformativeBandit(targets=3, trials=3, reward_cue=True)
    tape = draw(task, 40)
    for action in range(4):
        _, seen, _ = play(task, tape, constant(task, action, 40))
        cue = seen[..., 1:]  # after the trial number: numbers 1 to 3, other, target
        assert not cue[0].any()
        assert (cue[1:].sum(-1) == 1).all()
        target = tape["target"]
        other = torch.where(target == action, 4, 3)
        expected = target if action == 3 else other
        assert torch.equal(cue[1:].argmax(-1), expected)


def test_no_cue_follows_an_invalid_trial(play: Play) -> None:
    task = InformativeBandit(trials=2, reward_cue=True, fixation=True)
    _, seen, _ = play(task, draw(task, 3), constant(task, 11, 3))
    assert not seen[..., 3:].any()


# Players.


def total_by_target(
    player: SearchPlayer | InformativeBanditObserver, task: InformativeBandit
) -> list[float]:
    """Reward of an episode for each target; nothing else is left to chance."""
    episodes = player.play(draw(task, 300), torch.Generator())
    columns = episodes.trials()
    totals = []
    for target in range(task.targets):
        reward = columns["reward"][:, columns["target"][0] == target].sum(0)
        assert (reward == reward[0]).all()
        totals.append(reward[0].item())
    return totals


def test_the_ideal_observer_asks_once_and_takes_the_target() -> None:
    task = InformativeBandit()
    totals = total_by_target(InformativeBanditObserver(task), task)
    assert totals == pytest.approx([20 + number / 10 for number in range(1, 11)])


def test_searching_without_asking_earns_the_closed_form() -> None:
    task = InformativeBandit()
    totals = total_by_target(SearchPlayer(task), task)
    expected = [5.0 * 5, 1 + 4 * 5, 2 + 3 * 5, 3 + 2 * 5, 4 + 5.0] + [5.0] * 5
    assert totals == pytest.approx(expected)


def best_possible(
    task: InformativeBandit, left: int, candidates: frozenset[int]
) -> float:
    """Expected reward of the best play, over all arms and all sets of candidates."""
    if left == 0:
        return 0.0
    n = len(candidates)
    mean_number = sum(number + 1 for number in candidates) / n
    hit = task.target_reward * left
    asked = task.informative_reward * mean_number
    options = [asked + task.target_reward * (left - 1)]
    for arm in range(task.targets):
        if arm not in candidates:
            later = best_possible(task, left - 1, candidates)
            options.append(task.other_reward + later)
        elif n == 1:
            options.append(hit)
        else:
            later = best_possible(task, left - 1, candidates - {arm})
            options.append(hit / n + (n - 1) / n * (task.other_reward + later))
    return max(options)


@pytest.mark.parametrize("trials", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "task",
    [
        InformativeBandit(targets=4),
        InformativeBandit(targets=4, other_reward=4.5),
        InformativeBandit(targets=3, target_reward=1.05, other_reward=1.0),
        InformativeBandit(targets=4, informative_reward=0.01, other_reward=4.0),
        InformativeBandit(targets=2, other_reward=-3.0),
    ],
)
def test_the_ideal_observer_earns_the_most_that_any_play_can(
    task: InformativeBandit, trials: int
) -> None:
    short = replace(task, trials=trials)
    totals = total_by_target(InformativeBanditObserver(short), short)
    everywhere = frozenset(range(task.targets))
    expected = best_possible(short, trials, everywhere)
    assert sum(totals) / len(totals) == pytest.approx(expected, abs=1e-5)


def test_players_are_ordered_by_what_they_earn() -> None:
    task = InformativeBandit()
    means = [
        player.play(draw(task, 2_000), torch.Generator().manual_seed(2))
        .trials()["reward"]
        .mean()
        .item()
        for player in players(task).values()
    ]
    assert means == sorted(means, reverse=True)


def test_a_random_player_earns_the_mean_of_all_arms() -> None:
    task = InformativeBandit()
    random = players(task)["random"].play(
        draw(task, 20_000), torch.Generator().manual_seed(2)
    )
    reward = random.trials()["reward"]
    error = reward.mean(0).std().item() / 20_000**0.5
    assert abs(reward.mean().item() - (10 * 1.4 + 0.55) / 11) < 4 * error


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"targets": 1}, "targets is 1; expected 2 or more"),
        ({"trials": 0}, "trials is 0; expected 1 or more"),
        ({"informative_reward": 0.0}, "informative_reward is 0.0; expected above 0"),
        ({"target_reward": 0.5}, "target_reward is 0.5; expected more than any other"),
        ({"target_reward": float("inf")}, "target_reward is inf"),
        ({"other_reward": float("nan")}, "target_reward is 5.0"),
    ],
)
def test_parameters_that_make_no_task_are_refused(
    wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        InformativeBandit(**wrong)
