"""A task by its name, with some of its parameters changed."""

from dataclasses import fields
from typing import Any

from pfc_metarl.errors import InputError
from pfc_metarl.tasks import TASKS
from pfc_metarl.tasks.base import Task


def task_with(task: str | type[Task], parameters: dict[str, Any]) -> Task:
    """Return a task with some of its parameters changed.

    Parameters
    ----------
    task
        A name of :data:`pfc_metarl.tasks.TASKS`, or a class of your own.
    parameters
        By name; the others stay as they are by default.

    Raises
    ------
    InputError
        When there is no such task or parameter, or a value is out of range.
    """
    if isinstance(task, str):
        if task not in TASKS:
            raise InputError(f"no task '{task}'; expected {' or '.join(TASKS)}")
        task = TASKS[task]
    kind: Any = task  # a dataclass, as all tasks are
    known = [entry.name for entry in fields(kind)]
    for name in parameters:
        if name not in known:
            raise InputError(
                f"{task.__name__} has no {name}; expected {' or '.join(known)}"
            )
    return task(**parameters)
