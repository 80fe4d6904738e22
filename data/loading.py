"""Loading a data set: find its files, verify them, convert them."""

from pathlib import Path

import xarray as xr

from pfc_metarl.data.download import cached
from pfc_metarl.data.finding import find, given_folder, verify
from pfc_metarl.data.registry import DATA_SETS, DataSet
from pfc_metarl.errors import DataError


def load(name: str, folder: Path | None = None) -> xr.Dataset:
    """Load a data set as a trial table.

    The original files are read, not copies in another format. They are looked for in
    ``folder``, else in the folder that the environment variable ``PFC_METARL_DATA``
    names, else in the user's cache, into which they are downloaded when they are not
    there. A folder may hold the files themselves, or in a sub-folder ``<name>`` or
    ``original/<name>``; it is only read. Every file's SHA-256 is compared with the
    registry's before it is opened.

    Parameters
    ----------
    name
        A key of :data:`pfc_metarl.data.DATA_SETS`.
    folder
        Folder of original data.

    Returns
    -------
    xarray.Dataset
        Trial table (see :mod:`pfc_metarl.trials`). The converter's module says what
        else it holds; citation, licence and source are in the attributes.

    Raises
    ------
    DataError
        When the name is unknown, the folder given does not exist or lacks the files,
        or a file is not the registered one.
    DataMissing
        When no folder is given, the cache is empty and the download fails.

    Examples
    --------
    >>> from pfc_metarl.data import load
    >>> rats = load("rat_twostep_miller2022")  # doctest: +SKIP
    >>> rats.sizes["trial"]  # doctest: +SKIP
    36413
    """
    data_set = _registered(name)
    place = _verified_files(data_set, given_folder(folder))
    table = data_set.convert(place)
    return table.assign_attrs(data_set.attributes())


def _registered(name: str) -> DataSet:
    if name not in DATA_SETS:
        known = ", ".join(sorted(DATA_SETS))
        raise DataError(f"no data set '{name}'; known are {known}")
    return DATA_SETS[name]


def _verified_files(data_set: DataSet, folder: Path | None) -> Path:
    if folder is None:
        return cached(data_set)
    place = find(data_set, folder)
    for file in data_set.files:
        verify(place / file.name, file)
    return place
