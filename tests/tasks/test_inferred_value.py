from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks import InferredValue
from pfc_metarl.tasks.base import Episodes, Tape, Task
from pfc_metarl.tasks.inferred_value import bromberg_martin_monkeys

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]
Near = Callable[..., None]

EPISODES = 30_000  # of 30 trials: about a million trials
FIXATE = 2


def draw(task: InferredValue, n_episodes: int = EPISODES, seed: int = 1) -> Tape:
    return task.draw(n_episodes, torch.Generator().manual_seed(seed))


def right_responses(task: InferredValue, tape: Tape) -> Tensor:
    """Actions (step, episode) that do as the cues ask."""
    target = tape["forced"]
    steps = [target, torch.zeros_like(target)]
    if task.fixation:
        steps = [torch.full_like(target, FIXATE), *steps]
    return torch.stack(steps, 1).flatten(0, 1)


@pytest.fixture(scope="module")
def million() -> Tape:
    return draw(InferredValue())


# Chance events.


def test_either_target_is_as_likely_on_every_trial(million: Tape, near: Near) -> None:
    target = million["forced"]
    near(target, 1 / 2)
    near(target[1:] == target[:-1], 1 / 2)
    near(target == million["paying_side"], 1 / 2)


def test_only_the_side_that_pays_is_rewarded(million: Tape) -> None:
    pays = million["forced"] == million["paying_side"]
    assert torch.equal(million["outcome"], pays.float())


def test_rewards_can_be_uncertain(near: Near) -> None:
    tape = draw(InferredValue(p_reward=(0.7, 0.2)))
    pays = tape["forced"] == tape["paying_side"]
    near(tape["outcome"][pays], 0.7)
    near(tape["outcome"][~pays], 0.2)


def test_sides_reverse_at_the_hazard_after_three_trials(
    million: Tape, near: Near
) -> None:
    side = million["paying_side"]
    near(side[0], 1 / 2)
    reversal = side[1:] != side[:-1]  # row t: trial t + 1 begins a block
    assert not reversal[:2].any()
    near(reversal[2], 0.05)
    assert not reversal[3:5][:, reversal[2]].any()
    near(reversal[5][reversal[2]], 0.05)


def test_monkeys_met_a_reversal_every_24_trials() -> None:
    side = draw(bromberg_martin_monkeys(), 20)["paying_side"]
    blocks = side.unflatten(0, (10, 24))
    assert (blocks == blocks[:, :1]).all()
    assert (blocks[1:, 0] != blocks[:-1, 0]).all()


# What is seen and earned.


@pytest.mark.parametrize("fixation", [False, True])
def test_right_responses_earn_what_the_targets_bring(
    play: Play, fixation: bool
) -> None:
    task = InferredValue(fixation=fixation)
    tape = draw(task, 100)
    episodes, _, earned = play(task, tape, right_responses(task, tape))
    by_phase = earned.unflatten(0, (30, -1))
    assert torch.equal(by_phase[:, -2], tape["outcome"])
    assert (by_phase[:, -1] == 0).all()
    assert not fixation or (by_phase[:, 0] == 0).all()
    columns = episodes.trials()
    assert torch.equal(columns["reward"], tape["outcome"])
    assert torch.equal(columns["choice"], columns["cue"])
    assert (columns["valid"] == 1).all()
    assert (columns["forced"] == 1).all()


def test_a_trial_shows_fixation_target_and_blank(play: Play) -> None:
    task = InferredValue(fixation=True, trials=3)
    tape = draw(task, 50)
    _, seen, _ = play(task, tape, right_responses(task, tape))
    assert task.phases == ("fixation", "target", "blank")
    by_phase = seen[:-1].unflatten(0, (3, 3))
    assert (by_phase[:, 0] == torch.tensor([0.0, 0.0, 1.0])).all()
    sides = torch.nn.functional.one_hot(tape["forced"], 3).float()
    assert torch.equal(by_phase[:, 1], sides)
    assert (by_phase[:, 2] == 0).all()


def test_without_fixation_a_trial_shows_target_and_blank(play: Play) -> None:
    task = InferredValue(trials=3)
    tape = draw(task, 50)
    _, seen, _ = play(task, tape, right_responses(task, tape))
    by_phase = seen[:-1].unflatten(0, (3, 2))
    sides = torch.nn.functional.one_hot(tape["forced"], 2).float()
    assert torch.equal(by_phase[:, 0], sides)
    assert (by_phase[:, 1] == 0).all()


def test_what_is_done_at_the_blank_changes_nothing(play: Play) -> None:
    task = InferredValue(trials=5, fixation=True)
    tape = draw(task, 50)
    actions = right_responses(task, tape)
    _, seen, earned = play(task, tape, actions)
    for other in (1, FIXATE):
        changed = actions.clone()
        changed[2::3] = other
        _, seen_too, earned_too = play(task, tape, changed)
        assert torch.equal(seen, seen_too)
        assert torch.equal(earned, earned_too)


def test_wrong_responses_cost_the_penalty_and_the_trial(play: Play) -> None:
    task = InferredValue(trials=4, fixation=True, invalid_reward=-0.5)
    tape = draw(task, 50)
    actions = right_responses(task, tape)
    actions[0] = 0  # at fixation: the trial goes on
    actions[4] = 1 - actions[4]  # the other side
    actions[7] = FIXATE
    episodes, _, earned = play(task, tape, actions)
    for step in (0, 4, 7):
        assert (earned[step] == -0.5).all()
    columns = episodes.trials()
    assert columns["valid"][:, 0].tolist() == [1, 0, 0, 1]
    assert (columns["choice"][1:3] == -1).all()
    assert columns["reward"][1:3].isnan().all()
    assert torch.equal(columns["reward"][::3], tape["outcome"][::3])


def test_a_random_player_loses_a_quarter_a_trial(play: Play, million: Tape) -> None:
    generator = torch.Generator().manual_seed(3)
    actions = torch.randint(2, (60, EPISODES), generator=generator)
    _, _, earned = play(InferredValue(), million, actions)
    # Half wrong (-1); of the other half one in two is rewarded.
    error = (0.6875 / (30 * EPISODES)) ** 0.5
    assert abs(2 * earned.double().mean().item() + 0.25) < 4 * error


def test_asking_before_the_first_trial_is_over_is_refused() -> None:
    with pytest.raises(InputError, match="no trial is finished"):
        InferredValue().reset(2, torch.Generator().manual_seed(1)).trials()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"p_reward": (1.1, 0.0)}, r"^p_reward is \(1.1, 0.0\)"),
        ({"p_reward": (1.0,)}, "^p_reward is"),
        ({"p_reversal": 1.5}, "^p_reversal is 1.5"),
        ({"p_reversal": float("nan")}, "^p_reversal is nan"),
        ({"min_block_trials": -1}, "min_block_trials -1"),
        ({"trials": 0}, "trials is 0"),
        ({"invalid_reward": float("inf")}, "^invalid_reward is inf"),
    ],
)
def test_settings_that_make_no_task_are_refused_by_name(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        InferredValue(**settings)
