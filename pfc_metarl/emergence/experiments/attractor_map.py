"""E10: how strong an attractor it is: where a learner emerges and where it does not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from pfc_metarl.emergence.cell import Cell
from pfc_metarl.emergence.experiment import Claim, Experiment, Plan, Runs, Verdict
from pfc_metarl.emergence.experiments.attractor_grid import (
    FACTORS,
    Axis,
    Grid,
    Level,
    Slice,
    at,
    in_words,
    levels_of,
    named,
)
from pfc_metarl.emergence.intervals import Interval, Survival, kaplan_meier, wilson
from pfc_metarl.emergence.setting import SETTINGS
from pfc_metarl.emergence.sweep import State, state_of
from pfc_metarl.errors import InputError

SETTING = "bandit"
MARK = 0.9
"""Of P(emerge): the lower bound must be above it."""

AXES = ("down", "across")

FINISHED: State = "finished"
FAILED: State = "failed"
NOT_RUN: State = "not run"

DISCOUNT = Axis("discount", (0.0, 0.5, 0.8, 0.9, 0.95))
TRACE = Axis("trace_decay", (0.9, 1.0))

# A2C changes the weights once per batch, PPO four times: as many changes for both.
A2C = (("algorithm", "a2c"), ("updates", 600))

# Levels: those of the experiment's design (discount, entropy cost), else guesses around
# the setting's.
MAP = Grid(
    (
        Slice(
            "memory x discount",
            Axis("memory", ("lstm", "gru", "rnn", "slots", "none")),
            DISCOUNT,
        ),
        Slice(
            "entropy cost x discount",
            Axis("entropy_cost", (0.0, 0.01, 0.05, 0.1, 0.5)),
            DISCOUNT,
        ),
        Slice(
            "lifetime x task spread",
            Axis("lifetime", (5, 10, 25, 50, 100, 200)),
            Axis("task_spread", (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)),
        ),
        Slice("trace decay x discount, PPO", TRACE, DISCOUNT),
        Slice("trace decay x discount, A2C", TRACE, DISCOUNT, A2C),
        Slice(
            "optimiser x learning rate",
            Axis("optimiser", ("adam", "rmsprop")),
            Axis("learning_rate", (1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2)),
        ),
    )
)
"""The map: 106 cells around the setting's own, in slices of two factors each."""


class AttractorMap(Experiment):
    """Vary two things at a time, and count the seeds in which a learner emerges.

    All cells of a slice train for as many episodes, and are judged at the end: an
    attractor is where training ends, not what it passes. When a seed is first competent
    on validation episodes is noted on the way. A seed whose training diverged counts as
    one in which nothing emerged; a cell that failed or was not run does not count.
    Networks are counted as if they were independent, but all cells share their few
    seeds: intervals are somewhat too narrow. Every memory has the LSTM's settings.

    Lifetime and task spread are two of the three things that decide, in Lange &
    Sprekeler (2022, AAAI; arXiv 2010.04466), whether an agent learns to learn. There it
    is best not to learn where the right behaviour can be told beforehand, or where life
    is too short to use what is learned. Here neither arm is better beforehand, and the
    ideal observer learns in every cell: what does not emerge is not found by the slow
    learning, or not in time.

    Parameters
    ----------
    grid
        The cells; the plan's seeds, if fewer, replace the grid's.
    """

    name = "E10"
    title = "How strong an attractor it is"

    def __init__(self, grid: Grid = MAP) -> None:
        self.grid = grid

    def cells(self, plan: Plan) -> Mapping[tuple[str, str], Cell]:
        """Return every cell of the map once, on the correlated bandit."""
        return {(SETTING, name): cell for _, name, cell in self._cells(plan)}

    def _cells(self, plan: Plan) -> Iterator[tuple[Slice, str, Cell]]:
        """Yield (slice, name, cell), shared cells once for every slice."""
        seeds = min(self.grid.seeds, plan.seeds)
        reference = SETTINGS[SETTING].configuration(seeds, plan.kernels)
        for part in self.grid.slices:
            for point in part.points():
                configuration = at(reference, point)
                name = named(configuration, reference)
                yield part, name, Cell(configuration, SETTING)

    def analyse(self, plan: Plan, runs: Runs) -> xr.Dataset:
        """Count, in every cell that is finished.

        Returns
        -------
        xarray.Dataset
            (condition, seed) ``emerged`` and ``diverged`` (1 or 0),
            ``adaptation_index``, ``late_index``, ``episodes_to_competence`` (NaN:
            never), ``episodes`` of training; NaN in cells that are not finished, which
            ``state`` (condition) tells apart. ``p_emerged``, ``p_low``, ``p_high``
            (condition): share of seeds with Wilson's interval. The level of every
            factor is a coordinate of ``condition``; "as set" is the setting's own cell.
            ``in_slice`` (slice, condition); ``down`` and ``across`` (slice) name
            its factors.

        Raises
        ------
        InputError
            When no cell is finished.
        """
        cells = {name: cell for (_, name), cell in self.cells(plan).items()}
        states = {name: state_of(cell, runs.root) for name, cell in cells.items()}
        finished = [name for name in cells if states[name] == FINISHED]
        if not finished:
            raise InputError(
                f"{runs.root}: none of the {len(cells)} cells of the attractor map is "
                "finished; run some first"
            )
        parts = [_counted(runs.measured(cells[name]), cells[name]) for name in finished]
        found = xr.concat(parts, xr.IndexVariable("condition", finished))
        results = found.reindex(condition=list(cells))
        results["state"] = ("condition", list(states.values()))
        return _with_intervals(results).assign_coords(
            _levels(list(cells.values())) | self._slices(plan)
        )

    def _slices(self, plan: Plan) -> dict[str, tuple[tuple[str, ...] | str, object]]:
        slices = self.grid.slices
        members = {(part.name, name) for part, name, _ in self._cells(plan)}
        names = [name for _, name in self.cells(plan)]
        inside = [[(part.name, name) in members for name in names] for part in slices]
        return {
            "slice": ("slice", [part.name for part in slices]),
            "down": ("slice", [part.down.factor for part in slices]),
            "across": ("slice", [part.across.factor for part in slices]),
            "in_slice": (("slice", "condition"), inside),
        }

    def claims(self, results: xr.Dataset) -> list[Claim]:
        """Judge the map as a whole, its slices, and whether seeds agree."""
        return [
            _everywhere(results),
            *(_throughout(results, str(name)) for name in results.slice.values),
            _again(results),
        ]


def _counted(measured: xr.Dataset, cell: Cell) -> xr.Dataset:
    """Keep of a cell's measures what the map shows, as numbers."""
    learning = cell.configuration.learning
    at_update = measured.competent_at
    kept = measured[["emerged", "adaptation_index", "late_index"]].astype(float)
    episodes = xr.full_like(at_update, learning.batch * learning.updates, dtype=float)
    return kept.drop_attrs().assign(
        diverged=(measured.diverged_at >= 0).astype(float),
        episodes_to_competence=at_update.where(at_update >= 0) * learning.batch,
        episodes=episodes,
    )


def _with_intervals(results: xr.Dataset) -> xr.Dataset:
    n = results.emerged.notnull().sum("seed")
    bounds = [
        wilson(int(emerged), int(of))
        for emerged, of in zip(results.emerged.sum("seed"), n, strict=True)
    ]
    names = ("p_emerged", "p_low", "p_high")
    columns = zip(names, np.array(bounds).T, strict=True)
    return results.assign({name: ("condition", column) for name, column in columns})


def _levels(cells: list[Cell]) -> dict[str, tuple[str, list[Level] | list[bool]]]:
    """Levels of all factors, as coordinates along the conditions."""
    points = [levels_of(cell.configuration) for cell in cells]
    return {factor: ("condition", [p[factor] for p in points]) for factor in FACTORS}


def levels_in(results: xr.Dataset, factor: str) -> list[Level]:
    """Return the levels of a factor: numbers ascending, names as they come."""
    levels = results[factor].values.tolist()
    numbers = all(isinstance(level, int | float) for level in levels)
    return sorted(set(levels)) if numbers else list(dict.fromkeys(levels))


def slice_of(results: xr.Dataset, name: str) -> xr.Dataset:
    """Return the cells of a slice."""
    inside = results.in_slice.sel(slice=name).values
    return results.sel(slice=name).isel(condition=inside)


def time_to_emergence(results: xr.Dataset, factor: str) -> dict[Level, Survival]:
    """Estimate how many episodes pass until seeds are competent, by level of a factor.

    Of all seeds, those that diverged, too: they were followed to the end of training,
    and it did not happen. Cells that are not finished are left out.

    Parameters
    ----------
    results
        Of :meth:`AttractorMap.analyse`, or some of its cells.
    factor
        One of the factors.
    """
    curves = {}
    for level in levels_in(results, factor):
        of = results.isel(condition=results[factor].values == level)
        of = of.isel(condition=of.state.values == FINISHED)
        if of.sizes["condition"]:
            happened = of.episodes_to_competence.notnull().values.ravel()
            times = of.episodes_to_competence.fillna(of.episodes).values.ravel()
            curves[level] = kaplan_meier(times, happened)
    return curves


def share(results: xr.Dataset) -> Interval:
    """Return the share of seeds in which a learner emerged, all cells together."""
    return wilson(*_counts(results))


def _counts(results: xr.Dataset) -> tuple[int, int]:
    return int(results.emerged.sum()), int(results.emerged.notnull().sum())


def _in_words(results: xr.Dataset) -> str:
    k, n = _counts(results)
    found = share(results)
    return f"{k} of {n} networks [{found.low:.2f}, {found.high:.2f}]"


def _cells_in_words(results: xr.Dataset) -> str:
    done = results.p_emerged[results.state.values == FINISHED]
    everyone, nobody = int((done == 1).sum()), int((done == 0).sum())
    text = (
        f"of {done.size} cells all seeds in {everyone}, some in "
        f"{done.size - everyone - nobody}, none in {nobody}"
    )
    left_out = _left_out(results)
    return text + (f" (left out: {left_out})" if left_out else "")


def _left_out(results: xr.Dataset) -> str:
    states = results.state.values.tolist()
    counts = [f"{states.count(s)} {s}" for s in (FAILED, NOT_RUN) if s in states]
    return ", ".join(counts)


def _verdict(results: xr.Dataset) -> Verdict:
    """Judge cells together; what is not finished might be where nothing emerges."""
    if share(results).low > MARK and not _left_out(results):
        return "shown"
    return "depends" if results.emerged.sum() else "not shown"


@dataclass(frozen=True)
class Breaks:
    """Where emergence breaks in a slice.

    Parameters
    ----------
    at
        (factor, level, seeds that emerged, all seeds), the worst first; each is
        counted without the levels before it.
    elsewhere
        The cells at none of these levels.
    """

    at: tuple[tuple[str, Level, int, int], ...]
    elsewhere: xr.Dataset


def breaks(results: xr.Dataset, name: str) -> Breaks:
    """Find the levels at which emergence breaks in a slice.

    The level with the lowest share of seeds, all its cells together, is taken away,
    then the lowest of what is left, until no level of either factor has an upper bound
    below :data:`MARK`. So a level is not blamed for what another factor does to it.
    """
    of = slice_of(results, name)
    of = of.isel(condition=of.state.values == FINISHED)
    emerged, left = of.emerged.values, np.ones(of.sizes["condition"], dtype=bool)
    axes = {str(of[axis].values): levels_in(of, of[axis].item()) for axis in AXES}
    found = []
    while left.any():
        counts = []
        for factor, levels in axes.items():
            for level in levels:
                here = emerged[left & (of[factor].values == level)]
                if here.size and wilson(int(here.sum()), here.size).high < MARK:
                    counts.append((factor, level, int(here.sum()), here.size))
        if not counts:
            break
        worst = min(counts, key=lambda entry: entry[2] / entry[3])
        found.append(worst)
        left &= of[worst[0]].values != worst[1]
    return Breaks(tuple(found), of.isel(condition=left))


def _breaks_in_words(found: Breaks) -> str:
    by_factor: dict[str, list[str]] = {}
    for factor, level, k, n in found.at:
        by_factor.setdefault(factor, []).append(f"{level} ({k}/{n})")
    listed = "; ".join(f"{in_words(f)} {', '.join(of)}" for f, of in by_factor.items())
    if not listed:
        return "no level stands out"
    if not found.elsewhere.sizes["condition"]:
        return f"reliable nowhere: {listed}"
    return f"breaks at {listed}; elsewhere {_in_words(found.elsewhere)}"


def _everywhere(results: xr.Dataset) -> Claim:
    """Judge all cells whose networks have a memory; those without are a control."""
    has_memory = results.memory.values != "none"
    of = results.isel(condition=has_memory)
    control = results.isel(condition=~has_memory)
    statistic = f"{_in_words(of)}; {_cells_in_words(of)}"
    if control.emerged.notnull().any():
        statistic += f"; without memory {_in_words(control)}"
    diverged = int(results.diverged.sum())
    competent = of.episodes_to_competence.notnull()
    lost = int((competent & (of.emerged == 0)).sum())
    statistic += (
        f"; training diverged in {diverged} seeds; {lost} were competent at some time "
        "and do not meet the criterion in the end"
    )
    factors = dict.fromkeys(
        in_words(factor)
        for name in results.slice.values
        for factor, *_ in breaks(of, str(name)).at
    )
    verdict = _verdict(of)
    on = [*factors] or [f"cells left out ({_left_out(of)})"]
    return Claim(
        "bandit: emergence is a strong attractor: a network with memory comes to learn "
        "wherever it starts from in the map",
        statistic,
        f"lower bound above {MARK}, all cells together",
        verdict,
        f"on {', '.join(on)}; see the slices" if verdict == "depends" else "",
    )


def _throughout(results: xr.Dataset, name: str) -> Claim:
    of, found = slice_of(results, name), breaks(results, name)
    verdict = _verdict(of)
    return Claim(
        f"bandit, {name}: a learner emerges throughout",
        f"{_in_words(of)}; {_cells_in_words(of)}",
        f"lower bound above {MARK}, all cells of the slice together",
        verdict,
        _breaks_in_words(found) if found.at or verdict == "depends" else "",
    )


def _again(results: xr.Dataset) -> Claim:
    """Judge the region where it emerges: found with some seeds, judged by the others.

    That keeps the choice of the region out of the estimate.
    """
    half = results.sizes["seed"] // 2
    first, others = results.isel(seed=slice(half)), results.isel(seed=slice(half, None))
    region = (first.emerged == 1).all("seed").values & (half > 0)
    of = others.isel(condition=region)
    left = others.isel(condition=~region & (results.state.values == FINISHED))
    return Claim(
        "bandit: where a learner emerged once, it emerges again",
        f"{int(region.sum())} cells in which the first {half} seeds emerged: of the "
        f"other seeds {_in_words(of)}; in the other cells {_in_words(left)}",
        f"lower bound above {MARK} in the region",
        _verdict(of),
        "" if _verdict(of) == "shown" else "on the seed",
    )
