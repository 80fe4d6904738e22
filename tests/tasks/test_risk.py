from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks import RiskyChoice, StOngeRats
from pfc_metarl.tasks.base import Episodes, Tape, Task
from pfc_metarl.tasks.observers import players
from pfc_metarl.tasks.observers.risk import GreedyRisk, RiskObserver
from pfc_metarl.tasks.risk import (
    MANIPULATIONS,
    RISKY_LOSS,
    RISKY_WIN,
    SAFE,
    RiskyChoiceEpisodes,
)

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]
Near = Callable[..., None]

EPISODES = 10_000
FIXATE = 2


def draw(task: RiskyChoice, n_episodes: int = EPISODES, seed: int = 1) -> Tape:
    return task.draw(n_episodes, torch.Generator().manual_seed(seed))


def reward_of(name: str, task: RiskyChoice, n_episodes: int = EPISODES) -> Tensor:
    """(episode,) sum of a player's rewards, on the same tape for all players."""
    player = players(task)[name]
    tape = draw(task, n_episodes)
    episodes = player.play(tape, torch.Generator().manual_seed(2))
    return episodes.trials()["reward"].double().sum(0)


@pytest.fixture(scope="module")
def million() -> Tape:
    return draw(RiskyChoice())


# Chance events.


def test_either_lever_may_be_risky_for_the_episode(million: Tape, near: Near) -> None:
    lever = million["risky_lever"]
    assert torch.equal(lever, lever[:1].expand_as(lever))
    near(lever[0], 0.5)


@pytest.mark.parametrize("p_win", [0.5, 0.125])
def test_the_risky_lever_pays_4_as_often_as_its_block_says(
    million: Tape, near: Near, p_win: float
) -> None:
    risky = million["payoff"].gather(-1, million["risky_lever"][..., None])[..., 0]
    assert set(risky.unique().tolist()) == {0, 4}
    near(risky[million["risky_prob"] == p_win] == 4, p_win)


def test_the_safe_lever_always_pays_1(million: Tape) -> None:
    safe = million["payoff"].gather(-1, 1 - million["risky_lever"][..., None])
    assert (safe == 1).all()


def test_blocks_shift_now_and_then(million: Tape, near: Near) -> None:
    prob = million["risky_prob"]
    near(prob[0] == 0.5, 0.5)
    near(prob[1:] != prob[:-1], 0.02)


def test_the_first_ten_trials_are_forced_five_to_either_lever(
    million: Tape, near: Near
) -> None:
    forced = million["forced"]
    assert (forced[:10].sum(0) == 5).all()
    assert (forced[:10] >= 0).all()
    assert (forced[10:] == -1).all()
    for trial in (0, 4, 9):
        near(forced[trial], 0.5)
    near(forced[0] == forced[1], 4 / 9)


def test_st_onges_rats_have_four_blocks_of_falling_probability(near: Near) -> None:
    tape = draw(StOngeRats(), 2000)
    blocks = tape["risky_prob"].view(4, 18, 2000)
    for block, p_win in zip(blocks, (1.0, 0.5, 0.25, 0.125), strict=True):
        assert (block == p_win).all()
    forced = tape["forced"].view(4, 18, 2000)
    assert (forced[:, :8].sum(1) == 4).all()
    assert (forced[:, 8:] == -1).all()


# Trials worked by hand.


def hand_tape(risky_lever: int, wins: list[int], forced: list[int]) -> Tape:
    """One episode, probability 0.5."""
    n = len(wins)
    risky = torch.tensor(wins)[:, None] * 4.0
    payoff = [torch.ones(n, 1), risky] if risky_lever else [risky, torch.ones(n, 1)]
    return {
        "risky_lever": torch.full((n, 1), risky_lever),
        "risky_prob": torch.full((n, 1), 0.5),
        "forced": torch.tensor(forced)[:, None],
        "payoff": torch.stack(payoff, dim=-1),
    }


@pytest.mark.parametrize("risky_lever", [0, 1])
def test_what_a_choice_brings_and_how_it_is_called(
    play: Play, risky_lever: int
) -> None:
    task = RiskyChoice(trials=4)
    tape = hand_tape(risky_lever, wins=[1, 0, 1, 0], forced=[-1] * 4)
    risky, safe = risky_lever, 1 - risky_lever
    actions = torch.tensor([risky, risky, safe, safe])[:, None]
    episodes, seen, earned = play(task, tape, actions)
    columns = episodes.trials()
    assert earned[:, 0].tolist() == columns["reward"][:, 0].tolist() == [4, 0, 1, 1]
    expected = [RISKY_WIN, RISKY_LOSS, SAFE, SAFE]
    assert columns["outcome"][:, 0].tolist() == expected
    assert columns["good_choice"][:, 0].tolist() == [risky] * 4
    assert not seen.any()


def test_a_forced_trial_shows_its_lever_and_takes_it(play: Play) -> None:
    task = RiskyChoice(trials=3)
    tape = hand_tape(1, wins=[1, 1, 1], forced=[1, 0, -1])
    episodes, seen, earned = play(task, tape, torch.tensor([0, 1, 1])[:, None])
    assert seen[:, 0].tolist() == [[0, 1], [1, 0], [0, 0], [0, 0]]
    assert earned[:, 0].tolist() == [4, 1, 4]
    columns = episodes.trials()
    assert columns["choice"][:, 0].tolist() == [1, 0, 1]
    assert columns["forced"][:, 0].tolist() == [1, 1, 0]


def test_with_fixation_the_lever_is_shown_at_the_choice(play: Play) -> None:
    task = RiskyChoice(trials=2, fixation=True)
    tape = hand_tape(1, wins=[1, 1], forced=[1, -1])
    actions = torch.tensor([0, FIXATE, FIXATE, FIXATE])[:, None]
    episodes, seen, earned = play(task, tape, actions)
    assert seen[:2, 0].tolist() == [[1, 0, 0, 0], [0, 1, 0, 1]]
    assert earned[:, 0].tolist() == [-1, 4, 0, -1]
    columns = episodes.trials()
    assert columns["valid"][:, 0].tolist() == [1, 0]
    assert columns["outcome"][:, 0].tolist() == [RISKY_WIN, -1]


def test_the_last_outcome_is_at_hand_after_every_choice() -> None:
    task = RiskyChoice(trials=30, fixation=True)
    tape = draw(task, 20)
    episodes = task.begin(tape)
    assert isinstance(episodes, RiskyChoiceEpisodes)
    generator = torch.Generator().manual_seed(3)
    seen = []
    for _ in range(30):
        episodes.step(torch.full((20,), FIXATE))
        episodes.step(torch.randint(3, (20,), generator=generator))
        seen.append(episodes.last_outcome)
    assert torch.equal(torch.stack(seen), episodes.trials()["outcome"])


@pytest.mark.parametrize(
    ("prob", "good"), [(0.5, "risky"), (0.125, "safe"), (0.25, None)]
)
def test_the_good_choice_has_the_higher_expected_reward(prob: float, good: Any) -> None:
    task = RiskyChoice(risky_probs=(prob,), trials=1)
    columns = task.latent_columns(draw(task, 50))
    lever = columns["risky_lever"]
    expected = {"risky": lever, "safe": 1 - lever, None: torch.full_like(lever, -1)}
    assert torch.equal(columns["good_choice"], expected[good])


def test_the_manipulations_are_the_three_of_the_paper() -> None:
    changes = {m.outcome: m.change for m in MANIPULATIONS.values()}
    assert changes == {RISKY_WIN: -4, SAFE: -1, RISKY_LOSS: 1}


# Players.


def enumerated_p_win(task: RiskyChoice, trials: list[tuple[bool, bool]]) -> float:
    """P(next risky choice pays | (risky, win) of the trials), over hidden histories."""
    kinds = range(len(task.risky_probs))
    weights, pays = 0.0, 0.0
    for history in product(kinds, repeat=len(trials) + 1):
        weight = 1 / len(kinds)
        for before, after in pairwise(history):
            shift = task.p_shift / (len(kinds) - 1)
            weight *= 1 - task.p_shift if before == after else shift
        for kind, (risky, win) in zip(history, trials, strict=False):
            p_win = task.risky_probs[kind]
            weight *= (p_win if win else 1 - p_win) if risky else 1
        weights += weight
        pays += weight * task.risky_probs[history[-1]]
    return pays / weights


@pytest.mark.parametrize(
    "task",
    [
        RiskyChoice(trials=6, forced_trials=2, p_shift=0.2),
        RiskyChoice(
            trials=5, forced_trials=0, risky_probs=(0.6, 0.3, 0.1), p_shift=0.3
        ),
    ],
    ids=["two kinds", "three kinds"],
)
def test_the_greedy_player_weighs_every_hidden_history(task: RiskyChoice) -> None:
    n = 200
    tape = draw(task, n)
    columns = GreedyRisk(task).play(tape, torch.Generator().manual_seed(2)).trials()
    outcome, choice = columns["outcome"].T.tolist(), columns["choice"].T.tolist()
    free = 0
    for episode in range(n):
        lever = int(columns["risky_lever"][0, episode])
        for trial in range(max(task.forced_trials, 1), task.trials):
            before = [(o > SAFE, o == RISKY_WIN) for o in outcome[episode][:trial]]
            p_win = enumerated_p_win(task, before)
            if abs(4 * p_win - 1) > 1e-9:
                expected = lever if 4 * p_win > 1 else 1 - lever
                assert choice[episode][trial] == expected
                free += 1
    assert free > n


def optimum(task: RiskyChoice, trial: int, belief: np.ndarray[Any, Any]) -> float:
    """Expected reward of the best choices from a trial on, by every outcome."""
    if trial == task.trials:
        return 0.0
    chain = np.array(
        [[1 - task.p_shift, task.p_shift], [task.p_shift, 1 - task.p_shift]]
    )
    p_win = np.array(task.risky_probs)
    safe = 1 + optimum(task, trial + 1, belief @ chain)
    risky = 0.0
    for likelihood, paid in ((p_win, 4.0), (1 - p_win, 0.0)):
        p = float(belief @ likelihood)
        after = belief * likelihood / p @ chain
        risky += p * (paid + optimum(task, trial + 1, after))
    return max(safe, risky)


@pytest.mark.parametrize("first", [0.02, 0.3, 0.5, 0.9])
def test_the_ideal_player_plans_as_if_it_tried_everything(first: float) -> None:
    task = RiskyChoice(trials=9, p_shift=0.05)
    belief = torch.tensor([first, 1 - first], dtype=torch.float64)
    planned = RiskObserver(task)._values(0, belief).max().item()
    assert planned == pytest.approx(optimum(task, 0, belief.numpy()), abs=2e-5)


def test_the_ideal_player_earns_what_it_plans() -> None:
    task = RiskyChoice()
    earned = reward_of("ideal", task)
    tape = draw(task)
    forced = tape["payoff"].gather(-1, tape["forced"][:10, :, None])
    player = RiskObserver(task)
    belief = player._prior.expand(EPISODES, -1)
    for trial in range(10):
        risky = tape["forced"][trial] == tape["risky_lever"][trial]
        win = forced[trial, :, 0] > 0
        belief = player._update(trial, belief, risky, win)
    planned = forced.sum((0, 2)) + player._values(10, belief).amax(-1)
    difference = earned - planned
    assert abs(difference.mean()) < 4 * difference.std() / EPISODES**0.5


@pytest.mark.parametrize("task", [RiskyChoice(), RiskyChoice(forced_trials=0)])
def test_looking_ahead_pays(task: RiskyChoice) -> None:
    gain = reward_of("ideal", task) - reward_of("greedy Bayes", task)
    assert gain.mean() > 4 * gain.std() / EPISODES**0.5


def test_where_the_blocks_are_known_expected_reward_decides() -> None:
    task = StOngeRats()
    episodes = players(task)["ideal"].play(draw(task, 200), torch.Generator())
    columns = episodes.trials()
    free = columns["forced"] == 0
    took_risk = columns["choice"] == columns["risky_lever"]
    assert took_risk[free & (columns["risky_prob"] > 0.25)].all()
    assert not took_risk[free & (columns["risky_prob"] < 0.25)].any()


def test_more_kinds_of_block_than_the_plan_can_hold_are_refused() -> None:
    with pytest.raises(InputError, match="risky_probs has 3 kinds"):
        RiskObserver(RiskyChoice(risky_probs=(0.5, 0.25, 0.125)))


# What is refused.


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("safe_reward", 0.0),
        ("safe_reward", 4.0),
        ("risky_probs", ()),
        ("risky_probs", (0.5, 1.5)),
        ("p_shift", -0.1),
        ("block_trials", -1),
        ("block_trials", 8),
        ("forced_trials", 3),
        ("forced_trials", -2),
        ("trials", 0),
    ],
)
def test_a_parameter_out_of_range_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=name):
        replace(RiskyChoice(), **{name: value})
