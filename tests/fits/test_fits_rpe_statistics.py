"""A network whose errors are a fitted learner's is recognised as that learner."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from pfc_metarl.fits import fit, rpe, rpe_statistics
from pfc_metarl.fits.rpe import LEARNING_RATE

Make = Callable[..., xr.Dataset]


@pytest.mark.parametrize(("learner", "other"), [(0, 1), (1, 0)])
def test_a_learner_explains_its_own_errors_and_the_other_nothing_more(
    learner: int, other: int, simulated: Make
) -> None:
    table = simulated("model-based", 0.4, 2.5, n_sessions=4, n_trials=60)
    fits = {name: fit(name, table, restarts=2) for name in LEARNING_RATE}
    name = list(LEARNING_RATE)[learner]
    own = rpe(name, table, fits[name])
    errors = {epoch: 3 * own[epoch].values for epoch in ("stage2", "reward")}
    found = rpe_statistics(table, errors, fits)
    explained = found["rpe"].isel(subject=0, trial_set=0, drop=True)
    assert explained.r2.isel(comparator=learner).values == pytest.approx(1)
    own_share = explained.semipartial_r2.isel(comparator=learner, epoch=[0, 1])
    assert (own_share > 0.01).all()
    nothing = explained.semipartial_r2.isel(comparator=other, epoch=[0, 1])
    assert nothing.values == pytest.approx(0, abs=1e-9)
    by_trial = found["rpe_by_trial"]
    np.testing.assert_allclose(
        by_trial.network_reward, 3 * by_trial[f"{name}_reward"], rtol=1e-6
    )
