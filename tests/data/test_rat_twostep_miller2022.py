"""The rats' table against the published numbers and an independent conversion."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from pfc_metarl.data import load
from pfc_metarl.data.finding import find
from pfc_metarl.data.rat_twostep_miller2022 import FILE, convert
from pfc_metarl.data.registry import RAT_TWOSTEP_MILLER2022 as DATA_SET
from pfc_metarl.trials import previous_trial

EQUAL = {  # name here: name in the reference
    "subject": "subject",
    "session": "session",
    "trial_in_session": "trial_in_session",
    "choice": "choice1",
    "state2": "state2",
    "reward": "reward",
    "transition_common": "transition_common",
    "forced": "forced",
    "valid": "valid",
    "bad_timing": "bad_timing",
    "reward_prob_state0": "p_reward_left",
    "reward_prob_state1": "p_reward_right",
    "t_init1": "t_init1",
    "t_choice1": "t_choice1",
    "t_init2": "t_init2",
    "t_outcome": "t_outcome",
    "subject_id": "subject_id",
    "p_congruent": "p_congruent",
    "session_name": "session_name",
}


@pytest.fixture(scope="module")
def folder(data_folder: Callable[[str], Path]) -> Path:
    return data_folder(DATA_SET.name)


@pytest.fixture(scope="module")
def rats(folder: Path) -> xr.Dataset:
    return load(DATA_SET.name, folder)


@pytest.fixture(scope="module")
def reference(folder: Path) -> xr.Dataset:
    path = folder / f"{DATA_SET.name}.nc"
    if not path.is_file():
        pytest.skip(f"no {path}: the independent conversion; put it beside original/")
    return xr.load_dataset(path, engine="h5netcdf")


@pytest.mark.data
@pytest.mark.parametrize(("name", "theirs"), EQUAL.items())
def test_every_trial_equals_the_independent_conversion(rats, reference, name, theirs):
    np.testing.assert_array_equal(rats[name].values, reference[theirs].values)


@pytest.mark.data
def test_no_column_of_the_independent_conversion_is_left_out(reference):
    assert set(reference.variables) - set(EQUAL.values()) == {"session_subject"}


@pytest.mark.data
def test_each_rat_has_its_trials_and_sessions(rats):
    names = ["M055", "M064", "M070", "M071", "M088", "M093"]
    assert list(rats.subject_id.values) == names
    trials = np.bincount(rats.subject)
    assert trials.tolist() == [12445, 10702, 6806, 4004, 1919, 537]
    starts = rats.trial_in_session.values == 0
    sessions = np.bincount(rats.subject[starts])
    assert sessions.tolist() == [15, 10, 14, 6, 6, 1]


@pytest.mark.data
def test_rats_repeat_choices_after_reward_or_its_absence_as_published(rats):
    before = previous_trial(rats)
    free = rats.forced.values == 0
    now = np.flatnonzero((before >= 0) & free & free[before])
    last = before[now]
    assert now.size == 28_033
    stay = rats.choice.values[now] == rats.choice.values[last]
    reward = rats.reward.values[last]
    common = rats.transition_common.values[last]
    probability = [
        stay[(reward == r) & (common == c)].mean() for r in (1, 0) for c in (1, 0)
    ]
    np.testing.assert_allclose(probability, [0.9198, 0.4983, 0.5646, 0.8640], atol=5e-5)


@pytest.mark.data
def test_common_transitions_go_where_the_rat_s_congruence_says(rats):
    congruent = rats.p_congruent.values[rats.subject] > 0.5
    same_side = rats.choice.values == rats.state2.values
    reached = rats.state2.values >= 0
    common = rats.transition_common.values == 1
    assert (common == (same_side == congruent))[reached].all()
    by_rat = [common[rats.subject == rat].mean() for rat in range(6)]
    assert min(by_rat) == pytest.approx(0.791, abs=0.005)
    assert max(by_rat) == pytest.approx(0.803, abs=0.005)


@pytest.mark.data
def test_the_good_choice_commonly_leads_to_the_port_that_pays_more(rats):
    paid = np.stack([rats.reward_prob_state0, rats.reward_prob_state1])
    good_state = rats.good_state.values
    np.testing.assert_array_equal(good_state, paid.argmax(axis=0))
    congruent = rats.p_congruent.values[rats.subject] > 0.5
    same_side = rats.good_choice.values == good_state
    np.testing.assert_array_equal(same_side, congruent)


@pytest.mark.data
def test_the_good_choice_agrees_with_the_source_in_every_free_trial(rats, folder):
    path = find(DATA_SET, folder) / FILE
    with h5py.File(path, "r") as file:
        structs = [file[reference] for reference in file["ratdatas"][()].ravel()]
        better = np.concatenate([s["better_choices"][()].ravel() for s in structs])
    free = rats.forced.values == 0
    chose_good = rats.choice.values == rats.good_choice.values
    np.testing.assert_array_equal(better[free], chose_good[free])


@pytest.mark.data
def test_times_are_in_seconds_and_in_the_order_of_the_trial(rats):
    events = ("t_init1", "t_choice1", "t_init2", "t_outcome")
    assert {rats[event].units for event in events} == {"s"}
    times = np.stack([rats[event] for event in events])[:, rats.valid.values == 1]
    assert (np.diff(times, axis=0) >= 0).all()
    assert times.min() >= 0


def test_a_small_file_of_the_same_form_is_read(tmp_path):
    with h5py.File(tmp_path / FILE, "w") as file:
        cell = file.create_dataset("ratdatas", (1, 2), dtype=h5py.ref_dtype)
        cell[0, 0] = write_rat(file, "A1", p_congruent=0.8, sides2="lrv")
        cell[0, 1] = write_rat(file, "B2", p_congruent=0.2, sides2="lrl", equal=True)
    table = convert(tmp_path)
    assert list(table.subject_id.values) == ["A1", "B2"]
    assert list(table.session_name.values) == ["A1_00", "A1_01", "B2_00", "B2_01"]
    assert table.trial_in_session.values.tolist() == [0, 1, 0, 0, 1, 0]
    assert table.choice.values.tolist() == [0, 1, 0, 0, 1, 0]
    assert table.state2.values.tolist() == [0, 1, -1, 0, 1, 0]
    assert table.forced.values.tolist() == [0, 1, 0, 0, 1, 0]
    assert table.valid.values.tolist() == [1, 1, 0, 1, 1, 1]
    assert table.good_state.values.tolist() == [0, 1, 0, -1, 1, 0]
    assert table.good_choice.values.tolist() == [0, 1, 0, -1, 0, 1]
    assert table.t_init1.values.tolist() == [0, 10, 0, 0, 10, 0]


def write_rat(file, name, *, p_congruent, sides2, equal=False):
    """Write a struct of three trials in two sessions; return the reference to it."""
    rat = file.create_group(f"#refs#/{name}")
    rat["ratname"] = np.array([[ord(letter)] for letter in name], dtype="uint16")
    rat["p_congruent"] = [[p_congruent]]
    fields = {
        "new_sess": [1, 0, 1],
        "rewards": [1, 0, 0],
        "trans_common": [1, 1, 1],
        "viols": [0, 0, 0],
        "bad_timing": [0, 0, 0],
        "better_choices": [1, np.nan, 1],
        "leftprobs": [0.5 if equal else 0.8, 0.2, 0.8],
        "rightprobs": [0.5 if equal else 0.2, 0.8, 0.2],
    }
    for event, delay in (("c1", 0), ("s1", 1), ("c2", 2), ("s2", 3)):
        fields[f"{event}_times"] = np.array([100, 110, 120]) + delay
    for field, values in fields.items():
        rat[field] = np.array([values], dtype="float64")
    for field, letters in (("sides1", "lrl"), ("sides2", sides2)):
        rat[field] = np.array([[ord(letter) for letter in letters]], dtype="uint16")
    return rat.ref
