"""Checkpoints: all that training needs to go on with the same bits.

A checkpoint's file name ends in the SHA-256 sum of its content, so that one rename
makes content and sum appear together and damage is noticed before torch reads it. It
holds only what ``torch.load(weights_only=True)`` takes.
"""

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from pfc_metarl.errors import DataError
from pfc_metarl.files import PARTIAL, written_atomically

FORMAT = 2
"""Raised when the content changes; other formats are refused."""

_KEPT = 2


def save(folder: Path, name: str, update: int, content: dict[str, Any]) -> None:
    """Write a checkpoint; the last two of a name are kept.

    Parameters
    ----------
    folder
        Where checkpoints lie.
    name
        Whose checkpoint it is, ``"seeds-000-003"`` say.
    update
        Number of updates done.
    content
        Tensors and plain containers.
    """
    payload = io.BytesIO()
    torch.save({"format": FORMAT, "update": update, **content}, payload)
    digest = hashlib.sha256(payload.getvalue()).hexdigest()[:16]
    path = folder / f"{name}.update-{update:07d}.{digest}.pt"
    with written_atomically(path) as partial:
        partial.write_bytes(payload.getvalue())
    for old in _of(folder, name)[:-_KEPT]:
        old.unlink()


def newest(folder: Path, name: str) -> dict[str, Any] | None:
    """Read the newest checkpoint of a name.

    Returns
    -------
    dict or None
        Its content, or None when there is none.

    Raises
    ------
    DataError
        When it is damaged or of another format.
    """
    for stray in folder.glob(f"{name}.*{PARTIAL}"):
        stray.unlink()  # its writer was killed
    found = _of(folder, name)
    return read(found[-1]) if found else None


def read(path: Path) -> dict[str, Any]:
    """Read one checkpoint file; see :func:`newest` for the errors."""
    payload = path.read_bytes()
    if hashlib.sha256(payload).hexdigest()[:16] != path.stem.rsplit(".", 1)[-1]:
        raise DataError(
            f"{path}: content does not match the sum in its name; it is damaged: "
            "delete it to go on from the checkpoint before"
        )
    try:
        content: dict[str, Any] = torch.load(
            io.BytesIO(payload), map_location="cpu", weights_only=True
        )
        found = content.get("format")
    except Exception as error:  # torch raises many kinds; nothing in it was run
        raise DataError(
            f"{path}: not a checkpoint of pfc_metarl ({type(error).__name__}); "
            "delete it to go on from the checkpoint before"
        ) from None
    if found != FORMAT:
        raise DataError(
            f"{path}: checkpoint format {content.get('format')}; this version of "
            f"pfc_metarl reads format {FORMAT}: choose another --out, or delete the run"
        )
    return content


def _of(folder: Path, name: str) -> list[Path]:
    """Checkpoints of a name, oldest first (their number has leading zeros)."""
    return sorted(folder.glob(f"{name}.update-*.pt"))
