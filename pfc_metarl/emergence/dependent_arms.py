"""What a bandit's learner takes its arms for: its regret, and the belief it follows."""

from dataclasses import dataclass

import torch
import xarray as xr
from torch import Tensor
from torch.nn.functional import one_hot

from pfc_metarl.analysis import regret
from pfc_metarl.errors import InputError
from pfc_metarl.interventions import Intervention, Moment, Seen
from pfc_metarl.network import Network
from pfc_metarl.recording import TEST_SEED, behaviour, play
from pfc_metarl.seeds import generator
from pfc_metarl.simulation import subject_names
from pfc_metarl.tasks.bandit import CORRELATED, INDEPENDENT, Bandit
from pfc_metarl.tasks.observers import ideal_observer
from pfc_metarl.tasks.observers.bandit import posterior_mean

CLOSE = 1e-9  # expectations that differ by less are alike


def regret_on(
    trained_on: Bandit, test: Bandit, network: Network, n_episodes: int
) -> xr.Dataset:
    """Let networks play a bandit, beside the player that is ideal for their training.

    Both know of the problems what the networks were trained on, and no more: on a test
    of other problems that player is not the best there is.

    Parameters
    ----------
    trained_on, test
        Bandits with two arms.
    network
        Trained.
    n_episodes
        Number of test episodes, the same for all.

    Returns
    -------
    xarray.Dataset
        (seed,) ``regret`` of an episode, in units of reward; (seed, trial)
        ``cumulative_regret``. The player's are ``regret_of_ideal`` and
        ``cumulative_regret_of_ideal``.
    """
    episodes = play(network, test, n_episodes).episodes
    tape = test.draw(n_episodes, generator(TEST_SEED, "test episodes"))
    ideal = ideal_observer(trained_on).play(tape, generator(TEST_SEED, "observer"))
    found = regret(behaviour(episodes, subject_names(network.seeds), {}))
    of_ideal = regret(behaviour(ideal, ["ideal"], {})).isel(subject=0, drop=True)
    found = found.rename(subject="seed", trial_in_session="trial")
    of_ideal = of_ideal.rename(trial_in_session="trial")
    return xr.Dataset(
        {
            "regret": found.total_regret,
            "cumulative_regret": found.cumulative_regret,
            "regret_of_ideal": of_ideal.total_regret,
            "cumulative_regret_of_ideal": of_ideal.cumulative_regret,
        }
    ).assign_coords(seed=list(network.seeds))


@dataclass(frozen=True)
class ToldHistory(Intervention):
    """Tell the network of other choices and rewards than its own.

    Parameters
    ----------
    choice, reward
        (trial, episode) of a bandit whose trials are one step.
    """

    choice: Tensor
    reward: Tensor

    def inputs(self, seen: Seen, moment: Moment) -> Seen:
        """Return what was chosen on the trial before, and what it brought."""
        if moment.step == 0:
            return seen  # nothing has been
        action = one_hot(self.choice[moment.step - 1], seen.action.shape[1]).T
        reward = self.reward[moment.step - 1]
        return seen._replace(
            action=action.to(seen.action).expand_as(seen.action),
            reward=reward.to(seen.reward).expand_as(seen.reward),
        )


def belief_followed(test: Bandit, network: Network, n_episodes: int) -> xr.Dataset:
    """Ask whether networks take the arms for dependent, given the same past.

    To who takes the probabilities for p and 1 - p, a loss of one arm speaks for the
    other; to who takes them for independent, only an arm's own record counts. Networks
    are told of choices by coins, of a bias that is uniform and the episode's own, so
    that one arm may be known better than the other; and of what these bring. To choose
    by chance, or what was chosen last, follows neither belief.

    Parameters
    ----------
    test
        Bandit with independent arms, of one step a trial. On correlated arms the two
        beliefs hardly ever disagree.
    network
        Trained.
    n_episodes
        Number of test episodes.

    Returns
    -------
    xarray.Dataset
        (seed,) ``follows_dependence``: mean probability of the arm that is better if
        the arms depend on each other, over trials on which the other is better if they
        do not; ``follows_both``: that of the arm that is better either way.

    Raises
    ------
    InputError
        When a trial has more than one step.
    """
    if test.steps_per_trial != 1:
        raise InputError(f"{test} has a fixation; expected a bandit without")
    tape = test.draw(n_episodes, generator(TEST_SEED, "test episodes"))
    draw = generator(TEST_SEED, "observer")
    bias = torch.rand(n_episodes, generator=draw)
    choice = (torch.rand((test.trials, n_episodes), generator=draw) < bias).long()
    reward = tape["payoff"].gather(-1, choice.unsqueeze(-1)).squeeze(-1)
    dependent, independent = better_arms(choice, reward)
    told = ToldHistory(choice, reward)
    policy = play(network, test, n_episodes, intervention=told).policy
    p_second = policy[:, :, 1].double().movedim(1, -1)  # (trial, episode, seed)
    p_dependent = torch.where(dependent.unsqueeze(-1) == 1, p_second, 1 - p_second)
    known = (dependent >= 0) & (independent >= 0)
    shares = {
        "follows_dependence": p_dependent[known & (dependent != independent)],
        "follows_both": p_dependent[known & (dependent == independent)],
    }
    return xr.Dataset(
        {name: ("seed", values.mean(0).numpy()) for name, values in shares.items()},
        coords={"seed": list(network.seeds)},
    )


def better_arms(choice: Tensor, reward: Tensor) -> tuple[Tensor, Tensor]:
    """Return the better arm to either belief, before each trial.

    Parameters
    ----------
    choice, reward
        (trial, ...) of a bandit of two arms that pay 1 or 0.

    Returns
    -------
    dependent, independent : Tensor
        (trial, ...) int64: the arm of which more is expected with probabilities p and
        1 - p, and with two that are independent; -1: no more than of the other.
    """
    chosen = one_hot(choice, 2).double()
    won = chosen * reward.double().unsqueeze(-1)
    pulls, wins = chosen.cumsum(0) - chosen, won.cumsum(0) - won  # before the trial
    dependent, independent = (
        _better(posterior_mean(Bandit(distribution=prior), wins, pulls))
        for prior in (CORRELATED, INDEPENDENT)
    )
    return dependent, independent


def _better(expected: Tensor) -> Tensor:
    first, second = expected.unbind(-1)
    alike = (first - second).abs() < CLOSE
    return (second > first).long().masked_fill(alike, -1)
