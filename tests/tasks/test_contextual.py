from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks import BarcodeBandit
from pfc_metarl.tasks.base import Episodes, Tape, Task
from pfc_metarl.tasks.contextual import draw_barcodes
from pfc_metarl.tasks.observers import players
from pfc_metarl.tasks.observers.contextual import BarcodeObserver, free_arm_weights

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]
Near = Callable[..., None]

SMALL = BarcodeBandit(arms=3, contexts=3, visit_trials=2, barcode_bits=3, trials=12)


def draw(task: BarcodeBandit, n_episodes: int, seed: int = 1) -> Tape:
    return task.draw(n_episodes, torch.Generator().manual_seed(seed))


def columns_of(name: str, task: BarcodeBandit, n_episodes: int) -> dict[str, Tensor]:
    player = players(task)[name]
    tape = draw(task, n_episodes)
    return player.play(tape, torch.Generator().manual_seed(2)).trials()


@pytest.fixture(scope="module")
def tape() -> Tape:
    return draw(BarcodeBandit(), 200)


# Contexts.


def test_an_episode_is_ten_visits_of_ten_trials_to_each_of_ten_contexts(
    tape: Tape,
) -> None:
    context = tape["context"].view(100, 10, 200)
    assert torch.equal(context, context[:, :1].expand_as(context))
    for number in range(10):
        assert ((context[:, 0] == number).sum(0) == 10).all()


def test_visits_come_in_random_order(tape: Tape, near: Near) -> None:
    context = tape["context"][::10]
    near(context[0] == 3, 0.1)
    near(context[1:] == context[:-1], 9 / 99)


def test_visits_are_counted_from_0(tape: Tape) -> None:
    context, visit = tape["context"][::10, 0].tolist(), tape["visit"][::10, 0].tolist()
    seen: dict[int, int] = {}
    for number, before in zip(context, visit, strict=True):
        assert before == seen.get(number, 0)
        seen[number] = before + 1


def test_every_context_has_a_barcode_and_a_good_arm_of_its_own(tape: Tape) -> None:
    for episode in range(200):
        rows = zip(
            tape["context"][:, episode].tolist(),
            tape["good_arm"][:, episode].tolist(),
            map(tuple, tape["barcode"][:, episode].tolist()),
            strict=True,
        )
        kinds = set(rows)
        assert [len({kind[k] for kind in kinds}) for k in range(3)] == [10, 10, 10]
        assert len(kinds) == 10


def test_a_context_may_have_any_good_arm(near: Near) -> None:
    tape = draw(SMALL, 20_000)
    first = tape["context"] == 0
    for arm in range(3):
        near(tape["good_arm"][first.cumsum(0).eq(1) & first] == arm, 1 / 3)


def test_with_more_contexts_than_arms_every_arm_is_good_somewhere() -> None:
    task = replace(SMALL, contexts=5, visit_trials=1, trials=5)
    good = draw(task, 500)["good_arm"]
    assert {len(set(episode)) for episode in good.T.tolist()} == {3}


def test_barcodes_are_different_and_never_blank(near: Near) -> None:
    codes = draw_barcodes(5000, 7, 3, torch.Generator().manual_seed(1))
    number = codes @ torch.tensor([1.0, 2.0, 4.0])
    all_codes = torch.arange(1.0, 8.0)[:, None].expand(-1, 5000)
    assert torch.equal(number.sort(0).values, all_codes)
    near(number[0] == 5, 1 / 7)


@pytest.mark.parametrize(("good", "p_reward"), [(True, 0.9), (False, 0.1)])
def test_the_good_arm_pays_and_the_others_hardly(
    tape: Tape, near: Near, good: bool, p_reward: float
) -> None:
    is_good = torch.arange(10) == tape["good_arm"].unsqueeze(-1)
    near(tape["payoff"][is_good == good], p_reward)


def test_a_last_round_may_be_cut_short() -> None:
    context = draw(replace(SMALL, trials=7), 50)["context"]
    assert context.shape == (7, 50)
    for episode in context.T.tolist():
        assert max(map(episode.count, set(episode))) <= 4  # two visits of two


# What is seen.


def test_the_barcode_is_shown_with_every_choice_and_gone_at_the_end(play: Play) -> None:
    tape = draw(SMALL, 20)
    _, seen, _ = play(SMALL, tape, torch.zeros(12, 20, dtype=torch.int64))
    assert torch.equal(seen[:-1], tape["barcode"])
    assert not seen[-1].any()


def test_the_barcode_is_not_shown_at_fixation(play: Play) -> None:
    task = replace(SMALL, fixation=True)
    tape = draw(task, 20)
    actions = torch.tensor([3, 0]).repeat(12)[:, None].expand(-1, 20)
    _, seen, _ = play(task, tape, actions)
    assert not seen[::2, :, 2:].any()
    assert torch.equal(seen[1::2, :, 2:], tape["barcode"])


def test_the_arm_chosen_pays(play: Play) -> None:
    tape = draw(SMALL, 20)
    arms = torch.randint(3, (12, 20), generator=torch.Generator().manual_seed(3))
    episodes, _, earned = play(SMALL, tape, arms)
    assert torch.equal(earned, tape["payoff"].gather(-1, arms[..., None])[..., 0])
    for name in ("context", "visit", "good_arm"):
        assert torch.equal(episodes.trials()[name], tape[name])


# Players.


@pytest.mark.parametrize(("contexts", "arms"), [(0, 3), (1, 3), (2, 4), (3, 4), (4, 5)])
def test_weights_of_free_arms_are_sums_over_all_ways_to_give_arms(
    contexts: int, arms: int
) -> None:
    generator = torch.Generator().manual_seed(contexts)
    evidence = 3 * torch.randn((7, contexts, arms), generator=generator).double()
    found = free_arm_weights(evidence).numpy()
    for case in range(7):
        expected = np.zeros(arms)
        for given in permutations(range(arms), contexts):
            log_weight = sum(evidence[case, c, b] for c, b in enumerate(given))
            weight = np.exp(float(log_weight))
            for arm in set(range(arms)) - set(given):
                expected[arm] += weight
        np.testing.assert_allclose(
            found[case] / found[case].sum(), expected / expected.sum(), rtol=1e-9
        )


def enumerated_posterior(
    task: BarcodeBandit, trials: list[tuple[int, int, float]], context: int
) -> list[float]:
    """P(arm is good in the context | (context, arm, reward) of the trials)."""
    weights = [0.0] * task.arms
    for good in permutations(range(task.arms), task.contexts):
        weight = 1.0
        for where, arm, reward in trials:
            p = task.p_good if good[where] == arm else task.p_bad
            weight *= p if reward else 1 - p
        weights[good[context]] += weight
    return [weight / sum(weights) for weight in weights]


@pytest.mark.parametrize(
    "task",
    [SMALL, replace(SMALL, arms=4, p_good=0.7, p_bad=0.3), replace(SMALL, p_bad=0.0)],
    ids=["as many arms", "an arm to spare", "arms that never pay"],
)
def test_the_ideal_player_chooses_by_the_exact_posterior(task: BarcodeBandit) -> None:
    n = 40
    columns = columns_of("ideal", task, n)
    for episode in range(n):
        context, choice, reward = (
            columns[name][:, episode].tolist()
            for name in ("context", "choice", "reward")
        )
        trials = list(zip(context, choice, reward, strict=True))
        for trial in range(task.trials):
            posterior = enumerated_posterior(task, trials[:trial], context[trial])
            assert posterior[choice[trial]] == pytest.approx(max(posterior))


def optimum_and_greedy(task: BarcodeBandit) -> tuple[float, float]:
    """Expected reward of the best and of the greedy choices, by dynamic programming.

    Visits are to contexts 0, 1, ... in turn; greedy ties are broken by chance.
    """

    def value(trials: tuple[tuple[int, int, float], ...], greedy: bool) -> float:
        if len(trials) == task.trials:
            return 0.0
        context = len(trials) // task.visit_trials % task.contexts
        posterior = enumerated_posterior(task, list(trials), context)
        top = max(posterior)
        arms = [a for a, p in enumerate(posterior) if p > top - 1e-9 or not greedy]
        values = []
        for arm in arms:
            p = posterior[arm] * (task.p_good - task.p_bad) + task.p_bad
            paid, unpaid = (
                reward + value((*trials, (context, arm, reward)), greedy)
                for reward in (1.0, 0.0)
            )
            values.append(p * paid + (1 - p) * unpaid)
        return sum(values) / len(values) if greedy else max(values)

    return value((), False), value((), True)


def test_in_a_single_context_the_greedy_choice_is_optimal() -> None:
    task = replace(SMALL, contexts=1, visit_trials=5, trials=5, p_good=0.8, p_bad=0.3)
    best, greedy = optimum_and_greedy(task)
    assert greedy == pytest.approx(best, rel=1e-12)


def test_with_contexts_that_exclude_one_another_it_is_as_good_as_optimal() -> None:
    best, greedy = optimum_and_greedy(replace(SMALL, visit_trials=1, trials=5))
    assert greedy == pytest.approx(best, rel=2e-4)


def test_memory_of_visits_is_what_makes_the_later_ones_right(near: Near) -> None:
    task, n = BarcodeBandit(trials=500), 40
    ideal, forgetful = (
        columns_of(name, task, n) for name in ("ideal", "no memory of visits")
    )
    right = {
        name: (columns["choice"] == columns["good_arm"])[columns["visit"] >= 2]
        for name, columns in {"ideal": ideal, "forgetful": forgetful}.items()
    }
    assert right["ideal"].double().mean() > 0.99
    assert right["forgetful"].double().mean() < 0.5


def test_without_memory_no_visit_is_better_than_the_first(near: Near) -> None:
    task = replace(SMALL, visit_trials=4, trials=12 * 4)
    columns = columns_of("no memory of visits", task, 4000)
    right = (columns["choice"] == columns["good_arm"]).view(12, 4, 4000)
    near(right[:, 0], 1 / 3)
    expected = right[0, 3].double().mean()
    error = (expected * (1 - expected) / 4000).sqrt()
    assert (right[:, 3].double().mean(-1) - expected).abs().max() < 5 * error


def test_more_contexts_than_arms_are_refused() -> None:
    with pytest.raises(InputError, match="contexts is 4"):
        BarcodeObserver(replace(SMALL, contexts=4))


# What is refused.


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("arms", 1),
        ("contexts", 0),
        ("contexts", 8),
        ("visit_trials", 0),
        ("barcode_bits", 0),
        ("barcode_bits", 17),
        ("p_good", 0.1),
        ("p_bad", -0.1),
        ("trials", 0),
    ],
)
def test_a_parameter_out_of_range_is_refused_by_name(name: str, value: Any) -> None:
    expected = "barcode_bits is 3" if value == 8 else f"{name}( is)? {value}"
    with pytest.raises(InputError, match=expected):
        replace(SMALL, **{name: value})
