from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pfc_metarl.analysis.regret import regret
from pfc_metarl.errors import InputError
from pfc_metarl.recording import behaviour
from pfc_metarl.tasks import Volatility
from pfc_metarl.tasks.base import Episodes, Tape, Task
from pfc_metarl.tasks.volatility import behrens_people, stable_and_volatile

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]
Near = Callable[..., None]

EPISODES = 5_000  # of 200 trials: a million trials


def draw(task: Volatility, n_episodes: int = EPISODES, seed: int = 1) -> Tape:
    return task.draw(n_episodes, torch.Generator().manual_seed(seed))


def better(tape: Tape) -> Tensor:
    return tape["p_reward"].argmax(-1)


def changes(values: Tensor) -> Tensor:
    """(trial - 1, episode): whether the next trial differs."""
    return values[1:] != values[:-1]


@pytest.fixture(scope="module")
def million() -> Tape:
    """Training episodes, a million trials."""
    return draw(Volatility())


@pytest.fixture(scope="module")
def uneven() -> Tape:
    """Kinds of part that differ in all they can differ in."""
    return draw(Volatility(volatilities=(0.01, 0.2), payoffs=(0.6, 0.9), p_shift=0.05))


# Chance events.


def test_one_arm_pays_on_every_trial(million: Tape) -> None:
    assert (million["payoff"].sum(-1) == 1).all()
    torch.testing.assert_close(
        million["p_reward"].sum(-1), torch.ones(million["kind"].shape)
    )


@pytest.mark.parametrize(("kind", "payoff"), [(0, 0.6), (1, 0.9)])
def test_the_better_arm_pays_as_the_kind_of_part_says(
    uneven: Tape, near: Near, kind: int, payoff: float
) -> None:
    pays = uneven["payoff"].gather(-1, better(uneven).unsqueeze(-1)).squeeze(-1)
    near(pays[uneven["kind"] == kind], payoff)


def test_arms_reverse_with_the_volatility_of_the_part(
    million: Tape, uneven: Tape, near: Near
) -> None:
    reversal, volatile = changes(better(million)), million["kind"][1:] == 1
    near(reversal[volatile], 0.1)
    assert not reversal[~volatile].any()
    near(changes(better(uneven))[uneven["kind"][1:] == 0], 0.01)


def test_reversals_of_one_kind_follow_each_other_without_memory(
    uneven: Tape, near: Near
) -> None:
    reversal = changes(better(uneven))
    volatile = uneven["kind"][2:] == 1
    near(reversal[1:][volatile & reversal[:-1]], 0.2)


def test_parts_shift_at_any_time(million: Tape, near: Near) -> None:
    near(changes(million["kind"]), 0.005)
    near(changes(million["kind"])[:5], 0.005)
    near(million["kind"][0], 1 / 2)


def test_a_part_is_followed_by_any_other_kind(near: Near) -> None:
    kind = draw(Volatility(volatilities=(0.0, 0.1, 0.2), payoffs=(0.8,) * 3))["kind"]
    for start in range(3):
        near(kind[0] == start, 1 / 3)
        left = changes(kind) & (kind[:-1] == start)
        near(kind[1:][left] == (start + 1) % 3, 1 / 2)


def test_either_arm_is_better_at_first(million: Tape, near: Near) -> None:
    near(better(million)[0], 1 / 2)


def test_parts_of_fixed_length_alternate_in_either_order(near: Near) -> None:
    kind = draw(stable_and_volatile())["kind"]
    assert not changes(kind[:100]).any()
    assert not changes(kind[100:]).any()
    assert torch.equal(kind[100], 1 - kind[0])
    near(kind[0], 1 / 2)


def test_parts_end_at_random_within_their_fixed_length_too(near: Near) -> None:
    task = Volatility(
        volatilities=(0.0, 0.1), payoffs=(0.8, 0.8), p_shift=0.1, part_trials=10
    )
    shift = changes(draw(task)["kind"])
    assert shift[9::10].all()
    near(shift[:9], 0.1)


def test_a_block_lasts_its_minimum_and_then_ends_at_random(near: Near) -> None:
    task = Volatility(volatilities=(0.3,), payoffs=(0.8,), min_block_trials=10)
    reversal = changes(better(draw(task)))  # row t: trial t + 1 begins a block
    assert not reversal[:9].any()
    near(reversal[9], 0.3)
    assert not reversal[10:19][:, reversal[9]].any()
    near(reversal[19][reversal[9]], 0.3)


@pytest.mark.parametrize(
    ("task", "half", "minimum"),
    [(stable_and_volatile(), 100, 20), (behrens_people(), 120, 30)],
    ids=["test episodes", "Behrens"],
)
def test_test_episodes_are_half_stable_and_half_volatile(
    task: Volatility, half: int, minimum: int
) -> None:
    tape = draw(task, 1_000)
    assert task.trials == 2 * half
    reversal = changes(better(tape))
    stable = tape["kind"][1:] == 0
    assert not reversal[stable].any()
    per_volatile_half = reversal.sum(0).double().mean().item()
    assert half / (minimum + 10) < per_volatile_half < half / minimum


def test_one_kind_of_part_never_shifts() -> None:
    task = Volatility(volatilities=(0.1,), payoffs=(0.8,), p_shift=0.5, part_trials=7)
    assert not draw(task, 20)["kind"].any()


# What is played.


def test_the_choice_of_the_arm_that_pays_is_rewarded(play: Play) -> None:
    task = Volatility(trials=30)
    tape = draw(task, 50)
    paying = tape["payoff"].argmax(-1)
    _, _, earned = play(task, tape, paying)
    assert (earned == 1).all()
    _, _, earned = play(task, tape, 1 - paying)
    assert (earned == 0).all()


def test_there_is_nothing_to_see(play: Play) -> None:
    task = Volatility(trials=3)
    _, seen, _ = play(task, draw(task, 5), torch.zeros(3, 5, dtype=torch.int64))
    assert seen.shape == (4, 5, 0)


def test_a_random_player_earns_one_half(play: Play, near: Near, million: Tape) -> None:
    generator = torch.Generator().manual_seed(3)
    choices = torch.randint(2, (200, EPISODES), generator=generator)
    _, _, earned = play(Volatility(), million, choices)
    near(earned, 0.5)


def test_an_oracle_of_the_better_arm_has_no_regret(
    play: Play, near: Near, million: Tape
) -> None:
    episodes, _, earned = play(Volatility(), million, better(million))
    near(earned, 0.8)
    columns = episodes.trials()
    assert torch.equal(columns["good_choice"], columns["choice"])
    table = behaviour(episodes, ["oracle"], {})
    assert regret(table).total_regret.item() == 0


def test_the_table_tells_the_volatility_of_every_trial(play: Play) -> None:
    task = Volatility(trials=50)
    tape = draw(task, 20)
    episodes, _, _ = play(task, tape, torch.zeros(50, 20, dtype=torch.int64))
    expected = torch.tensor([0.0, 0.1])[tape["kind"]]
    assert torch.equal(episodes.trials()["volatility"], expected)


def test_swapping_the_arms_changes_no_reward(play: Play) -> None:
    task = Volatility()
    tape = draw(task, 20)
    swapped = {**tape, **{n: tape[n].flip(-1) for n in ("p_reward", "payoff")}}
    generator = torch.Generator().manual_seed(3)
    choices = torch.randint(2, (200, 20), generator=generator)
    _, _, one = play(task, tape, choices)
    _, _, other = play(task, swapped, 1 - choices)
    assert torch.equal(one, other)


# What is refused.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"volatilities": (0.1,)}, r"^volatilities is \(0.1,\) and payoffs"),
        ({"volatilities": (), "payoffs": ()}, r"^volatilities is \(\)"),
        ({"volatilities": (0.0, 1.1)}, "^volatilities is .*expected 0 to 1"),
        ({"payoffs": (0.8, float("nan"))}, "^payoffs is"),
        ({"p_shift": -0.1}, "^p_shift is -0.1"),
        ({"min_block_trials": -1}, "^min_block_trials is -1"),
        ({"part_trials": -1}, "^part_trials is -1"),
        ({"trials": 0}, "^trials is 0"),
    ],
)
def test_settings_that_make_no_task_are_refused_by_name(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Volatility(**settings)
