"""Trained networks, and untrained ones that meet the very same episodes.

What a state tells of its past depends on the weights, but also on the inputs: the
choices of a network that learns tell what it believed, so that any memory of them
tells it, too. To see what training did, an untrained network is therefore shown the
observations, choices and rewards of a trained one. Beside it stands the untrained
network in episodes of its own, in which it chooses at random.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from pfc_metarl.analysis import bandit_statistics
from pfc_metarl.analysis.state_simulation import last_outcome
from pfc_metarl.network import Network
from pfc_metarl.recording import Played, play
from pfc_metarl.tasks.base import Task

Floats = NDArray[np.float64]

TRAINED, SAME, OWN = (
    "trained",
    "untrained, same episodes",
    "untrained, own episodes",
)


@dataclass(frozen=True)
class Observed:
    """Networks, the episodes that they were shown, and their activity there.

    All are (seed, episode, trial, ...). ``state``: all parts of the memory's state side
    by side, after the inputs of the trial; ``output``: what the heads read; ``policy``
    by action. ``choice`` and ``reward`` are those of the episodes, ``inputs`` the last
    choice, one-hot, and reward. ``statistics``: of
    :func:`pfc_metarl.analysis.bandit_statistics`, before each choice.
    """

    network: Network
    state: Floats
    output: Floats
    policy: Floats
    choice: Floats
    reward: Floats
    inputs: Floats
    statistics: xr.Dataset


def trained_and_not(
    trained: Network, untrained: Network, task: Task, n_episodes: int
) -> Mapping[str, Observed]:
    """Observe trained networks, and untrained ones in the same and in own episodes.

    Parameters
    ----------
    trained, untrained
        As many of either.
    task
        The correlated bandit, without fixation.
    n_episodes
        Of validation, which neither training nor testing uses: what is fitted on them
        may be tried on test episodes.

    Returns
    -------
    mapping
        :data:`TRAINED`, :data:`SAME` and :data:`OWN`.
    """
    played, alone = (
        play(network, task, n_episodes, purpose="validation")
        for network in (trained, untrained)
    )
    return {
        TRAINED: observed(trained, played),
        SAME: observed(untrained, played),
        OWN: observed(untrained, alone),
    }


@torch.no_grad()
def observed(network: Network, played: Played) -> Observed:
    """Show networks the episodes that some networks played, a step per trial.

    Parameters
    ----------
    network
        As many networks as played; the first is shown the episodes of the first, ...
    played
        Their observations, choices and rewards. Shown to the networks that played them
        they bring about the activity that was.
    """
    n_steps, n_episodes = len(played.action), played.action.shape[-1]
    inputs = network.blank_inputs(n_steps, n_episodes)
    state = network.memory.initial_state(n_episodes)
    states, outputs = [], []
    for step, observation in enumerate(played.observation):
        seen = inputs.observe(step, observation.transpose(-1, -2))
        output, state = network.memory.forward_step(seen, state)
        inputs.feed_back(step, played.action[step], played.reward[step])
        states.append(torch.cat(state, dim=1))
        outputs.append(output)
    logits, _ = network.logits_and_value(torch.stack(outputs))
    stacked = (torch.stack(states), torch.stack(outputs), logits.softmax(2))
    whole, read, policy = (x.permute(1, 3, 0, 2).double().numpy() for x in stacked)
    columns = played.episodes.trials()
    choice, reward = (
        columns[name].permute(1, 2, 0).double().numpy() for name in ("choice", "reward")
    )
    return Observed(
        network,
        state=whole,
        output=read,
        policy=policy,
        choice=choice,
        reward=reward,
        inputs=last_outcome(choice, reward),
        statistics=bandit_statistics(choice, reward),
    )
