"""When training may stop: the criterion, and what a seed must earn to meet it."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.network import Network
from pfc_metarl.recording import TEST_SEED, play
from pfc_metarl.seeds import generator
from pfc_metarl.tasks.base import Episodes, Task
from pfc_metarl.tasks.observers import ideal_observer


@dataclass(frozen=True)
class Stopping:
    """Stop training a seed once its frozen network earns enough.

    Every ``every`` updates, and after the last, the network plays ``episodes``
    validation episodes, always the same, drawn from a stream that neither training nor
    testing uses. It is competent when its reward per trial on them reaches

        chance + fraction x (ideal observer - chance),

    each on those very episodes, or ``reward`` where that is given. Without ``leave``
    it is noted when a seed is first competent, and training goes on to its end.
    """

    fraction: float = 0.95
    every: int = 10
    episodes: int = 200
    reward: float | None = None
    leave: bool = True

    def __post_init__(self) -> None:
        """Check the criterion.

        Raises
        ------
        InputError
            When a number is out of range.
        """
        if not 0 < self.fraction <= 1:
            raise InputError(f"fraction is {self.fraction}; expected above 0, up to 1")
        if self.reward is not None and not math.isfinite(self.reward):
            raise InputError(f"reward is {self.reward}; expected a finite number")
        if min(self.every, self.episodes) < 1:
            raise InputError(
                f"every is {self.every} and episodes {self.episodes}; "
                "expected 1 or more"
            )

    def check(self, task: Task) -> None:
        """Check that the criterion can be met on a task.

        Raises
        ------
        InputError
            When it depends on an ideal observer that the task does not have.
        """
        if self.reward is None:
            ideal_observer(task)

    def needed(self, task: Task) -> float:
        """Return the reward per trial that a seed must earn.

        Raises
        ------
        InputError
            When it depends on an ideal observer that the task does not have.
        """
        if self.reward is not None:
            return self.reward
        tape = task.draw(self.episodes, generator(TEST_SEED, "validation episodes"))
        draw = generator(TEST_SEED, "observer")
        ideal = float(reward_per_trial(ideal_observer(task).play(tape, draw)))
        episodes = task.begin(tape)
        for _ in range(task.steps):
            shape = episodes.observation.shape[:-1]
            episodes.step(torch.randint(task.n_actions, shape, generator=draw))
        chance = float(reward_per_trial(episodes))
        return chance + self.fraction * (ideal - chance)

    def earned(self, network: Network, task: Task) -> Tensor:
        """Return what each seed earns per trial on the validation episodes, (seed,)."""
        played = play(network, task, self.episodes, purpose="validation")
        return reward_per_trial(played.episodes).cpu()


def reward_per_trial(episodes: Episodes) -> Tensor:
    """Return the mean outcome of a trial, (...,); invalid trials pay 0."""
    return episodes.trials()["reward"].nan_to_num().mean((0, -1))
