from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import pairwise, product
from typing import Any

import pytest
import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks import EpisodicTwoStep, TwoStep
from pfc_metarl.tasks.base import Episodes, Tape, Task
from pfc_metarl.tasks.observers import players
from pfc_metarl.tasks.observers.episodic_two_step import EpisodicTwoStepObserver

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]
Near = Callable[..., None]
Outcome = tuple[int, int, float]  # choice, second-step state, reward

FIXATE = 2


def draw(task: EpisodicTwoStep, n_episodes: int, seed: int = 1) -> Tape:
    return task.draw(n_episodes, torch.Generator().manual_seed(seed))


def random_actions(task: EpisodicTwoStep, n_episodes: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(task.n_actions, (task.steps, n_episodes), generator=generator)


def columns_of(name: str, task: EpisodicTwoStep, n_episodes: int) -> dict[str, Tensor]:
    player = players(task)[name]
    tape = draw(task, n_episodes)
    return player.play(tape, torch.Generator().manual_seed(2)).trials()


# Cues.


def test_the_second_half_is_cued_each_quarter_by_its_own(near: Near) -> None:
    cued = draw(EpisodicTwoStep(), 4000)["cued_trial"]
    assert (cued[:50] == -1).all()
    assert cued[50:75].unique().tolist() == list(range(25))
    assert cued[75:].unique().tolist() == list(range(25, 50))
    near(cued[50:75] == 7, 1 / 25)
    near(cued[76] == cued[75], 1 / 25)


@pytest.mark.parametrize("trials", range(1, 10))
def test_in_short_episodes_too_cues_recall_uncued_trials(trials: int) -> None:
    cued = draw(EpisodicTwoStep(trials=trials), 50)["cued_trial"]
    n_uncued = (trials + 1) // 2
    assert cued.shape == (trials, 50)
    assert (cued[:n_uncued] == -1).all()
    assert ((cued[n_uncued:] >= 0) & (cued[n_uncued:] < n_uncued)).all()


def test_every_trial_has_a_context_of_its_own() -> None:
    barcode = draw(EpisodicTwoStep(), 30)["barcode"]
    for episode in range(30):
        assert len(barcode[:, episode].unique(dim=0)) == 100
    assert barcode.any(-1).all()


# What is paid and shown.


def test_uncued_trials_are_those_of_the_two_step_task(play: Play) -> None:
    task = EpisodicTwoStep(trials=40)
    plain = TwoStep(p_common=0.9, p_reversal=0.1, trials=40)
    tape, actions = draw(task, 50), random_actions(task, 50)
    one, seen, earned = play(task, tape, actions)
    other, plain_seen, plain_earned = play(plain, tape, actions)
    assert torch.equal(seen[:40, :, :3], plain_seen[:40])
    assert torch.equal(earned[:40], plain_earned[:40])
    columns, plain_columns = one.trials(), other.trials()
    for name in ("choice", "state2", "transition_common"):  # in cued trials too
        assert torch.equal(columns[name], plain_columns[name])
    for name in ("good_state", "good_choice", "reward"):
        assert torch.equal(columns[name][:20], plain_columns[name][:20])


@pytest.mark.parametrize("fixation", [False, True])
def test_an_outcome_comes_back_with_its_context_and_only_then(
    play: Play, fixation: bool
) -> None:
    task, n = EpisodicTwoStep(trials=30, fixation=fixation), 60
    tape, actions = draw(task, n), random_actions(task, n)
    episodes, seen, earned = play(task, tape, actions)
    columns = episodes.trials()
    bits = seen[..., -10:]
    choice_step, state_step = fixation, 1 + fixation
    repeated = 0
    for trial, episode in product(range(30), range(n)):
        first = trial * task.steps_per_trial
        state = int(columns["state2"][trial, episode])
        cue, context = (
            bits[first + choice_step, episode],
            bits[first + state_step, episode],
        )
        cued = int(tape["cued_trial"][trial, episode])
        own, blank = tape["barcode"][trial, episode], torch.zeros(10)
        then = int(columns["state2"][cued, episode]) if cued >= 0 else -1
        recalled = tape["barcode"][cued, episode] if cued >= 0 else blank
        again = state >= 0 and state == then
        assert torch.equal(cue, recalled)
        assert torch.equal(context, blank if state < 0 else recalled if again else own)
        reward = columns["reward"][trial, episode]
        if again:
            assert reward == columns["reward"][cued, episode]
            repeated += 1
        elif state >= 0:
            assert reward == tape[f"outcome{state}"][trial, episode]
        else:
            assert reward.isnan()
        if state >= 0:
            assert earned[first + state_step, episode] == reward
    assert repeated > n
    if fixation:
        assert not bits[:: task.steps_per_trial].any()


def test_the_good_state_of_a_cued_trial_weighs_the_sure_reward(play: Play) -> None:
    task = EpisodicTwoStep(trials=30)
    tape = draw(task, 100)
    columns = play(task, tape, random_actions(task, 100))[0].trials()
    cued = tape["cued_trial"].clamp(min=0)
    state = columns["state2"].gather(0, cued)
    paid = columns["reward"].gather(0, cued) == 1
    expected = torch.where(paid, state, 1 - state)  # 1 or 0 against 0.1 or 0.9
    later = columns["cued_trial"] >= 0
    assert later.sum() == 15 * 100
    assert torch.equal(columns["good_state"][later], expected[later])
    assert torch.equal(columns["good_choice"][later], expected[later])


# Players.


def p_outcome(task: EpisodicTwoStep, block: int, outcome: Outcome) -> float:
    choice, state, reward = outcome
    reach = task.p_common if choice == state else 1 - task.p_common
    pays = task.blocks[block][state]
    return reach * (pays if reward else 1 - pays)


def enumerated_values(
    task: EpisodicTwoStep, trials: list[Outcome], cues: list[int]
) -> list[float]:
    """Expected reward of each choice, over every history of blocks.

    ``cues`` holds one more element than ``trials``: that of the choice to come.
    """
    values, total = [0.0, 0.0], 0.0
    for blocks in product((0, 1), repeat=len(cues)):
        weight = 0.5
        for before, after in pairwise(blocks):
            weight *= task.p_reversal if before != after else 1 - task.p_reversal
        for block, outcome, cue in zip(blocks, trials, cues, strict=False):
            if cue < 0 or trials[cue][1] != outcome[1]:  # else it was sure
                weight *= p_outcome(task, block, outcome)
        total += weight
        for choice, state in product((0, 1), (0, 1)):
            pays = task.blocks[blocks[-1]][state]
            if cues[-1] >= 0 and trials[cues[-1]][1] == state:
                pays = trials[cues[-1]][2]
            reach = task.p_common if choice == state else 1 - task.p_common
            values[choice] += weight * reach * pays
    return [value / total for value in values]


@pytest.mark.parametrize(
    "task",
    [
        EpisodicTwoStep(trials=8),
        EpisodicTwoStep(trials=8, p_common=0.6, blocks=((0.7, 0.2), (0.35, 0.6))),
    ],
    ids=["as it comes", "uneven"],
)
def test_the_ideal_player_weighs_every_hidden_history_and_all_it_remembers(
    task: EpisodicTwoStep,
) -> None:
    n = 40
    columns = columns_of("ideal", task, n)
    decided = 0
    for episode in range(n):
        choice, state, reward, cues = (
            columns[name][:, episode].tolist()
            for name in ("choice", "state2", "reward", "cued_trial")
        )
        trials = list(zip(choice, state, reward, strict=True))
        for trial in range(task.trials):
            values = enumerated_values(task, trials[:trial], cues[: trial + 1])
            if abs(values[0] - values[1]) > 1e-9:
                assert choice[trial] == int(values[1] > values[0])
                decided += 1
    assert decided > 5 * n


def optimum_and_greedy(task: EpisodicTwoStep) -> tuple[float, float]:
    """Expected reward of the best and of the greedy choices, by dynamic programming."""
    n_uncued = (task.trials + 1) // 2
    n_early, n_cued = (n_uncued + 1) // 2, task.trials - n_uncued
    Memory = tuple[tuple[int, float], ...]

    @cache
    def value(trial: int, belief: float, memory: Memory, greedy: bool) -> float:
        if trial == task.trials:
            return 0.0
        if trial < n_uncued:
            return choose(trial, belief, memory, None, greedy)
        early = trial - n_uncued < (n_cued + 1) // 2
        could = memory[:n_early] if early else memory[n_early:]
        values = [choose(trial, belief, memory, cue, greedy) for cue in could]
        return sum(values) / len(values)

    def choose(
        trial: int,
        belief: float,
        memory: Memory,
        cue: tuple[int, float] | None,
        greedy: bool,
    ) -> float:
        later, now = [0.0, 0.0], [0.0, 0.0]
        for choice, state, reward in product((0, 1), (0, 1), (0.0, 1.0)):
            p0, p1 = (p_outcome(task, b, (choice, state, reward)) for b in (0, 1))
            p = (1 - belief) * p0 + belief * p1
            posterior = belief * p1 / p
            if cue and cue[0] == state:
                reach = task.p_common if choice == state else 1 - task.p_common
                p, posterior = reach * (cue[1] == reward), belief
            kept = (*memory, (state, reward)) if trial < n_uncued else memory
            hazard = task.p_reversal
            next_belief = round(posterior * (1 - hazard) + (1 - posterior) * hazard, 12)
            if p:
                now[choice] += p * reward
                after = value(trial + 1, next_belief, kept, greedy)
                later[choice] += p * (reward + after)
        if not greedy:
            return max(later)
        if abs(now[0] - now[1]) < 1e-9:
            return sum(later) / 2
        return later[now[1] > now[0]]

    return value(0, 0.5, (), False), value(0, 0.5, (), True)


@pytest.mark.parametrize("trials", [4, 7])
@pytest.mark.parametrize(("p_common", "p_reversal"), [(0.9, 0.1), (0.7, 0.02)])
def test_greedy_choice_is_optimal_and_the_ideal_player_earns_it(
    trials: int, p_common: float, p_reversal: float
) -> None:
    task = EpisodicTwoStep(trials=trials, p_common=p_common, p_reversal=p_reversal)
    best, greedy = optimum_and_greedy(task)
    assert greedy == pytest.approx(best, rel=1e-12)
    earned = columns_of("ideal", task, 10_000)["reward"].double().sum(0)
    assert abs(earned.mean() - best) < 4 * earned.std() / 100


def test_memory_of_contexts_helps_in_cued_trials_only() -> None:
    task = EpisodicTwoStep()
    ideal = columns_of("ideal", task, 1000)["reward"].double()
    without = columns_of("no memory of contexts", task, 1000)["reward"].double()
    uncued, cued = (ideal - without).view(2, 50, 1000).mean(1)
    assert cued.mean() > 10 * cued.std() / 1000**0.5
    assert abs(uncued.mean()) < 4 * uncued.std() / 1000**0.5


def test_a_limited_memory_of_trials_is_refused() -> None:
    with pytest.raises(InputError, match="memory_trials is 1"):
        EpisodicTwoStepObserver(EpisodicTwoStep(), memory_trials=1)


# What is refused.


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("barcode_bits", 6, "barcode_bits is 6, which gives 63 barcodes"),
        ("barcode_bits", 0, "barcode_bits is 0"),
        ("p_common", 1.1, "p_common is 1.1"),
        ("trials", 0, "trials is 0"),
    ],
)
def test_a_parameter_out_of_range_is_refused_by_name(
    name: str, value: Any, expected: str
) -> None:
    with pytest.raises(InputError, match=expected):
        replace(EpisodicTwoStep(), **{name: value})
