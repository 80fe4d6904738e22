"""Whether two-step choices take the transition into account."""

import xarray as xr

from pfc_metarl.analysis import history_regression, stay_probability
from pfc_metarl.network import Network
from pfc_metarl.recording import TEST_SEED, behaviour, play
from pfc_metarl.seeds import generator
from pfc_metarl.simulation import subject_names
from pfc_metarl.tasks.base import Task
from pfc_metarl.tasks.observers import ideal_observer


def planning(task: Task, network: Network, n_episodes: int) -> xr.Dataset:
    """Measure what reward does to the next choice, through the transition and alone.

    Parameters
    ----------
    task
        A two-step task.
    network
        Trained.
    n_episodes
        Number of test episodes.

    Returns
    -------
    xarray.Dataset
        Of the probability to stay, ``stay`` (seed, outcome, transition): (seed,)
        ``interaction``, (rewarded - unrewarded after common transitions) - (the same
        after rare ones), and ``reward_effect``, rewarded - unrewarded, mean of both
        transitions. Of the history regression: (seed,) ``planning_index`` and
        ``model_free_index``, ``history`` weights (seed, trial_type, lag), log odds.
        Names that end in ``_of_ideal``: the ideal observer's, on the same episodes.
    """
    names = subject_names(network.seeds)
    table = behaviour(play(network, task, n_episodes).episodes, names, {})
    tape = task.draw(n_episodes, generator(TEST_SEED, "test episodes"))
    ideal = ideal_observer(task).play(tape, generator(TEST_SEED, "observer"))
    of_networks = effects(table).rename(subject="seed")
    of_ideal = effects(behaviour(ideal, ["ideal"], {})).isel(subject=0, drop=True)
    return xr.merge(
        [
            of_networks.assign_coords(seed=list(network.seeds)),
            of_ideal.rename({name: f"{name}_of_ideal" for name in of_ideal.data_vars}),
        ]
    )


def effects(table: xr.Dataset) -> xr.Dataset:
    """Return the measures of :func:`planning`, by subject of a trial table."""
    stay, history = stay_probability(table).stay, history_regression(table)
    by_reward = stay.sel(outcome="rewarded", drop=True) - stay.sel(
        outcome="unrewarded", drop=True
    )
    common, rare = (by_reward.sel(transition=t, drop=True) for t in ("common", "rare"))
    return xr.Dataset(
        {
            "stay": stay,
            "interaction": common - rare,
            "reward_effect": (common + rare) / 2,
            "planning_index": history.planning_index,
            "model_free_index": history.model_free_index,
            "history": history.weights,
        }
    )
