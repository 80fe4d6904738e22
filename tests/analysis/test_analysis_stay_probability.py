import numpy as np
import pytest

from pfc_metarl.analysis import stay_probability
from pfc_metarl.errors import DataError
from pfc_metarl.trials import trial_table


def small_table(**changes):
    columns = {
        "choice": [0, 0, 1, 1, 1, 0, 0],
        "reward": [1, 1, 0, 0, 1, 1, 0],
        "transition_common": [1, 0, 1, 0, 1, 1, 1],
        **changes,
    }
    return trial_table(
        columns,
        subject=[0] * 5 + [1] * 2,
        session=[0] * 5 + [1] * 2,
        trial_in_session=[0, 1, 2, 3, 4, 0, 1],
        subject_id=["a", "b"],
    )


def cell(result, subject, outcome, transition):
    at = result.sel(subject=subject, outcome=outcome, transition=transition)
    return float(at.stay), int(at.n_pairs)


def test_each_pair_counts_in_the_cell_of_its_first_trial():
    result = stay_probability(small_table())
    assert result.stay.dims == ("subject", "outcome", "transition")
    assert cell(result, "a", "rewarded", "common") == (1, 1)
    assert cell(result, "a", "rewarded", "rare") == (0, 1)
    assert cell(result, "a", "unrewarded", "common") == (1, 1)
    assert cell(result, "a", "unrewarded", "rare") == (1, 1)
    assert cell(result, "b", "rewarded", "common") == (1, 1)
    assert int(result.pooled_n_pairs.sel(outcome="rewarded", transition="common")) == 2


def test_cells_without_pairs_are_missing():
    stay, n = cell(stay_probability(small_table()), "b", "unrewarded", "rare")
    assert np.isnan(stay)
    assert n == 0


@pytest.mark.parametrize(
    ("column", "code"),
    [("valid", 0), ("forced", 1), ("choice", -1)],
)
def test_a_trial_that_is_no_free_choice_breaks_both_of_its_pairs(column, code):
    table = small_table()
    table[column].values[2] = code
    assert int(stay_probability(table).sel(subject="a").n_pairs.sum()) == 2


@pytest.mark.parametrize(("column", "code"), [("reward", np.nan), ("choice", 5)])
def test_unknown_outcomes_are_left_out_and_a_third_option_is_not(column, code):
    table = small_table()
    table[column].values[2] = code
    n_pairs = int(stay_probability(table).sel(subject="a").n_pairs.sum())
    assert n_pairs == (3 if column == "reward" else 4)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_a_loop_over_trials(random_table, seed):
    table = random_table(seed)
    frame = table.drop_dims(["subjects", "sessions"]).to_dataframe()
    counts = np.zeros((table.subject_id.size, 2, 2, 2))
    for trial in range(1, len(frame)):
        now, last = frame.iloc[trial], frame.iloc[trial - 1]
        adjacent = now.trial_in_session - last.trial_in_session == 1
        free = all(t.valid and not t.forced and t.choice >= 0 for t in (now, last))
        if now.session != last.session or not adjacent or not free:
            continue
        if np.isnan(last.reward) or last.transition_common < 0:
            continue
        outcome, transition = int(last.reward <= 0), int(last.transition_common == 0)
        stays = int(now.choice == last.choice)
        counts[int(now.subject), outcome, transition, stays] += 1
    result = stay_probability(table)
    np.testing.assert_array_equal(result.n_pairs, counts.sum(-1))
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(result.stay, counts[..., 1] / counts.sum(-1))
        pooled = counts[..., 1].sum(0) / counts.sum((0, -1))
    np.testing.assert_allclose(result.pooled_stay, pooled)


def test_names_of_the_choices_do_not_matter(random_table):
    table = random_table(3)
    swapped = table.assign(
        choice=table.choice.where(table.choice < 0, 1 - table.choice)
    )
    assert stay_probability(swapped).identical(stay_probability(table))


def test_a_missing_column_is_named():
    table = small_table().drop_vars("transition_common")
    with pytest.raises(DataError, match=r"'transition_common'.*the stay probability"):
        stay_probability(table)
