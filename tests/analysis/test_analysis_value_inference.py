"""Inference is told from experience, by hand and against plain loops."""

import numpy as np
import pytest
import xarray as xr

from pfc_metarl.analysis import value_inference
from pfc_metarl.analysis.value_inference import PAYS, WHEN
from pfc_metarl.errors import DataError

SIDES = [0, 1, 0, 1, 1, 0]
PAYING = [0, 0, 0, 1, 1, 1]  # the third trial of the second block shows side 0


def column(values: list[float]) -> np.ndarray:
    return np.array(values, dtype=float)[:, None, None]


def of(
    values: list[float], target: list[int] = SIDES, valid: bool = True
) -> xr.Dataset:
    return value_inference(
        column(target).astype(int),
        column(PAYING).astype(int),
        column([valid] * 6).astype(bool),
        {"value": column(values)},
    )


def test_the_two_trials_after_a_reversal_are_told_apart() -> None:
    again = of([0, 0, 0, 10, 20, 30])  # side 1 pays on trials n and n + 1
    mean = again["mean"].sel(measure="value").isel(subject=0)
    assert float(mean.sel(when="before", pays="pays")) == 10
    assert float(mean.sel(when="experienced", pays="pays")) == 20
    assert mean.sel(when="inferred").isnull().all()
    other = of([0, 0, 0, 10, 20, 30], target=[0, 1, 0, 1, 0, 0])
    mean = other["mean"].sel(measure="value").isel(subject=0)
    assert float(mean.sel(when="inferred", pays="does not pay")) == 20
    assert mean.sel(when="experienced").isnull().all()
    assert int(other.n.sum()) == 2


def test_a_reversal_counts_only_if_both_targets_were_known_and_it_was_told() -> None:
    assert int(of([0.0] * 6, target=[0, 0, 0, 1, 1, 0]).n.sum()) == 0
    assert int(of([0.0] * 6, valid=False).n.sum()) == 0
    assert int(of([0.0] * 6).n.sum()) == 2


def test_a_reversal_that_is_reversed_at_once_does_not_count() -> None:
    paying = column([0, 0, 0, 1, 0, 0]).astype(int)
    valid = np.ones_like(paying, dtype=bool)
    found = value_inference(column(SIDES).astype(int), paying, valid, {"v": paying})
    assert int(found.n.sum()) == 0


def by_loops(
    target: np.ndarray, paying: np.ndarray, valid: np.ndarray, values: np.ndarray
) -> dict[tuple[int, str, str], list[float]]:
    """Lists of values by (subject, when, pays)."""
    lists: dict[tuple[int, str, str], list[float]] = {}
    for subject in range(target.shape[1]):
        for session in range(target.shape[2]):
            t, p, v = (x[:, subject, session] for x in (target, paying, valid))
            for n in range(1, len(t) - 1):
                start = n - 1
                while start > 0 and p[start - 1] == p[n - 1]:
                    start -= 1
                seen = {t[k] for k in range(start, n) if v[k]}
                if p[n] == p[n - 1] or p[n + 1] != p[n] or not (v[n] and v[n + 1]):
                    continue
                if seen != {0, 1}:
                    continue
                after = "experienced" if t[n + 1] == t[n] else "inferred"
                for trial, when in ((n, "before"), (n + 1, after)):
                    x = values[trial, subject, session]
                    if not np.isnan(x):
                        pays = PAYS[int(t[trial] != p[trial])]
                        lists.setdefault((subject, when, pays), []).append(x)
    return lists


def test_means_contrasts_and_index_are_those_of_plain_loops() -> None:
    draw = np.random.default_rng(0)
    shape = (40, 2, 12)
    target = draw.integers(2, size=shape)
    paying = (np.cumsum(draw.random(shape) < 0.15, axis=0) + draw.integers(2)) % 2
    valid = draw.random(shape) < 0.95
    values = draw.normal(size=shape)
    values[draw.random(shape) < 0.05] = np.nan
    found = value_inference(target, paying, valid, {"x": values, "y": -2 * values})
    lists = by_loops(target, paying, valid, values)
    for (subject, when, pays), own in lists.items():
        here = {"measure": "x", "when": when, "pays": pays}
        assert int(found.n.sel(here)[subject]) == len(own)
        assert float(found["mean"].sel(here)[subject]) == pytest.approx(np.mean(own))
    for subject in (0, 1):
        contrast, error = {}, {}
        for when in WHEN:
            both = [lists[subject, when, pays] for pays in PAYS]
            contrast[when] = np.mean(both[0]) - np.mean(both[1])
            error[when] = np.sqrt(sum(np.var(x, ddof=1) / len(x) for x in both))
        of_x = found.sel(measure="x").isel(subject=subject)
        assert of_x.contrast.values == pytest.approx(list(contrast.values()))
        assert of_x.sem.values == pytest.approx(list(error.values()))
        change = contrast["inferred"] - contrast["before"]
        index = change / (contrast["experienced"] - contrast["before"])
        assert float(of_x["index"]) == pytest.approx(index)
    assert found["index"].sel(measure="y").values == pytest.approx(
        found["index"].sel(measure="x").values
    )


def test_other_shapes_are_refused() -> None:
    good = np.zeros((6, 1, 2), dtype=int)
    with pytest.raises(DataError, match=r"value has shape \(6, 1, 3\)"):
        value_inference(good, good, good == 0, {"value": np.zeros((6, 1, 3))})
