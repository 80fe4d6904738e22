import json
import os
from pathlib import Path

import pytest
import torch

from pfc_metarl import checkpoints, cli
from pfc_metarl.configuration import Configuration, kernels_named, preset

REPRODUCE = ["reproduce", "two-step", "--seeds", "1"]


@pytest.fixture(autouse=True)
def _no_downloads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Errors come before the animals are looked for, or the folder is given."""
    monkeypatch.delenv("PFC_METARL_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("pfc_metarl.data.loading.cached", _offline)


def _offline(data_set: object) -> Path:
    from pfc_metarl.data import DataMissing

    raise DataMissing("no data, no internet")


def refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must exit with 2; return its one line."""
    try:
        code = cli.main(argv)
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    assert code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["reproduce", "four-step"], "two-step-conditions"),
        (["reproduce"], "figure"),
        (["dance"], "reproduce"),
        ([], "COMMAND"),
        (["reproduce", "two-step", "--preset", "slow"], "expected fast or paper"),
        (["reproduce", "two-step", "--seeds", "0"], "expected 1 or more"),
        (["reproduce", "two-step", "--seeds", "-3"], "expected 1 or more"),
        (["reproduce", "two-step", "--seeds", "many"], "invalid int value"),
        (["reproduce", "two-step", "--device", "tpu"], "expected cpu, cuda or auto"),
        (["reproduce", "two-step", "--data", "/no/such/folder"], "no such folder"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(
    argv: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in refused(argv, capsys)


def test_a_gpu_that_is_not_there_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "use --device cpu" in refused([*REPRODUCE, "--device", "cuda"], capsys)


def test_a_folder_that_cannot_be_made_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    line = refused([*REPRODUCE, "--out", str(tmp_path / "file")], capsys)
    assert "cannot be written" in line
    assert "--out" in line
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.chmod(0o500)
    line = refused([*REPRODUCE, "--out", str(tmp_path / "runs")], capsys)
    assert "cannot be written" in line


def asked_for() -> Configuration:
    """Return what ``REPRODUCE`` trains."""
    kernels = kernels_named("auto", "cpu")
    return preset("fast", "two-step", 1, kernels=kernels)


def test_a_folder_of_something_else_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / asked_for().folder_name()
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    line = refused([*REPRODUCE, "--out", str(tmp_path)], capsys)
    assert "not a run folder" in line
    assert {path.name for path in folder.iterdir()} <= {"thesis.tex", ".lock"}


def test_a_foreign_data_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ofc_physdata.mat").write_bytes(b"MATLAB 5.0 MAT-file of another lab")
    argv = [*REPRODUCE, "--out", str(tmp_path / "runs"), "--data", str(tmp_path)]
    line = refused(argv, capsys)
    assert "SHA-256" in line
    assert not (tmp_path / "runs").exists()


def test_a_checkpoint_of_another_version_is_refused_and_kept(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / asked_for().folder_name() / "checkpoints"
    folder.parent.mkdir()
    configuration = asked_for().as_json()
    (folder.parent / "configuration.json").write_text(configuration)
    with monkeypatch.context() as later:
        later.setattr(checkpoints, "FORMAT", 99)
        checkpoints.save(folder, "seeds-000-000", 10, {"from": "the future"})
    (written,) = folder.glob("*.pt")
    content = written.read_bytes()
    line = refused([*REPRODUCE, "--out", str(tmp_path)], capsys)
    assert "checkpoint format 99" in line
    assert written.read_bytes() == content


def test_a_damaged_manifest_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configuration = asked_for()
    folder = tmp_path / configuration.folder_name()
    (folder / "weights").mkdir(parents=True)
    (folder / "configuration.json").write_text(configuration.as_json())
    (folder / "manifest.json").write_text(json.dumps(["not", "a", "manifest"]))
    (folder / "weights" / "seed-000.pt").write_text("damaged")
    assert "manifest" in refused([*REPRODUCE, "--out", str(tmp_path)], capsys)


def test_an_interrupt_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pfc_metarl.paper.two_step.reproduce", interrupted)
    assert cli.main(REPRODUCE) == 130
    assert "goes on from the last checkpoint" in capsys.readouterr().err
