"""E6: any memory will do, recurrent or not."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
import xarray as xr

from pfc_metarl.configuration import Configuration
from pfc_metarl.emergence.comparison import (
    Comparison,
    fraction_emerged,
    in_words,
)
from pfc_metarl.emergence.experiment import Claim
from pfc_metarl.emergence.setting import with_learning, with_network
from pfc_metarl.memory import memory_class
from pfc_metarl.tasks.base import Task

MEMORIES = ("lstm", "gru", "rnn", "ctrnn", "slots", "episodic-lstm", "attention")

LEARNING: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("bandit", "gru"): {"learning_rate": 3e-3},
    ("bandit", "ctrnn"): {"learning_rate": 1e-2},
    ("two-step", "ctrnn"): {"updates": 400},
    ("bandit", "attention"): {"final_learning_rate": 0.0},
    ("two-step", "attention"): {"learning_rate": 5e-3},
    ("bandit", "rnn"): {"learning_rate": 1e-3, "updates": 300},
    ("two-step", "rnn"): {
        "learning_rate": 3e-3,
        "max_gradient_norm": 1.0,
        "updates": 400,
    },
}
"""Settings of the slow learning that differ from the LSTM's, by (task, memory).

Guesses: chosen by measurement on seeds from 100 on and validation episodes. With the
LSTM's, three of four GRUs learned the bandit; no RNN was tried with them here.
"""


FEWEST_UNITS = 3
"""That every memory takes: two excitatory units and an inhibitory one."""


class EveryMemory(Comparison):
    """The same distribution of problems for every memory, at matched parameters.

    Some memories learn with settings of their own, or for longer; see ``LEARNING``. E10
    shows them with the LSTM's.
    """

    name = "E6"
    title = "Any memory will do"

    def conditions(self, intact: Configuration) -> Mapping[str, Configuration]:
        """Return a system for every memory, as large as the LSTM's."""
        size = n_parameters("lstm", intact.network.units, intact.task)
        systems = {}
        for memory in MEMORIES:
            units = matched_units(memory, size, intact.task)
            system = with_network(intact, memory=memory, units=units)
            changed = LEARNING.get((intact.task_name, memory), {})
            systems[memory] = with_learning(system, **changed)
        return systems

    def claims(self, results: xr.Dataset) -> list[Claim]:
        """Judge: a learner emerges in every seed."""
        rows = []
        for setting in results.setting.values:
            for memory in results.condition.values:
                of = results.sel(setting=setting, condition=memory)
                n, emerged = of.sizes["seed"], int(of.emerged.sum())
                episodes = of.episodes_to_competence
                reached = int(episodes.notnull().sum())
                median = (
                    f"median {float(episodes.median()):.0f} episodes to competence "
                    f"({reached} of {n} seeds)"
                    if reached
                    else "no seed competent"
                )
                rows.append(
                    Claim(
                        f"{setting}: a learner emerges with the memory {memory}",
                        f"{in_words(results, setting, memory)}; {median}",
                        "every seed emerges",
                        "shown"
                        if emerged == n
                        else ("depends" if emerged else "not shown"),
                        ""
                        if emerged in (0, n)
                        else "on the seed: "
                        f"{fraction_emerged(results, setting, memory).estimate:.0%}",
                    )
                )
        return rows


@lru_cache
def n_parameters(memory: str, units: int, task: Task) -> int:
    """Return the number of parameters of one network, heads included."""
    n_inputs = task.n_observations + task.n_actions + 1
    with torch.device("meta"):
        parameters = list(memory_class(memory)(1, n_inputs, units).parameters())
    heads = (task.n_actions + 1) * (units + 1)
    return sum(parameter.numel() for parameter in parameters) + heads


def matched_units(memory: str, size: int, task: Task) -> int:
    """Return the number of units with which a network is nearest to a size.

    Parameters
    ----------
    memory
        Name of the memory.
    size
        Number of parameters.
    task
        Gives the numbers of inputs and actions.
    """
    units = FEWEST_UNITS
    while n_parameters(memory, units + 1, task) <= size:
        units += 1
    too_small = size - n_parameters(memory, units, task)
    too_large = n_parameters(memory, units + 1, task) - size
    return units if too_small <= too_large else units + 1
