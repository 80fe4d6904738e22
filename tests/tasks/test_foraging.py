from collections.abc import Callable
from itertools import pairwise
from math import exp
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks import Foraging
from pfc_metarl.tasks.base import Episodes, Tape, Task
from pfc_metarl.tasks.foraging import (
    bari_mice,
    hattori_mice,
    held_out_foraging,
    hou_mice,
    whole_range_foraging,
)

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]
Near = Callable[..., None]

EPISODES = 20_000
LEFT, RIGHT, FIXATE = 0, 1, 2


def fixed(left: float, right: float, **settings: Any) -> Foraging:
    """Foraging with base rates that are always the same."""
    return Foraging(total=left + right, left_rates=((left, left),), **settings)


def draw(task: Foraging, n_episodes: int = EPISODES, seed: int = 1) -> Tape:
    return task.draw(n_episodes, torch.Generator().manual_seed(seed))


def all_do(*actions: int, n_episodes: int = EPISODES) -> Tensor:
    """The same actions in every episode, (step, episode)."""
    return torch.tensor(actions)[:, None].expand(-1, n_episodes)


def random_choices(trials: int, n_episodes: int = EPISODES) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(2, (trials, n_episodes), generator=generator)


# Base rates.


def test_training_leaves_out_two_fifths_of_the_rates(near: Near) -> None:
    left = draw(Foraging(trials=1))["p_base"][0, :, LEFT]
    for low in (0.0, 0.2, 0.4):
        inside = (left >= low) & (left <= low + 0.1)
        near(inside, 1 / 3)
        near(left[inside] < low + 0.05, 1 / 2)  # uniform within
    assert not ((left > 0.1) & (left < 0.2) | (left > 0.3) & (left < 0.4)).any()


def test_held_out_rates_are_those_that_training_leaves_out(near: Near) -> None:
    left = draw(held_out_foraging())["p_base"][0, :, LEFT]
    inside = (left > 0.1) & (left < 0.2) | (left > 0.3) & (left < 0.4)
    assert inside.float().mean() > 0.999  # but for rounding at the bounds
    near(left < 0.25, 1 / 2)


def test_the_whole_range_is_uniform(near: Near) -> None:
    left = draw(whole_range_foraging())["p_base"][0, :, LEFT]
    for bound in (0.1, 0.2, 0.3, 0.4):
        near(left < bound, bound / 0.5)


@pytest.mark.parametrize(
    ("task", "total"),
    [(Foraging(), 0.5), (hattori_mice(), 0.7), (bari_mice(), 0.45)],
    ids=["Wang", "Hattori", "Bari"],
)
def test_the_rates_of_both_arms_have_a_constant_sum(
    task: Foraging, total: float
) -> None:
    p_base = draw(task, 200)["p_base"]
    torch.testing.assert_close(p_base.sum(-1), torch.full(p_base.shape[:-1], total))


def test_rates_stay_for_the_episode_unless_there_are_blocks() -> None:
    tape = draw(Foraging(), 200)
    assert torch.equal(tape["p_base"], tape["p_base"][:1].expand_as(tape["p_base"]))
    assert not tape["block"].any()


def test_baits_come_with_the_base_rate(near: Near) -> None:
    bait = draw(fixed(0.1, 0.4, trials=20))["bait"]
    near(bait[..., LEFT], 0.1)
    near(bait[..., RIGHT], 0.4)
    near(bait.prod(-1), 0.1 * 0.4)


# Baiting.


@pytest.mark.parametrize("n", range(6))
def test_an_arm_last_chosen_n_trials_ago_pays_by_the_rule_of_wang(
    play: Play, near: Near, n: int
) -> None:
    task = fixed(0.1, 0.4, trials=n + 2)
    choices = (RIGHT, *[LEFT] * n, RIGHT)  # n trials between
    _, _, earned = play(task, draw(task), all_do(*choices))
    near(earned[-1], 1 - 0.6 ** (n + 1))
    near(earned[0], 0.4)  # n is 0 at first
    if n > 1:
        near(earned[1], 1 - 0.9**2)
        near(earned[2:-1], 0.1)


def test_baits_do_not_pile_up(play: Play, near: Near) -> None:
    task = fixed(0.3, 0.5, trials=8)
    _, _, earned = play(task, draw(task), all_do(*[RIGHT] * 6, LEFT, LEFT))
    near(earned[6], 1 - 0.7**7)
    near(earned[7], 0.3)
    near(earned[7][earned[6] == 1], 0.3)


def test_the_probability_in_the_table_follows_the_rule_and_tells_the_reward(
    play: Play, near: Near
) -> None:
    task = Foraging(trials=30)
    episodes, _, earned = play(task, draw(task), random_choices(30))
    columns = {name: values.numpy() for name, values in episodes.trials().items()}
    for episode in range(50):
        since = [0, 0]
        for trial in range(30):
            for arm in (LEFT, RIGHT):
                p0 = columns[f"p_base_{arm}"][trial, episode]
                expected = 1 - (1 - p0) ** (since[arm] + 1)
                found = columns[f"p_reward_{arm}"][trial, episode]
                assert found == pytest.approx(expected, abs=1e-5)
            chosen = columns["choice"][trial, episode]
            since = [0 if arm == chosen else since[arm] + 1 for arm in (0, 1)]
    p = np.where(columns["choice"] == 1, columns["p_reward_1"], columns["p_reward_0"])
    for low in np.arange(0, 1, 0.2):
        here = torch.from_numpy((p >= low) & (p < low + 0.2))
        near(earned[here], float(p[here.numpy()].mean()))


def test_a_random_player_earns_the_closed_form(play: Play, near: Near) -> None:
    task = fixed(0.1, 0.4, trials=60)
    _, _, earned = play(task, draw(task), random_choices(60))
    # P(n) = 1/2^(n + 1): an arm pays sum_n P(n) (1 - (1 - p)^(n + 1)) = 2 p / (1 + p).
    near(earned[30:], (0.2 / 1.1 + 0.8 / 1.4) / 2)


def test_a_bait_outlasts_its_block(play: Play) -> None:
    task = Foraging(
        total=1.0, left_rates=((1.0, 1.0), (0.0, 0.0)), block_trials=(2, 2), trials=4
    )
    tape = draw(task, 50)
    rich = tape["p_base"][0, :, RIGHT].long()  # of the first block; pays always there
    choices = torch.stack([1 - rich, 1 - rich, rich, rich])
    _, _, earned = play(task, tape, choices)
    for trial, expected in enumerate([0, 0, 1, 0]):
        assert (earned[trial] == expected).all()


# Fixation and invalid responses.


def test_an_invalid_choice_takes_no_bait(play: Play, near: Near) -> None:
    task = fixed(0.1, 0.4, trials=3, fixation=True)
    actions = all_do(FIXATE, FIXATE, LEFT, FIXATE, FIXATE, RIGHT)
    episodes, _, earned = play(task, draw(task), actions)
    for step, penalty in enumerate([0, -1, -1, -1, 0]):
        assert (earned[step] == penalty).all()
    near(earned[-1], 1 - 0.6**3)
    columns = episodes.trials()
    assert columns["choice"][:, 0].tolist() == [-1, -1, 1]
    assert columns["valid"][:, 0].tolist() == [0, 0, 1]
    assert columns["reward"][:2].isnan().all()


def test_without_fixation_there_is_nothing_to_see(play: Play) -> None:
    task = Foraging(trials=3)
    _, seen, _ = play(task, draw(task, 5), all_do(0, 1, 0, n_episodes=5))
    assert seen.shape == (4, 5, 0)


def test_the_richer_arm_is_the_arm_of_the_higher_rate(play: Play) -> None:
    task = bari_mice(trials=300)
    episodes, _, _ = play(task, draw(task, 100), random_choices(300, 100))
    columns = episodes.trials()
    left, right = columns["p_base_0"], columns["p_base_1"]
    assert torch.equal(columns["richer_arm"] == 1, right - left > 1e-3)
    assert torch.equal(columns["richer_arm"] == 0, left - right > 1e-3)


# The tasks for mice.


def blocks(task: Foraging, n_episodes: int) -> tuple[list[list[float]], Tensor]:
    """Left rates of every session's blocks, and lengths of blocks that ended."""
    tape = draw(task, n_episodes)
    rates, lengths = [], []
    for block, left in zip(tape["block"].T, tape["p_base"][..., LEFT].T, strict=True):
        change = (block[1:] != block[:-1]).nonzero()[:, 0] + 1
        starts = torch.cat([torch.tensor([0]), change])
        rates.append([round(rate, 4) for rate in left[starts].tolist()])
        lengths.append(starts.diff())
    return rates, torch.cat(lengths)


def test_hattori_exchanges_sides_in_every_block_and_pairs_in_every_second(
    near: Near,
) -> None:
    rates, _ = blocks(hattori_mice(), 400)
    one, other = [0.6, 0.1, 0.525, 0.175], [0.1, 0.6, 0.175, 0.525]
    for session in rates:
        order = one if _in_cycle(session, one) else other
        assert _in_cycle(session, order), session
    near(torch.tensor([_in_cycle(session, one) for session in rates]), 1 / 2)


def _in_cycle(session: list[float], order: list[float]) -> bool:
    start = order.index(session[0])
    return session == [order[(start + k) % 4] for k in range(len(session))]


def test_blocks_of_hattori_last_60_to_80_trials_alike(near: Near) -> None:
    starts = draw(hattori_mice(trials=81), 20_000)["block"]
    length = 81 - starts.sum(0)  # of the first block
    near(length <= 70, 11 / 21)
    near(length == 60, 1 / 21)
    near(length == 80, 1 / 21)
    assert length.min() == 60


@pytest.mark.parametrize(
    ("task", "shortest", "longest"),
    [(bari_mice(), 40, 80), (hou_mice(), 20, 60)],
    ids=["Bari", "Hou"],
)
def test_the_richer_side_changes_with_every_block(
    task: Foraging, shortest: int, longest: int
) -> None:
    rates, lengths = blocks(task, 300)
    assert lengths.min() == shortest
    assert lengths.max() == longest
    seen = set()
    for session in rates:
        seen |= set(session)
        even = [rate == 0.225 for rate in session]
        assert not any(a and b for a, b in pairwise(even))
        sides = [rate > 0.225 for rate in session if rate != 0.225]
        assert all(a != b for a, b in pairwise(sides))
    assert seen == {0.4, 0.3857, 0.3375, 0.225, 0.1125, 0.0643, 0.05}


def test_blocks_of_bari_are_exponential_above_their_minimum(near: Near) -> None:
    starts = draw(bari_mice(trials=81), 20_000)["block"]
    length = 81 - starts.gt(0).sum(0)
    near(length >= 50, exp(-10 / 20))
    near(length == 80, exp(-40 / 20))


def test_a_quarter_of_first_blocks_is_even(near: Near) -> None:
    left = draw(hou_mice(trials=1))["p_base"][0, :, LEFT]
    near((left - 0.225).abs() < 1e-4, 1 / 4)
    near(left > 0.226, 3 / 8)


# What is refused.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"left_rates": ()}, r"^left_rates is \(\)"),
        ({"left_rates": ((0.3, 0.2),)}, "^left_rates is .*lowest, highest"),
        ({"left_rates": ((0.0, 0.6),)}, "^left_rates is .*with a total of 0.5"),
        ({"left_rates": ((0.0,),)}, "^left_rates is"),
        ({"left_rates": (0.1, 0.2)}, "^left_rates is"),
        ({"total": 1.6}, "with a total of 1.6"),
        ({"total": float("nan")}, "with a total of nan"),
        ({"p_block_end": 1.2}, "^p_block_end is 1.2"),
        ({"block_trials": (5, 4)}, "blocks of 5 to 4 trials"),
        ({"block_trials": (4, 5), "left_rates": ((0.1, 0.2),)}, "two kinds or more"),
        ({"follow": ((1,), (0,))}, "^follow is .*each of 3 kinds"),
        ({"follow": ((1,), (3,), (0,))}, "^follow is"),
        ({"follow": ((1,), (), (0,))}, "^follow is"),
        ({"trials": 0}, "trials is 0"),
    ],
)
def test_settings_that_make_no_task_are_refused_by_name(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Foraging(**settings)
