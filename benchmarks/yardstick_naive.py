"""How fast training is as mostly published: a yardstick for ``benchmarks/train.py``.

Reimplementations of Wang et al. 2018 in torch play one environment, some of them 16,
step by step with ``nn.LSTMCell`` and ``Categorical``, and leave the gradient of the
whole episode to autograd. This is that, without slips that cost time: the task is
numpy over all episodes at once, 100 trials of two steps; LSTM of 48 units that begins
at zero. Loss, clipping and Adam are those of our preset "fast". Several seeds are
trained one after another. A step is one action of one episode.

    python benchmarks/yardstick_naive.py --sizes 1x1 1x16 --json

It needs torch and numpy only; without them it exits with code 3.
"""

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

try:
    import numpy as np
    import torch
    from torch import Tensor, nn
    from torch.distributions import Categorical
except ImportError as error:
    print(f"{error}; install the project's dependencies", file=sys.stderr)
    raise SystemExit(3) from None

TRIALS, STEPS = 100, 200
P_COMMON, P_REWARD, P_REVERSAL = 0.8, 0.9, 0.025
UNITS, INPUTS, ACTIONS = 48, 6, 2

# As the preset "fast", pfc_metarl.configuration.FAST.
DISCOUNT, TRACE_DECAY = 0.7, 0.9
VALUE_COST, ENTROPY_COST = 0.05, 0.05
LEARNING_RATE, MAX_GRADIENT_NORM = 1.5e-2, 50.0

STEPS_PER_BLOCK = 8_000


class TwoStep:
    """The two-step task, a batch of episodes in lockstep.

    An observation is (episode, input): choice cue, states 0 and 1; previous action,
    one-hot; previous reward.
    """

    def __init__(self, batch: int, random: np.random.Generator) -> None:
        self.batch, self.random = batch, random
        self.rows = np.arange(batch)

    def reset(self) -> np.ndarray:
        """Start new episodes; return the observation."""
        self.good_state = self.random.integers(2, size=self.batch)
        self.state: np.ndarray | None = None
        observation = np.zeros((self.batch, INPUTS), np.float32)
        observation[:, 0] = 1.0
        return observation

    def step(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Act; return the observation and the reward."""
        observation = np.zeros((self.batch, INPUTS), np.float32)
        observation[self.rows, 3 + action] = 1.0
        if self.state is None:
            rare = self.random.random(self.batch) >= P_COMMON
            self.state = action ^ rare
            observation[self.rows, 1 + self.state] = 1.0
            return observation, observation[:, 5]
        p_reward = np.where(self.state == self.good_state, P_REWARD, 1 - P_REWARD)
        observation[:, 5] = self.random.random(self.batch) < p_reward
        self.good_state ^= self.random.random(self.batch) < P_REVERSAL
        self.state = None
        observation[:, 0] = 1.0
        return observation, observation[:, 5]


class Agent(nn.Module):
    """LSTM with a policy and a value."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.LSTMCell(INPUTS, UNITS)
        self.policy = nn.Linear(UNITS, ACTIONS)
        self.value = nn.Linear(UNITS, 1)

    def play(self, task: TwoStep) -> tuple[Tensor, ...]:
        """Play episodes to the end, keeping the graph.

        Returns
        -------
        log_probability, entropy, value, reward : Tensor
            (step, episode).
        """
        hidden = cell = torch.zeros(task.batch, UNITS)
        observation = task.reset()
        log_probabilities, entropies, values, rewards = [], [], [], []
        for _ in range(STEPS):
            hidden, cell = self.memory(torch.from_numpy(observation), (hidden, cell))
            choice = Categorical(logits=self.policy(hidden))
            action = choice.sample()
            observation, reward = task.step(action.numpy())
            log_probabilities.append(choice.log_prob(action))
            entropies.append(choice.entropy())
            values.append(self.value(hidden).squeeze(1))
            rewards.append(torch.from_numpy(reward))
        kept = (log_probabilities, entropies, values, rewards)
        return tuple(torch.stack(each) for each in kept)


def advantage(reward: Tensor, value: Tensor) -> Tensor:
    """Sum reward prediction errors from each step on, discounted; (step, episode)."""
    later = next_value = torch.zeros_like(value[0])
    ahead = []
    for step in reversed(range(STEPS)):
        error = reward[step] + DISCOUNT * next_value - value[step]
        later = error + DISCOUNT * TRACE_DECAY * later
        next_value = value[step]
        ahead.append(later)
    return torch.stack(ahead[::-1])


class Trainer:
    """One seed in training."""

    def __init__(self, seed: int, batch: int) -> None:
        torch.manual_seed(seed)
        self.agent = Agent()
        self.task = TwoStep(batch, np.random.default_rng(seed))
        self.optimiser = torch.optim.Adam(self.agent.parameters(), LEARNING_RATE)

    def update(self) -> float:
        """Play and learn; return the reward per trial."""
        log_probability, entropy, value, reward = self.agent.play(self.task)
        ahead = advantage(reward, value.detach())
        critic = (ahead + value.detach() - value).square() / 2
        loss = -ahead * log_probability + VALUE_COST * critic - ENTROPY_COST * entropy
        self.optimiser.zero_grad()
        loss.sum(0).mean().backward()
        nn.utils.clip_grad_norm_(self.agent.parameters(), MAX_GRADIENT_NORM)
        self.optimiser.step()
        return reward.sum(0).mean().item() / TRIALS


@dataclass(frozen=True)
class Measurement:
    """What was measured at one size."""

    steps_per_second: list[float]  # by block, over all seeds together
    cpu_per_wall: float  # 1: one thread; less: other processes took part of the core
    steps_per_cpu_second: float


def measure(n_seeds: int, batch: int, blocks: int) -> Measurement:
    """Train and take the time, after a first block that is not counted."""
    trainers = [Trainer(seed, batch) for seed in range(n_seeds)]
    steps = n_seeds * batch * STEPS
    updates = max(2, STEPS_PER_BLOCK // steps)

    def block() -> None:
        for trainer in trainers:
            for _ in range(updates):
                trainer.update()

    block()
    seconds, cpu = [], time.process_time()
    for _ in range(blocks):
        began = time.perf_counter()
        block()
        seconds.append(time.perf_counter() - began)
    cpu = time.process_time() - cpu
    return Measurement(
        [updates * steps / each for each in seconds],
        cpu / sum(seconds),
        blocks * updates * steps / cpu,
    )


def steps_per_second(n_seeds: int, batch: int, blocks: int) -> list[float]:
    """Return the steps per second by block."""
    return measure(n_seeds, batch, blocks).steps_per_second


def learning_curve(n_seeds: int, batch: int, updates: int) -> list[list[float]]:
    """Train from nothing; return the reward per trial by tenths, for every seed."""
    curves = []
    for seed in range(n_seeds):
        trainer = Trainer(seed, batch)
        reward = [trainer.update() for _ in range(updates // 10 * 10)]
        curves.append(np.reshape(reward, (10, -1)).mean(1).tolist())
    return curves


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=["1x1", "1x16"])
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument(
        "--learn", type=int, metavar="UPDATES", help="and show learning"
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, Any] = {"yardstick": f"torch {torch.__version__}", "sizes": {}}
    for size in arguments.sizes:
        n_seeds, batch = map(int, size.split("x"))
        found = asdict(measure(n_seeds, batch, arguments.blocks))
        if arguments.learn:
            found["reward_by_tenth"] = learning_curve(n_seeds, batch, arguments.learn)
        report["sizes"][size] = found
        if not arguments.json:
            print(size, _in_words(found), flush=True)
    if arguments.json:
        print(json.dumps(report))


def _in_words(found: dict[str, Any]) -> str:
    rates = [each / 1e3 for each in found["steps_per_second"]]
    words = (
        f"{statistics.median(rates):.2f} k steps/s ({min(rates):.2f} to "
        f"{max(rates):.2f}), CPU time/time {found['cpu_per_wall']:.2f}"
    )
    for curve in found.get("reward_by_tenth", []):
        words += "\n    reward " + " ".join(f"{each:.3f}" for each in curve)
    return words


if __name__ == "__main__":
    main()
