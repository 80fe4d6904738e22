import hashlib
import os
from pathlib import Path

import pytest

from pfc_metarl.files import PARTIAL, sha256, write_text, written_atomically


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file.txt"
    with written_atomically(path) as partial:
        partial.write_text("whole")
        assert partial.parent == path.parent
        assert partial.name.endswith(PARTIAL)
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_an_old_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with written_atomically(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_half() -> None:
        with written_atomically(path) as partial:
            partial.write_text("ne")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_before_anything_is_written_is_passed_on(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="mine"),
        written_atomically(tmp_path / "file.txt"),
    ):
        raise ValueError("mine")
    assert not any(tmp_path.iterdir())


def test_a_rename_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError("disk full")

    (tmp_path / "file.txt").write_text("old")
    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="disk full"):
        write_text(tmp_path / "file.txt", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]
    assert (tmp_path / "file.txt").read_text() == "old"


def test_the_data_is_on_disk_before_it_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def watch(name: str) -> None:
        real = getattr(os, name)

        def watched(*arguments: object) -> None:
            calls.append(name)
            real(*arguments)

        monkeypatch.setattr(os, name, watched)

    watch("fsync")
    watch("replace")
    write_text(tmp_path / "file.txt", "new")
    assert calls == ["fsync", "replace", "fsync"]


def test_text_is_written_as_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "file.txt", "δ → V\n")
    assert (tmp_path / "file.txt").read_bytes() == "δ → V\n".encode()


@pytest.mark.parametrize("content", [b"", b"abc", b"\0" * 3_000_000])
def test_the_sum_of_a_file_is_its_sha256(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_the_sum_of_abc_is_the_published_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert sha256(tmp_path / "file").startswith("ba7816bf8f01cfea414140de5dae2223")
