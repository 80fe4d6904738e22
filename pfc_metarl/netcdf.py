"""Datasets on disk: compressed netCDF4, written atomically."""

from pathlib import Path
from typing import Any

import xarray as xr

from pfc_metarl.files import written_atomically


def save_dataset(dataset: xr.Dataset, path: Path) -> None:
    """Write a dataset as compressed netCDF4, atomically.

    Compression also makes later damage to the file noticeable when it is read.
    """
    with written_atomically(path) as partial:
        dataset.to_netcdf(partial, engine="h5netcdf", encoding=_compression(dataset))


def save_tree(tree: xr.DataTree, path: Path) -> None:
    """Write a tree of datasets as compressed netCDF4, atomically."""
    encoding = {node.path: _compression(node.to_dataset()) for node in tree.subtree}
    with written_atomically(path) as partial:
        tree.to_netcdf(partial, engine="h5netcdf", encoding=encoding)


def _compression(dataset: xr.Dataset) -> dict[Any, dict[str, Any]]:
    return {
        name: {"zlib": True, "complevel": 1}
        for name, variable in dataset.variables.items()
        if variable.dtype.kind in "iufb" and variable.ndim
    }


def read_tree(path: Path) -> xr.DataTree:
    """Read a tree of datasets into memory."""
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        loaded: xr.DataTree = tree.load()
    return loaded
