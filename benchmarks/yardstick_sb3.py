"""How fast RecurrentPPO is on the same task: a yardstick for ``benchmarks/train.py``.

The route of most users: a gymnasium environment, and sb3-contrib. Two-step task of 100
trials of two steps, LSTM of 48 units. A step is one action of one episode; acting and
learning are both in it. PPO goes over the same steps several times, so a rate compares
time per experience, not work per update.

Settings: ``default`` is the library's, but for the 48 units. ``tuned``: rollouts of
whole episodes, learnt from in batches of a quarter of them, 4 passes instead of 10, one
LSTM for policy and value, no layers behind it; discount, trace decay, costs and
clipping are those of our preset "fast", which do not change the speed. ``whole``: the
same, but all episodes of a rollout are one batch, so that a pass is one update instead
of four. Several seeds are trained one after another.

    python benchmarks/yardstick_sb3.py --sizes 1x16 1x64 --settings tuned --json

It needs benchmarks/requirements-yardsticks.txt; without it it exits with code 3.
"""

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

try:
    import gymnasium
    import numpy as np
    import sb3_contrib
    import torch
    from gymnasium.spaces import Box, Discrete
    from sb3_contrib import RecurrentPPO
    from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor
except ImportError as error:
    print(f"{error}; see benchmarks/requirements-yardsticks.txt", file=sys.stderr)
    raise SystemExit(3) from None

TRIALS, STEPS = 100, 200
P_COMMON, P_REWARD, P_REVERSAL = 0.8, 0.9, 0.025
UNITS, INPUTS, ACTIONS = 48, 6, 2
BATCHES_PER_PASS = {"tuned": 4, "whole": 1}


class TwoStep(gymnasium.Env):
    """The two-step task.

    Observation: choice cue, states 0 and 1; previous action, one-hot; previous reward.
    """

    observation_space = Box(0.0, 1.0, (INPUTS,), np.float32)
    action_space = Discrete(ACTIONS)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode."""
        super().reset(seed=seed)
        self.good_state = int(self.np_random.random() < 0.5)
        self.state, self.at = -1, 0
        observation = np.zeros(INPUTS, np.float32)
        observation[0] = 1.0
        return observation, {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Choose, or leave the state."""
        observation, reward = np.zeros(INPUTS, np.float32), 0.0
        observation[3 + action] = 1.0
        if self.at % 2 == 0:
            rare = self.np_random.random() >= P_COMMON
            self.state = int(action) ^ int(rare)
            observation[1 + self.state] = 1.0
        else:
            good = self.state == self.good_state
            p_reward = P_REWARD if good else 1 - P_REWARD
            reward = float(self.np_random.random() < p_reward)
            self.good_state ^= int(self.np_random.random() < P_REVERSAL)
            observation[0], observation[5] = 1.0, reward
        self.at += 1
        return observation, reward, self.at == STEPS, False, {}


def model(settings: str, batch: int, seed: int) -> RecurrentPPO:
    """Return a model to train, on so many environments.

    Raises
    ------
    ValueError
        When the settings are unknown.
    """
    tasks = VecMonitor(DummyVecEnv([TwoStep] * batch))
    common = {"seed": seed, "device": "cpu"}
    if settings == "default":
        policy = {"lstm_hidden_size": UNITS}
        return RecurrentPPO("MlpLstmPolicy", tasks, policy_kwargs=policy, **common)
    if settings not in BATCHES_PER_PASS:
        allowed = " or ".join(["default", *BATCHES_PER_PASS])
        raise ValueError(f"settings is '{settings}'; expected {allowed}")
    policy = {
        "lstm_hidden_size": UNITS,
        "net_arch": [],
        "shared_lstm": True,
        "enable_critic_lstm": False,
    }
    return RecurrentPPO(
        "MlpLstmPolicy",
        tasks,
        learning_rate=5e-3,
        n_steps=STEPS,
        batch_size=STEPS * batch // BATCHES_PER_PASS[settings],
        n_epochs=4,
        gamma=0.7,
        gae_lambda=0.9,
        ent_coef=0.05,
        vf_coef=0.05,
        max_grad_norm=50.0,
        policy_kwargs=policy,
        **common,
    )


@dataclass(frozen=True)
class Measurement:
    """What was measured at one size."""

    steps_per_second: list[float]  # by block, over all seeds together
    cpu_per_wall: float  # 1: one thread; less: other processes took part of the core
    steps_per_cpu_second: float


def measure(
    n_seeds: int, batch: int, blocks: int, settings: str = "tuned"
) -> Measurement:
    """Train and take the time, after a first block that is not counted.

    A block is one rollout of every environment and the learning from it.
    """
    models = [model(settings, batch, seed) for seed in range(n_seeds)]
    steps = models[0].n_steps * batch

    def block(first: bool = False) -> None:
        for each in models:
            each.learn(steps, reset_num_timesteps=first)

    block(first=True)
    seconds, cpu = [], time.process_time()
    for _ in range(blocks):
        began = time.perf_counter()
        block()
        seconds.append(time.perf_counter() - began)
    cpu = time.process_time() - cpu
    return Measurement(
        [n_seeds * steps / each for each in seconds],
        cpu / sum(seconds),
        blocks * n_seeds * steps / cpu,
    )


def steps_per_second(
    n_seeds: int, batch: int, blocks: int, settings: str = "tuned"
) -> list[float]:
    """Return the steps per second by block."""
    return measure(n_seeds, batch, blocks, settings).steps_per_second


def learning_curve(
    n_seeds: int, batch: int, updates: int, settings: str = "tuned"
) -> list[list[float]]:
    """Train from nothing; return the reward per trial at every tenth, for every seed.

    An update is a rollout and the learning from it; the reward is of the latest 100
    episodes.
    """
    curves: list[list[float]] = []
    for seed in range(n_seeds):
        learner, curve = model(settings, batch, seed), []
        steps = learner.n_steps * batch * (updates // 10)
        for tenth in range(10):
            learner.learn(steps, reset_num_timesteps=tenth == 0)
            latest = [episode["r"] / TRIALS for episode in learner.ep_info_buffer]
            curve.append(statistics.fmean(latest))
        curves.append(curve)
    return curves


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=["1x16", "1x64"])
    parser.add_argument("--blocks", type=int, default=5)
    choices = ["default", *BATCHES_PER_PASS]
    parser.add_argument("--settings", choices=choices, default="tuned")
    parser.add_argument(
        "--learn", type=int, metavar="UPDATES", help="and show learning"
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, Any] = {
        "yardstick": f"sb3-contrib {sb3_contrib.__version__}",
        "settings": arguments.settings,
        "sizes": {},
    }
    for size in arguments.sizes:
        n_seeds, batch = map(int, size.split("x"))
        found = asdict(measure(n_seeds, batch, arguments.blocks, arguments.settings))
        if arguments.learn:
            found["reward_by_tenth"] = learning_curve(
                n_seeds, batch, arguments.learn, arguments.settings
            )
        report["sizes"][size] = found
        if not arguments.json:
            print(size, _in_words(found), flush=True)
    if arguments.json:
        print(json.dumps(report))


def _in_words(found: dict[str, Any]) -> str:
    rates = [each / 1e3 for each in found["steps_per_second"]]
    words = (
        f"{statistics.median(rates):.3f} k steps/s ({min(rates):.3f} to "
        f"{max(rates):.3f}), CPU time/time {found['cpu_per_wall']:.2f}"
    )
    for curve in found.get("reward_by_tenth", []):
        words += "\n    reward " + " ".join(f"{each:.3f}" for each in curve)
    return words


if __name__ == "__main__":
    main()
