"""Files that are either whole or absent: atomic writes, netCDF, SHA-256 sums."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xarray as xr

PARTIAL = ".partial"  # suffix of a file that is still being written


@contextmanager
def written_atomically(path: Path) -> Iterator[Path]:
    """Write a file under a temporary name; flush it to disk and rename it at the end.

    Parameters
    ----------
    path
        Where the finished file goes. Its folder is made when it is missing.

    Yields
    ------
    Path
        The temporary name to write to. When the block raises, the temporary file is
        removed and whatever stood at ``path`` before is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL}")
    try:
        yield partial
        _flush_to_disk(partial)
        os.replace(partial, path)
        _flush_to_disk(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically (UTF-8)."""
    with written_atomically(path) as partial:
        partial.write_text(text, encoding="utf-8")


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


def sha256(path: Path) -> str:
    """Return the SHA-256 sum of a file, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
