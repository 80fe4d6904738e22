import os
from pathlib import Path

import numpy as np
import pytest

from pfc_metarl.analysis import history_regression, stay_probability

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("PFC_METARL_DATA", CHECKOUT.parent / "shared" / "data"))

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def rats():
    if not FOLDER.is_dir():
        pytest.skip(f"{FOLDER}: no such folder; PFC_METARL_DATA names the animal data")
    from pfc_metarl.data import load

    return load("rat_twostep_miller2022", FOLDER)


def test_stay_probabilities_of_the_rats(rats):
    result = stay_probability(rats)
    pooled = [[0.9198, 0.4983], [0.5646, 0.8640]]
    mean = [[0.878, 0.493], [0.493, 0.880]]
    np.testing.assert_allclose(result.pooled_stay, pooled, atol=5e-5)
    np.testing.assert_allclose(result.stay.mean("subject"), mean, atol=5e-4)
    assert int(result.pooled_n_pairs.sum()) == 28_033


def test_miller_indices_of_the_rats(rats):
    result = history_regression(rats).isel(subject=slice(5))
    planning, model_free = (
        [4.53, 6.19, 5.70, 4.00, 2.53],
        [1.64, 0.12, 0.20, -0.51, 0.96],
    )
    np.testing.assert_allclose(result.planning_index, planning, atol=0.0055)
    np.testing.assert_allclose(result.model_free_index, model_free, atol=0.0055)
    assert result.n_choices.values.tolist() == [12440, 8583, 5384, 3203, 1693]
    assert not result.separated.any()
