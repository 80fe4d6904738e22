"""Rat two-step task, OFC recording sessions (Miller, Botvinick & Brody 2022).

A trial: the rat pokes the centre port, chooses the left or right port (``choice``),
pokes the centre port again, and one of two outcome ports lights up (``state2``), where
it gets water or nothing. There is no choice at the second step. Ports are coded 0 left,
1 right. In *congruent* rats a choice leads to the outcome port of its own side in 80%
of trials, in *incongruent* rats in 20%; ``p_congruent`` says which a rat is. The ports
pay with probability 0.8 and 0.2, which swap in blocks that nothing announces.

The original, ``ofc_physdata.mat``, is MATLAB 7.3 (HDF5): a cell ``ratdatas`` of one
struct per rat, whose fields are (1, trial) doubles; characters are stored as uint16.

What the file leaves to the reader:

- ``sides1`` is ``l`` or ``r``; ``sides2`` is also ``v`` in 11 trials, a violation in
  which no outcome port was reached: ``state2`` -1, outcome time NaN. Their
  ``transition_common`` and ``reward`` (0) are kept as the source has them.
- ``valid`` is 0 for those, for 10 trials flagged ``viols`` and for trials without the
  time of an event; the latter are the 52 flagged ``bad_timing``. 62 in all.
- ``better_choices`` is NaN where the first step was instructed: ``forced`` 1. Elsewhere
  it says whether the choice was the better one, and agrees with ``good_choice`` in
  every trial. One rat, M055, has no forced trials.
- ``trans_common`` already accounts for the rat's congruence.
- Times are on the clock of the recording; here they count from the earliest event of
  the session. ``new_sess`` marks the first trial of a session.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pfc_metarl.trials import MISSING, trial_table

FILE = "ofc_physdata.mat"

TIMES = {  # field: name here, what happens then
    "c1_times": ("t_init1", "first centre poke"),
    "s1_times": ("t_choice1", "first-step choice poke"),
    "c2_times": ("t_init2", "second centre poke"),
    "s2_times": ("t_outcome", "outcome-port poke"),
}
_FIELDS = (
    *TIMES,
    *("sides1", "sides2", "rewards", "trans_common", "viols", "bad_timing"),
    *("better_choices", "leftprobs", "rightprobs", "new_sess"),
)
_PORTS = "0 left, 1 right"

Rat = Mapping[str, NDArray[Any]]  # field of the struct -> (trial,) values


def convert(folder: Path) -> xr.Dataset:
    """Read the original file into a trial table.

    HDF5 may loop for ever on a damaged file: check the file's sum first, as
    :func:`pfc_metarl.data.load` does.

    Parameters
    ----------
    folder
        Holds ``ofc_physdata.mat``.

    Returns
    -------
    xarray.Dataset
        Trial table with, along ``trial``, ``choice``, ``state2``,
        ``transition_common``, ``reward``, ``forced``, ``valid``, ``good_state``,
        ``good_choice``; ``reward_prob_state0`` and ``reward_prob_state1`` (float32,
        the source's ``leftprobs`` and ``rightprobs``); ``bad_timing`` (int8);
        ``t_init1``, ``t_choice1``, ``t_init2``, ``t_outcome`` (float32, s). Along
        ``subjects``: ``p_congruent`` (float32).
    """
    with h5py.File(folder / FILE, "r") as file:
        structs = [file[reference] for reference in file["ratdatas"][()].ravel()]
        names = [_text(struct["ratname"]) for struct in structs]
        p_congruent = np.array([s["p_congruent"][()].item() for s in structs])
        rats = [{name: s[name][()].ravel() for name in _FIELDS} for s in structs]
    return _table(rats, names, p_congruent)


def _text(characters: h5py.Dataset) -> str:
    return "".join(map(chr, characters[()].ravel()))


def _table(
    rats: Sequence[Rat], names: list[str], p_congruent: NDArray[np.float64]
) -> xr.Dataset:
    trials = {name: np.concatenate([rat[name] for rat in rats]) for name in _FIELDS}
    subject = np.repeat(np.arange(len(rats)), [rat["sides1"].size for rat in rats])
    session = np.cumsum(trials["new_sess"] == 1) - 1
    starts = np.flatnonzero(trials["new_sess"] == 1)
    table = trial_table(
        {
            **_behaviour(trials),
            **_latents(trials, congruent=p_congruent[subject] > 0.5),
            **_times(trials, session, starts),
        },
        subject=subject,
        session=session,
        trial_in_session=np.arange(session.size) - starts[session],
        subject_id=names,
        session_name=_session_names(names, subject[starts]),
    )
    for name in ("choice", "state2", "good_choice", "good_state"):
        table[name].attrs["comment"] = _PORTS
    table["p_congruent"] = xr.Variable(
        "subjects",
        p_congruent.astype("float32"),
        {"long_name": "fraction of trials whose outcome side is the choice side"},
    )
    return table


def _session_names(names: list[str], subject: NDArray[np.int64]) -> list[str]:
    """Name each session, given its (session,) rat: M055_00, M055_01, M064_00, ..."""
    number = np.arange(subject.size) - np.searchsorted(subject, subject)
    return [f"{names[rat]}_{n:02d}" for rat, n in zip(subject, number, strict=True)]


def _behaviour(trials: Rat) -> dict[str, Any]:
    timed = ~np.isnan([trials[field] for field in TIMES]).any(axis=0)
    state2 = _port(trials["sides2"])
    return {
        "choice": _port(trials["sides1"]),
        "state2": state2,
        "transition_common": trials["trans_common"],
        "reward": trials["rewards"],
        "forced": np.isnan(trials["better_choices"]),
        "valid": (trials["viols"] == 0) & (state2 != MISSING) & timed,
        "bad_timing": _column(
            trials["bad_timing"].astype("int8"),
            "the source calls the event times unreliable",
        ),
    }


def _port(characters: NDArray[np.uint16]) -> NDArray[np.int8]:
    ports = np.full(characters.size, MISSING, dtype="int8")
    ports[characters == ord("l")] = 0
    ports[characters == ord("r")] = 1
    return ports


def _latents(trials: Rat, congruent: NDArray[np.bool_]) -> dict[str, Any]:
    """Return what the rat cannot see; ``congruent``: (trial,) bool, of its rat."""
    left, right = trials["leftprobs"], trials["rightprobs"]
    good_state = np.select([left > right, left < right], [0, 1], MISSING)
    other_side = np.where(good_state == MISSING, MISSING, 1 - good_state)
    long_name = "programmed reward probability of the {} outcome port (latent)"
    return {
        "good_state": good_state,
        "good_choice": np.where(congruent, good_state, other_side),
        "reward_prob_state0": _column(
            left.astype("float32"), long_name.format("left"), "1"
        ),
        "reward_prob_state1": _column(
            right.astype("float32"), long_name.format("right"), "1"
        ),
    }


def _times(
    trials: Rat, session: NDArray[np.int64], starts: NDArray[np.int64]
) -> dict[str, xr.DataArray]:
    """Return event times in seconds from the earliest event of the session."""
    earliest = np.nanmin([trials[field] for field in TIMES], axis=0)
    origin = np.minimum.reduceat(earliest, starts)[session]
    return {
        name: _column(
            (trials[field] - origin).astype("float32"),
            f"{event}, from the earliest event of the session",
            "s",
        )
        for field, (name, event) in TIMES.items()
    }


def _column(values: NDArray[Any], long_name: str, units: str = "") -> xr.DataArray:
    attrs = {"long_name": long_name} | ({"units": units} if units else {})
    return xr.DataArray(values, dims="trial", attrs=attrs)
