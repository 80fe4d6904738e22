"""What networks and players expect of either target, and their errors, by trial."""

from collections.abc import Mapping

import torch
import xarray as xr
from torch import Tensor

from pfc_metarl.analysis import value_inference
from pfc_metarl.dopamine import reward_prediction_error
from pfc_metarl.network import Network
from pfc_metarl.recording import TEST_SEED, Played, play
from pfc_metarl.seeds import generator
from pfc_metarl.tasks.inferred_value import InferredValue
from pfc_metarl.tasks.observers import players
from pfc_metarl.tasks.observers.inferred_value import Responder

APPEARANCE, VALUE, OUTCOME = "RPE on the target", "value of the target", "outcome's RPE"


def inference(
    task: InferredValue, network: Network, discount: float, n_episodes: int
) -> xr.Dataset:
    """Measure values and RPEs around reversals, of networks and of players.

    Parameters
    ----------
    task
        What is played.
    network
        Trained.
    discount
        Of the RPE, as in training.
    n_episodes
        Number of test episodes, the same for all.

    Returns
    -------
    xarray.Dataset
        Of :func:`pfc_metarl.analysis.value_inference.value_inference`, by seed; with
        names that end in ``_of_player``, by player.
    """
    played = play(network, task, n_episodes)
    errors = expectations(played, task, discount)
    of_networks = _around_reversals(played.episodes.trials(), errors)
    tape = task.draw(n_episodes, generator(TEST_SEED, "test episodes"))
    by_player = {}
    for name, player in players(task).items():
        assert isinstance(player, Responder)
        columns = player.play(tape, generator(TEST_SEED, "observer")).trials()
        trials = {column: values.unsqueeze(1) for column, values in columns.items()}
        errors = player_expectations(player, trials)
        by_player[name] = _around_reversals(trials, errors)
    of_players = xr.concat(list(by_player.values()), "subject")
    of_players = of_players.rename({v: f"{v}_of_player" for v in of_players.data_vars})
    return xr.merge(
        [
            of_networks.rename(subject="seed").assign_coords(seed=list(network.seeds)),
            of_players.rename(subject="player").assign_coords(player=list(by_player)),
        ]
    )


def expectations(
    played: Played, task: InferredValue, discount: float
) -> dict[str, Tensor]:
    """Return what networks expect, and their errors, by trial.

    Parameters
    ----------
    played
        From :func:`pfc_metarl.recording.play`.
    task
        What was played.
    discount
        Of the RPE, as in training.

    Returns
    -------
    dict
        (trial, seed, episode): the RPE of the step that ends when the target appears,
        NaN where that is before the episode; the value while the target is there; the
        RPE of the response to it, with its outcome.
    """
    rpe = reward_prediction_error(played.reward, played.value, discount)
    step_before = torch.cat([torch.full_like(rpe[:1], torch.nan), rpe[:-1]])
    steps = {APPEARANCE: step_before, VALUE: played.value, OUTCOME: rpe}
    per_trial = (task.trials, task.steps_per_trial)
    response = task.phases.index("target")
    return {
        name: values.unflatten(0, per_trial)[:, response]
        for name, values in steps.items()
    }


def player_expectations(
    player: Responder, trials: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return what a player expects, and its errors, as for networks.

    Before the target appears it expects the mean of both, which are alike probable; of
    later trials nothing.

    Parameters
    ----------
    player
        Of the inferred-value task.
    trials
        Columns of its trial table, (trial, ..., episode).
    """
    both = player.expected_reward(trials["cue"], trials["reward"])
    value = both.gather(-1, trials["cue"].unsqueeze(-1)).squeeze(-1)
    return {
        APPEARANCE: value - both.mean(-1),
        VALUE: value,
        OUTCOME: trials["reward"] - value,
    }


def _around_reversals(
    trials: Mapping[str, Tensor], errors: Mapping[str, Tensor]
) -> xr.Dataset:
    return value_inference(
        trials["cue"].numpy(),
        trials["paying_side"].numpy(),
        trials["valid"].numpy() == 1,
        {name: values.double().numpy() for name, values in errors.items()},
    )
