"""The emergence card is made of what was measured, and of nothing else."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
import xarray as xr
from made_up_results import NAMES, results
from markdown_it import MarkdownIt
from matplotlib import pyplot as plt

from pfc_metarl.emergence import setting as settings
from pfc_metarl.emergence.cell import Cell, finish
from pfc_metarl.emergence.experiment import Claim, Experiment, Plan, Runs
from pfc_metarl.emergence.experiments import EXPERIMENTS
from pfc_metarl.emergence.setting import SETTINGS, Setting
from pfc_metarl.emergence.sweep import note_of
from pfc_metarl.errors import InputError
from pfc_metarl.paper.emergence import outcome as outcomes
from pfc_metarl.paper.emergence.blocks import (
    Block,
    Code,
    Command,
    Heading,
    Link,
    Listing,
    Paragraph,
    Picture,
    Strong,
    Table,
    Tag,
)
from pfc_metarl.paper.emergence.figures import FIGURES
from pfc_metarl.paper.emergence.guesses import GUESSES
from pfc_metarl.paper.emergence.markdown import document
from pfc_metarl.paper.emergence.outcome import Outcome
from pfc_metarl.paper.emergence.page import page
from pfc_metarl.paper.emergence.report import folder_name, make
from pfc_metarl.paper.emergence.run_in_words import settings_and_sources
from pfc_metarl.paper.emergence.sections import card, described, section
from pfc_metarl.paper.emergence.tables import by_seed, differences, scale
from pfc_metarl.run_folder import MANIFEST
from pfc_metarl.tasks.bandit import Bandit, medium_bandit
from pfc_metarl.training import Progress

HOSTILE = "<script>alert(1)</script> & \"'*_`|[a](b)~\\ # not | a `cell`"
PLAN = Plan(seeds=1, settings=("bandit",))
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, and words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)
        assert not self.open, "an element is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words += data

    def having(self, attribute: str) -> list[str]:
        return [str(of[attribute]) for _, of in self.elements if attribute in of]

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [of for name, of in self.elements if name == tag]


def silent(progress: Progress) -> None:
    """Report to nobody."""


def small() -> Setting:
    """The bandit's setting, small enough to train in no time."""
    whole = SETTINGS["bandit"]
    return replace(
        whole,
        task=Bandit(trials=12),
        test_task=replace(medium_bandit(), trials=12),
        learning=replace(whole.learning, updates=2, batch=3),
        units=4,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cell of E1, which others share."""
    root, before = tmp_path_factory.mktemp("cells"), torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(settings.SETTINGS, "bandit", small())
        (cell,) = EXPERIMENTS["E1"].cells(PLAN).values()
        finish(cell, root, silent)
    torch.set_num_threads(before)
    return root


@pytest.fixture
def finished(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cell:
    """The finished cell of E1, below ``tmp_path / "cells"``."""
    monkeypatch.setitem(settings.SETTINGS, "bandit", small())
    shutil.copytree(trained, tmp_path / "cells")
    (cell,) = EXPERIMENTS["E1"].cells(PLAN).values()
    return cell


@pytest.fixture
def analysed(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each experiment is analysed."""
    counted: Counter[str] = Counter()

    def counting(of: Experiment) -> Callable[[Plan, Runs], xr.Dataset]:
        whole = of.analyse

        def analyse(plan: Plan, runs: Runs) -> xr.Dataset:
            found = whole(plan, runs)
            counted[of.name] += 1
            return found

        return analyse

    for of in EXPERIMENTS.values():
        monkeypatch.setattr(of, "analyse", counting(of))
    return counted


def hostile_blocks() -> list[Block]:
    return [
        Heading(1, f"T {HOSTILE}", "top"),
        Heading(2, f"H {HOSTILE}", 'a"b<'),
        Paragraph((f"P {HOSTILE}", Strong(f" {HOSTILE} "), Code(HOSTILE))),
        Paragraph("# no heading\n1. no list\n- no list\n> no quotation"),
        Listing((f"L {HOSTILE}", (Link(HOSTILE, 'a"b<'),))),
        Command(f"```\n{HOSTILE}"),
        Table(
            f"C {HOSTILE}",
            ("first", HOSTILE),
            (
                (f"R {HOSTILE}", (Tag("not shown", "not shown"), Code(HOSTILE))),
                ("two\nlines", ""),
            ),
            'x"y',
        ),
        Picture("f.png", f"A {HOSTILE}", (f"F {HOSTILE}",)),
    ]


def test_no_text_is_read_as_html(tmp_path: Path) -> None:
    (tmp_path / "f.png").write_bytes(b"\x89PNG")
    found = Page(page(hostile_blocks(), tmp_path))
    tags = Counter(tag for tag, _ in found.elements)
    assert "script" not in tags
    assert tags["table"] == tags["figure"] == tags["img"] == 1
    assert found.words.count(HOSTILE) == 15
    assert f"A {HOSTILE}" in found.having("alt")
    assert found.having("id") == ["top", 'a"b<']


def test_no_text_is_read_as_markdown() -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(document(hostile_blocks()))
    kinds = Counter(token.type for token in tokens)
    assert kinds["heading_open"] == 2
    assert kinds["bullet_list_open"] == kinds["table_open"] == kinds["fence"] == 1
    assert kinds["tr_open"] == 3
    assert not kinds["html_block"] + kinds["ordered_list_open"]
    assert not kinds["blockquote_open"]
    parts = [part for token in tokens for part in token.children or []]
    assert {part.type for part in parts} <= {
        "text",
        "text_special",
        "softbreak",
        "strong_open",
        "strong_close",
        "code_inline",
        "image",
        "html_inline",
    }
    inline_html = {part.content for part in parts if part.type == "html_inline"}
    assert inline_html == {"<br>"}
    codes = {part.content for part in parts if part.type == "code_inline"}
    assert codes == {HOSTILE}
    words = "".join(part.content for part in parts if part.type.startswith("text"))
    assert words.count(HOSTILE) == 10


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    (tmp_path / "f.png").write_bytes(b"\x89PNG")
    text = page(hostile_blocks(), tmp_path)
    found = Page(text)
    assert all(
        source.startswith("data:image/png;base64,") for source in found.having("src")
    )
    targets = {f"#{anchor}" for anchor in found.having("id")}
    assert set(found.having("href")) <= targets
    style = text.split("<style>")[1].split("</style>")[0]
    assert not re.search(r"url\(|@import|http", style)
    assert not [of for of in found.elements if of[0] in ("script", "link", "iframe")]


def test_the_page_can_be_read_without_seeing_it(tmp_path: Path) -> None:
    (tmp_path / "f.png").write_bytes(b"\x89PNG")
    found = Page(page(hostile_blocks(), tmp_path))
    assert found.named("html")[0]["lang"] == "en"
    assert [of.get("scope") for of in found.named("th")] == ["col", "col", "row", "row"]
    assert len(found.named("caption")) == len(found.named("table"))
    assert all(of.get("alt") for of in found.named("img"))
    assert "not shown" in found.words


def test_a_folder_is_named_by_plan_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder_name(Plan(seeds=4)) == folder_name(Plan(seeds=4))
    names = {folder_name(Plan(seeds=4, kernels=k)) for k in ("torch", "compiled")}
    assert len(names) == 2
    assert all(name.startswith("emergence-4seeds-") for name in names)
    monkeypatch.setattr("pfc_metarl.paper.emergence.report.__version__", "9.9.9")
    assert folder_name(Plan(seeds=4)) not in names


def test_a_report_is_made_of_finished_cells_and_says_what_is_missing(
    finished: Cell, tmp_path: Path
) -> None:
    chosen = [EXPERIMENTS[name] for name in ("E2", "E1")]
    e2 = chosen[0].cells(PLAN)
    note = note_of(e2["bandit", "no memory"], tmp_path / "cells")
    note.write_text("RuntimeError: no <memory> | left\nmore\n")
    folder = make(chosen, PLAN, tmp_path, seconds=90)
    assert folder == tmp_path / folder_name(PLAN)
    manifest = json.loads((folder / MANIFEST).read_text())
    made = {"E1.nc", "E1.pdf", "E1.png", "report.md", "report.html"}
    assert set(manifest["files"]) == made
    markdown = (folder / "report.md").read_text()
    found = Page((folder / "report.html").read_text())
    told = f"not finished: {len(e2) - 2} of {len(e2)} cells missing: bandit: reset"
    failed = "1 failed: bandit: no memory (RuntimeError: no <memory> | left)"
    for text in (markdown, found.words):
        assert told in text
        assert text.index("E1. A second") < text.index("E2. Memory is necessary")
        assert "Not finished: E2." in text
        assert "Training took 1.5 minutes" in text
    assert failed in found.words
    assert r"RuntimeError: no \<memory> \| left" in markdown
    assert len(found.named("img")) == 1
    (verdict,) = (row for row in markdown.splitlines() if row.startswith("| E1 |"))
    assert "**not shown**" in verdict


def test_only_what_is_stale_is_made_again(
    finished: Cell,
    tmp_path: Path,
    analysed: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FIGURES, "E1", lambda _: plt.figure(figsize=(1, 1)))
    chosen = [EXPERIMENTS["E1"]]
    folder = make(chosen, PLAN, tmp_path)
    figure = (folder / "E1.pdf").stat().st_mtime_ns
    text = (folder / "report.html").read_text()
    assert make(chosen, PLAN, tmp_path) == folder
    assert analysed["E1"] == 1
    assert (folder / "E1.pdf").stat().st_mtime_ns == figure
    assert (folder / "report.html").read_text() == text
    make(chosen, PLAN, tmp_path, again=True)
    assert analysed["E1"] == 2
    manifest = tmp_path / "cells" / finished.name / MANIFEST
    content = json.loads(manifest.read_text())  # as if the cell was made again
    content["files"]["another"] = content["files"]["training.nc"]
    manifest.write_text(json.dumps(content))
    make(chosen, PLAN, tmp_path)
    assert analysed["E1"] == 3
    assert (folder / "E1.pdf").stat().st_mtime_ns != figure
    monkeypatch.setattr(outcomes, "__version__", "9.9.9")
    make(chosen, PLAN, tmp_path)
    assert analysed["E1"] == 4


def test_a_cell_that_is_lost_is_missed_though_results_are_there(
    finished: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FIGURES, "E1", lambda _: plt.figure(figsize=(1, 1)))
    chosen = [EXPERIMENTS["E1"]]
    make(chosen, PLAN, tmp_path)
    shutil.rmtree(tmp_path / "cells" / finished.name)
    folder = make(chosen, PLAN, tmp_path)
    assert "1 of 1 cells missing: bandit: intact" in (folder / "report.md").read_text()


def test_an_analysis_that_fails_is_told_and_stops_nothing(
    finished: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(plan: Plan, runs: Runs) -> xr.Dataset:
        raise InputError("weights: damaged; move them away")

    monkeypatch.setattr(EXPERIMENTS["E1"], "analyse", fails)
    folder = make([EXPERIMENTS["E1"]], PLAN, tmp_path)
    text = (folder / "report.md").read_text()
    assert "not finished: weights: damaged; move them away" in text


def made_up(name: str, **how: object) -> Outcome:
    experiment, found = EXPERIMENTS[name], results(name, **how)  # type: ignore[arg-type]
    claims = tuple(experiment.claims(found))
    return Outcome(experiment, Plan(seeds=3), found, claims, "")


def test_the_card_holds_every_claim_with_its_verdict_in_words() -> None:
    of = [made_up(name) for name in ("E1", "E2", "E3", "E4", "E5", "E6", "2x2x2")]
    _, counts, table = card(of)
    assert isinstance(table, Table)
    assert isinstance(counts, Paragraph)
    claims = [claim for one in of for claim in one.claims]
    assert [row[1] for row in table.rows] == [claim.claim for claim in claims]
    tags = [part for row in table.rows for part in row[4] if isinstance(part, Tag)]
    assert [tag.text for tag in tags] == [claim.verdict for claim in claims]
    n_shown = sum(claim.verdict == "shown" for claim in claims)
    assert f"Claims: {len(claims)}. Shown: {n_shown}." in str(counts.text)


def test_an_experiment_may_have_results_and_lack_some_cells() -> None:
    whole = made_up("E1")
    _, _, table = card([replace(whole, lacks="not finished: 1 of 9 cells missing: x")])
    assert isinstance(table, Table)
    assert len(table.rows) == 1 + len(whole.claims)
    assert table.rows[0][4] == (Tag("not finished", "not finished"),)


@pytest.mark.parametrize("name", NAMES)
def test_a_section_tells_every_seed_criterion_and_guess(name: str) -> None:
    of = made_up(name, diverged=(1,))
    blocks = list(section(of, f"{name}.png"))
    (picture,) = (block for block in blocks if isinstance(block, Picture))
    assert picture.file == f"{name}.png"
    seeds = next(block for block in blocks if isinstance(block, Table))
    assert seeds.head == ("condition", "seed 0", "seed 1", "seed 2", "emerged")
    assert of.results is not None
    n_tested = int(of.results.emerged.notnull().all("seed").sum())
    assert len(seeds.rows) == n_tested
    assert sum("no number, diverged in update 7" in row for row in seeds.rows) >= 1
    text = document(blocks)
    assert all(claim.mark.split("[")[0] in text for claim in of.claims)
    assert text.count("**guess:**") == len(GUESSES[name]) > 0


def test_an_experiment_without_a_figure_says_so() -> None:
    text = document(list(section(made_up("E2"), None)))
    assert "No figure is drawn of this experiment." in text
    assert "![" not in text


def test_seeds_that_emerged_are_marked_in_words() -> None:
    (table,) = by_seed(results("E3", settings=("bandit",)))
    assert isinstance(table, Table)
    intact, random, untrained = table.rows
    assert intact[-1] == "3 of 3"
    assert all("yes" in cell[0].text for cell in intact[1:-1])  # type: ignore[union-attr]
    assert random[-1] == untrained[-1] == "0 of 3"
    index = results("E3", settings=("bandit",)).adaptation_index
    assert random[1] == f"{float(index[0, 1, 0]) + 0.0:.2f}"


def test_the_parts_of_the_criterion_are_told_where_there_is_one_condition() -> None:
    _, table = by_seed(results("E1", settings=("bandit",), diverged=(2,)))
    assert isinstance(table, Table)
    assert len(table.rows) == 3
    of_first = dict(zip(table.head, table.rows[0], strict=True))
    assert of_first["updates until competent"] == "40"
    of_last = dict(zip(table.head, table.rows[2], strict=True))
    assert of_last["updates until competent"] == "never"
    assert of_last["AI"] == "no number, diverged in update 7"


def test_measures_of_other_kinds_are_told_by_seed() -> None:
    found = xr.Dataset(
        {
            "rate": (("block", "seed"), [[0.1, 0.2], [0.3, 0.4]]),
            "all": ("seed", [1.0, 2.0]),
            "curve": (("seed", "trial"), [[0.0] * 100] * 2),
            "of_all": ((), 1.0),
        },
        coords={"block": ["stable", "volatile"], "seed": [0, 1]},
    )
    (table,) = by_seed(found)
    assert isinstance(table, Table)
    assert table.rows == (
        ("rate (block stable)", "0.1", "0.2"),
        ("rate (block volatile)", "0.3", "0.4"),
        ("all", "1", "2"),
    )


def test_the_scale_is_that_of_the_results() -> None:
    rows = scale(results("E3")).rows
    assert rows[:3] == (
        ("bandit", "ideal", "0.980", "1.00"),
        ("bandit", "one trial (win-stay-lose-shift)", "0.750", "0.52"),
        ("bandit", "chance", "0.500", "0.00"),
    )
    assert rows[4][1:] == ("one trial (last trial)", "0.878", "0.88")


def test_what_a_condition_changes_is_found_by_comparing() -> None:
    intact = SETTINGS["bandit"].configuration(2)
    assert differences(intact, intact) == []
    cell = EXPERIMENTS["E2"].cells(PLAN)["bandit", "reset every 2 trials"]
    short = cell.configuration
    assert differences(intact, short) == ["horizon 2 (instead of None)"]
    other = replace(intact, task=Bandit(trials=7))
    assert differences(intact, other) == ["trials 7 (instead of 100)"]


def test_every_setting_has_a_source_and_guesses_stand_out() -> None:
    tables = [b for b in settings_and_sources(Plan()) if isinstance(b, Table)]
    assert [table.caption for table in tables] == [
        "Settings of bandit",
        "Settings of two-step",
    ]
    for table in tables:
        assert all(len(row) == 5 and row[4] for row in table.rows)
        marked = [row for row in table.rows if row[4][0] == Strong("guess")]
        names = [row[0][0].text for row in marked]  # type: ignore[union-attr]
        assert {"learning_rate", "fraction", "batch"} <= set(names)
        assert "memory" not in names
        plain = [row[4] for row in table.rows if row not in marked]
        assert not any("guess" in str(source) for source in plain)


def test_descriptions_lose_their_markup() -> None:
    class Described(type(EXPERIMENTS["E2"])):  # type: ignore[misc]
        """Cut the memory.

        As in :class:`a.b.Reset`, ``whole``
        trials long.

        Parameters
        ----------
        x
            Not told.
        """

    assert described(Described()) == [
        "Cut the memory.",
        "As in Reset, whole trials long.",
    ]


def test_a_claim_that_depends_says_on_what() -> None:
    claim = Claim("c", "a [0.1, 0.2]; b", "m", "depends", "on the seed")
    of = replace(made_up("E1"), claims=(claim,))
    _, _, table = card([of])
    assert isinstance(table, Table)
    assert table.rows[0][2] == "a [0.1,\N{NO-BREAK SPACE}0.2];\nb"
    assert table.rows[0][5] == "on the seed"
