"""A recorded network's reward prediction errors, by trial of the two-step task."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def network_rpe(
    steps: xr.Dataset, session: NDArray[np.int32], trial: NDArray[np.int32]
) -> dict[str, Floats]:
    """Find the networks' RPE of given trials in a recording.

    Parameters
    ----------
    steps
        ``/steps`` of a recording of the two-step task.
    session, trial
        (trial,) whose RPE is wanted, numbered as in the recording's ``/trials``.

    Returns
    -------
    dict
        (trial,) ``stage2``: on reaching the second-step state, the RPE of the choice;
        ``reward``: on the outcome. The latter is NaN on the last trial of an episode,
        whose end the networks cannot foresee.
    """
    known = steps.session.values.ravel()
    order = np.argsort(known)
    row = order[np.searchsorted(known, session, sorter=order)]

    def at(phase: str) -> Floats:
        one_step = steps.rpe.isel(step=steps.phase.values == phase).values
        values: Floats = one_step.reshape(len(known), -1)[row, trial].astype(float)
        return values

    last = trial == steps.trial.values.max()
    return {"stage2": at("choice"), "reward": np.where(last, np.nan, at("state2"))}
