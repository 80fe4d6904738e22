"""A run folder belongs to one configuration, is held by one run and knows its files."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import pfc_metarl
from pfc_metarl import __version__, run_folder
from pfc_metarl.errors import DataError, InputError
from pfc_metarl.run_folder import CONFIGURATION, MANIFEST, RunFolder

TEXT = '{"task": "two-step"}'


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its relative name, and its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def finished(path: Path, name: str = "result.txt", text: str = "done") -> None:
    """Make a run with one finished file."""
    with RunFolder(path, TEXT) as run:
        (run / name).write_text(text)
        run.enter(name)


def test_a_finished_file_is_found_again(tmp_path: Path) -> None:
    finished(tmp_path / "runs" / "one")
    with RunFolder(tmp_path / "runs" / "one", TEXT) as run:
        assert run.has("result.txt")
        assert not run.has("other.txt")
        assert not run.has("result.txt", "other.txt")
        assert (run / "result.txt").read_text() == "done"
        assert (run / CONFIGURATION).read_text() == TEXT


def test_files_are_entered_one_after_the_other(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", TEXT) as run:
        for name in ("a", "b", "c"):
            (run / name).write_text(name)
            run.enter(name)
            assert run.has(*"abc"[: "abc".index(name) + 1])


def test_a_file_made_again_is_entered_anew(tmp_path: Path) -> None:
    finished(tmp_path / "run", text="old")
    finished(tmp_path / "run", text="new")
    with RunFolder(tmp_path / "run", TEXT) as run:
        assert run.has("result.txt")


def test_a_file_struck_from_the_manifest_is_to_be_made_again(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", TEXT) as run:
        for name in ("a", "b"):
            (run / name).write_text(name)
            run.enter(name)
        run.forget("a", "never entered")
        assert not run.has("a")
        assert run.has("b")
        (run / "a").write_text("anew")
        run.enter("a")
        assert run.has("a", "b")


def test_a_file_written_but_not_entered_is_not_finished(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", TEXT) as run:
        (run / "result.txt").write_text("half")
        assert not run.has("result.txt")


def test_a_damaged_file_is_noticed(tmp_path: Path) -> None:
    finished(tmp_path / "run")
    (tmp_path / "run" / "result.txt").write_text("dome")
    with (
        RunFolder(tmp_path / "run", TEXT) as run,
        pytest.raises(DataError, match=r"result\.txt: SHA-256 differs") as error,
    ):
        run.has("result.txt")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        '{"format": 1}',
        '{"files": 3}',
        '{"files": []}',
        '{"files": {"result.txt": 3}}',
        '{"files": {"result.txt": {}}}',
    ],
)
def test_a_damaged_manifest_is_noticed(tmp_path: Path, text: str) -> None:
    finished(tmp_path / "run")
    (tmp_path / "run" / MANIFEST).write_text(text)
    with (
        RunFolder(tmp_path / "run", TEXT) as run,
        pytest.raises(DataError, match="manifest"),
    ):
        run.has("result.txt")


def test_any_flipped_bit_of_the_manifest_is_noticed_or_harmless(tmp_path: Path) -> None:
    finished(tmp_path / "run")
    manifest = tmp_path / "run" / MANIFEST
    whole = manifest.read_bytes()
    with RunFolder(tmp_path / "run", TEXT) as run:
        for position in range(len(whole)):
            damaged = bytearray(whole)
            damaged[position] ^= 1
            manifest.write_bytes(damaged)
            with suppress(DataError):
                run.has("result.txt")


def test_an_empty_folder_may_become_a_run(tmp_path: Path) -> None:
    with RunFolder(tmp_path, TEXT) as run:
        assert (run / CONFIGURATION).read_text() == TEXT


@pytest.mark.parametrize("name", ["thesis.txt", "thesis.partial"])
def test_a_folder_of_something_else_is_refused_and_left_as_it_was(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("years of work")
    before = contents(tmp_path)
    with pytest.raises(InputError, match="not a run folder"):
        RunFolder(tmp_path, TEXT)
    assert contents(tmp_path) == before


def test_a_run_of_another_configuration_is_refused_and_left_as_it_was(
    tmp_path: Path,
) -> None:
    finished(tmp_path / "run")
    before = contents(tmp_path)
    with pytest.raises(InputError, match="not the configuration of this run"):
        RunFolder(tmp_path / "run", '{"task": "other"}')
    assert contents(tmp_path) == before


def test_a_refused_folder_is_free_for_its_owner(tmp_path: Path) -> None:
    finished(tmp_path / "run")
    with pytest.raises(InputError, match="not the configuration") as refusal:
        RunFolder(tmp_path / "run", '{"task": "other"}')
    with RunFolder(tmp_path / "run", TEXT) as run:
        assert run.has("result.txt")
    assert refusal.value is not None


@pytest.mark.parametrize("damage", [b"\xff", b"{"])
def test_a_damaged_configuration_is_refused(tmp_path: Path, damage: bytes) -> None:
    finished(tmp_path / "run")
    (tmp_path / "run" / CONFIGURATION).write_bytes(damage)
    with pytest.raises(InputError, match="configuration"):
        RunFolder(tmp_path / "run", TEXT)


def test_a_run_killed_before_its_configuration_was_written_goes_on(
    tmp_path: Path,
) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / f"{CONFIGURATION}.4242.partial").write_text(TEXT[:5])
    with RunFolder(tmp_path, TEXT) as run:
        assert (run / CONFIGURATION).read_text() == TEXT
        assert not list(tmp_path.rglob("*.partial"))


def test_half_written_files_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    finished(tmp_path / "run")
    for name in ("weights", "checkpoints"):
        (tmp_path / "run" / name).mkdir()
    strays = [
        tmp_path / "run" / "result.txt.4242.partial",
        tmp_path / "run" / "weights" / "seed-000.pt.4242.partial",
    ]
    being_written = tmp_path / "run" / "checkpoints" / "seeds-000-003.pt.4242.partial"
    for path in (*strays, being_written):
        path.write_text("half")
    with RunFolder(tmp_path / "run", TEXT) as run:
        assert run.has("result.txt")
    assert not any(stray.exists() for stray in strays)
    assert being_written.exists()  # training itself removes those that are stray


def test_a_second_holder_is_refused_until_the_first_lets_go(tmp_path: Path) -> None:
    first = RunFolder(tmp_path / "run", TEXT)
    with first, pytest.raises(InputError, match="another run is at work here"):
        RunFolder(tmp_path / "run", TEXT)
    with RunFolder(tmp_path / "run", TEXT) as second:
        assert second.path == first.path


def test_an_error_inside_lets_go_of_the_folder(tmp_path: Path) -> None:
    first = RunFolder(tmp_path / "run", TEXT)
    with pytest.raises(KeyError), first:
        raise KeyError
    with RunFolder(tmp_path / "run", TEXT) as second:
        assert second.path == first.path


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from pfc_metarl.run_folder import RunFolder\n"
        "RunFolder(Path(sys.argv[1]), sys.argv[2])\n"
    )
    root = str(Path(pfc_metarl.__file__).parents[1])

    def hold() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "run"), TEXT],
            env={**os.environ, "PYTHONPATH": root},
            capture_output=True,
            text=True,
            timeout=60,
        )

    with RunFolder(tmp_path / "run", TEXT):
        assert "another run is at work here" in hold().stderr
    assert hold().returncode == 0


def test_a_place_that_cannot_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match="cannot be written") as error:
            RunFolder(path, TEXT)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)


def test_the_manifest_can_be_read_by_eye(tmp_path: Path) -> None:
    finished(tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / MANIFEST).read_text())
    assert manifest["format"] == 1
    assert list(manifest["files"]) == ["result.txt"]
    assert manifest["files"]["result.txt"]["made_by"] == __version__
    assert len(manifest["files"]["result.txt"]["sha256"]) == 64


def test_the_version_that_made_a_file_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(tmp_path / "run")
    monkeypatch.setattr(run_folder, "__version__", "99.0")
    finished(tmp_path / "run", "later.txt")
    with RunFolder(tmp_path / "run", TEXT) as run:
        assert run.made_by("result.txt") == __version__
        assert run.made_by("later.txt") == "99.0"
        assert run.made_by("unfinished.txt") is None
