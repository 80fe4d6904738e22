"""The table of tasks says where each is from and what its players earn."""

from pathlib import Path

import pandas as pd
import pytest

from pfc_metarl import cli
from pfc_metarl.paper.task_table import listing, table
from pfc_metarl.tasks import TASKS


def test_every_task_says_where_it_is_from() -> None:
    found = listing(list(TASKS)).set_index("task")
    assert list(found.index) == list(TASKS)
    assert found.source.str.contains(r"\b(?:19|20)\d\d\b").all()
    assert found.steps_per_trial["harlow-gaze"] == 0
    assert found.steps_per_trial["two-step"] == 2


def test_players_earn_what_is_known_of_them() -> None:
    found = table(["two-step", "harlow"], 400, say=lambda _: None)
    earned = found.set_index(["task", "player"])
    ideal = earned.loc["two-step", "ideal"]
    assert abs(ideal.reward - 70.6) < 4 * ideal.reward_sem
    assert 0 < ideal.reward_sem < 1
    random = earned.loc["two-step", "random"]
    assert abs(random.reward - 50) < 4 * random.reward_sem
    harlow = earned.loc["harlow", "ideal"]
    assert abs(harlow.reward - 5) < 4 * harlow.reward_sem


def test_regret_is_counted_where_probabilities_are_known() -> None:
    found = table(["bandit", "two-step"], 400, say=lambda _: None)
    earned = found.set_index(["task", "player"])
    random = earned.loc["bandit", "random"]
    assert abs(random.regret - 25) < 4 * random.regret_sem
    assert earned.loc["two-step"].regret.isna().all()


def test_episodes_beyond_one_batch_are_other_episodes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pfc_metarl.paper.task_table.NUMBERS_AT_ONCE", 1.0)
    found = table(["harlow"], 90, say=lambda _: None).set_index("player")
    assert found.loc["ideal"].reward_sem > 0


def test_the_command_lists_tasks_and_writes_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["tasks"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(TASKS)
    words = ["tasks", "harlow", "--play", "--episodes", "20"]
    assert cli.main([*words, "--out", str(tmp_path / "table.csv")]) == 0
    assert "harlow, ideal: " in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "table.csv").task.unique() == ["harlow"]


@pytest.mark.parametrize(
    ("words", "wrong"),
    [(["chess"], "no task 'chess'"), (["harlow", "--episodes", "1"], "episodes is 1")],
)
def test_what_cannot_be_played_is_refused_in_one_line(
    words: list[str], wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["tasks", *words]) == 2
    line = capsys.readouterr().err
    assert wrong in line
    assert line.count("\n") == 1
