"""The tasks: each a distribution of related problems, simulated in batches."""

from pfc_metarl.tasks.base import Episodes, Tape, Task, side_by_side
from pfc_metarl.tasks.two_step import TwoStep

TASKS: dict[str, type[Task]] = {"two-step": TwoStep}
"""Tasks by name: the common tests run over them."""

__all__ = ["TASKS", "Episodes", "Tape", "Task", "TwoStep", "side_by_side"]
