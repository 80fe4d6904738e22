"""What a run is made of: task, network, outer algorithm, seeds; and the presets."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec

import torch

from pfc_metarl.curriculum import Curriculum
from pfc_metarl.errors import InputError
from pfc_metarl.learning import LearningSettings
from pfc_metarl.network import NetworkSettings
from pfc_metarl.stopping import Stopping
from pfc_metarl.tasks import TASKS
from pfc_metarl.tasks.bandit import Bandit
from pfc_metarl.tasks.base import Task
from pfc_metarl.tasks.two_step import TwoStep

SEEDS_PER_GROUP = 4
"""Seeds trained side by side in one process: the same on any number of cores."""


@dataclass(frozen=True)
class Configuration:
    """Everything that determines the result of a training run."""

    task_name: str
    task: Task
    preset: str
    seeds: int
    network: NetworkSettings = field(default_factory=NetworkSettings)
    learning: LearningSettings = field(default_factory=LearningSettings)
    device: str = "cpu"
    kernels: str = "torch"
    stopping: Stopping | None = None
    curriculum: Curriculum = field(default_factory=Curriculum)
    test_task: Task | None = None  # None: the task of training
    test_episodes: int = 300  # a reimplementation of Wang et al. 2018
    recorded_episodes: int = 30  # Wang et al. 2018, RPE analysis of simulation 4

    def __post_init__(self) -> None:
        """Check the numbers of seeds and episodes, test task, device and kernels.

        Raises
        ------
        InputError
            When one cannot be.
        """
        if self.seeds < 1:
            raise InputError(f"seeds is {self.seeds}; expected 1 or more")
        if not 0 <= self.recorded_episodes <= self.test_episodes > 0:
            raise InputError(
                f"test_episodes is {self.test_episodes} and recorded_episodes "
                f"{self.recorded_episodes}; expected 1 or more, and at most as many"
            )
        shape = (self.task.n_observations, self.task.n_actions)
        tested = (self.tested_on.n_observations, self.tested_on.n_actions)
        if shape != tested:
            raise InputError(
                f"test_task has {tested[0]} observations and {tested[1]} actions, the "
                f"task of training {shape[0]} and {shape[1]}; expected as many"
            )
        if self.device not in ("cpu", "cuda"):
            raise InputError(f"no device '{self.device}'; expected cpu or cuda")
        if self.kernels not in ("torch", "compiled"):
            raise InputError(f"no kernels '{self.kernels}'; expected torch or compiled")
        if self.kernels == "compiled" and self.device != "cpu":
            raise InputError(
                f"compiled kernels run on the cpu, not on {self.device}; "
                "use kernels='torch'"
            )

    @property
    def tested_on(self) -> Task:
        """Task of the test and validation episodes."""
        return self.task if self.test_task is None else self.test_task

    def groups(self) -> list[list[int]]:
        """Return the seeds that train side by side; on a GPU all of them."""
        size = self.seeds if self.device != "cpu" else SEEDS_PER_GROUP
        every = list(range(self.seeds))
        return [every[first : first + size] for first in range(0, self.seeds, size)]

    def as_json(self) -> str:
        """Return the configuration as JSON: equal runs, equal text."""
        content = asdict(self)
        # Its fields alone could be another task's, of a user's own class.
        if type(self.task) is not TASKS.get(self.task_name):
            content["task"]["class"] = type(self.task).__name__
        if self.test_task is not None:
            content["test_task"]["class"] = type(self.test_task).__name__
        return json.dumps(content, indent=1, sort_keys=True)

    def digest(self) -> str:
        """Return eight hexadecimal digits that stand for this configuration."""
        return hashlib.sha256(self.as_json().encode()).hexdigest()[:8]

    def folder_name(self) -> str:
        """Return the name of the run's folder, a pure function of the configuration."""
        return f"{self.task_name}-{self.preset}-{self.seeds}seeds-{self.digest()}"


def preset(
    name: str,
    task_name: str,
    seeds: int,
    device: str = "cpu",
    kernels: str = "torch",
) -> Configuration:
    """Return a preset configuration.

    Parameters
    ----------
    name
        A key of :data:`PRESETS` for the task. ``"paper"``: the published settings (of
        the two-step task: one episode at a time, with the fixation step). ``"fast"``:
        what reaches the same behaviour soonest.
    task_name
        A task of :data:`pfc_metarl.tasks.TASKS`.
    seeds
        Number of replicas, seeds 0, 1, ...
    device
        ``"cpu"`` or ``"cuda"``.
    kernels
        ``"torch"`` or ``"compiled"``.

    Raises
    ------
    InputError
        When there is no such preset or task.
    """
    if task_name not in PRESETS:
        raise InputError(f"no task '{task_name}'; expected {' or '.join(PRESETS)}")
    presets = PRESETS[task_name]
    if name not in presets:
        raise InputError(f"no preset '{name}'; expected {' or '.join(presets)}")
    task, learning = presets[name]
    return Configuration(
        task_name,
        task,
        name,
        seeds,
        learning=learning,
        device=device,
        kernels=kernels,
    )


FAST = replace(
    LearningSettings(),
    optimiser="adam",
    learning_rate=1.5e-2,
    discount=0.7,
    trace_decay=0.9,
    optimiser_epsilon=1e-8,
    max_gradient_norm=50.0,
    batch=32,
    updates=200,
)
"""Settings that learn the two-step task soonest (chosen by measurement, ours)."""

FAST_BANDIT = replace(
    FAST,
    algorithm="ppo",
    normalise_advantage=True,
    learning_rate=5e-3,
    discount=0.5,
    value_cost=0.5,
    final_entropy_cost=0.0,
    updates=150,
)
"""Settings that learn the correlated bandit soonest (chosen by measurement, ours).

The number of updates was raised from 100 after seed 6, of seeds 0 to 7, had failed; by
seeds 100 to 107 it was found to be enough.
"""

PRESETS: dict[str, dict[str, tuple[Task, LearningSettings]]] = {
    "two-step": {
        "fast": (TwoStep(), FAST),
        "paper": (TwoStep(fixation=True), LearningSettings()),
    },
    "bandit": {"fast": (Bandit(), FAST_BANDIT)},  # no published one is known in full
}
"""Task and outer algorithm, by task and preset."""


def device_named(name: str) -> str:
    """Return the device to use: ``"cpu"`` or ``"cuda"``.

    Parameters
    ----------
    name
        ``"cpu"``, ``"cuda"``, or ``"auto"``: a GPU if there is one.

    Raises
    ------
    InputError
        When the name is unknown or the device is not there.
    """
    if name not in ("cpu", "cuda", "auto"):
        raise InputError(f"no device '{name}'; expected cpu, cuda or auto")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError("device is cuda but torch finds none; use --device cpu")
    return "cuda" if name != "cpu" and available else "cpu"


def kernels_named(name: str, device: str) -> str:
    """Return the kernels to use: ``"torch"`` or ``"compiled"``.

    Parameters
    ----------
    name
        ``"torch"``, ``"compiled"``, or ``"auto"``: compiled where they can be.
    device
        Where the networks are; compiled kernels are for the CPU.

    Raises
    ------
    InputError
        When the name is unknown, or kernels are asked for that cannot be.
    """
    if name not in ("torch", "compiled", "auto"):
        raise InputError(f"no kernels '{name}'; expected torch, compiled or auto")
    installed = find_spec("numba") is not None
    if name == "compiled" and not installed:
        raise InputError(
            "compiled kernels need numba; pip install 'pfc-metarl[compiled]', "
            "or use --kernels torch"
        )
    if name == "auto":
        return "compiled" if installed and device == "cpu" else "torch"
    return name
