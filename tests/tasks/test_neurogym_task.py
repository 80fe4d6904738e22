"""Environments of neurogym and gymnasium as tasks; see also test_task_contract.py."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from neurogym.envs.registration import ALL_EXTENDED_ENVS
from torch import Tensor

from pfc_metarl.configuration import FAST, Configuration
from pfc_metarl.errors import InputError
from pfc_metarl.recording import play as play_test_episodes
from pfc_metarl.tasks import TwoStep
from pfc_metarl.tasks.base import Episodes, Tape, Task
from pfc_metarl.tasks.environments import TaskEnv
from pfc_metarl.tasks.neurogym_task import Copy, NeurogymTask
from pfc_metarl.training import Group

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]

NOT_DISCRETE = {"ReachingDelayResponse-v0", "SpatialSuppressMotion-v0"}
ARGUMENTS = {"AnnubesEnv-v0": {"session": {"v": 0.5, "a": 0.5}, "catch_prob": 0.5}}
PLAYABLE = sorted(set(ALL_EXTENDED_ENVS) - NOT_DISCRETE)
SHORT = {"timing": {"stimulus": 200}}  # 4 steps per trial


def still(task: Task, episodes: int) -> Tensor:
    return torch.zeros(task.steps, episodes, dtype=torch.int64)


def draw(task: Task, episodes: int, seed: int = 1) -> Tape:
    return task.draw(episodes, torch.Generator().manual_seed(seed))


# Every environment of neurogym.


@pytest.mark.filterwarnings("ignore:.*to get variables from other wrappers")
@pytest.mark.parametrize("name", PLAYABLE)
def test_a_copy_replays_by_its_seed(name: str) -> None:
    task = NeurogymTask(name, arguments=ARGUMENTS.get(name))
    actions = np.random.default_rng(0).integers(task.n_actions, size=200).tolist()

    def story(seed: int) -> list[Any]:
        copy = Copy(task.make(), seed)
        told: list[Any] = [copy.observation.tolist()]
        for action in actions:
            reward, over, _ = copy.step(action)
            told.append((reward, over, copy.observation.tolist()))
        return told

    assert story(5) == story(5)
    assert story(5) != story(6) or name == "Null-v0"


@pytest.mark.parametrize("name", sorted(NOT_DISCRETE))
def test_actions_that_are_not_discrete_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: actions are Box.*expected Discrete"):
        NeurogymTask(name)


# Trials, steps and what is seen.


def test_trials_start_at_their_start() -> None:
    task = NeurogymTask(trials=3, arguments=SHORT)
    assert task.phases == ("step 0", "step 1", "step 2", "step 3")
    episodes = task.reset(50, torch.Generator().manual_seed(1))
    for step in range(task.steps):
        fixation = episodes.observation[:, 0]
        assert (fixation == (step % 4 == 0)).all()
        episodes.step(torch.zeros(50, dtype=torch.int64))


def test_a_trial_that_ends_early_is_followed_by_blank_steps(play: Play) -> None:
    task = NeurogymTask(
        trials=2, arguments={"timing": {"stimulus": 100, "decision": 300}}
    )
    assert task.steps_per_trial == 5
    actions = still(task, 2)
    actions[[2, 7], 0] = 1  # the first episode responds at the go signal
    actions[[3, 8], 0] = 2  # and what it does then has no effect
    episodes, seen, earned = play(task, draw(task, 2), actions)
    blank = (seen[1:] == 0).all(-1).long()
    assert blank[:, 0].tolist() == [0, 0, 1, 1, 0, 0, 0, 1, 1, 1]  # the last: over
    assert not earned[[3, 4, 8, 9]].any()
    columns = episodes.trials()
    assert columns["choice"].tolist() == [[1, 0], [1, 0]]
    assert torch.equal(columns["reward"], earned.view(2, 5, 2).sum(1))
    right = columns["ground_truth"][:, 0] == 1
    assert torch.equal(columns["performance"][:, 0], right.float())


def test_a_trial_that_lasts_too_long_is_cut_and_not_valid(play: Play) -> None:
    task = NeurogymTask(trials=3, trial_steps=2, arguments=SHORT)
    episodes, seen, _ = play(task, draw(task, 4), still(task, 4))
    assert (seen[:-1, :, 0] == torch.tensor([1, 0] * 3)[:, None]).all()  # fixation
    columns = episodes.trials()
    assert (columns["valid"] == 0).all()
    assert (columns["choice"] == -1).all()


def test_two_step_of_neurogym_takes_two_steps() -> None:
    task = NeurogymTask("DawTwoStep-v0")
    assert (task.steps_per_trial, task.n_actions, task.n_observations) == (2, 3, 3)


def test_an_episode_of_gymnasium_is_a_trial(play: Play) -> None:
    task = NeurogymTask("CartPole-v1", trials=2, trial_steps=60)
    assert replace(task, trial_steps=None).steps_per_trial == 500
    actions = still(task, 3)
    episodes, _, earned = play(task, draw(task, 3), actions)
    lengths = earned.view(2, 60, 3).sum(1)
    assert (lengths > 5).all()
    assert (lengths < 15).all()  # it falls over
    assert (episodes.trials()["valid"] == 1).all()


def test_discrete_observations_are_one_hot(play: Play) -> None:
    task = NeurogymTask("FrozenLake-v1", trials=1, trial_steps=5)
    _, seen, _ = play(task, draw(task, 2), still(task, 2))
    assert task.n_observations == 16
    assert seen[0].tolist() == [[1.0] + [0.0] * 15] * 2


def test_our_task_through_both_doors_is_our_task(play: Play) -> None:
    task = NeurogymTask(
        "pfc_metarl/TwoStep-v0", trials=6, trial_steps=2, arguments={"trials": 6}
    )
    tape = draw(task, 3)
    generator = torch.Generator().manual_seed(2)
    actions = torch.randint(2, (task.steps, 3), generator=generator)
    _, seen, earned = play(task, tape, actions)
    for at, seed in enumerate(tape["seed"][0].tolist()):
        env = TaskEnv(TwoStep(trials=6))
        assert seen[0, at].tolist() == env.reset(seed=seed)[0].tolist()
        for step, action in enumerate(actions[:, at].tolist()):
            observation, reward, over, _, _ = env.step(action)
            assert over or seen[step + 1, at].tolist() == observation.tolist()
            assert earned[step, at] == reward


# As a setting of a run.


def test_it_goes_to_other_processes_and_into_configurations() -> None:
    task = NeurogymTask(trials=3, arguments=SHORT)
    copy = pickle.loads(pickle.dumps(task))
    assert copy == task
    assert hash(copy) == hash(task)
    text = Configuration("neurogym", task, "fast", 1).as_json()
    assert '"stimulus": 200' in text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"environment": "Chess-v0"}, "environment 'Chess-v0': "),
        ({"environment": "nolab:Chess-v0"}, "environment 'nolab:Chess-v0': "),
        ({"arguments": {"hue": 3}}, "unexpected keyword argument 'hue'"),
        ({"trials": 0}, "trials is 0 and trial_steps None; expected 1 or more"),
        ({"trial_steps": 0}, "trials is 20 and trial_steps 0; expected 1 or more"),
    ],
)
def test_what_cannot_be_played_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        NeurogymTask(**wrong)


# Our network learns them.


def trained(task: Task, updates: int, seeds: int, **settings: Any) -> Group:
    learning = replace(FAST, batch=16, updates=updates, **settings)
    group = Group(
        Configuration("neurogym", task, "fast", seeds, learning=learning),
        [*range(seeds)],
    )
    for _ in range(updates):
        group.learn()
    return group


def performance(group: Group, episodes: int) -> list[float]:
    """Share of trials with the right response, by seed, over new episodes."""
    played = play_test_episodes(group.network, group.configuration.task, episodes)
    shares: list[float] = (
        played.episodes.trials()["performance"].mean(dim=(0, 2)).tolist()
    )
    return shares


def test_our_network_learns_a_perceptual_decision() -> None:
    arguments = {**SHORT, "cohs": [51.2]}
    task = NeurogymTask(trials=3, arguments=arguments)
    group = trained(task, updates=60, seeds=1, learning_rate=1e-2)
    assert performance(group, episodes=50)[0] > 0.8  # chance: 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "updates", "settings", "expected"),
    [
        (NeurogymTask(trials=5), 300, {}, 0.75),
        (
            NeurogymTask(
                "PerceptualDecisionMakingDelayResponse-v0",
                trials=5,
                arguments={"timing": {"stimulus": 500, "delay": 300, "decision": 300}},
            ),
            300,
            {},
            0.75,
        ),
        (
            NeurogymTask(
                "ContextDecisionMaking-v0",
                trials=5,
                arguments={"timing": {"stimulus": 300, "delay": 200}},
            ),
            400,
            {"discount": 0.9},
            0.75,
        ),
    ],
    ids=["a perceptual decision", "a delayed response", "a decision by context"],
)
def test_our_network_learns(
    task: Task, updates: int, settings: dict[str, float], expected: float
) -> None:
    group = trained(task, updates, seeds=2, learning_rate=5e-3, **settings)
    assert min(performance(group, episodes=100)) > expected  # chance: 0.5


@pytest.mark.slow
def test_our_network_learns_the_two_step_task_of_neurogym() -> None:
    task = NeurogymTask("DawTwoStep-v0", trials=100)
    group = trained(task, updates=300, seeds=2, learning_rate=5e-3)
    played = play_test_episodes(group.network, task, 50)
    per_trial = played.reward.sum(0).mean(-1) / task.trials
    # chance: 0.5 when responding, 0.24 with random actions; knowing all: 0.74
    assert (per_trial > 0.62).all()
    assert min(performance(group, episodes=50)) > 0.8
