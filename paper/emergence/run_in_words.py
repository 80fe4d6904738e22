"""How the experiments were run: command, seeds, versions, every setting's source."""

import json
from collections.abc import Iterable, Iterator, Sequence

from pfc_metarl.configuration import Configuration
from pfc_metarl.emergence.experiment import Plan
from pfc_metarl.emergence.setting import SETTINGS
from pfc_metarl.paper.emergence.blocks import (
    Block,
    Code,
    Command,
    Heading,
    Link,
    Paragraph,
    Strong,
    Table,
    Text,
)
from pfc_metarl.paper.emergence.outcome import TRAINED_WITH, Outcome
from pfc_metarl.provenance import GUESS, Provenance, provenance
from pfc_metarl.simulation import versions

CHOSEN = "guess: chosen here by measurement for quick learning"
TESTED = "Wang et al. 2018, Fig. 1: the problems of the test"
PRECISE = "guess: a compromise of precision with speed"
SOURCES = "settings"
"""Anchor of the tables of settings."""


def how_run(
    plan: Plan, outcomes: Sequence[Outcome], command: str, seconds: float | None
) -> Iterator[Block]:
    """Yield command, seeds, tasks, time and versions.

    Parameters
    ----------
    plan
        Seeds, tasks and kernels.
    outcomes
        Of the experiments.
    command
        What to type, or to run, for this report.
    seconds
        That training took, where it is known.
    """
    yield Heading(2, "How it was run", "run")
    yield Command(command)
    text = (
        f"{_networks(plan, outcomes)} Seeds count from 0, the same in every condition; "
        f"kernels of the LSTM: {plan.kernels}. Episodes of the test, with the weights "
        f"frozen: {_episodes(plan, outcomes)}; they come from a stream of random "
        "numbers of their own, the same for all networks and players. Every seed is in "
        "the tables, those that failed or diverged, too."
    )
    if seconds is not None:
        text += f" Training took {seconds / 60:.1f} minutes."
    yield Paragraph(text)
    where = Link("Settings and where they come from", SOURCES)
    yield Paragraph((*_made_with(outcomes), " Every number: ", where, "."))


def _networks(plan: Plan, outcomes: Sequence[Outcome]) -> str:
    """Say how many networks there are per condition, by experiment."""
    by_number: dict[int, list[str]] = {}
    for of in outcomes:
        cells = of.experiment.cells(plan).values()
        for seeds in sorted({cell.configuration.seeds for cell in cells}):
            by_number.setdefault(seeds, []).append(of.experiment.name)
    return (
        "; ".join(
            f"{', '.join(names)}: {seeds} networks per condition"
            for seeds, names in by_number.items()
        )
        + "."
    )


def _episodes(plan: Plan, outcomes: Sequence[Outcome]) -> str:
    """Say how many test episodes judge the criterion, and where others are counted."""
    judged = {
        f"{cell.configuration.test_episodes} on {cell.setting}"
        for of in outcomes
        for cell in of.experiment.cells(plan).values()
        if cell.setting is not None
    }
    others = [
        of.experiment.name
        for of in outcomes
        if any(cell.setting is None for cell in of.experiment.cells(plan).values())
    ]
    text = ", ".join(sorted(judged))
    if others:
        own = f"{', '.join(others)} have numbers of their own, see there"
        text = f"{text} ({own})" if text else own
    return text


def _made_with(outcomes: Sequence[Outcome]) -> list[str]:
    trained: list[str] = []
    for of in outcomes:
        if of.results is not None:
            trained += map(_versions, json.loads(of.results.attrs[TRAINED_WITH]))
    different = list(dict.fromkeys(trained))
    by = f"Networks: {' and '.join(different)}. " if different else ""
    return [f"{by}Analysis, figures and this report: {_versions(versions())}."]


def _versions(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items())


def settings_and_sources(plan: Plan) -> Iterator[Block]:
    """Yield every setting of the intact system with its source, guesses marked."""
    yield Heading(2, "Settings and where they come from", SOURCES)
    yield Paragraph(
        (
            "Of the intact system; what the other conditions change is told with each "
            "experiment. A ",
            Strong(GUESS),
            " is a number that the literature does not give, or that was chosen here.",
        )
    )
    for name in plan.settings:
        configuration = SETTINGS[name].configuration(plan.seeds, plan.kernels)
        yield Table(
            f"Settings of {name}",
            ("setting", "of the", "value", "unit", "source"),
            tuple(_row(part, entry) for part, entry in _settings(configuration)),
            "settings",
        )


def _settings(configuration: Configuration) -> Iterator[tuple[str, Provenance]]:
    named = (
        ("task in training", configuration.task, CHOSEN),
        ("task in test", configuration.tested_on, TESTED),
        ("network", configuration.network, CHOSEN),
        ("slow learning", configuration.learning, CHOSEN),
        ("curriculum", configuration.curriculum, CHOSEN),
    )
    for part, settings, changed in named:
        if part != "task in test" or settings != configuration.task:
            yield from ((part, entry) for entry in provenance(settings, changed))
    yield from (("validation", entry) for entry in _validation(configuration))
    yield "test", Provenance("episodes", configuration.test_episodes, "1", PRECISE)


def _validation(configuration: Configuration) -> Iterable[Provenance]:
    when = configuration.stopping
    if when is None:
        return
    competent = "guess: as for emergence; above one trial's memory where that is more"
    yield Provenance("fraction", when.fraction, "of the way to the ideal", competent)
    yield Provenance("every", when.every, "updates", "guess: often enough to time it")
    yield Provenance("episodes", when.episodes, "1", PRECISE)


def _row(part: str, entry: Provenance) -> tuple[Text, ...]:
    source: Text = entry.source
    if entry.is_guess:
        source = (Strong(GUESS), entry.source.removeprefix(GUESS))
    return ((Code(entry.name),), part, (Code(str(entry.value)),), entry.unit, source)
