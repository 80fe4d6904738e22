"""What became of an experiment: its results and claims, or what it lacks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import xarray as xr

from pfc_metarl.emergence.cell import Cell
from pfc_metarl.emergence.experiment import Claim, Experiment, Plan, Runs
from pfc_metarl.emergence.sweep import State, reason_of, state_of
from pfc_metarl.errors import InputError
from pfc_metarl.files import sha256
from pfc_metarl.netcdf import save_dataset
from pfc_metarl.run_folder import MANIFEST, RunFolder
from pfc_metarl.simulation import TRAINING
from pfc_metarl.version import __version__

MADE_FROM, TRAINED_WITH = "made_from", "trained_with"
"""Attributes of the results: the cells behind them, and by which versions."""

SHOWN_AT_MOST = 5

ENOUGH_SEEDS = 8
"""Fewer show nothing: with 4 of 4, Wilson's interval begins at 0.51. A guess."""


@dataclass(frozen=True)
class Outcome:
    """What the report tells of an experiment.

    Parameters
    ----------
    experiment
        Which.
    plan
        What it was run with.
    results
        Of its analysis; None while it lacks cells that it cannot do without.
    claims
        Rows of the card.
    lacks
        What is not finished, in words; "" if nothing.
    is_new
        Whether the results were computed just now.
    """

    experiment: Experiment
    plan: Plan
    results: xr.Dataset | None
    claims: tuple[Claim, ...]
    lacks: str
    is_new: bool = False


def outcome(
    experiment: Experiment, plan: Plan, run: RunFolder, root: Path, again: bool = False
) -> Outcome:
    """Return what became of an experiment; compute its results if need be.

    They are kept in the run folder, and computed anew when a cell behind them was made
    again, or by another version of this package.

    Parameters
    ----------
    experiment, plan
        What was to be run.
    run
        Folder of the report; gets ``<name>.nc``.
    root
        The cells' run folders are below it.
    again
        Compute the results even if they are there.
    """
    cells = experiment.cells(plan)
    states = {label: state_of(cell, root) for label, cell in cells.items()}
    lacks = _lacks(cells, states, root)
    try:
        results, is_new = _results(experiment, plan, run, root, again)
    except InputError as error:
        return Outcome(experiment, plan, None, (), lacks or f"not finished: {error}")
    n_seeds = min(cell.configuration.seeds for cell in cells.values())
    claims = tuple(_cautious(claim, n_seeds) for claim in experiment.claims(results))
    return Outcome(experiment, plan, results, claims, lacks, is_new)


def _cautious(claim: Claim, n_seeds: int) -> Claim:
    """Take back what a few seeds cannot show."""
    if claim.verdict != "shown" or n_seeds >= ENOUGH_SEEDS:
        return claim
    on = f"only {n_seeds} seeds" + (f"; {claim.on}" if claim.on else "")
    return replace(claim, verdict="depends", on=on)


def _lacks(
    cells: Mapping[tuple[str, str], Cell],
    states: Mapping[tuple[str, str], State],
    root: Path,
) -> str:
    """Say which cells are not finished."""
    missing = [": ".join(label) for label in cells if states[label] == "not run"]
    failed = [
        f"{': '.join(label)} ({reason_of(cell, root)})"
        for label, cell in cells.items()
        if states[label] == "failed"
    ]
    if not missing and not failed:
        return ""
    parts = []
    if missing:
        parts.append(f"{len(missing)} of {len(cells)} cells missing: {_some(missing)}")
    if failed:
        parts.append(f"{len(failed)} failed: {'; '.join(failed)}")
    return "not finished: " + "\n".join(parts)


def _some(names: list[str]) -> str:
    listed = ", ".join(names[:SHOWN_AT_MOST])
    more = len(names) - SHOWN_AT_MOST
    return f"{listed} and {more} more" if more > 0 else listed


def _results(
    experiment: Experiment, plan: Plan, run: RunFolder, root: Path, again: bool
) -> tuple[xr.Dataset, bool]:
    name = results_name(experiment)
    cells = list(experiment.cells(plan).values())
    made_from = json.dumps(_sums(cells, root), sort_keys=True)
    if not again and run.has(name) and run.made_by(name) == __version__:
        known = xr.load_dataset(run / name, engine="h5netcdf")
        if known.attrs[MADE_FROM] == made_from:
            return known, False
    results = experiment.analyse(plan, Runs(root)).assign_attrs(
        {MADE_FROM: made_from, TRAINED_WITH: json.dumps(_versions(cells, root))}
    )
    run.forget(name)
    save_dataset(results, run / name)
    run.enter(name)
    return xr.load_dataset(run / name, engine="h5netcdf"), True


def results_name(experiment: Experiment) -> str:
    """Return the name of the file of an experiment's results."""
    return f"{experiment.name}.nc"


def _sums(cells: list[Cell], root: Path) -> dict[str, str]:
    """Return the sums of the cells' manifests, "" for cells without."""
    manifests = {cell.name: root / cell.name / MANIFEST for cell in cells}
    return {
        name: sha256(path) if path.exists() else "" for name, path in manifests.items()
    }


def _versions(cells: list[Cell], root: Path) -> list[dict[str, str]]:
    """Return the different versions that trained the cells."""
    found: list[dict[str, str]] = []
    for path in (root / cell.name / TRAINING for cell in cells):
        if path.exists():
            with xr.open_dataset(path, engine="h5netcdf") as training:
                versions = json.loads(training.attrs["versions"])
            if versions not in found:
                found.append(versions)
    return found
