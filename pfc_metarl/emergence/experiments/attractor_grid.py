"""A grid of conditions: named two-dimensional slices through a system's settings."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy import stats

from pfc_metarl.configuration import Configuration
from pfc_metarl.emergence.experiments.every_memory import matched_units, n_parameters
from pfc_metarl.emergence.setting import ADAPTED, with_learning, with_network
from pfc_metarl.errors import InputError
from pfc_metarl.tasks.bandit import CORRELATED, LISTED, Bandit
from pfc_metarl.tasks.base import Task

Level = str | int | float
Point = Mapping[str, Level]
"""A level for every factor that is not as in the setting, by the factor's name."""

AS_SET = "as set"
"""What the cell is called that has the setting's own levels."""

WIDEST = 0.5
N_PROBLEMS = 64  # a guess: enough to stand for all probabilities in between


@dataclass(frozen=True)
class Axis:
    """A factor and the levels at which it is tried."""

    factor: str
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class Slice:
    """A two-dimensional part of the grid; every other factor is held.

    Parameters
    ----------
    name
        In words.
    down, across
        What is varied.
    held
        Factors that are held at another level than the setting's, with the level.
    """

    name: str
    down: Axis
    across: Axis
    held: tuple[tuple[str, Level], ...] = ()

    def points(self) -> Iterator[Point]:
        """Return the points of the slice, row by row."""
        for down, across in product(self.down.levels, self.across.levels):
            yield {
                **dict(self.held),
                self.down.factor: down,
                self.across.factor: across,
            }


@dataclass(frozen=True)
class Grid:
    """Slices, and how many seeds each of their cells has.

    Parameters
    ----------
    slices
        They may share cells, which are trained once.
    seeds
        Networks per cell.

    Raises
    ------
    InputError
        When a factor is unknown or two slices have the same name.
    """

    slices: tuple[Slice, ...]
    seeds: int = 4

    def __post_init__(self) -> None:
        """Check names and factors."""
        names = [part.name for part in self.slices]
        if len(set(names)) < len(names):
            raise InputError(f"slices are {names}; expected different names")
        for part in self.slices:
            held = [factor for factor, _ in part.held]
            for factor in (part.down.factor, part.across.factor, *held):
                if factor not in FACTORS:
                    raise InputError(
                        f"no factor '{factor}'; expected some of {', '.join(FACTORS)}"
                    )


@dataclass(frozen=True)
class Factor:
    """How the level of a factor is read from a configuration, and changed."""

    read: Callable[[Configuration], Level]
    put: Callable[[Configuration, Level], Configuration]


def _of_learning(name: str) -> Factor:
    def read(configuration: Configuration) -> Level:
        level: Level = getattr(configuration.learning, name)
        return level

    return Factor(read, lambda of, level: with_learning(of, **{name: level}))


def _with_memory(configuration: Configuration, level: Level) -> Configuration:
    """Exchange the memory for one with as many parameters; for none, as many units.

    A layer without recurrence would need more than a thousand units to match.
    """
    network, task = configuration.network, configuration.task
    if level == "none":
        return with_network(configuration, memory="none")
    size = n_parameters(network.memory, network.units, task)
    units = matched_units(str(level), size, task)
    return with_network(configuration, memory=str(level), units=units)


def _with_lifetime(configuration: Configuration, level: Level) -> Configuration:
    """Change the trials of an episode, in training and testing alike.

    Validation, which tells when a seed is competent, keeps the number of trials: with
    short lifetimes it has more episodes. As one trial's memory is nearly as good as the
    ideal observer in short ones, a seed must also be half way from it to the ideal.
    """
    trials = int(level)
    stopping = configuration.stopping
    if stopping is not None:
        half_way = (1 + one_trial_index(trials)) / 2
        stopping = replace(
            stopping,
            fraction=round(max(ADAPTED, half_way), 3),
            episodes=max(stopping.episodes, stopping.episodes * 100 // trials),
        )
    return replace(
        configuration,
        task=replace(_bandit(configuration.task), trials=trials),
        test_task=replace(_bandit(configuration.tested_on), trials=trials),
        stopping=stopping,
    )


def one_trial_index(trials: int, p_good: float = 0.75) -> float:
    """Return the adaptation index of win-stay, lose-shift on p and 1 - p.

    It is right with probability p from the second trial on. The ideal observer goes by
    the majority of the n outcomes so far, each of which speaks for the good arm with
    probability p: P(Bin(n, p) > n/2) + P(Bin(n, p) = n/2) / 2.

    Parameters
    ----------
    trials
        Of an episode, 2 or more.
    p_good
        Probability that the good arm pays; the other pays with 1 - p_good.
    """
    n = np.arange(trials)
    outcomes = stats.binom(n, p_good)
    ideal = outcomes.sf(n / 2) + outcomes.pmf(n / 2) / 2
    return float((trials - 1) * (p_good - 0.5) / (ideal - 0.5).sum())


def _spread(configuration: Configuration) -> Level:
    task = _bandit(configuration.task)
    if task.distribution == CORRELATED:
        return WIDEST
    lowest, highest = (f(p for p, _ in task.problems) for f in (min, max))
    n = len(task.problems)
    return round((highest - lowest) / 2 * n / (n - 1), 6)


def _with_spread(configuration: Configuration, level: Level) -> Configuration:
    task = spread_over(_bandit(configuration.task), float(level))
    return replace(configuration, task=task)


def spread_over(task: Bandit, half_width: float) -> Bandit:
    """Confine the problems of the correlated bandit around the hopeless one of 0.5.

    Parameters
    ----------
    task
        The other parameters.
    half_width
        p of an arm is uniform within 0.5 plus or minus this, the other arm's is 1 - p.
        At 0.5, that is the correlated bandit itself; below, there are 64 problems at
        equal distances, none of them 0.5.

    Raises
    ------
    InputError
        When it is not above 0, up to 0.5.
    """
    if not 0 < half_width <= WIDEST:
        raise InputError(f"task spread is {half_width}; expected above 0, up to 0.5")
    if half_width == WIDEST:
        return replace(task, distribution=CORRELATED, problems=())
    offsets = (np.arange(N_PROBLEMS) + 0.5) / N_PROBLEMS * 2 - 1  # of -1 to 1
    ps = [round(0.5 + half_width * float(offset), 9) for offset in offsets]
    problems = tuple((p, round(1 - p, 9)) for p in ps)
    return replace(task, distribution=LISTED, problems=problems)


def _bandit(task: Task) -> Bandit:
    if not isinstance(task, Bandit):
        raise InputError(
            f"the task is {type(task).__name__}; expected Bandit, whose lifetime and "
            "task spread may be varied"
        )
    return task


FACTORS: Mapping[str, Factor] = {
    "memory": Factor(lambda of: of.network.memory, _with_memory),
    **{
        name: _of_learning(name)
        for name in (
            "discount",
            "entropy_cost",
            "learning_rate",
            "optimiser",
            "algorithm",
            "trace_decay",
            "updates",
        )
    },
    "lifetime": Factor(lambda of: of.task.trials, _with_lifetime),
    "task_spread": Factor(_spread, _with_spread),
}
"""What may be varied, by name."""


def in_words(factor: str) -> str:
    """Return what a factor is called in texts."""
    return factor.replace("_", " ")


def levels_of(configuration: Configuration) -> Point:
    """Return the level of every factor in a configuration."""
    return {name: factor.read(configuration) for name, factor in FACTORS.items()}


def at(configuration: Configuration, point: Point) -> Configuration:
    """Return a configuration at a point of the grid.

    What is at that level already is left as it is, so that the setting's own cell has
    the setting's own configuration.

    Raises
    ------
    InputError
        When a level cannot be.
    """
    for name, factor in FACTORS.items():
        if name in point and point[name] != factor.read(configuration):
            configuration = factor.put(configuration, point[name])
    return configuration


def named(configuration: Configuration, reference: Configuration) -> str:
    """Return what a cell is called: by the levels that differ from a reference."""
    mine, theirs = levels_of(configuration), levels_of(reference)
    differ = [name for name in FACTORS if mine[name] != theirs[name]]
    changed = [f"{in_words(name)} {mine[name]}" for name in differ]
    return ", ".join(changed) or AS_SET
