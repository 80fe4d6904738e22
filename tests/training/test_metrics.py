"""Metrics are written as training goes, a line per update, and survive a kill."""

import copy
import gc
import io
import json
import math
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pfc_metarl import checkpoints, training
from pfc_metarl.configuration import Configuration
from pfc_metarl.errors import InputError
from pfc_metarl.learning import Learner, LearningSettings
from pfc_metarl.metrics import MetricsFile, read_metrics
from pfc_metarl.network import Network, NetworkSettings
from pfc_metarl.stopping import Stopping
from pfc_metarl.tasks.base import Episodes
from pfc_metarl.tasks.two_step import TwoStep
from pfc_metarl.training import Group, Progress, metrics_path, train_group

Small = Callable[..., Configuration]
Drawn = Callable[..., tuple[Episodes, Tensor]]

NAMES = ["reward", "rpe", "entropy", "value_error", "gradient_norm"]


class StoppedError(Exception):
    """The training is stopped from outside."""


def silent(progress: Progress) -> None:
    """Report to nobody."""


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def written(path: Path, update: int, *values: float) -> None:
    """Open the file, as training does that goes on from an update; add some lines."""
    with MetricsFile(path, update, range(1)) as metrics:
        for value in values:
            metrics.write(update, {"reward": [value]})
            update += 1


def test_a_line_is_json_with_a_value_per_seed(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsFile(path, 0, [4, 5]) as metrics:
        metrics.write(0, {"reward": [0.5, math.nan], "rpe": [math.inf, -math.inf]})
        metrics.write(1, {"reward": [0.25, 1 / 3], "rpe": [1e-9, 12345678.0]})
    first, second = lines_of(path)
    assert first == {"update": 0, "reward": [0.5, None], "rpe": [None, None]}
    assert second["reward"] == pytest.approx([0.25, 1 / 3], rel=1e-5)
    assert second["rpe"] == pytest.approx([1e-9, 12345678.0], rel=1e-5)


def test_no_line_says_nan_or_infinity_which_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    written(path, 0, math.nan, math.inf, -math.inf)

    def refuse(text: str) -> float:
        raise AssertionError(text)

    for line in path.read_text().splitlines():
        assert json.loads(line, parse_constant=refuse)["reward"] == [None]


def test_reading_gives_update_by_seed_and_nan_where_there_is_no_number(
    tmp_path: Path,
) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsFile(path, 0, [4, 5, 6]) as metrics:
        for update in range(2):
            metrics.write(update, {"reward": [update, math.nan, 2.5], "rpe": [1, 2, 3]})
    found = read_metrics(path)
    assert list(found) == ["reward", "rpe"]
    assert all(values.shape == (2, 3) for values in found.values())
    assert all(values.dtype == np.float32 for values in found.values())
    np.testing.assert_array_equal(found["reward"], [[0, np.nan, 2.5], [1, np.nan, 2.5]])
    np.testing.assert_array_equal(found["rpe"], [[1, 2, 3], [1, 2, 3]])


def test_an_empty_file_has_no_metrics(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsFile(path, 0, [0]):
        pass
    assert read_metrics(path) == {}


def test_opened_anew_it_keeps_the_updates_done_and_drops_those_after(
    tmp_path: Path,
) -> None:
    path = tmp_path / "metrics.jsonl"
    written(path, 0, 0.0, 0.1, 0.2, 0.3, 0.4)
    written(path, 3, 3.5, 4.5)
    assert [line["update"] for line in lines_of(path)] == [0, 1, 2, 3, 4]
    assert [line["reward"] for line in lines_of(path)] == [
        [0.0],
        [0.1],
        [0.2],
        [3.5],
        [4.5],
    ]


@pytest.mark.parametrize("cut", [1, 2, 5, 20, 25])
def test_a_half_written_last_line_is_survived(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "metrics.jsonl"
    written(path, 0, 0.125, 0.25, 0.375)
    path.write_text(path.read_text()[:-cut])
    whole = 3 if cut == 1 else 2  # but for the end of the line, it is whole
    assert read_metrics(path)["reward"].tolist() == [[0.125], [0.25], [0.375]][:whole]
    written(path, 2, 2.5)
    assert [line["update"] for line in lines_of(path)] == [0, 1, 2]
    assert read_metrics(path)["reward"].tolist() == [[0.125], [0.25], [2.5]]


def test_killed_while_it_is_opened_anew_it_lacks_no_update_that_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those lines are in no other place."""
    path, real_open = tmp_path / "metrics.jsonl", io.open
    written(path, 0, 0.0, 0.1, 0.2, 0.3)

    def killed_when_it_begins_to_write(
        file: Any, mode: str = "r", *rest: Any, **named: Any
    ) -> Any:
        stream = real_open(file, mode, *rest, **named)
        if "w" in mode:
            stream.close()
            raise StoppedError
        return stream

    monkeypatch.setattr(io, "open", killed_when_it_begins_to_write)
    with suppress(StoppedError):
        written(path, 3)
    monkeypatch.undo()
    written(path, 3)
    assert [line["update"] for line in lines_of(path)] == [0, 1, 2]


def test_training_writes_a_line_per_update(small: Small, tmp_path: Path) -> None:
    group = train_group(small(2), [0, 1], tmp_path, silent)
    path = metrics_path(tmp_path, group.name)
    lines = lines_of(path)
    assert [line["update"] for line in lines] == list(range(8))
    assert all(list(line) == ["update", *NAMES] for line in lines)
    found = read_metrics(path)
    assert list(found) == NAMES
    for values in found.values():
        assert values.shape == (8, 2)
        assert np.isfinite(values).all()
    np.testing.assert_allclose(found["reward"], group.reward, rtol=1e-5)


@pytest.mark.parametrize("saved", [0, 2, 5])
def test_resumed_after_a_kill_no_line_is_twice_and_none_missing(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: int
) -> None:
    """It was killed in update 7, its last checkpoint being of an earlier one."""
    whole = train_group(small(2), [0, 1], tmp_path / "whole", silent)
    if saved:
        monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
        asked = iter([False] * (saved - 1) + [True])
        train_group(small(2), [0, 1], tmp_path / "parts", silent, lambda: next(asked))
        monkeypatch.undo()
    learn = Group.learn

    def killed(group: Group) -> None:
        if group.update == 7:
            raise StoppedError
        learn(group)

    with monkeypatch.context() as context:
        context.setattr(Group, "learn", killed)
        with pytest.raises(StoppedError):
            train_group(small(2), [0, 1], tmp_path / "parts", silent)
    path = metrics_path(tmp_path / "parts", whole.name)
    assert len(lines_of(path)) == 7
    left = checkpoints.newest(tmp_path / "parts", whole.name)
    assert (left["update"] if left else 0) == saved
    with path.open("a") as file:
        file.write('{"update": 7, "rew')
    train_group(small(2), [0, 1], tmp_path / "parts", silent)
    expected = metrics_path(tmp_path / "whole", whole.name)
    assert path.read_text() == expected.read_text()


def test_lines_are_on_the_disk_before_the_checkpoint_that_counts_on_them(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[tuple[int, int]] = []
    save = checkpoints.save

    def noted(folder: Path, name: str, update: int, content: dict[str, Any]) -> None:
        found.append((update, len(lines_of(metrics_path(folder, name)))))
        save(folder, name, update, content)

    monkeypatch.setattr(checkpoints, "save", noted)
    monkeypatch.setattr(training, "REPORT_SECONDS", 1e9)
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
    train_group(small(2), [0, 1], tmp_path, silent)
    assert found == [(update, update) for update in range(1, 9)]


def test_where_a_seed_has_left_there_is_no_number(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = Group.learn

    def fails(group: Group) -> None:
        if group.update == 5:
            with torch.no_grad():
                group.network.value_bias[group.network.seeds.index(2)] = torch.nan
        learn(group)

    def only_seed_1(criterion: Stopping, network: Network, task: Any) -> Tensor:
        return torch.tensor([9.0 if seed == 1 else 0.0 for seed in network.seeds])

    monkeypatch.setattr(Group, "learn", fails)
    monkeypatch.setattr(Stopping, "earned", only_seed_1)
    configuration = replace(small(3), stopping=Stopping(every=3, reward=1.0))
    group = train_group(configuration, [0, 1, 2], tmp_path, silent)
    assert group.competent_at.tolist() == [-1, 3, -1]
    assert group.diverged_at.tolist() == [-1, -1, 5]
    lines = lines_of(metrics_path(tmp_path, group.name))
    assert [line["update"] for line in lines] == list(range(8))
    for update, line in enumerate(lines):
        for name in NAMES:
            assert len(line[name]) == 3
            assert line[name][0] is not None
            assert (line[name][1] is None) == (update >= 3), (update, name)
        assert (line["reward"][2] is None) == (update >= 5)
        assert (line["gradient_norm"][2] is None) == (update >= 5)


def test_when_all_have_left_there_are_no_more_lines(
    small: Small, tmp_path: Path
) -> None:
    criterion = Stopping(every=2, episodes=5, reward=-1.0)
    configuration = replace(small(2, updates=50), stopping=criterion)
    for _ in range(2):  # nor when it is asked for again
        group = train_group(configuration, [0, 1], tmp_path, silent)
        lines = lines_of(metrics_path(tmp_path, group.name))
        assert [line["update"] for line in lines] == [0, 1]


TASK, SEEDS, BATCH = TwoStep(trials=4, fixation=True), (0, 1), 3
SETTINGS = replace(
    LearningSettings(), batch=BATCH, value_cost=0.3, max_gradient_norm=0.5
)


def test_metrics_are_those_of_the_loss(
    drawn: Drawn, played: Callable[..., Any]
) -> None:
    network = Network(NetworkSettings(units=5), TASK, SEEDS)
    life = played(copy.deepcopy(network), *drawn(TASK, len(SEEDS), BATCH, 0))
    learner = Learner(network, SETTINGS, TASK.steps)
    update = learner.update(*drawn(TASK, len(SEEDS), BATCH, 0))
    policy = life.log_policy.detach().double().exp().numpy()
    value, reward = life.value.detach().double().numpy(), life.reward.double().numpy()
    n = TASK.steps * BATCH
    for seed in range(len(SEEDS)):
        entropy = rpe = error = 0.0
        for episode in range(BATCH):
            ahead = next_value = 0.0
            for step in reversed(range(TASK.steps)):
                p = policy[step, seed, :, episode]
                entropy += -sum(q * math.log(q) for q in p) / n
                v, r = value[step, seed, episode], reward[step, seed, episode]
                rpe += abs(r + SETTINGS.discount * next_value - v) / n
                ahead, next_value = r + SETTINGS.discount * ahead, v
                error += (ahead - v) ** 2 / n
        found = {name: float(values[seed]) for name, values in update.metrics.items()}
        assert found["entropy"] == pytest.approx(entropy, rel=1e-5)
        assert found["rpe"] == pytest.approx(rpe, rel=1e-5)
        assert found["value_error"] == pytest.approx(error, rel=1e-5)
        clipped = math.sqrt(
            sum(float(w.grad[seed].square().sum()) for w in network.parameters())
        )
        assert clipped == pytest.approx(0.5, rel=1e-5)
        assert found["gradient_norm"] > 0.5  # before clipping


def test_the_norm_is_that_before_clipping(drawn: Drawn) -> None:
    norms = []
    for bound in (0.5, 1e9):
        network = Network(NetworkSettings(units=5), TASK, SEEDS)
        settings = replace(SETTINGS, max_gradient_norm=bound)
        learner = Learner(network, settings, TASK.steps)
        update = learner.update(*drawn(TASK, len(SEEDS), BATCH, 0))
        norms.append(update.metrics["gradient_norm"])
    assert torch.equal(*norms)
    whole = sum(w.grad.flatten(1).square().sum(1) for w in network.parameters()).sqrt()
    torch.testing.assert_close(norms[1], whole)


def test_metrics_change_nothing_that_is_learned(small: Small, tmp_path: Path) -> None:
    group = train_group(small(2), [0, 1], tmp_path, silent)
    alone = Group(small(2), [0, 1])
    for _ in range(8):
        alone.learn()
    for position in (0, 1):
        expected = alone.seed_weights(position)
        for name, weight in group.seed_weights(position).items():
            assert torch.equal(weight, expected[name])


def test_without_tensorboard_it_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)

    def refused() -> str:
        with pytest.raises(InputError) as error:
            MetricsFile(tmp_path / "metrics.jsonl", 0, [0], tmp_path / "board")
        return str(error.value)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        message = refused()
        gc.collect()
    assert "TensorBoard is not installed; pip install" in message
    assert "\n" not in message
    left_open = [str(w.message) for w in caught if w.category is ResourceWarning]
    assert not left_open


def test_tensorboard_gets_a_run_per_seed(small: Small, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")  # an optional extra
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = tmp_path / "board"
    group = train_group(small(2), [0, 1], tmp_path, silent, tensorboard=board)
    found = read_metrics(metrics_path(tmp_path, group.name))
    for seed in (0, 1):
        run = EventAccumulator(str(board / f"seed-{seed:03d}"))
        run.Reload()
        assert set(run.Tags()["scalars"]) == set(NAMES)
        for name in NAMES:
            points = run.Scalars(name)
            assert [point.step for point in points] == list(range(8))
            np.testing.assert_allclose(
                [point.value for point in points], found[name][:, seed], rtol=1e-4
            )
