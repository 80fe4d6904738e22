"""The criterion: whether a second learning algorithm emerged in a frozen network."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from pfc_metarl.configuration import Configuration
from pfc_metarl.emergence.levels import CHANCE, adaptation_index, correct, levels
from pfc_metarl.emergence.setting import ADAPTED
from pfc_metarl.errors import DataError
from pfc_metarl.interventions import Reset
from pfc_metarl.network import Network
from pfc_metarl.recording import hashes, play
from pfc_metarl.tasks.base import Episodes
from pfc_metarl.tasks.observers import IDEAL

LATE_SHARE = 0.2  # of the trials
NEAR_CHANCE = 0.05


@dataclass(frozen=True)
class Criterion:
    """What a seed must show, weights frozen, on test episodes of their own stream.

    1. An adaptation index above ``adapted``, and the lower end of its 95 % interval
       above the index of a player that remembers one trial.
    2. In the last fifth of the trials (20 of 100) more than ``late`` of the way from
       chance to the ideal observer (on the bandit of 0.25/0.75: P(correct) > 0.90).
       Where that player comes far, both marks are half way from it to the ideal: on
       the two-step task it has an index of 0.87, and 0.8 would ask for nothing.
    3. Chance on the first trial: nothing is known yet that only learning could tell.
    4. Chance again on the trial after the memory is put back into its initial state in
       the middle of the episode: what was learned is in the activity.

    A proposal; no paper gives one (the numbers are guesses).
    """

    adapted: float = ADAPTED
    late: float = 0.8
    near_chance: float = NEAR_CHANCE


def measure(
    configuration: Configuration, network: Network, one_trial: str
) -> xr.Dataset:
    """Test frozen networks and judge each by the criterion.

    Parameters
    ----------
    configuration
        Says on which task and how many episodes.
    network
        Trained, or not.
    one_trial
        The player that remembers one trial; see
        :class:`pfc_metarl.emergence.setting.Setting`.

    Returns
    -------
    xarray.Dataset
        (seed,) ``accuracy``, P(correct) over all trials, and its standard error over
        episodes ``accuracy_sem``; ``adaptation_index`` with the 95 % interval ``low``
        and ``high`` over episodes; ``late_index`` of the last fifth; ``first`` and
        ``after_reset``, P(correct) on the first trial and right after the reset;
        ``slope`` of P(correct) over trials; ``reward`` per trial; ``emerged``.
        (seed, trial) ``p_correct``. (seed, side) ``p_correct_by_side`` of the good
        choice. The player's and the ideal observer's accuracies are in the attributes.

    Raises
    ------
    DataError
        When playing changed a weight.
    """
    task, n_episodes = configuration.tested_on, configuration.test_episodes
    before = hashes(network)
    middle = task.trials // 2

    def played(**how: Any) -> Episodes:
        return play(network, task, n_episodes, **how).episodes

    plain = played()
    reset = played(intervention=Reset((middle,), blank=True), n_trials=middle + 1)
    if hashes(network) != before:
        raise DataError("playing the test episodes changed the weights")
    right = correct(plain)
    by_episode = right.nanmean(0)  # (seed, episode)
    n = by_episode.shape[-1]
    result = xr.Dataset(
        {
            "p_correct": (("seed", "trial"), right.nanmean(-1).T.numpy()),
            "after_reset": ("seed", correct(reset)[middle].nanmean(-1).numpy()),
            "accuracy": ("seed", right.nanmean((0, -1)).numpy()),
            "accuracy_sem": ("seed", (by_episode.std(-1) / n**0.5).numpy()),
            "reward": ("seed", _reward(plain).numpy()),
            "p_correct_by_side": (("seed", "side"), _by_side(plain, right)),
            "weights_sha256": ("seed", np.array(before)),
        },
        coords={"seed": list(network.seeds), "trial": np.arange(task.trials)},
        attrs={"reset_trial": middle, "n_episodes": n_episodes, "one_trial": one_trial},
    )
    return judged(result, levels(task, n_episodes, (IDEAL, one_trial)), Criterion())


def judged(measured: xr.Dataset, scale: xr.Dataset, criterion: Criterion) -> xr.Dataset:
    """Add what the criterion says to the curves of :func:`measure`.

    Parameters
    ----------
    measured
        With ``p_correct``, ``after_reset``, ``accuracy`` and ``accuracy_sem``.
    scale
        Of :func:`pfc_metarl.emergence.levels.levels`.
    criterion
        The marks.
    """
    last = slice(-max(1, round(LATE_SHARE * measured.sizes["trial"])), None)
    ideal = scale.p_correct.sel(player=IDEAL, drop=True)
    one = scale.p_correct.sel(player=measured.attrs["one_trial"], drop=True)
    ideal_accuracy, one_accuracy = float(ideal.mean()), float(one.mean())
    ideal_late = float(ideal.isel(trial=last).mean())
    margin = 1.96 * measured.accuracy_sem
    late = measured.p_correct.isel(trial=last).mean("trial")
    centred = measured.trial - measured.trial.mean()
    slope = (measured.p_correct * centred).sum("trial") / (centred**2).sum()
    result = measured.assign(
        adaptation_index=adaptation_index(measured.accuracy, ideal_accuracy),
        low=adaptation_index(measured.accuracy - margin, ideal_accuracy),
        high=adaptation_index(measured.accuracy + margin, ideal_accuracy),
        late_index=adaptation_index(late, ideal_late),
        first=measured.p_correct.isel(trial=0, drop=True),
        slope=slope,
    )
    one_index = float(adaptation_index(one.mean(), ideal_accuracy))
    one_late = float(adaptation_index(one.isel(trial=last).mean(), ideal_late))
    result["emerged"] = (
        (result.adaptation_index > max(criterion.adapted, (1 + one_index) / 2))
        & (result.low > one_index)
        & (result.late_index > max(criterion.late, (1 + one_late) / 2))
        & (abs(result["first"] - CHANCE) <= criterion.near_chance)
        & (abs(result.after_reset - CHANCE) <= criterion.near_chance)
    )
    return result.assign_attrs(
        ideal_accuracy=ideal_accuracy,
        one_trial_accuracy=one_accuracy,
        one_trial_index=one_index,
    )


def _reward(episodes: Episodes) -> Tensor:
    return episodes.trials()["reward"].double().nan_to_num().mean((0, -1))


def _by_side(episodes: Episodes, right: Tensor) -> NDArray[np.float64]:
    """Mean over the trials on which one or the other choice is good."""
    good = episodes.trials()["good_choice"]
    sides = [right.where(good == side, torch.nan).nanmean((0, -1)) for side in (0, 1)]
    means: NDArray[np.float64] = torch.stack(sides, dim=-1).numpy()
    return means
