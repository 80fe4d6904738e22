from typing import get_args

import pytest
import torch
from torch import Tensor

from pfc_metarl.seeds import Stream, generator

STREAMS: tuple[Stream, ...] = get_args(Stream)


def numbers(seed: int, stream: Stream) -> Tensor:
    return torch.rand(1000, generator=generator(seed, stream))


@pytest.mark.parametrize("stream", STREAMS)
def test_the_same_seed_and_purpose_give_the_same_numbers(stream: Stream) -> None:
    assert torch.equal(numbers(3, stream), numbers(3, stream))


def test_no_two_purposes_or_seeds_share_their_numbers() -> None:
    first = {
        tuple(numbers(seed, stream)[:3].tolist())
        for seed in range(300)
        for stream in STREAMS
    }
    assert len(first) == 300 * len(STREAMS)


def test_neighbouring_seeds_and_purposes_are_uncorrelated() -> None:
    drawn = torch.stack([numbers(s, stream) for s in range(6) for stream in STREAMS])
    correlation = torch.corrcoef(drawn).fill_diagonal_(0)
    assert correlation.abs().max() < 5 / 1000**0.5


def test_a_generator_is_fresh_however_much_was_drawn_before() -> None:
    first = generator(1, "training")
    torch.rand(10, generator=first)
    assert torch.equal(numbers(1, "training"), numbers(1, "training"))
    assert first is not generator(1, "training")


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    numbers(0, "weights")
    assert torch.equal(torch.get_rng_state(), before)


def test_the_numbers_of_a_seed_stay_the_same_from_version_to_version() -> None:
    drawn = torch.randint(1000, (4,), generator=generator(0, "training")).tolist()
    assert drawn == [164, 578, 435, 282]
