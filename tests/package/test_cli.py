import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from pfc_metarl import checkpoints, cli
from pfc_metarl.configuration import Configuration, kernels_named, preset
from pfc_metarl.emergence.cell import Cell
from pfc_metarl.emergence.cluster import Resources
from pfc_metarl.emergence.experiment import Experiment, Plan
from pfc_metarl.emergence.experiments import EXPERIMENTS, experiment
from pfc_metarl.emergence.sweep import Outcome

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
        (["reproduce", "four-step"], "two-step"),
        (["reproduce"], "figure"),
        (["dance"], "reproduce"),
        ([], "COMMAND"),
        (["reproduce", "two-step", "--preset", "slow"], "expected fast or paper"),
        (["reproduce", "two-step", "--seeds", "0"], "expected 1 or more"),
        (["reproduce", "two-step", "--seeds", "-3"], "expected 1 or more"),
        (["reproduce", "two-step", "--seeds", "many"], "invalid int value"),
        (["reproduce", "two-step", "--device", "tpu"], "expected cpu, cuda or auto"),
        (["reproduce", "two-step", "--data", "/no/such/folder"], "no such folder"),
        (["emergence"], "ACTION"),
        (["emergence", "run", "E99"], "no experiment 'E99'; expected some of E1"),
        (["emergence", "run", "--tasks", "chess"], "no task 'chess'"),
        (["emergence", "run", "--seeds", "0"], "expected 1 or more"),
        (["emergence", "run", "E1", "--processes", "0"], "expected 1 or more"),
        (["emergence", "run", "--kernels", "fast"], "expected torch, compiled or auto"),
        (["emergence", "run", "E1", "--shard", "3/2"], "expected i/n"),
        (["emergence", "run", "E1", "--shard", "half"], "expected i/n"),
        (["emergence", "run", "--engine", "moon"], "invalid choice: 'moon'"),
        (["emergence", "run", "--jobs", "3"], "--jobs is for a cluster"),
        (["emergence", "run", "--time", "3"], "--time is for a cluster"),
        (["emergence", "run", "--engine", "slurm", "--time", "0"], "more than 0"),
        (["emergence", "report", "--seeds", "0"], "expected 1 or more"),
        (["emergence", "report", "--shard", "1/2"], "unrecognized arguments"),
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


class Sweep:
    """Stands for the engine: keeps what it was given; all cells end as told."""

    def __init__(self, failed: str = "") -> None:
        self.failed = failed
        self.cells: list[Cell] = []
        self.given: dict[str, object] = {}

    def __call__(
        self, cells: list[Cell], root: Path, report: object, *rest: object, **given: Any
    ) -> Outcome:
        self.cells, self.given = cells, {"root": root, "rest": rest, **given}
        names = [cell.name for cell in cells]
        if not self.failed:
            return Outcome(tuple(names), {})
        return Outcome(tuple(names[1:]), {names[0]: self.failed})


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is asked of the report, which is not made."""
    asked: list[dict[str, Any]] = []

    def make(
        experiments: list[Experiment], plan: Plan, root: Path, **more: object
    ) -> Path:
        names = [experiment.name for experiment in experiments]
        asked.append({"names": names, "plan": plan, "root": root, **more})
        return root / "report"

    monkeypatch.setattr("pfc_metarl.paper.emergence.report.make", make)
    return asked


def swept(monkeypatch: pytest.MonkeyPatch, failed: str = "") -> Sweep:
    sweep = Sweep(failed)
    monkeypatch.setattr("pfc_metarl.emergence.sweep.sweep", sweep)
    return sweep


def test_experiments_are_run_together_and_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reports: list[dict[str, Any]]
) -> None:
    sweep = swept(monkeypatch)
    argv = ["emergence", "run", "E1", "E2", "--seeds", "3", "--tasks", "bandit"]
    argv += ["--kernels", "torch", "--processes", "2", "--out", str(tmp_path)]
    assert cli.main(argv) == 0
    plan = Plan(3, ("bandit",), "torch")
    both = [experiment(name).cells(plan).values() for name in ("E1", "E2")]
    expected = {cell.name for cells in both for cell in cells}
    assert [cell.name for cell in sweep.cells] == sorted(expected)
    assert len(expected) < sum(map(len, both))  # they share the intact system
    assert sweep.given == {"root": tmp_path / "cells", "rest": (), "processes": 2}
    (report,) = reports
    assert report.pop("seconds") >= 0
    assert report == {
        "names": ["E1", "E2"],
        "plan": plan,
        "root": tmp_path,
        "command": f"pfc-metarl {' '.join(argv)}",
        "again": False,
    }


def test_all_experiments_but_the_long_sweep_are_usual(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reports: list[dict[str, Any]]
) -> None:
    swept(monkeypatch)
    assert cli.main(["emergence", "run", "--seeds", "1", "--out", str(tmp_path)]) == 0
    assert cli.main(["emergence", "report", "--seeds", "1"]) == 0
    run, report = reports
    assert run["names"] == [name for name in EXPERIMENTS if name != "E10"]
    assert run["plan"].settings == ("bandit", "two-step")
    assert report["names"] == run["names"]
    assert report["root"] == Path("runs")
    assert report["seconds"] is None


def test_a_shard_is_run_without_a_report(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reports: list[dict[str, Any]]
) -> None:
    sweep = swept(monkeypatch)
    names: list[str] = []
    for shard in ("1/2", "2/2"):
        argv = ["emergence", "run", "E2", "--seeds", "1", "--shard", shard]
        assert cli.main([*argv, "--out", str(tmp_path)]) == 0
        names += [cell.name for cell in sweep.cells]
    plan = Plan(1, kernels=kernels_named("auto", "cpu"))
    cells = experiment("E2").cells(plan).values()
    assert sorted(names) == sorted({cell.name for cell in cells})
    assert not reports


def test_failed_cells_are_listed_and_the_rest_is_reported(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    reports: list[dict[str, Any]],
) -> None:
    sweep = swept(monkeypatch, failed="out of memory")
    argv = ["emergence", "run", "E2", "--seeds", "1", "--tasks", "bandit"]
    assert cli.main([*argv, "--out", str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("failed: E2 bandit: ")
    assert "out of memory" in line
    assert f"{sweep.cells[0].name}.failed.txt" in line
    assert [report["seconds"] for report in reports] == [None]


def test_one_option_sends_the_same_cells_to_a_cluster(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reports: list[dict[str, Any]]
) -> None:
    here, there = swept(monkeypatch), Sweep()
    monkeypatch.setattr("pfc_metarl.emergence.cluster.sweep_on_cluster", there)
    argv = ["emergence", "run", "E2", "--seeds", "1", "--out", str(tmp_path)]
    assert cli.main(argv) == 0
    assert cli.main([*argv, "--engine", "submitit-local"]) == 0
    assert there.given["rest"] == ("submitit-local", Resources(jobs=2))
    assert there.cells == here.cells
    more = ["--jobs", "40", "--processes", "4", "--partition", "night", "--time", "1.5"]
    assert cli.main([*argv, "--engine", "slurm", *more]) == 0
    assert there.given["rest"] == ("slurm", Resources(40, 4, "night", 1.5))
    assert len(reports) == 3


def test_what_goes_on_elsewhere_is_said_at_an_interrupt(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt("job 7 goes on")

    monkeypatch.setattr("pfc_metarl.emergence.sweep.sweep", interrupted)
    assert cli.main(["emergence", "run", "E2", "--seeds", "1"]) == 130
    assert capsys.readouterr().err == "pfc-metarl: job 7 goes on\n"
