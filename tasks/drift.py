"""Drifting payoffs: random walks between reflecting bounds."""

import torch
from torch import Tensor


def reflected(walk: Tensor, low: float, high: float) -> Tensor:
    """Fold a free walk back between two bounds.

    Where the steps of the free walk are as likely up as down, the folded walk has the
    same law as one that is mirrored at a bound each time it would cross it.

    Parameters
    ----------
    walk
        Any shape: the start plus the sum of the steps so far.
    low, high
        The bounds.

    Returns
    -------
    Tensor
        The same shape, from ``low`` to ``high``.
    """
    span = high - low
    # low -> high -> low is one turn; rounding must not carry beyond a bound
    folded = high - ((walk - low) % (2 * span) - span).abs()
    return folded.clamp(low, high)


def draw_steps(
    shape: tuple[int, ...], step_sd: float, generator: torch.Generator
) -> Tensor:
    """Draw the Gaussian steps of walks.

    Parameters
    ----------
    shape
        (trial, ...).
    step_sd
        Standard deviation of a step.
    generator
        The only source of randomness.

    Returns
    -------
    Tensor
        (trial, ...) float32: the step that leads to each trial, 0 for the first.
    """
    steps = torch.randn(shape, generator=generator) * step_sd
    steps[0] = 0.0
    return steps
