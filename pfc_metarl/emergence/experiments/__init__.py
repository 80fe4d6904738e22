"""The experiments of the emergence card, one module each."""

from pfc_metarl.emergence.experiment import Experiment
from pfc_metarl.emergence.experiments.attractor_map import AttractorMap
from pfc_metarl.emergence.experiments.every_memory import EveryMemory
from pfc_metarl.emergence.experiments.inferred_value import InferredValueAndModel
from pfc_metarl.emergence.experiments.inner_rate import InnerRate
from pfc_metarl.emergence.experiments.inputs_needed import InputsNeeded
from pfc_metarl.emergence.experiments.memory_needed import MemoryNeeded
from pfc_metarl.emergence.experiments.mesa_optimisation import MesaOptimisation
from pfc_metarl.emergence.experiments.related_tasks_needed import RelatedTasksNeeded
from pfc_metarl.emergence.experiments.second_learner import SecondLearner
from pfc_metarl.emergence.experiments.shaping_needed import ShapingNeeded
from pfc_metarl.emergence.experiments.structure import Structure
from pfc_metarl.emergence.experiments.three_conditions import ThreeConditions
from pfc_metarl.errors import InputError

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        SecondLearner(),
        MemoryNeeded(),
        ShapingNeeded(),
        RelatedTasksNeeded(),
        InputsNeeded(),
        EveryMemory(),
        ThreeConditions(),
        InnerRate(),
        Structure(),
        InferredValueAndModel(),
        AttractorMap(),
        MesaOptimisation(),
    )
}
"""By name, in the order of the card."""


def experiment(name: str) -> Experiment:
    """Look up an experiment.

    Raises
    ------
    InputError
        When there is none of that name.
    """
    if name not in EXPERIMENTS:
        raise InputError(
            f"no experiment '{name}'; expected some of {', '.join(EXPERIMENTS)}"
        )
    return EXPERIMENTS[name]
