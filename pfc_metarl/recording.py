"""Recording: networks with frozen weights, observed while they play.

The behaviour becomes a trial table in which every seed is a subject and every test
episode a session; the activity becomes a tree of arrays by seed, episode and step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from pfc_metarl.dopamine import reward_prediction_error
from pfc_metarl.interventions import Intervention, Moment, Seen
from pfc_metarl.learning import exploration_noise
from pfc_metarl.memory import Memory
from pfc_metarl.network import Network, weights_hash
from pfc_metarl.seeds import Stream, generator
from pfc_metarl.tasks.base import Episodes, Task, side_by_side
from pfc_metarl.trials import trial_table

TEST_SEED = 0
"""All networks and observers meet the same test episodes, of a stream of their own."""

_STREAMS: dict[str, tuple[Stream, Stream]] = {
    "test": ("test episodes", "test actions"),
    "validation": ("validation episodes", "validation actions"),
}


@dataclass(frozen=True)
class Played:
    """What networks did and felt in a batch of episodes.

    Tensors are (step, seed, ..., episode): ``observation`` and ``policy`` with a
    feature dimension, ``states`` (by name) with a unit dimension. ``trial`` and
    ``phase`` are those of every step, (step,), in self-paced tasks (step, seed,
    episode).
    """

    episodes: Episodes
    observation: Tensor
    action: Tensor
    reward: Tensor
    policy: Tensor
    value: Tensor
    states: Mapping[str, Tensor]
    trial: Tensor
    phase: Tensor
    n_recorded: int


@torch.no_grad()
def play(
    network: Network,
    task: Task,
    n_episodes: int,
    *,
    intervention: Intervention | None = None,
    n_recorded: int = 0,
    n_trials: int | None = None,
    purpose: Literal["test", "validation"] = "test",
) -> Played:
    """Let networks play the test episodes; their weights stay as they are.

    Parameters
    ----------
    network
        Networks of some seeds.
    task
        Its test episodes are the same for every seed, and were never trained on: they
        are drawn from a stream of their own.
    n_episodes
        Number of test episodes.
    intervention
        What is done to the networks meanwhile; None: nothing. The recording has what
        the task showed, and what the networks did.
    n_recorded
        Keep the memory's state in the first so many episodes. Takes
        4 bytes x steps x seeds x units x episodes for each part of the state.
    n_trials
        Play only so many trials of each episode (not for self-paced tasks); None: all.
    purpose
        "validation" for the episodes that decide when training may stop: others than
        the test's, so that no result is chosen by the episodes that it is shown on.

    Returns
    -------
    Played
        Everything, on the CPU.
    """
    seeds, device = network.seeds, network.policy_bias.device
    for_episodes, for_actions = _STREAMS[purpose]
    tape = task.draw(n_episodes, generator(TEST_SEED, for_episodes))
    episodes = task.begin(side_by_side([tape] * len(seeds), str(device)))
    draws = [generator(seed, for_actions) for seed in seeds]
    noise = _noise(task, draws, n_episodes).to(device)
    inputs = network.blank_inputs(task.steps, n_episodes)
    parts = (network.n_observations, network.n_actions, 1)
    outputs, actions, rewards = [], [], []
    states: list[dict[str, Tensor]] = []
    kept = _recorded_parts(network.memory) if n_recorded else {}
    initial = state = network.memory.initial_state(n_episodes)
    observation = episodes.observation
    trials: list[Tensor] = []
    phases: list[Tensor] = []
    n_steps = task.steps
    if n_trials is not None:
        n_steps = min(n_steps, n_trials * task.steps_per_trial)
    for step in range(n_steps):
        if episodes.active is not None and not episodes.active.any():
            break  # all are over
        trials.append(torch.as_tensor(episodes.trial))
        phases.append(torch.as_tensor(episodes.phase))
        seen = inputs.observe(step, observation)
        if intervention is not None:
            moment = Moment(step, trials[-1], _begins(trials))
            state = intervention.state(state, initial, moment)
            seen = torch.cat(
                intervention.inputs(Seen(*seen.split(parts, 1)), moment), 1
            )
        output, state = network.memory.forward_step(seen, state)
        if intervention is not None:
            output = intervention.output(output, moment)
        action = (network.logits(output) + noise[step]).argmax(1)
        observation, reward = episodes.step(action)
        inputs.feed_back(step, action, reward)
        outputs.append(output)
        actions.append(action)
        rewards.append(reward)
        states.append(
            {name: state[part][..., :n_recorded].clone() for name, part in kept.items()}
        )
    logits, value = network.logits_and_value(torch.stack(outputs))
    return Played(
        episodes=episodes,
        observation=inputs.steps[: len(actions), :, : network.n_observations].cpu(),
        action=torch.stack(actions).cpu(),
        reward=torch.stack(rewards).cpu(),
        policy=logits.softmax(2).cpu(),
        value=value.cpu(),
        states={
            name: torch.stack([at_step[name] for at_step in states]).cpu()
            for name in kept
        },
        trial=torch.stack(trials).cpu(),
        phase=torch.stack(phases).cpu(),
        n_recorded=n_recorded,
    )


def _recorded_parts(memory: Memory) -> dict[str, int]:
    """Places of the parts of the state that recordings have, by name."""
    return {
        name: part
        for part, name in enumerate(memory.state_names)
        if name not in memory.not_recorded
    }


def _begins(trials: Sequence[Tensor]) -> Tensor:
    """Whether the latest step begins a trial that follows another."""
    if len(trials) < 2:
        return torch.zeros_like(trials[-1], dtype=torch.bool)
    return trials[-1] != trials[-2]


def _noise(task: Task, draws: Sequence[torch.Generator], n_episodes: int) -> Tensor:
    return torch.stack(
        [
            exploration_noise(task.steps, task.n_actions, n_episodes, draw)
            for draw in draws
        ],
        dim=1,
    )


def behaviour(
    episodes: Episodes, subject_id: Sequence[str], attrs: Mapping[str, Any]
) -> xr.Dataset:
    """Return finished episodes as a trial table.

    Parameters
    ----------
    episodes
        Of several seeds, tensors (trial, seed, episode), or of one player, tensors
        (trial, episode).
    subject_id
        A name per seed.
    attrs
        Attributes of the table.

    Returns
    -------
    xarray.Dataset
        Trial table: subjects are seeds, sessions are their episodes in turn.
    """
    columns = {
        name: values.reshape(len(values), len(subject_id), -1).permute(1, 2, 0).cpu()
        for name, values in episodes.trials().items()
    }
    shape = columns["choice"].shape  # seed, episode, trial
    subject, episode, trial = np.indices(shape).reshape(3, -1)
    return trial_table(
        {name: values.reshape(-1).numpy() for name, values in columns.items()},
        subject=subject,
        session=subject * shape[1] + episode,
        trial_in_session=trial,
        subject_id=subject_id,
        session_name=[f"{s}, episode {e}" for s in subject_id for e in range(shape[1])],
        attrs=attrs,
    )


def recording(
    played: Played,
    task: Task,
    network: Network,
    discount: float,
    attrs: Mapping[str, Any],
) -> xr.DataTree:
    """Return the recorded episodes step by step, beside their trial table.

    Parameters
    ----------
    played
        From :func:`play` with ``n_recorded`` > 0.
    task, network
        What was played, and who played.
    discount
        Of the RPE, as in training.
    attrs
        Attributes of the tree.

    Returns
    -------
    xarray.DataTree
        ``/trials``: trial table of all the episodes played. ``/steps``, for the
        recorded ones: (seed, episode, step) ``action``, ``reward``, ``value``, ``rpe``;
        with a further dimension ``observation``, ``policy`` and the memory's state by
        ``unit`` (a part with another number of units than the memory: by
        ``<part>_unit``). ``trial`` and ``phase`` say where in its trial a step is
        ((step,), in self-paced tasks (seed, episode, step)), ``session`` (seed,
        episode) which session of ``/trials`` an episode is: there are the
        latents. The RPE of the last step takes the future to be worth nothing, which
        the network, not knowing that the episode ends, does not expect.
    """
    n_recorded = played.n_recorded
    rpe = reward_prediction_error(played.reward, played.value, discount)
    variables = {
        "action": _by_step(played.action, n_recorded, "action taken", "index"),
        "reward": _by_step(played.reward, n_recorded, "what it brought", "reward"),
        "value": _by_step(played.value, n_recorded, "value before it", "reward"),
        "rpe": _by_step(rpe, n_recorded, "reward prediction error of it", "reward"),
        "observation": _by_step(played.observation, n_recorded, "cue seen", "1", "cue"),
        "policy": _by_step(
            played.policy, n_recorded, "probability", "1", "action_option"
        ),
    }
    for name, values in played.states.items():
        meaning = f"{name} state after the observation"
        # Parts of another size than the memory's have a dimension of their own.
        unit = "unit" if values.shape[2] == network.memory.n_units else f"{name}_unit"
        variables[name] = _by_step(values, n_recorded, meaning, "1", unit)
    n_episodes = played.reward.shape[-1]
    first_session = np.arange(len(network.seeds))[:, None] * n_episodes
    steps = xr.Dataset(
        variables,
        coords={
            "seed": list(network.seeds),
            "session": (("seed", "episode"), first_session + np.arange(n_recorded)),
            "trial": _of_steps(played.trial, n_recorded),
            "phase": _names(_of_steps(played.phase, n_recorded), task.phases),
        },
        attrs={"discount": discount},
    )
    names = [f"seed {seed}" for seed in network.seeds]
    trials = behaviour(played.episodes, names, attrs)
    tree = {"/": xr.Dataset(attrs=dict(attrs)), "/trials": trials, "/steps": steps}
    return xr.DataTree.from_dict(tree)


def _of_steps(values: Tensor, n_recorded: int) -> xr.Variable:
    """Turn (step,) or (step, seed, episode) into a coordinate."""
    if values.dim() == 1:
        return xr.Variable("step", values.numpy())
    recorded = values[..., :n_recorded].permute(1, 2, 0).contiguous()
    return xr.Variable(("seed", "episode", "step"), recorded.numpy())


def _names(index: xr.Variable, names: Sequence[str]) -> xr.Variable:
    return xr.Variable(index.dims, np.array(names)[index.values])


def _by_step(
    values: Tensor, n_recorded: int, meaning: str, units: str, *feature: str
) -> xr.Variable:
    """Turn (step, seed, [feature,] episode) into (seed, episode, step[, feature])."""
    order = (1, 3, 0, 2) if feature else (1, 2, 0)
    array = values[..., :n_recorded].permute(*order).contiguous().numpy()
    attrs = {"long_name": meaning, "units": units}
    return xr.Variable(("seed", "episode", "step", *feature), array, attrs)


def hashes(network: Network) -> list[str]:
    """Return the SHA-256 sum of each seed's weights."""
    return [
        weights_hash(network.seed_weights(position))
        for position in range(len(network.seeds))
    ]
