"""Results of the experiments as they could be, made up: networks that learn, or not."""

from functools import cache
from zlib import crc32

import numpy as np
import xarray as xr

from pfc_metarl.emergence.comparison import Comparison, side_by_side
from pfc_metarl.emergence.experiments import EXPERIMENTS
from pfc_metarl.emergence.experiments.every_memory import MEMORIES
from pfc_metarl.emergence.setting import SETTINGS
from pfc_metarl.tasks.observers import IDEAL

NAMES = ("E1", "E2", "E3", "E4", "E5", "E6", "2x2x2")
LEARNS = ("intact", *MEMORIES, "memory + shaped + related")
IDEALS = {"bandit": (0.98, 0.52), "two-step": (0.93, 0.88)}
TRIALS = 30


@cache
def results(
    name: str,
    settings: tuple[str, ...] = ("bandit", "two-step"),
    seeds: int = 3,
    diverged: tuple[int, ...] = (),
) -> xr.Dataset:
    """Results of an experiment; some seeds of the conditions that learn diverged."""
    of = EXPERIMENTS[name]
    assert isinstance(of, Comparison)
    by_cell = {}
    for setting in settings:
        intact = SETTINGS[setting].configuration(seeds)
        trained = MEMORIES if name == "E6" else of.conditions(intact)
        untrained = of.untrained(intact)
        for condition in (*trained, *untrained):
            measured = _measured(setting, condition, seeds, diverged)
            if condition in untrained:
                measured = measured.drop_vars(
                    ["competent_at", "diverged_at", "episodes_to_competence"]
                )
            by_cell[setting, condition] = measured
    found = side_by_side(by_cell)
    return _with_players(found) if name == "E1" else found


def _measured(
    setting: str, condition: str, seeds: int, diverged: tuple[int, ...]
) -> xr.Dataset:
    draw = np.random.default_rng(crc32(f"{setting} {condition}".encode()))
    ideal, one = IDEALS[setting]
    learns = condition in LEARNS
    end = ideal if learns else 0.5
    trial = np.arange(TRIALS)
    p = 0.5 + (end - 0.5) * (1 - np.exp(-trial / 3)) + 0.01 * draw.random((seeds, 1))
    failed = np.isin(np.arange(seeds), diverged) & learns
    p[failed] = np.nan
    accuracy = p.mean(1)
    index = (accuracy - 0.5) / (ideal - 0.5)
    competent = np.where(learns & ~failed, 40, -1)
    by_seed = {
        "adaptation_index": index,
        "low": index - 0.02,
        "high": index + 0.02,
        "late_index": (p[:, -6:].mean(1) - 0.5) / (ideal - 0.5),
        "first": p[:, 0],
        "after_reset": p[:, 0],
        "slope": np.full(seeds, 0.01),
        "reward": accuracy / 2 + 0.25,
        "emerged": index > 0.8,
        "competent_at": competent,
        "diverged_at": np.where(failed, 7, -1),
        "episodes_to_competence": np.where(competent > 0, 32.0 * competent, np.nan),
        "episodes": np.full(seeds, 4800.0),
    }
    sides = np.stack([accuracy, accuracy], -1)
    if condition == "1 problem":
        sides += np.array([0.45, -0.45])
    return xr.Dataset(
        {name: ("seed", values) for name, values in by_seed.items()}
        | {
            "p_correct": (("seed", "trial"), p),
            "p_correct_by_side": (("seed", "side"), sides),
        },
        coords={"seed": np.arange(seeds), "trial": trial},
        attrs={"ideal_accuracy": ideal, "one_trial_index": one},
    )


def _with_players(found: xr.Dataset) -> xr.Dataset:
    p = found.p_correct.isel(condition=0, drop=True)
    half = TRIALS // 2
    again = p.where(p.trial < half, p.shift(trial=half))
    curves = {IDEAL: 0.95, "Thompson": 0.9, "UCB1": 0.85}
    last = {"bandit": "win-stay-lose-shift", "two-step": "last trial"}
    players = [*curves, *last.values()]
    curve = xr.DataArray(
        np.full((len(found.setting), len(players), TRIALS), np.nan),
        coords={"setting": found.setting, "player": players, "trial": found.trial},
        dims=("setting", "player", "trial"),
    )
    for setting in found.setting.values:
        here = curves if setting == "bandit" else {IDEAL: 0.92}
        for player, level in {**here, last[setting]: 0.75}.items():
            curve.loc[setting, player] = level
    return found.assign(
        p_correct_reset=again,
        p_correct_of_player=curve,
        reset_trial=("setting", [half] * len(found.setting)),
    )
