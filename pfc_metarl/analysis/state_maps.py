"""Maps from one agent's states to another's, or to a statistic: ridge, or a network."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pfc_metarl.errors import InputError

Floats = NDArray[np.float64]

StateMap = Callable[[Floats], Floats]
"""From (..., source unit) to (..., target unit)."""

Fit = Callable[[Floats, Floats], StateMap]
"""Learns a map from examples, (point, source unit) and (point, target unit)."""

PENALTY = 1.0
"""Guess: of no weight beside thousands of trials; keeps twin units soluble."""

FLAT = 1e-6  # of the widest unit's spread: less is rounding, and the unit is flat


@dataclass(frozen=True)
class Scale:
    """Mean and spread of each unit; flat units are left out of account."""

    mean: Floats  # (unit,)
    spread: Floats  # (unit,), 1 for flat units
    varies: NDArray[np.bool_]  # (unit,)

    def standardised(self, values: Floats) -> Floats:
        """Return (..., unit) values with mean 0 and spread 1, flat units 0."""
        scaled: Floats = (values - self.mean) / self.spread * self.varies
        return scaled

    def original(self, values: Floats) -> Floats:
        """Undo :meth:`standardised`; flat units get their mean."""
        unscaled: Floats = values * self.spread * self.varies + self.mean
        return unscaled


def scale_of(values: Floats) -> Scale:
    """Return the scale of (point, unit) values."""
    spread = values.std(0)
    varies = spread > FLAT * spread.max(initial=0.0)
    return Scale(values.mean(0), np.where(varies, spread, 1.0), varies)


@dataclass(frozen=True)
class LinearMap:
    """x -> x @ weights + intercept."""

    weights: Floats  # (source unit, target unit)
    intercept: Floats  # (target unit,)

    def __call__(self, values: Floats) -> Floats:
        """Map (..., source unit) to (..., target unit)."""
        mapped: Floats = values @ self.weights + self.intercept
        return mapped


def fit_ridge(source: Floats, target: Floats, penalty: float = PENALTY) -> LinearMap:
    """Fit a linear map by ridge regression.

    With the sources standardised, X, and the targets centred, Y, the weights minimise
    |Y - X W|^2 + penalty |W|^2, so that W = (X'X + penalty I)^-1 X'Y. The intercept is
    free.

    Parameters
    ----------
    source, target
        (point, unit).
    penalty
        More than 0.

    Returns
    -------
    LinearMap
        In the units of source and target.

    Raises
    ------
    InputError
        When the penalty is not more than 0.
    """
    if not penalty > 0:
        raise InputError(f"penalty is {penalty}; expected more than 0")
    scale = scale_of(source)
    centre = target.mean(0)
    x = scale.standardised(source)
    gram = x.T @ x + penalty * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, x.T @ (target - centre)) / scale.spread[:, None]
    return LinearMap(weights, centre - scale.mean @ weights)


@dataclass(frozen=True)
class FitMLP:
    """Fits a map by a small multi-layer perceptron.

    Sources and targets are standardised; the loss is the mean squared error, so that
    all target units count alike. All numbers are guesses: of those tried on validation
    episodes, the fastest that was near the best (half a second for 10,000 points and 48
    units).

    Parameters
    ----------
    hidden
        Units of each hidden layer, tanh.
    updates, batch
        Steps of Adam, and points in each.
    learning_rate
        At first; it falls to 0 along a cosine.
    seed
        Of the initial weights and the order of the points.
    """

    hidden: tuple[int, ...] = (64, 64)
    updates: int = 600
    batch: int = 256
    learning_rate: float = 1e-2
    seed: int = 0

    def __call__(self, source: Floats, target: Floats) -> StateMap:
        """Learn from (point, source unit) and (point, target unit)."""
        generator = torch.Generator().manual_seed(self.seed)
        from_, to = scale_of(source), scale_of(target)
        x, y = _tensor(from_.standardised(source)), _tensor(to.standardised(target))
        layers = self._layers((x.shape[1], *self.hidden, y.shape[1]), generator)
        optimiser = torch.optim.Adam(layers.parameters(), lr=self.learning_rate)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.updates)
        for _ in range(self.updates):
            rows = torch.randint(len(x), (self.batch,), generator=generator)
            loss = nn.functional.mse_loss(layers(x[rows]), y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            decay.step()

        @torch.no_grad()
        def mapped(values: Floats) -> Floats:
            guess = layers(_tensor(from_.standardised(values)))
            return to.original(guess.double().numpy())

        return mapped

    def _layers(
        self, sizes: tuple[int, ...], generator: torch.Generator
    ) -> nn.Sequential:
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(sizes):
            linear = nn.utils.skip_init(nn.Linear, n_in, n_out)
            nn.init.xavier_uniform_(linear.weight, generator=generator)
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.Tanh()]
        return nn.Sequential(*layers[:-1])


def _tensor(values: Floats) -> Tensor:
    return torch.from_numpy(values).float()
