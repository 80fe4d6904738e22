"""Checkpoints are whole or absent, few, and nothing in them is ever run."""

import hashlib
import os
from pathlib import Path

import pytest
import torch

from pfc_metarl import checkpoints
from pfc_metarl.errors import DataError

NAME = "seeds-000-003"


def content() -> dict[str, object]:
    return {"weights": {"a": torch.arange(6.0)}, "seeds": [0, 3], "text": "so"}


def named_by_its_sum(folder: Path, payload: bytes, update: int = 7) -> Path:
    digest = hashlib.sha256(payload).hexdigest()[:16]
    path = folder / f"{NAME}.update-{update:07d}.{digest}.pt"
    path.write_bytes(payload)
    return path


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "new" / "folder", NAME, 3, content())
    found = checkpoints.newest(tmp_path / "new" / "folder", NAME)
    assert found is not None
    assert torch.equal(found["weights"]["a"], torch.arange(6.0))
    assert (found["seeds"], found["text"], found["update"]) == ([0, 3], "so", 3)
    assert found["format"] == checkpoints.FORMAT


def test_without_a_checkpoint_there_is_nothing_to_read(tmp_path: Path) -> None:
    assert checkpoints.newest(tmp_path, NAME) is None
    assert checkpoints.newest(tmp_path / "nowhere", NAME) is None


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    for update in (8, 9, 10, 100, 99_999, 1_000_000):
        checkpoints.save(tmp_path, NAME, update, content())
        found = checkpoints.newest(tmp_path, NAME)
        assert found is not None
        assert found["update"] == update
    kept = sorted(path.name.split(".")[1] for path in tmp_path.iterdir())
    assert kept == ["update-0099999", "update-1000000"]


def test_groups_keep_to_their_own_checkpoints(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, NAME, 1, content())
    for update in (5, 6, 7):
        checkpoints.save(tmp_path, "seeds-004-007", update, content())
    found = checkpoints.newest(tmp_path, NAME)
    assert found is not None
    assert found["update"] == 1


def test_saving_twice_at_one_update_keeps_it_readable(tmp_path: Path) -> None:
    for _ in range(3):
        checkpoints.save(tmp_path, NAME, 5, content())
    found = checkpoints.newest(tmp_path, NAME)
    assert found is not None
    assert found["update"] == 5


def test_any_flipped_bit_is_noticed(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, NAME, 1, content())
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for position in range(0, len(whole), 29):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="damaged") as error:
            checkpoints.newest(tmp_path, NAME)
        assert str(path) in str(error.value)
    path.write_bytes(whole)
    assert checkpoints.newest(tmp_path, NAME) is not None


@pytest.mark.parametrize("length", [0, 1, 100, -1])
def test_a_file_cut_short_is_noticed(tmp_path: Path, length: int) -> None:
    checkpoints.save(tmp_path, NAME, 1, content())
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match="damaged"):
        checkpoints.newest(tmp_path, NAME)


def test_after_deleting_a_damaged_checkpoint_the_one_before_is_read(
    tmp_path: Path,
) -> None:
    for update in (1, 2):
        checkpoints.save(tmp_path, NAME, update, content())
    newest = max(tmp_path.iterdir())
    newest.write_bytes(b"damaged")
    with pytest.raises(DataError, match="delete it to go on from"):
        checkpoints.newest(tmp_path, NAME)
    newest.unlink()
    found = checkpoints.newest(tmp_path, NAME)
    assert found is not None
    assert found["update"] == 1


def test_another_format_is_refused_and_both_formats_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as later:
        later.setattr(checkpoints, "FORMAT", 99)
        checkpoints.save(tmp_path, NAME, 1, content())
    with pytest.raises(DataError, match=r"format 99;.*reads format 2"):
        checkpoints.newest(tmp_path, NAME)


def test_a_stray_half_written_file_is_removed(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, NAME, 1, content())
    (whole,) = tmp_path.iterdir()
    stray = tmp_path / f"{NAME}.update-0000002.0123456789abcdef.pt.4242.partial"
    stray.write_bytes(b"half")
    other = tmp_path / "seeds-004-007.update-0000002.0123456789abcdef.pt.4.partial"
    other.write_bytes(b"half, and perhaps still being written")
    found = checkpoints.newest(tmp_path, NAME)
    assert found is not None
    assert found["update"] == 1
    assert sorted(tmp_path.iterdir()) == sorted([whole, other])


def test_a_write_that_fails_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.save(tmp_path, NAME, 1, content())
    (whole,) = tmp_path.iterdir()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    for call in ("fsync", "replace"):
        with monkeypatch.context() as context:
            context.setattr(os, call, lambda *_: full(0))
            with pytest.raises(OSError, match="No space left"):
                checkpoints.save(tmp_path, NAME, 2, content())
        assert list(tmp_path.iterdir()) == [whole]


def test_content_reaches_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for call in ("fsync", "replace"):
        real = getattr(os, call)

        def noted(*args: object, call: str = call, real: object = real) -> object:
            calls.append(call)
            return real(*args)  # type: ignore[operator]

        monkeypatch.setattr(os, call, noted)
    checkpoints.save(tmp_path, NAME, 1, content())
    assert calls == ["fsync", "replace", "fsync"]  # file, rename, folder


class Payload:
    """Unpickling this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("where", ["alone", "among the content"])
def test_a_checkpoint_that_would_run_code_is_refused_and_nothing_is_run(
    tmp_path: Path, where: str
) -> None:
    trap, evil = tmp_path / "was-run", tmp_path / "evil.pt"
    payload = Payload(trap)
    torch.save(
        payload if where == "alone" else {"format": checkpoints.FORMAT, "x": payload},
        evil,
    )
    named_by_its_sum(tmp_path, evil.read_bytes())
    with pytest.raises(DataError, match="checkpoint"):
        checkpoints.newest(tmp_path, NAME)
    assert not trap.exists()


@pytest.mark.parametrize("payload", [b"", b"not a checkpoint", b"PK\x03\x04"])
def test_a_file_that_is_no_checkpoint_is_refused(
    tmp_path: Path, payload: bytes
) -> None:
    named_by_its_sum(tmp_path, payload)
    with pytest.raises(DataError):
        checkpoints.newest(tmp_path, NAME)


def test_a_checkpoint_that_is_no_dictionary_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "list.pt"
    torch.save([1, 2, 3], file)
    named_by_its_sum(tmp_path, file.read_bytes())
    with pytest.raises(DataError):
        checkpoints.newest(tmp_path, NAME)
