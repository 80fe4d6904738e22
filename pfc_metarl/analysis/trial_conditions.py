"""The condition that each trial belongs to, told by a column of a few numbers."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pfc_metarl.analysis.free_choices import require_columns
from pfc_metarl.errors import DataError, InputError
from pfc_metarl.trials import MISSING

MAX_CONDITIONS = 10  # more are values of a continuous column


def trial_conditions(
    table: xr.Dataset, column: str, analysis: str
) -> tuple[NDArray[np.int64], NDArray[np.generic]]:
    """Return the condition of every trial of choices between two options.

    Parameters
    ----------
    table
        A trial table of choices 0 and 1, and rewards from 0 to 1.
    column
        Tells the condition.
    analysis
        What it is for, in words; it appears in the message.

    Returns
    -------
    index : numpy.ndarray
        (trial,) index into the values; of no meaning where a trial is not valid.
    values : numpy.ndarray
        (condition,) what the column holds on valid trials, in rising order.

    Raises
    ------
    DataError
        When a column is missing, or a valid trial has a choice or reward out of range
        or no condition.
    InputError
        When the column holds a single value or more than ten.
    """
    require_columns(table, analysis, "choice", "forced", "reward", column)
    used = table.valid.values == 1
    choice, reward, told = (table[name].values for name in ("choice", "reward", column))
    missing = np.isnan(told) if told.dtype.kind == "f" else told == MISSING
    for name, wrong, expected in (
        ("choice", choice > 1, "0, 1 and -1 (missing)"),
        ("reward", (reward < 0) | (reward > 1), "0 to 1 and NaN (missing)"),
        (column, missing, "a known condition"),
    ):
        if (wrong & used).any():
            trial = int(np.flatnonzero(wrong & used)[0])
            raise DataError(
                f"trial {trial} has {name} {table[name].values[trial]}; "
                f"{analysis} takes {expected}"
            )
    values = np.unique(told[used])
    if not 2 <= len(values) <= MAX_CONDITIONS:
        raise InputError(
            f"the column '{column}' has {len(values)} values; {analysis} takes 2 to "
            f"{MAX_CONDITIONS} conditions, one number for each"
        )
    index = np.searchsorted(values, told).clip(max=len(values) - 1)
    return index.astype(np.int64), values
