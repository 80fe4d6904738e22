"""Reward prediction errors and advantages say what their equations say."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pfc_metarl.dopamine import advantage, reward_prediction_error

discounts = st.floats(0, 1)


@st.composite
def trajectories(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Rewards and values of whole episodes, (step, ...) with 0 to 2 more dimensions."""
    shape = [draw(st.integers(1, 20)), *draw(st.lists(st.integers(1, 3), max_size=2))]
    random = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    scale = draw(st.sampled_from([0.1, 1.0, 10.0]))
    reward, value = scale * torch.randn((2, *shape), generator=random).double()
    return reward, value


def slow_rpe(reward: Tensor, value: Tensor, discount: float) -> Tensor:
    rpe = torch.zeros_like(reward)
    for step in range(len(reward)):
        is_last = step == len(reward) - 1
        next_value = 0.0 if is_last else value[step + 1]
        rpe[step] = reward[step] + discount * next_value - value[step]
    return rpe


def slow_advantage(rpe: Tensor, discount: float, trace_decay: float) -> Tensor:
    result, ahead = torch.zeros_like(rpe), torch.zeros_like(rpe[0])
    for step in reversed(range(len(rpe))):
        ahead = rpe[step] + discount * trace_decay * ahead
        result[step] = ahead
    return result


def slow_return(reward: Tensor, discount: float) -> Tensor:
    result = torch.zeros_like(reward)
    for step in range(len(reward)):
        for later in range(step, len(reward)):
            result[step] += discount ** (later - step) * reward[later]
    return result


def test_three_steps_by_hand() -> None:
    reward = torch.tensor([0.0, 1.0, 0.0])
    value = torch.tensor([0.5, 0.8, 0.2])
    # 0 + .9 x .8 - .5;  1 + .9 x .2 - .8;  0 + .9 x 0 - .2
    expected = torch.tensor([0.22, 0.38, -0.2])
    torch.testing.assert_close(reward_prediction_error(reward, value, 0.9), expected)


@pytest.mark.parametrize(("reward", "sign"), [(1.0, 1), (0.5, 0), (0.0, -1)])
def test_more_than_expected_is_positive_and_less_is_negative(
    reward: float, sign: int
) -> None:
    rpe = reward_prediction_error(torch.tensor([reward]), torch.tensor([0.5]), 0.9)
    assert rpe.sign().item() == sign


def test_after_the_last_step_nothing_is_expected() -> None:
    reward, value = torch.zeros(3), torch.full((3,), 7.0)
    assert reward_prediction_error(reward, value, 1.0).tolist() == [0.0, 0.0, -7.0]


def test_a_reward_predicted_by_a_cue_moves_the_prediction_error_to_the_cue() -> None:
    reward = torch.tensor([0.0, 0.0, 1.0])
    value = torch.tensor([0.0, 1.0, 1.0])  # the cue comes with step 1
    assert reward_prediction_error(reward, value, 1.0).tolist() == [1.0, 0.0, 0.0]


@given(trajectories(), discounts)
def test_prediction_errors_equal_a_slow_loop(
    trajectory: tuple[Tensor, Tensor], discount: float
) -> None:
    found = reward_prediction_error(*trajectory, discount)
    torch.testing.assert_close(
        found, slow_rpe(*trajectory, discount), rtol=0, atol=1e-12
    )


@settings(max_examples=200)
@given(trajectories(), discounts, discounts)
def test_advantages_equal_a_slow_loop(
    trajectory: tuple[Tensor, Tensor], discount: float, trace_decay: float
) -> None:
    rpe = slow_rpe(*trajectory, discount)
    found = advantage(rpe, discount, trace_decay)
    assert found.shape == rpe.shape
    expected = slow_advantage(rpe, discount, trace_decay)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


@settings(max_examples=200)
@given(trajectories(), discounts)
def test_full_traces_make_the_advantage_the_return_minus_the_value(
    trajectory: tuple[Tensor, Tensor], discount: float
) -> None:
    reward, value = trajectory
    found = advantage(reward_prediction_error(reward, value, discount), discount, 1.0)
    expected = slow_return(reward, discount) - value
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


@given(trajectories())
def test_without_a_future_the_advantage_is_reward_minus_value(
    trajectory: tuple[Tensor, Tensor],
) -> None:
    reward, value = trajectory
    rpe = reward_prediction_error(reward, value, 0.0)
    assert torch.equal(rpe, reward - value)
    assert torch.equal(advantage(rpe, 0.0, 1.0), rpe)


@given(trajectories(), discounts)
def test_without_traces_the_advantage_is_the_prediction_error(
    trajectory: tuple[Tensor, Tensor], discount: float
) -> None:
    rpe = slow_rpe(*trajectory, discount)
    assert torch.equal(advantage(rpe, discount, 0.0), rpe)


def test_later_rewards_count_with_the_same_sign() -> None:
    reward = torch.tensor([0.0, 0.0, 0.0, 1.0])
    rpe = reward_prediction_error(reward, torch.zeros(4), 0.9)
    expected = torch.tensor([0.9**3, 0.9**2, 0.9, 1.0])
    torch.testing.assert_close(advantage(rpe, 0.9, 1.0), expected)


def test_earlier_rewards_do_not_count() -> None:
    rpe = torch.tensor([5.0, 0.0, 0.0])
    assert advantage(rpe, 0.9, 1.0).tolist() == [5.0, 0.0, 0.0]


def test_advantages_of_long_float32_episodes_stay_exact() -> None:
    random = torch.Generator().manual_seed(0)
    rpe = torch.randn((300, 2, 4), generator=random)
    expected = slow_advantage(rpe.double(), 0.9, 1.0)
    torch.testing.assert_close(
        advantage(rpe, 0.9, 1.0).double(), expected, rtol=0, atol=1e-4
    )
