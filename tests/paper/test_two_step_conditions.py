from dataclasses import replace
from pathlib import Path

import pytest
import xarray as xr

from pfc_metarl.configuration import Configuration
from pfc_metarl.emergence.conditions import NO_REWARD, RESET, UNTRAINED, variants
from pfc_metarl.paper import two_step_conditions
from pfc_metarl.paper.two_step_conditions import verdicts


def test_every_condition_leaves_all_else_as_it_is(small: Configuration) -> None:
    intact, no_memory, no_reward = variants(small).values()
    assert intact == small
    assert replace(no_memory, network=small.network) == small
    assert replace(no_reward, network=small.network) == small
    assert no_memory.network == replace(small.network, memory="none")
    assert no_reward.network == replace(small.network, reward_input=False)


def test_conditions_are_played_figured_and_reported(
    small: Configuration, tmp_path: Path
) -> None:
    folder = two_step_conditions.reproduce(small, tmp_path, say=lambda _: None)
    curves = xr.load_dataset(folder / "statistics.nc", engine="h5netcdf")
    assert set(curves.condition.values) == set(two_step_conditions.COLOURS)
    assert curves.mean_reward.notnull().all()
    assert (folder / "figure.pdf").stat().st_size > 0
    text = (folder / "report.md").read_text()
    assert all(f"| {name} |" in text for name in curves.condition.values)
    assert two_step_conditions.reproduce(small, tmp_path, say=lambda _: None) == folder


def test_a_condition_is_within_its_mark_only_if_every_seed_is() -> None:
    names = list(two_step_conditions.COLOURS)
    reward = {name: [0.5, 0.5] for name in names} | {"intact": [0.70, 0.68]}
    reward |= {RESET: [0.5, 0.69], NO_REWARD: [0.5, 0.53], UNTRAINED: [0.49, 0.51]}
    curves = xr.Dataset(
        {
            "mean_reward": (
                ("condition", "subject", "trial_in_session"),
                [[[r, r] for r in reward[name]] for name in names],
            )
        },
        coords={"condition": names},
        attrs={"random": 0.5, "ideal_observer": 0.706, "last_trial_observer": 0.68},
    )
    kept = {row[0]: row[-1] for row in verdicts(curves)}
    assert kept == {
        "intact": False,
        RESET: True,
        "no memory": True,
        NO_REWARD: False,
        UNTRAINED: True,
    }
    assert {row[0]: row[1] for row in verdicts(curves)}["intact"] == pytest.approx(0.69)
