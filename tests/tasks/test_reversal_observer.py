from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from pfc_metarl.tasks import Reversal, ThreeArmReversal, WhatWhereReversal
from pfc_metarl.tasks.base import Tape, Task
from pfc_metarl.tasks.observers import PLAYERS
from pfc_metarl.tasks.observers import reversal as observers
from pfc_metarl.tasks.observers.reversal import ReversalObserver, WhatWhereObserver

Rule = tuple[int, int, int]  # kind of block, better option at first, reversal


def draw(task: Task, n_episodes: int, seed: int = 1) -> Tape:
    return task.draw(n_episodes, torch.Generator().manual_seed(seed))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(2)


@pytest.fixture
def expected_rewards(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What an observer expects of each arm, trial by trial, while it plays."""
    expected: list[Tensor] = []
    choose = observers.choose_highest

    def watched(value: Tensor, generator: torch.Generator) -> Tensor:
        expected.append(value)
        return choose(value, generator)

    monkeypatch.setattr(observers, "choose_highest", watched)
    return expected


# Reversing arms.


def enumerated_rewards(
    task: Reversal, trials: list[tuple[int, float]]
) -> NDArray[np.float64]:
    """Expected reward of each arm, over every course of the blocks."""
    kinds = range(len(task.blocks))
    weights = np.zeros(len(task.blocks))
    for course in product(kinds, repeat=len(trials) + 1):
        weight, age = 1.0, 1
        for before, after in pairwise(course):
            may_end = age >= task.min_block_trials
            if before == after:
                weight *= 1 - task.p_reversal * may_end
                age += 1
            else:
                weight *= task.p_reversal * may_end / (len(task.blocks) - 1)
                age = 1
        for kind, (arm, reward) in zip(course, trials, strict=False):
            pays = task.blocks[kind][arm]
            weight *= pays if reward else 1 - pays
        weights[course[-1]] += weight
    rewards: NDArray[np.float64] = weights / weights.sum() @ np.array(task.blocks)
    return rewards


@pytest.mark.parametrize(
    "task",
    [
        Reversal(trials=7),
        Reversal(trials=8, p_reversal=0.3, min_block_trials=3),
        ThreeArmReversal(trials=5, p_reversal=0.2, min_block_trials=0),
        ThreeArmReversal(trials=6, p_reversal=0.4, min_block_trials=2),
        Reversal(blocks=((0.7, 0.1, 0.3, 0.3), (0.0, 1.0, 0.5, 0.2)), trials=6),
    ],
    ids=["mice", "minimum", "three arms", "three arms, minimum", "four arms"],
)
def test_expected_rewards_equal_a_sum_over_every_course_of_the_blocks(
    task: Reversal, expected_rewards: list[Tensor]
) -> None:
    columns = ReversalObserver(task).play(draw(task, 8), generator()).trials()
    for episode in range(8):
        choice = columns["choice"][:, episode].tolist()
        history = list(zip(choice, columns["reward"][:, episode].tolist(), strict=True))
        for trial in range(task.trials):
            found = expected_rewards[trial][episode].numpy()
            expected = enumerated_rewards(task, history[:trial])
            np.testing.assert_allclose(found, expected, rtol=1e-9)
            assert expected[choice[trial]] > expected.max() - 1e-8


def test_log_odds_of_two_arms_follow_the_equation_of_glaze_2015(
    expected_rewards: list[Tensor],
) -> None:
    task = Reversal(trials=40, p_reversal=0.05)
    columns = ReversalObserver(task).play(draw(task, 30), generator()).trials()
    toward_0 = (columns["choice"] == 0) == (columns["reward"] == 1)
    evidence = torch.where(toward_0, 1.0, -1.0).double() * np.log(0.8 / 0.2)
    odds = torch.zeros(30, dtype=torch.float64)
    stay = np.log((1 - 0.05) / 0.05)
    for trial in range(40):
        belief = (expected_rewards[trial][:, 0] - 0.2) / 0.6  # that arm 0 is the good
        np.testing.assert_allclose(belief.logit(), odds, rtol=1e-9, atol=1e-9)
        told = odds + evidence[trial]
        odds = told + torch.log(
            (np.exp(stay) + (-told).exp()) / (np.exp(stay) + told.exp())
        )


def test_win_stay_lose_shift_earns_the_closed_form() -> None:
    task = Reversal(trials=40)
    player = PLAYERS[Reversal]["win-stay-lose-shift"](task)
    reward = player.play(draw(task, 10_000), generator()).trials()["reward"].double()
    good = 0.8 * 0.98 + 0.2 * 0.02  # the last outcome told the arm, and it stood
    expected = (0.5 + 39 * (0.8 * good + 0.2 * (1 - good))) / 40
    by_episode = reward.mean(0)
    assert abs(by_episode.mean() - expected) < 4 * by_episode.std() / 100


@pytest.mark.parametrize(
    "task", [Reversal(trials=200), ThreeArmReversal(), WhatWhereReversal()]
)
def test_the_observer_earns_most(task: Any) -> None:
    tape = draw(task, 1_000)
    earned = {
        name: make(task).play(tape, generator()).trials()["reward"].double().mean(0)
        for name, make in PLAYERS[type(task)].items()
    }
    best, *others = earned  # the strongest comes first
    assert best == ("greedy Bayes" if isinstance(task, ThreeArmReversal) else "ideal")
    for name in others:
        gain = earned[best] - earned[name]
        assert gain.mean() > 4 * gain.std() / 1_000**0.5, name


def best_and_greedy(task: Reversal) -> tuple[float, float]:
    """Expected reward of an episode under optimal and greedy choice, exactly."""
    observer = ReversalObserver(task)
    hazard, pays = observer._hazard.numpy(), observer._reward_prob.numpy()

    def earned(belief: NDArray[np.float64], trials_left: int) -> NDArray[np.float64]:
        if trials_left == 0:
            return np.zeros(2)
        now = belief @ pays
        worth = np.zeros((task.arms, 2))
        for arm in range(task.arms):
            for told in (pays[:, arm], 1 - pays[:, arm]):
                weight = belief * told
                later = earned(weight / weight.sum() @ hazard, trials_left - 1)
                worth[arm] += weight.sum() * later
            worth[arm] += now[arm]
        greedy = worth[now > now.max() - 1e-9, 1].mean()
        return np.array([worth[:, 0].max(), greedy])

    optimal, greedy = earned(observer._prior.numpy(), task.trials)
    return float(optimal), float(greedy)


def test_greedy_choice_is_optimal_for_two_arms_that_pay_p_and_1_minus_p() -> None:
    optimal, greedy = best_and_greedy(Reversal(trials=6, p_reversal=0.1))
    assert greedy == pytest.approx(optimal, rel=1e-12)


def test_greedy_choice_is_nearly_optimal_for_three_arms() -> None:
    task = ThreeArmReversal(trials=5, p_reversal=0.1, min_block_trials=0)
    optimal, greedy = best_and_greedy(task)
    assert 0.98 * optimal < greedy <= optimal
    tape = draw(task, 40_000)
    reward = ReversalObserver(task).play(tape, generator()).trials()["reward"]
    total = reward.double().sum(0)
    assert abs(total.mean() - greedy) < 4 * total.std() / 200


# What or where.


def p_location(
    task: WhatWhereReversal, rule: Rule, trial: int, image_left: int, location: int
) -> float:
    kind, best, reversal = rule
    option = location if kind == 1 else location ^ image_left
    is_best = option == (best if trial < reversal else 1 - best)
    return task.p_reward[0 if is_best else 1]


def enumerated_locations(
    task: WhatWhereReversal, trials: list[tuple[int, int, float]], image_left: int
) -> NDArray[np.float64]:
    """Expected reward of each location, over every rule and time of its reversal."""
    first, last = task.reversal_trials
    expected, total = np.zeros(2), 0.0
    for rule in product((0, 1), (0, 1), range(first, last + 1)):
        weight = task.p_what if rule[0] == 0 else 1 - task.p_what
        for trial, (image, location, reward) in enumerate(trials, start=1):
            p = p_location(task, rule, trial, image, location)
            weight *= p if reward else 1 - p
        total += weight
        for location in (0, 1):
            p = p_location(task, rule, len(trials) + 1, image_left, location)
            expected[location] += weight * p
    return expected / total


@pytest.mark.parametrize(
    "task",
    [
        WhatWhereReversal(),
        WhatWhereReversal(reversal_trials=(3, 5), trials=12),
        WhatWhereReversal(reversal_trials=(2, 2), trials=6, p_what=0.8),
        WhatWhereReversal(p_reward=(0.9, 0.3), reversal_trials=(4, 20), trials=15),
    ],
    ids=["monkeys", "early", "known trial", "not p and 1 - p"],
)
def test_expected_rewards_equal_a_sum_over_every_rule_and_reversal(
    task: WhatWhereReversal, expected_rewards: list[Tensor]
) -> None:
    columns = WhatWhereObserver(task).play(draw(task, 3), generator()).trials()
    for episode in range(3):
        image, choice, reward = (
            columns[name][:, episode].tolist()
            for name in ("image_left", "choice", "reward")
        )
        history = list(zip(image, choice, reward, strict=True))
        for trial in range(task.trials):
            expected = enumerated_locations(task, history[:trial], image[trial])
            found = expected_rewards[trial][episode].numpy()
            np.testing.assert_allclose(found, expected, rtol=1e-9)
            assert expected[choice[trial]] > expected.max() - 1e-8


def test_what_other_locations_would_have_paid_changes_no_choice() -> None:
    task = WhatWhereReversal()
    tape = draw(task, 50)
    one = WhatWhereObserver(task).play(tape, generator()).trials()
    chosen = one["choice"].unsqueeze(-1) == torch.arange(2)
    payoff = torch.where(chosen, tape["payoff"], 1 - tape["payoff"])
    hidden = {name: 1 - tape[name] for name in ("best", "block_type", "p_reward")}
    changed = {**tape, **hidden, "payoff": payoff}
    other = WhatWhereObserver(task).play(changed, generator()).trials()
    assert torch.equal(one["choice"], other["choice"])


def test_with_certain_rewards_three_trials_tell_the_rule() -> None:
    task = WhatWhereReversal(p_reward=(1.0, 0.0), trials=20)
    columns = WhatWhereObserver(task).play(draw(task, 500), generator()).trials()
    left = columns["image_left"]
    both_seen = (left[1:5] != left[:1]).any(0)  # images have been on either side
    assert (columns["reward"][5:, both_seen] == 1).all()


def test_a_known_reversal_is_followed_at_once() -> None:
    task = WhatWhereReversal(p_reward=(1.0, 0.0), reversal_trials=(15, 15), trials=20)
    columns = WhatWhereObserver(task).play(draw(task, 500), generator()).trials()
    assert (columns["reward"][12:] == 1).double().mean() > 0.999


def test_an_observer_makes_the_same_choices_with_a_fixation_step() -> None:
    task = WhatWhereReversal()
    tape = draw(task, 50)
    fixating = WhatWhereObserver(replace(task, fixation=True))
    one = WhatWhereObserver(task).play(tape, generator()).trials()["choice"]
    assert torch.equal(one, fixating.play(tape, generator()).trials()["choice"])
