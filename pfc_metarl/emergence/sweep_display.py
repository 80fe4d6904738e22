"""How far a sweep is: live in a terminal, quiet lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TextIO

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pfc_metarl.emergence.cell import Cell
from pfc_metarl.emergence.sweep import Held, cost
from pfc_metarl.parallel import Begun, Ended, Event, Failed
from pfc_metarl.training import Progress

QUIET_SECONDS = 10.0
LIVE_SECONDS = 0.1


class SweepDisplay:
    """Shows how many cells are done, what runs, how far it is, and the time left.

    Use it as a context manager, and hand :meth:`report` to the sweep.

    Parameters
    ----------
    cells
        Of the sweep.
    labels
        What cells are called, by their names; a cell without is shown by its name.
    stream
        Where to write; the display is live only if it is a terminal.
    """

    def __init__(
        self,
        cells: Iterable[Cell],
        labels: Mapping[str, str] = MappingProxyType({}),
        stream: TextIO = sys.stderr,
    ) -> None:
        self._cells = {cell.name: _Shown(cell, labels) for cell in cells}
        self._console = Console(file=stream, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False)
        self._began = self._last_shown = time.monotonic()

    def __enter__(self) -> "SweepDisplay":
        """Begin to show."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last state on the screen."""
        self._live.stop()

    def report(self, name: str, event: Event | Held) -> None:
        """Take in what happens to a cell."""
        self._cells[name].take(event)
        if isinstance(event, Held):
            self.say(f"{self._cells[name].label}: another process is at work; later")
        if isinstance(event, Failed):
            self.say(f"{self._cells[name].label}: failed: {event.reason}")
        since = time.monotonic() - self._last_shown
        if self._console.is_terminal:
            if since > LIVE_SECONDS or not isinstance(event, Progress):
                self._last_shown = time.monotonic()
                self._live.update(self._table(), refresh=True)
        elif since > QUIET_SECONDS:
            self._last_shown = time.monotonic()
            self.say(self.line())

    def say(self, line: str) -> None:
        """Print a line; it stays above what is live."""
        self._console.print(line, markup=False, soft_wrap=True)

    def line(self) -> str:
        """Return the state of the sweep in one line."""
        running = "; ".join(
            f"{cell.label} {cell.in_words()}" for cell in self._running()
        )
        return " | ".join(part for part in (self._counts(), running) if part)

    def _table(self) -> Group:
        table = Table.grid(padding=(0, 2))
        table.add_column()
        table.add_column(no_wrap=True, overflow="ellipsis")
        for cell in self._running():
            bar = ProgressBar(1.0, cell.share, width=30)
            table.add_row(bar, Text(f"{cell.label}  {cell.in_words()}"))
        return Group(self._counts(), table)

    def _running(self) -> list["_Shown"]:
        return [cell for cell in self._cells.values() if cell.state == "running"]

    def _counts(self) -> str:
        states = [cell.state for cell in self._cells.values()]
        counts = [f"cells: {states.count('done')} of {len(states)} done"]
        for state in ("running", "failed", "held elsewhere"):
            if n := states.count(state):
                counts.append(f"{n} {state}")
        return ", ".join([*counts, *self._time_left()])

    def _time_left(self) -> list[str]:
        cells = self._cells.values()
        gained = sum(cell.cost * (cell.share - cell.found) for cell in cells)
        left = sum(cell.cost * (1 - cell.share) for cell in cells if not cell.over)
        if not left or not gained:
            return []
        minutes = (time.monotonic() - self._began) * left / gained / 60
        return [f"about {minutes:.0f} min left" if minutes >= 1 else "a minute left"]


class _Shown:
    """What is shown of a cell.

    ``share`` of its training is done, of which it had ``found`` when it began.
    """

    def __init__(self, cell: Cell, labels: Mapping[str, str]) -> None:
        self.label = labels.get(cell.name, cell.name)
        self.cost = cost(cell)
        self.state = "waiting"
        self.share = self.found = 0.0
        self._seeds = cell.configuration.seeds
        self._groups: dict[tuple[int, ...], Progress] = {}
        self._latest: Progress | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more is to be expected."""
        return self.state in ("done", "failed")

    def take(self, event: Event | Held) -> None:
        """Take in what happens to it."""
        match event:
            case Begun():
                self.state = "running"
            case Held():
                self.state = "held elsewhere"
            case Failed():
                self.state = "failed"
            case Ended():
                if self.state != "running":  # done before, or by another process
                    self.found = 1.0
                self.state, self.share = "done", 1.0
            case Progress():
                if not event.steps_per_second:  # as the last run left it
                    self.found += self._part(event)
                self._groups[event.seeds] = self._latest = event
                self.share = sum(map(self._part, self._groups.values()))

    def _part(self, group: Progress) -> float:
        return group.update / group.updates * len(group.seeds) / self._seeds

    def in_words(self) -> str:
        """Return which seeds train, how far they are, and what they earn."""
        latest = self._latest
        if latest is None:
            return "starting"
        if self.share >= 1:
            return "trained, is tested"
        seeds = f"seeds {latest.seeds[0]}-{latest.seeds[-1]}"
        sound = [reward for reward in latest.reward if np.isfinite(reward)]
        reward = f"reward {np.mean(sound):.3f}" if sound else "all diverged"
        return f"{seeds}, update {latest.update}/{latest.updates}, {reward}"
