"""The report as Markdown."""

import re
from collections.abc import Sequence

from pfc_metarl.paper.emergence.blocks import (
    Block,
    Code,
    Command,
    Heading,
    Inline,
    Link,
    Listing,
    Paragraph,
    Picture,
    Strong,
    Table,
    Tag,
    Text,
    parts,
)
from pfc_metarl.paper.markdown import markdown_table

_SPECIAL = re.compile(r"([\\`*_<&|~]|\](?=\(|\[|:))")
_BEGINS_A_BLOCK = re.compile(r"^(\s*\d*)(#|>|[-+](?=\s)|(?<=\d)[.)](?=\s))", re.M)


def document(blocks: Sequence[Block]) -> str:
    """Return blocks as Markdown; no text of theirs is read as markup.

    Parameters
    ----------
    blocks
        In order.
    """
    return "\n\n".join(map(_block, blocks)) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {escaped(block.text)}"
        case Paragraph():
            return _BEGINS_A_BLOCK.sub(r"\1\\\2", _text(block.text))
        case Listing():
            return "\n".join(f"- {_cell(item)}" for item in block.items)
        case Command():
            fence = "`" * max(3, 1 + _longest_run(block.text))
            return f"{fence}\n{block.text}\n{fence}"
        case Table():
            rows = [[_cell(cell, in_table=True) for cell in row] for row in block.rows]
            head = [_cell(title) for title in block.head]
            return f"{escaped(block.caption)}\n\n{markdown_table(head, rows)}"
        case Picture():
            words = re.sub(r"(?<!\\)([\[\]])", r"\\\1", escaped(block.alternative))
            image = f"![{words}]({block.file})"
            return "\n\n".join([image, *map(_text, block.caption)])


def _cell(text: Text, in_table: bool = False) -> str:
    """Return a text on one line; in a table its separator is escaped even in code."""
    return _text(text, in_table).replace("\n", "<br>")


def _text(text: Text, in_table: bool = False) -> str:
    return "".join(_inline(part, in_table) for part in parts(text))


def _inline(part: Inline, in_table: bool) -> str:
    match part:
        case str():
            return escaped(part)
        case Strong() | Tag():
            return _strong(part.text)
        case Code():
            ticks = "`" * (1 + _longest_run(part.text))
            gap = " " if "`" in part.text else ""
            code = f"{ticks}{gap}{part.text}{gap}{ticks}"
            return code.replace("|", r"\|") if in_table else code
        case Link():
            return escaped(part.text)


def _strong(text: str) -> str:
    """Set words in bold type, the space around them not: that would undo it."""
    words = text.strip()
    before, after = text.split(words, 1) if words else ("", text)
    return f"{before}**{escaped(words)}**{after}" if words else text


def escaped(text: str) -> str:
    """Return a text of which Markdown reads nothing as markup."""
    return _SPECIAL.sub(r"\\\1", text)


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
