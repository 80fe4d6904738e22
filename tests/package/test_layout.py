"""The rooms, and which way imports go between them."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import pfc_metarl

ROOT = Path(__file__).parents[2]
ROOMS = ("tasks", "fits", "data", "paper")


def linked(folder: Path) -> Path:
    """The packages under their import names, for tools that follow files."""
    package = folder / "pfc_metarl"
    package.mkdir()
    for path in (ROOT / "pfc_metarl").iterdir():
        (package / path.name).symlink_to(path)
    for room in ROOMS:
        (package / room).symlink_to(ROOT / room)
    return folder


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [
        str(Path(sys.executable).with_name("lint-imports")),
        "--no-cache",
        "--config",
        str(ROOT / "setup.cfg"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_imports_upwards(tmp_path: Path) -> None:
    done = lint(linked(tmp_path))
    assert done.returncode == 0, done.stdout


def test_an_import_upwards_would_be_found(tmp_path: Path) -> None:
    folder = linked(tmp_path)
    trials = folder / "pfc_metarl" / "trials.py"
    trials.unlink()
    text = (ROOT / "pfc_metarl" / "trials.py").read_text()
    trials.write_text(text + "\nfrom pfc_metarl.fits import MODELS\n")
    done = lint(folder)
    assert done.returncode != 0
    assert "pfc_metarl.trials" in done.stdout


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_are_imported_by_their_full_name(room: str) -> None:
    assert import_module(f"pfc_metarl.{room}").__name__ == f"pfc_metarl.{room}"


def test_code_names_the_package_in_full() -> None:
    """The checkout's layout would let pfc_metarl.pfc_metarl be imported too."""
    for path in ROOT.rglob("*.py"):
        if ".venv" not in path.parts and path != Path(__file__):
            text = path.read_text(encoding="utf-8")
            assert "pfc_metarl.pfc_metarl" not in text, path
            assert "pfc_metarl.tests" not in text, path


def test_the_version_is_a_release_number() -> None:
    assert pfc_metarl.__version__.count(".") == 2
