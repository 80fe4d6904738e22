"""Model-based, model-free and hybrid accounts of the two-step task.

After Miller, Botvinick & Brody 2017 (Nat Neurosci 20:1269), reduced to one learning
system each. Common to all three models, on trial t of a session:

- c_t is the choice (+1 choice 1, -1 choice 0), s_t the second-step state (+1 state2 1,
  -1 state2 0), o_t = 2 r_t - 1 the outcome of reward r_t in 0..1;
- one number stands for two anti-correlated values: v for the first, -v for the second;
- P(c_t = 1) = 1 / (1 + exp(-z_t)) with the logit z_t of the model's equation;
- values start at 0 in every session, and the first choice of a session has no previous
  one (c_{t-1} = 0);
- forced trials change values and count as previous choice, but are not scored; invalid
  trials are left out altogether.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.signal import lfilter

from pfc_metarl.errors import InputError
from pfc_metarl.fits.model import Model, Parameter, Values
from pfc_metarl.fits.two_step_trials import Array, TwoStepTrials, two_step_trials

_WIDE = "guess: wide enough for rats and for nearly deterministic agents"
_RATE = (1e-4, 1 - 1e-4)
_WEIGHT = (0.0, 20.0)
_HABIT = (-10.0, 10.0)

ALPHA_MB = Parameter(
    "alpha_mb", "model-based learning rate", _RATE, (0.01, 0.99), _WIDE, "logit"
)
ALPHA_MF = Parameter(  # some rats have their optimum near 0.002: start low as well
    "alpha_mf", "model-free learning rate", _RATE, (1e-3, 0.99), _WIDE, "logit"
)
BETA_MB = Parameter(
    "beta_mb", "weight of the model-based value", _WEIGHT, (0.0, 5.0), _WIDE
)
BETA_MF = Parameter(
    "beta_mf", "weight of the model-free value", _WEIGHT, (0.0, 5.0), _WIDE
)
PERSEVERATION = Parameter(
    "perseveration", "weight of the previous choice", _HABIT, (-1.0, 1.0), _WIDE
)
BIAS = Parameter("bias", "bias to choice 1", _HABIT, (-1.0, 1.0), _WIDE)


def value_trace(target: Array, learning_rate: float) -> Array:
    """Return the value before each trial of v += learning_rate (target - v), from 0.

    Parameters
    ----------
    target
        (session, trial) what the value moves towards after each trial.
    learning_rate
        From 0 to 1.

    Returns
    -------
    numpy.ndarray
        (session, trial): v_0 = 0,
        v_t = (1 - learning_rate) v_{t-1} + learning_rate target_{t-1}.
    """
    return np.asarray(lfilter([0, learning_rate], [1, learning_rate - 1], target))


class _TwoStepModel(ABC):
    name: str
    parameters: tuple[Parameter, ...]

    def arrange(self, table: xr.Dataset) -> TwoStepTrials:
        """Arrange one subject's trial table; see :func:`two_step_trials`."""
        return two_step_trials(table)

    @abstractmethod
    def latents(self, trials: TwoStepTrials, values: Values) -> dict[str, Array]:
        """Return (session, trial) values before each choice, and its ``logit``."""

    def log_likelihood(
        self, trials: TwoStepTrials, values: Values
    ) -> NDArray[np.float64]:
        """Return (session, trial) log P(c_t) = -log(1 + exp(-c_t z_t)), of every trial.

        Forced trials have one too; ``trials.scored`` says which ones count.
        """
        logit = self.latents(trials, values)["logit"]
        return -np.logaddexp(0, -trials.choice * logit)


class ModelBased(_TwoStepModel):
    """The value of second-step states, reached through the known common transition.

    ::

        v_mb  <-  v_mb + alpha_mb (s_t o_t - v_mb)
        z_t    =  beta_mb m v_mb + perseveration c_{t-1} + bias

    where m is +1 if choice 1 commonly leads to state2 1 and -1 if to state2 0.
    """

    name = "model-based"
    parameters = (ALPHA_MB, BETA_MB, PERSEVERATION, BIAS)

    def latents(self, trials: TwoStepTrials, values: Values) -> dict[str, Array]:
        """Return ``v_mb`` (in favour of state2 1) and ``logit``."""
        v_mb = value_trace(trials.state * trials.outcome, values["alpha_mb"])
        logit = values["beta_mb"] * trials.mapping * v_mb + _habits(trials, values)
        return {"v_mb": v_mb, "logit": logit}


class ModelFree(_TwoStepModel):
    """The value of choices, whatever the transition; direct reinforcement.

    ::

        v_mf  <-  v_mf + alpha_mf (c_t o_t - v_mf)
        z_t    =  beta_mf v_mf + perseveration c_{t-1} + bias
    """

    name = "model-free"
    parameters = (ALPHA_MF, BETA_MF, PERSEVERATION, BIAS)

    def latents(self, trials: TwoStepTrials, values: Values) -> dict[str, Array]:
        """Return ``v_mf`` (in favour of choice 1) and ``logit``."""
        v_mf = value_trace(trials.choice * trials.outcome, values["alpha_mf"])
        logit = values["beta_mf"] * v_mf + _habits(trials, values)
        return {"v_mf": v_mf, "logit": logit}


class Hybrid(_TwoStepModel):
    """Both values side by side, each with its own learning rate and weight.

    v_mb and v_mf as in :class:`ModelBased` and :class:`ModelFree`, and ::

        z_t  =  beta_mb m v_mb + beta_mf v_mf + perseveration c_{t-1} + bias

    A slow alpha_mf makes v_mf a drifting side bias rather than learning: look at it
    before calling a subject model-free.
    """

    name = "hybrid"
    parameters = (ALPHA_MB, ALPHA_MF, BETA_MB, BETA_MF, PERSEVERATION, BIAS)

    def latents(self, trials: TwoStepTrials, values: Values) -> dict[str, Array]:
        """Return ``v_mb``, ``v_mf`` and ``logit``."""
        v_mb = value_trace(trials.state * trials.outcome, values["alpha_mb"])
        v_mf = value_trace(trials.choice * trials.outcome, values["alpha_mf"])
        learned = values["beta_mb"] * trials.mapping * v_mb + values["beta_mf"] * v_mf
        logit = learned + _habits(trials, values)
        return {"v_mb": v_mb, "v_mf": v_mf, "logit": logit}


def _habits(trials: TwoStepTrials, values: Values) -> Array:
    return values["perseveration"] * trials.previous + values["bias"]


MODELS: Mapping[str, Model] = {
    "model-based": ModelBased(),
    "model-free": ModelFree(),
    "hybrid": Hybrid(),
}
"""The models by name; a new one is a class and its entry here."""


def model_named(name: str) -> Model:
    """Return a model by its name.

    Raises
    ------
    InputError
        When there is none of that name; the message lists those there are.
    """
    if name not in MODELS:
        raise InputError(f"no model '{name}'; there are {', '.join(MODELS)}")
    return MODELS[name]
