from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks import DawTwoStep
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.observers import PLAYERS
from pfc_metarl.tasks.observers.daw_two_step import DawTwoStepObserver
from pfc_metarl.tasks.observers.hybrid import HybridLearner

Near = Callable[..., None]


def draw(task: DawTwoStep, n_episodes: int, seed: int = 1) -> Tape:
    return task.draw(n_episodes, torch.Generator().manual_seed(seed))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(2)


def filtered(task: DawTwoStep, rewards: list[int], n_points: int = 40) -> list[float]:
    """The observer's expected probability of option 0 before each trial and after."""
    observer = DawTwoStepObserver(task, n_points)
    belief = torch.full((1, 4, n_points), 1 / n_points, dtype=torch.float64)
    means = []
    for reward in rewards:
        means.append((belief @ observer._points)[0, 0].item())
        told = torch.tensor([float(reward)])
        belief = observer._update(belief, torch.tensor([0]), told)
    return [*means, (belief @ observer._points)[0, 0].item()]


@pytest.mark.parametrize("rewards", [[1, 1, 0, 1, 1], [0, 0, 0, 0, 0], [1, 0, 1, 0, 1]])
@pytest.mark.parametrize("step_sd", [0.025, 0.2])
def test_the_filter_agrees_with_drawn_walks_weighted_by_the_outcomes(
    rewards: list[int], step_sd: float
) -> None:
    task = DawTwoStep(step_sd=step_sd, trials=len(rewards) + 1)
    p = draw(task, 100_000)["p_reward"].flatten(1).double()  # 400 thousand walks
    weight = torch.ones(p.shape[1], dtype=torch.float64)
    for trial, mean in enumerate(filtered(task, rewards)):
        expected = (weight * p[trial]).sum() / weight.sum()
        spread = weight * (p[trial] - expected) / weight.sum()
        assert abs(mean - expected) < 4 * spread.square().sum().sqrt()
        if trial < len(rewards):
            weight = weight * (p[trial] if rewards[trial] else 1 - p[trial])


@pytest.mark.parametrize("bounds", [(0.25, 0.75), (0.0, 1.0)])
def test_a_finer_grid_expects_the_same(bounds: tuple[float, float]) -> None:
    rewards = [1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1] * 2
    task = DawTwoStep(bounds=bounds)
    coarse, fine = (filtered(task, rewards, n_points) for n_points in (40, 400))
    np.testing.assert_allclose(coarse, fine, atol=2e-4)


def test_without_steps_the_belief_is_that_of_a_cut_beta_distribution() -> None:
    task = DawTwoStep(bounds=(0.0, 1.0), step_sd=0.0)
    means = filtered(task, [1, 1, 0, 1], n_points=400)
    np.testing.assert_allclose(means, [1 / 2, 2 / 3, 3 / 4, 3 / 5, 4 / 6], atol=1e-4)


def test_an_outcome_tells_of_its_option_alone_and_is_forgotten() -> None:
    task = DawTwoStep()
    observer = DawTwoStepObserver(task)
    belief = torch.full((1, 4, 40), 1 / 40, dtype=torch.float64)
    means = []
    for trial in range(300):
        chosen = torch.tensor([2 if trial == 0 else 0])
        belief = observer._update(belief, chosen, torch.tensor([1.0]))
        means.append((belief @ observer._points)[0])
    mean = torch.stack(means)
    assert torch.allclose(mean[:, [1, 3]], torch.tensor(0.5, dtype=torch.float64))
    assert mean[0, 2] > 0.53
    assert (mean[1:, 2] < mean[:-1, 2]).all()
    assert mean[-1, 2] == pytest.approx(0.5, abs=0.01)
    assert mean[-1, 0] > 0.65


def test_a_step_of_the_grid_keeps_what_is_uniform_and_spreads_as_the_walk() -> None:
    observer = DawTwoStepObserver(DawTwoStep())
    step, points = observer._step, observer._points
    np.testing.assert_allclose(step.sum(1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(step, step.T, rtol=1e-6, atol=1e-15)
    middle = step[20]
    spread = ((points - points[20]) ** 2 @ middle).sqrt()
    assert spread.item() == pytest.approx(0.025, rel=1e-6)


def test_with_certain_options_it_finds_the_state_and_option_that_pay() -> None:
    task = DawTwoStep(bounds=(0.01, 0.99), step_sd=0.0, p_common=1.0, trials=40)
    tape = draw(task, 300)
    p = torch.tensor([0.01, 0.01, 0.99, 0.01]).expand(40, 300, 4)
    tape = {**tape, "p_reward": p, "outcome": (p > 0.5).float()}
    columns = DawTwoStepObserver(task).play(tape, generator()).trials()
    assert (columns["choice"][-10:] == 1).all()
    assert (columns["choice2"][-10:] == 0).all()


def test_it_starts_with_any_choice_and_option(near: Near) -> None:
    task = DawTwoStep(trials=2)
    columns = DawTwoStepObserver(task).play(draw(task, 10_000), generator()).trials()
    near(columns["choice"][0], 0.5)
    near(columns["choice2"][0], 0.5)


def test_it_plans_over_rare_transitions() -> None:
    """After a reward by a rare transition the other action leads back more often."""
    task = DawTwoStep(trials=2)
    columns = DawTwoStepObserver(task).play(draw(task, 2_000), generator()).trials()
    rewarded = columns["reward"][0] == 1
    stayed = columns["choice"][1] == columns["choice"][0]
    common = columns["transition_common"][0] == 1
    assert torch.equal(stayed[rewarded], common[rewarded])
    same_state = columns["state2"][1] == columns["state2"][0]
    repeated = columns["choice2"][1] == columns["choice2"][0]
    assert torch.equal(repeated[same_state], rewarded[same_state])


def test_what_other_options_would_have_paid_changes_no_choice() -> None:
    task = DawTwoStep(trials=30)
    tape = draw(task, 50)
    one = DawTwoStepObserver(task).play(tape, generator()).trials()
    option = 2 * one["state2"] + one["choice2"]
    chosen = option.unsqueeze(-1) == torch.arange(4)
    outcome = torch.where(chosen, tape["outcome"], 1 - tape["outcome"])
    other = DawTwoStepObserver(task).play({**tape, "outcome": outcome}, generator())
    for name in ("choice", "choice2", "reward"):
        assert torch.equal(one[name], other.trials()[name])


def test_a_grid_coarser_than_a_step_is_refused() -> None:
    with pytest.raises(InputError, match="n_points is 19; expected 2"):
        DawTwoStepObserver(DawTwoStep(), n_points=19)


# What is earned.


@pytest.fixture(scope="module")
def earned() -> dict[str, Tensor]:
    """Reward per trial of every player in the same 1000 episodes."""
    task = DawTwoStep()
    tape = draw(task, 1_000)
    return {
        name: make(task).play(tape, generator()).trials()["reward"].double().mean(0)
        for name, make in PLAYERS[DawTwoStep].items()
    }


def mean_and_error(values: Tensor) -> tuple[float, float]:
    return values.mean().item(), values.std().item() / len(values) ** 0.5


def test_random_choice_earns_one_half(earned: dict[str, Tensor]) -> None:
    mean, error = mean_and_error(earned["random"])
    assert abs(mean - 0.5) < 4 * error


def test_planning_earns_no_more_than_model_free_learning_as_in_kool_2016(
    earned: dict[str, Tensor],
) -> None:
    gain, error = mean_and_error(earned["model-based"] - earned["model-free"])
    assert abs(gain) < 4 * error
    assert error < 0.002


def test_the_ideal_observer_earns_most(earned: dict[str, Tensor]) -> None:
    for name in ("model-based", "hybrid", "model-free"):
        gain, error = mean_and_error(earned["ideal"] - earned[name])
        assert gain > 0.015 > 6 * error


# The hybrid learner against the equations, one number at a time.


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_hybrid_choices_follow_the_equations(weight: float, near: Near) -> None:
    task = DawTwoStep(trials=4, step_sd=0.0)
    n, alpha, lam, beta = 6_000, 0.3, 0.6, 2.0
    learner = HybridLearner(task, weight, alpha, lam, beta)
    columns = learner.play(draw(task, n), generator()).trials()
    choice, state, option, reward = (
        columns[name].numpy() for name in ("choice", "state2", "choice2", "reward")
    )
    p_first, p_second = np.zeros((4, n)), np.zeros((4, n))
    for episode in range(n):
        first, second = [0.0, 0.0], [[0.0, 0.0], [0.0, 0.0]]
        for trial in range(4):
            a, s, c, r = (
                values[trial, episode] for values in (choice, state, option, reward)
            )
            best = [max(second[0]), max(second[1])]
            plan = [0.7 * best[0] + 0.3 * best[1], 0.3 * best[0] + 0.7 * best[1]]
            q = [weight * plan[k] + (1 - weight) * first[k] for k in (0, 1)]
            p_first[trial, episode] = 1 / (1 + np.exp(beta * (q[0] - q[1])))
            gap = second[s][0] - second[s][1]
            p_second[trial, episode] = 1 / (1 + np.exp(beta * gap))
            delta1, delta2 = second[s][c] - first[a], r - second[s][c]
            first[a] += alpha * delta1 + alpha * lam * delta2
            second[s][c] += alpha * delta2
    for chosen, p in ((choice, p_first), (option, p_second)):
        error = np.sqrt((p * (1 - p)).sum(1)) / n
        np.testing.assert_array_less(np.abs((chosen - p).mean(1)), 4 * error)
        surprise = ((chosen - p) * (p - 0.5)).mean(1)  # and are so where p is far off
        np.testing.assert_array_less(np.abs(surprise), 4 * error * 0.5 + 1e-12)


def test_a_hybrid_makes_the_same_choices_with_a_fixation_step() -> None:
    task = DawTwoStep(trials=30)
    tape = draw(task, 50)
    one = HybridLearner(task).play(tape, generator()).trials()
    fixating = HybridLearner(replace(task, fixation=True))
    assert torch.equal(
        one["choice2"], fixating.play(tape, generator()).trials()["choice2"]
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"model_based_weight": 1.1}, "model_based_weight is 1.1; expected 0 to 1"),
        ({"learning_rate": -0.1}, "learning_rate is -0.1"),
        ({"eligibility": float("nan")}, "eligibility is nan"),
        ({"inverse_temperature": -1.0}, "inverse_temperature is -1.0; expected 0 or"),
    ],
)
def test_settings_out_of_range_are_refused(
    wrong: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        HybridLearner(DawTwoStep(), **wrong)
