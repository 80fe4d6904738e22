"""How like the Bayes-optimal agent a network is: what it does, and what its state is.

After Mikulik et al. 2020, arXiv 2010.11223: outputs are compared by their divergence,
states by whether either agent can run on the other's.
"""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pfc_metarl.analysis import (
    bandit_observers,
    mutual_simulation,
    network_agents,
    policy_divergence,
)
from pfc_metarl.analysis.bandit_statistics import both_arms
from pfc_metarl.analysis.policy_divergence import RANDOM, win_stay_lose_shift
from pfc_metarl.analysis.state_maps import Fit
from pfc_metarl.emergence.yoked import TRAINED, Observed

Floats = NDArray[np.float64]

WSLS, BAYES = "win-stay-lose-shift", "Bayes"
COMPARATORS = (RANDOM, WSLS, BAYES)


def compared(observed: Mapping[str, Observed], fit: Fit | None = None) -> xr.Dataset:
    """Compare networks with the Bayesian of the correlated bandit.

    Untrained networks have no policy to compare; the observer beside them has the
    inverse temperature of the trained network's, so that its outputs say as much.

    Parameters
    ----------
    observed
        Of :func:`pfc_metarl.emergence.yoked.trained_and_not`.
    fit
        What learns the maps between states; None: a perceptron.

    Returns
    -------
    xarray.Dataset
        Of the trained: (comparator, seed) ``divergence`` of their policies, nats, and
        ``agreement``. (network, direction, seed) ``state_dissimilarity``, and
        ``output_dissimilarity`` as a share of the uninformed one, 0 if the mapped state
        serves as well as the agent's own, 1 if no better than its mean; NaN for
        untrained networks that are simulated, whose outputs hardly vary.
    """
    of = observed[TRAINED]
    preferences = {
        WSLS: win_stay_lose_shift(of.choice, of.reward),
        BAYES: both_arms(of.statistics.posterior_mean),
    }
    outputs = policy_divergence(of.policy, preferences)
    # Fitted on the half of the episodes on which the maps are learned.
    inverse = outputs.inverse_temperature.sel(comparator=BAYES).isel(fold=0).values
    found = [_simulated(one, inverse, fit) for one in observed.values()]
    states = xr.concat(found, xr.IndexVariable("network", list(observed)))
    share = states.output_dissimilarity / states.uninformed_dissimilarity
    varies = (states.network == TRAINED) | (states.direction == "network_to_observer")
    return xr.Dataset(
        {
            "divergence": outputs.divergence.transpose("comparator", "seed"),
            "agreement": outputs.agreement.transpose("comparator", "seed"),
            "state_dissimilarity": states.state_dissimilarity,
            "output_dissimilarity": share.where(varies),
        }
    ).assign_coords(seed=list(of.network.seeds))


def _simulated(
    of: Observed, inverse: NDArray[np.float64], fit: Fit | None
) -> xr.Dataset:
    heads = (of.network.policy_weight, of.network.policy_bias)
    weight, bias = (part.detach().numpy() for part in heads)
    networks = network_agents(of.output, weight, bias)
    observers = bandit_observers(of.statistics, inverse)
    return mutual_simulation(networks, observers, fit, of.inputs)
