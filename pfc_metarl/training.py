"""Training: the loop around the slow learning, for a group of seeds side by side."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from pfc_metarl import checkpoints
from pfc_metarl.configuration import Configuration
from pfc_metarl.errors import InputError
from pfc_metarl.learning import Learner, exploration_noise
from pfc_metarl.network import Network
from pfc_metarl.seeds import generator
from pfc_metarl.tasks import side_by_side

CHECKPOINT_SECONDS = 3.0
REPORT_SECONDS = 0.25
LOCK_SECONDS = 30.0  # a child of a killed run may live on for a moment


@dataclass(frozen=True)
class Progress:
    """How far a group of seeds has come."""

    seeds: tuple[int, ...]
    update: int
    updates: int
    reward: tuple[float, ...]  # per trial, latest updates, by seed; NaN: diverged
    steps_per_second: float  # all seeds of the group together


@dataclass
class Group:
    """Seeds in training side by side; all that a checkpoint holds.

    ``reward`` is the mean reward per trial of every update so far, (update, seed).
    ``diverged_at`` (seed,) is the update whose loss or gradient was no finite number,
    -1 if there was none: from then on that seed's weights stay and its rewards are NaN,
    while the others go on.
    """

    configuration: Configuration
    seeds: Sequence[int]

    def __post_init__(self) -> None:
        """Start every seed from its own generators."""
        task, learning = self.configuration.task, self.configuration.learning
        network = Network(self.configuration.network, task, self.seeds)
        self.network = network.to(self.configuration.device)
        self.learner = Learner(self.network, learning, task.steps)
        self.generators = [generator(seed, "training") for seed in self.seeds]
        self.reward = torch.zeros(learning.updates, len(self.seeds))
        self.diverged_at = torch.full((len(self.seeds),), -1)
        self.update = 0

    @property
    def learns(self) -> Tensor:
        """(seed,) bool: which seeds have not diverged."""
        return self.diverged_at < 0

    @property
    def name(self) -> str:
        """What its checkpoints are called."""
        return f"seeds-{self.seeds[0]:03d}-{self.seeds[-1]:03d}"

    def learn(self) -> None:
        """Do one update; seeds that diverge in it are noted and learn no more."""
        learns = self.learns.to(self.configuration.device)
        reward, sound = self.learner.update(*self._draw(), learns)
        self.diverged_at[self.learns & ~sound.cpu()] = self.update
        per_trial = reward.sum(0).mean(-1) / self.configuration.task.trials
        self.reward[self.update] = per_trial.cpu().masked_fill(~self.learns, torch.nan)
        self.update += 1
        if not self.learns.any():  # nothing is left to learn
            self.reward[self.update :] = torch.nan
            self.update = len(self.reward)

    def _draw(self) -> tuple[Any, Tensor]:
        """Draw each seed's episodes and exploration from its own generator."""
        task, batch = self.configuration.task, self.configuration.learning.batch
        tapes, noise = [], []
        for draw in self.generators:
            tapes.append(task.draw(batch, draw))
            noise.append(exploration_noise(task.steps, task.n_actions, batch, draw))
        device = self.configuration.device
        exploration = torch.stack(noise, dim=1).to(device)
        return task.begin(side_by_side(tapes, device)), exploration

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold to go on with the same bits."""
        return {
            "configuration": self.configuration.as_json(),
            "seeds": list(self.seeds),
            "network": self.network.state_dict(),
            "optimiser": self.learner.optimiser.state_dict(),
            "generators": [draw.get_state() for draw in self.generators],
            "reward": self.reward[: self.update].clone(),  # not the whole buffer
            "diverged_at": self.diverged_at,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint.

        Raises
        ------
        InputError
            When it belongs to another configuration or other seeds.
        """
        if (state["configuration"], state["seeds"]) != (
            self.configuration.as_json(),
            list(self.seeds),
        ):
            raise InputError(
                f"checkpoint of {self.name}: made with another configuration; "
                "choose another --out"
            )
        self.update = state["update"]
        self.network.load_state_dict(state["network"])
        self.learner.optimiser.load_state_dict(state["optimiser"])
        for draw, saved in zip(self.generators, state["generators"], strict=True):
            draw.set_state(saved)
        self.reward[: self.update] = state["reward"]
        self.diverged_at = state["diverged_at"]


def train_group(
    configuration: Configuration,
    seeds: Sequence[int],
    folder: Path,
    report: Callable[[Progress], None],
    stop: Callable[[], bool] = lambda: False,
) -> Group:
    """Train a group of seeds to the end, going on from its newest checkpoint.

    Parameters
    ----------
    configuration
        What to train.
    seeds
        The group, one of ``configuration.groups()``.
    folder
        Where its checkpoints lie.
    report
        Called a few times per second.
    stop
        Asked after every update; when it says so, the group is saved and left.

    Returns
    -------
    Group
        Trained, or stopped; its last checkpoint is written.
    """
    group = Group(configuration, seeds)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / f"{group.name}.lock", timeout=LOCK_SECONDS):
            _train(group, folder, report, stop)
    except Timeout:
        raise InputError(
            f"{folder}: another process trains {group.name}; wait for it to end"
        ) from None
    return group


def _train(
    group: Group,
    folder: Path,
    report: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> None:
    saved = checkpoints.newest(folder, group.name)
    if saved is not None:
        group.restore(saved)
    updates = group.configuration.learning.updates
    began, first_update = time.monotonic(), group.update
    last_report = last_checkpoint = began
    if group.update:
        report(_progress(group, 0.0))
    while group.update < updates:
        group.learn()
        now, leave = time.monotonic(), stop() or group.update == updates
        if now - last_report > REPORT_SECONDS or leave:
            report(_progress(group, (group.update - first_update) / (now - began)))
            last_report = now
        if now - last_checkpoint > CHECKPOINT_SECONDS or leave:
            checkpoints.save(folder, group.name, group.update, group.state())
            last_checkpoint = now
        if leave:
            break


def _progress(group: Group, updates_per_second: float) -> Progress:
    learning = group.configuration.learning
    steps = group.configuration.task.steps * learning.batch * len(group.seeds)
    recent = group.reward[max(0, group.update - 10) : group.update].mean(0)
    return Progress(
        tuple(group.seeds),
        group.update,
        learning.updates,
        tuple(recent.tolist()),
        updates_per_second * steps,
    )
