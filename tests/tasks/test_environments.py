"""The tasks as environments of neurogym and gymnasium; runs on gymnasium 1 as well."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import neurogym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.seeding import np_random
from neurogym.core import TrialEnv
from neurogym.wrappers import Monitor, PassAction, PassReward
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.registration import gymnasium_id, task_names
from pfc_metarl.tasks import TASKS, Bandit, TwoStep
from pfc_metarl.tasks.base import Episodes, Tape, Task
from pfc_metarl.tasks.environments import TaskEnv, right_choices
from pfc_metarl.tasks.harlow_gaze import HarlowGaze
from pfc_metarl.tasks.vector_environment import FINAL, TaskVectorEnv, chance

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]
IDS = [gymnasium_id(name) for name in TASKS]
SELF_PACED = [
    name
    for name, task in TASKS.items()
    if task().reset(1, torch.Generator().manual_seed(1)).active is not None
]
LOCKSTEP = [name for name in TASKS if name not in SELF_PACED]
GYMNASIUM = int(gymnasium.__version__.split(".")[0])


def python(code: str, folder: Path) -> str:
    """Run code in a new process, from a folder that is not the checkout."""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def choose(env: Any, steps: int, seed: int = 0) -> list[int]:
    rng = np.random.default_rng(seed)
    return [int(action) for action in rng.integers(env.action_space.n, size=steps)]


def rollout(env: Any, seed: int, steps: int) -> list[Any]:
    """All that comes back from random actions; resets at the end of episodes."""
    came = [env.reset(seed=seed)]
    for action in choose(env, steps):
        came.append(env.step(action))
        if came[-1][2]:
            came.append(env.reset())
    return came


def drawn(task: Task, seed: int) -> Tape:
    """The tape of the first episode after reset(seed=seed)."""
    return task.draw(1, chance(np_random(seed)[0]))


# Registration.


def test_the_ids_are_those_of_the_tasks() -> None:
    assert task_names() == list(TASKS)
    assert gymnasium_id("two-step") == "pfc_metarl/TwoStep-v0"
    assert set(IDS) <= set(gymnasium.envs.registration.registry)


@pytest.mark.skipif(GYMNASIUM > 0, reason="gymnasium 1 has no entry points")
def test_gymnasium_knows_the_ids_without_an_import_of_ours(tmp_path: Path) -> None:
    code = "import gymnasium; print(*gymnasium.registry)"
    assert set(IDS) <= set(python(code, tmp_path).split())


@pytest.mark.parametrize(
    "imports", ["import pfc_metarl, gymnasium", "import gymnasium, pfc_metarl"]
)
def test_importing_the_package_registers_and_loads_little(
    tmp_path: Path, imports: str
) -> None:
    code = f"{imports}, sys; print(*gymnasium.registry); print(*sys.modules)"
    registry, modules = python(code, tmp_path).splitlines()
    assert set(IDS) <= set(registry.split())
    assert not {"torch", "neurogym", "xarray"} & set(modules.split())


def test_an_id_may_name_the_package_to_import() -> None:
    env = gymnasium.make("pfc_metarl:pfc_metarl/TwoStep-v0")
    assert env.unwrapped.task == TwoStep()


@pytest.mark.parametrize("make", [gymnasium.make, neurogym.make])
def test_parameters_go_to_the_task(make: Any) -> None:
    env = make("pfc_metarl/TwoStep-v0", trials=50, p_common=0.7, dt=20).unwrapped
    assert isinstance(env, TaskEnv)
    assert isinstance(env, TrialEnv)
    assert env.task == TwoStep(trials=50, p_common=0.7)
    assert env.dt == 20


def test_an_unknown_parameter_or_task_is_refused() -> None:
    with pytest.raises(InputError, match="TwoStep has no trails; expected p_common"):
        gymnasium.make("pfc_metarl/TwoStep-v0", trails=50)
    with pytest.raises(InputError, match="no task 'chess'; expected two-step"):
        gymnasium.make("pfc_metarl/TwoStep-v0", task="chess")


# What holds for every task.


@pytest.fixture(params=IDS)
def env(request: pytest.FixtureRequest) -> Any:
    return gymnasium.make(request.param)


@pytest.mark.filterwarnings("ignore:.*support for the `seed` function is dropped")
def test_gymnasiums_checker_is_content(env: Any) -> None:
    check_env(env.unwrapped)


def test_a_seed_determines_1000_steps(env: Any) -> None:
    again = gymnasium.make(env.spec.id)
    other = rollout(again, 6, 200)  # whatever has been before
    came = rollout(env, 5, 1000)
    np.testing.assert_equal(came, rollout(again, 5, 1000))
    assert any(
        not np.array_equal(one[0], two[0]) or one[1] != two[1]
        for one, two in zip(came, other, strict=False)
    )


def test_observations_lie_in_their_space(env: Any) -> None:
    for came in rollout(env, 3, 200):
        assert env.observation_space.contains(came[0])


def test_an_episode_is_what_the_task_plays_on_the_same_tape(
    env: Any, play: Play
) -> None:
    task = env.unwrapped.task
    actions = choose(env, task.steps)
    episodes, seen, earned = play(
        task, drawn(task, seed=7), torch.tensor(actions)[:, None]
    )
    assert np.array_equal(env.reset(seed=7)[0], seen[0, 0])
    info: dict[str, Any] = {}
    terminated = False
    for step, action in enumerate(actions):
        observation, reward, terminated, truncated, info = env.step(action)
        assert np.array_equal(observation, seen[step + 1, 0])
        assert reward == earned[step, 0]
        assert not truncated
        if terminated:
            break
    assert terminated
    for name, values in episodes.trials().items():
        np.testing.assert_array_equal(info["trials"][name], values[:, 0])


@pytest.mark.parametrize("name", LOCKSTEP)
def test_trials_and_episodes_end_after_their_steps(name: str) -> None:
    env = TaskEnv(TASKS[name]())
    env.reset(seed=1)
    for step in range(1, env.task.steps + 1):
        _, _, terminated, _, info = env.step(0)
        assert info["new_trial"] == (step % env.task.steps_per_trial == 0)
        assert terminated == (step == env.task.steps)


@pytest.mark.parametrize("name", LOCKSTEP)
def test_ground_truth_makes_the_good_choice_and_performance_is_its_share(
    name: str,
) -> None:
    env = TaskEnv(TASKS[name]())
    env.reset(seed=2)
    told, performance = [], []
    info: dict[str, Any] = {}
    for action in choose(env, env.task.steps):
        choosing = env.in_period("choice")
        *_, info = env.step(action)
        assert choosing or info["gt"] == -1
        told += [info["gt"]] if choosing else []
        performance += [info["performance"]] if info["new_trial"] else []
    trials = info["trials"]
    if "good_choice" not in trials or not told:
        assert set(told) <= {-1}
        assert set(performance) == {-1}
        return
    good, known = trials["good_choice"], np.array(told) >= 0
    free = trials.get("forced", np.zeros_like(good)) == 0
    could = (good >= 0) & free
    assert not (known & ~could).any()
    assert known.sum() > could.sum() / 2  # all, unless it hinges on what was done
    judged = np.where(known, trials["choice"] == good, -1)
    np.testing.assert_array_equal(performance, judged)


@pytest.mark.parametrize("name", TASKS)
def test_a_batch_is_what_the_task_plays_on_the_same_tape(name: str, play: Play) -> None:
    task, n = TASKS[name](), 5
    envs = TaskVectorEnv(task, n)
    actions = np.random.default_rng(0).integers(task.n_actions, size=(task.steps, n))
    tape = task.draw(n, chance(np_random(7)[0]))
    episodes, seen, earned = play(task, tape, torch.tensor(actions))
    observation, _ = envs.reset(seed=7)
    assert observation in envs.observation_space
    over, info = np.zeros(n, dtype=bool), {}
    for step, action in enumerate(actions):
        np.testing.assert_array_equal(observation, seen[step])
        observation, reward, over, truncated, info = envs.step(action)
        np.testing.assert_array_equal(reward, earned[step])
        assert not truncated.any()
        if over.any():
            break
    assert over.all()
    np.testing.assert_array_equal(np.stack(info[FINAL]), seen[step + 1])
    for column, values in episodes.trials().items():
        np.testing.assert_array_equal(info["trials"][column], values)
    assert len(envs.step(action)[0]) == n  # the next episodes have begun


# Episodes, trials and time.


def test_reset_plays_nothing() -> None:
    env = TaskEnv(Bandit(trials=4))
    observation, info = env.reset(seed=1)
    assert (observation, info) == ([0.0], {})  # the number of the first trial
    assert env.t == 0
    with pytest.raises(InputError, match="no trial is finished"):
        env.trials()


def test_a_step_lasts_dt_and_a_phase_is_a_period() -> None:
    env = TaskEnv(TwoStep(fixation=True, trials=2), dt=50)
    env.reset(seed=1)
    assert env.timing == {"fixation": 50, "choice": 50, "state2": 50}
    now = []
    for action in (2, 0, 1, 2):
        now.append((env.t, next(p for p in env.timing if env.in_period(p))))
        env.step(action)
    assert now == [(0, "fixation"), (50, "choice"), (100, "state2"), (0, "fixation")]
    assert env.in_period("choice", t=50)


def test_resets_without_a_seed_go_on_to_new_episodes() -> None:
    env = TaskEnv(TwoStep(trials=10))
    problems = []
    for seed in (1, None, None, 1):
        env.reset(seed=seed)
        problems.append([env.step(0)[1] for _ in range(20)])
    assert problems[0] == problems[3]
    assert problems[0] != problems[1] != problems[2]


def test_the_older_seed_gives_what_reset_with_a_seed_gives() -> None:
    old, new = TaskEnv(TwoStep(trials=10)), TaskEnv(TwoStep(trials=10))
    old.seed(5)
    old.reset()
    new.reset(seed=5)
    assert [old.step(0)[1] for _ in range(40)] == [new.step(0)[1] for _ in range(40)]
    assert old.rng.rand() == new.rng.rand()


def test_stepping_on_starts_the_next_episode() -> None:
    env = TaskEnv(Bandit(trials=3))
    env.reset(seed=1)
    ends = [env.step(0)[2] for _ in range(9)]
    assert ends == [False, False, True] * 3


@pytest.mark.parametrize("action", [-1, 2])
def test_an_action_that_there_is_not_is_refused(action: int) -> None:
    env = TaskEnv(TwoStep())
    env.reset(seed=1)
    with pytest.raises(InputError, match=f"action is {action}; expected 0 to 1"):
        env.step(action)


def test_trials_cannot_be_dictated() -> None:
    env = TaskEnv(Bandit())
    env.reset(seed=1)
    with pytest.raises(InputError, match="new_trial has p; the task draws its trials"):
        env.new_trial(p=(0.9, 0.1))


def test_there_is_no_right_choice_where_both_pay_alike() -> None:
    task = TwoStep(blocks=((0.8, 0.2), (0.4, 0.4), (0.2, 0.8)))
    tape = drawn(task, 1)
    neutral = tape["block"][:, 0] == 1
    right = torch.tensor(right_choices(task, tape))
    assert torch.equal(right < 0, neutral)


def test_a_self_paced_episode_ends_when_its_trials_are_done() -> None:
    env = TaskEnv(HarlowGaze())
    env.reset(seed=3)
    info: dict[str, Any] = {}
    finished, performance, terminated, steps = 0, [], False, 0
    for action in choose(env, env.task.steps):
        _, _, terminated, _, info = env.step(action)
        steps += 1
        finished += info["new_trial"]
        performance += [info["performance"]] if info["new_trial"] else []
        if terminated:
            break
    trials = info["trials"]
    assert terminated
    assert steps < env.task.steps
    assert finished == env.task.trials
    assert performance == (trials["choice"] == trials["good_choice"]).tolist()


def test_a_self_paced_episode_ends_with_its_last_step() -> None:
    env = TaskEnv(HarlowGaze(trials=50, max_steps=20))
    ends = [came[2] for came in rollout(env, 3, 20) if len(came) == 5]
    assert ends == [False] * 19 + [True]


# neurogym's own wrappers.


def test_previous_action_and_reward_are_added_by_neurogym() -> None:
    plain = gymnasium.make("pfc_metarl/Bandit-v0", trials=20)
    env = PassReward(PassAction(gymnasium.make("pfc_metarl/Bandit-v0", trials=20)))
    first, _ = plain.reset(seed=4)
    observation, _ = env.reset(seed=4)
    np.testing.assert_array_equal(observation, [*first, -1, 0])
    for action in choose(plain, 20):
        seen, reward, *_ = plain.step(action)
        observation, *_ = env.step(action)
        np.testing.assert_array_equal(observation, [*seen, action, reward])


def test_neurogyms_monitor_counts_trials_and_performance(tmp_path: Path) -> None:
    env = Monitor(
        neurogym.make("pfc_metarl/Bandit-v0"), save_dir=tmp_path, verbose=False
    )
    env.reset(seed=1)
    for _ in range(120):
        env.step(0)
    assert len(env.data["performance"]) == 120
    result = env.evaluate_policy(150, verbose=False)
    assert len(result["rewards"]) == 150
    assert 0 < result["mean_performance"] < 1


# Many episodes at once.


def test_a_batch_with_a_seed_per_episode_is_that_many_single_ones() -> None:
    task, seeds = TwoStep(trials=5), [3, 1, 4]
    envs = TaskVectorEnv(task, 3)
    actions = np.random.default_rng(0).integers(2, size=(25, 3))
    seen, _ = envs.reset(seed=seeds)
    batch = [envs.step(action) for action in actions]
    for at, seed in enumerate(seeds):
        env = TaskEnv(task)
        assert np.array_equal(env.reset(seed=seed)[0], seen[at])
        for step, action in enumerate(actions[:, at]):
            _, reward, terminated, _, _ = env.step(action)
            assert reward == batch[step][1][at]
            assert terminated == batch[step][2][at]


def test_a_batch_is_a_vector_environment_that_resets_in_the_same_step() -> None:
    envs = TaskVectorEnv(Bandit(trials=3), 2)
    assert isinstance(envs, gymnasium.vector.VectorEnv)
    envs.reset(seed=1)
    came = [envs.step(np.array([0, 1])) for _ in range(3)]
    assert [FINAL in info for *_, info in came] == [False, False, True]
    assert np.stack(came[2][4][FINAL]).tolist() == [[1.0], [1.0]]
    assert came[2][4][f"_{FINAL}"].all()
    assert came[2][0].tolist() == [[0.0], [0.0]]
    mode = envs.metadata["autoreset_mode"]
    assert getattr(mode, "value", mode) == "SameStep"
    envs.close()


def test_a_batch_with_a_seed_is_the_same_again() -> None:
    envs = TaskVectorEnv(TwoStep(trials=3), 4)
    rewards = []
    for seed in (5, None, 5):
        envs.reset(seed=seed)
        steps = [envs.step(np.zeros(4, dtype=int)) for _ in range(12)]
        rewards.append(np.stack([reward for _, reward, *_ in steps]))
    assert np.array_equal(rewards[0], rewards[2])
    assert not np.array_equal(rewards[0], rewards[1])


def test_a_self_paced_batch_waits_for_the_slowest() -> None:
    task = HarlowGaze(trials=2)
    envs = TaskVectorEnv(task, 6)
    envs.reset(seed=1)
    rng = np.random.default_rng(0)
    active = np.ones(6, dtype=bool)
    for _ in range(task.steps):
        _, reward, terminated, _, info = envs.step(rng.integers(2, size=6))
        assert not reward[~active].any()
        if terminated.any():
            break
        active = info["active"]
    assert terminated.all()
    assert info["trials"]["choice"].shape == (2, 6)
    assert info["active"].all()  # of the next episodes


@pytest.mark.parametrize("actions", [[0, 2], [-1, 0], [0, 0, 0]])
def test_actions_that_do_not_fit_the_batch_are_refused(actions: list[int]) -> None:
    envs = TaskVectorEnv(TwoStep(), 2)
    envs.reset(seed=1)
    with pytest.raises(InputError, match=r"expected \(2,\) integers from 0 to 1"):
        envs.step(np.array(actions))


def test_seeds_that_do_not_fit_the_batch_are_refused() -> None:
    with pytest.raises(InputError, match="2 seeds for 3 episodes"):
        TaskVectorEnv(TwoStep(), 3).reset(seed=[1, 2])
    with pytest.raises(InputError, match="num_envs is 0; expected 1 or more"):
        TaskVectorEnv(TwoStep(), 0)


@pytest.mark.skipif(GYMNASIUM > 0, reason="gymnasium 1: test_gymnasium1.py")
def test_gymnasium_029_makes_a_batch() -> None:
    envs = gymnasium.make_vec(
        "pfc_metarl/TwoStep-v0",
        num_envs=3,
        vectorization_mode="custom",
        vector_kwargs={"task": "two-step", "trials": 7},
    )
    assert isinstance(envs, TaskVectorEnv)
    assert (envs.num_envs, envs.task) == (3, TwoStep(trials=7))
