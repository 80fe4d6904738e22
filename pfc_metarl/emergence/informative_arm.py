"""Whether the arm that pays least is chosen for what it tells."""

import xarray as xr
from torch import Tensor

from pfc_metarl.network import Network
from pfc_metarl.recording import TEST_SEED, play
from pfc_metarl.seeds import generator
from pfc_metarl.tasks.base import Episodes
from pfc_metarl.tasks.informative_bandit import InformativeBandit
from pfc_metarl.tasks.observers import players


def asking(task: InformativeBandit, network: Network, n_episodes: int) -> xr.Dataset:
    """Find out when networks choose the informative arm, and the target.

    Parameters
    ----------
    task
        What is played.
    network
        Trained.
    n_episodes
        Number of test episodes.

    Returns
    -------
    xarray.Dataset
        (seed, informative_trial) ``p_informative`` and ``p_target``, probabilities;
        (seed,) ``reward`` per trial and (player,) ``reward_of_player`` on the same
        episodes.
    """
    episodes = play(network, task, n_episodes).episodes
    trials = episodes.trials()
    choice, target = trials["choice"], trials["target"]
    tape = task.draw(n_episodes, generator(TEST_SEED, "test episodes"))
    by_player = {
        name: float(_reward(player.play(tape, generator(TEST_SEED, "observer"))))
        for name, player in players(task).items()
    }
    dims = ("seed", "informative_trial")
    asked, hit = choice == task.targets, choice == target
    return xr.Dataset(
        {
            "p_informative": (dims, asked.double().mean(-1).T.numpy()),
            "p_target": (dims, hit.double().mean(-1).T.numpy()),
            "reward": ("seed", _reward(episodes).numpy()),
            "reward_of_player": ("player", list(by_player.values())),
        },
        coords={"seed": list(network.seeds), "player": list(by_player)},
    )


def _reward(episodes: Episodes) -> Tensor:
    return episodes.trials()["reward"].double().mean((0, -1))
