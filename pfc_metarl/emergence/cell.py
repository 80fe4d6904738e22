"""A cell: one condition with all its seeds, trained, frozen and judged."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import xarray as xr

from pfc_metarl.configuration import Configuration
from pfc_metarl.emergence.criterion import Criterion, judged, measure
from pfc_metarl.emergence.levels import levels
from pfc_metarl.emergence.setting import SETTINGS
from pfc_metarl.errors import InputError
from pfc_metarl.netcdf import save_dataset
from pfc_metarl.network import Network
from pfc_metarl.run_folder import MANIFEST, Results
from pfc_metarl.simulation import (
    TRAINING,
    load_networks,
    open_run,
    provenance_attributes,
    train_here,
    trained,
)
from pfc_metarl.tasks.observers import IDEAL
from pfc_metarl.training import Progress

MEASURED = "emergence.nc"


@dataclass(frozen=True)
class Cell:
    """What is trained, and by whose criterion it is judged.

    Parameters
    ----------
    configuration
        Task, network, outer algorithm and seeds of the condition.
    setting
        A key of :data:`pfc_metarl.emergence.setting.SETTINGS`; None: it is trained for
        an experiment that has measures of its own.
    """

    configuration: Configuration
    setting: str | None = None

    @property
    def name(self) -> str:
        """Name of its run folder: equal cells, equal names."""
        return self.configuration.folder_name()


def is_finished(cell: Cell, root: Path) -> bool:
    """Return whether a cell is trained and judged; it need not be run again.

    Its folder is only read, also while a process is at work in it.

    Raises
    ------
    InputError
        When its folder belongs to something else.
    DataError
        When one of its files is damaged.
    """
    path = root / cell.name
    if not (path / MANIFEST).exists():
        return False
    found = Results(path, cell.configuration.as_json())
    return found.has(TRAINING) and (cell.setting is None or found.has(MEASURED))


def finish(
    cell: Cell,
    root: Path,
    report: Callable[[Progress], None],
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Train and judge a cell, in this process, as far as that is not done.

    Parameters
    ----------
    cell
        The cell.
    root
        Its run folder is below it.
    report
        Told how far training is.
    stop
        Asked after every update; when it says so, the update is saved.

    Raises
    ------
    InputError
        When its folder cannot be written, or another process is at work in it.
    DataError
        When a finished file is damaged.
    KeyboardInterrupt
        When stopped.
    """
    configuration = cell.configuration
    train = partial(train_here, stop=stop)
    with open_run(configuration, root) as run:
        network = trained(configuration, run, report, train=train)
        if cell.setting is not None and not run.has(MEASURED):
            run.forget(MEASURED)
            measured = measure(
                configuration, network, SETTINGS[cell.setting].one_trial
            ).assign_attrs(provenance_attributes(configuration))
            save_dataset(measured, run / MEASURED)
            run.enter(MEASURED)


def networks(cell: Cell, root: Path) -> Network:
    """Return the trained networks of a finished cell; its folder is only read.

    Raises
    ------
    InputError
        When it is not finished.
    DataError
        When one of its files is damaged.
    """
    return load_networks(cell.configuration, _results(cell, root, TRAINING))


def measured(cell: Cell, root: Path) -> xr.Dataset:
    """Return what a finished cell shows, with the course of its training.

    Its folder is only read.

    Returns
    -------
    xarray.Dataset
        Of :func:`pfc_metarl.emergence.criterion.measure`, and (seed,)
        ``competent_at``, updates until it was first competent (-1: never), and
        ``diverged_at``. Where training diverged, nothing has emerged.

    Raises
    ------
    InputError
        When it is not finished.
    DataError
        When one of its files is damaged.
    """
    found = _results(cell, root, TRAINING, MEASURED)
    result = xr.load_dataset(found / MEASURED, engine="h5netcdf")
    names = (IDEAL, str(result.attrs["one_trial"]))
    task, n_episodes = cell.configuration.tested_on, int(result.attrs["n_episodes"])
    # Judged when it is read: the criterion may have changed since it was measured.
    result = judged(result, levels(task, n_episodes, names), Criterion())
    training = xr.load_dataset(found / TRAINING, engine="h5netcdf")
    result = result.assign(training[["competent_at", "diverged_at"]])
    return result.assign(emerged=result.emerged & (result.diverged_at < 0))


def _results(cell: Cell, root: Path, *needed: str) -> Results:
    found = Results(root / cell.name, cell.configuration.as_json())
    if not found.has(*needed):
        raise InputError(f"{found.path}: not finished; run it first")
    return found
