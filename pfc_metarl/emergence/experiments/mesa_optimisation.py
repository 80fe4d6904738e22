"""E11: what may be said of "mesa-optimisation", and what may not."""

from collections.abc import Mapping
from dataclasses import replace

import xarray as xr

from pfc_metarl.configuration import Configuration
from pfc_metarl.emergence.bayes_comparison import compared
from pfc_metarl.emergence.belief import decoded, used
from pfc_metarl.emergence.cell import Cell
from pfc_metarl.emergence.comparison import INTACT
from pfc_metarl.emergence.experiment import Claim, Experiment, Plan, Runs
from pfc_metarl.emergence.experiments.mesa_claims import claims
from pfc_metarl.emergence.objective_swap import objective_swap
from pfc_metarl.emergence.out_of_distribution import out_of_distribution
from pfc_metarl.emergence.proxy_reliance import LIGHTS, proxy_reliance, with_light
from pfc_metarl.emergence.setting import SETTINGS
from pfc_metarl.emergence.yoked import trained_and_not
from pfc_metarl.errors import InputError
from pfc_metarl.network import Network
from pfc_metarl.tasks.bandit import Bandit
from pfc_metarl.tasks.base import Task

SETTING = "bandit"
EPISODES = 500  # a guess: a standard error of P(correct) of 0.002 or so
OBSERVED = 200  # a guess: 20 000 states for 96 units


class MesaOptimisation(Experiment):
    """Whether networks learned to learn, or more: to search for an end of their own.

    Hubinger et al. 2019 (arXiv 1906.01820) call a learned system a mesa-optimiser if it
    searches, inside, for what scores high by an objective that it represents. A system
    that learns within its episodes need not: the rule by which its state and choices
    follow from what it sees may do without any search. On the correlated bandit:

    a. The reward input is flipped or permuted while the task pays as before.
    b. Training with a light that goes along with the reward, testing with one that does
       not.
    c. Problems of which training had none.
    d. Where the belief about the arms is, and whether choices go by it.
    e. The Bayes-optimal agent beside the networks: outputs, and states.

    These can show that a learner was learned, and what it learns from. None can show
    that it searches. How often the light agrees, the problems of c, when states are
    exchanged in d, and all marks are guesses. Three arms are not tried: a network of
    two actions cannot choose a third.
    """

    name = "E11"
    title = 'What "mesa-optimisation" may be said'

    def cells(self, plan: Plan) -> Mapping[tuple[str, str], Cell]:
        """Return the cells: the intact system is E1's; two learned with a light."""
        intact = SETTINGS[SETTING].configuration(plan.seeds, plan.kernels)
        lit = {
            (SETTING, name): Cell(trained_with_light(intact, p_agree))
            for name, p_agree in LIGHTS.items()
        }
        return {(SETTING, INTACT): Cell(intact, SETTING), **lit}

    def analyse(self, plan: Plan, runs: Runs) -> xr.Dataset:
        """Do all five.

        Returns
        -------
        xarray.Dataset
            What is returned by :func:`objective_swap`; :func:`proxy_reliance`, by
            ``condition``; :func:`out_of_distribution`; :func:`decoded`, :func:`used`;
            :func:`compared`.
        """
        cells = self.cells(plan)
        intact = cells[SETTING, INTACT]
        task, test = (
            _bandit(of)
            for of in (intact.configuration.task, intact.configuration.tested_on)
        )
        network = runs.networks(intact)
        untrained = Network(intact.configuration.network, task, network.seeds)
        observed = trained_and_not(network, untrained, test, OBSERVED)
        reliance = [
            proxy_reliance(test, p, runs.networks(cells[SETTING, name]), EPISODES)
            for name, p in LIGHTS.items()
        ]
        return xr.merge(
            [
                objective_swap(test, network, EPISODES),
                xr.concat(reliance, xr.IndexVariable("condition", list(LIGHTS))),
                out_of_distribution(task, test, network, EPISODES),
                decoded(observed),
                used(observed, test, EPISODES),
                compared(observed),
            ]
        )

    def claims(self, results: xr.Dataset) -> list[Claim]:
        """Judge what was learned; of a search nothing is judged, and it says so."""
        return claims(results)


def trained_with_light(intact: Configuration, p_agree: float) -> Configuration:
    """Return the intact system, trained with a light that agrees so often."""
    return replace(
        intact,
        task_name="proxy-bandit",
        task=with_light(_bandit(intact.task), p_agree),
        test_task=with_light(_bandit(intact.tested_on), p_agree),
        stopping=None,
    )


def _bandit(task: Task) -> Bandit:
    if not isinstance(task, Bandit):
        raise InputError(f"the task is {type(task).__name__}; expected Bandit")
    return task
