"""Hidden blocks as a Markov chain: what an exact filter has to carry."""

import torch
from torch import Tensor


def n_ages(min_block_trials: int) -> int:
    """Return how many ages of a block differ in what may come next.

    A block's age is the number of trials since its first; it stops counting where the
    block may end after any trial.
    """
    return max(min_block_trials, 1)


def block_chain(kinds: int, p_reversal: float, min_block_trials: int) -> Tensor:
    """Return the chain of :func:`pfc_metarl.tasks.blocks.draw_blocks`.

    A block grows older until it has lasted its minimum; then it ends with the hazard,
    and any of the other kinds begins.

    Returns
    -------
    Tensor
        (condition, condition) float64, from row to column; a condition is a kind of
        block (slow index) of an age (fast index).
    """
    ages = n_ages(min_block_trials)
    switching = switching_chain(kinds, p_reversal)
    staying = switching.diagonal()
    chain = torch.zeros((kinds, ages, kinds, ages), dtype=torch.float64)
    kind, age = torch.arange(kinds)[:, None], torch.arange(ages - 1)
    chain[kind, age, kind, age + 1] = 1.0
    chain[:, -1, :, 0] = switching - torch.diag(staying)
    chain[kind[:, 0], -1, kind[:, 0], -1] += staying
    return chain.reshape(kinds * ages, kinds * ages)


def first_block(kinds: int, min_block_trials: int) -> Tensor:
    """Return the conditions of the first trial: any kind, just begun, (condition,)."""
    first = torch.zeros((kinds, n_ages(min_block_trials)), dtype=torch.float64)
    first[:, 0] = 1 / kinds
    return first.flatten()


def switching_chain(kinds: int, hazard: float) -> Tensor:
    """Return the chain that leaves its kind with the hazard, for any of the others."""
    if kinds == 1:
        return torch.ones((1, 1), dtype=torch.float64)
    chain = torch.full((kinds, kinds), hazard / (kinds - 1), dtype=torch.float64)
    return chain.fill_diagonal_(1 - hazard)
