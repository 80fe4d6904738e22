import numpy as np
import pytest

from pfc_metarl.analysis import learning_curve
from pfc_metarl.errors import DataError, InputError
from pfc_metarl.trials import trial_table


def two_sessions(**changes):
    columns = {
        "choice": [0, 1, 1, 1, 1],
        "reward": [0, 1, 1, 1, 0],
        "good_choice": [1, 1, 1, 1, 0],
        **changes,
    }
    return trial_table(
        columns,
        subject=[0] * 5,
        session=[0, 0, 0, 1, 1],
        trial_in_session=[0, 1, 2, 0, 1],
        subject_id=["a"],
    )


def row(result, name):
    return result[name].sel(subject="a").values.tolist()


def test_trials_of_the_same_number_are_averaged():
    result = learning_curve(two_sessions())
    assert row(result, "mean_reward") == [0.5, 0.5, 1]
    assert row(result, "p_correct") == [0.5, 0.5, 1]
    assert row(result, "n_correct") == row(result, "n_reward") == [2, 2, 1]


def test_a_window_takes_successive_trials_together():
    result = learning_curve(two_sessions(), window=2)
    assert result.trial_in_session.values.tolist() == [0, 2]
    assert row(result, "p_correct") == [0.5, 1]
    assert row(result, "n_correct") == [4, 1]


def test_unknown_reward_and_unknown_good_choice_are_left_out_separately():
    table = two_sessions(
        reward=[0, np.nan, 1, 1, 0],
        good_choice=[1, 1, 1, -1, 0],
        forced=[0, 0, 1, 0, 0],
    )
    result = learning_curve(table)
    assert row(result, "n_reward") == [2, 1, 0]
    assert row(result, "n_correct") == [1, 2, 0]
    assert np.isnan(row(result, "p_correct")[2])


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_a_group_by(random_table, seed):
    table = random_table(seed)
    frame = (
        table.drop_dims(["subjects", "sessions"])
        .to_dataframe()
        .query("valid == 1 and forced == 0 and choice >= 0")
    )
    known = frame[frame.good_choice >= 0]
    correct = (known.choice == known.good_choice).astype(float)
    expected = correct.groupby([known.subject, known.trial_in_session]).mean().unstack()
    result = learning_curve(table).p_correct
    expected = expected.reindex(columns=result.trial_in_session.values)
    np.testing.assert_allclose(result, expected)
    reward = frame.reward.groupby([frame.subject, frame.trial_in_session]).mean()
    reward = reward.unstack().reindex(columns=result.trial_in_session.values)
    np.testing.assert_allclose(learning_curve(table).mean_reward, reward)


def test_wrong_inputs_are_named():
    with pytest.raises(DataError, match=r"'good_choice'.*the learning curve"):
        learning_curve(two_sessions().drop_vars("good_choice"))
    with pytest.raises(InputError, match="window is 0"):
        learning_curve(two_sessions(), window=0)
