"""Gymnasium ids of the tasks: ``gymnasium.make("pfc_metarl/TwoStep-v0")``.

Nothing of ours is imported here, since gymnasium 0.29 calls :func:`register_tasks`
while it is itself being imported (entry point ``gymnasium.envs``), and tasks import
torch. Gymnasium 1 has no such entry points: there, ``import pfc_metarl`` calls it.
"""

import ast
from importlib.util import find_spec
from pathlib import Path

NAMESPACE = "pfc_metarl"


def register_tasks() -> None:
    """Register every task of :data:`pfc_metarl.tasks.TASKS` with gymnasium."""
    from gymnasium.envs.registration import register, registry

    for name in task_names():
        if gymnasium_id(name) not in registry:
            register(
                gymnasium_id(name),
                entry_point="pfc_metarl.tasks.environments:environment",
                vector_entry_point=(
                    "pfc_metarl.tasks.vector_environment:vector_environment"
                ),
                kwargs={"task": name},
                # It would refuse what neurogym's PassAction and PassReward add to the
                # first observation; the tests run gymnasium's full checker instead.
                disable_env_checker=True,
            )


def gymnasium_id(task_name: str) -> str:
    """Return a task's id: ``"two-step"`` is called ``"pfc_metarl/TwoStep-v0"``."""
    words = task_name.split("-")
    return f"{NAMESPACE}/{''.join(word.capitalize() for word in words)}-v0"


def task_names() -> list[str]:
    """Return the keys of :data:`pfc_metarl.tasks.TASKS`, read from its source."""
    found = find_spec("pfc_metarl.tasks")
    if found is None or found.origin is None:
        return []
    source = Path(found.origin).read_text(encoding="utf-8")
    for statement in ast.parse(source).body:
        if (
            isinstance(statement, ast.AnnAssign)
            and ast.unparse(statement.target) == "TASKS"
            and isinstance(statement.value, ast.Dict)
        ):
            return [ast.literal_eval(key) for key in statement.value.keys if key]
    return []
