"""The figures of the card, by experiment."""

from collections.abc import Callable

import xarray as xr
from matplotlib.figure import Figure

from pfc_metarl.paper.emergence import (
    attractor_map,
    every_memory,
    inferred_value,
    inner_rate,
    inputs_needed,
    memory_needed,
    mesa_optimisation,
    related_tasks_needed,
    second_learner,
    shaping_needed,
    structure,
    three_conditions,
)

FIGURES: dict[str, Callable[[xr.Dataset], Figure]] = {
    "E1": second_learner.draw,
    "E2": memory_needed.draw,
    "E3": shaping_needed.draw,
    "E4": related_tasks_needed.draw,
    "E5": inputs_needed.draw,
    "E6": every_memory.draw,
    "2x2x2": three_conditions.draw,
    "E7": inner_rate.draw,
    "E8": structure.draw,
    "E9": inferred_value.draw,
    "E10": attractor_map.draw,
    "E11": mesa_optimisation.draw,
}
"""Each draws the results of an experiment, by its name."""

CAPTIONS: dict[str, Callable[[xr.Dataset], list[str]]] = {
    "E1": second_learner.caption,
    "E2": memory_needed.caption,
    "E3": shaping_needed.caption,
    "E4": related_tasks_needed.caption,
    "E5": inputs_needed.caption,
    "E6": every_memory.caption,
    "2x2x2": three_conditions.caption,
    "E7": inner_rate.caption,
    "E8": structure.caption,
    "E9": inferred_value.caption,
    "E10": attractor_map.caption,
    "E11": mesa_optimisation.caption,
}
"""Each states what the figure shows, in paragraphs, by the experiment's name."""
