"""Independent streams of random numbers, each named by a seed and a purpose.

A seed names everything random about a replica. Its streams never mix, so what is
drawn for one purpose (test episodes, say) cannot depend on how much was drawn for
another, and no replica depends on which others are trained beside it.
"""

from typing import Literal, get_args

import numpy as np
import torch

Stream = Literal[
    "weights",
    "training",
    "test episodes",
    "test actions",
    "observer",
    "validation episodes",
    "validation actions",
    "problems",
]
_STREAMS: tuple[str, ...] = get_args(Stream)


def generator(seed: int, stream: Stream) -> torch.Generator:
    """Return a fresh generator for one purpose of one seed.

    Parameters
    ----------
    seed
        The replica, a non-negative integer.
    stream
        What the numbers are for. Two streams of one seed share no numbers.

    Returns
    -------
    torch.Generator
        On the CPU: the same numbers on every device and machine type.
    """
    # torch's Mersenne twister takes 32 bits of seed; SeedSequence spreads them well.
    word = np.random.SeedSequence([seed, _STREAMS.index(stream)]).generate_state(1)[0]
    return torch.Generator().manual_seed(int(word))
