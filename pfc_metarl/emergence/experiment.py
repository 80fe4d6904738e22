"""The protocol of the experiments: conditions, analysis, claims."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import xarray as xr

from pfc_metarl.emergence.cell import Cell, measured, networks
from pfc_metarl.network import Network

Verdict = Literal["shown", "not shown", "depends"]


@dataclass(frozen=True)
class Plan:
    """What the experiments are run with.

    Parameters
    ----------
    seeds
        Networks per condition.
    settings
        Keys of :data:`pfc_metarl.emergence.setting.SETTINGS` for the experiments that
        are done on several tasks.
    kernels
        For the LSTM; other memories use torch's.
    """

    seeds: int = 8
    settings: tuple[str, ...] = ("bandit", "two-step")
    kernels: str = "torch"


@dataclass(frozen=True)
class Claim:
    """A row of the emergence card.

    Parameters
    ----------
    claim
        What is claimed, in words.
    statistic
        What was measured, with its interval.
    mark
        What it must be for the claim to pass.
    verdict
        "shown", "not shown", or "depends".
    on
        On what it depends, or what else must be known to read the verdict.
    """

    claim: str
    statistic: str
    mark: str
    verdict: Verdict
    on: str = ""


@dataclass(frozen=True)
class Runs:
    """The finished cells below a folder."""

    root: Path

    def measured(self, cell: Cell) -> xr.Dataset:
        """Return what a cell shows; see :func:`pfc_metarl.emergence.cell.measured`."""
        return measured(cell, self.root)

    def networks(self, cell: Cell) -> Network:
        """Return a cell's networks, frozen as they are when training ended."""
        return networks(cell, self.root)


class Experiment(ABC):
    """One experiment of the emergence card.

    Adding one is a module with a subclass and a line in
    :data:`pfc_metarl.emergence.experiments.EXPERIMENTS`, and a figure in
    :mod:`pfc_metarl.paper.emergence`.
    """

    name: str
    """Such as "E2"."""

    title: str
    """What it asks, in a few words."""

    @abstractmethod
    def cells(self, plan: Plan) -> Mapping[tuple[str, str], Cell]:
        """Return what must be trained, by (setting, condition).

        Experiments share cells: what is the same is trained once.
        """

    @abstractmethod
    def analyse(self, plan: Plan, runs: Runs) -> xr.Dataset:
        """Compute the results from the finished cells.

        Raises
        ------
        InputError
            When a cell that cannot be done without is not finished.
        """

    @abstractmethod
    def claims(self, results: xr.Dataset) -> list[Claim]:
        """Judge the results: rows of the card."""
