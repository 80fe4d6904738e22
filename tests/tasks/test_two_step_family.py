"""The two-step task of other experiments, and the observer where blocks have an age."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from pfc_metarl.provenance import provenance
from pfc_metarl.tasks import TwoStep
from pfc_metarl.tasks.base import Episodes, Tape, Task
from pfc_metarl.tasks.observers.blocks import block_chain, first_block
from pfc_metarl.tasks.observers.two_step import TwoStepObserver
from pfc_metarl.tasks.two_step_versions import (
    AkamMice,
    CastroPeople,
    MillerRats,
    Wang2016TwoStep,
)

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]
Near = Callable[..., None]
Beliefs = dict[tuple[int, int], float]

VERSIONS = (Wang2016TwoStep, MillerRats, AkamMice, CastroPeople)


def draw(task: TwoStep, n_episodes: int, seed: int = 1) -> Tape:
    return task.draw(n_episodes, torch.Generator().manual_seed(seed))


# The experiments' settings.


@pytest.mark.parametrize(
    ("version", "guesses"),
    [
        (Wang2016TwoStep, {"trials", "fixation"}),
        (MillerRats, {"min_block_trials", "trials", "fixation"}),
        (
            AkamMice,
            {
                "p_reversal",
                "min_block_trials",
                "p_transition_reversal",
                "p_forced",
                "trials",
                "fixation",
            },
        ),
        (CastroPeople, {"p_reversal", "p_forced", "fixation"}),
    ],
)
def test_what_is_guessed_of_an_experiment_says_so(
    version: type[TwoStep], guesses: set[str]
) -> None:
    listed = list(provenance(version(), changed="user"))
    assert {entry.name for entry in listed if entry.is_guess} == guesses
    assert "user" not in {entry.source for entry in listed}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_is_drawn_and_played_like_the_task_with_its_settings(
    version: type[TwoStep], play: Play
) -> None:
    task = replace(version(), trials=12)
    settings = {entry.name: entry.value for entry in provenance(task, "user")}
    plain: Any = TwoStep
    tape, same_tape = draw(task, 20), draw(plain(**settings), 20)
    for name, values in tape.items():
        assert torch.equal(values, same_tape[name]), name


def test_in_the_version_of_2016_the_state_that_pays_stays_for_the_episode(
    near: Near,
) -> None:
    tape = draw(Wang2016TwoStep(), 50_000)
    assert (tape["block"] == tape["block"][0]).all()
    near(tape["block"][0], 0.5)
    near(tape["common"], 0.75)
    near(tape["outcome0"][tape["block"] == 0], 0.9)


def test_people_had_blocks_of_ten_trials_or_more_and_a_neutral_kind(near: Near) -> None:
    tape = draw(CastroPeople(), 3_000)
    block = tape["block"]
    switched = block[1:] != block[:-1]
    assert not switched[:9].any()
    near(switched[9], 0.023)
    near(tape["outcome0"][block == 1], 0.5)
    near(tape["outcome1"][block == 0], 0.8)
    near(block[1:][switched & (block[:-1] == 1)] == 0, 0.5)


def test_an_action_changed_after_the_step_changes_no_record(play: Play) -> None:
    task = TwoStep(trials=1)
    episodes = task.begin(draw(task, 8))
    action = torch.zeros(8, dtype=torch.int64)
    episodes.step(action)
    action += 1
    episodes.step(action)
    assert not episodes.trials()["choice"].any()


# The observer where blocks have a minimum length.


def kind_histories(task: TwoStep, n_trials: int) -> Iterator[tuple[list[int], float]]:
    """Every sequence of kinds of block, and its probability by the rule of the task."""
    kinds, hazard = len(task.blocks), task.p_reversal
    for history in product(range(kinds), repeat=n_trials):
        weight, age = 1 / kinds, 1
        for before, after in pairwise(history):
            may_end = age >= task.min_block_trials
            if before != after:
                weight *= may_end * hazard / (kinds - 1)
                age = 1
            else:
                weight *= 1 - hazard if may_end else 1
                age += 1
        if weight:
            yield list(history), weight


def mapping_histories(
    task: TwoStep, n_trials: int
) -> Iterator[tuple[list[int], float]]:
    turn = task.p_transition_reversal
    for history in product((0, 1) if turn else (0,), repeat=n_trials):
        weight = 0.5 if turn else 1.0
        for before, after in pairwise(history):
            weight *= turn if before != after else 1 - turn
        yield list(history), weight


def p_outcome(
    task: TwoStep, kind: int, mapping: int, choice: int, state: int, reward: float
) -> float:
    common = state == (choice ^ mapping)
    pays = task.blocks[kind][state]
    reach = task.p_common if common else 1 - task.p_common
    return reach * (pays if reward else 1 - pays)


def enumerated_belief(
    task: TwoStep, trials: list[tuple[int, int, float]]
) -> NDArray[np.float64]:
    """P(kind, mapping of the next trial | trials), over every hidden history."""
    n = len(trials) + 1
    belief = np.zeros((len(task.blocks), 2 if task.p_transition_reversal else 1))
    for (kinds, p_kinds), (mappings, p_mappings) in product(
        kind_histories(task, n), mapping_histories(task, n)
    ):
        weight = p_kinds * p_mappings
        for kind, mapping, trial in zip(kinds, mappings, trials, strict=False):
            weight *= p_outcome(task, kind, mapping, *trial)
        belief[kinds[-1], mappings[-1]] += weight
    return belief / belief.sum()


@pytest.mark.parametrize(
    "task",
    [
        TwoStep(min_block_trials=2, p_reversal=0.4, p_forced=0.3, trials=7),
        TwoStep(min_block_trials=3, p_reversal=0.3, p_common=0.7, trials=8),
        TwoStep(
            min_block_trials=2,
            p_reversal=0.3,
            blocks=((0.7, 0.2), (0.35, 0.6), (0.05, 0.95)),
            p_transition_reversal=0.2,
            p_forced=0.5,
            trials=5,
        ),
        replace(MillerRats(), min_block_trials=1, p_reversal=0.2, trials=6),
    ],
    ids=["two trials", "three trials", "three kinds and mapping", "one trial"],
)
def test_belief_equals_a_sum_over_every_hidden_history_with_a_blocks_age(
    task: TwoStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    beliefs: list[Tensor] = []
    choose = TwoStepObserver._choose

    def watched(
        observer: TwoStepObserver, belief: Tensor, generator: torch.Generator
    ) -> Tensor:
        beliefs.append(belief)
        return choose(observer, belief, generator)

    monkeypatch.setattr(TwoStepObserver, "_choose", watched)
    n_episodes, n_mappings = 6, 2 if task.p_transition_reversal else 1
    generator = torch.Generator().manual_seed(2)
    columns = TwoStepObserver(task).play(draw(task, n_episodes), generator).trials()
    for episode in range(n_episodes):
        choice, state, reward = (
            columns[name][:, episode].tolist()
            for name in ("choice", "state2", "reward")
        )
        history = list(zip(choice, state, reward, strict=True))
        for trial in range(task.trials):
            found = beliefs[trial][episode].reshape(len(task.blocks), -1, n_mappings)
            expected = enumerated_belief(task, history[:trial])
            np.testing.assert_allclose(found.sum(1).numpy(), expected, rtol=1e-9)


def test_without_outcomes_the_filter_expects_the_blocks_that_are_drawn(
    near: Near,
) -> None:
    task = TwoStep(
        min_block_trials=4, p_reversal=0.3, blocks=((0.8, 0.2),) * 3, trials=15
    )
    block = draw(task, 40_000)["block"]
    chain, belief = block_chain(3, 0.3, 4), first_block(3, 4)
    belief = belief.reshape(3, 4)[:1].flatten()  # begun with kind 0
    belief = torch.cat([belief, torch.zeros(8, dtype=torch.float64)]) * 3
    begun = block[:, block[0] == 0]
    for trial in range(task.trials):
        if trial < 4:
            assert (begun[trial] == 0).all()
        for kind in (0, 1) if trial >= 4 else ():
            near(begun[trial] == kind, belief.reshape(3, 4).sum(1)[kind].item())
        belief = belief @ chain


def test_a_chain_of_blocks_without_minimum_is_the_switching_of_kinds() -> None:
    expected = torch.full((3, 3), 0.1, dtype=torch.float64).fill_diagonal_(0.8)
    for minimum in (0, 1):
        assert torch.equal(block_chain(3, 0.2, minimum), expected)


def test_knowing_the_minimum_earns_more_than_ignoring_it() -> None:
    task = TwoStep(min_block_trials=15, p_reversal=0.5, trials=60)
    tape = draw(task, 4_000)
    ignorant = replace(task, min_block_trials=0, p_reversal=1 / 16)
    earned = [
        TwoStepObserver(known)
        .play(tape, torch.Generator().manual_seed(2))
        .trials()["reward"]
        .mean(0)
        for known in (task, ignorant)
    ]
    gain = earned[0] - earned[1]
    assert gain.mean() > 4 * gain.std() / len(gain) ** 0.5


def test_a_forgetful_observer_still_knows_when_the_first_block_may_end() -> None:
    task = TwoStep(min_block_trials=4, p_reversal=0.9, trials=8)
    tape = draw(task, 50)
    full, short = (
        TwoStepObserver(task, memory)
        .play(tape, torch.Generator().manual_seed(2))
        .trials()["choice"]
        for memory in (None, 8)
    )
    assert torch.equal(full, short)


# What could be earned at best: exact dynamic programming over beliefs.


def best_and_greedy(task: TwoStep) -> tuple[float, float]:
    """Expected reward of an episode under optimal and under greedy choice."""
    observer = TwoStepObserver(task)
    hazard, pays = observer._hazard.numpy(), observer._reward_prob.numpy()
    reach, value = observer._state_prob.numpy(), observer._expected_reward.numpy()

    def earned(belief: NDArray[np.float64], trials_left: int) -> NDArray[np.float64]:
        """[optimal, greedy]."""
        if trials_left == 0:
            return np.zeros(2)
        now = belief @ value
        by_choice = []
        for choice in (0, 1):
            later = np.zeros(2)
            for state, reward in product((0, 1), repeat=2):
                told = pays[state] if reward else 1 - pays[state]
                weight = belief * reach[choice, state] * told
                if weight.sum() > 0:
                    updated = weight / weight.sum() @ hazard
                    later += weight.sum() * earned(updated, trials_left - 1)
            by_choice.append(now[choice] + later)
        tied = abs(now[0] - now[1]) < 1e-9
        greedy = np.mean(by_choice, 0)[1] if tied else by_choice[now.argmax()][1]
        return np.array([max(by_choice[0][0], by_choice[1][0]), greedy])

    optimal, greedy = earned(observer._prior.numpy(), task.trials)
    return float(optimal), float(greedy)


@pytest.mark.parametrize(
    "task",
    [
        TwoStep(trials=4),
        TwoStep(trials=4, p_reversal=0.3),
        replace(MillerRats(), min_block_trials=2, p_reversal=0.3, trials=4, p_forced=0),
    ],
    ids=["Wang", "frequent reversals", "minimum length"],
)
def test_greedy_choice_is_optimal_where_either_state_tells_as_much(
    task: TwoStep,
) -> None:
    optimal, greedy = best_and_greedy(task)
    assert greedy == pytest.approx(optimal, rel=1e-12)


def test_greedy_choice_is_nearly_optimal_with_neutral_blocks_and_new_mappings() -> None:
    task = replace(AkamMice(), min_block_trials=0, trials=4)
    optimal, greedy = best_and_greedy(task)
    assert optimal * 0.995 < greedy <= optimal


def test_the_observer_earns_the_reward_computed_exactly() -> None:
    task = TwoStep(min_block_trials=2, p_reversal=0.3, trials=4)
    tape = draw(task, 100_000)
    episodes = TwoStepObserver(task).play(tape, torch.Generator().manual_seed(2))
    total = episodes.trials()["reward"].sum(0).double()
    expected = best_and_greedy(task)[1]
    assert abs(total.mean() - expected) < 4 * total.std() / len(total) ** 0.5
