"""What holds for every task: add a task to TASKS, or a variant below, and it is met."""

import random
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pfc_metarl.provenance import GUESS, provenance
from pfc_metarl.recording import behaviour
from pfc_metarl.tasks import (
    TASKS,
    Bandit,
    BarcodeBandit,
    DawTwoStep,
    EpisodicTwoStep,
    Foraging,
    Harlow,
    HarlowGaze,
    HarlowPixels,
    InferredValue,
    InformativeBandit,
    KoolTwoStep,
    RestlessBandit,
    Reversal,
    RiskyChoice,
    TwoStep,
    Volatility,
    WhatWhereReversal,
    side_by_side,
)
from pfc_metarl.tasks.bandit import independent_bandit
from pfc_metarl.tasks.base import Episodes, Tape, Task
from pfc_metarl.tasks.foraging import bari_mice, hattori_mice, hou_mice
from pfc_metarl.tasks.inferred_value import bromberg_martin_monkeys
from pfc_metarl.tasks.neurogym_task import NeurogymTask
from pfc_metarl.tasks.proxy_bandit import ProxyBandit
from pfc_metarl.tasks.two_step_versions import AkamMice, MillerRats
from pfc_metarl.tasks.volatility import stable_and_volatile
from pfc_metarl.trials import VARIABLES

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]

VARIANTS: dict[str, Task] = {
    **{name: task() for name, task in TASKS.items()},
    "two-step with fixation": TwoStep(fixation=True),
    "two-step with forced choices": TwoStep(p_forced=0.2),
    "two-step with fixation and forced choices": TwoStep(fixation=True, p_forced=0.2),
    "proxy bandit": ProxyBandit(),
    "Miller's rats": MillerRats(),
    "Akam's mice": AkamMice(),
    "Daw's two-step with fixation": DawTwoStep(fixation=True),
    "Kool's two-step with fixation": KoolTwoStep(fixation=True),
    "reversal with fixation": Reversal(fixation=True),
    "what/where reversal with fixation": WhatWhereReversal(fixation=True),
    "bandit with fixation": Bandit(fixation=True),
    "bandit of five independent arms": independent_bandit(5),
    "restless bandit with fixation": RestlessBandit(fixation=True),
    "informative bandit with fixation": InformativeBandit(fixation=True),
    "foraging with fixation": Foraging(fixation=True),
    "Hattori's mice": hattori_mice(),
    "Bari's mice": bari_mice(),
    "Hou's mice": hou_mice(),
    "volatility with fixation": Volatility(fixation=True),
    "stable and volatile parts": stable_and_volatile(),
    "inferred value with fixation": InferredValue(fixation=True),
    "Bromberg-Martin's monkeys": bromberg_martin_monkeys(),
    "harlow-pixels": HarlowPixels(pixels=21, max_steps=60),  # as it comes: gigabytes
    "Harlow with fixation": Harlow(fixation=True),
    "Harlow with a gaze and objects of three features": HarlowGaze(n_features=3),
    "risk with fixation": RiskyChoice(fixation=True),
    "barcode bandit with fixation": BarcodeBandit(fixation=True),
    "episodic two-step with fixation": EpisodicTwoStep(fixation=True, p_forced=0.2),
    "a task of neurogym": NeurogymTask(arguments={"timing": {"stimulus": 200}}),
}
N_TRIALS, N_EPISODES = 12, 16


@pytest.fixture(params=VARIANTS)
def full_task(request: pytest.FixtureRequest) -> Task:
    """The task as it comes."""
    return VARIANTS[request.param]


@pytest.fixture
def task(full_task: Any) -> Task:
    """The task with short episodes."""
    short: Task = replace(full_task, trials=N_TRIALS)
    return short


@pytest.fixture
def tape(task: Task, rng: torch.Generator) -> Tape:
    return task.draw(N_EPISODES, rng)


def random_actions(task: Task, *shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(task.n_actions, (task.steps, *shape), generator=generator)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two tapes or two sets of columns are the same bit for bit."""
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype
        and torch.equal(one[name].nan_to_num(nan=-9), other[name].nan_to_num(nan=-9))
        for name in one
    )


def test_observations_are_finite_numbers_from_0_to_1(
    task: Task, tape: Tape, play: Play
) -> None:
    _, seen, _ = play(task, tape, random_actions(task, N_EPISODES))
    assert seen.shape == (task.steps + 1, N_EPISODES, task.n_observations)
    assert seen.dtype == torch.float32
    assert seen.isfinite().all()
    assert ((seen >= 0) & (seen <= 1)).all()


def test_a_step_returns_the_observation_that_the_episodes_hold(
    task: Task, tape: Tape
) -> None:
    episodes = task.begin(tape)
    for action in random_actions(task, N_EPISODES):
        observation, _ = episodes.step(action)
        assert torch.equal(observation, episodes.observation)


def test_rewards_are_finite_one_per_episode(task: Task, tape: Tape, play: Play) -> None:
    _, _, earned = play(task, tape, random_actions(task, N_EPISODES))
    assert earned.shape == (task.steps, N_EPISODES)
    assert earned.dtype == torch.float32
    assert earned.isfinite().all()


def test_no_element_of_the_observation_is_constant(
    task: Task, tape: Tape, play: Play
) -> None:
    _, seen, _ = play(task, tape, random_actions(task, N_EPISODES))
    by_element = seen.flatten(0, 1)
    assert (by_element.amax(0) > by_element.amin(0)).all()


def test_every_action_is_played_through(task: Task, tape: Tape, play: Play) -> None:
    for action in range(task.n_actions):
        actions = torch.full((task.steps, N_EPISODES), action)
        _, seen, earned = play(task, tape, actions)
        assert seen.isfinite().all()
        assert earned.isfinite().all()


def test_an_episode_has_a_step_per_phase_of_every_trial(task: Task, tape: Tape) -> None:
    episodes = task.begin(tape)
    if episodes.active is not None:
        return  # self-paced: tests/tasks/test_harlow_gaze.py
    assert task.steps_per_trial == len(task.phases) == len(set(task.phases))
    assert task.steps == N_TRIALS * task.steps_per_trial
    for step, action in enumerate(random_actions(task, N_EPISODES), start=1):
        here = divmod(step - 1, task.steps_per_trial)
        assert (episodes.trial, episodes.phase) == here
        episodes.step(action)
        if step % task.steps_per_trial == 0:
            rows = {len(column) for column in episodes.trials().values()}
            assert rows == {step // task.steps_per_trial}


def test_trials_in_progress_are_not_in_the_table_yet(
    task: Task, tape: Tape, play: Play
) -> None:
    if task.begin(tape).active is not None:
        return  # self-paced: trials begin when the agent is ready
    actions = random_actions(task, N_EPISODES)
    partway, _, _ = play(task, tape, actions[: 4 * task.steps_per_trial - 1])
    finished, _, _ = play(task, tape, actions)
    expected = {name: values[:3] for name, values in finished.trials().items()}
    assert same(partway.trials(), expected)


def test_the_same_seed_draws_the_same_tape(task: Task) -> None:
    one, other = (
        task.draw(N_EPISODES, torch.Generator().manual_seed(5)) for _ in range(2)
    )
    assert same(one, other)


def test_another_seed_draws_another_tape(task: Task) -> None:
    one, other = (
        task.draw(N_EPISODES, torch.Generator().manual_seed(seed)) for seed in (5, 6)
    )
    assert not same(one, other)


def test_a_generator_goes_on_drawing_new_tapes(task: Task, rng: Any) -> None:
    assert not same(task.draw(N_EPISODES, rng), task.draw(N_EPISODES, rng))


def test_reset_starts_the_episodes_of_a_drawn_tape(task: Task, play: Play) -> None:
    actions = random_actions(task, N_EPISODES)
    tape = task.draw(N_EPISODES, torch.Generator().manual_seed(5))
    drawn, _, _ = play(task, tape, actions)
    reset = task.reset(N_EPISODES, torch.Generator().manual_seed(5))
    for action in actions:
        reset.step(action)
    assert same(reset.trials(), drawn.trials())


def test_the_problem_differs_between_episodes_from_the_first_trial(
    full_task: Any, rng: torch.Generator, play: Play
) -> None:
    task = replace(full_task, trials=1)
    tape = task.draw(200, rng)
    episodes, _, _ = play(task, tape, torch.zeros(task.steps, 200, dtype=torch.int64))
    latents = set(episodes.trials()) - {"choice", "reward", "forced", "valid"}
    kinds = [episodes.trials()[name].unique().numel() for name in latents]
    assert max(kinds) >= 2


def test_a_tape_is_one_tensor_per_name_over_trials_and_episodes(
    task: Task, tape: Tape
) -> None:
    for name, values in tape.items():
        assert values.shape[:2] == (N_TRIALS, N_EPISODES), name


def test_the_same_tape_and_actions_give_the_same_trials_again(
    task: Task, tape: Tape, play: Play
) -> None:
    actions = random_actions(task, N_EPISODES)
    before = {name: values.clone() for name, values in tape.items()}
    one, seen, earned = play(task, tape, actions)
    other, seen_again, earned_again = play(task, tape, actions)
    assert same(one.trials(), other.trials())
    assert torch.equal(seen, seen_again)
    assert torch.equal(earned, earned_again)
    assert same(tape, before)


def test_seeds_played_side_by_side_do_what_each_does_alone(
    task: Task, play: Play
) -> None:
    tapes = [
        task.draw(N_EPISODES, torch.Generator().manual_seed(seed)) for seed in (1, 2, 3)
    ]
    actions = random_actions(task, 3, N_EPISODES)
    together, seen, earned = play(task, side_by_side(tapes), actions)
    columns = together.trials()
    for seed, tape in enumerate(tapes):
        alone, seen_alone, earned_alone = play(task, tape, actions[:, seed])
        of_seed = {name: values[:, seed] for name, values in columns.items()}
        assert same(of_seed, alone.trials())
        assert torch.equal(seen[:, seed], seen_alone)
        assert torch.equal(earned[:, seed], earned_alone)


def test_one_episode_can_be_played(task: Task, play: Play, rng: Any) -> None:
    tape = task.draw(1, rng)
    episodes, seen, earned = play(task, tape, random_actions(task, 1))
    assert seen.shape == (task.steps + 1, 1, task.n_observations)
    assert earned.shape == (task.steps, 1)
    assert {values.shape for values in episodes.trials().values()} == {(N_TRIALS, 1)}


def test_what_one_caller_does_to_an_observation_or_reward_harms_no_one(
    task: Task, play: Play, rng: torch.Generator
) -> None:
    tape = task.draw(1, rng)
    actions = random_actions(task, 1)
    expected, seen, earned = play(task, tape, actions)
    episodes = task.begin(tape)
    for step, action in enumerate(actions):
        assert torch.equal(episodes.observation, seen[step])
        observation, reward = episodes.step(action)
        assert torch.equal(reward, earned[step])
        observation += 5
        reward += 5
        episodes.observation = seen[step + 1].clone()
    assert same(episodes.trials(), expected.trials())


def test_numpy_and_python_random_numbers_are_left_alone(
    task: Task, play: Play, rng: torch.Generator
) -> None:
    before = random.getstate(), str(np.random.get_state())  # noqa: NPY002
    play(task, task.draw(4, rng), random_actions(task, 4))
    assert before == (random.getstate(), str(np.random.get_state()))  # noqa: NPY002


def test_the_columns_build_a_trial_table(task: Task, tape: Tape, play: Play) -> None:
    episodes, _, _ = play(task, tape, random_actions(task, N_EPISODES))
    table = behaviour(episodes, ["random player"], {"task": "any"})
    assert set(episodes.trials()) <= {*VARIABLES, *task.latents}
    assert table.sizes["trial"] == N_TRIALS * N_EPISODES
    assert table.sizes["sessions"] == N_EPISODES
    choice = episodes.trials()["choice"]
    np.testing.assert_array_equal(table.choice.values, choice.T.reshape(-1))
    np.testing.assert_array_equal(
        table.trial_in_session.values, list(range(N_TRIALS)) * N_EPISODES
    )


def test_the_columns_of_several_seeds_keep_each_with_its_subject(
    task: Task, play: Play
) -> None:
    tapes = [task.draw(4, torch.Generator().manual_seed(seed)) for seed in (1, 2)]
    actions = random_actions(task, 2, 4)
    episodes, _, _ = play(task, side_by_side(tapes), actions)
    table = behaviour(episodes, ["seed 1", "seed 2"], {})
    reward = episodes.trials()["reward"]
    for subject in range(2):
        of_subject = table.reward.values[table.subject.values == subject]
        np.testing.assert_array_equal(of_subject, reward[:, subject].T.reshape(-1))


def test_a_task_is_a_frozen_dataclass_and_can_be_a_key(full_task: Any) -> None:
    assert is_dataclass(type(full_task))
    assert full_task in {replace(full_task): "equal settings, equal task"}
    for field in fields(full_task):
        with pytest.raises(FrozenInstanceError):
            setattr(full_task, field.name, 0)


def test_every_parameter_has_a_source_and_a_unit(full_task: Any) -> None:
    listed = list(provenance(full_task, changed="preset"))
    assert [entry.name for entry in listed] == [f.name for f in fields(full_task)]
    for entry in listed:
        assert entry.source.strip(), entry.name
        assert entry.unit.strip(), entry.name


def test_a_guess_is_called_so_at_once(full_task: Any) -> None:
    for entry in provenance(type(full_task)(), changed="preset"):
        assert entry.is_guess == (GUESS in entry.source.lower()), entry.source
