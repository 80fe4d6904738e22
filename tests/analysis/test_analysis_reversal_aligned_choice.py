import numpy as np
import pytest

from pfc_metarl.analysis import reversal_aligned_choice
from pfc_metarl.errors import DataError, InputError
from pfc_metarl.trials import trial_table


def one_session(good, choice, numbers=None, **columns):
    n = len(good)
    return trial_table(
        {"choice": choice, "reward": np.ones(n), "good_choice": good, **columns},
        subject=[0] * n,
        session=[0] * n,
        trial_in_session=range(n) if numbers is None else numbers,
        subject_id=["a"],
    )


def values(result, name):
    return result[name].isel(subject=0).values.tolist()


def test_lag_zero_is_the_first_trial_with_the_new_good_choice():
    table = one_session(good=[0, 0, 0, 1, 1], choice=[0, 1, 0, 0, 1])
    result = reversal_aligned_choice(table, before=2, after=2)
    assert result.trial_from_reversal.values.tolist() == [-2, -1, 0, 1]
    assert values(result, "p_new_good") == [1, 0, 0, 1]
    assert values(result, "n_trials") == [1, 1, 1, 1]
    assert int(result.n_reversals[0]) == 1


def test_windows_end_at_the_neighbouring_reversals():
    table = one_session(good=[0, 0, 1, 1, 1, 0], choice=[0, 0, 1, 1, 1, 0])
    result = reversal_aligned_choice(table, before=4, after=4)
    assert values(result, "n_trials") == [0, 1, 2, 2, 2, 1, 1, 0]
    assert int(result.n_reversals[0]) == 2


def test_windows_do_not_run_into_the_next_session():
    table = one_session(good=[0, 1, 1, 1, 1, 1], choice=[0, 0, 1, 1, 1, 1])
    later = table.trial.values >= 3
    table = table.assign_coords(
        session=("trial", later.astype("int32")),
        trial_in_session=("trial", np.array([0, 1, 2] * 2, dtype="int32")),
    )
    result = reversal_aligned_choice(table, before=2, after=4)
    assert values(result, "n_trials") == [0, 1, 1, 1, 0, 0]


def test_forced_and_invalid_trials_keep_their_place_but_do_not_count():
    table = one_session(
        good=[0, 1, 1, 1], choice=[0, 0, 1, 1], valid=[1, 0, 1, 1], forced=[0, 0, 1, 0]
    )
    result = reversal_aligned_choice(table, before=1, after=3)
    assert values(result, "n_trials") == [1, 0, 0, 1]
    assert int(result.n_reversals[0]) == 1


@pytest.mark.parametrize(
    ("good", "numbers"),
    [([0, 0, -1, 1, 1], None), ([0, 0, 1, 1, 1], [0, 1, 3, 4, 5])],
)
def test_a_reversal_at_an_unknown_trial_is_not_aligned_to(good, numbers):
    table = one_session(good, choice=[0] * 5, numbers=numbers)
    result = reversal_aligned_choice(table)
    assert int(result.n_reversals.sum()) == 0
    assert int(result.n_trials.sum()) == 0


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_a_loop_over_reversals(random_table, seed):
    table = random_table(seed)
    frame = table.drop_dims(["subjects", "sessions"]).to_dataframe()
    hits = np.zeros((table.subject_id.size, 30, 2))
    for start in range(1, len(frame)):
        first, last = frame.iloc[start], frame.iloc[start - 1]
        adjacent = first.trial_in_session - last.trial_in_session == 1
        if first.session != last.session or not adjacent:
            continue
        if -1 in (first.good_choice, last.good_choice):
            continue
        if first.good_choice == last.good_choice:
            continue
        for step, reference in ((1, first), (-1, last)):
            trial = start if step == 1 else start - 1
            while 0 <= trial < len(frame):
                now = frame.iloc[trial]
                same_run = now.good_choice == reference.good_choice
                if now.session != first.session or not same_run:
                    break
                lag = int(now.trial_in_session - first.trial_in_session)
                free = now.valid and not now.forced and now.choice >= 0
                if -10 <= lag < 20 and free:
                    hit = int(now.choice == first.good_choice)
                    hits[int(first.subject), lag + 10, hit] += 1
                trial += step
    result = reversal_aligned_choice(table)
    np.testing.assert_array_equal(result.n_trials, hits.sum(-1))
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(result.p_new_good, hits[..., 1] / hits.sum(-1))


def test_wrong_inputs_are_named(random_table):
    table = random_table(0)
    with pytest.raises(DataError, match=r"'good_choice'.*choice around reversals"):
        reversal_aligned_choice(table.drop_vars("good_choice"))
    with pytest.raises(InputError, match="after 0"):
        reversal_aligned_choice(table, after=0)
