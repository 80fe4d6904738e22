"""RPEs are found where the trial table says that they are."""

import numpy as np
import xarray as xr

from pfc_metarl.analysis import network_rpe


def test_the_rpe_is_found_by_session_and_trial() -> None:
    rpe = np.arange(2 * 2 * 6, dtype=float).reshape(2, 2, 6)
    steps = xr.Dataset(
        {"rpe": (("seed", "episode", "step"), rpe)},
        coords={
            "session": (("seed", "episode"), [[7, 3], [5, 9]]),
            "trial": ("step", [0, 0, 1, 1, 2, 2]),
            "phase": ("step", ["choice", "state2"] * 3),
        },
    )
    found = network_rpe(steps, np.array([3, 9, 7]), np.array([1, 0, 2]))
    assert found["stage2"].tolist() == [6 + 2, 18 + 0, 0 + 4]
    assert found["reward"][:2].tolist() == [6 + 3, 18 + 1]
    assert np.isnan(found["reward"][2])
