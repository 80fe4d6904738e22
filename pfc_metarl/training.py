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
from pfc_metarl.metrics import MetricsFile
from pfc_metarl.network import Network
from pfc_metarl.seeds import generator
from pfc_metarl.tasks.base import Episodes, side_by_side

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
    competent_at: tuple[int, ...]  # update after which a seed stopped; -1: it did not


class Group:
    """Seeds in training side by side; all that a checkpoint holds.

    A seed whose loss or gradient is no finite number, or that is competent by the
    configuration's criterion, leaves: its weights stay as they are and it costs nothing
    more, while the others go on.

    Attributes
    ----------
    network
        The seeds that still learn; :meth:`seed_weights` has those that left, too.
    reward
        (update, seed) mean reward per trial of every update; NaN after a seed left.
    metrics
        (seed,) by name, of the latest update; see :class:`pfc_metarl.learning.Update`.
    diverged_at, competent_at
        (seed,) update in which it diverged, after which it was competent; -1: it was
        not.
    """

    def __init__(self, configuration: Configuration, seeds: Sequence[int]) -> None:
        self.configuration, self.seeds = configuration, list(seeds)
        updates, n = configuration.learning.updates, len(self.seeds)
        self.generators = [generator(seed, "training") for seed in self.seeds]
        self.reward = torch.full((updates, n), torch.nan)
        self.metrics: dict[str, Tensor] = {}
        self.diverged_at = torch.full((n,), -1)
        self.competent_at = torch.full((n,), -1)
        self.update = 0
        self._left: dict[int, dict[str, Tensor]] = {}  # weights by position
        self._here = list(range(n))  # positions of the seeds that still learn
        if configuration.stopping is not None:
            configuration.stopping.check(configuration.tested_on)
        self._needed: float | None = None  # found out when first asked
        self._gather()

    def _gather(self) -> None:
        """Make network and learner of the seeds that still learn."""
        configuration = self.configuration
        seeds = [self.seeds[position] for position in self._here]
        network = Network(configuration.network, configuration.task, seeds)
        self.network = network.to(configuration.device)
        self.learner = Learner(
            self.network,
            configuration.learning,
            configuration.task.steps,
            compiled=configuration.kernels == "compiled",
        )

    @property
    def name(self) -> str:
        """What its checkpoints are called."""
        return group_name(self.seeds)

    def seed_weights(self, position: int) -> dict[str, Tensor]:
        """Return the parameters of one seed, whether it still learns or has left."""
        if position in self._left:
            return self._left[position]
        return self.network.seed_weights(self._here.index(position))

    def learn(self) -> None:
        """Do one update; seeds that diverge in it or are competent after it leave."""
        configuration, here = self.configuration, torch.tensor(self._here)
        done = self.update / max(configuration.learning.updates - 1, 1)
        update = self.learner.update(*self._draw(), done=done)
        sound = update.sound.cpu()
        per_trial = update.reward.sum(0).mean(-1).cpu() / configuration.task.trials
        self.reward[self.update, here] = per_trial.masked_fill(~sound, torch.nan)
        self.metrics = {
            name: torch.full((len(self.seeds),), torch.nan).index_copy_(
                0, here, values.cpu()
            )
            for name, values in update.metrics.items()
        }
        self.diverged_at[here[~sound]] = self.update
        self.update += 1
        stopping = configuration.stopping
        ends = self.update == configuration.learning.updates
        if stopping is not None and (ends or self.update % stopping.every == 0):
            if self._needed is None:
                self._needed = stopping.needed(configuration.tested_on)
            earned = stopping.earned(self.network, configuration.tested_on)
            first = self.competent_at[here] < 0
            competent = here[sound & first & (earned >= self._needed)]
            self.competent_at[competent] = self.update
        self._let_go()
        if not self._here:  # nothing is left to learn
            self.update = len(self.reward)

    def _let_go(self) -> None:
        stopping = self.configuration.stopping
        stops = stopping is not None and stopping.leave
        ended = ((self.diverged_at >= 0) | (self.competent_at >= 0) & stops).tolist()
        stay = [row for row, position in enumerate(self._here) if not ended[position]]
        if len(stay) == len(self._here):
            return
        network, optimiser = self.network, self.learner.optimiser.state_dict()
        for row, position in enumerate(self._here):
            if ended[position]:
                self._left[position] = network.seed_weights(row)
        self._here = [self._here[row] for row in stay]
        if stay:
            self._gather()
            for row, before in enumerate(stay):
                self.network.load_seed_weights(row, network.seed_weights(before))
            self.learner.optimiser.load_state_dict(_of_seeds(optimiser, stay))

    def _draw(self) -> tuple[Episodes, Tensor]:
        """Draw each seed's episodes and exploration from its own generator."""
        task, batch = self.configuration.task, self.configuration.learning.batch
        curriculum = self.configuration.curriculum
        tapes, noise = [], []
        for position in self._here:
            draw = self.generators[position]
            tapes.append(curriculum.draw(task, batch, self.seeds[position], draw))
            noise.append(exploration_noise(task.steps, task.n_actions, batch, draw))
        device = self.configuration.device
        exploration = torch.stack(noise, dim=1).to(device)
        return task.begin(side_by_side(tapes, device)), exploration

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold to go on with the same bits."""
        return {
            "configuration": self.configuration.as_json(),
            "seeds": self.seeds,
            "network": self.network.state_dict(),
            "optimiser": self.learner.optimiser.state_dict(),
            "generators": [draw.get_state() for draw in self.generators],
            "reward": self.reward[: self.update].clone(),  # not the whole buffer
            "diverged_at": self.diverged_at,
            "competent_at": self.competent_at,
            "here": self._here,
            "left": self._left,
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
            self.seeds,
        ):
            raise InputError(
                f"checkpoint of {self.name}: made with another configuration; "
                "choose another --out"
            )
        self.update = state["update"]
        self._here, self._left = state["here"], state["left"]
        if self._here:
            self._gather()
            self.network.load_state_dict(state["network"])
            self.learner.optimiser.load_state_dict(state["optimiser"])
        for draw, saved in zip(self.generators, state["generators"], strict=True):
            draw.set_state(saved)
        self.reward[: self.update] = state["reward"]
        self.diverged_at = state["diverged_at"]
        self.competent_at = state["competent_at"]


def group_name(seeds: Sequence[int]) -> str:
    """Return what the files of a group of seeds are called."""
    return f"seeds-{seeds[0]:03d}-{seeds[-1]:03d}"


def _of_seeds(optimiser: dict[str, Any], rows: list[int]) -> dict[str, Any]:
    """Keep some seeds' part of an optimiser's state; its counts are of all."""
    return optimiser | {
        "state": {
            parameter: {
                name: value[rows] if value.dim() else value
                for name, value in averages.items()
            }
            for parameter, averages in optimiser["state"].items()
        }
    }


def train_group(
    configuration: Configuration,
    seeds: Sequence[int],
    folder: Path,
    report: Callable[[Progress], None],
    stop: Callable[[], bool] = lambda: False,
    tensorboard: Path | None = None,
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
    tensorboard
        Folder for a TensorBoard log; None: none.

    Returns
    -------
    Group
        Trained, or stopped; its last checkpoint is written.
    """
    group = Group(configuration, seeds)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / f"{group.name}.lock", timeout=LOCK_SECONDS):
            _train(group, folder, report, stop, tensorboard)
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
    tensorboard: Path | None,
) -> None:
    saved = checkpoints.newest(folder, group.name)
    if saved is not None:
        group.restore(saved)
    learning, task = group.configuration.learning, group.configuration.task
    began, steps, steps_per_seed = time.monotonic(), 0, task.steps * learning.batch
    last_report = last_checkpoint = began
    if group.update:
        report(_progress(group, 0.0))
    with MetricsFile(
        metrics_path(folder, group.name), group.update, group.seeds, tensorboard
    ) as metrics:
        while group.update < learning.updates:
            update = group.update
            steps += len(group.network.seeds) * steps_per_seed
            group.learn()
            reward = {"reward": group.reward[update]}
            by_name = {n: v.tolist() for n, v in (reward | group.metrics).items()}
            metrics.write(update, by_name)
            now, leave = time.monotonic(), stop() or group.update == learning.updates
            if now - last_report > REPORT_SECONDS or leave:
                report(_progress(group, steps / (now - began)))
                metrics.flush()
                last_report = now
            if now - last_checkpoint > CHECKPOINT_SECONDS or leave:
                metrics.flush()  # before the checkpoint that counts on it
                checkpoints.save(folder, group.name, group.update, group.state())
                last_checkpoint = now
            if leave:
                break


def metrics_path(folder: Path, name: str) -> Path:
    """Return where the metrics of a group lie, beside its checkpoints."""
    return folder / f"{name}.metrics.jsonl"


def _progress(group: Group, steps_per_second: float) -> Progress:
    learning = group.configuration.learning
    return Progress(
        tuple(group.seeds),
        group.update,
        learning.updates,
        tuple(_latest_reward(group, at) for at in range(len(group.seeds))),
        steps_per_second,
        tuple(group.competent_at.tolist()),
    )


def _latest_reward(group: Group, position: int) -> float:
    """Mean of the last ten updates that a seed took part in; NaN if it diverged."""
    if group.diverged_at[position] >= 0:
        return float("nan")
    competent_at = int(group.competent_at[position])
    stopping = group.configuration.stopping
    left = competent_at >= 0 and stopping is not None and stopping.leave
    last = competent_at if left else group.update
    return float(group.reward[max(0, last - 10) : last, position].mean())
