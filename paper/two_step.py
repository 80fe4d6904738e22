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
from pfc_metarl.files import write_text
from pfc_metarl.netcdf import read_tree, save_tree
from pfc_metarl.paper.style import save_figure
from pfc_metarl.paper.two_step_figure import draw
from pfc_metarl.paper.two_step_report import report
from pfc_metarl.paper.two_step_statistics import statistics, two_step_task
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
from pfc_metarl.version import __version__

RATS = "rat_twostep_miller2022"
STATISTICS = "statistics.nc"
RESULTS = ("figure.pdf", "figure.png", "report.md")


def reproduce(
    configuration: Configuration,
    root: Path,
    data_folder: Path | None = None,
    say: Callable[[str], None] = print,
    again: bool = False,
    tensorboard: bool = False,
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
    again
        Compute the statistics and draw anew, even if they are there.
    tensorboard
        Log training for TensorBoard as well.

    Returns
    -------
    Path
        The run's folder.

    Raises
    ------
    InputError
        When something given cannot be used; its message says what to do.
    """
    task = two_step_task(configuration)
    rats, rats_note = _rats(data_folder)
    say(f"animals: {rats_note}")
    with open_run(configuration, root) as run:
        began = time.monotonic()
        with Display(configuration) as display:
            network = trained(configuration, run, display.report, tensorboard)
        say(f"networks: ready after {time.monotonic() - began:.1f} s")
        observed(configuration, run, network)
        if again or _outdated(run, with_rats=rats is not None):
            run.forget(STATISTICS, *RESULTS)
        if run.has(STATISTICS, *RESULTS):
            say("figure and report: found finished (--again makes them anew)")
        else:
            who = "networks" if rats is None else "networks and rats"
            say(f"statistics: analysing and fitting {who}, under a minute")
            _present(configuration, task, run, rats, rats_note)
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


def _outdated(run: RunFolder, with_rats: bool) -> bool:
    """Whether finished results lack rats that are there now, or are of old code."""
    if not run.has(STATISTICS):
        return False
    with xr.open_datatree(run / STATISTICS, engine="h5netcdf") as tree:
        lacks_rats = with_rats and "rats" not in tree.children
    return lacks_rats or run.made_by(STATISTICS) != __version__


def _present(
    configuration: Configuration,
    task: TwoStep,
    run: RunFolder,
    rats: xr.Dataset | None,
    rats_note: str,
) -> None:
    """Compute the numbers, draw the figure, write the report."""
    steps = read_tree(run / RECORDING)["/steps"].to_dataset()
    training = xr.load_dataset(run / TRAINING, engine="h5netcdf")
    agents = load(run / BEHAVIOUR)
    tree = statistics(configuration, agents, steps, training, rats)
    save_tree(tree, run / STATISTICS)
    figure = draw(tree, task)
    save_figure(figure, run / "figure")
    plt.close(figure)
    write_text(run / "report.md", report(configuration, tree, agents.attrs, rats_note))
    run.enter(STATISTICS, *RESULTS)
