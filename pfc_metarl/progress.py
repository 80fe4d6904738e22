"""How far training is: live in a terminal, quiet lines elsewhere."""

import math
import sys
import time
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from pfc_metarl.configuration import Configuration
from pfc_metarl.training import Progress

QUIET_SECONDS = 5.0


class Display:
    """Shows each seed's reward, the steps per second and the time left.

    Use it as a context manager, and hand :meth:`report` to the training.

    Parameters
    ----------
    configuration
        What is trained.
    stream
        Where to write; the display is live only if it is a terminal.
    """

    def __init__(
        self, configuration: Configuration, stream: TextIO = sys.stderr
    ) -> None:
        n_groups = len(configuration.groups())
        self._all_updates = configuration.learning.updates * n_groups
        self._console = Console(file=stream, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False)
        self._groups: dict[tuple[int, ...], Progress] = {}
        self._found = 0  # updates that were done before this run
        self._began = self._last_line = time.monotonic()

    def __enter__(self) -> "Display":
        """Begin to show."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last state on the screen."""
        self._live.stop()

    def report(self, progress: Progress) -> None:
        """Take in how far a group of seeds is."""
        if not self._groups:
            self._began = time.monotonic()  # processes take a while to start
        if progress.seeds not in self._groups:
            self._found += progress.update  # with the first report nothing is gained
        self._groups[progress.seeds] = progress
        if self._console.is_terminal:
            self._live.update(self._table(), refresh=True)
        elif self._is_time():
            self._last_line = time.monotonic()
            self._console.print(self.line(), soft_wrap=True)

    def _is_time(self) -> bool:
        waited = time.monotonic() - self._last_line > QUIET_SECONDS
        return waited or self._done() == self._all_updates

    def line(self) -> str:
        """Return the state of training in one line."""
        groups = [self._groups[seeds] for seeds in sorted(self._groups)]
        rewards = " ".join(shown for group in groups for shown in _shown(group))
        done = self._done() / self._all_updates
        return f"training {done:.0%} | reward by seed {rewards} | {self._pace()}"

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for seeds in sorted(self._groups):
            group = self._groups[seeds]
            for seed, reward in zip(seeds, _shown(group), strict=True):
                bar = ProgressBar(group.updates, group.update, width=40)
                table.add_row(f"seed {seed}", bar, f"reward {reward} per trial")
        table.add_row("", self._pace(), "")
        return table

    def _done(self) -> int:
        return sum(group.update for group in self._groups.values())

    def _pace(self) -> str:
        if self._done() == self._all_updates:
            return "done"
        busy = [g for g in self._groups.values() if g.update < g.updates]
        steps = sum(group.steps_per_second for group in busy)
        gained, waited = self._done() - self._found, time.monotonic() - self._began
        if gained < 1:
            return "starting"
        left = waited / gained * (self._all_updates - self._done())
        return f"{steps / 1e3:.0f} k steps/s, {left:.0f} s left"


def _shown(group: Progress) -> list[str]:
    """Reward of each seed; a star: competent, no longer trained."""
    stopped = ["" if at < 0 else "*" for at in group.competent_at]
    return [
        "diverged" if math.isnan(reward) else f"{reward:.3f}{star}"
        for reward, star in zip(group.reward, stopped, strict=True)
    ]
