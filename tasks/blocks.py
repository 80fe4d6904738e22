"""Hidden blocks: what kind of block a trial belongs to, and when a block ends."""

import torch
from torch import Tensor

Blocks = tuple[tuple[float, ...], ...]
"""Probabilities of reward per option, for each kind of block."""


def draw_blocks(
    shape: tuple[int, int],
    kinds: int,
    p_reversal: float,
    min_block_trials: int,
    generator: torch.Generator,
) -> Tensor:
    """Draw the kind of block of every trial.

    The first kind is any; a block then ends with a constant hazard, once it has lasted
    its minimum, and any of the other kinds follows.

    Parameters
    ----------
    shape
        Trials and episodes.
    kinds
        Number of kinds.
    p_reversal
        Probability per trial that a block ends.
    min_block_trials
        Trials that a block lasts at least.
    generator
        The only source of randomness.

    Returns
    -------
    Tensor
        (trial, episode) int64, from 0 to ``kinds`` - 1.
    """
    reversal = torch.rand(shape, generator=generator) < p_reversal
    if min_block_trials:
        reversal = _with_minimum_between(reversal, min_block_trials)
    jump = torch.randint(1, max(kinds, 2), shape, generator=generator)
    first = torch.randint(kinds, shape[1:], generator=generator)
    return (first + torch.cumsum(reversal * jump, dim=0)) % kinds


def _with_minimum_between(reversal: Tensor, minimum: int) -> Tensor:
    """Drop reversals that come within ``minimum`` trials of a block's start."""
    kept = torch.zeros_like(reversal)
    age = torch.zeros_like(reversal[0], dtype=torch.int64)
    for trial in range(len(reversal)):
        kept[trial] = reversal[trial] & (age >= minimum)
        age = torch.where(kept[trial], 0, age) + 1
    return kept


def are_blocks(blocks: object, options: int) -> bool:
    """Tell whether these are blocks: tuples of ``options`` probabilities each."""
    return (
        isinstance(blocks, tuple)
        and len(blocks) > 0
        and all(isinstance(kind, tuple) and len(kind) == options for kind in blocks)
        and all(0 <= p <= 1 for kind in blocks for p in kind)
    )
