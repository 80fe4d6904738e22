"""What a report is made of, whatever it is written as: headings, tables, pictures."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["shown", "not shown", "depends", "not finished"]


@dataclass(frozen=True)
class Strong:
    """Words that must not be overlooked, such as "guess"."""

    text: str


@dataclass(frozen=True)
class Code:
    """A name or a value as a program has it."""

    text: str


@dataclass(frozen=True)
class Tag:
    """A verdict in words, coloured by its kind where there is colour."""

    text: str
    kind: Kind


@dataclass(frozen=True)
class Link:
    """Words that lead to the heading with an anchor."""

    text: str
    anchor: str


Inline = str | Strong | Code | Tag | Link
Text = str | tuple[Inline, ...]
"""Plain words, or a sequence of parts; a line break is a line break."""


@dataclass(frozen=True)
class Heading:
    """Title of the report (level 1), of a section (2) or of a part of one (3)."""

    level: int
    text: str
    anchor: str = ""


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: Text


@dataclass(frozen=True)
class Listing:
    """Points, one below the other."""

    items: tuple[Text, ...]


@dataclass(frozen=True)
class Command:
    """What to type, to the letter."""

    text: str


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row names it.

    Parameters
    ----------
    caption
        What it holds.
    head
        Titles of the columns.
    rows
        As many cells each as there are titles.
    name
        How it is laid out on the page, where that matters, such as "card".
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    name: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure in the report's folder, with what is seen in it.

    Parameters
    ----------
    file
        Name of the PNG file.
    alternative
        For readers who do not see it.
    caption
        Paragraphs.
    """

    file: str
    alternative: str
    caption: tuple[Text, ...]


Block = Heading | Paragraph | Listing | Command | Table | Picture


def parts(text: Text) -> tuple[Inline, ...]:
    """Return a text as a sequence of parts."""
    return (text,) if isinstance(text, str) else text
