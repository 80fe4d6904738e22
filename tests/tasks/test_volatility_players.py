from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import beta, norm
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks import Volatility
from pfc_metarl.tasks.observers.volatility import (
    BehrensLearner,
    FixedRate,
    Predictor,
    VolatilityObserver,
)
from pfc_metarl.tasks.volatility import behrens_people, stable_and_volatile


def play(player: Predictor, n_episodes: int, seed: int = 1) -> dict[str, Tensor]:
    tape = player.task.draw(n_episodes, torch.Generator().manual_seed(seed))
    return player.play(tape, torch.Generator().manual_seed(seed + 1)).trials()


def follow(player: Predictor, paid: list[int]) -> dict[str, list[float]]:
    """What the player expects in one episode, told which arms paid (-1: not told)."""
    choice = torch.tensor(paid)[:, None]
    reward = torch.where(choice < 0, torch.nan, 1.0)
    expected = player.follow(choice, reward)
    return {name: values[:, 0].tolist() for name, values in expected.items()}


def earned(player: Predictor, n_episodes: int) -> float:
    return play(player, n_episodes)["reward"].double().sum(0).mean().item()


# The ideal observer, against an enumeration of every hidden history.

Hidden = tuple[int, int]  # kind of part, better arm


def history_weight(task: Volatility, history: tuple[Hidden, ...]) -> float:
    """Probability of a hidden history."""
    kinds = len(task.volatilities)
    weight, age = 1 / (2 * kinds), 0
    for trial, (before, now) in enumerate(pairwise(history), start=1):
        age += 1
        shift = task.p_shift
        if task.part_trials and trial % task.part_trials == 0:
            shift = 1.0
        weight *= 1 - shift if before[0] == now[0] else shift / (kinds - 1)
        p = task.volatilities[now[0]] if age >= task.min_block_trials else 0.0
        weight *= 1 - p if before[1] == now[1] else p
        age = age if before[1] == now[1] else 0
    return weight


def enumerated(task: Volatility, paid: list[int]) -> tuple[float, float]:
    """P(arm 0 pays next) and expected volatility, given which arms have paid."""
    states = list(product(range(len(task.volatilities)), (0, 1)))
    total = pays = volatility = 0.0
    for history in product(states, repeat=len(paid) + 1):
        weight = history_weight(task, history)
        for (kind, good), arm in zip(history, paid, strict=False):
            p = task.payoffs[kind]
            weight *= 1.0 if arm < 0 else p if arm == good else 1 - p
        kind, good = history[-1]
        total += weight
        pays += weight * (task.payoffs[kind] if good == 0 else 1 - task.payoffs[kind])
        volatility += weight * task.volatilities[kind]
    return pays / total, volatility / total


@pytest.mark.parametrize(
    "task",
    [
        Volatility(volatilities=(0.05, 0.4), payoffs=(0.7, 0.9), p_shift=0.2),
        Volatility(volatilities=(0.3,), payoffs=(0.8,), min_block_trials=2),
        Volatility(
            volatilities=(0.1, 0.5),
            payoffs=(0.7, 0.9),
            p_shift=0.1,
            part_trials=2,
            min_block_trials=2,
        ),
        Volatility(
            volatilities=(0.0, 0.1, 0.6), payoffs=(0.6, 0.8, 0.9), part_trials=3
        ),
    ],
    ids=["shifts", "one kind with a minimum", "both of fixed length", "three kinds"],
)
@pytest.mark.parametrize("paid", [[0, 0, 1, 0, 1], [1, 1, 1, -1, 0]])
def test_the_ideal_observer_equals_a_sum_over_every_hidden_history(
    task: Volatility, paid: list[int]
) -> None:
    if len(task.volatilities) == 3:
        paid = paid[:4]
    found = follow(VolatilityObserver(task), [*paid, 0])
    for trial in range(len(paid) + 1):
        pays, volatility = enumerated(task, paid[:trial])
        assert found["p_reward_0"][trial] == pytest.approx(pays, rel=1e-9)
        assert found["volatility"][trial] == pytest.approx(volatility, rel=1e-9)


def test_without_reversals_the_odds_are_those_of_two_coins() -> None:
    task = Volatility(volatilities=(0.0,), payoffs=(0.7,))
    found = follow(VolatilityObserver(task), [0, 0, 1, 0])["p_reward_0"]
    for trial, surplus in enumerate([0, 1, 2, 1]):
        odds = (0.7 / 0.3) ** surplus
        p_good = odds / (1 + odds)
        assert found[trial] == pytest.approx(0.7 * p_good + 0.3 * (1 - p_good))


def test_the_ideal_observer_chooses_what_it_expects_to_pay() -> None:
    player = VolatilityObserver(Volatility(trials=60))
    columns = play(player, 40)
    p = player.follow(columns["choice"], columns["reward"])["p_reward_0"]
    clear = (p - 0.5).abs() > 1e-6
    assert torch.equal(columns["choice"][clear] == 0, p[clear] > 0.5)


def test_the_ideal_observer_tells_stable_parts_from_volatile_ones() -> None:
    player = VolatilityObserver(stable_and_volatile())
    columns = play(player, 150)
    felt = player.follow(columns["choice"], columns["reward"])["volatility"]
    truth = columns["volatility"]
    late = torch.arange(200) % 100 >= 60  # of either part
    felt, truth = felt[late], truth[late]
    assert felt[truth > 0].mean() > felt[truth == 0].mean() + 0.1


def test_an_observer_can_take_the_task_for_another() -> None:
    task, training = behrens_people(), Volatility()
    player = VolatilityObserver(task, assumed=training)
    paid = [0, 1, 1, 1]
    assert follow(player, paid) == follow(VolatilityObserver(training), paid)
    assert earned(VolatilityObserver(task), 200) > earned(player, 200) > 130


# Behrens' learner, against an enumeration of every path on a small grid.


def density_tables(
    player: BehrensLearner,
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """P(next I | I, k) and P(next r | r, next I), from the densities of scipy."""
    r, precision, change = (axis.numpy() for axis in player.grid())
    drift = norm.pdf(
        precision, loc=precision[:, None, None], scale=np.exp(change)[:, None]
    )
    a = 1 + np.exp(precision)[:, None] * r[:, None, None]
    b = 1 + np.exp(precision)[:, None] * (1 - r[:, None, None])
    jump = beta.pdf(r, a, b)
    return (
        drift / drift.sum(-1, keepdims=True),
        jump / jump.sum(-1, keepdims=True),
    )


def test_behrens_transitions_are_the_densities_of_its_equations() -> None:
    player = BehrensLearner(Volatility(), points=(9, 5, 4))
    for found, expected in zip(
        player.transitions(), density_tables(player), strict=True
    ):
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)


def test_behrens_learner_equals_a_sum_over_every_path_on_its_grid() -> None:
    player = BehrensLearner(Volatility(), points=(3, 2, 2))
    drift, jump = density_tables(player)
    r, precision, _ = (axis.numpy() for axis in player.grid())
    paid = [0, 1, 1]
    found = follow(player, [*paid, 0])
    points = list(product(range(3), range(2)))  # r, I; k stays
    for trial in range(4):
        total = expected_r = expected_i = 0.0
        for k in (0, 1):
            for path in product(points, repeat=trial + 1):
                weight = 1.0
                for (r0, i0), (r1, i1) in pairwise(path):
                    weight *= drift[i0, k, i1] * jump[r0, i1, r1]
                for (r0, _), arm in zip(path, paid[:trial], strict=False):
                    weight *= r[r0] if arm == 0 else 1 - r[r0]
                total += weight
                expected_r += weight * r[path[-1][0]]
                expected_i += weight * precision[path[-1][1]]
        assert found["p_reward_0"][trial] == pytest.approx(expected_r / total)
        assert found["volatility"][trial] == pytest.approx(-expected_i / total)


def test_behrens_learner_feels_more_volatility_where_there_is_more() -> None:
    task = stable_and_volatile()
    columns = play(FixedRate(task, 0.2), 60)
    player = BehrensLearner(task, points=(15, 8, 4))
    felt = player.follow(columns["choice"], columns["reward"])["volatility"]
    late = torch.arange(200) % 100 >= 60
    felt, truth = felt[late], columns["volatility"][late]
    assert felt[truth > 0].mean() > felt[truth == 0].mean() + 0.3


def test_behrens_learner_finds_a_stable_rate_and_its_reversal() -> None:
    paid = [0, 0, 1, 0] * 25 + [1] * 12
    found = follow(BehrensLearner(Volatility()), [*paid, 0])["p_reward_0"]
    assert found[0] == pytest.approx(0.5)
    assert found[100] == pytest.approx(0.75, abs=0.06)
    assert found[112] < 0.4


# Fixed learning rates.


def test_a_fixed_rate_weighs_outcomes_by_their_age() -> None:
    paid = [0, 1, 1, 0, 1, 0]
    found = follow(FixedRate(Volatility(), 0.3), paid)["p_reward_0"]
    for trial in range(6):
        weights = [0.3 * 0.7 ** (trial - 1 - past) for past in range(trial)]
        outcome = [1.0 if arm == 0 else 0.0 for arm in paid[:trial]]
        expected = 0.5 * 0.7**trial + float(np.dot(weights, outcome))
        assert found[trial] == pytest.approx(expected)


def test_trials_that_are_not_valid_teach_nothing() -> None:
    assert follow(FixedRate(Volatility(), 0.3), [0, -1, -1])["p_reward_0"][1:] == [
        0.65,
        0.65,
    ]


def test_stable_parts_want_a_lower_rate_than_volatile_ones() -> None:
    def best(volatility: float) -> float:
        task = Volatility(volatilities=(volatility,), payoffs=(0.75,))
        rates = (0.02, 0.1, 0.2, 0.3, 0.5)
        return max(rates, key=lambda rate: earned(FixedRate(task, rate), 300))

    assert best(0.0) < best(0.05)


def test_the_ideal_observer_earns_more_than_any_fixed_rate() -> None:
    task = stable_and_volatile()
    rates = [earned(FixedRate(task, rate), 400) for rate in (0.05, 0.2, 0.5)]
    assert earned(VolatilityObserver(task), 400) > max(rates) + 1


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(InputError, match=f"learning_rate is {rate}"):
        FixedRate(Volatility(), rate)


def test_a_grid_of_one_point_is_refused() -> None:
    with pytest.raises(InputError, match=r"points is \(20, 1, 5\)"):
        BehrensLearner(Volatility(), (20, 1, 5))
