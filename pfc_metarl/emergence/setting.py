"""Settings: what the experiments train on, what they test on, and how they train."""

from dataclasses import dataclass, replace
from typing import Any

from pfc_metarl.configuration import FAST, FAST_BANDIT, Configuration
from pfc_metarl.learning import LearningSettings
from pfc_metarl.network import NetworkSettings
from pfc_metarl.stopping import Stopping
from pfc_metarl.tasks.bandit import Bandit, medium_bandit
from pfc_metarl.tasks.base import Task
from pfc_metarl.tasks.two_step import TwoStep

ADAPTED = 0.8
"""Adaptation index that counts as emerged; a proposal (a guess: no paper has one)."""


@dataclass(frozen=True)
class Setting:
    """A task on which emergence is tested.

    The test task has two options of which one is good (``good_choice``), and an ideal
    observer. The number of updates, of validation and of test episodes, and how often
    competence is looked for, are guesses: compromises of precision with speed.

    Parameters
    ----------
    task
        The distribution of problems for training.
    test_task
        The problems for testing and validation, the same for every condition.
    learning
        The outer algorithm, for an LSTM.
    stake
        Reward that the good choice pays more than the other, on average, in every
        problem of the test; NaN: not the same everywhere, then no regret is told.
    one_trial
        The player of the test task that remembers one trial and no more.
    competent
        Adaptation index at which the time to emergence is taken, on validation
        episodes: :data:`ADAPTED`, or above what ``one_trial`` reaches.
    units
        Of the network.
    """

    task_name: str
    task: Task
    test_task: Task
    learning: LearningSettings
    stake: float
    one_trial: str
    competent: float = ADAPTED
    units: int = 48  # Wang et al. 2018 (preprint), general Methods

    def configuration(self, seeds: int, kernels: str = "torch") -> Configuration:
        """Return the intact system: LSTM, trained by RPE on a sequence of problems.

        When a seed is first competent is noted; training goes on to its end.
        """
        return Configuration(
            self.task_name,
            self.task,
            "emergence",
            seeds,
            network=NetworkSettings(units=self.units),
            learning=self.learning,
            kernels=kernels,
            stopping=Stopping(
                fraction=self.competent, every=10, episodes=100, leave=False
            ),
            test_task=self.test_task,
            test_episodes=1000,
            recorded_episodes=0,
        )


SETTINGS = {
    "bandit": Setting(
        "bandit", Bandit(), medium_bandit(), FAST_BANDIT, 0.5, "win-stay-lose-shift"
    ),
    "two-step": Setting(
        "two-step", TwoStep(), TwoStep(), FAST, 0.48, "last trial", 0.9
    ),
}
"""By name; the correlated bandit is tested on 0.25/0.75 (Wang et al. 2018, Fig. 1)."""


def with_network(configuration: Configuration, **settings: Any) -> Configuration:
    """Return a configuration with other network settings.

    Compiled kernels are for the LSTM without a horizon; others get torch's.
    """
    network = replace(configuration.network, **settings)
    compiled = network.memory == "lstm" and network.horizon is None
    kernels = configuration.kernels if compiled else "torch"
    return replace(configuration, network=network, kernels=kernels)


def with_learning(configuration: Configuration, **settings: Any) -> Configuration:
    """Return a configuration with other settings of the slow learning."""
    return replace(configuration, learning=replace(configuration.learning, **settings))
