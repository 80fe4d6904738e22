from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from pfc_metarl.tasks import KoolTwoStep
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.observers import PLAYERS
from pfc_metarl.tasks.observers.hybrid import HybridLearner
from pfc_metarl.tasks.observers.kool_two_step import KoolTwoStepObserver

SMALL = KoolTwoStep(points=(-1, 2), step_sd=0.8, trials=4, reward_per_point=0.25)


def draw(task: KoolTwoStep, n_episodes: int, seed: int = 1) -> Tape:
    return task.draw(n_episodes, torch.Generator().manual_seed(seed))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(2)


def mean_and_error(values: Tensor) -> tuple[float, float]:
    return values.mean().item(), values.std().item() / len(values) ** 0.5


def test_a_step_is_that_of_the_drawn_walks() -> None:
    chain = KoolTwoStepObserver(KoolTwoStep())._step.numpy()
    points = draw(KoolTwoStep(), 4_000)["points"].numpy() + 4
    before, after = points[:-1].ravel(), points[1:].ravel()
    for start in range(10):
        ended = after[before == start]
        share = np.bincount(ended, minlength=10) / len(ended)
        error = np.sqrt(chain[start] * (1 - chain[start]) / len(ended))
        np.testing.assert_array_less(np.abs(share - chain[start]), 4.5 * error)


def enumerated_mean(
    task: KoolTwoStep, visits: list[tuple[int, int]], step: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Expected points of either state, over every course of both walks."""
    values = list(range(task.points[0], task.points[1] + 1))
    courses = list(product(range(len(values)), repeat=len(visits) + 1))
    p_course = np.array(
        [np.prod([step[i, j] for i, j in pairwise(c)]) for c in courses]
    )
    total, mean = 0.0, np.zeros(2)
    fits = [
        [
            all(values[c[t]] == v for t, (s, v) in enumerate(visits) if s == state)
            for c in courses
        ]
        for state in (0, 1)
    ]
    for (i, one), (j, two) in product(enumerate(courses), repeat=2):
        different_sides = values[one[0]] * values[two[0]] < 0
        if not (fits[0][i] and fits[1][j] and different_sides):
            continue
        # all starts above 0 are alike probable, and all below
        weight = p_course[i] * p_course[j]
        total += weight
        mean += weight * np.array([values[one[-1]], values[two[-1]]])
    return mean / total


def test_expected_points_equal_a_sum_over_every_course_of_the_walks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected_points: list[Tensor] = []
    look = KoolTwoStepObserver._expected_points

    def watched(observer: KoolTwoStepObserver, belief: Tensor) -> Tensor:
        expected_points.append(look(observer, belief))
        return expected_points[-1]

    monkeypatch.setattr(KoolTwoStepObserver, "_expected_points", watched)
    observer = KoolTwoStepObserver(SMALL)
    columns = observer.play(draw(SMALL, 8), generator()).trials()
    for episode in range(8):
        state = columns["state2"][:, episode].tolist()
        points = (columns["reward"][:, episode] / 0.25).round().long().tolist()
        visits = list(zip(state, points, strict=True))
        for trial in range(4):
            found = expected_points[trial][episode].numpy()
            expected = enumerated_mean(SMALL, visits[:trial], observer._step.numpy())
            np.testing.assert_allclose(found, expected, atol=1e-9)
            if abs(expected[0] - expected[1]) > 1e-6:
                assert state[trial] == expected.argmax()


def best_and_greedy(task: KoolTwoStep) -> NDArray[np.float64]:
    """Expected points per trial under optimal and greedy choice, exactly.

    Dynamic programming over what is known: the points v last seen at the state visited
    last, the points u last seen at the other, and how many trials ago; or, while the
    other was never visited, on which side of 0 it started.
    """
    observer = KoolTwoStepObserver(task)
    step, points = observer._step.numpy(), observer._values.numpy()
    n, k = task.trials, len(points)
    ago = [np.linalg.matrix_power(step, age) for age in range(n + 2)]
    side = np.stack([points < 0, points > 0]).astype(float)  # of the other's start
    side /= side.sum(1, keepdims=True)

    def choose(
        mean: list[NDArray[np.float64]], later: list[NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        """Worth of staying or shifting: [optimal, greedy] over the first dimension."""
        stay, shift = (m + rest for m, rest in zip(mean, later, strict=True))
        gap = mean[0] - mean[1]
        greedy = np.where(gap[1] > 0, stay[1], shift[1])
        greedy = np.where(abs(gap[1]) < 1e-9, (stay[1] + shift[1]) / 2, greedy)
        return np.stack([np.maximum(stay[0], shift[0]), greedy])

    seen = np.zeros((n + 3, 2, k, k))  # by age: [policy, v, u]
    unseen = np.zeros((2, 2, k))  # by side: [policy, v]
    for trial in range(n - 1, 0, -1):
        before, seen, never = seen, np.zeros_like(seen), unseen
        stays = np.broadcast_to(step @ points, (2, k))
        after_shift = before[2].swapaxes(1, 2)  # [policy, v, points found there]
        unseen = np.stack(
            [
                choose(
                    [stays, np.full((2, k), side[s] @ ago[trial] @ points)],
                    [never[s] @ step.T, after_shift @ (side[s] @ ago[trial])],
                )
                for s in (0, 1)
            ]
        )
        for age in range(2, trial + 1):
            shifts = np.broadcast_to(ago[age] @ points, (2, k, k))
            seen[age] = choose(
                [np.broadcast_to(stays[:, :, None], (2, k, k)), shifts],
                [step @ before[age + 1], after_shift @ ago[age].T],
            )
    # The first state shows on which side it started; the other starts on the other.
    first = [side[1 - s] @ (points + unseen[s]).T for s in (0, 1)]
    return np.mean(first, axis=0) / n


@pytest.fixture(scope="module")
def exactly() -> NDArray[np.float64]:
    """Points per trial of optimal and greedy choice in the task of Kool et al."""
    return best_and_greedy(KoolTwoStep())


def test_greedy_choice_is_nearly_optimal(exactly: NDArray[np.float64]) -> None:
    optimal, greedy = exactly
    assert 0.99 * optimal < greedy < optimal


def test_it_earns_what_was_computed_exactly(exactly: NDArray[np.float64]) -> None:
    task = KoolTwoStep(reward_per_point=1.0)
    reward = KoolTwoStepObserver(task).play(draw(task, 4_000), generator()).trials()
    mean, error = mean_and_error(reward["reward"].double().mean(0))
    assert abs(mean - exactly[1]) < 4 * error


def test_a_short_episode_is_worth_what_can_be_worked_by_hand() -> None:
    task = KoolTwoStep(points=(-1, 1), step_sd=0.0, trials=3)
    # 0 on average at first, then 1 in each trial, whatever was found
    np.testing.assert_allclose(best_and_greedy(task), [2 / 3, 2 / 3])


def test_planning_earns_more_than_model_free_learning_as_in_kool_2016() -> None:
    task = KoolTwoStep()
    tape = draw(task, 1_500)
    earned = {
        name: make(task).play(tape, generator()).trials()["reward"].double().mean(0)
        for name, make in PLAYERS[KoolTwoStep].items()
    }
    order = ["ideal", "model-based", "hybrid", "model-free", "random"]
    assert list(earned) == order
    for better, worse in pairwise(order):
        gain, error = mean_and_error(earned[better] - earned[worse])
        assert gain > 0.008 > 4 * error, (better, worse)


def test_a_pair_is_planned_for_by_what_the_other_taught() -> None:
    task = KoolTwoStep(trials=2)
    columns = KoolTwoStepObserver(task).play(draw(task, 1_000), generator()).trials()
    won = columns["reward"][0] > 0
    stayed = columns["state2"][1] == columns["state2"][0]
    assert torch.equal(stayed, won)
    model_free = HybridLearner(task, 0.0, inverse_temperature=1e6)
    columns = model_free.play(draw(task, 20_000), generator()).trials()
    won = columns["reward"][0] > 0
    stayed = (columns["state2"][1] == columns["state2"][0]).double()
    same_pair = columns["pair"][1] == columns["pair"][0]
    assert (stayed[same_pair] == won[same_pair]).all()
    elsewhere = stayed[~same_pair & won]
    assert abs(elsewhere.mean() - 0.5) < 2 / len(elsewhere) ** 0.5


def test_points_of_the_state_not_visited_change_no_choice() -> None:
    task = KoolTwoStep(trials=30)
    tape = draw(task, 50)
    for make in PLAYERS[KoolTwoStep].values():
        one = make(task).play(tape, generator()).trials()
        visited = one["state2"].unsqueeze(-1) == torch.arange(2)
        hidden = draw(task, 50, seed=7)["points"]
        points = torch.where(visited, tape["points"], hidden)
        other = make(task).play({**tape, "points": points}, generator()).trials()
        for name in ("choice", "reward"):
            assert torch.equal(one[name], other[name])


def test_the_worth_of_a_point_changes_no_choice() -> None:
    task = KoolTwoStep(trials=30)
    tape = draw(task, 50)
    one, other = (
        KoolTwoStepObserver(replace(task, reward_per_point=worth))
        .play(tape, generator())
        .trials()["choice"]
        for worth in (1 / 9, 0.37)
    )
    assert torch.equal(one, other)
