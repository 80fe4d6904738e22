"""Ideal observers and classic baselines, by task: what can be earned, and how."""

from collections.abc import Callable, Mapping
from typing import Any

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.base import Task
from pfc_metarl.tasks.observers.base import Player
from pfc_metarl.tasks.observers.two_step import TwoStepObserver
from pfc_metarl.tasks.two_step import TwoStep

IDEAL = "ideal"

PLAYERS: dict[type[Task], Mapping[str, Callable[[Any], Player]]] = {
    TwoStep: {IDEAL: TwoStepObserver},
}
"""Players by task and name, each made from the task; the strongest first.

The name ``"ideal"`` is kept for exact Bayesian inference.
"""


def players(task: Task) -> dict[str, Player]:
    """Return all players of a task, by name.

    Raises
    ------
    InputError
        When one of them does not know the task's parameters.
    """
    return {name: make(task) for name, make in PLAYERS.get(type(task), {}).items()}


def ideal_observer(task: Task) -> Player:
    """Return the ideal observer of a task.

    Raises
    ------
    InputError
        When the task has none, or none for its parameters.
    """
    known = PLAYERS.get(type(task), {})
    if IDEAL not in known:
        raise InputError(f"{type(task).__name__}: no ideal observer is known")
    return known[IDEAL](task)


__all__ = ["IDEAL", "PLAYERS", "Player", "ideal_observer", "players"]
