"""One simulation from start to end: train, freeze, let it play, record.

A simulation lives in a run folder named by its configuration. What is finished is
reused; a run that was stopped goes on.
"""

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from pfc_metarl import checkpoints
from pfc_metarl.configuration import Configuration
from pfc_metarl.errors import DataError
from pfc_metarl.files import written_atomically
from pfc_metarl.metrics import MetricsFile, read_metrics
from pfc_metarl.netcdf import save_dataset, save_tree
from pfc_metarl.network import Network, weights_hash
from pfc_metarl.parallel import train as train_in_processes
from pfc_metarl.recording import behaviour, hashes, play, recording
from pfc_metarl.run_folder import Results, RunFolder
from pfc_metarl.training import (
    Group,
    Progress,
    group_name,
    metrics_path,
    train_group,
)
from pfc_metarl.trial_files import save
from pfc_metarl.version import __version__

TRAINING, BEHAVIOUR, RECORDING = "training.nc", "behaviour.nc", "recording.nc"


Train = Callable[[Configuration, Path, Callable[[Progress], None], Path | None], None]
"""Trains a configuration: checkpoints' folder, report, folder for TensorBoard."""


def open_run(configuration: Configuration, root: Path) -> RunFolder:
    """Open the run folder of a configuration below ``root``, making it if need be.

    Raises
    ------
    InputError
        When it cannot be written, is not ours, or is in use.
    """
    return RunFolder(root / configuration.folder_name(), configuration.as_json())


def trained(
    configuration: Configuration,
    run: RunFolder,
    report: Callable[[Progress], None],
    tensorboard: bool = False,
    train: Train = train_in_processes,
) -> Network:
    """Return the trained networks of a run, training them first if need be.

    Parameters
    ----------
    configuration
        What to train.
    run
        Its folder; gets ``weights/seed-000.pt``, ... and ``training.nc``.
    report
        Told how far training is, a few times per second.
    tensorboard
        Log for TensorBoard as well, in the run's folder ``tensorboard``.
    train
        How: in processes, as many as there are cores, or in this one.

    Returns
    -------
    Network
        All seeds side by side, on the CPU.
    """
    seeds = range(configuration.seeds)
    names = [_weights_name(seed) for seed in seeds]
    if not run.has(*names, TRAINING):
        run.forget(*names, TRAINING)
        board = run / "tensorboard" if tensorboard else None
        train(configuration, run / "checkpoints", report, board)
        _keep(configuration, run)
    elif tensorboard:
        _log_again(configuration, run)
    return load_networks(configuration, run)


def _log_again(configuration: Configuration, run: RunFolder) -> None:
    """Log a training that is finished for TensorBoard, if it was not."""
    board = run / "tensorboard"
    if not board.exists():
        for seeds in configuration.groups():
            path = metrics_path(run / "checkpoints", group_name(seeds))
            folder = board if path.exists() else None
            with MetricsFile(path, configuration.learning.updates, seeds, folder):
                pass


def train_here(
    configuration: Configuration,
    folder: Path,
    report: Callable[[Progress], None],
    tensorboard: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Train all groups of a configuration in this process, one after the other.

    Raises
    ------
    KeyboardInterrupt
        When ``stop``, asked after every update, says so; the update is saved.
    """
    for seeds in configuration.groups():
        group = train_group(configuration, seeds, folder, report, stop, tensorboard)
        if group.update < configuration.learning.updates:
            raise KeyboardInterrupt


def load_networks(configuration: Configuration, run: Results) -> Network:
    """Return the networks of a run that is trained, all seeds side by side.

    Raises
    ------
    DataError
        When a file is damaged or missing.
    """
    network = Network(
        configuration.network, configuration.task, range(configuration.seeds)
    )
    for seed in network.seeds:  # seed n at position n
        network.load_seed_weights(seed, read_weights(run / _weights_name(seed)))
    return network


def _weights_name(seed: int) -> str:
    return f"weights/seed-{seed:03d}.pt"


def _keep(configuration: Configuration, run: RunFolder) -> None:
    """Put the outcome of training where it stays: weights by seed, curves together."""
    groups, metrics = [], []
    for seeds in configuration.groups():
        group = Group(configuration, seeds)
        content = checkpoints.newest(run / "checkpoints", group.name)
        if content is None:
            raise DataError(f"{run / 'checkpoints'}: no checkpoint of {group.name}")
        group.restore(content)
        groups.append(group)
        metrics.append(read_metrics(metrics_path(run / "checkpoints", group.name)))
        for position, seed in enumerate(seeds):
            write_weights(run / _weights_name(seed), seed, group.seed_weights(position))
    save_dataset(_curves(configuration, groups, metrics), run / TRAINING)
    every_seed = range(configuration.seeds)
    run.enter(*(_weights_name(seed) for seed in every_seed), TRAINING)


_METRICS = {
    "rpe": ("mean absolute reward prediction error", "reward"),
    "entropy": ("mean entropy of the policy", "nat"),
    "value_error": ("mean squared error of the value", "reward^2"),
    "gradient_norm": ("norm of the gradient before clipping", "1"),
}


def _curves(
    configuration: Configuration,
    groups: Sequence[Group],
    metrics: Sequence[Mapping[str, NDArray[np.float32]]],
) -> xr.Dataset:
    """Return the learning curves, by seed and update."""
    reward = torch.cat([group.reward.T for group in groups]).numpy()
    attrs = {"long_name": "mean reward per trial in training", "units": "reward/trial"}
    variables: dict[str, Any] = {"reward": (("seed", "update"), reward, attrs)}
    for name, (meaning, units) in _METRICS.items():
        curve = np.full_like(reward, np.nan)  # shorter where all seeds have stopped
        first = 0
        for group, of_group in zip(groups, metrics, strict=True):
            last = first + len(group.seeds)
            if name in of_group:  # somebody may have deleted the metrics
                curve[first:last, : len(of_group[name])] = of_group[name].T
            first = last
        attrs = {"long_name": meaning, "units": units}
        variables[name] = (("seed", "update"), curve, attrs)
    for name, meaning in (
        ("diverged_at", "update at which training failed; -1: it did not"),
        ("competent_at", "updates after which it was competent; -1: not asked or not"),
    ):
        values = torch.cat([getattr(group, name) for group in groups]).numpy()
        variables[name] = ("seed", values, {"long_name": meaning})
    return xr.Dataset(
        variables,
        coords={"seed": list(range(configuration.seeds))},
        attrs={
            "episodes_per_update": configuration.learning.batch,
            **provenance_attributes(configuration),
        },
    )


def write_weights(path: Path, seed: int, weights: dict[str, torch.Tensor]) -> None:
    """Write the weights of one seed, atomically, with their SHA-256 sum."""
    content = {
        "format": checkpoints.FORMAT,
        "seed": seed,
        "sha256": weights_hash(weights),
        "weights": {name: weight.cpu() for name, weight in weights.items()},
    }
    with written_atomically(path) as partial:
        torch.save(content, partial)


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read the weights of one seed.

    Raises
    ------
    DataError
        When the file is of another format or its content does not match its sum.
    """
    content = torch.load(path, weights_only=True)
    if content.get("format") != checkpoints.FORMAT:
        raise DataError(
            f"{path}: weights of format {content.get('format')}; this version of "
            f"pfc_metarl reads format {checkpoints.FORMAT}: choose another --out"
        )
    weights: dict[str, torch.Tensor] = content["weights"]
    if weights_hash(weights) != content["sha256"]:
        raise DataError(f"{path}: weights do not match their SHA-256 sum; damaged")
    return weights


def observed(configuration: Configuration, run: RunFolder, network: Network) -> None:
    """Let frozen networks play the test episodes; write behaviour and recording.

    Parameters
    ----------
    configuration
        Says how many test episodes are played and recorded.
    run
        Gets ``behaviour.nc`` and ``recording.nc``.
    network
        Trained networks. Their hashes before and after go into the attributes.

    Raises
    ------
    DataError
        When playing changed a weight.
    """
    if run.has(BEHAVIOUR, RECORDING):
        return
    run.forget(BEHAVIOUR, RECORDING)
    before = hashes(network)
    played = play(
        network,
        configuration.tested_on,
        configuration.test_episodes,
        n_recorded=configuration.recorded_episodes,
    )
    after = hashes(network)
    if before != after:
        raise DataError(
            "playing the test episodes changed the weights; nothing written"
        )
    attrs = provenance_attributes(configuration) | {
        "weights_sha256_before": json.dumps(before),
        "weights_sha256_after": json.dumps(after),
    }
    table = behaviour(played.episodes, subject_names(network.seeds), attrs)
    save(table, run / BEHAVIOUR)
    discount = configuration.learning.discount
    tree = recording(played, configuration.tested_on, network, discount, attrs)
    save_tree(tree, run / RECORDING)
    run.enter(BEHAVIOUR, RECORDING)


def subject_names(seeds: Sequence[int]) -> list[str]:
    """Return what seeds are called in trial tables."""
    return [f"seed {seed}" for seed in seeds]


def provenance_attributes(configuration: Configuration) -> dict[str, str]:
    """Return the attributes that say how a result of a configuration was made."""
    return {
        "task": configuration.task_name,
        "species": "artificial network",
        "source": f"pfc_metarl {__version__}, preset {configuration.preset}",
        "citation": "Wang, Kurth-Nelson et al. 2018 Nat Neurosci 21:860",
        "configuration": configuration.as_json(),
        "versions": json.dumps(versions()),
    }


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    return {
        "pfc_metarl": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "xarray": xr.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
    }
