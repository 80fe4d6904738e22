import numpy as np
import pytest
import xarray as xr

from pfc_metarl.analysis import regret
from pfc_metarl.errors import DataError
from pfc_metarl.trials import trial_table


def table(**changes: object) -> xr.Dataset:
    """Two subjects; the first has two sessions, of two trials and of one."""
    columns = {
        "choice": [0, 1, 2, 1],
        "reward": [1.0, 0.0, 0.0, 1.0],
        "p_reward_0": [0.9, 0.2, 0.3, 0.5],
        "p_reward_1": [0.1, 0.4, 0.6, 0.5],
        "p_reward_2": [0.5, 0.5, 0.1, 0.5],
    }
    return trial_table(
        columns | changes,
        subject=[0, 0, 0, 1],
        session=[0, 0, 1, 2],
        trial_in_session=[0, 1, 0, 0],
        subject_id=["one", "other"],
    )


def test_the_regret_of_a_trial_is_the_best_probability_less_that_chosen() -> None:
    found = regret(table())
    # Trials lose 0, 0.1, 0.5 and 0.
    np.testing.assert_allclose(found.total_regret, [0.3, 0.0], atol=1e-12)
    np.testing.assert_allclose(found.sem, [0.2, np.nan])  # sessions lose 0.1 and 0.5
    np.testing.assert_allclose(found.n_suboptimal, [1.0, 0.0])
    np.testing.assert_array_equal(found.n_sessions, [2, 1])
    np.testing.assert_allclose(found.mean_regret, [[0.25, 0.1], [0.0, np.nan]])
    np.testing.assert_allclose(found.cumulative_regret, [[0.25, 0.35], [0, 0]])
    np.testing.assert_array_equal(found.n_trials, [[2, 1], [1, 0]])


def test_the_outcomes_do_not_matter() -> None:
    xr.testing.assert_identical(
        regret(table(reward=[0.0, np.nan, 1.0, 0.0])), regret(table())
    )


@pytest.mark.parametrize("missed", [{"choice": [-1, 1, 2, 1]}, {"valid": [0, 1, 1, 1]}])
def test_a_trial_that_is_not_valid_loses_all_that_was_to_be_had(
    missed: dict[str, list[int]],
) -> None:
    assert regret(table(**missed)).mean_regret[0, 0] == pytest.approx((0.9 + 0.5) / 2)


def test_more_than_ten_options_keep_their_order() -> None:
    many = {f"p_reward_{arm}": np.full(4, arm / 100) for arm in range(12)}
    found = regret(table(**many, choice=[11, 10, 2, 0]))
    np.testing.assert_allclose(found.total_regret, [(0.01 + 0.09) / 2, 0.11])


def test_a_table_without_probabilities_is_refused() -> None:
    with pytest.raises(DataError, match="no column 'p_reward_0'"):
        regret(table().drop_vars("p_reward_0"))


@pytest.mark.parametrize(
    "wrong", [{"choice": [0, 3, 2, 1]}, {"p_reward_1": [0.1, np.nan, 0.6, 0.5]}]
)
def test_a_choice_of_unknown_probability_is_refused(
    wrong: dict[str, list[float]],
) -> None:
    with pytest.raises(DataError, match="trial 1 has choice"):
        regret(table(**wrong))
