"""What it takes: the conditions of the theory removed one at a time, same seeds.

The claim of Wang et al. 2018 is that memory, weights trained by reinforcement learning
and a sequence of related tasks suffice. Here memory and training are removed, and the
reward input beside them. Each removal leaves all else as it is.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import xarray as xr

from pfc_metarl.analysis import learning_curve
from pfc_metarl.configuration import Configuration
from pfc_metarl.interventions import Intervention, Reset
from pfc_metarl.network import Network
from pfc_metarl.recording import behaviour, play
from pfc_metarl.simulation import open_run, subject_names, trained
from pfc_metarl.training import Progress

Show = Callable[[Configuration], AbstractContextManager[Callable[[Progress], None]]]
"""Makes a display of the training of a configuration."""

INTACT, RESET, UNTRAINED = "intact", "state reset every trial", "untrained"
NO_MEMORY, NO_REWARD = "no memory", "no reward input"


def variants(configuration: Configuration) -> dict[str, Configuration]:
    """Return the configurations to train, by condition.

    Parameters
    ----------
    configuration
        The intact one.
    """
    network = configuration.network
    return {
        INTACT: configuration,
        NO_MEMORY: replace(
            configuration, network=replace(network, memory="none"), kernels="torch"
        ),
        NO_REWARD: replace(configuration, network=replace(network, reward_input=False)),
    }


def conditions(
    configuration: Configuration, root: Path, show: Show, tensorboard: bool = False
) -> xr.Dataset:
    """Train what is needed and play the test episodes under every condition.

    Parameters
    ----------
    configuration
        The intact one.
    root
        Below it are the run folders; trained networks are reused.
    show
        Makes a display for each training.
    tensorboard
        Log training for TensorBoard as well.

    Returns
    -------
    xarray.Dataset
        (condition, subject, trial_in_session) ``mean_reward`` and ``p_correct`` over
        the test episodes, frozen weights; the mean over trials is the reward per trial.
    """
    curves = {
        name: learning_curve(table)
        for name, table in _tables(configuration, root, show, tensorboard)
    }
    names = xr.IndexVariable("condition", list(curves))
    return xr.concat(list(curves.values()), dim=names)


def _tables(
    configuration: Configuration, root: Path, show: Show, tensorboard: bool
) -> Iterator[tuple[str, xr.Dataset]]:
    untrained = Network(
        configuration.network, configuration.task, range(configuration.seeds)
    )
    yield UNTRAINED, _played(configuration, untrained)
    for name, variant in variants(configuration).items():
        with open_run(variant, root) as run, show(variant) as report:
            network = trained(variant, run, report, tensorboard)
        yield name, _played(variant, network)
        if name == INTACT:
            yield RESET, _played(variant, network, Reset())


def _played(
    configuration: Configuration,
    network: Network,
    intervention: Intervention | None = None,
) -> xr.Dataset:
    played = play(
        network,
        configuration.tested_on,
        configuration.test_episodes,
        intervention=intervention,
    )
    return behaviour(played.episodes, subject_names(network.seeds), {})
