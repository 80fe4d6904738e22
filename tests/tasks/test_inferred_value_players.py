from itertools import pairwise, product

import pytest
import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks import InferredValue
from pfc_metarl.tasks.inferred_value import bromberg_martin_monkeys
from pfc_metarl.tasks.observers.inferred_value import (
    ExperiencedValue,
    InferredValueObserver,
    Responder,
)

NAN = float("nan")


def expected(player: Responder, cue: list[int], reward: list[float]) -> Tensor:
    """What one episode makes the player expect before each trial, (trial, side)."""
    return player.expected_reward(
        torch.tensor(cue)[:, None], torch.tensor(reward)[:, None]
    )[:, 0]


def enumerated(task: InferredValue, cue: list[int], reward: list[float]) -> list[float]:
    """Expected reward of either side, over every history of the side that pays."""
    pays = lambda side, paying: task.p_reward[0 if side == paying else 1]  # noqa: E731
    total, values = 0.0, [0.0, 0.0]
    for history in product((0, 1), repeat=len(cue) + 1):
        weight, age = 0.5, 0
        for before, now in pairwise(history):
            age += 1
            p = task.p_reversal if age >= task.min_block_trials else 0.0
            weight *= 1 - p if before == now else p
            age = age if before == now else 0
        for paying, side, earned in zip(history, cue, reward, strict=False):
            if earned == earned:  # not missing
                p = pays(side, paying)
                weight *= p if earned else 1 - p
        total += weight
        for side in (0, 1):
            values[side] += weight * pays(side, history[-1])
    return [value / total for value in values]


@pytest.mark.parametrize(
    "task",
    [
        InferredValue(),
        InferredValue(min_block_trials=0, p_reversal=0.3),
        InferredValue(p_reward=(0.8, 0.3), p_reversal=0.2, min_block_trials=2),
        InferredValue(p_reward=(0.9, 0.1), p_reversal=1.0, min_block_trials=3),
    ],
    ids=["certain", "no minimum", "uncertain", "of fixed length"],
)
def test_the_ideal_observer_equals_a_sum_over_every_hidden_history(
    task: InferredValue,
) -> None:
    cue, reward = [0, 1, 1, 0, 0, 1], [1.0, 0.0, NAN, 1.0, 0.0, 1.0]
    found = expected(InferredValueObserver(task), [*cue, 0], [*reward, NAN])
    for trial in range(7):
        values = enumerated(task, cue[:trial], reward[:trial])
        assert found[trial].tolist() == pytest.approx(values, rel=1e-9)


def test_one_outcome_after_a_reversal_changes_the_value_of_both_targets() -> None:
    cue, reward = [0, 1, 0, 1, 0, 0], [1.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    values = expected(InferredValueObserver(InferredValue()), cue, reward)
    assert values[4].tolist() == pytest.approx([0.95, 0.05])
    assert values[5].tolist() == pytest.approx([0.0, 1.0])  # the block is new


def test_experience_alone_changes_the_value_of_the_target_that_was_there() -> None:
    cue, reward = [0, 1, 0, 1, 0, 0], [1.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    values = expected(ExperiencedValue(InferredValue()), cue, reward)
    assert values[0].tolist() == [0.5, 0.5]
    assert values[1].tolist() == [1.0, 0.5]
    assert values[4].tolist() == [1.0, 0.0]
    assert values[5].tolist() == [0.0, 0.0]


def test_experience_grows_with_its_rate_and_not_from_invalid_trials() -> None:
    player = ExperiencedValue(InferredValue(), 0.25)
    values = expected(player, [1, 1, 1, 1], [1.0, NAN, 1.0, 1.0])
    assert values[:, 1].tolist() == [0.5, 0.625, 0.625, 0.71875]


def test_who_counts_24_trials_foresees_the_reversal() -> None:
    task = bromberg_martin_monkeys()
    tape = task.draw(20, torch.Generator().manual_seed(1))
    player = InferredValueObserver(task)
    columns = player.play(tape, torch.Generator().manual_seed(2)).trials()
    values = player.expected_reward(columns["cue"], columns["reward"])
    of_cue = values.gather(-1, columns["cue"].unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(of_cue[1:], columns["reward"][1:].double())


def test_on_average_the_ideal_observer_expects_what_comes() -> None:
    task = InferredValue(p_reward=(0.8, 0.3))
    tape = task.draw(4_000, torch.Generator().manual_seed(1))
    player = InferredValueObserver(task)
    columns = player.play(tape, torch.Generator().manual_seed(2)).trials()
    values = player.expected_reward(columns["cue"], columns["reward"])
    of_cue = values.gather(-1, columns["cue"].unsqueeze(-1)).squeeze(-1)
    for low in (0.3, 0.5, 0.7):
        here = (of_cue >= low) & (of_cue < low + 0.2)
        error = 0.5 / int(here.sum()) ** 0.5
        gap = columns["reward"][here].double().mean() - of_cue[here].mean()
        assert abs(gap.item()) < 4 * error


@pytest.mark.parametrize("make", [InferredValueObserver, ExperiencedValue])
@pytest.mark.parametrize("fixation", [False, True])
def test_players_respond_to_every_target(make: type[Responder], fixation: bool) -> None:
    task = InferredValue(fixation=fixation)
    tape = task.draw(50, torch.Generator().manual_seed(1))
    columns = make(task).play(tape, torch.Generator().manual_seed(2)).trials()
    assert torch.equal(columns["reward"], tape["outcome"])
    assert torch.equal(columns["choice"], tape["forced"])


def test_seeds_can_be_followed_side_by_side() -> None:
    task = InferredValue(trials=8)
    tape = task.draw(6, torch.Generator().manual_seed(1))
    cue, reward = tape["forced"], tape["outcome"]
    for player in (InferredValueObserver(task), ExperiencedValue(task)):
        alone = player.expected_reward(cue, reward)
        both = player.expected_reward(
            torch.stack([cue, 1 - cue], 1), torch.stack([reward, reward], 1)
        )
        assert both.shape == (8, 2, 6, 2)
        torch.testing.assert_close(both[:, 0], alone)
        torch.testing.assert_close(both[:, 1], alone.flip(-1))


@pytest.mark.parametrize("rate", [-0.1, 1.1, NAN])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(InputError, match=f"learning_rate is {rate}"):
        ExperiencedValue(InferredValue(), rate)
