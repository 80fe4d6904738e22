from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pfc_metarl.analysis import regret
from pfc_metarl.errors import InputError
from pfc_metarl.recording import behaviour
from pfc_metarl.tasks import Reversal, ThreeArmReversal, WhatWhereReversal
from pfc_metarl.tasks.base import Episodes, Tape, Task

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]
Near = Callable[..., None]
FIXATE = 2


def draw(task: Task, n_episodes: int, seed: int = 1) -> Tape:
    return task.draw(n_episodes, torch.Generator().manual_seed(seed))


def random_actions(task: Task, n_episodes: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(2, (task.trials, n_episodes), generator=generator)


# Arms that reverse.


@pytest.fixture(scope="module")
def mice() -> Tape:
    """The task of mice, 700 thousand trials."""
    return draw(Reversal(), 1_000)


def good_arm(tape: Tape) -> Tensor:
    return tape["p_reward"].argmax(-1)


def test_arms_reverse_once_in_fifty_trials_whatever_the_block_s_age(
    mice: Tape, near: Near
) -> None:
    good = good_arm(mice)
    reversed_ = good[1:] != good[:-1]
    near(good[0], 0.5)
    near(reversed_, 0.02)
    near(reversed_[:20], 0.02)
    near(reversed_[1:][reversed_[:-1]], 0.02)


@pytest.mark.parametrize("arm", [0, 1])
@pytest.mark.parametrize("good", [0, 1])
def test_an_arm_pays_by_the_block(mice: Tape, near: Near, arm: int, good: int) -> None:
    paid = mice["payoff"][..., arm][good_arm(mice) == good]
    near(paid, 0.8 if arm == good else 0.2)


def test_three_arms_move_round_after_a_minimum_of_ten_trials(near: Near) -> None:
    tape = draw(ThreeArmReversal(), 3_000)
    good = good_arm(tape)
    switched = good[1:] != good[:-1]
    assert not switched[:9].any()
    near(switched[9], 0.1)
    for arm in range(3):
        near(good[0] == arm, 1 / 3)
        near(tape["payoff"][..., arm][good == arm], 0.9)
        near(tape["payoff"][..., arm][good == (arm - 1) % 3], 0.5)
        near(tape["payoff"][..., arm][good == (arm + 1) % 3], 0.1)
        near(good[1:][switched & (good[:-1] == arm)] == (arm + 1) % 3, 0.5)


def test_the_arm_chosen_pays(mice: Tape, play: Play) -> None:
    task = Reversal()
    actions = random_actions(task, 1_000)
    episodes, _, earned = play(task, mice, actions)
    expected = mice["payoff"].gather(-1, actions[..., None])[..., 0]
    assert torch.equal(earned, expected)
    columns = episodes.trials()
    assert torch.equal(columns["good_choice"], good_arm(mice))
    assert torch.equal(columns["p_reward_1"], mice["p_reward"][..., 1])


def test_no_choice_is_good_in_a_neutral_block(play: Play) -> None:
    task = Reversal(blocks=((0.4, 0.4), (0.8, 0.2)), trials=50)
    tape = draw(task, 100)
    columns = play(task, tape, random_actions(task, 100))[0].trials()
    neutral = tape["p_reward"][..., 1] > 0.3
    assert torch.equal(columns["good_choice"] == -1, neutral)


def test_the_regret_of_a_reversal_task_is_that_of_its_blocks(play: Play) -> None:
    task = Reversal(trials=30)
    tape = draw(task, 20)
    actions = random_actions(task, 20)
    episodes, _, _ = play(task, tape, actions)
    table = behaviour(episodes, ["random"], {})
    missed = 0.6 * (actions != good_arm(tape)).double()
    total = regret(table).total_regret.item()
    assert total == pytest.approx(missed.sum(0).mean().item(), rel=1e-6)


# What or where.


@pytest.fixture(scope="module")
def blocks() -> Tape:
    """The task of monkeys, 10 thousand blocks."""
    return draw(WhatWhereReversal(), 10_000)


def test_image_and_location_blocks_and_both_options_are_alike_probable(
    blocks: Tape, near: Near
) -> None:
    kind, best = blocks["block_type"], blocks["best"]
    near(kind[0], 0.5)
    near(best[0], 0.5)
    near(kind[0] == best[0], 0.5)
    assert (kind == kind[0]).all()


def test_images_change_sides_at_random(blocks: Tape, near: Near) -> None:
    left = blocks["image_left"]
    near(left, 0.5)
    near(left[1:] == left[:-1], 0.5)
    near(left == blocks["best"], 0.5)


def test_the_better_option_becomes_the_worse_once_between_trials_31_and_50(
    blocks: Tape, near: Near
) -> None:
    best = blocks["best"]
    reversed_ = best[1:] != best[:-1]
    assert (reversed_.sum(0) == 1).all()
    trial = reversed_.long().argmax(0) + 2  # counted from 1
    assert trial.min() == 31
    assert trial.max() == 50
    for chosen in (31, 40, 50):
        near(trial == chosen, 1 / 20)


@pytest.mark.parametrize("kind", [0, 1])
def test_the_best_image_or_location_pays_seven_times_in_ten(
    blocks: Tape, near: Near, kind: int
) -> None:
    here = blocks["block_type"] == kind
    left_is = blocks["image_left"] if kind == 0 else torch.zeros_like(here).long()
    for location in (0, 1):
        option = left_is ^ location
        is_best = option == blocks["best"]
        payoff = blocks["payoff"][..., location]
        near(payoff[here & is_best], 0.7)
        near(payoff[here & ~is_best], 0.3)


def test_the_images_sides_are_seen_and_recorded(play: Play) -> None:
    task = WhatWhereReversal(trials=20)
    tape = draw(task, 30)
    actions = random_actions(task, 30)
    episodes, seen, earned = play(task, tape, actions)
    assert torch.equal(seen[:-1, ..., 1].long(), tape["image_left"])
    assert (seen[:-1].sum(-1) == 1).all()
    columns = episodes.trials()
    assert torch.equal(columns["choice_image"], tape["image_left"] ^ actions)
    expected = tape["payoff"].gather(-1, actions[..., None])[..., 0]
    assert torch.equal(earned, expected)
    is_good = columns["good_choice"] == actions
    assert torch.allclose(columns["p_reward_0"] + columns["p_reward_1"], torch.ones(()))
    chosen = torch.where(actions == 0, columns["p_reward_0"], columns["p_reward_1"])
    assert torch.equal(is_good, chosen > 0.5)


@pytest.mark.parametrize("image_left", [0, 1])
@pytest.mark.parametrize(("kind", "best"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_the_good_choice_is_where_the_better_option_is(
    play: Play, image_left: int, kind: int, best: int
) -> None:
    task = WhatWhereReversal(trials=1, p_reward=(1.0, 0.0))
    tape = draw(task, 400)
    columns = play(task, tape, torch.zeros(1, 400, dtype=torch.int64))[0].trials()
    here = (
        (tape["image_left"] == image_left)
        & (tape["block_type"] == kind)
        & (tape["best"] == best)
    )
    expected = best if kind == 1 else int(image_left != best)
    assert here.any()
    assert (columns["good_choice"][here] == expected).all()
    assert torch.equal(columns["reward"] == 1, columns["good_choice"] == 0)


def test_with_fixation_images_appear_after_the_fixation_cue(play: Play) -> None:
    task = WhatWhereReversal(trials=2, fixation=True)
    tape = draw(task, 1)
    actions = torch.tensor([FIXATE, FIXATE, 0, 1])[:, None]
    episodes, seen, earned = play(task, tape, actions)
    images = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    first, second = (images[image] for image in tape["image_left"][:, 0].tolist())
    fixation = [0.0, 0.0, 1.0]
    assert seen[:, 0].tolist() == [fixation, first, fixation, second, fixation]
    payoff = tape["payoff"][1, 0, 1].item()
    assert earned[:, 0].tolist() == [0, -1, -1, payoff]
    columns = episodes.trials()
    assert columns["valid"][:, 0].tolist() == [0, 1]
    assert columns["choice"][:, 0].tolist() == [-1, 1]
    assert columns["choice_image"][0, 0] == -1


# What is refused.


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"blocks": ()}, r"blocks is \(\); expected tuples of equally many"),
        ({"blocks": ((0.5, 0.5), (0.5,))}, "blocks is"),
        ({"blocks": ((0.5, 1.5),)}, "blocks is"),
        ({"blocks": (0.5, 0.5)}, "blocks is"),
        ({"blocks": ((0.5,),)}, "arms is 1; expected 2 or more"),
        ({"p_reversal": -0.1}, "p_reversal is -0.1; expected 0 to 1"),
        ({"min_block_trials": -1}, "min_block_trials is -1; expected 0 or more"),
        ({"trials": 0}, "trials is 0"),
    ],
)
def test_arms_out_of_range_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Reversal(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"p_reward": (0.3, 0.7)}, r"p_reward is \(0.3, 0.7\); expected two"),
        ({"p_reward": (1.2, 0.3)}, "p_reward is"),
        ({"reversal_trials": (50, 31)}, r"reversal_trials is \(50, 31\)"),
        ({"reversal_trials": (1, 31)}, "reversal_trials is"),
        ({"p_what": 1.1}, "p_what is 1.1; expected 0 to 1"),
        ({"trials": 0}, "trials is 0"),
    ],
)
def test_rules_out_of_range_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        WhatWhereReversal(**wrong)


def test_a_reversal_after_the_episode_s_end_does_not_come() -> None:
    tape = draw(replace(WhatWhereReversal(), trials=30), 50)
    assert (tape["best"] == tape["best"][0]).all()
