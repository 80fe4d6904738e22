from dataclasses import replace
from functools import cache
from itertools import product
from math import comb
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.special import beta
from scipy.stats import beta as beta_distribution
from torch import Tensor

from pfc_metarl.analysis import regret
from pfc_metarl.errors import InputError
from pfc_metarl.recording import behaviour
from pfc_metarl.tasks import Bandit
from pfc_metarl.tasks.bandit import independent_bandit, medium_bandit
from pfc_metarl.tasks.base import Task
from pfc_metarl.tasks.observers import ideal_observer, players
from pfc_metarl.tasks.observers.bandit import (
    BanditObserver,
    GreedyBayes,
    posterior_mean,
    two_armed_optimum,
)
from pfc_metarl.tasks.observers.bandits import (
    UCB1,
    IndexPlayer,
    RescorlaWagner,
    ThompsonSampling,
    WinStayLoseShift,
    choose_highest,
)
from pfc_metarl.tasks.observers.base import Player
from pfc_metarl.tasks.observers.gittins import (
    Gittins,
    discounted_indices,
    finite_indices,
)

EPISODES = 5_000
FORTY = replace(independent_bandit(), trials=40)
UNEVEN = ((0.9, 0.5), (0.1, 0.5), (0.3, 0.8))


def generator(seed: int = 2) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def total_regret(player: Player, task: Task, n: int = EPISODES) -> tuple[float, float]:
    """Expected regret per episode and its standard error."""
    episodes = player.play(task.draw(n, generator(1)), generator(2))
    found = regret(behaviour(episodes, ["player"], {}))
    return found.total_regret.item(), found.sem.item()


def counts(*pairs: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Wins and pulls of one episode from (wins, losses) of each arm."""
    wins, losses = torch.tensor([pairs], dtype=torch.float64).unbind(-1)
    return wins, wins + losses


# Regret on the correlated bandit 0.75/0.25, over 100 trials.


def regret_of_bayes() -> float:
    """Evidence for the good arm is a walk with steps +1 (0.75) and -1."""
    lost = 0.0
    for trial in range(100):
        for steps_up in range(trial + 1):
            chance = comb(trial, steps_up) * 0.75**steps_up * 0.25 ** (trial - steps_up)
            evidence = 2 * steps_up - trial
            lost += 0.5 * chance * ((evidence < 0) + 0.5 * (evidence == 0))
    return lost


def test_the_closed_forms_are_the_published_anchors() -> None:
    assert regret_of_bayes() == pytest.approx(1.0, abs=0.001)
    assert pytest.approx(12.6, abs=0.03) == 0.5 * (0.5 + 99 * 0.25)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ideal", regret_of_bayes()),
        ("greedy Bayes", regret_of_bayes()),
        # After a trial with either arm the good one is chosen with probability 0.75.
        ("win-stay-lose-shift", 0.5 * (0.5 + 99 * 0.25)),
        ("random", 25.0),
    ],
)
def test_regret_is_that_of_the_closed_form(name: str, expected: float) -> None:
    mean, error = total_regret(players(medium_bandit())[name], medium_bandit())
    assert abs(mean - expected) < 4 * error


@pytest.mark.parametrize(
    ("name", "expected"),
    [("UCB1", 4.74), ("Thompson", 2.91)],  # measured elsewhere, errors below 0.1
)
def test_regret_is_what_was_measured_apart_from_this_package(
    name: str, expected: float
) -> None:
    mean, error = total_regret(players(medium_bandit())[name], medium_bandit())
    assert abs(mean - expected) < 3 * (0.1**2 + error**2) ** 0.5


@pytest.mark.parametrize("task", [Bandit(trials=40), medium_bandit(), FORTY])
def test_the_ideal_observer_earns_most(task: Bandit) -> None:
    loss = {name: total_regret(p, task, 1_000) for name, p in players(task).items()}
    best, _ = loss.pop("ideal")
    assert all(best < other + 3 * error for other, error in loss.values())


def test_the_ideal_observer_earns_what_dynamic_programming_says() -> None:
    episodes = ideal_observer(FORTY).play(FORTY.draw(4_000, generator(1)), generator(2))
    total = episodes.trials()["reward"].double().sum(0)
    error = total.std().item() / 4_000**0.5
    assert abs(total.mean().item() - two_armed_optimum(FORTY).reward) < 4 * error


# Optimality, against every history of short episodes.

History = tuple[tuple[int, int], ...]  # (choice, reward) of each trial


def likelihood(task: Bandit, history: History) -> float:
    """Chance of the rewards given the choices, averaged over all problems."""
    won0, lost0, won1, lost1 = (
        history.count(event) for event in ((0, 1), (0, 0), (1, 1), (1, 0))
    )
    if task.distribution == "correlated":
        return float(beta(1 + won0 + lost1, 1 + lost0 + won1))
    if task.distribution == "independent":
        return float(beta(1 + won0, 1 + lost0) * beta(1 + won1, 1 + lost1))
    chances = [
        p**won0 * (1 - p) ** lost0 * q**won1 * (1 - q) ** lost1
        for p, q in task.problems
    ]
    return sum(chances) / len(chances)


def chance_of_reward(task: Bandit, history: History, arm: int) -> float:
    won, lost = (likelihood(task, (*history, (arm, reward))) for reward in (1, 0))
    return won / (won + lost) if won + lost else 0.5  # impossible: of no weight


def worth_of_arms(task: Bandit, history: History) -> list[float]:
    """Expected reward to come after each choice, all choices after it being best."""
    if len(history) == task.trials:
        return [0.0, 0.0]
    worth = []
    for arm in (0, 1):
        p = chance_of_reward(task, history, arm)
        win, loss = (
            max(worth_of_arms(task, (*history, (arm, reward)))) for reward in (1, 0)
        )
        worth.append(p * (1 + win) + (1 - p) * loss)
    return worth


SHORT = {
    "correlated": Bandit(trials=4),
    "independent": Bandit(trials=4, distribution="independent"),
    "medium": Bandit(
        trials=4, distribution="listed", problems=((0.75, 0.25), (0.25, 0.75))
    ),
    "uneven": Bandit(trials=4, distribution="listed", problems=UNEVEN),
    "certain": Bandit(trials=4, distribution="listed", problems=((1, 0.5), (0, 0.5))),
}


@pytest.mark.parametrize("task", SHORT.values(), ids=SHORT)
def test_the_optimum_is_that_over_every_history(task: Bandit) -> None:
    expected = max(worth_of_arms(task, ()))
    assert two_armed_optimum(task).reward == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("task", SHORT.values(), ids=SHORT)
def test_the_ideal_observer_makes_the_best_choice_after_every_history(
    task: Bandit,
) -> None:
    observer = BanditObserver(task)
    events = list(product((0, 1), (0, 1)))
    for length in range(task.trials):
        for history in product(events, repeat=length):
            if likelihood(task, history) == 0:
                continue
            wins, pulls = counts(
                *((history.count((arm, 1)), history.count((arm, 0))) for arm in (0, 1))
            )
            first, second = observer.index(wins, pulls, generator())[0].tolist()
            worth = worth_of_arms(task, history)
            if abs(worth[0] - worth[1]) < 1e-9:
                assert abs(first - second) < 1e-9, history
            else:
                assert (first > second) == (worth[0] > worth[1]), history


@pytest.mark.parametrize("task", SHORT.values(), ids=SHORT)
def test_the_posterior_mean_is_the_chance_of_reward(task: Bandit) -> None:
    history = ((0, 1), (1, 0), (0, 1))
    wins, pulls = counts((2, 0), (0, 1))
    expected = [chance_of_reward(task, history, arm) for arm in (0, 1)]
    found = posterior_mean(task, wins, pulls)[0].tolist()
    assert found == pytest.approx(expected, abs=1e-12)


def test_greedy_bayes_earns_less_where_exploring_pays() -> None:
    greedy, error = total_regret(GreedyBayes(FORTY), FORTY)
    best, _ = total_regret(BanditObserver(FORTY), FORTY)
    assert greedy > best + 4 * error


# The Gittins index.


@pytest.mark.parametrize(
    ("discount", "wins", "losses", "published"),
    [
        # Gittins, Glazebrook & Weber 2011, tables for Bernoulli arms, as printed also
        # in Christian & Griffiths 2016, Algorithms to Live By, chapter 2.
        (0.9, 0, 0, 0.7029),
        (0.9, 1, 0, 0.8001),
        (0.9, 0, 1, 0.5001),
        (0.9, 1, 1, 0.6346),
        (0.9, 2, 2, 0.6010),
        (0.9, 9, 1, 0.8695),
        (0.95, 0, 0, 0.7614),
        (0.99, 0, 0, 0.8699),
        (0.99, 1, 0, 0.9102),
        (0.99, 0, 1, 0.7005),
    ],
)
def test_indices_are_the_published_ones(
    discount: float, wins: int, losses: int, published: float
) -> None:
    found = discounted_indices(20, discount)[wins, losses].item()
    assert found == pytest.approx(published, abs=1e-4)


def gain(sure: float, left: int, wins: int, losses: int) -> float:
    """What an arm brings beyond a sure payoff, which can be taken for good."""

    @cache
    def worth(left: int, wins: int, losses: int) -> float:
        return max(left * sure, go_on(left, wins, losses)) if left else 0.0

    def go_on(left: int, wins: int, losses: int) -> float:
        p = (1 + wins) / (2 + wins + losses)
        win, loss = worth(left - 1, wins + 1, losses), worth(left - 1, wins, losses + 1)
        return p * (1 + win) + (1 - p) * loss

    return go_on(left, wins, losses) - left * sure


@pytest.mark.parametrize(
    ("left", "wins", "losses"),
    [(1, 3, 2), (2, 0, 0), (3, 0, 4), (8, 2, 1), (15, 3, 2), (20, 0, 0)],
)
def test_indices_of_a_known_number_of_trials_solve_their_equation(
    left: int, wins: int, losses: int
) -> None:
    expected = brentq(gain, 0, 1, args=(left, wins, losses))
    found = finite_indices(20)[left, wins, losses].item()
    assert found == pytest.approx(expected, abs=5e-4)


def test_with_one_trial_left_the_index_is_the_mean() -> None:
    assert finite_indices(20)[1, 4, 2].item() == pytest.approx(5 / 8)
    assert finite_indices(20)[2, 0, 0].item() == pytest.approx(5 / 9, abs=1e-4)


def test_for_trials_without_end_the_highest_index_is_the_best_choice() -> None:
    discount = 0.6  # after 16 trials 0.0003 is left

    @cache
    def worth(depth: int, *state: int) -> tuple[float, float]:
        if depth == 16:
            return 0.0, 0.0
        values = []
        for arm in (0, 1):
            won, lost = state[2 * arm : 2 * arm + 2]
            p = (1 + won) / (2 + won + lost)
            after_win, after_loss = list(state), list(state)
            after_win[2 * arm] += 1
            after_loss[2 * arm + 1] += 1
            win, loss = (max(worth(depth + 1, *s)) for s in (after_win, after_loss))
            values.append(p * (1 + discount * win) + (1 - p) * discount * loss)
        return values[0], values[1]

    index = discounted_indices(10, discount)
    for state in product(range(3), repeat=4):
        first, second = worth(0, *state)
        if abs(first - second) > 2e-3:
            higher = index[state[0], state[1]] > index[state[2], state[3]]
            assert higher.item() == (first > second), state


@pytest.mark.parametrize("discount", [0.0, 1.0, -0.5, float("nan")])
def test_a_discount_that_is_none_is_refused(discount: float) -> None:
    with pytest.raises(InputError, match="discount is"):
        Gittins(Bandit(), discount)


# The baselines.


def test_thompson_samples_from_the_belief_about_each_arm() -> None:
    wins, pulls = (x.expand(200_000, -1) for x in counts((3, 1), (0, 2)))
    sample = ThompsonSampling(Bandit()).index(wins, pulls, generator())
    for arm, belief in enumerate((beta_distribution(4, 2), beta_distribution(1, 3))):
        below = sample[:, arm].numpy() < belief.ppf(0.3)
        assert abs(below.mean() - 0.3) < 4 * (0.3 * 0.7 / 200_000) ** 0.5


def test_ucb1_adds_the_bonus_of_auer() -> None:
    wins, pulls = counts((3, 1), (1, 1))
    index = UCB1(Bandit(), bonus=2.0).index(wins, pulls, generator())[0].tolist()
    log_n = np.log(6)
    expected = [0.75 + (2 * log_n / 4) ** 0.5, 0.5 + (2 * log_n / 2) ** 0.5]
    assert index == pytest.approx(expected)


def test_ucb1_tries_every_arm_first() -> None:
    task = independent_bandit(6)
    columns = UCB1(task).play(task.draw(50, generator(1)), generator(2)).trials()
    assert (columns["choice"][:6].sort(0).values == torch.arange(6)[:, None]).all()


def test_win_stay_lose_shift_stays_and_shifts(near: Any) -> None:
    task = independent_bandit(3)
    columns = WinStayLoseShift(task).play(task.draw(500, generator(1)), generator(2))
    choice, reward = (columns.trials()[name] for name in ("choice", "reward"))
    stays = choice[1:] == choice[:-1]
    assert torch.equal(stays, reward[:-1] == 1)
    near((choice[1:] - choice[:-1])[~stays] % 3 == 1, 0.5)


def test_rescorla_wagner_moves_its_value_and_chooses_by_softmax(near: Any) -> None:
    task = Bandit(trials=2)
    player = RescorlaWagner(task, learning_rate=0.4, inverse_temperature=5.0)
    columns = player.play(task.draw(100_000, generator(1)), generator(2)).trials()
    near(columns["choice"][0] == 0, 0.5)
    stays = columns["choice"][1] == columns["choice"][0]
    won = columns["reward"][0] == 1
    near(stays[won], 1 / (1 + np.exp(-5 * 0.2)))  # V is 0.7 and 0.5
    near(stays[~won], 1 / (1 + np.exp(5 * 0.2)))


def test_ties_are_broken_by_chance(near: Any) -> None:
    index = torch.tensor([1.0, 3.0, 3.0, torch.inf, torch.inf]).double()
    choice = choose_highest(index.expand(100_000, -1), generator())
    assert set(choice.tolist()) == {3, 4}
    near(choice == 3, 0.5)
    assert choose_highest(index[:3].expand(1_000, -1), generator()).min() == 1


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (UCB1, {"bonus": -1.0}),
        (RescorlaWagner, {"learning_rate": 1.5}),
        (RescorlaWagner, {"inverse_temperature": -1.0}),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(
    make: type[IndexPlayer], wrong: dict[str, float]
) -> None:
    (name,) = wrong
    with pytest.raises(InputError, match=f"{name} is"):
        make(Bandit(), **wrong)


def test_the_optimum_of_more_than_two_arms_is_refused() -> None:
    with pytest.raises(InputError, match="arms is 3"):
        two_armed_optimum(independent_bandit(3))
