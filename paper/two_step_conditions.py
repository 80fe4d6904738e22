"""What it takes to meta-learn the two-step task: figure, verdicts, report."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from pfc_metarl.configuration import Configuration
from pfc_metarl.emergence.conditions import (
    INTACT,
    NO_MEMORY,
    NO_REWARD,
    RESET,
    UNTRAINED,
    conditions,
)
from pfc_metarl.files import write_text
from pfc_metarl.netcdf import save_dataset
from pfc_metarl.paper.markdown import markdown_table
from pfc_metarl.paper.style import (
    BLUE,
    FULL_WIDTH,
    GREEN,
    GREY,
    MM,
    ORANGE,
    PURPLE,
    VERMILLION,
    each_and_mean,
    letter,
    save_figure,
    use_style,
)
from pfc_metarl.paper.two_step_statistics import reward_levels, two_step_task
from pfc_metarl.progress import Display
from pfc_metarl.run_folder import RunFolder
from pfc_metarl.simulation import provenance_attributes
from pfc_metarl.tasks.two_step import TwoStep
from pfc_metarl.training import Progress
from pfc_metarl.version import __version__

STATISTICS = "statistics.nc"
RESULTS = (STATISTICS, "figure.pdf", "figure.png", "report.md")
COLOURS = {
    INTACT: BLUE,
    RESET: VERMILLION,
    NO_MEMORY: ORANGE,
    NO_REWARD: PURPLE,
    UNTRAINED: GREEN,
}
LEVELS = {"ideal_observer": "--", "last_trial_observer": ":", "random": "-."}
TOLERANCE = 0.02  # reward per trial, of all the marks below


def reproduce(
    configuration: Configuration,
    root: Path,
    data_folder: Path | None = None,
    say: Callable[[str], None] = print,
    again: bool = False,
    tensorboard: bool = False,
) -> Path:
    """Remove the conditions one at a time; make figure, numbers and report.

    Parameters
    ----------
    configuration
        The intact one.
    root
        Run folders are made below it; trained networks are reused.
    data_folder
        Not used: no animals are shown.
    say
        Takes a line about each stage.
    again
        Compute and draw anew, even if it is there; trained networks are kept.
    tensorboard
        Log training for TensorBoard as well.

    Returns
    -------
    Path
        The folder of the results.
    """
    task = two_step_task(configuration)

    @contextmanager
    def show(variant: Configuration) -> Iterator[Callable[[Progress], None]]:
        say(f"training: {variant.network}")
        with Display(variant) as display:
            yield display.report

    folder = root / f"conditions-{configuration.folder_name()}"
    with RunFolder(folder, configuration.as_json()) as run:
        if again or run.made_by(STATISTICS) != __version__:
            run.forget(*RESULTS)
        if not run.has(*RESULTS):
            curves = conditions(configuration, root, show, tensorboard)
            attrs = provenance_attributes(configuration) | reward_levels(task)
            curves = curves.assign_attrs(attrs)
            save_dataset(curves, run / STATISTICS)
            figure = draw(curves, task)
            save_figure(figure, run / "figure")
            plt.close(figure)
            write_text(run / "report.md", report(curves))
            run.enter(*RESULTS)
    return folder


def expected_reward(curves: xr.Dataset, task: TwoStep) -> xr.DataArray:
    """Return what choices earn on average, free of the chance of outcomes.

    P(good choice) (c p + (1 - c) q) + P(bad choice) (c q + (1 - c) p), with c the
    probability of the common transition and p, q the states' rewards.
    """
    high, low = max(task.blocks[0]), min(task.blocks[0])
    good = task.p_common * high + (1 - task.p_common) * low
    bad = task.p_common * low + (1 - task.p_common) * high
    p_correct: xr.DataArray = curves.p_correct
    return p_correct * good + (1 - p_correct) * bad


def draw(curves: xr.Dataset, task: TwoStep) -> Figure:
    """Draw reward by condition and, within an episode, by trial.

    Parameters
    ----------
    curves
        From :func:`pfc_metarl.emergence.conditions.conditions`, with the levels of
        reward in the attributes.
    task
        Gives what a good and a bad choice are worth.
    """
    use_style()
    figure = plt.figure(figsize=(FULL_WIDTH, 65 * MM), layout="constrained")
    by_condition, by_trial = figure.subplots(1, 2, width_ratios=[1, 1.2])
    letter(by_condition, "a")
    letter(by_trial, "b")
    reward = curves.mean_reward.mean("trial_in_session")
    for position, (name, colour) in enumerate(COLOURS.items()):
        values = reward.sel(condition=name).values
        chance = curves.attrs["random"]
        height = values.mean() - chance
        by_condition.bar(position, height, bottom=chance, color=colour, alpha=0.35)
        spread = position + np.linspace(-0.25, 0.25, len(values) + 2)[1:-1]
        by_condition.plot(spread, values, "o", ms=2.5, mew=0, color=colour)
        curve = expected_reward(curves, task).sel(condition=name, drop=True)
        curve["trial_in_session"] = curve.trial_in_session + 1
        each_and_mean(by_trial, curve, "trial_in_session", colour=colour, label=name)
    ticks = [name.replace(" ", "\n") for name in COLOURS]
    by_condition.set_xticks(range(len(COLOURS)), ticks)
    for axes in (by_condition, by_trial):
        axes.set(ylim=(0.46, 0.76))
        for level in LEVELS:
            axes.axhline(curves.attrs[level], color=GREY, ls=LEVELS[level], lw=0.8)
    for level in LEVELS:
        text = f"{level.replace('_', ' ')} {curves.attrs[level]:.3f}"
        above = -0.016 if level == "random" else 0.003
        place = (len(COLOURS) - 0.5, curves.attrs[level] + above)
        by_condition.text(*place, text, color=GREY, size=5.5, ha="right")
    by_condition.set_ylabel("Reward per trial, frozen weights")
    by_trial.set(xlabel="Trial of the episode", xscale="log")
    by_trial.set_ylabel("Expected reward of the choices")
    by_trial.set_xticks(trials := [1, 2, 5, 10, 20, 50, 100], map(str, trials))
    by_trial.minorticks_off()
    by_trial.legend(loc="center right", bbox_to_anchor=(1, 0.48))
    return figure


def verdicts(curves: xr.Dataset) -> list[tuple[str, float, float, float, str, bool]]:
    """Compare every condition with its mark.

    Returns
    -------
    list of tuple
        Condition, mean reward, lowest and highest seed, the mark in words, and whether
        every seed is within it.
    """
    reward = curves.mean_reward.mean("trial_in_session")
    chance = curves.attrs["random"]
    one_trial = curves.attrs["last_trial_observer"] + TOLERANCE
    at_chance = f"{chance:.3f} ± {TOLERANCE}"
    rows = []
    for name in COLOURS:
        values = reward.sel(condition=name).values
        if name in (UNTRAINED, NO_REWARD):
            mark, kept = at_chance, (abs(values - chance) <= TOLERANCE).all()
        elif name == INTACT:
            mark, kept = "above 0.690", (values >= 0.69).all()
        else:
            mark, kept = f"at most {one_trial:.3f}", (values <= one_trial).all()
        low, high = values.min(), values.max()
        rows.append((name, values.mean(), low, high, mark, bool(kept)))
    return rows


def report(curves: xr.Dataset) -> str:
    """Write the report in Markdown: every condition, its mark and the verdict."""
    rows = [
        (name, f"{mean:.4f}", f"{low:.4f}-{high:.4f}", mark, "yes" if kept else "NO")
        for name, mean, low, high, mark, kept in verdicts(curves)
    ]
    head = ("condition", "reward per trial", "seeds", "mark", "all seeds within")
    within = []
    for name in COLOURS:
        one = curves.sel(condition=name).mean("subject")
        parts = [one.isel(trial_in_session=part) for part in (0, slice(-20, None))]
        rewards = [f"{part.mean_reward.mean():.3f}" for part in parts]
        within.append((name, *rewards, *(f"{p.p_correct.mean():.3f}" for p in parts)))
    text = (
        f"{curves.attrs['source']}. Frozen weights, the same test episodes for all "
        "seeds and conditions. Of the theory's three conditions, memory and training "
        "are removed here, and the reward input, without which there is nothing to "
        "learn from; the third, a sequence of related tasks, is left as it is. An "
        "observer that remembers one trial earns "
        f"{curves.attrs['last_trial_observer']:.4f}, the ideal observer "
        f"{curves.attrs['ideal_observer']:.4f}. That mark is generous: at the choice, "
        "a network without memory sees its last reward and its last response, which "
        "was given at the second-step state and not the choice. It could answer there "
        "with a note to itself, and so remember a trial: on easier versions of the "
        "task it does, here it is measured."
    )
    head_within = ("condition", "first trial", "last 20", "P(good) first", "last 20")
    parts_of_report = [
        "# The two-step task with conditions removed one at a time",
        "![the figure](figure.png)",
        text,
        markdown_table(head, rows),
        "Learning within an episode, reward and probability of the good choice:",
        markdown_table(head_within, within),
    ]
    return "\n\n".join(parts_of_report) + "\n"
