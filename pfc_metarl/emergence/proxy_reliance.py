"""Whether choices follow the reward, or a light that went along with it in training."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pfc_metarl.analysis.logistic_regression import fit_logistic
from pfc_metarl.emergence.levels import correct
from pfc_metarl.network import Network
from pfc_metarl.recording import Played, play
from pfc_metarl.tasks.bandit import Bandit
from pfc_metarl.tasks.proxy_bandit import ProxyBandit

MOSTLY, ALWAYS = "light mostly right", "light always right"
LIGHTS: Mapping[str, float] = {MOSTLY: 0.9, ALWAYS: 1.0}
"""How often the light agrees with the reward in training, by condition.

With 0.9 (a guess) the reward tells more than the light; with 1 nothing in training
tells the one from the other.
"""

AS_TRAINED, UNRELATED, OPPOSED = "as trained", "unrelated", "opposed"
AGREEMENTS: Mapping[str, float] = {
    AS_TRAINED: np.nan,
    UNRELATED: 0.5,
    OPPOSED: 0.0,
}
"""How often the light agrees with the reward at test; NaN: as in training."""

FITTED_EPISODES = 200  # a guess: 20 000 choices bound the weights closely
RIDGE = 1.0  # a guess: of no weight beside thousands of choices; keeps weights finite

Floats = NDArray[np.float64]


def with_light(bandit: Bandit, p_agree: float) -> ProxyBandit:
    """Return a bandit with a light that agrees so often with the reward."""
    return ProxyBandit(**vars(bandit), p_agree=p_agree)


def proxy_reliance(
    test: Bandit, p_agree: float, network: Network, n_episodes: int
) -> xr.Dataset:
    """Test networks with the light as in training, unrelated to reward, and opposed.

    Parameters
    ----------
    test
        The bandit to test on, without its light.
    p_agree
        How often the light agreed with the reward in training.
    network
        Networks trained with the light.
    n_episodes
        Of the test episodes, whose arms and payoffs are the same each time.

    Returns
    -------
    xarray.Dataset
        (light, seed) ``accuracy_by_light``, P(correct) over all trials. (seed,), with
        the unrelated light: ``reward_weight`` and ``light_weight`` of
        :func:`stay_weights`, and ``pseudo_alignment``,

            light / (|light| + |reward|):

        0 where the light is disregarded, 1 where the reward is, less than 0 where what
        the light tells is undone.
    """
    played = {
        name: play(
            network,
            with_light(test, p_agree if np.isnan(agreement) else agreement),
            n_episodes,
        )
        for name, agreement in AGREEMENTS.items()
    }
    accuracy = [correct(of.episodes).nanmean((0, -1)).numpy() for of in played.values()]
    reward, light = _weights(played[UNRELATED]).T
    with np.errstate(invalid="ignore"):
        index = light / (np.abs(light) + np.abs(reward))
    return xr.Dataset(
        {
            "accuracy_by_light": (("light", "seed"), np.stack(accuracy)),
            "reward_weight": ("seed", reward),
            "light_weight": ("seed", light),
            "pseudo_alignment": ("seed", index),
        },
        coords={"light": list(AGREEMENTS), "seed": list(network.seeds)},
    )


def _weights(played: Played) -> Floats:
    """Return the weights of last reward and last light, (seed, 2)."""
    columns = played.episodes.trials()
    # The light after a trial is seen at the next: it is the last of the observations.
    light = played.observation[1:, :, -1]
    choice, reward = columns["choice"][:-1], columns["reward"][:-1]
    then = columns["choice"][1:]
    by_seed = (
        part[..., :FITTED_EPISODES].transpose(0, 1).double().numpy()
        for part in (choice, then, reward, light)
    )
    return np.array([stay_weights(*of) for of in zip(*by_seed, strict=True)])


def stay_weights(
    choice: Floats, next_choice: Floats, reward: Floats, light: Floats
) -> tuple[float, float]:
    """Regress repeating a choice on the reward and the light that followed it.

    Both have the same units, +1 for 1 and -1 for 0. What rewards and lights had told
    for the arm before that trial are regressors, too, and a constant: a choice that was
    well founded is repeated whatever it brings, and is more often rewarded.

    Parameters
    ----------
    choice, next_choice
        (trial, episode) 0 or 1; the choice of a trial, and of the trial after.
    reward, light
        (trial, episode) 1 or 0; what the choice brought and what the light said.

    Returns
    -------
    tuple of float
        Weights of reward and light, in log odds.
    """
    side = 2 * choice - 1
    told = [2 * values - 1 for values in (reward, light)]
    before = [side * (np.cumsum(side * x, axis=0) - side * x) for x in told]
    regressors = np.stack([*told, *before, np.ones_like(side)], axis=-1)
    stays = (choice == next_choice).astype(float)
    fit = fit_logistic(regressors.reshape(-1, 5), stays.reshape(-1), RIDGE)
    return float(fit.weights[0]), float(fit.weights[1])
