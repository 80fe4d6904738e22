from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from pfc_metarl.trials import trial_table


@pytest.fixture
def random_table() -> Callable[[int], xr.Dataset]:
    """Make tables with invalid, forced, absent and missing trials, by seed."""
    return _random_table


def _random_table(seed: int, n_trials: int = 300) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    present = np.sort(rng.choice(np.arange(n_trials + 30), n_trials, replace=False))
    session = present // 60
    choice = rng.integers(0, 2, n_trials)
    reward = (rng.random(n_trials) < 0.5).astype(float)
    transition = (rng.random(n_trials) < 0.8).astype(int)
    good = np.cumsum(rng.random(n_trials) < 0.1) % 2
    return trial_table(
        {
            "choice": _some_missing(rng, choice, -1),
            "reward": _some_missing(rng, reward, np.nan),
            "transition_common": _some_missing(rng, transition, -1),
            "good_choice": _some_missing(rng, good, -1),
            "forced": rng.random(n_trials) < 0.1,
            "valid": rng.random(n_trials) > 0.05,
        },
        subject=session // 2,
        session=session,
        trial_in_session=present % 60,
        subject_id=[f"s{index}" for index in range(session.max() // 2 + 1)],
    )


def _some_missing(rng: np.random.Generator, values: np.ndarray, code: float):
    return np.where(rng.random(values.size) < 0.03, code, values)
