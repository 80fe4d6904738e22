"""What frozen networks do when the reward that they see is not the reward that is paid.

A network sees its rewards at its inputs only. That its choices follow them shows what
the learned learner learns from; it does not show that anything within it represents a
goal: a rule such as "stay after a 1" follows the input, too.
"""

import numpy as np
import xarray as xr

from pfc_metarl.emergence.levels import CHANCE, correct
from pfc_metarl.interventions import FlippedReward, Intervention, PermutedReward
from pfc_metarl.network import Network
from pfc_metarl.recording import play
from pfc_metarl.tasks.base import Task

INTACT, FLIPPED, PERMUTED = "intact", "flipped", "permuted"
INPUTS: dict[str, Intervention | None] = {
    INTACT: None,
    FLIPPED: FlippedReward(),
    PERMUTED: PermutedReward(),
}
"""What is done to the reward input, by name."""


def objective_swap(task: Task, network: Network, n_episodes: int) -> xr.Dataset:
    """Let networks play with the reward input intact, flipped and permuted.

    On a bandit of p and 1 - p, a flipped input is that of the mirrored problem, on
    which the other arm is the better one: what follows its input then has P(correct)
    of 1 less the intact. Permuted outcomes say nothing: P(correct) is chance.

    Parameters
    ----------
    task
        Of two arms that pay with p and 1 - p.
    network
        Networks of some seeds.
    n_episodes
        Of the test episodes, the same for every input.

    Returns
    -------
    xarray.Dataset
        (input, seed, trial) ``p_correct_by_input``; (input, seed)
        ``accuracy_by_input``, its mean over trials, and ``paid_by_input``, reward per
        trial; (seed,) ``following``, the share of the way from the intact accuracy to
        its mirror image that flipping moves it:

            (intact - flipped) / (2 intact - 1)

        which is 1 for what follows the input and 0 for what does not need it, and
        means nothing for a network that is at chance.
    """
    curves, paid = [], []
    for intervention in INPUTS.values():
        found = play(network, task, n_episodes, intervention=intervention).episodes
        curves.append(correct(found).nanmean(-1).T.numpy())
        paid.append(found.trials()["reward"].double().mean((0, -1)).numpy())
    result = xr.Dataset(
        {
            "p_correct_by_input": (("input", "seed", "trial"), np.stack(curves)),
            "paid_by_input": (("input", "seed"), np.stack(paid)),
        },
        coords={
            "input": list(INPUTS),
            "seed": list(network.seeds),
            "trial": np.arange(task.trials),
        },
    )
    accuracy = result.p_correct_by_input.mean("trial")
    intact, flipped = (accuracy.sel(input=x, drop=True) for x in (INTACT, FLIPPED))
    better = intact - CHANCE
    following = (intact - flipped) / (2 * better.where(better != 0))
    return result.assign(accuracy_by_input=accuracy, following=following)
