"""Agents of stable-baselines3 play our environments: ``make test-sb3``."""

from collections.abc import Callable
from typing import Any

import gymnasium
import pytest
import torch

pytestmark = [
    pytest.mark.sb3,
    pytest.mark.filterwarnings("default"),  # that library's are its own
]


@pytest.fixture(autouse=True)
def _leaves_the_global_generator_alone() -> None:
    """Stable-baselines3 draws from it; our own code is held to it elsewhere."""


def make(name: str, **parameters: Any) -> Callable[[], Any]:
    """What stable-baselines3 asks for: a function that makes the environment."""

    def environment() -> Any:
        from neurogym.wrappers import PassAction, PassReward

        return PassReward(PassAction(gymnasium.make(name, **parameters)))

    return environment


@pytest.mark.parametrize("name", ["TwoStep", "Bandit"])
def test_its_checker_is_content(name: str) -> None:
    from stable_baselines3.common.env_checker import check_env

    check_env(gymnasium.make(f"pfc_metarl/{name}-v0").unwrapped)


def test_recurrent_ppo_learns_which_arm_pays() -> None:
    from sb3_contrib import RecurrentPPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    torch.set_num_threads(1)
    arms = {
        "distribution": "listed",
        "problems": ((0.1, 0.9),),
        "trials": 20,
    }
    envs = DummyVecEnv([make("pfc_metarl/Bandit-v0", **arms)] * 4)
    model = RecurrentPPO(
        "MlpLstmPolicy",
        envs,
        n_steps=64,
        learning_rate=3e-3,
        policy_kwargs={"lstm_hidden_size": 16},
        seed=1,
        device="cpu",
    )
    model.learn(4096)
    observation = envs.reset()
    state, starts, rewards = None, [True] * 4, []
    for _ in range(200):
        action, state = model.predict(observation, state=state, episode_start=starts)
        observation, reward, starts, _ = envs.step(action)
        rewards += reward.tolist()
    assert sum(rewards) / len(rewards) > 0.75  # chance: 0.5


def test_recurrent_ppo_trains_on_the_two_step_task() -> None:
    from sb3_contrib import RecurrentPPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    torch.set_num_threads(1)
    envs = DummyVecEnv([make("pfc_metarl/TwoStep-v0", trials=10)] * 2)
    model = RecurrentPPO("MlpLstmPolicy", envs, n_steps=32, seed=1, device="cpu")
    model.learn(256)
    assert model.num_timesteps == 256
