from collections.abc import Callable
from math import erf
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks import KoolTwoStep
from pfc_metarl.tasks.base import Episodes, Tape, Task

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]
Near = Callable[..., None]
FIXATE = 2


def draw(task: KoolTwoStep, n_episodes: int, seed: int = 1) -> Tape:
    return task.draw(n_episodes, torch.Generator().manual_seed(seed))


def p_step(size: int, step_sd: float = 2.0) -> float:
    """Probability of a Gaussian step that rounds to a whole number."""
    low, high = ((size + half) / step_sd / 2**0.5 for half in (-0.5, 0.5))
    return (erf(high) - erf(low)) / 2


@pytest.fixture(scope="module")
def tape() -> Tape:
    """The task of Kool et al., half a million trials."""
    return draw(KoolTwoStep(), 4_000)


def test_either_pair_comes_with_either_side(tape: Tape, near: Near) -> None:
    near(tape["pair"], 0.5)
    near(tape["side"], 0.5)
    near(tape["pair"] == tape["side"], 0.5)
    near(tape["pair"][1:] == tape["pair"][:-1], 0.5)


def test_one_state_starts_above_0_and_the_other_below(tape: Tape, near: Near) -> None:
    start = tape["points"][0]
    near(start[:, 0] > 0, 0.5)
    above, below = start.max(-1).values, start.min(-1).values
    for points in range(1, 6):
        near(above == points, 1 / 5)
    for points in range(-4, 0):
        near(below == points, 1 / 4)


def mirrored(points: int) -> int:
    while not -4 <= points <= 5:
        points = -8 - points if points < -4 else 10 - points
    return points


@pytest.mark.parametrize("before", [-4, 1, 5])
@pytest.mark.parametrize("after", [-4, 0, 1, 4])
def test_steps_are_gaussian_rounded_and_mirrored_at_the_bounds(
    tape: Tape, near: Near, before: int, after: int
) -> None:
    points = tape["points"]
    expected = sum(
        p_step(size) for size in range(-20, 21) if mirrored(before + size) == after
    )
    near(points[1:][points[:-1] == before] == after, expected)


def test_points_stay_between_the_bounds(tape: Tape) -> None:
    assert tape["points"].unique().tolist() == list(range(-4, 6))


def test_the_states_drift_independently(tape: Tape) -> None:
    change = (tape["points"][1] - tape["points"][0]).double()
    inside = (tape["points"][0].abs() <= 2).all(-1)
    n = int(inside.sum())
    assert torch.corrcoef(change[inside].T)[0, 1].abs() < 4 / n**0.5


# Trials worked by hand.


def hand_tape(pair: int, side: int, points: tuple[int, int]) -> Tape:
    return {
        "pair": torch.tensor([[pair]]),
        "side": torch.tensor([[side]]),
        "points": torch.tensor([[points]]),
    }


@pytest.mark.parametrize("pair", [0, 1])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("action", [0, 1])
def test_a_ship_flies_to_its_state_from_either_side_and_pair(
    play: Play, pair: int, side: int, action: int
) -> None:
    task = KoolTwoStep(trials=1, reward_per_point=0.5)
    tape = hand_tape(pair, side, (3, -2))
    episodes, seen, earned = play(task, tape, torch.tensor([[action], [0]]))
    state = int(action != side)  # the side of the ship to state 0
    assert earned[:, 0].tolist() == [0, (1.5, -1.0)[state]]
    cue = torch.eye(6)[2 + 2 * pair + side].tolist()
    assert seen[:2, 0].tolist() == [cue, torch.eye(6)[state].tolist()]
    columns = {name: values.item() for name, values in episodes.trials().items()}
    assert columns["choice"] == columns["state2"] == state
    assert columns["choice_side"] == action
    assert columns["pair"] == pair
    assert columns["good_state"] == columns["good_choice"] == 0
    assert (columns["points_0"], columns["points_1"]) == (3, -2)


def test_no_state_is_good_where_both_pay_alike(play: Play) -> None:
    task = KoolTwoStep(trials=1)
    episodes, _, _ = play(task, hand_tape(0, 0, (2, 2)), torch.tensor([[0], [0]]))
    assert episodes.trials()["good_state"].item() == -1


def test_an_action_at_the_second_step_has_no_effect(play: Play) -> None:
    task = KoolTwoStep(trials=20)
    tape = draw(task, 10)
    actions = torch.randint(2, (40, 10), generator=torch.Generator().manual_seed(3))
    others = actions.clone()
    others[1::2] = 1 - actions[1::2]
    assert torch.equal(play(task, tape, actions)[2], play(task, tape, others)[2])


@pytest.mark.parametrize(
    ("actions", "earned", "valid"),
    [
        ([FIXATE, 0, 0], [0, 0, 3], 1),
        ([1, 0, 0], [-1, 0, 3], 1),
        ([FIXATE, FIXATE, 0], [0, -1, 0], 0),
    ],
    ids=["right", "no fixation", "no choice"],
)
def test_with_fixation_wrong_responses_cost(
    play: Play, actions: list[int], earned: list[float], valid: int
) -> None:
    task = KoolTwoStep(trials=1, fixation=True, reward_per_point=1.0)
    tape = hand_tape(0, 0, (3, -2))
    episodes, seen, found = play(task, tape, torch.tensor(actions)[:, None])
    assert found[:, 0].tolist() == earned
    assert seen[0, 0].tolist() == [0, 0, 0, 0, 0, 0, 1]
    columns = {name: values.item() for name, values in episodes.trials().items()}
    assert columns["valid"] == valid
    if not valid:
        assert seen[2, 0].tolist() == [0] * 7
        assert columns["choice"] == columns["state2"] == columns["choice_side"] == -1
        assert np.isnan(columns["reward"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"trials": 0}, "trials is 0; expected 1 or more"),
        ({"points": (0, 5)}, r"points is \(0, 5\); expected a whole number below 0"),
        ({"points": (-4, 0)}, "points is"),
        ({"step_sd": -1.0}, "step_sd is -1.0; expected 0 or more"),
        ({"step_sd": 9.0}, "step_sd is 9.0"),
        ({"reward_per_point": 0.0}, "reward_per_point is 0.0; expected more than 0"),
        ({"reward_per_point": float("nan")}, "reward_per_point is nan"),
    ],
)
def test_parameters_out_of_range_are_refused(
    wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        KoolTwoStep(**wrong)
