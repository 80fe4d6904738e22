"""Which trials of a table hold a choice that may be scored."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pfc_metarl.errors import DataError
from pfc_metarl.trials import INDEX


def require_columns(table: xr.Dataset, analysis: str, *names: str) -> None:
    """Check that a trial table has the columns that an analysis reads.

    Parameters
    ----------
    table
        A trial table.
    analysis
        What the columns are for, in words; it appears in the message.
    names
        Columns along ``trial``, beside the index and ``valid``.

    Raises
    ------
    DataError
        At the first column that is missing; the message names it and the analysis.
    """
    for name in (*INDEX, "valid", *names):
        if name not in table.variables or table[name].dims != ("trial",):
            raise DataError(
                f"no column '{name}' along 'trial'; {analysis} needs it "
                f"(the table has {', '.join(map(str, table.data_vars))})"
            )
    if "subject_id" not in table.variables:
        raise DataError(f"no list 'subject_id'; {analysis} needs it")


def free_choices(table: xr.Dataset) -> NDArray[np.bool_]:
    """Find the valid trials whose choice was made and not instructed.

    Parameters
    ----------
    table
        A trial table.

    Returns
    -------
    numpy.ndarray
        (trial,) booleans.
    """
    valid: NDArray[np.bool_] = table.valid.values == 1
    free: NDArray[np.bool_] = (table.forced.values == 0) & (table.choice.values >= 0)
    return valid & free
