from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import pfc_metarl.tasks.observers.foraging as players_module
from pfc_metarl.errors import InputError
from pfc_metarl.tasks import Foraging
from pfc_metarl.tasks.foraging import hattori_mice, whole_range_foraging
from pfc_metarl.tasks.observers.base import Player
from pfc_metarl.tasks.observers.foraging import (
    BayesianForager,
    KnownRates,
    Matching,
    RandomForager,
    WinStayLoseShiftForager,
    optimal_switches,
)

Near = Callable[..., None]


def play(player: Any, n_episodes: int, seed: int = 1) -> dict[str, Tensor]:
    """Columns of the trial table of a player on its own task."""
    tape = player.task.draw(n_episodes, torch.Generator().manual_seed(seed))
    columns: dict[str, Tensor] = player.play(
        tape, torch.Generator().manual_seed(seed + 1)
    ).trials()
    return columns


def mean_and_error(player: Player, n_episodes: int) -> tuple[float, float]:
    """Mean reward per trial and its standard error over episodes."""
    by_episode = play(player, n_episodes)["reward"].double().mean(0)
    return by_episode.mean().item(), by_episode.std().item() / n_episodes**0.5


# Known base rates.


def expected_sum(rates: tuple[float, float], choices: tuple[int, ...]) -> float:
    """Expected reward of a sequence of choices, by the rule of Wang."""
    since, total = [0, 0], 0.0
    for choice in choices:
        total += 1 - (1 - rates[choice]) ** (since[choice] + 1)
        since = [0 if arm == choice else since[arm] + 1 for arm in (0, 1)]
    return total


@pytest.mark.parametrize("left", [0.0, 0.02, 0.07, 0.11, 0.2, 0.25, 0.46])
@pytest.mark.parametrize("trials", [1, 2, 7, 10])
def test_known_rates_earn_the_most_of_all_sequences_of_choices(
    left: float, trials: int
) -> None:
    task = Foraging(left_rates=((left, left),), trials=trials)
    chosen = play(KnownRates(task), 3)["choice"]
    rates = (left, 0.5 - left)
    most = max(expected_sum(rates, one) for one in product((0, 1), repeat=trials))
    for episode in range(3):
        choices = tuple(chosen[:, episode].tolist())
        assert expected_sum(rates, choices) == pytest.approx(most, abs=1e-6)


def test_the_longer_an_arm_was_left_the_better_is_a_switch() -> None:
    pairs = torch.tensor([[0.03, 0.47], [0.2, 0.3], [0.1, 0.6]], dtype=torch.float64)
    switches = optimal_switches(pairs, 40).int()
    assert (switches.diff(dim=-1) >= 0).all()


def test_known_rates_of_a_block_are_told_after_its_first_trial() -> None:
    task = Foraging(
        total=1.0, left_rates=((1.0, 1.0), (0.0, 0.0)), block_trials=(3, 3), trials=6
    )
    columns = play(KnownRates(task), 20)
    right = columns["choice"] == columns["richer_arm"]
    assert right[:3].all()
    assert not right[3].any()
    assert right[4:].all()


# Bayesian inference, against the rule of Wang where rates stay.


@pytest.fixture
def expectations(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What the Bayesian forager expects of a stay and of a switch, trial by trial."""
    seen: list[Tensor] = []
    compute = players_module.expected_reward

    def watched(belief: Tensor, of_last: Tensor) -> Tensor:
        seen.append(compute(belief, of_last))
        return seen[-1]

    monkeypatch.setattr(players_module, "expected_reward", watched)
    return seen


def by_arm(expectation: Tensor, choices: list[int]) -> list[float] | None:
    """Expected reward of both arms; None before the first choice."""
    if not choices:
        return None
    stay, switch = expectation.tolist()
    return [stay, switch] if choices[-1] == 0 else [switch, stay]


def test_belief_equals_bayes_rule_over_pairs_of_rates(
    expectations: list[Tensor],
) -> None:
    player = BayesianForager(Foraging(trials=25), points=4)
    columns = play(player, 8)
    middles = [low + 0.1 * (k + 0.5) / 4 for low in (0.0, 0.2, 0.4) for k in range(4)]
    for episode in range(8):
        weights = np.ones(12)
        since, choices = [0, 0], []
        for trial in range(25):
            p = np.array(
                [
                    [
                        1 - (1 - rate) ** (since[arm] + 1)
                        for arm, rate in enumerate((left, 0.5 - left))
                    ]
                    for left in middles
                ]
            )
            found = by_arm(expectations[trial][episode], choices)
            if found is not None:
                np.testing.assert_allclose(found, weights / weights.sum() @ p)
                if abs(found[0] - found[1]) > 1e-6:
                    best = int(np.argmax(found))
                    assert columns["choice"][trial, episode] == best
            choice = int(columns["choice"][trial, episode])
            rewarded = columns["reward"][trial, episode] > 0
            weights *= p[:, choice] if rewarded else 1 - p[:, choice]
            since = [0 if arm == choice else since[arm] + 1 for arm in (0, 1)]
            choices.append(choice)


# Against an enumeration of every hidden history where there are blocks.

TWO_KINDS = Foraging(
    total=0.7,
    left_rates=((0.6, 0.6), (0.2, 0.2), (0.35, 0.35)),
    follow=((1,), (2, 0), (0,)),
    block_trials=(1, 3),
    p_block_end=0.4,
    trials=4,
)


def hidden_rates(task: Foraging, trials: int) -> Iterator[tuple[float, list[float]]]:
    """Probability and left rates of every sequence of kinds of block."""
    kinds = range(len(task.left_rates))
    p_end = {1: 0.4, 2: 0.4, 3: 1.0}  # by the trials a block has lasted
    for first in kinds:
        paths = [(1 / len(kinds), [first], 1)]
        for _ in range(trials - 1):
            longer = []
            for weight, path, age in paths:
                longer.append((weight * (1 - p_end[age]), [*path, path[-1]], age + 1))
                after = task.follow[path[-1]]
                for kind in after:
                    ended = weight * p_end[age] / len(after)
                    longer.append((ended, [*path, kind], 1))
            paths = [path for path in longer if path[0] > 0]
        for weight, path, _ in paths:
            yield weight, [task.left_rates[kind][0] for kind in path]


def enumerated_expectation(
    task: Foraging, choices: list[int], rewards: list[float]
) -> list[float]:
    """P(each arm is baited | the past), over kinds, blocks and baits."""
    trials = len(choices) + 1
    total, baited = 0.0, np.zeros(2)
    for p_path, lefts in hidden_rates(task, trials):
        for baits in product(product((0, 1), repeat=2), repeat=trials):
            weight, waiting = p_path, [0, 0]
            for trial, new in enumerate(baits):
                for arm, rate in enumerate((lefts[trial], task.total - lefts[trial])):
                    weight *= rate if new[arm] else 1 - rate
                    waiting[arm] = max(waiting[arm], new[arm])
                if trial < len(choices):
                    if waiting[choices[trial]] != rewards[trial]:
                        weight = 0.0
                        break
                    waiting[choices[trial]] = 0
            total += weight
            baited += weight * np.array(waiting)
    return (baited / total).tolist()


def test_with_blocks_belief_equals_a_sum_over_every_hidden_history(
    expectations: list[Tensor],
) -> None:
    columns = play(BayesianForager(TWO_KINDS), 6, seed=4)
    for episode in range(6):
        choices = columns["choice"][:, episode].tolist()
        rewards = columns["reward"][:, episode].tolist()
        for trial in range(1, 4):
            expected = enumerated_expectation(
                TWO_KINDS, choices[:trial], rewards[:trial]
            )
            found = by_arm(expectations[trial][episode], choices[:trial])
            np.testing.assert_allclose(found, expected, rtol=1e-9)
            if abs(expected[0] - expected[1]) > 1e-6:
                assert choices[trial] == int(np.argmax(expected))


def test_twenty_points_stand_well_for_a_range_of_rates() -> None:
    task = Foraging()
    coarse = play(BayesianForager(task, points=20), 150)["choice"]
    fine = play(BayesianForager(task, points=60), 150)["choice"]
    assert (coarse == fine).double().mean() > 0.97


def test_certain_baits_are_taken_in_turn() -> None:
    task = Foraging(total=2.0, left_rates=((1.0, 1.0),), trials=6)
    assert (play(BayesianForager(task), 20)["reward"] == 1).all()


# What is earned.


def test_players_earn_in_the_order_they_are_listed() -> None:
    task = Foraging()
    known, bayes, matching, random = (
        mean_and_error(player, 500)[0]
        for player in (
            KnownRates(task),
            BayesianForager(task),
            Matching(task),
            RandomForager(task),
        )
    )
    assert known > bayes > matching > random


def test_with_blocks_inference_earns_nearly_what_known_rates_do() -> None:
    task = hattori_mice(trials=250)
    known, _ = mean_and_error(KnownRates(task), 40)
    bayes, _ = mean_and_error(BayesianForager(task), 40)
    random, _ = mean_and_error(RandomForager(task), 40)
    assert (bayes - random) / (known - random) > 0.8


# Matching.


@pytest.mark.parametrize("memory_trials", [float("inf"), 10.0])
def test_matching_chooses_in_proportion_to_income(
    near: Near, memory_trials: float
) -> None:
    columns = play(Matching(Foraging(), memory_trials, lapse=0.1), 500)
    choice, reward = columns["choice"].numpy(), columns["reward"].numpy()
    income = np.zeros((2, 500))
    p_right = np.zeros(choice.shape)
    for trial in range(100):
        total = income.sum(0)
        share = np.divide(income[1], total, out=np.full(500, 0.5), where=total > 0)
        p_right[trial] = 0.9 * share + 0.05
        for arm in (0, 1):
            earned = np.where(choice[trial] == arm, reward[trial], 0)
            income[arm] = income[arm] * np.exp(-1 / memory_trials) + earned
    for low in np.arange(0.05, 0.95, 0.15):
        here = (p_right >= low) & (p_right < low + 0.15)
        near(torch.from_numpy(choice[here]), float(p_right[here].mean()))


def matching_slope(player: Player) -> float:
    """Slope of the generalised matching law: log C_R / C_L on log R_R / R_L."""
    columns = play(player, 400)
    right, reward = columns["choice"].double(), columns["reward"].double()
    chosen = torch.stack([(1 - right).sum(0), right.sum(0)])
    earned = torch.stack([((1 - right) * reward).sum(0), (right * reward).sum(0)])
    both = earned.amin(0) > 0
    x, y = ((of[1] / of[0]).log2()[both].numpy() for of in (earned, chosen))
    return float(np.polyfit(x, y, 1)[0])


def test_with_few_lapses_matching_over_trials_is_matching_over_episodes() -> None:
    task = whole_range_foraging()
    assert 0.9 < matching_slope(Matching(task, lapse=0.05)) < 1.1
    assert matching_slope(Matching(task, lapse=0.2)) < 0.8  # undermatching


def test_optimal_choice_matches_too() -> None:
    assert 0.95 < matching_slope(KnownRates(whole_range_foraging())) < 1.15


def test_random_choice_does_not_match() -> None:
    assert abs(matching_slope(RandomForager(whole_range_foraging()))) < 0.1


def test_win_stay_lose_shift_does_so() -> None:
    columns = play(WinStayLoseShiftForager(Foraging()), 50)
    stayed = columns["choice"][1:] == columns["choice"][:-1]
    assert torch.equal(stayed, columns["reward"][:-1] == 1)


def test_random_choice_is_even(near: Near) -> None:
    near(play(RandomForager(Foraging()), 1_000)["choice"], 1 / 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"memory_trials": 0}, "memory_trials is 0"),
        ({"memory_trials": float("nan")}, "memory_trials is nan"),
        ({"lapse": 1.5}, "lapse is 1.5"),
    ],
)
def test_matching_refuses_what_makes_no_rule(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Matching(Foraging(), **settings)


def test_a_grid_without_points_is_refused() -> None:
    with pytest.raises(InputError, match="points is 0"):
        BayesianForager(Foraging(), points=0)
