"""The tasks: each a distribution of related problems, simulated in batches."""

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.base import Episodes, Tape, Task, side_by_side
from pfc_metarl.tasks.two_step import TwoStep

TASKS: dict[str, type[Task]] = {"two-step": TwoStep}
"""Tasks by name."""


def task_class(name: str) -> type[Task]:
    """Look up a task by name.

    Raises
    ------
    InputError
        When there is none of that name.
    """
    if name not in TASKS:
        raise InputError(f"no task '{name}'; expected one of {', '.join(TASKS)}")
    return TASKS[name]


__all__ = ["TASKS", "Episodes", "Tape", "Task", "TwoStep", "side_by_side", "task_class"]
