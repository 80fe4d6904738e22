"""The run folder: a pure function of a configuration, kept whole by a manifest."""

import json
import os
from fnmatch import fnmatch
from pathlib import Path

from filelock import FileLock, Timeout

from pfc_metarl.errors import DataError, InputError
from pfc_metarl.files import PARTIAL, sha256, write_text
from pfc_metarl.version import __version__

MANIFEST = "manifest.json"
CONFIGURATION = "configuration.json"


class InUseError(InputError):
    """Another process is at work in a run folder."""


class Results:
    """Finished files of a run folder, for reading: it is neither held nor changed.

    Parameters
    ----------
    path
        The folder; it need not exist.
    configuration
        JSON text that determines the run.

    Raises
    ------
    InputError
        When the folder belongs to something else.
    """

    def __init__(self, path: Path, configuration: str) -> None:
        self.path = path
        self._check_owner(configuration)

    def _check_owner(self, configuration: str) -> None:
        found = self.path / CONFIGURATION
        others = self._others()  # first: another process may be making the folder
        if found.exists():
            if found.read_text(encoding="utf-8", errors="replace") != configuration:
                raise InputError(
                    f"{found}: not the configuration of this run; "
                    "choose another --out, nothing was changed"
                )
        elif others:
            raise InputError(
                f"{self.path}: holds files but no {CONFIGURATION}, so it is not a run "
                "folder; choose another --out, nothing was changed"
            )

    def _others(self) -> list[str]:
        """Files that cannot be there before the configuration is."""
        names = os.listdir(self.path) if self.path.is_dir() else []
        beginning = (".lock", CONFIGURATION, f"{CONFIGURATION}.*{PARTIAL}")
        return [n for n in names if not any(fnmatch(n, b) for b in beginning)]

    def __truediv__(self, name: str) -> Path:
        """Return the path of a file in the folder."""
        return self.path / name

    def has(self, *names: str) -> bool:
        """Return whether files are finished and whole.

        Raises
        ------
        DataError
            When a finished file, or the manifest, is damaged.
        """
        return all(self._verified(name) for name in names)

    def _verified(self, name: str) -> bool:
        if not (self / name).is_file():
            return False
        entry = self._entries().get(name)
        if entry is None:
            return False  # written, but the run was stopped before it was entered
        if sha256(self / name) != entry["sha256"]:
            raise DataError(
                f"{self / name}: SHA-256 differs from {MANIFEST}; it is damaged or was "
                "edited: move it away to have it made again"
            )
        return True

    def made_by(self, name: str) -> str | None:
        """Return the version of this package that made a file; None if unfinished."""
        return self._entries().get(name, {}).get("made_by")

    def _entries(self) -> dict[str, dict[str, str]]:
        if not (self / MANIFEST).exists():
            return {}
        try:
            manifest = json.loads((self / MANIFEST).read_text(encoding="utf-8"))
            entries = {
                name: {key: str(entry[key]) for key in ("sha256", "made_by")}
                for name, entry in manifest["files"].items()
            }
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DataError(
                f"{self / MANIFEST}: damaged; move it away to have the results of "
                "this run made again"
            ) from None
        return entries


class RunFolder(Results):
    """Folder of one run.

    ``manifest.json`` lists the finished files with their SHA-256 sums and the version
    of this package that made them; a file is opened only if its sum agrees. One process
    at a time may hold the folder. A file that is to be made again is struck from the
    manifest first (:meth:`forget`), so that a run may be killed at any moment.

    Parameters
    ----------
    path
        The folder; made when it is missing.
    configuration
        JSON text that determines the run.

    Raises
    ------
    InputError
        When the folder cannot be written, belongs to something else, or another run is
        at work in it.
    """

    def __init__(self, path: Path, configuration: str) -> None:
        super().__init__(path, configuration)  # before anything is touched
        self._lock = FileLock(path / ".lock", timeout=0)
        self._hold()
        try:
            self._check_owner(configuration)  # nobody took it in between
        except InputError:
            self._lock.release()
            raise
        if not (path / CONFIGURATION).exists():
            write_text(path / CONFIGURATION, configuration)
        for stray in _partial_files(path):
            stray.unlink()  # its writer was killed

    def _hold(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise InUseError(
                f"{self.path}: another run is at work here; wait for it to end, "
                "or choose another --out"
            ) from None
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be written ({error.strerror}); "
                "choose another folder with --out"
            ) from None

    def __enter__(self) -> "RunFolder":
        """Hold the folder for the length of a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let other processes use the folder."""
        self._lock.release()

    def enter(self, *names: str) -> None:
        """Enter finished files into the manifest."""
        made = {
            name: {"sha256": sha256(self / name), "made_by": __version__}
            for name in names
        }
        self._write(self._entries() | made)

    def forget(self, *names: str) -> None:
        """Strike files from the manifest: they are to be made again."""
        entries = self._entries()
        self._write({name: entries[name] for name in entries if name not in names})

    def _write(self, entries: dict[str, dict[str, str]]) -> None:
        text = json.dumps({"format": 1, "files": entries}, indent=1, sort_keys=True)
        write_text(self / MANIFEST, text)


def _partial_files(folder: Path) -> list[Path]:
    """Files whose writer was killed; those of checkpoints are their readers' affair."""
    return [
        path
        for place in (folder, folder / "weights")
        for path in place.glob(f"*{PARTIAL}")
    ]
