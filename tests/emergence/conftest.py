"""Shared by the tests of emergence: one thread, and cells that take a moment."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch

from pfc_metarl import parallel
from pfc_metarl.emergence.cell import Cell
from pfc_metarl.emergence.setting import SETTINGS, with_learning, with_network
from pfc_metarl.parallel import Begun, Event, Piece
from pfc_metarl.stopping import Stopping

TinyCell = Callable[..., Cell]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny_cell() -> TinyCell:
    """Cells of a few units, episodes and updates; they differ in what is asked for."""
    return _tiny_cell


def _tiny_cell(
    units: int = 4, setting: str | None = "bandit", seeds: int = 2, updates: int = 3
) -> Cell:
    whole = SETTINGS[setting or "bandit"].configuration(seeds)
    small = replace(
        with_learning(with_network(whole, units=units), updates=updates, batch=3),
        task=replace(whole.task, trials=6),
        test_task=replace(whole.tested_on, trials=6),
        stopping=Stopping(fraction=0.8, every=1000, episodes=5, leave=False),
        test_episodes=10,
    )
    return Cell(small, setting)


@dataclass(frozen=True)
class _Told:
    """Stands for the connection to a process: what is sent comes straight back."""

    send: Callable[[Any], None]

    def poll(self) -> bool:
        return False


@pytest.fixture
def work_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sweeps do their work in this process, which starts at once."""

    def work(
        pieces: Sequence[Piece],
        tell: Callable[[int, Event], None],
        processes: int | None = None,
    ) -> None:
        for at, piece in enumerate(pieces):
            tell(at, Begun())
            told: Any = _Told(lambda progress, at=at: tell(at, progress))
            tell(at, parallel._done(piece, told))

    monkeypatch.setattr("pfc_metarl.emergence.sweep.work", work)
