"""What a behavioural model is: parameters, and choices explained trial by trial."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pfc_metarl.errors import InputError

Values = Mapping[str, float]
"""Parameter values by name."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a model: its meaning, where it may lie, and why.

    With ``scale`` ``"logit"`` it is estimated as log(x / (1 - x)), else as it is.
    Restarts begin anywhere between ``starts``, uniformly on that scale.
    """

    name: str
    description: str
    bounds: tuple[float, float]
    starts: tuple[float, float]
    source: str
    scale: str = "linear"

    def to_scale(self, value: float) -> float:
        """Return the place of a value on the scale on which it is estimated."""
        return float(np.log(value / (1 - value))) if self.scale == "logit" else value

    def from_scale(self, place: float) -> float:
        """Return the value at a place on the scale of estimation, within bounds."""
        value = 1 / (1 + np.exp(-place)) if self.scale == "logit" else place
        return float(np.clip(value, *self.bounds))


class Trials(Protocol):
    """One subject's trials, arranged as a model needs them: (session, trial) arrays."""

    @property
    def scored(self) -> NDArray[np.bool_]:
        """(session, trial): the choice is free, and the model is to explain it."""

    def along_trial(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Lay (session, trial) values out along the table; NaN where not used."""


class Model(Protocol):
    """A behavioural model; one class with an equation in its docstring."""

    @property
    def name(self) -> str:
        """What the model is called in tables and figures."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The free parameters."""

    def arrange(self, table: xr.Dataset) -> Any:
        """Arrange one subject's trial table; the result is a :class:`Trials`."""

    def latents(self, trials: Any, values: Values) -> dict[str, NDArray[np.float64]]:
        """Return what the model holds in mind before each choice, by name."""

    def log_likelihood(self, trials: Any, values: Values) -> NDArray[np.float64]:
        """Return (session, trial) log probabilities of the choices made."""


def check_values(model: Model, values: Values) -> None:
    """Check that every parameter of a model has a value inside its bounds.

    Raises
    ------
    InputError
        Naming the parameter that is missing, unknown or out of bounds.
    """
    names = [parameter.name for parameter in model.parameters]
    if set(values) != set(names):
        raise InputError(
            f"the {model.name} model got parameters {', '.join(values) or 'none'}; "
            f"expected {', '.join(names)}"
        )
    for parameter in model.parameters:
        low, high = parameter.bounds
        if not low <= values[parameter.name] <= high:
            raise InputError(
                f"{parameter.name} is {values[parameter.name]}; "
                f"allowed are {low} to {high}"
            )
