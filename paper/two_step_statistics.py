"""The numbers of the two-step figure, for agents, the ideal observer and rats."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pfc_metarl.analysis import (
    history_regression,
    learning_curve,
    reversal_aligned_choice,
    rpe_regression,
    stay_probability,
)
from pfc_metarl.configuration import Configuration
from pfc_metarl.fits import MODELS, compare, fit, rpe
from pfc_metarl.recording import TEST_SEED, behaviour
from pfc_metarl.seeds import generator
from pfc_metarl.simulation import provenance_attributes
from pfc_metarl.tasks.observers import TwoStepObserver
from pfc_metarl.tasks.two_step import TwoStep
from pfc_metarl.trials import select

RIDGE = 1.0
"""Penalty of the history regression for agents and animals alike: without it the
weights of an agent that hardly errs have no finite estimate."""

_LEVEL_EPISODES = 20_000


def ideal_observer(task: TwoStep, n_episodes: int) -> xr.Dataset:
    """Return the ideal observer's trial table on the test episodes.

    Parameters
    ----------
    task
        The task of the networks.
    n_episodes
        As many as the networks played: the very same episodes.
    """
    tape = task.draw(n_episodes, generator(TEST_SEED, "test episodes"))
    episodes = TwoStepObserver(task).play(tape, generator(TEST_SEED, "observer"))
    return behaviour(episodes, ["ideal observer"], {"task": "two-step"})


def reward_levels(task: TwoStep) -> dict[str, float]:
    """Return rewards per trial to compare with, over 20 000 episodes.

    Returns
    -------
    dict
        ``random``: random choices (exact); ``ideal_observer``: all that can be had
        from the past; ``last_trial_observer``: the same with the memory cut to the
        last trial.
    """
    tape = task.draw(_LEVEL_EPISODES, generator(TEST_SEED + 1, "test episodes"))

    def mean_reward(observer: TwoStepObserver) -> float:
        episodes = observer.play(tape, generator(TEST_SEED + 1, "observer"))
        return float(episodes.trials()["reward"].double().mean())

    return {
        "random": float(np.mean(task.blocks)),
        "ideal_observer": mean_reward(TwoStepObserver(task)),
        "last_trial_observer": mean_reward(TwoStepObserver(task, memory_trials=1)),
    }


def behaviour_statistics(table: xr.Dataset) -> dict[str, xr.Dataset]:
    """Return what is computed alike from any subjects' trial table."""
    return {
        "stay": stay_probability(table),
        "history": history_regression(table, ridge=RIDGE),
        "reversals": reversal_aligned_choice(table, before=10, after=20),
    }


def fit_statistics(table: xr.Dataset) -> dict[str, xr.Dataset]:
    """Return fits of every model and their comparison, from any trial table."""
    fits = {name: fit(name, table) for name in MODELS}
    named = {f"fit_{name}": result for name, result in fits.items()}
    return {**named, "comparison": compare(list(fits.values()))}


def rpe_statistics(
    table: xr.Dataset, steps: xr.Dataset, fits: Mapping[str, xr.Dataset]
) -> dict[str, xr.Dataset]:
    """Regress the networks' RPE on those of model-based and model-free learners.

    Parameters
    ----------
    table
        Trial table of the recorded episodes.
    steps
        Their recording, ``/steps``.
    fits
        From :func:`fit_statistics`: they give the learners' rates.

    Returns
    -------
    dict
        ``rpe``: explained variances; ``rpe_by_trial``: the RPEs themselves.
    """
    network = {
        "stage2": _at_phase(steps, "choice"),
        "reward": _at_phase(steps, "state2"),
    }
    learners = {
        name: rpe(name, table, fits[f"fit_{name}"])
        for name in ("model-based", "model-free")
    }
    by_epoch = {
        name: {epoch: values[epoch].values for epoch in network}
        for name, values in learners.items()
    }
    regression = rpe_regression(
        table, network, by_epoch["model-based"], by_epoch["model-free"]
    )
    columns = {"network": network, **by_epoch}
    by_trial = xr.Dataset(
        {
            f"{name}_{epoch}": ("trial", np.asarray(values, dtype="float32"))
            for name, epochs in columns.items()
            for epoch, values in epochs.items()
        },
        coords={"subject": ("trial", table.subject.values)},
    )
    by_trial["common"] = ("trial", table.transition_common.values)
    return {"rpe": regression, "rpe_by_trial": by_trial}


def _at_phase(steps: xr.Dataset, phase: str) -> NDArray[np.float32]:
    """Return the RPE at one step of every trial, flat: seed, episode, trial."""
    values: NDArray[np.float32] = steps.rpe.isel(
        step=steps.phase.values == phase
    ).values
    return values.reshape(-1)


def statistics(
    configuration: Configuration,
    agents: xr.Dataset,
    steps: xr.Dataset,
    training: xr.Dataset,
    rats: xr.Dataset | None,
) -> xr.DataTree:
    """Compute every number of the figure and the report.

    Parameters
    ----------
    configuration
        Of the run.
    agents
        Trial table of all test episodes.
    steps
        ``/steps`` of the recording.
    training
        Training curves.
    rats
        Trial table of the rats, if there are any.

    Returns
    -------
    xarray.DataTree
        ``/agents/...``, ``/observer/...``, ``/rats/...`` (absent without rats) by
        analysis, ``/training``; levels of reward in the attributes.
    """
    task = configuration.task
    assert isinstance(task, TwoStep)
    observer = ideal_observer(task, configuration.test_episodes)
    episode = agents.session.values % configuration.test_episodes
    recorded = select(agents, episode < configuration.recorded_episodes)
    fits = fit_statistics(recorded)
    groups = {
        "agents": {
            **behaviour_statistics(agents),
            "within_episode": learning_curve(agents),
            **fits,
            **rpe_statistics(recorded, steps, fits),
        },
        "observer": {
            **behaviour_statistics(observer),
            "within_episode": learning_curve(observer),
        },
        "rats": {}
        if rats is None
        else {**behaviour_statistics(rats), **fit_statistics(rats)},
    }
    attrs = provenance_attributes(configuration) | reward_levels(task)
    tree = {"/": xr.Dataset(attrs=attrs), "/training": training}
    for who, results in groups.items():
        for name, result in results.items():
            tree[f"/{who}/{name}"] = result
    return xr.DataTree.from_dict(tree)
