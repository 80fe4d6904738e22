"""Whose reward prediction errors networks have on the two-step task."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pfc_metarl.analysis import network_rpe
from pfc_metarl.fits import fit, rpe_statistics
from pfc_metarl.network import Network
from pfc_metarl.recording import play, recording
from pfc_metarl.tasks.base import Task

Floats = NDArray[np.float64]

LEARNERS = ("model-based", "model-free")


def explained_errors(
    task: Task, network: Network, discount: float, n_episodes: int
) -> xr.Dataset:
    """Regress RPEs on those of learners that are fitted to the networks' choices.

    Parameters
    ----------
    task
        A two-step task.
    network
        Trained.
    discount
        Of the RPE, as in training.
    n_episodes
        Number of test episodes, all recorded.

    Returns
    -------
    xarray.Dataset
        By (seed, trial_set, epoch), of :func:`pfc_metarl.analysis.rpe_regression`:
        ``r2``, ``semipartial_r2``, ``r2_both`` and ``n_points``. ``rpe``
        (source, error, seed, recorded_trial) holds the errors that were regressed, of
        the network and both learners, at both epochs.
    """
    played = play(network, task, n_episodes, n_recorded=n_episodes)
    tree = recording(played, task, network, discount, {})
    trials, steps = tree["/trials"].to_dataset(), tree["/steps"].to_dataset()
    errors = network_rpe(steps, trials.session.values, trials.trial_in_session.values)
    fits = {learner: fit(learner, trials) for learner in LEARNERS}
    found = rpe_statistics(trials, errors, fits)
    by_trial, sources = found["rpe_by_trial"], ("network", *LEARNERS)
    values = [[by_trial[f"{of}_{epoch}"] for epoch in errors] for of in sources]
    shape = (len(sources), len(errors), len(network.seeds), -1)
    rpe: Floats = np.array(values).reshape(shape)  # by seed, then by trial
    regression = found["rpe"].rename(subject="seed", n="n_points")
    return regression.assign_coords(seed=list(network.seeds)).assign(
        rpe=(("source", "error", "seed", "recorded_trial"), rpe),
        source=list(sources),
        error=list(errors),
    )
