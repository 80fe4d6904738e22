from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks import Harlow
from pfc_metarl.tasks.base import Episodes, Tape, Task
from pfc_metarl.tasks.observers import players

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]
Near = Callable[..., None]

EPISODES = 20_000
FIXATE = 2


def draw(task: Harlow, n_episodes: int = EPISODES, seed: int = 1) -> Tape:
    return task.draw(n_episodes, torch.Generator().manual_seed(seed))


def right_choices(name: str, task: Harlow) -> Tensor:
    """(trial, episode) bool of a player."""
    columns = (
        players(task)[name].play(draw(task), torch.Generator().manual_seed(2)).trials()
    )
    return columns["choice"] == columns["good_choice"]


# Objects and sides.


def test_the_rewarded_object_lies_on_either_side_whatever_was_before(
    near: Near,
) -> None:
    side = draw(Harlow())["good_choice"]
    near(side[0], 0.5)
    near(side[1:] == side[:-1], 0.5)


def test_objects_stay_for_the_episode_and_are_new_in_the_next(near: Near) -> None:
    tape = draw(Harlow())
    for name in ("rewarded", "unrewarded"):
        assert torch.equal(tape[name], tape[name][:1].expand_as(tape[name]))
        assert tape[name][0].unique(dim=0).shape == (EPISODES, 4)
        near(tape[name][0] < 0.3, 0.3)


def test_what_an_object_is_tells_nothing_of_whether_it_pays() -> None:
    tape = draw(Harlow())
    pair = torch.cat([tape["rewarded"][0], tape["unrewarded"][0]], dim=-1)
    correlation = torch.corrcoef(pair.T) - torch.eye(8)
    assert correlation.abs().max() < 4.5 / EPISODES**0.5


# Trials worked by hand.


def hand_tape(**changed: Any) -> Tape:
    """One episode of three trials: object (1, 2) pays, (3, 4) does not; tenths."""
    good = torch.tensor([[0], [1], [1]])
    tape = {
        "good_choice": good,
        "rewarded": torch.tensor([0.1, 0.2]).expand(3, 1, 2),
        "unrewarded": torch.tensor([0.3, 0.4]).expand(3, 1, 2),
        "payoff": torch.where(torch.arange(2) == good[..., None], 1.0, -1.0),
    }
    return {**tape, **changed}


def test_each_trial_shows_the_objects_on_their_sides_and_pays_for_the_good_one(
    play: Play,
) -> None:
    task = Harlow(n_features=2, trials=3)
    actions = torch.tensor([0, 0, 1])[:, None]
    episodes, seen, earned = play(task, hand_tape(), actions)
    expected = [[1, 2, 3, 4], [3, 4, 1, 2], [3, 4, 1, 2], [0, 0, 0, 0]]
    torch.testing.assert_close(seen[:, 0], torch.tensor(expected) / 10)
    assert earned[:, 0].tolist() == [1, -1, 1]
    columns = episodes.trials()
    assert columns["choice"][:, 0].tolist() == [0, 0, 1]
    assert columns["reward"][:, 0].tolist() == [1, -1, 1]
    assert columns["good_choice"][:, 0].tolist() == [0, 1, 1]


def test_there_are_no_objects_at_fixation(play: Play) -> None:
    task = Harlow(n_features=2, trials=1, fixation=True)
    tape = {name: values[:1] for name, values in hand_tape().items()}
    _, seen, earned = play(task, tape, torch.tensor([FIXATE, 0])[:, None])
    expected = [[10, 0, 0, 0, 0, 0], [0, 10, 1, 2, 3, 4], [10, 0, 0, 0, 0, 0]]
    torch.testing.assert_close(seen[:, 0], torch.tensor(expected) / 10)
    assert earned[:, 0].tolist() == [0, 1]


def test_fixating_instead_of_choosing_costs_the_penalty_and_the_trial(
    play: Play,
) -> None:
    task = Harlow(n_features=2, trials=1, fixation=True, invalid_reward=-0.5)
    tape = {name: values[:1] for name, values in hand_tape().items()}
    episodes, _, earned = play(task, tape, torch.tensor([0, FIXATE])[:, None])
    assert earned[:, 0].tolist() == [-0.5, -0.5]
    assert episodes.trials()["valid"].tolist() == [[0]]
    assert episodes.trials()["choice"].tolist() == [[-1]]


def test_the_rewards_are_those_asked_for() -> None:
    payoff = draw(Harlow(correct_reward=0.7, wrong_reward=0.0), 50)["payoff"]
    torch.testing.assert_close(payoff.sum(-1), torch.full((6, 50), 0.7))


# Players.


@pytest.mark.parametrize(
    "task", [Harlow(), Harlow(correct_reward=0.7, wrong_reward=0.0), Harlow(trials=20)]
)
def test_the_ideal_player_is_at_chance_once_and_then_always_right(
    near: Near, task: Harlow
) -> None:
    right = right_choices("ideal", task)
    near(right[0], 0.5)
    assert right[1:].all()


def best_value(trials_left: int, p_first_pays: float) -> float:
    """Dynamic programming over the belief about which of two objects pays 1, not -1."""
    if trials_left == 0:
        return 0.0
    values = []
    for p_pays in (p_first_pays, 1 - p_first_pays):
        sign = 1 if p_pays == p_first_pays else 0
        after = [
            best_value(trials_left - 1, float(sign if paid else 1 - sign))
            for paid in (True, False)
        ]
        values.append(p_pays * (1 + after[0]) + (1 - p_pays) * (-1 + after[1]))
    return max(values)


def test_the_ideal_player_earns_the_optimum() -> None:
    earned = 2.0 * right_choices("ideal", Harlow()).sum(0) - 6
    assert best_value(6, 0.5) == 5
    assert abs(earned.mean().item() - 5) < 4 / EPISODES**0.5  # s.d. 1, of trial 1


def test_one_feature_is_enough_to_know_an_object_again() -> None:
    assert right_choices("ideal", Harlow(n_features=1))[1:].all()


def test_winning_and_staying_by_side_is_no_use(near: Near) -> None:
    right = right_choices("win-stay-lose-shift by side", Harlow())
    for trial in range(6):
        near(right[trial], 0.5)


# What is refused.


@pytest.mark.parametrize(
    ("name", "value"), [("n_features", 0), ("trials", 0), ("wrong_reward", 1.0)]
)
def test_a_parameter_out_of_range_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"{name}( is)? {value}"):
        replace(Harlow(), **{name: value})
