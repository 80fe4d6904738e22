"""The two-step trials of one subject, arranged session by session for fitting."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pfc_metarl.errors import DataError
from pfc_metarl.trials import validate

COLUMNS = ("choice", "state2", "transition_common", "reward", "forced", "valid")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TwoStepTrials:
    """Valid trials of one subject as (session, trial) arrays, filled up with 0.

    Invalid trials are left out, as if they had not been: they neither change values nor
    count as previous choice. Forced trials stay, but are not ``scored``.
    """

    choice: Array  # +1 second (choice 1), -1 first (choice 0)
    previous: Array  # choice on the valid trial before; 0 on the first of a session
    state: Array  # second-step state: +1 is state2 1, -1 is state2 0
    outcome: Array  # 2 reward - 1: +1 reward, -1 none
    common: Array  # +1 common transition, -1 rare, 0 not known
    mapping: (
        Array  # (session, 1): +1 where choice 1 commonly leads to state2 1, else -1
    )
    scored: NDArray[np.bool_]
    position: NDArray[np.int64]  # in the subject's table; -1 where filled up
    n_trials: int  # of the subject's table

    def along_trial(self, values: Array) -> Array:
        """Lay (session, trial) values out along the table; NaN on invalid trials."""
        laid = np.full(self.n_trials, np.nan)
        laid[self.position[self.position >= 0]] = values[self.position >= 0]
        return laid


def two_step_trials(table: xr.Dataset) -> TwoStepTrials:
    """Arrange the trial table of one subject.

    Parameters
    ----------
    table
        Trial table with the columns :data:`COLUMNS`; choices and second-step states
        are 0 or 1, rewards lie between 0 and 1.

    Returns
    -------
    TwoStepTrials
        Arrays of shape (session, longest session).

    Raises
    ------
    DataError
        When a column or a value is missing, a value is not allowed, no free choice is
        left to score, or the common transition changes within a session.
    """
    validate(table)
    _check(table)
    position = _positions(table)
    filled = position >= 0

    def arranged(values: NDArray[np.float64]) -> Array:
        return np.where(filled, values[position], 0.0)

    sign = {name: 2.0 * table[name].values - 1 for name in COLUMNS[:3]}
    common = np.where(
        table.transition_common.values < 0, 0.0, sign["transition_common"]
    )
    choice, state = arranged(sign["choice"]), arranged(sign["state2"])
    return TwoStepTrials(
        choice=choice,
        previous=np.pad(choice, ((0, 0), (1, 0)))[:, :-1],
        state=state,
        outcome=arranged(2.0 * table.reward.values - 1),
        common=arranged(common),
        mapping=_mapping(table, choice * state * arranged(common), position),
        scored=filled & (table.forced.values[position] == 0),
        position=position,
        n_trials=table.sizes["trial"],
    )


def _check(table: xr.Dataset) -> None:
    lacking = [name for name in COLUMNS if name not in table]
    if lacking:
        raise DataError(
            f"the trial table lacks {', '.join(lacking)}; "
            f"two-step models need {', '.join(COLUMNS)}"
        )
    valid = table.valid.values == 1
    if not (valid & (table.forced.values == 0)).any():
        raise DataError(
            f"subject {', '.join(map(str, table.subject_id.values))} has no "
            "choice to score; expected at least one trial with valid 1 and forced 0"
        )
    for name in ("choice", "state2"):
        _refuse(table, name, valid & ~np.isin(table[name].values, (0, 1)), "0 and 1")
    reward = table.reward.values
    _refuse(table, "reward", valid & ~((reward >= 0) & (reward <= 1)), "0 to 1")


def _refuse(
    table: xr.Dataset, name: str, wrong: NDArray[np.bool_], allowed: str
) -> None:
    if wrong.any():
        trial = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"trial {trial} is valid and has {name} {table[name].values[trial]}; "
            f"allowed are {allowed} (a trial that was not completed has valid 0)"
        )


def _positions(table: xr.Dataset) -> NDArray[np.int64]:
    """Return (session, trial) places of the valid trials in the table, else -1."""
    valid = np.flatnonzero(table.valid.values == 1)
    session = table.session.values[valid]
    starts = np.flatnonzero(np.r_[True, np.diff(session) != 0])
    lengths = np.diff(np.r_[starts, len(session)])
    row = np.repeat(np.arange(len(starts)), lengths)
    positions = np.full((len(starts), lengths.max()), -1)
    positions[row, np.arange(len(session)) - starts[row]] = valid
    return positions


def _mapping(table: xr.Dataset, sign: Array, position: NDArray[np.int64]) -> Array:
    """Return each session's common transition; ``sign`` is choice x state x common."""
    mapping: Array = np.sign(sign.sum(axis=1, keepdims=True))
    wrong = (mapping == 0) | ((sign != 0) & (sign != mapping)).any(
        axis=1, keepdims=True
    )
    if wrong.any():
        session = table.session.values[position[np.flatnonzero(wrong)[0], 0]]
        raise DataError(
            f"session {table.session_name.values[session]} has no one common "
            "transition; two-step models need transition_common on some trial, and "
            "choice, state2 and transition_common that agree throughout a session"
        )
    return mapping
