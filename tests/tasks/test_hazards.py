from collections.abc import Callable
from math import exp

import pytest
import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.hazards import (
    block_starts,
    hazard_after,
    hazard_between,
    pass_trial,
)

Near = Callable[..., None]
EPISODES = 100_000


def first_block(hazard: Tensor, trials: int, rng: torch.Generator) -> Tensor:
    """Length of the first block of every episode, ``trials`` if its end is not seen."""
    starts = block_starts(torch.rand((trials, EPISODES), generator=rng), hazard)
    return torch.where(starts.any(0), starts.int().argmax(0), trials)


def test_lengths_between_bounds_are_alike_probable(
    near: Near, rng: torch.Generator
) -> None:
    length = first_block(hazard_between(3, 6), 10, rng)
    for trials in range(3, 7):
        near(length == trials, 1 / 4)


def test_an_exponential_time_after_the_shortest_is_cut_at_the_longest(
    near: Near, rng: torch.Generator
) -> None:
    length = first_block(hazard_between(4, 9, 1 - exp(-1 / 3)), 12, rng)
    for extra in range(5):  # whole trials of an exponential time of 3
        near(length == 4 + extra, exp(-extra / 3) - exp(-(extra + 1) / 3))
    near(length == 9, exp(-5 / 3))


def test_a_block_lasts_its_minimum_and_then_ends_at_random(
    near: Near, rng: torch.Generator
) -> None:
    length = first_block(hazard_after(2, 0.3), 20, rng)
    for extra in range(4):
        near(length == 2 + extra, 0.7**extra * 0.3)


def test_later_blocks_are_like_the_first(near: Near, rng: torch.Generator) -> None:
    starts = block_starts(
        torch.rand((9, EPISODES), generator=rng), hazard_between(2, 4)
    )
    second = starts[2].nonzero()[:, 0]  # began on trial 2
    near(starts[4, second], 1 / 3)
    near(starts[5, second] & ~starts[4, second], 1 / 3)


def test_no_episode_begins_with_an_end() -> None:
    assert not block_starts(torch.zeros(3, 5), torch.ones(1))[0].any()


def test_each_kind_of_condition_has_a_hazard_of_its_own(rng: torch.Generator) -> None:
    hazard = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    kind = torch.tensor([[0, 1], [0, 1], [1, 0]])
    starts = block_starts(torch.rand((3, 2), generator=rng), hazard, kind)
    assert starts.int().tolist() == [[0, 0], [0, 1], [1, 0]]


@pytest.mark.parametrize(
    "hazard",
    [hazard_between(2, 4), hazard_between(1, 3, 0.2), hazard_after(2, 0.3)],
    ids=["alike", "exponential", "after"],
)
def test_what_is_believed_of_the_end_is_the_distribution_of_lengths(
    hazard: Tensor,
) -> None:
    belief = torch.zeros(len(hazard), dtype=torch.float64)
    belief[0] = survival = 1.0
    for length in range(1, 9):
        belief, ended = pass_trial(belief, hazard)
        p_end = hazard[min(length, len(hazard) - 1)].item()
        assert ended.item() == pytest.approx(survival * p_end, abs=1e-12)
        survival *= 1 - p_end
        assert belief.sum().item() == pytest.approx(survival, abs=1e-12)


@pytest.mark.parametrize("bounds", [(0, 3), (5, 4), (-2, 2)])
def test_bounds_out_of_order_are_refused(bounds: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=rf"blocks of {bounds[0]} to {bounds[1]}"):
        hazard_between(*bounds)
