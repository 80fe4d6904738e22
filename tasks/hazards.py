"""Hazards: when a block of trials ends, by how long it has lasted.

A hazard is a tensor (..., age) float64: the element l is the probability that a block
ends after it has lasted l trials; the last element holds for all longer ones too. The
first dimensions, if any, are kinds of condition.
"""

import torch
from torch import Tensor

from pfc_metarl.errors import InputError


def hazard_after(minimum: int, p_end: float) -> Tensor:
    """Return the hazard of blocks that end at random after a minimum of trials."""
    return torch.tensor([0.0] * minimum + [p_end], dtype=torch.float64)


def hazard_between(shortest: int, longest: int, p_end: float | None = None) -> Tensor:
    """Return the hazard of blocks that last a number of trials between two bounds.

    Parameters
    ----------
    shortest, longest
        Bounds, both possible.
    p_end
        Probability of the end per trial from the shortest on, until at the longest it
        is certain. None: all lengths are alike probable.

    Raises
    ------
    InputError
        When the bounds are not 1 or more and in order.
    """
    if not 1 <= shortest <= longest:
        raise InputError(
            f"blocks of {shortest} to {longest} trials; expected 1 or more, in order"
        )
    lengths_left = torch.arange(longest - shortest + 1, 0, -1, dtype=torch.float64)
    ends = 1 / lengths_left if p_end is None else torch.full_like(lengths_left, p_end)
    ends[-1] = 1
    return torch.cat([torch.zeros(shortest, dtype=torch.float64), ends])


def block_starts(chance: Tensor, hazard: Tensor, kind: Tensor | None = None) -> Tensor:
    """Find the trials that begin a block other than the first.

    Parameters
    ----------
    chance
        (trial, episode), uniform from 0 to 1.
    hazard
        (age,), or (kind, age) with ``kind``.
    kind
        (trial, episode) int64: the kind of condition each trial is under.

    Returns
    -------
    Tensor
        (trial, episode) bool.
    """
    starts = torch.zeros_like(chance, dtype=torch.bool)
    age = torch.zeros(chance.shape[1:], dtype=torch.int64)
    for trial in range(1, len(chance)):
        age = (age + 1).clamp(max=hazard.shape[-1] - 1)
        p_end = hazard[age] if kind is None else hazard[kind[trial], age]
        starts[trial] = chance[trial] < p_end
        age = age.masked_fill(starts[trial], 0)
    return starts


def pass_trial(belief: Tensor, hazard: Tensor) -> tuple[Tensor, Tensor]:
    """Let one trial pass: what is believed of the block's age, and of its end.

    Parameters
    ----------
    belief
        (..., age) float64, of the trials that the block has lasted.
    hazard
        (..., age), of the same number of ages.

    Returns
    -------
    lasting : Tensor
        (..., age): belief that the block goes on, by its new age.
    ended : Tensor
        (...): belief that it ended.
    """
    older = torch.cat([torch.zeros_like(belief[..., :1]), belief[..., :-1]], dim=-1)
    older[..., -1] += belief[..., -1]
    return older * (1 - hazard), (older * hazard).sum(-1)
