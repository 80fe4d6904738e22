"""Wang et al. 2018, simulation 4: what to train, compute and draw.

A network learns the two-step task by dopamine, is frozen, and stands beside rats.
"""

import time
from collections.abc import Callable
from pathlib import Path

import xarray as xr
from matplotlib import pyplot as plt

from pfc_metarl import data
from pfc_metarl.configuration import Configuration
from pfc_metarl.data import DataMissing
from pfc_metarl.files import save_tree, write_text
from pfc_metarl.paper.style import save_figure
from pfc_metarl.paper.two_step_figure import draw
from pfc_metarl.paper.two_step_report import report
from pfc_metarl.paper.two_step_statistics import statistics
from pfc_metarl.progress import Display
from pfc_metarl.run_folder import RunFolder
from pfc_metarl.simulation import (
    BEHAVIOUR,
    RECORDING,
    TRAINING,
    observed,
    open_run,
    trained,
)
from pfc_metarl.tasks.two_step import TwoStep
from pfc_metarl.trial_files import load

RATS = "rat_twostep_miller2022"
STATISTICS = "statistics.nc"
RESULTS = ("figure.pdf", "figure.png", "report.md")


def reproduce(
    configuration: Configuration,
    root: Path,
    data_folder: Path | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """Make the two-step figure, its numbers and its report.

    What is finished is reused; a run that was stopped goes on.

    Parameters
    ----------
    configuration
        What to train, on a two-step task.
    root
        The run's folder is made below it.
    data_folder
        Folder of the original animal data; see :func:`pfc_metarl.data.load`.
    say
        Takes a line about each stage.

    Returns
    -------
    Path
        The run's folder.

    Raises
    ------
    InputError
        When something given cannot be used; its message says what to do.
    """
    rats, rats_note = _rats(data_folder)
    say(f"animals: {rats_note}")
    with open_run(configuration, root) as run:
        began = time.monotonic()
        with Display(configuration) as display:
            network = trained(configuration, run, display.report)
        say(f"training: ready after {time.monotonic() - began:.1f} s")
        observed(configuration, run, network)
        tree = _statistics(configuration, run, rats)
        if not run.has(*RESULTS):
            _present(configuration, run, tree, rats_note)
        say(f"figure and report: ready after {time.monotonic() - began:.1f} s")
    return run.path


def _rats(folder: Path | None) -> tuple[xr.Dataset | None, str]:
    """Load the rats, or say why there are none."""
    try:
        rats = data.load(RATS, folder)
    except DataMissing as missing:
        return None, f"none, {missing}"
    n = {dim: rats.sizes[dim] for dim in ("subjects", "sessions", "trial")}
    return rats, (
        f"{n['subjects']} rats, {n['sessions']} sessions, {n['trial']} trials "
        f"({rats.attrs['citation']})"
    )


def _statistics(
    configuration: Configuration, run: RunFolder, rats: xr.Dataset | None
) -> xr.DataTree:
    """Compute the numbers, unless they are there and of the same animals."""
    if run.has(STATISTICS):
        tree = xr.load_datatree(run / STATISTICS, engine="h5netcdf")
        if ("rats" in tree.children) == (rats is not None):
            return tree
    steps = xr.load_datatree(run / RECORDING, engine="h5netcdf")["/steps"].to_dataset()
    training = xr.load_dataset(run / TRAINING, engine="h5netcdf")
    agents = load(run / BEHAVIOUR)
    tree = statistics(configuration, agents, steps, training, rats)
    run.forget(*RESULTS)
    save_tree(tree, run / STATISTICS)
    run.enter(STATISTICS)
    return tree


def _present(
    configuration: Configuration, run: RunFolder, tree: xr.DataTree, rats_note: str
) -> None:
    task = configuration.task
    assert isinstance(task, TwoStep)
    figure = draw(tree, task)
    save_figure(figure, run / "figure")
    plt.close(figure)
    write_text(run / "report.md", report(configuration, tree, run.path, rats_note))
    run.enter(*RESULTS)
