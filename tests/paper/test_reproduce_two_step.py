import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from matplotlib import pyplot as plt

from pfc_metarl import data
from pfc_metarl.configuration import Configuration
from pfc_metarl.data import DataMissing
from pfc_metarl.errors import DataError
from pfc_metarl.netcdf import save_dataset
from pfc_metarl.network import Network
from pfc_metarl.paper import two_step
from pfc_metarl.paper.style import FULL_WIDTH, use_style
from pfc_metarl.paper.two_step_figure import draw
from pfc_metarl.recording import TEST_SEED, behaviour
from pfc_metarl.run_folder import RunFolder
from pfc_metarl.seeds import generator
from pfc_metarl.tasks.observers.two_step import TwoStepObserver
from pfc_metarl.tasks.two_step import TwoStep
from pfc_metarl.trial_files import load

FILES = {
    "behaviour.nc",
    "configuration.json",
    "figure.pdf",
    "figure.png",
    "manifest.json",
    "recording.nc",
    "report.md",
    "statistics.nc",
    "training.nc",
}


def no_rats(name: str, folder: Path | None = None) -> xr.Dataset:
    raise DataMissing("rat_twostep_miller2022 is not on this machine; give --data")


def standing_in_for_rats(name: str, folder: Path | None = None) -> xr.Dataset:
    task = TwoStep(trials=50)
    tape = task.draw(4, generator(TEST_SEED, "training"))
    episodes = TwoStepObserver(task).play(tape, generator(TEST_SEED, "observer"))
    return behaviour(episodes, ["stand-in"], {"citation": "Nobody 1999"})


@pytest.fixture(scope="module")
def made(
    small: Configuration, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A run without rats, finished; tests leave it as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", no_rats)
        root = tmp_path_factory.mktemp("runs")
        yield two_step.reproduce(small, root, say=lambda _: None)


def test_a_run_is_made_once_and_reused(small: Configuration, made: Path) -> None:
    folder = made
    assert {path.name for path in folder.iterdir() if path.is_file()} >= FILES
    assert {path.name for path in (folder / "weights").iterdir()} == {
        "seed-000.pt",
        "seed-001.pt",
    }
    said: list[str] = []
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    assert two_step.reproduce(small, folder.parent, say=said.append) == folder
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    assert after.pop(folder / ".lock")
    assert before.pop(folder / ".lock")
    assert after == before
    assert "none, rat_twostep_miller2022 is not on this machine" in said[0]


def test_rats_that_arrive_later_enter_the_figure(
    small: Configuration,
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / made.name
    shutil.copytree(made, folder)
    assert "| rats |" not in (folder / "report.md").read_text()
    weights = (folder / "weights" / "seed-000.pt").stat().st_mtime_ns
    monkeypatch.setattr(data, "load", standing_in_for_rats)
    two_step.reproduce(small, tmp_path, say=lambda _: None)
    assert "| rats | model-based |" in (folder / "report.md").read_text()
    assert "Nobody 1999" in (folder / "report.md").read_text()
    assert (folder / "weights" / "seed-000.pt").stat().st_mtime_ns == weights


def test_the_report_names_every_seed_every_guess_and_the_frozen_weights(
    made: Path,
) -> None:
    text = (made / "report.md").read_text()
    attrs = load(made / "behaviour.nc").attrs
    assert attrs["weights_sha256_before"] == attrs["weights_sha256_after"]
    for seed, digest in enumerate(json.loads(attrs["weights_sha256_before"])):
        assert f"| {seed} | " in text
        assert digest[:16] in text
    for setting in ("learning_rate", "discount", "updates", "fixation"):
        (row,) = [line for line in text.splitlines() if f"| {setting} |" in line]
        assert "**guess**" in row
    assert "no data" not in text
    assert "give --data" in text  # what is missing and how to get it


def test_the_figure_has_journal_width_and_editable_type(
    made: Path, tmp_path: Path
) -> None:
    tree = xr.load_datatree(made / "statistics.nc", engine="h5netcdf")
    figure = draw(tree, TwoStep())
    assert figure.get_size_inches()[0] == pytest.approx(FULL_WIDTH)
    letters = [
        text.get_text()
        for axes in figure.axes
        for text in axes.texts
        if text.get_fontweight() == "bold"
    ]
    assert letters == ["a", "b", "c", "d", "e", "f"]
    document = _uncompressed(figure, tmp_path)
    plt.close(figure)
    assert b"/FontFile2" in document  # TrueType, embedded
    assert b"/Type3" not in document


def _uncompressed(figure: plt.Figure, folder: Path) -> bytes:
    use_style()
    with plt.rc_context({"pdf.compression": 0}):
        figure.savefig(folder / "plain.pdf")
    return (folder / "plain.pdf").read_bytes()


def test_a_damaged_result_is_noticed_and_not_replaced(
    small: Configuration, made: Path, tmp_path: Path
) -> None:
    folder = tmp_path / made.name
    shutil.copytree(made, folder)
    path = folder / "behaviour.nc"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"behaviour\.nc: SHA-256 differs"):
        two_step.reproduce(small, tmp_path, say=lambda _: None)
    assert path.read_bytes() == bytes(content)


def test_statistics_hold_the_ideal_observer_on_the_same_episodes(
    small: Configuration, made: Path
) -> None:
    tree = xr.load_datatree(made / "statistics.nc", engine="h5netcdf")
    assert tree.attrs["random"] == pytest.approx(0.5)
    assert (
        tree["/agents/reversals"].n_reversals.values.tolist()
        == [int(tree["/observer/reversals"].n_reversals.item())] * 2
    )
    assert (
        tree["/agents/rpe"].n.sel(trial_set="all", epoch="stage2").values.tolist()
        == [small.recorded_episodes * small.task.trials] * 2
    )


def test_a_seed_that_makes_no_valid_choice_is_shown_as_such(
    small: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "load", no_rats)
    with_fixation = replace(small, task=TwoStep(trials=20, fixation=True))
    monkeypatch.setattr(two_step, "trained", _only_the_second_chooses)
    folder = two_step.reproduce(with_fixation, tmp_path, say=lambda _: None)
    rows = [
        line.split(" | ") for line in (folder / "report.md").read_text().split("\n")
    ]
    valid = {row[0]: row[3] for row in rows if row[0].startswith("| seed ")}
    assert "in the seeds 1 (update 1)" in (folder / "report.md").read_text()
    assert valid.pop("| seed 0") == "0.000"
    assert float(valid.pop("| seed 1")) > 0.1
    tree = xr.load_datatree(folder / "statistics.nc", engine="h5netcdf")
    assert tree["/agents/fit_hybrid"].subject.values.tolist() == ["seed 1"]
    assert tree["/agents/stay"].stay.sel(subject="seed 0").isnull().all()


def _only_the_second_chooses(
    configuration: Configuration, run: RunFolder, report: object, tensorboard: bool
) -> Network:
    network = Network(configuration.network, configuration.task, range(2))
    with torch.no_grad():
        network.policy_bias[0, 2] = 100.0  # seed 0 does nothing but fixate
    training = xr.Dataset(
        {
            "reward": (("seed", "update"), [[-0.5, -0.4], [-0.5, np.nan]]),
            "diverged_at": ("seed", [-1, 1]),
        },
        coords={"seed": [0, 1]},
        attrs={"episodes_per_update": 4},
    )
    save_dataset(training, run / "training.nc")
    return network


def test_the_last_reward_of_an_episode_is_left_out_of_the_rpe(made: Path) -> None:
    tree = xr.load_datatree(made / "statistics.nc", engine="h5netcdf")
    by_trial = tree["/agents/rpe_by_trial"]
    missing = by_trial.network_reward.isnull().values.reshape(-1, 20)
    assert missing[:, -1].all()
    assert not missing[:, :-1].any()
    assert by_trial.network_stage2.notnull().all()
