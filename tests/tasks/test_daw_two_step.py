from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks import DawTwoStep
from pfc_metarl.tasks.base import Episodes, Tape, Task
from pfc_metarl.tasks.drift import reflected

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]
Near = Callable[..., None]
FIXATE = 2


def draw(task: DawTwoStep, n_episodes: int, seed: int = 1) -> Tape:
    return task.draw(n_episodes, torch.Generator().manual_seed(seed))


# Reflected walks.


def mirrored(position: float, low: float, high: float) -> float:
    while not low <= position <= high:
        position = 2 * low - position if position < low else 2 * high - position
    return position


@pytest.mark.parametrize("bounds", [(0.25, 0.75), (-4, 5), (0.0, 1.0)])
def test_a_walk_is_mirrored_at_a_bound_as_often_as_it_crosses_one(
    bounds: tuple[float, float],
) -> None:
    low, high = bounds
    walk = torch.linspace(low - 3.3, high + 3.3, 401, dtype=torch.float64)
    expected = [mirrored(position, low, high) for position in walk.tolist()]
    np.testing.assert_allclose(reflected(walk, low, high), expected, atol=1e-12)


def test_a_folded_walk_has_the_law_of_one_mirrored_at_every_step(near: Near) -> None:
    generator = torch.Generator().manual_seed(3)
    steps = torch.randn((12, 40_000), generator=generator, dtype=torch.float64) * 0.2
    position = torch.full((40_000,), 0.3, dtype=torch.float64)
    folded = reflected(position + steps.cumsum(0), 0.25, 0.75)[-1]
    for step in -steps:  # another sample of the same law, step by step
        position = position + step
        while ((position < 0.25) | (position > 0.75)).any():
            position = torch.where(position < 0.25, 0.5 - position, position)
            position = torch.where(position > 0.75, 1.5 - position, position)
    for edge in (0.3, 0.4, 0.6):
        both = torch.stack([folded < edge, position < edge]).double().mean(1)
        assert (both[0] - both[1]).abs() < 4 * (0.5 / 40_000) ** 0.5


def test_whole_numbers_stay_whole_when_folded() -> None:
    walk = torch.arange(-30, 30)
    folded = reflected(walk, -4, 5)
    assert folded.dtype == torch.int64
    assert folded.tolist() == [mirrored(position, -4, 5) for position in walk.tolist()]


# Chance events.


@pytest.fixture(scope="module")
def tape() -> Tape:
    """The task of Daw et al., 400 thousand trials."""
    return draw(DawTwoStep(), 2_000)


def test_seven_transitions_in_ten_are_common(tape: Tape, near: Near) -> None:
    near(tape["common"], 0.7)
    assert torch.equal(tape["flip"], (~tape["common"]).long())


@pytest.mark.parametrize("trial", [0, 1, 100, 200])
def test_probabilities_are_anywhere_between_the_bounds_in_every_trial(
    tape: Tape, near: Near, trial: int
) -> None:
    p = tape["p_reward"][trial]
    assert p.min() >= 0.25
    assert p.max() <= 0.75
    for share in (0.1, 0.5, 0.8):
        near(p < 0.25 + 0.5 * share, share)


def test_steps_are_gaussian_of_the_given_size_away_from_the_bounds(
    tape: Tape, near: Near
) -> None:
    p = tape["p_reward"].double()
    inside = (p[:-1] > 0.4) & (p[:-1] < 0.6)
    step = (p[1:] - p[:-1])[inside]
    for quantile in (0.01, 0.2, 0.5, 0.9):
        edge = 0.025 * torch.special.ndtri(torch.tensor(quantile)).item()
        near(step < edge, quantile)


def test_the_four_walks_are_independent(tape: Tape) -> None:
    start, end = tape["p_reward"][0], tape["p_reward"][100]
    for values in (start, end - start):
        correlation = torch.corrcoef(values.T) - torch.eye(4)
        assert correlation.abs().max() < 4.5 / 2_000**0.5


def test_an_option_pays_with_its_probability(tape: Tape, near: Near) -> None:
    for low in (0.25, 0.5, 0.7):
        here = (tape["p_reward"] > low) & (tape["p_reward"] < low + 0.02)
        expected = tape["p_reward"][here].double().mean().item()
        near(tape["outcome"][here], expected)


def test_without_steps_probabilities_stay() -> None:
    p = draw(DawTwoStep(step_sd=0.0), 10)["p_reward"]
    assert torch.equal(p, p[:1].expand_as(p))


# Trials worked by hand.


def hand_tape(flip: int, outcome: list[float], n_trials: int = 1) -> Tape:
    """One episode whose trials are all alike; outcome by 2 * state + option."""
    return {
        "common": torch.full((n_trials, 1), flip == 0),
        "flip": torch.full((n_trials, 1), flip),
        "p_reward": torch.tensor([0.3, 0.4, 0.5, 0.6]).expand(n_trials, 1, 4),
        "outcome": torch.tensor(outcome).expand(n_trials, 1, 4),
    }


@pytest.mark.parametrize("choice", [0, 1])
@pytest.mark.parametrize("flip", [0, 1])
@pytest.mark.parametrize("option", [0, 1])
def test_the_option_chosen_in_the_state_reached_pays(
    play: Play, choice: int, flip: int, option: int
) -> None:
    state = choice ^ flip
    outcome = [0.0] * 4
    outcome[2 * state + option] = 1.0
    actions = torch.tensor([[choice], [option]])
    task = DawTwoStep(trials=1)
    episodes, seen, earned = play(task, hand_tape(flip, outcome), actions)
    assert task.phases == ("choice", "choice2")
    assert seen[:, 0].tolist() == [[1, 0, 0], [0, state == 0, state == 1], [1, 0, 0]]
    assert earned[:, 0].tolist() == [0, 1]
    columns = {name: values.item() for name, values in episodes.trials().items()}
    assert columns["choice"] == choice
    assert columns["state2"] == state
    assert columns["choice2"] == option
    assert columns["transition_common"] == 1 - flip
    assert columns["reward"] == 1
    assert columns["valid"] == 1
    _, _, other = play(
        task, hand_tape(flip, outcome), actions ^ torch.tensor([[0], [1]])
    )
    assert other[:, 0].tolist() == [0, 0]


def test_the_latents_name_the_options_and_the_better_state(play: Play) -> None:
    task = DawTwoStep(trials=1)
    episodes, _, _ = play(task, hand_tape(0, [0.0] * 4), torch.tensor([[0], [0]]))
    columns = episodes.trials()
    found = {name: round(columns[name].item(), 4) for name in task.latents}
    assert found == {
        "p_reward_s0a0": 0.3,
        "p_reward_s0a1": 0.4,
        "p_reward_s1a0": 0.5,
        "p_reward_s1a1": 0.6,
    }
    assert columns["good_state"].item() == columns["good_choice"].item() == 1


@pytest.mark.parametrize(
    ("actions", "earned", "valid"),
    [
        ([FIXATE, 0, 1], [0, 0, 1], 1),
        ([0, 0, 1], [-1, 0, 1], 1),
        ([FIXATE, FIXATE, 1], [0, -1, 0], 0),
        ([FIXATE, FIXATE, FIXATE], [0, -1, 0], 0),
        ([FIXATE, 0, FIXATE], [0, 0, -1], 0),
    ],
    ids=["right", "no fixation", "no choice", "no choice, fixating", "no option"],
)
def test_with_fixation_wrong_responses_cost_and_void_the_trial(
    play: Play, actions: list[int], earned: list[float], valid: int
) -> None:
    task = DawTwoStep(trials=1, fixation=True)
    tape = hand_tape(0, [1.0] * 4)
    episodes, seen, found = play(task, tape, torch.tensor(actions)[:, None])
    assert found[:, 0].tolist() == earned
    columns = {name: values.item() for name, values in episodes.trials().items()}
    assert columns["valid"] == valid
    assert (columns["choice2"] >= 0) == bool(valid)
    assert np.isnan(columns["reward"]) == (not valid)
    assert seen[0, 0].tolist() == [0, 0, 0, 1]
    if actions[1] == FIXATE:
        assert seen[2, 0].tolist() == [0, 0, 0, 0]
        assert columns["choice"] == columns["state2"] == -1
        assert columns["transition_common"] == -1


def test_a_random_player_earns_one_half(play: Play, near: Near, tape: Tape) -> None:
    actions = torch.randint(2, (402, 2_000), generator=torch.Generator().manual_seed(3))
    episodes, _, _ = play(DawTwoStep(), tape, actions)
    reward = episodes.trials()["reward"].double().mean(0)  # episodes are independent
    assert abs(reward.mean() - 0.5) < 4 * reward.std() / 2_000**0.5


def test_swapping_the_names_of_states_and_choices_changes_no_reward(
    play: Play,
) -> None:
    task = DawTwoStep(trials=30)
    tape = draw(task, 20)
    renamed = {
        **tape,
        **{name: tape[name][..., [2, 3, 0, 1]] for name in ("p_reward", "outcome")},
    }
    actions = torch.randint(2, (60, 20), generator=torch.Generator().manual_seed(3))
    swapped = actions.clone()
    swapped[::2] = 1 - actions[::2]
    one, _, earned = play(task, tape, actions)
    other, _, earned_renamed = play(task, renamed, swapped)
    assert torch.equal(earned, earned_renamed)
    for name in ("choice", "state2", "good_state", "good_choice"):
        assert torch.equal(one.trials()[name], 1 - other.trials()[name])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"trials": 0}, "trials is 0; expected 1 or more"),
        ({"p_common": 1.2}, "p_common is 1.2; expected 0 to 1"),
        ({"bounds": (0.7, 0.3)}, r"bounds is \(0.7, 0.3\)"),
        ({"bounds": (-0.1, 0.3)}, "bounds is"),
        ({"step_sd": -0.1}, "step_sd is -0.1; expected 0 or more"),
        ({"step_sd": 0.5}, "step_sd is 0.5"),
        ({"step_sd": float("nan")}, "step_sd is nan"),
        ({"invalid_reward": float("inf")}, "invalid_reward is inf"),
    ],
)
def test_parameters_out_of_range_are_refused(
    wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        DawTwoStep(**wrong)
