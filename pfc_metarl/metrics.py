"""What training was like, written as it goes: a line per update, and TensorBoard."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfc_metarl.errors import InputError
from pfc_metarl.files import write_text


class MetricsFile:
    """JSON lines: ``{"update": 7, "reward": [0.52, 0.61], ...}``, a value per seed.

    ``null`` stands for no number. Opened anew, lines of updates that are not done yet
    (those after the checkpoint that training goes on from) are dropped.

    Parameters
    ----------
    path
        The file; made if need be.
    update
        Updates done so far.
    tensorboard
        Folder of a TensorBoard log as well, a run per seed; None: none. A new one
        gets the updates done so far, too.
    seeds
        What the values are of.

    Raises
    ------
    InputError
        When TensorBoard is asked for and not installed.
    """

    def __init__(
        self,
        path: Path,
        update: int,
        seeds: Sequence[int],
        tensorboard: Path | None = None,
    ) -> None:
        new = tensorboard is not None and not tensorboard.exists()
        self._boards = _boards(tensorboard, seeds, update)
        _keep_until(path, update)
        if new and path.exists():
            for line in _lines(path):
                self._show(line.pop("update"), line)
        self._file = path.open("a")

    def __enter__(self) -> "MetricsFile":
        """Begin to write."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the files."""
        self._file.close()
        for board in self._boards:
            board.close()

    def write(self, update: int, values: Mapping[str, Sequence[float]]) -> None:
        """Add the line of an update."""
        line: dict[str, Any] = {"update": update}
        for name, by_seed in values.items():
            line[name] = [_or_null(value) for value in by_seed]
        self._file.write(json.dumps(line) + "\n")
        self._show(update, values)

    def _show(self, update: int, values: Mapping[str, Sequence[float | None]]) -> None:
        for name, by_seed in values.items():
            for board, value in zip(self._boards, by_seed, strict=False):
                if value is not None and math.isfinite(value):
                    board.add_scalar(name, value, update)

    def flush(self) -> None:
        """Hand all lines to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        for board in self._boards:
            board.flush()


def _or_null(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _keep_until(path: Path, update: int) -> None:
    if not path.exists():
        return
    kept = [line for line in _lines(path) if line["update"] < update]
    write_text(path, "".join(json.dumps(line) + "\n" for line in kept))


def _lines(path: Path) -> list[dict[str, Any]]:
    lines = []
    for text in path.read_text().splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:  # the writer was killed amid a line
            continue
    return lines


def _boards(folder: Path | None, seeds: Sequence[int], update: int) -> list[Any]:
    if folder is None:
        return []
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError(
            "TensorBoard is not installed; pip install 'pfc-metarl[tensorboard]'"
        ) from None
    return [
        SummaryWriter(str(folder / f"seed-{seed:03d}"), purge_step=update)
        for seed in seeds
    ]


def read_metrics(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read a metrics file.

    Returns
    -------
    dict
        (update, seed) by name; NaN where there is no number.
    """
    lines = _lines(path)
    if not lines:
        return {}
    n_updates = max(line["update"] for line in lines) + 1
    found = {}
    for name in [name for name in lines[0] if name != "update"]:
        values = np.full((n_updates, len(lines[0][name])), np.nan, dtype=np.float32)
        for line in lines:
            values[line["update"]] = [np.nan if v is None else v for v in line[name]]
        found[name] = values
    return found
