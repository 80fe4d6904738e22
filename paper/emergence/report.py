"""The report of the experiments: the emergence card, as Markdown and as a web page."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from matplotlib import pyplot as plt

from pfc_metarl.emergence.experiment import Experiment, Plan
from pfc_metarl.emergence.experiments import EXPERIMENTS
from pfc_metarl.files import write_text
from pfc_metarl.paper.emergence.blocks import Block, Heading, Paragraph
from pfc_metarl.paper.emergence.figures import FIGURES
from pfc_metarl.paper.emergence.markdown import document
from pfc_metarl.paper.emergence.outcome import Outcome, outcome, results_name
from pfc_metarl.paper.emergence.page import page
from pfc_metarl.paper.emergence.run_in_words import how_run, settings_and_sources
from pfc_metarl.paper.emergence.sections import (
    THEORY,
    card,
    section,
    what_emergence_is,
)
from pfc_metarl.paper.style import save_figure
from pfc_metarl.run_folder import RunFolder
from pfc_metarl.version import __version__

MARKDOWN, HTML = "report.md", "report.html"


def make(
    experiments: Sequence[Experiment],
    plan: Plan,
    root: Path,
    *,
    command: str | None = None,
    seconds: float | None = None,
    again: bool = False,
) -> Path:
    """Analyse experiments, draw their figures and write the report.

    Nothing is trained. An experiment that lacks cells is reported as not finished. What
    is there already is reused, unless a cell behind it was made again or this package
    has another version.

    Parameters
    ----------
    experiments
        What to report. Registered experiments whose results are in the folder already
        stay in the report, in the order of the card.
    plan
        What they were run with.
    root
        The cells are below ``root / "cells"``.
    command
        What was typed; None: the call of this function is told.
    seconds
        That training took, where it is known.
    again
        Compute and draw anew, even if it is there.

    Returns
    -------
    Path
        The folder: ``report.md``, ``report.html``, and for each experiment its results
        as netCDF and its figure as PDF and PNG.

    Raises
    ------
    InputError
        When the folder cannot be written, or another process is at work in it.
    """
    folder = root / folder_name(plan)
    with RunFolder(folder, _configuration(plan)) as run:
        every = _with_those_before(experiments, run)
        outcomes = [outcome(e, plan, run, root / "cells", again) for e in every]
        pictures = [_picture(of, run) for of in outcomes]
        blocks: list[Block] = [
            Heading(1, "Does a second learning algorithm emerge?"),
            Paragraph(THEORY),
            *how_run(plan, outcomes, command or _call(outcomes, plan, root), seconds),
            *card(outcomes),
            *what_emergence_is(outcomes),
        ]
        for of, picture in zip(outcomes, pictures, strict=True):
            blocks += section(of, picture)
        blocks += settings_and_sources(plan)
        run.forget(MARKDOWN, HTML)
        write_text(run / MARKDOWN, document(blocks))
        write_text(run / HTML, page(blocks, folder))
        run.enter(MARKDOWN, HTML)
    return folder


def _with_those_before(
    experiments: Sequence[Experiment], run: RunFolder
) -> list[Experiment]:
    """Return the experiments, and those that were reported in this folder before."""
    named = {of.name: of for of in experiments}
    before = {
        name: of
        for name, of in EXPERIMENTS.items()
        if name not in named and (run / results_name(of)).exists()
    }
    every = named | before
    order = [name for name in EXPERIMENTS if name in every]
    return [every[name] for name in (*order, *(n for n in every if n not in order))]


def folder_name(plan: Plan) -> str:
    """Return the name of a report's folder, a pure function of plan and version."""
    digest = hashlib.sha256(_configuration(plan).encode()).hexdigest()[:8]
    return f"emergence-{plan.seeds}seeds-{digest}"


def _configuration(plan: Plan) -> str:
    content = {"plan": asdict(plan), "pfc_metarl": __version__}
    return json.dumps(content, indent=1, sort_keys=True)


def _call(outcomes: Sequence[Outcome], plan: Plan, root: Path) -> str:
    """Return the call that makes this report, of cells that are finished."""
    names = [of.experiment.name for of in outcomes]
    return (
        "from pathlib import Path\n\n"
        "from pfc_metarl.emergence.experiment import Plan\n"
        "from pfc_metarl.emergence.experiments import experiment\n"
        "from pfc_metarl.paper.emergence.report import make\n\n"
        f"make([experiment(name) for name in {names}],\n"
        f"     {plan},\n"
        f"     Path({str(root)!r}))"
    )


def _picture(of: Outcome, run: RunFolder) -> str | None:
    """Draw the figure of an experiment, unless it is there; return its PNG's name."""
    name = of.experiment.name
    if of.results is None or name not in FIGURES:
        return None
    files = (f"{name}.pdf", f"{name}.png")
    if of.is_new or not run.has(*files):
        run.forget(*files)
        figure = FIGURES[name](of.results)
        save_figure(figure, run / name)
        plt.close(figure)
        run.enter(*files)
    return files[1]
