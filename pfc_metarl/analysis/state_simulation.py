"""Whether one agent's state holds all that another needs, and the other way round.

A network may behave like a Bayesian without computing like one. A stricter test asks
whether the one machine can run on the other's memory: a map from the states of A to
those of B is learned on some episodes, and on others B acts in the states so mapped.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from pfc_metarl.analysis.agents import Agent
from pfc_metarl.analysis.episode_folds import episode_folds
from pfc_metarl.analysis.policy_divergence import divergence
from pfc_metarl.analysis.state_maps import Fit, FitMLP, scale_of
from pfc_metarl.errors import InputError

Floats = NDArray[np.float64]

LOWEST = 1e-300  # a probability that stands for 0 where logarithms are taken


def mutual_simulation(
    networks: Sequence[Agent],
    observers: Sequence[Agent],
    fit: Fit | None = None,
    inputs: ArrayLike | None = None,
) -> xr.Dataset:
    """Let each network run on its ideal observer's states, and the other way round.

    A map is learned on one half of the episodes and judged on the other. To learn what
    the numbers of a trained network mean, do the same with an untrained one.

    Parameters
    ----------
    networks
        One per seed; see :func:`network_agents`.
    observers
        One per seed, in the states that the network's own choices and rewards led to;
        see :func:`bandit_observers`.
    fit
        What learns the map; None: :class:`FitMLP` with its defaults. A linear one is
        :func:`fit_ridge`.
    inputs
        (seed, episode, step, input): what both are told at each step, such as
        :func:`last_outcome`; the map gets it beside the state. A network's state shows
        its latest inputs as such and an observer's only their sum, so that without them
        the former cannot be made from the latter. None: nothing.

    Returns
    -------
    xarray.Dataset
        Dimensions (seed, direction), the latter ``network_to_observer`` (the network's
        state is mapped, the observer acts) and ``observer_to_network``; all on held-out
        episodes. ``state_dissimilarity``: squared error of the mapped state, summed
        over units standardised by the episodes fitted on, over the same for the mean of
        those episodes: 0 where states are the same, 1 for a map that knows only the
        mean.
        In nats, means over episodes and steps: ``output_dissimilarity``, KL(target in
        its own state || target in the mapped state); ``uninformed_dissimilarity``, the
        same for the target's mean state instead, which is what a source that tells
        nothing leads to; ``behaviour_dissimilarity``, KL(source in its own state ||
        target in the mapped state), which counts besides how the agents differ.

    Raises
    ------
    InputError
        When there are not as many networks as observers, episodes, steps or actions
        differ, or a state does not vary or is not finite.

    References
    ----------
    After Mikulik et al. 2020, arXiv 2010.11223. Public code after them (of Kuo et al.
    2025, arXiv 2510.22039) maps by perceptrons, too, divides the squared error of the
    state by its size, and compares outputs on bandits by the difference in expected
    return; the divergence needs no knowledge of the arms.
    """
    if not networks or len(networks) != len(observers):
        raise InputError(
            f"{len(networks)} networks and {len(observers)} observers; "
            "expected one observer per network, and at least one"
        )
    learn = FitMLP() if fit is None else fit
    found = [
        [simulation(one, other, learn, told), simulation(other, one, learn, told)]
        for one, other, told in zip(
            networks, observers, _inputs(inputs, networks), strict=True
        )
    ]
    units = {"state_dissimilarity": "1"}
    return xr.Dataset(
        {
            name: (
                ("seed", "direction"),
                [[numbers[name] for numbers in both] for both in found],
                {"units": units.get(name, "nat")},
            )
            for name in found[0][0]
        },
        coords={"direction": ["network_to_observer", "observer_to_network"]},
    )


def simulation(
    source: Agent, target: Agent, fit: Fit, inputs: Floats | None = None
) -> dict[str, float]:
    """Let one agent act in states that are mapped from another's.

    Parameters
    ----------
    source, target
        In the same episodes, step for step.
    fit
        Learns the map from the first half of the episodes, dealt out at random.
    inputs
        (episode, step, input): what the map is told beside the source's state.

    Returns
    -------
    dict
        The numbers of :func:`mutual_simulation`.

    Raises
    ------
    InputError
        When episodes, steps or actions differ, or a state does not vary or is not
        finite.
    """
    _check(source, target)
    fitted_on, held_out = episode_folds(len(source.state), 2)[0]
    nothing = np.empty((*source.state.shape[:2], 0))
    told = np.concatenate([source.state, nothing if inputs is None else inputs], -1)
    wanted = _points(target.state[fitted_on])
    to_target = fit(_points(told[fitted_on]), wanted)
    mapped, true = to_target(_points(told[held_out])), _points(target.state[held_out])
    own, there = target.policy(true), source.policy(_points(source.state[held_out]))
    scale = scale_of(wanted)
    ideal = scale.standardised(true)  # the mean is at 0
    error = ideal - scale.standardised(mapped)
    in_mapped = _logarithm(target.policy(mapped))
    in_mean = _logarithm(target.policy(scale.mean))
    return {
        "state_dissimilarity": float((error**2).sum() / (ideal**2).sum()),
        "output_dissimilarity": float(divergence(own, in_mapped).mean()),
        "uninformed_dissimilarity": float(divergence(own, in_mean).mean()),
        "behaviour_dissimilarity": float(divergence(there, in_mapped).mean()),
    }


def last_outcome(choice: ArrayLike, reward: ArrayLike, n_actions: int = 2) -> Floats:
    """Return what a network is told of the step before: action, one-hot, and reward.

    Parameters
    ----------
    choice, reward
        (..., step); a missing reward counts as 0.
    n_actions
        How many actions there are.

    Returns
    -------
    numpy.ndarray
        (..., step, action and reward), all 0 at the first step.
    """
    one_hot = np.asarray(choice)[..., None] == np.arange(n_actions)
    earned = np.nan_to_num(np.asarray(reward, dtype=float))[..., None]
    outcome = np.concatenate([one_hot, earned], axis=-1)
    before: Floats = np.zeros_like(outcome)
    before[..., 1:, :] = outcome[..., :-1, :]
    return before


def _inputs(
    inputs: ArrayLike | None, agents: Sequence[Agent]
) -> Sequence[Floats | None]:
    if inputs is None:
        return [None] * len(agents)
    told = np.asarray(inputs, dtype=float)
    expected = (len(agents), *agents[0].state.shape[:2])
    if told.ndim != 4 or told.shape[:3] != expected or not np.isfinite(told).all():
        raise InputError(
            f"inputs have shape {told.shape}, finite or not; expected finite numbers "
            f"(seed, episode, step, input), the first three being {expected}"
        )
    return list(told)


def _check(source: Agent, target: Agent) -> None:
    if source.state.shape[:2] != target.state.shape[:2] or source.state.ndim != 3:
        raise InputError(
            f"the states have shapes {source.state.shape} and {target.state.shape}; "
            "expected (episode, step, unit) with the same episodes and steps"
        )
    for agent in (source, target):
        if not np.isfinite(agent.state).all() or not np.ptp(_points(agent.state)):
            raise InputError(
                "an agent's state does not vary or is not finite; expected finite "
                "numbers that do (a network without memory has no state)"
            )
    n_source, n_target = (
        agent.policy(agent.state[0, 0]).size for agent in (source, target)
    )
    if n_source != n_target:
        raise InputError(
            f"the agents have {n_source} and {n_target} actions; expected the same "
            "(leave out rows of the policy's weights and biases)"
        )


def _points(state: Floats) -> Floats:
    return state.reshape(-1, state.shape[-1])


def _logarithm(policy: Floats) -> Floats:
    logits: Floats = np.log(np.maximum(policy, LOWEST))
    return logits
