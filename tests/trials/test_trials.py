from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from pfc_metarl.errors import DataError, InputError
from pfc_metarl.trials import (
    VARIABLES,
    concatenate,
    previous_trial,
    select,
    subject_trials,
    trial_table,
    validate,
)

N = 6  # trials: two subjects, three sessions


def a_table(variables: Any = None, **index: Any) -> xr.Dataset:
    """Subject a: sessions 0 and 1 of two trials; subject b: session 2 of two."""
    columns: Any = {"choice": [0, 1, 1, 0, 1, 0], "reward": [1, 0, 0.5, np.nan, -1, 0]}
    position: Any = {
        "subject": [0, 0, 0, 0, 1, 1],
        "session": [0, 0, 1, 1, 2, 2],
        "trial_in_session": [0, 1, 0, 2, 5, 6],
        "subject_id": ["a", "b"],
    }
    return trial_table({**columns, **(variables or {})}, **{**position, **index})


@pytest.fixture
def table() -> xr.Dataset:
    return a_table({"state2": [0, 1, 0, 1, -1, 1]}, attrs={"task": "two-step"})


# Building.


def test_columns_are_cast_to_their_canonical_types() -> None:
    every = {name: np.zeros(N) for name in VARIABLES}
    table = a_table(every)
    for name, variable in VARIABLES.items():
        assert table[name].dtype == variable.dtype
        assert table[name].dims == ("trial",)
        assert table[name].attrs["long_name"] == variable.long_name
        assert table[name].attrs["units"]


def test_what_was_given_is_what_is_held(table: xr.Dataset) -> None:
    np.testing.assert_array_equal(table.choice, [0, 1, 1, 0, 1, 0])
    np.testing.assert_array_equal(table.reward, [1, 0, 0.5, np.nan, -1, 0])
    np.testing.assert_array_equal(table.state2, [0, 1, 0, 1, -1, 1])
    np.testing.assert_array_equal(table.subject, [0, 0, 0, 0, 1, 1])
    np.testing.assert_array_equal(table.session, [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(table.trial_in_session, [0, 1, 0, 2, 5, 6])
    assert table.subject_id.values.tolist() == ["a", "b"]
    assert table.attrs == {"task": "two-step"}


def test_sessions_are_called_by_their_number_unless_named(table: xr.Dataset) -> None:
    assert table.session_name.values.tolist() == ["0", "1", "2"]
    named = a_table(session_name=["Mon", "Tue", "Wed"])
    assert named.session_name.values.tolist() == ["Mon", "Tue", "Wed"]


def test_trials_are_free_and_valid_unless_said_otherwise(table: xr.Dataset) -> None:
    assert (table.forced == 0).all()
    assert (table.valid == 1).all()
    told = a_table({"forced": [1] * N, "valid": [False] * N})
    assert (told.forced == 1).all()
    assert (told.valid == 0).all()


def test_a_missing_choice_is_minus_one_whether_given_so_or_as_nan() -> None:
    table = a_table({"choice": [0, np.nan, -1, 1, 1, 0]})
    assert table.choice.values.tolist() == [0, -1, -1, 1, 1, 0]


def test_other_columns_are_kept_as_they_are() -> None:
    latency = xr.DataArray(np.arange(N) / 3, attrs={"units": "s"})
    table = a_table({"latency": latency, "note": list("uvwxyz")})
    assert table.latency.dtype == np.float64
    assert table.latency.attrs == {"units": "s"}
    assert table.note.values.tolist() == list("uvwxyz")


def test_codes_are_explained_in_the_attributes(table: xr.Dataset) -> None:
    attrs = table.forced.attrs
    assert attrs["flag_values"].tolist() == [0, 1]
    assert attrs["flag_meanings"] == "no yes"


def test_validating_returns_the_table_itself(table: xr.Dataset) -> None:
    assert validate(table) is table


def test_a_table_without_trials_is_valid(table: xr.Dataset) -> None:
    empty = select(table, np.zeros(N, dtype=bool))
    assert dict(empty.sizes) == {"trial": 0, "subjects": 0, "sessions": 0}
    assert previous_trial(empty, 2).size == 0


# Columns that break the contract: trial, column, value and what is allowed are named.


def with_value(name: str, value: Any) -> dict[str, Any]:
    """A column of zeros but for its trial 3."""
    return {name: [0, 0, 0, value, 0, 0]}


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("choice", 1.5, "integer"),
        ("choice", np.inf, "integer"),
        ("choice", 300, "integer that fits int8"),
        ("choice", -2, r"0, 1, ... and -1 \(missing\)"),
        ("state2", -7, r"0, 1, ... and -1 \(missing\)"),
        ("transition_common", 2, r"-1 \(missing\), 0 \(rare\), 1 \(common\)"),
        ("forced", -1, r"0 \(no\), 1 \(yes\)"),
        ("forced", np.nan, r"0 \(no\), 1 \(yes\)"),
        ("valid", 2, r"0 \(no\), 1 \(yes\)"),
        ("good_state", 2, r"-1 \(missing\), 0 \(first\), 1 \(second\)"),
        ("good_state", 5, r"-1 \(missing\), 0 \(first\), 1 \(second\)"),
        ("reward", np.inf, r"finite numbers and NaN \(missing\)"),
        ("reward", -np.inf, r"finite numbers and NaN \(missing\)"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused(
    name: str, value: float, allowed: str
) -> None:
    told = "-1" if np.isnan(value) else str(value)
    with pytest.raises(DataError, match=rf"^trial 3 has {name} {told}; .*{allowed}"):
        a_table(with_value(name, value))


def test_a_reward_beyond_its_type_is_refused() -> None:
    with pytest.raises(DataError, match="trial 3 has reward"):
        a_table(with_value("reward", 1e39))


@pytest.mark.parametrize("name", ["choice", "reward", "forced"])
def test_text_is_refused_where_numbers_belong(name: str) -> None:
    with pytest.raises(DataError, match=f"'{name}' holds .* expected numbers"):
        a_table({name: ["left"] * N})


@pytest.mark.parametrize("name", ["subject", "session", "trial_in_session"])
def test_text_is_refused_as_an_index(name: str) -> None:
    with pytest.raises(DataError, match=f"'{name}' holds .* expected numbers"):
        a_table(**{name: ["x"] * N})


@pytest.mark.parametrize("name", ["choice", "reward", "latency"])
@pytest.mark.parametrize("values", [[0] * 5, [0] * 7, [[0] * N], 0])
def test_a_column_of_another_length_is_refused(name: str, values: Any) -> None:
    with pytest.raises(DataError, match=rf"column '{name}' has shape .* \(6,\)"):
        a_table({name: values})


@pytest.mark.parametrize("name", ["session", "trial_in_session"])
def test_an_index_of_another_length_is_refused(name: str) -> None:
    with pytest.raises(DataError, match=name):
        a_table(**{name: [0, 0, 1, 1, 2]})


@pytest.mark.parametrize("name", ["choice", "reward"])
def test_choice_and_reward_are_required(name: str) -> None:
    columns = {"choice": [0], "reward": [0]}
    del columns[name]
    with pytest.raises(DataError, match=f"column '{name}' along 'trial' is missing"):
        trial_table(
            columns, subject=[0], session=[0], trial_in_session=[0], subject_id=["a"]
        )


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({"subject": [0, 0, 0, 0, 2, 2]}, "trial 4 has subject 2; 'subject_id' has 2"),
        ({"subject": [0, 0, -1, 0, 1, 1]}, "trial 2 has subject -1"),
        (
            {"session_name": ["Mon", "Tue"]},
            "trial 4 has session 2; 'session_name' has 2",
        ),
        ({"session": [-1, -1, 1, 1, 2, 2]}, "trial 0 has session -1"),
        ({"session": [0, 0, 1.5, 1, 2, 2]}, "trial 2 has session 1.5"),
        ({"session": [0, 1, 0, 1, 2, 2]}, "scattered"),
        ({"session": [0, 1, 0, 0, 2, 2]}, "scattered"),
        ({"subject": [0, 0, 0, 1, 1, 1]}, "session belongs to two subjects"),
        (
            {"trial_in_session": [0, 0, 0, 2, 5, 6]},
            "trial 1 repeats or precedes .* session 0",
        ),
        (
            {"trial_in_session": [0, 1, 0, 2, 5, 4]},
            "trial 5 repeats or precedes .* session 2",
        ),
        ({"trial_in_session": [0, 1, 0.5, 2, 5, 6]}, "trial 2 has trial_in_session"),
        ({"trial_in_session": [-2, 1, 0, 2, 5, 6]}, "trial 0 has trial_in_session -2"),
        ({"trial_in_session": [0, 1, np.nan, 2, 5, 6]}, "trial 2 has trial_in_session"),
        ({"session": [0, 0, np.nan, 1, 2, 2]}, "trial 2 has session"),
        ({"subject_id": ["a", "a"]}, "two subjects are called 'a'"),
        ({"subject_id": ["a"]}, "trial 4 has subject 1; 'subject_id' has 1"),
    ],
)
def test_an_index_that_makes_no_sense_is_refused(index: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        a_table(**index)


def test_sessions_may_come_in_any_order() -> None:
    table = a_table(session=[2, 2, 0, 0, 1, 1])
    assert table.session.values.tolist() == [2, 2, 0, 0, 1, 1]


# Datasets that were made elsewhere.


@pytest.mark.parametrize(
    "name", ["choice", "reward", "forced", "valid", "subject", "session"]
)
def test_a_dataset_without_a_required_column_is_refused(
    table: xr.Dataset, name: str
) -> None:
    with pytest.raises(DataError, match=f"column '{name}' along 'trial' is missing"):
        validate(table.drop_vars(name))


@pytest.mark.parametrize("name", ["subject_id", "session_name"])
def test_a_dataset_without_names_is_refused(table: xr.Dataset, name: str) -> None:
    with pytest.raises(DataError, match=f"the list '{name}' is missing"):
        validate(table.drop_vars(name))


def test_a_dataset_without_trials_is_refused() -> None:
    with pytest.raises(DataError, match=r"no dimension 'trial' but \['time'\]"):
        validate(xr.Dataset({"choice": ("time", [0, 1])}))


@pytest.mark.parametrize(
    ("name", "dtype"), [("choice", "int64"), ("reward", "float64"), ("valid", "bool")]
)
def test_a_dataset_with_another_type_is_refused(
    table: xr.Dataset, name: str, dtype: str
) -> None:
    table[name] = table[name].astype(dtype)
    with pytest.raises(DataError, match=f"'{name}' is {dtype} .* expected"):
        validate(table)


@pytest.mark.parametrize("name", ["subject", "session", "trial_in_session"])
def test_a_dataset_with_a_fractional_index_is_refused(
    table: xr.Dataset, name: str
) -> None:
    wrong = table.assign_coords({name: table[name].astype(float)})
    with pytest.raises(DataError, match=f"'{name}' is float64; expected integers"):
        validate(wrong)


def test_an_optional_column_along_another_dimension_is_refused(
    table: xr.Dataset,
) -> None:
    table["state2"] = ("subjects", np.zeros(2, dtype="int8"))
    with pytest.raises(DataError, match="column 'state2' is int8 along"):
        validate(table)


# The trial before.

Trials = list[tuple[bool, int, bool]]  # new session, trials skipped, valid


@st.composite
def trials(draw: Callable[..., Any]) -> Trials:
    one = st.tuples(
        st.sampled_from([False] * 6 + [True]),
        st.sampled_from([0] * 6 + [1, 2]),
        st.sampled_from([True] * 6 + [False]),
    )
    drawn: Trials = draw(st.lists(one, max_size=25))
    return drawn


def table_of(trials: Trials) -> xr.Dataset:
    session: list[int] = []
    number: list[int] = []
    for new, skipped, _ in trials:
        begins = new or not session
        session.append((session[-1] + new) if session else 0)
        number.append(skipped if begins else number[-1] + 1 + skipped)
    return trial_table(
        {
            "choice": [0] * len(trials),
            "reward": [0.0] * len(trials),
            "valid": [float(valid) for *_, valid in trials],
        },
        subject=np.zeros(len(trials), dtype=int),
        session=np.array(session, dtype=int),
        trial_in_session=np.array(number, dtype=int),
        subject_id=["a"],
    )


def previous_by_loop(table: xr.Dataset, trial: int, lag: int) -> int:
    """Walk back a trial at a time; all that is passed must be valid and adjacent."""
    session, number = table.session.values, table.trial_in_session.values
    valid = table.valid.values
    if not valid[trial]:
        return -1
    for back in range(1, lag + 1):
        at = trial - back
        if at < 0 or session[at] != session[trial] or not valid[at]:
            return -1
        if number[at] != number[trial] - back:
            return -1
    return trial - lag


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(trials(), st.integers(1, 5))
def test_the_trial_before_is_found_as_a_loop_would(trials: Trials, lag: int) -> None:
    table = table_of(trials)
    expected = [previous_by_loop(table, trial, lag) for trial in range(len(trials))]
    assert previous_trial(table, lag).tolist() == expected


def test_an_unbroken_session_is_a_chain() -> None:
    table = table_of([(False, 0, True)] * 5)
    assert previous_trial(table).tolist() == [-1, 0, 1, 2, 3]
    assert previous_trial(table, 3).tolist() == [-1, -1, -1, 0, 1]
    assert previous_trial(table, 9).tolist() == [-1] * 5


@pytest.mark.parametrize("lag", [0, -1])
def test_a_lag_below_one_is_refused(table: xr.Dataset, lag: int) -> None:
    with pytest.raises(InputError, match=f"lag is {lag}; expected 1 or more"):
        previous_trial(table, lag)


# Joining.


@pytest.fixture
def other() -> xr.Dataset:
    return a_table(
        {"choice2": [1, 0, 1, 0, 1, 0]},
        subject_id=["c", "d"],
        session_name=["x", "y", "z"],
        attrs={"task": "two-step", "species": "rat"},
    )


def test_joined_tables_keep_their_subjects_and_sessions_apart(
    table: xr.Dataset, other: xr.Dataset
) -> None:
    joined = concatenate([table, other])
    assert joined.subject_id.values.tolist() == ["a", "b", "c", "d"]
    assert joined.session_name.values.tolist() == ["0", "1", "2", "x", "y", "z"]
    assert joined.subject.values.tolist() == [0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3]
    assert joined.session.values.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    np.testing.assert_array_equal(joined.reward, np.tile(table.reward, 2))
    np.testing.assert_array_equal(
        joined.trial_in_session, np.tile(table.trial_in_session, 2)
    )


def test_three_tables_can_be_joined(table: xr.Dataset, other: xr.Dataset) -> None:
    third = a_table(subject_id=["e", "f"])
    joined = concatenate([table, other, third])
    assert joined.subject.values.tolist()[-2:] == [5, 5]
    assert joined.session.values.tolist()[-2:] == [8, 8]


def test_what_a_table_lacks_is_missing_in_the_joined_one(
    table: xr.Dataset, other: xr.Dataset
) -> None:
    joined = concatenate([table, other])
    assert joined.state2.values.tolist() == [*table.state2.values.tolist(), *[-1] * N]
    assert joined.choice2.values.tolist() == [*[-1] * N, *other.choice2.values.tolist()]
    assert joined.choice2.dtype == "int8"


def test_a_missing_time_is_nan_and_a_missing_note_is_empty(table: xr.Dataset) -> None:
    noted = a_table({"latency": np.ones(N), "note": ["q"] * N}, subject_id=["c", "d"])
    joined = concatenate([table, noted])
    np.testing.assert_array_equal(joined.latency, [np.nan] * N + [1] * N)
    assert joined.note.values.tolist() == [""] * N + ["q"] * N


def test_a_missing_count_or_flag_is_not_made_up(table: xr.Dataset) -> None:
    counted = a_table(
        {"licks": np.ones(N, "uint8"), "cued": np.ones(N, bool)}, subject_id=["c", "d"]
    )
    with pytest.raises(DataError, match="'licks' is uint8 and has no code for missing"):
        concatenate([counted, table])
    with pytest.raises(DataError, match="'cued' is bool and has no code for missing"):
        concatenate([counted.drop_vars("licks"), table])


def test_attributes_on_which_tables_agree_are_kept(
    table: xr.Dataset, other: xr.Dataset
) -> None:
    assert concatenate([table, other]).attrs == {"task": "two-step"}
    assert concatenate([other, table]).attrs == {"task": "two-step"}


def test_attributes_of_columns_are_kept(table: xr.Dataset, other: xr.Dataset) -> None:
    joined = concatenate([table, other])
    for name in ("reward", "state2"):
        assert joined[name].identical(joined[name].assign_attrs(table[name].attrs))
    assert joined.choice2.attrs["long_name"] == VARIABLES["choice2"].long_name


def test_what_is_known_of_each_subject_is_joined_too(
    table: xr.Dataset, other: xr.Dataset
) -> None:
    table["weight"] = ("subjects", [20.0, 30.0], {"units": "g"})
    joined = concatenate([table, other])
    np.testing.assert_array_equal(joined.weight, [20, 30, np.nan, np.nan])
    assert joined.weight.attrs == {"units": "g"}


def test_one_table_joined_is_itself(table: xr.Dataset) -> None:
    assert concatenate([table]).identical(table)


def test_joining_changes_none_of_the_tables(
    table: xr.Dataset, other: xr.Dataset
) -> None:
    before = table.copy(deep=True), other.copy(deep=True)
    concatenate([table, other])
    assert table.identical(before[0])
    assert other.identical(before[1])


def test_subjects_of_one_name_cannot_be_joined(table: xr.Dataset) -> None:
    with pytest.raises(DataError, match="two subjects are called 'a'"):
        concatenate([table, table])


def test_joining_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="no trial tables to join"):
        concatenate([])


# Choosing trials.


def test_the_trials_of_a_subject_are_a_table_of_its_own(table: xr.Dataset) -> None:
    of_b = subject_trials(table, "b")
    assert of_b.subject_id.values.tolist() == ["b"]
    assert of_b.session_name.values.tolist() == ["2"]
    assert of_b.subject.values.tolist() == [0, 0]
    assert of_b.session.values.tolist() == [0, 0]
    assert of_b.trial_in_session.values.tolist() == [5, 6]
    assert of_b.choice.values.tolist() == [1, 0]
    assert of_b.attrs == table.attrs


def test_an_unknown_subject_is_refused_with_the_list_of_known_ones(
    table: xr.Dataset,
) -> None:
    with pytest.raises(DataError, match="no subject 'z'; the table has a, b"):
        subject_trials(table, "z")


def test_chosen_trials_keep_their_place_and_their_names(table: xr.Dataset) -> None:
    table["weight"] = ("subjects", [20.0, 30.0])
    kept = select(table, np.array([False, False, True, False, True, True]))
    assert kept.subject_id.values.tolist() == ["a", "b"]
    assert kept.weight.values.tolist() == [20, 30]
    assert kept.session_name.values.tolist() == ["1", "2"]
    assert kept.session.values.tolist() == [0, 1, 1]
    assert kept.trial_in_session.values.tolist() == [0, 5, 6]
    assert kept.session.dtype == table.session.dtype


def test_choosing_all_trials_changes_nothing(table: xr.Dataset) -> None:
    assert select(table, np.ones(N, dtype=bool)).identical(table)


def test_parts_of_a_table_joined_are_the_table(table: xr.Dataset) -> None:
    parts = [subject_trials(table, name) for name in ("a", "b")]
    assert concatenate(parts).identical(table)


def test_a_mask_of_another_length_is_refused(table: xr.Dataset) -> None:
    with pytest.raises(InputError, match="keep"):
        select(table, np.ones(N - 1, dtype=bool))
