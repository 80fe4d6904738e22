"""The attractor map counts every seed, and blames the factor that is to blame."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from pfc_metarl.emergence import setting as settings
from pfc_metarl.emergence.cell import Cell, finish
from pfc_metarl.emergence.criterion import Criterion, judged
from pfc_metarl.emergence.experiment import Claim, Plan, Runs
from pfc_metarl.emergence.experiments import attractor_map
from pfc_metarl.emergence.experiments.attractor_grid import (
    AS_SET,
    FACTORS,
    Axis,
    Grid,
    Point,
    Slice,
    at,
    levels_of,
    named,
    one_trial_index,
    spread_over,
)
from pfc_metarl.emergence.experiments.attractor_map import (
    MAP,
    AttractorMap,
    breaks,
    levels_in,
    slice_of,
    time_to_emergence,
)
from pfc_metarl.emergence.levels import levels
from pfc_metarl.emergence.setting import SETTINGS
from pfc_metarl.emergence.sweep import note_of
from pfc_metarl.errors import InputError
from pfc_metarl.files import write_text
from pfc_metarl.netcdf import save_dataset
from pfc_metarl.paper.emergence.attractor_map import caption, draw, timed_slice
from pfc_metarl.stopping import Stopping
from pfc_metarl.tasks.bandit import Bandit, medium_bandit
from pfc_metarl.tasks.two_step import TwoStep
from pfc_metarl.training import Progress

PLAN = Plan(seeds=8)
REFERENCE = SETTINGS["bandit"].configuration(4)
ALL_POINTS = [point for part in MAP.slices for point in part.points()]


def silent(progress: Progress) -> None:
    """Report to nobody."""


@pytest.fixture
def drawn() -> Iterator[Callable[[xr.Dataset], Figure]]:
    yield draw
    plt.close("all")


def test_the_map_has_a_hundred_cells_of_four_seeds() -> None:
    cells = AttractorMap().cells(PLAN)
    assert len(cells) >= 100
    assert len({cell.name for cell in cells.values()}) == len(cells)
    assert {cell.configuration.seeds for cell in cells.values()} == {4}
    assert {cell.setting for cell in cells.values()} == {"bandit"}
    assert {setting for setting, _ in cells} == {"bandit"}


def test_fewer_seeds_than_the_grid_s_are_taken_if_the_plan_says_so() -> None:
    cells = AttractorMap().cells(Plan(seeds=2))
    assert {cell.configuration.seeds for cell in cells.values()} == {2}


def test_the_setting_s_own_cell_is_trained_as_elsewhere_on_the_card() -> None:
    cell = AttractorMap().cells(PLAN)["bandit", AS_SET]
    assert cell.configuration == SETTINGS["bandit"].configuration(4)


def test_every_point_has_its_levels_and_leaves_the_others() -> None:
    as_set = levels_of(REFERENCE)
    for point in ALL_POINTS:
        configuration = at(REFERENCE, point)
        assert levels_of(configuration) == {**as_set, **point}
        assert configuration.learning.batch == REFERENCE.learning.batch
        assert configuration.preset == "emergence"


def test_cells_are_named_by_what_differs() -> None:
    changed = at(REFERENCE, {"memory": "gru", "discount": 0.0, "lifetime": 100})
    assert named(changed, REFERENCE) == "memory gru, discount 0.0"
    assert named(REFERENCE, REFERENCE) == AS_SET


def test_memories_are_as_large_as_the_setting_s_but_for_none() -> None:
    size = {}
    for memory in ("lstm", "gru", "slots", "none"):
        network = at(REFERENCE, {"memory": memory}).network
        assert network.memory == memory
        size[memory] = network.units
    assert size["lstm"] == size["none"] == 48
    assert size["lstm"] < size["gru"] < size["slots"]


def test_training_and_test_have_the_same_lifetime_and_only_training_a_spread() -> None:
    short = at(REFERENCE, {"lifetime": 10, "task_spread": 0.1})
    assert short.task.trials == short.tested_on.trials == 10
    assert short.tested_on == replace(medium_bandit(), trials=10)


def test_validation_has_as_many_trials_in_short_lifetimes() -> None:
    for trials, episodes in ((5, 2000), (10, 1000), (100, 100), (200, 100)):
        stopping = at(REFERENCE, {"lifetime": trials}).stopping
        assert isinstance(stopping, Stopping)
        assert stopping.episodes == episodes
        assert not stopping.leave


def test_competence_is_above_one_trial_s_memory_in_short_lifetimes() -> None:
    for point in ALL_POINTS:
        configuration = at(REFERENCE, point)
        assert configuration.stopping is not None
        one = one_trial_index(configuration.task.trials)
        assert configuration.stopping.fraction >= max(0.8, one + 0.07)


@pytest.mark.parametrize("width", [0.05, 0.25, 0.4])
def test_problems_are_spread_evenly_within_their_bounds(width: float) -> None:
    task = spread_over(Bandit(trials=7), width)
    ps = np.array([p for p, _ in task.problems])
    assert task.trials == 7
    assert 0.5 - width < ps.min() < ps.max() < 0.5 + width
    assert np.sort(1 - ps) == pytest.approx(ps)
    assert not (ps == 0.5).any()
    assert ps.var() == pytest.approx((2 * width) ** 2 / 12, rel=0.01)  # uniform
    assert all(p + q == pytest.approx(1) for p, q in task.problems)


def test_the_widest_spread_is_the_correlated_bandit_itself() -> None:
    assert spread_over(spread_over(Bandit(), 0.1), 0.5) == Bandit()


@pytest.mark.parametrize("width", [0.0, -0.1, 0.6])
def test_a_spread_that_cannot_be_is_refused(width: float) -> None:
    with pytest.raises(InputError, match=r"expected above 0, up to 0\.5"):
        spread_over(Bandit(), width)


def test_tasks_without_a_spread_are_refused() -> None:
    configuration = replace(REFERENCE, task=TwoStep(), test_task=None)
    with pytest.raises(InputError, match="the task is TwoStep; expected Bandit"):
        at(configuration, {"task_spread": 0.1})


@pytest.mark.parametrize("trials", [5, 10, 20])
def test_one_trial_s_index_is_what_the_player_shows(trials: int) -> None:
    p = levels(replace(medium_bandit(), trials=trials), 20_000).p_correct.mean("trial")
    one, ideal = (p.sel(player=name) for name in ("win-stay-lose-shift", "ideal"))
    simulated = float((one - 0.5) / (ideal - 0.5))
    assert one_trial_index(trials) == pytest.approx(simulated, abs=0.02)


def test_one_trial_s_index_is_half_on_the_bandit_of_the_paper() -> None:
    assert one_trial_index(100) == pytest.approx(0.52, abs=0.01)


@pytest.mark.parametrize("trials", [5, 10, 25, 50])
def test_at_every_lifetime_the_ideal_emerges_and_one_trial_s_memory_does_not(
    trials: int,
) -> None:
    n = 1000
    scale = levels(replace(medium_bandit(), trials=trials), n)
    curves = scale.p_correct.rename(player="seed")
    first = xr.full_like(curves.isel(trial=0, drop=True), 0.5)
    played = xr.Dataset(
        {
            "p_correct": curves,
            "after_reset": first,
            "accuracy": curves.mean("trial"),
            "accuracy_sem": first * 0.6 / n**0.5,  # of 0.3 by episode, more than any
        },
        attrs={"one_trial": "win-stay-lose-shift"},
    )
    emerged = judged(played, scale, Criterion()).emerged
    assert emerged.sel(seed="ideal")
    assert not emerged.sel(seed="win-stay-lose-shift")


def test_unknown_factors_and_equal_names_are_refused() -> None:
    good, bad = Axis("discount", (0.5,)), Axis("luck", (1, 2))
    with pytest.raises(InputError, match="no factor 'luck'; expected some of memory"):
        Grid((Slice("one", good, bad),))
    with pytest.raises(InputError, match="no factor 'luck'"):
        Grid((Slice("one", good, good, (("luck", 3),)),))
    with pytest.raises(InputError, match="expected different names"):
        Grid((Slice("one", good, good), Slice("one", good, good)))


SMALL = Grid(
    (
        Slice(
            "lifetime x discount",
            Axis("lifetime", (10, 22)),
            Axis("discount", (0.0, 0.5)),
        ),
    )
)


@pytest.fixture
def partly_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runs:
    """Two of four cells trained for a moment, one failed."""
    torch.set_num_threads(1)
    bandit = SETTINGS["bandit"]
    tiny = replace(
        bandit,
        task=Bandit(trials=22),
        test_task=replace(medium_bandit(), trials=22),
        learning=replace(bandit.learning, updates=2, batch=3),
        units=5,
    )
    monkeypatch.setitem(settings.SETTINGS, "bandit", tiny)
    cells = AttractorMap(SMALL).cells(PLAN)
    finish(cells["bandit", AS_SET], tmp_path, silent)
    finish(cells["bandit", "discount 0.0, lifetime 10"], tmp_path, silent)
    failed = cells["bandit", "lifetime 10"]
    write_text(note_of(failed, tmp_path), "RuntimeError: the disk is full\n")
    return Runs(tmp_path)


def test_cells_that_failed_or_were_not_run_are_told_apart_and_not_counted(
    partly_run: Runs, drawn: Callable[[xr.Dataset], Figure]
) -> None:
    of = AttractorMap(SMALL)
    results = of.analyse(PLAN, partly_run)
    states = dict(
        zip(results.condition.values, results.state.values.tolist(), strict=True)
    )
    assert states == {
        AS_SET: "finished",
        "discount 0.0, lifetime 10": "finished",
        "lifetime 10": "failed",
        "discount 0.0": "not run",
    }
    done = results.state.values == "finished"
    assert results.emerged.notnull().all("seed").values.tolist() == done.tolist()
    assert results.sizes["seed"] == 4
    assert (results.episodes.isel(condition=done) == 6).all()
    assert not (
        partly_run.root / of.cells(PLAN)["bandit", "discount 0.0"].name
    ).exists()
    first, second, _ = of.claims(results)
    assert "0 of 8 networks [0.00, 0.32]" in first.statistic
    assert "none in 2 (left out: 1 failed, 1 not run)" in second.statistic
    assert first.verdict == "not shown"
    saved = partly_run.root / "results.nc"
    save_dataset(results, saved)
    read = xr.load_dataset(saved, engine="h5netcdf")
    assert texts(drawn(read)).count("0/4") == 2
    assert of.claims(read) == of.claims(results)
    assert "of the map's cells 1 failed, 1 not run" in " ".join(caption(read))


def test_an_empty_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none of the 4 cells .* run some first"):
        AttractorMap(SMALL).analyse(PLAN, Runs(tmp_path))


class MadeUp(Runs):
    """Cells that show what is wanted, by their levels."""

    def __init__(
        self, emerge: Callable[[Point], int], diverge: Callable[[Point], int]
    ) -> None:
        super().__init__(Path("nowhere"))
        object.__setattr__(self, "emerge", emerge)
        object.__setattr__(self, "diverge", diverge)

    emerge: Callable[[Point], int]
    diverge: Callable[[Point], int]

    def measured(self, cell: Cell) -> xr.Dataset:
        """Let the first seeds emerge, and the last diverge in the fifth update."""
        seed = np.arange(cell.configuration.seeds)
        point = levels_of(cell.configuration)
        emerged = seed < self.emerge(point)
        diverged = seed >= len(seed) - self.diverge(point)
        index = np.where(emerged, 0.9, 0.2)
        return xr.Dataset(
            {
                "emerged": ("seed", emerged),
                "adaptation_index": ("seed", index),
                "late_index": ("seed", index),
                "competent_at": ("seed", np.where(emerged, 10 * (1 + seed), -1)),
                "diverged_at": ("seed", np.where(diverged, 5, -1)),
            },
            coords={"seed": seed},
        )


def diverge_never(point: Point) -> int:
    return 0


@lru_cache
def made_up(
    emerge: Callable[[Point], int],
    diverge: Callable[[Point], int] = diverge_never,
    grid: Grid = MAP,
) -> xr.Dataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attractor_map, "state_of", lambda cell, root: "finished")
        return AttractorMap(grid).analyse(PLAN, MadeUp(emerge, diverge))


def with_memory(point: Point) -> int:
    return 0 if point["memory"] == "none" else 4


def near_sighted(point: Point) -> int:
    """Emerge in seeds with a memory that discount the future enough."""
    by_discount = {0.0: 4, 0.5: 4, 0.8: 3, 0.9: 1, 0.95: 0}
    return min(with_memory(point), by_discount[float(point["discount"])])


def rows(results: xr.Dataset) -> dict[str, Claim]:
    first, *slices, last = AttractorMap().claims(results)
    named = {str(n): row for n, row in zip(results.slice.values, slices, strict=True)}
    return {"map": first, **named, "again": last}


def test_if_all_emerge_the_attractor_is_shown() -> None:
    found = rows(made_up(with_memory))
    assert found["map"].verdict == found["again"].verdict == "shown"
    assert "404 of 404 networks [0.99, 1.00]" in found["map"].statistic
    assert "without memory 0 of 20 networks" in found["map"].statistic
    assert found["lifetime x task spread"].verdict == "shown"
    assert found["memory x discount"].verdict == "depends"
    assert found["memory x discount"].on == (
        "breaks at memory none (0/20); elsewhere 80 of 80 networks [0.95, 1.00]"
    )
    few = found["optimiser x learning rate"]
    assert "48 of 48 networks [0.93, 1.00]" in few.statistic
    assert few.verdict == "shown"


def test_forty_seeds_can_show_it_and_thirty_cannot() -> None:
    axis = Axis("trace_decay", (0.9, 1.0))
    for n, verdict in ((5, "shown"), (4, "depends")):
        other = Axis("discount", tuple(0.1 * k for k in range(n)))
        grid = Grid((Slice("some", axis, other),))
        (_, row, _) = AttractorMap(grid).claims(made_up(with_memory, grid=grid))
        assert row.verdict == verdict
        assert row.on == ("no level stands out" if verdict == "depends" else "")


def test_what_is_not_run_cannot_be_shown() -> None:
    results = made_up(with_memory, grid=Grid(MAP.slices[2:3])).copy(deep=True)
    results["emerged"][7] = np.nan
    results["state"][7] = "not run"
    first, row, _ = AttractorMap().claims(results)
    assert "140 of 140 networks" in first.statistic
    assert first.verdict == row.verdict == "depends"
    assert first.on == "on cells left out (1 not run); see the slices"


def test_if_none_emerges_it_is_not_shown() -> None:
    grid = Grid(MAP.slices[:1])
    found = rows(made_up(lambda point: 0, grid=grid))
    assert {row.verdict for row in found.values()} == {"not shown"}
    assert found["map"].on == ""
    assert found["memory x discount"].on.startswith("reliable nowhere: memory lstm")


def test_it_breaks_at_the_levels_that_are_to_blame() -> None:
    results = made_up(near_sighted)
    found = rows(results)
    assert found["map"].verdict == "depends"
    assert found["map"].on == "on discount; see the slices"
    row = found["memory x discount"]
    assert row.on == (
        "breaks at memory none (0/20); discount 0.95 (0/16), 0.9 (4/16), 0.8 (12/16); "
        "elsewhere 32 of 32 networks [0.89, 1.00]"
    )
    assert found["lifetime x task spread"].on == ""
    parts = breaks(results, "memory x discount")
    assert [(factor, level) for factor, level, *_ in parts.at] == [
        ("memory", "none"),
        ("discount", 0.95),
        ("discount", 0.9),
        ("discount", 0.8),
    ]
    assert set(parts.elsewhere.discount.values) == {0, 0.5}


def test_where_it_emerges_is_chosen_with_other_seeds_than_it_is_judged_with() -> None:
    results = made_up(near_sighted)
    row = rows(results)["again"]
    chosen, _, others = row.statistic.partition(" cells in which the first 2 seeds ")
    region = results.p_emerged.values >= 0.75  # of the made-up seeds the first emerge
    assert int(chosen) == region.sum()
    later = results.emerged.isel(seed=slice(2, None), condition=region)
    assert f"of the other seeds {int(later.sum())} of {later.size} networks" in others


def test_competent_seeds_that_do_not_meet_the_criterion_are_named() -> None:
    results = made_up(with_memory).copy(deep=True)
    results["emerged"][0, 0] = 0
    text = rows(results)["map"].statistic
    assert "1 were competent at some time and do not meet the criterion" in text


def test_seeds_that_never_were_competent_stay_in_the_curves() -> None:
    """By hand: each cell's seeds at 320, 640, 960 and 1280 episodes, if at all."""
    results = made_up(near_sighted, diverge=lambda point: 1)
    of = slice_of(results, "entropy cost x discount")
    curves = time_to_emergence(of, "discount")
    assert list(curves) == [0, 0.5, 0.8, 0.9, 0.95]
    assert curves[0.5].time.tolist() == [320, 640, 960, 1280]
    assert curves[0.5].share == pytest.approx([0.75, 0.5, 0.25, 0])
    assert curves[0.8].share[-1] == pytest.approx(0.25)
    assert curves[0.9].share[0] == pytest.approx(0.75)
    assert curves[0.95].time.tolist() == [150 * 32]
    assert (curves[0.95].share == 1).all()


def test_levels_are_in_order() -> None:
    results = made_up(with_memory)
    assert levels_in(results, "lifetime") == [5, 10, 25, 50, 100, 200]
    assert levels_in(results, "memory") == ["lstm", "gru", "rnn", "slots", "none"]
    assert set(FACTORS) <= set(results.coords)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_every_cell_is_drawn_in_every_slice_with_its_seeds(
    drawn: Callable[[xr.Dataset], Figure],
) -> None:
    results = made_up(
        near_sighted, diverge=lambda point: int(point["learning_rate"] == 0.05)
    ).copy(deep=True)
    results["emerged"][3] = np.nan
    results["state"][3] = "failed"
    shown = texts(drawn(results))
    inside = results.in_slice.values
    counted = results.emerged.notnull().all("seed").values & inside
    assert sum(text.rstrip("†") in ("0/4", "1/4", "3/4", "4/4") for text in shown) == (
        counted.sum()
    )
    assert shown.count("4/4†") == 2
    nobody = (results.p_emerged == 0).values & counted
    assert shown.count("0/4") == nobody.sum()
    assert "4/4\n[0.51, 1.00]" in shown
    assert "cell\nnot run" in shown


def test_times_are_those_of_slices_that_vary_the_factor(
    drawn: Callable[[xr.Dataset], Figure],
) -> None:
    results = made_up(with_memory)
    assert timed_slice(results, "memory") == "memory x discount"
    assert timed_slice(results, "discount") == "entropy cost x discount"
    assert timed_slice(results, "updates") is None
    grid = Grid(MAP.slices[2:3])
    assert texts(drawn(made_up(with_memory, grid=grid))).count("no cell") == 2
