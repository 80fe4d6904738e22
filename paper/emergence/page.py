"""The report as a web page: one file, which needs no network and no program."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

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

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
$style</style>
</head>
<body>
<nav aria-label="Contents">
$contents
</nav>
<main>
$content
</main>
</body>
</html>
""")


def page(blocks: Sequence[Block], folder: Path) -> str:
    """Return blocks as HTML, the figures inside; no text of theirs is read as markup.

    Figures are PNG rather than SVG: sharp at their 300 dpi, smaller where every seed is
    drawn, and the same on machines that do not have the figures' fonts.

    Parameters
    ----------
    blocks
        In order, the first a heading of level 1.
    folder
        Where the figures are.
    """
    headings = [block for block in blocks if isinstance(block, Heading)]
    return PAGE.substitute(
        title=escape(headings[0].text),
        style=(files("pfc_metarl.paper.emergence") / "page.css").read_text("utf-8"),
        contents=_contents(headings),
        content="\n".join(_block(block, folder) for block in blocks),
    )


def _contents(headings: Sequence[Heading]) -> str:
    entries = [
        f'<li><a href="#{escape(of.anchor)}">{escape(of.text)}</a></li>'
        for of in headings
        if of.level == 2 and of.anchor
    ]
    return "<ul>\n" + "\n".join(entries) + "\n</ul>"


def _block(block: Block, folder: Path) -> str:
    match block:
        case Heading():
            anchor = f' id="{escape(block.anchor)}"' if block.anchor else ""
            return f"<h{block.level}{anchor}>{escape(block.text)}</h{block.level}>"
        case Paragraph():
            return f"<p>{_text(block.text)}</p>"
        case Listing():
            items = "\n".join(f"<li>{_text(item)}</li>" for item in block.items)
            return f"<ul>\n{items}\n</ul>"
        case Command():
            return f"<pre><code>{escape(block.text)}</code></pre>"
        case Table():
            return _table(block)
        case Picture():
            return _picture(block, folder)


def _table(table: Table) -> str:
    """Return a table that scrolls by itself on a narrow page, also by keyboard."""
    name = escape(table.name)
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in table.head)
    rows = "\n".join(_row(row) for row in table.rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{escape(table.caption)}">\n<table class="{name}">\n'
        f"<caption>{escape(table.caption)}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>"
    )


def _row(row: Sequence[Text]) -> str:
    first, *rest = row
    cells = "".join(f"<td>{_text(cell)}</td>" for cell in rest)
    return f'<tr><th scope="row">{_text(first)}</th>{cells}</tr>'


def _picture(picture: Picture, folder: Path) -> str:
    data = b64encode((folder / picture.file).read_bytes()).decode()
    caption = "\n".join(f"<p>{_text(part)}</p>" for part in picture.caption)
    return (
        f'<figure>\n<img src="data:image/png;base64,{data}" '
        f'alt="{escape(picture.alternative)}">\n'
        f"<figcaption>\n{caption}\n</figcaption>\n</figure>"
    )


def _text(text: Text) -> str:
    return "".join(map(_inline, parts(text)))


def _inline(part: Inline) -> str:
    words = escape(part if isinstance(part, str) else part.text)
    words = words.replace("\n", "<br>")
    match part:
        case str():
            return words
        case Strong():
            return f"<strong>{words}</strong>"
        case Code():
            return f"<code>{words}</code>"
        case Tag():
            return f'<span class="tag {part.kind.replace(" ", "-")}">{words}</span>'
        case Link():
            return f'<a href="#{escape(part.anchor)}">{words}</a>'
