"""The sections of the report: the card, the criterion, and one for each experiment."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from inspect import cleandoc

from pfc_metarl.emergence.criterion import LATE_SHARE, Criterion
from pfc_metarl.emergence.experiment import Claim, Experiment
from pfc_metarl.paper.emergence.blocks import (
    Block,
    Heading,
    Link,
    Listing,
    Paragraph,
    Picture,
    Strong,
    Table,
    Tag,
    Text,
)
from pfc_metarl.paper.emergence.figures import CAPTIONS
from pfc_metarl.paper.emergence.guesses import CRITERION, GUESSES
from pfc_metarl.paper.emergence.outcome import Outcome
from pfc_metarl.paper.emergence.tables import by_seed, changed_by_condition, scale

THEORY = (
    "A system that has a memory, and whose weights are trained by a reinforcement "
    "learning algorithm on a sequence of related tasks, comes to run a second "
    "reinforcement learning algorithm in its own activity: that is the claim of Wang "
    "et al. 2018. With its weights frozen it then learns every new task from its last "
    "actions and rewards alone."
)

EMERGED = "emergence"
"""Anchor of the criterion."""


def card(outcomes: Sequence[Outcome]) -> Iterator[Block]:
    """Yield the emergence card: every claim, what was measured, and the verdict."""
    yield Heading(2, "The emergence card", "card")
    yield Paragraph(_counts(outcomes))
    rows: list[tuple[Text, ...]] = []
    for of in outcomes:
        name = ((Link(of.experiment.name, of.experiment.name)),)
        if of.lacks:
            tag = (Tag("not finished", "not finished"),)
            rows.append((name, of.experiment.title, of.lacks, "", tag, ""))
        rows += [(name, *_claim(claim)) for claim in of.claims]
    head = (
        "experiment",
        "claim",
        "statistic",
        "pass mark",
        "verdict",
        "on what, or why",
    )
    yield Table(
        "Intervals are of 95 %: Wilson's for shares of seeds, Student's t for means "
        "over seeds. AI: adaptation index, 0 at chance, 1 as good as the ideal "
        "observer.",
        head,
        tuple(rows),
        "card",
    )


def _claim(claim: Claim) -> tuple[Text, ...]:
    statistic = claim.statistic.replace("; ", ";\n")
    statistic = re.sub(r"\[(\S+), (\S+)\]", "[\\1,\N{NO-BREAK SPACE}\\2]", statistic)
    verdict = (Tag(claim.verdict, claim.verdict),)
    return claim.claim, statistic, claim.mark, verdict, claim.on


def _counts(outcomes: Sequence[Outcome]) -> str:
    found = Counter(claim.verdict for of in outcomes for claim in of.claims)
    lacking = [of.experiment.name for of in outcomes if of.lacks]
    unfinished = f" Not finished: {', '.join(lacking)}." if lacking else ""
    return (
        f"Claims: {found.total()}. Shown: {found['shown']}. Not shown: "
        f"{found['not shown']}. Depends on what the last column names: "
        f"{found['depends']}.{unfinished}"
    )


def what_emergence_is(outcomes: Sequence[Outcome]) -> Iterator[Block]:
    """Yield the adaptation index and the criterion, with the levels of the scale."""
    mark = Criterion()
    yield Heading(2, "What counts as emergence", EMERGED)
    yield Paragraph(
        "The adaptation index (AI) says how far P(correct), over all trials of the "
        "test episodes, has come from chance (0) to the ideal observer (1): "
        "AI = (P - chance) / (P of the ideal - chance). A learner has emerged in a "
        "network if, with its weights frozen,"
    )
    yield Listing(
        (
            f"its AI is above {mark.adapted:g}, and the lower end of its 95 % interval "
            "over episodes above the AI of a player that remembers one trial;",
            f"in the last {LATE_SHARE:.0%} of the trials it has come more than "
            f"{mark.late:g} of the way from chance to the ideal observer (both marks "
            "are half way from that player to the ideal, where that is more);",
            f"on the first trial it is within {mark.near_chance:g} of chance: nothing "
            "is known yet that only learning could tell;",
            f"and it is within {mark.near_chance:g} of chance again on the trial after "
            "its activity was put back into the initial state, in the middle of the "
            "episode: what was learned is in the activity.",
        )
    )
    yield Paragraph(((Strong("Guess: ")), CRITERION))
    for of in outcomes:
        if of.results is not None and "one_trial_index" in of.results:
            yield scale(of.results)
            return


def section(of: Outcome, picture: str | None) -> Iterator[Block]:
    """Yield all about one experiment.

    Parameters
    ----------
    of
        What became of it.
    picture
        Name of the PNG file of its figure; None: there is none.
    """
    experiment = of.experiment
    name = experiment.name
    yield Heading(2, f"{name}. {experiment.title}", name)
    yield from (Paragraph(text) for text in described(experiment))
    if of.lacks:
        yield Paragraph((Strong(of.lacks),))
    if of.results is None:
        return
    if picture is None:
        yield Paragraph("No figure is drawn of this experiment.")
    else:
        told = f"Figure of {name}, {experiment.title}; the caption says what is seen."
        caption = CAPTIONS[name](of.results)
        first: Text = (Strong(f"Figure {name}. "), caption[0])
        yield Picture(picture, told, (first, *caption[1:]))
    yield Heading(3, "Criterion")
    if "emerged" in of.results:
        where = Link("What counts as emergence", EMERGED)
        yield Paragraph(("Emerged: as defined under ", where, "."))
    yield Paragraph("The claims pass if:")
    yield Listing(tuple(_marks(of.claims)))
    yield Heading(3, "Every seed")
    yield from by_seed(of.results)
    yield from changed_by_condition(experiment, of.plan)
    if name in GUESSES:
        yield Heading(3, "Guesses")
        yield Listing(tuple((Strong("guess: "), text) for text in GUESSES[name]))


def _marks(claims: Sequence[Claim]) -> Iterator[str]:
    """Yield every pass mark with the claims that it is for."""
    by_mark: dict[str, list[str]] = {}
    for claim in claims:
        by_mark.setdefault(claim.mark, []).append(claim.claim)
    for mark, of in by_mark.items():
        yield f"{mark} ({'; '.join(of)})."


def described(experiment: Experiment) -> list[str]:
    """Return what an experiment says of itself, without markup, in paragraphs."""
    text = cleandoc(type(experiment).__doc__ or "").split("\nParameters\n---")[0]
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?([^`]+)`", r"\1", text).replace("``", "")
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
