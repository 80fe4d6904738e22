from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks import TwoStep
from pfc_metarl.tasks.base import Episodes, Tape, Task
from pfc_metarl.tasks.two_step_versions import AkamMice, MillerRats

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]
Near = Callable[..., None]
Positions = NDArray[np.int64]

EPISODES = 10_000  # of 100 trials: a million trials
UNEVEN = ((0.7, 0.2), (0.35, 0.6), (0.05, 0.95))
FIXATE = 2


def draw(task: TwoStep, n_episodes: int = EPISODES, seed: int = 1) -> Tape:
    return task.draw(n_episodes, torch.Generator().manual_seed(seed))


def switches(kind: Tensor) -> Tensor:
    """(trial - 1, episode): whether the next trial is of another kind."""
    return kind[1:] != kind[:-1]


def mapping(tape: Tape) -> Tensor:
    """1 where choice 0 commonly leads to state 1."""
    return tape["flip"] ^ (~tape["common"]).long()


def starts_and_lengths(kind: Tensor) -> tuple[Positions, Positions]:
    """First trial and length of every block whose end was seen."""
    episode, last = np.nonzero(switches(kind).T.numpy())
    same_episode = np.diff(episode, prepend=-1) == 0
    start = np.where(same_episode, np.roll(last, 1) + 1, 0)
    return start, last + 1 - start


@pytest.fixture(scope="module")
def million() -> Tape:
    """The task of Wang et al., a million trials."""
    return draw(TwoStep())


# Chance events.


def test_four_transitions_in_five_are_common(million: Tape, near: Near) -> None:
    near(million["common"], 0.8)
    assert torch.equal(million["flip"], (~million["common"]).long())


@pytest.mark.parametrize("block", [0, 1])
@pytest.mark.parametrize("common", [True, False])
def test_each_state_pays_as_its_block_says_whatever_the_transition(
    million: Tape, near: Near, block: int, common: bool
) -> None:
    trials = (million["block"] == block) & (million["common"] == common)
    near(million["outcome0"][trials], (0.9, 0.1)[block])
    near(million["outcome1"][trials], (0.1, 0.9)[block])


@pytest.mark.parametrize("block", range(3))
@pytest.mark.parametrize("state", [0, 1])
def test_any_table_of_blocks_is_followed(near: Near, block: int, state: int) -> None:
    tape = draw(TwoStep(blocks=UNEVEN))
    near(tape[f"outcome{state}"][tape["block"] == block], UNEVEN[block][state])


def test_blocks_reverse_once_in_forty_trials(million: Tape, near: Near) -> None:
    near(switches(million["block"]), 0.025)


def test_blocks_reverse_as_often_late_in_an_episode_as_early(
    million: Tape, near: Near
) -> None:
    near(switches(million["block"])[:5], 0.025)
    near(switches(million["block"])[-5:], 0.025)


def test_a_block_has_no_memory_of_its_age(million: Tape, near: Near) -> None:
    switched = switches(million["block"])
    near(switched[1:][switched[:-1]], 0.025)


def test_either_state_is_as_likely_to_be_good_at_the_start(near: Near) -> None:
    near(draw(TwoStep(trials=1), 1_000_000)["block"], 0.5)


@pytest.mark.parametrize(
    ("p_reversal", "expected"), [(0.0, [0, 0, 0]), (1.0, [1, 0, 1])]
)
def test_blocks_never_or_always_reverse_at_the_extremes(
    p_reversal: float, expected: list[int]
) -> None:
    block = draw(TwoStep(p_reversal=p_reversal, trials=4), 50)["block"]
    relative = (block[1:] - block[0]).abs()
    assert torch.equal(relative, torch.tensor(expected)[:, None].expand(-1, 50))


def test_one_kind_of_block_never_changes() -> None:
    tape = draw(TwoStep(blocks=((0.6, 0.4),), p_reversal=0.5), 50)
    assert not tape["block"].any()


@pytest.mark.parametrize("kinds", [2, 3])
def test_a_block_lasts_its_minimum_and_then_ends_at_the_hazard(
    near: Near, kinds: int
) -> None:
    task = TwoStep(min_block_trials=10, p_reversal=0.3, blocks=UNEVEN[:kinds])
    block = draw(task)["block"]
    _, length = starts_and_lengths(block)
    assert length.min() == 10
    switched = switches(block)  # row t: the trial t + 1 begins a block
    near(switched[9], 0.3)  # of the first block
    near(switched[19][switched[9]], 0.3)  # of a later one
    near(switched[20][switched[9] & ~switched[19]], 0.3)


def test_choices_are_free_unless_asked_otherwise(million: Tape) -> None:
    assert (million["forced"] == -1).all()


def test_some_choices_are_forced_to_either_side_alike(near: Near) -> None:
    forced = draw(TwoStep(p_forced=0.2))["forced"]
    near(forced >= 0, 0.2)
    near(forced[forced >= 0], 0.5)
    assert set(forced.unique().tolist()) == {-1, 0, 1}


def test_transitions_keep_their_mapping_unless_asked_otherwise(million: Tape) -> None:
    assert not mapping(million).any()


def test_the_mapping_reverses_at_its_own_rate(near: Near) -> None:
    tape = draw(TwoStep(p_transition_reversal=0.03))
    reversal = switches(mapping(tape))
    near(reversal, 0.03)
    near(mapping(tape)[0], 0.5)
    near(tape["common"], 0.8)
    near(reversal[switches(tape["block"])], 0.03)


def test_millers_rats_have_blocks_of_ten_trials_or_more(near: Near) -> None:
    tape = draw(MillerRats(), 2_000)
    _, length = starts_and_lengths(tape["block"])
    assert length.min() == 10
    near(tape["common"], 0.8)
    near(tape["outcome0"][tape["block"] == 0], 0.8)
    near(tape["outcome1"][tape["block"] == 0], 0.2)
    near(tape["forced"] >= 0, 0.125)
    near(switches(tape["block"])[9], 0.02)


def test_akams_mice_have_three_kinds_of_block_and_move_to_either_other(
    near: Near,
) -> None:
    tape = draw(replace(AkamMice(), min_block_trials=0), 2_500)
    block = tape["block"]
    near(switches(block), 0.02)  # a block followed by its own kind would lower it
    for kind in range(3):
        near(block[0] == kind, 1 / 3)
        near(tape["outcome0"][block == kind], (0.8, 0.4, 0.2)[kind])
        near(tape["outcome1"][block == kind], (0.2, 0.4, 0.8)[kind])
        leaving = switches(block) & (block[:-1] == kind)
        near(block[1:][leaving] == (kind + 1) % 3, 0.5)
    near(switches(mapping(tape)), 0.01)


def test_akams_mice_have_blocks_of_twenty_trials_or_more() -> None:
    _, length = starts_and_lengths(draw(AkamMice(), 2_500)["block"])
    assert length.min() == 20


# Trials worked by hand.


def hand_tape(**columns: list[int]) -> Tape:
    """One episode; a column that is not given is constant."""
    n_trials = len(next(iter(columns.values())))
    usual = {"block": 0, "common": 1, "flip": 0, "outcome0": 0, "outcome1": 0}
    columns = {
        **{name: [value] * n_trials for name, value in usual.items()},
        "forced": [-1] * n_trials,
        **columns,
    }
    dtype = {"common": torch.bool, "outcome0": torch.float32, "outcome1": torch.float32}
    return {
        name: torch.tensor(values).to(dtype.get(name, torch.int64))[:, None]
        for name, values in columns.items()
    }


def column(episodes: Episodes, name: str) -> list[float]:
    values: list[float] = episodes.trials()[name][:, 0].tolist()
    return values


@pytest.mark.parametrize(
    ("choice", "flip", "state"), [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)]
)
@pytest.mark.parametrize("outcomes", [(0, 1), (1, 0), (1, 1), (0, 0)])
def test_a_choice_leads_to_its_state_and_earns_what_that_state_pays(
    play: Play, choice: int, flip: int, state: int, outcomes: tuple[int, int]
) -> None:
    tape = hand_tape(
        flip=[flip],
        common=[1 - flip],
        outcome0=[outcomes[0]],
        outcome1=[outcomes[1]],
    )
    actions = torch.tensor([[choice], [0]])
    episodes, seen, earned = play(TwoStep(trials=1), tape, actions)
    assert seen[0, 0].tolist() == [1, 0, 0]
    assert seen[1, 0].tolist() == [0, state == 0, state == 1]
    assert seen[2, 0].tolist() == [1, 0, 0]
    assert earned[:, 0].tolist() == [0, outcomes[state]]
    assert column(episodes, "choice") == [choice]
    assert column(episodes, "state2") == [state]
    assert column(episodes, "transition_common") == [1 - flip]
    assert column(episodes, "reward") == [outcomes[state]]
    assert column(episodes, "valid") == [1]
    assert column(episodes, "forced") == [0]


def test_each_trial_uses_its_own_row_of_the_tape(play: Play) -> None:
    tape = hand_tape(
        flip=[0, 1, 0, 1],
        common=[1, 0, 1, 0],
        outcome0=[1, 1, 0, 1],
        outcome1=[0, 0, 1, 0],
        block=[0, 0, 1, 1],
    )
    actions = torch.tensor([0, 1, 0, 1, 1, 1, 1, 1])[:, None]
    episodes, _, earned = play(TwoStep(trials=4), tape, actions)
    assert column(episodes, "state2") == [0, 1, 1, 0]
    assert column(episodes, "transition_common") == [1, 0, 1, 0]
    assert earned[:, 0].tolist() == [0, 1, 0, 0, 0, 1, 0, 1]
    assert column(episodes, "reward") == [1, 0, 1, 1]
    assert column(episodes, "good_state") == [0, 0, 1, 1]
    assert column(episodes, "good_choice") == [0, 0, 1, 1]


def test_an_action_at_the_second_step_has_no_effect(play: Play) -> None:
    task = TwoStep(fixation=True, trials=30)
    tape = draw(task, 20)
    actions = torch.tensor([FIXATE, 0, 0]).repeat(30)[:, None].repeat(1, 20)
    actions[1::3] = torch.randint(
        2, (30, 20), generator=torch.Generator().manual_seed(2)
    )
    others = actions.clone()
    others[2::3] = torch.arange(30)[:, None] % 3
    _, seen, earned = play(task, tape, actions)
    _, seen_other, earned_other = play(task, tape, others)
    assert torch.equal(seen, seen_other)
    assert torch.equal(earned, earned_other)


def test_a_trial_with_fixation_opens_with_the_fixation_cue(play: Play) -> None:
    task = TwoStep(fixation=True, trials=2)
    assert task.phases == ("fixation", "choice", "state2")
    assert task.n_actions == 3
    tape = hand_tape(outcome0=[1, 1])
    actions = torch.tensor([FIXATE, 0, 0, FIXATE, 1, 1])[:, None]
    _, seen, earned = play(task, tape, actions)
    fixation, choice, state0, state1 = torch.eye(4)[[3, 0, 1, 2]].tolist()
    trial0, trial1 = [fixation, choice, state0], [fixation, choice, state1]
    assert seen[:, 0].tolist() == [*trial0, *trial1, fixation]
    assert earned[:, 0].tolist() == [0, 0, 1, 0, 0, 0]


@pytest.mark.parametrize("action", [0, 1])
@pytest.mark.parametrize("penalty", [-1.0, -0.25])
def test_leaving_fixation_costs_the_penalty_and_the_trial_goes_on(
    play: Play, action: int, penalty: float
) -> None:
    tape = hand_tape(outcome0=[1])
    task = TwoStep(fixation=True, trials=1, invalid_reward=penalty)
    actions = torch.tensor([action, 0, 0])[:, None]
    episodes, seen, earned = play(task, tape, actions)
    assert seen[1, 0].tolist() == [1, 0, 0, 0]
    assert earned[:, 0].tolist() == [penalty, 0, 1]
    assert column(episodes, "valid") == [1]
    assert column(episodes, "reward") == [1]


@pytest.mark.parametrize("flip", [0, 1])
def test_fixating_at_the_choice_cue_costs_the_penalty_and_the_second_step(
    play: Play, flip: int
) -> None:
    tape = hand_tape(flip=[flip, 0], outcome0=[1, 1], outcome1=[1, 1])
    actions = torch.tensor([FIXATE, FIXATE, 0, FIXATE, 1, 0])[:, None]
    episodes, seen, earned = play(TwoStep(fixation=True, trials=2), tape, actions)
    assert seen[2, 0].tolist() == [0, 0, 0, 0]
    assert seen[3, 0].tolist() == [0, 0, 0, 1]
    assert earned[:, 0].tolist() == [0, -1, 0, 0, 0, 1]
    assert column(episodes, "valid") == [0, 1]
    assert column(episodes, "choice") == [-1, 1]
    assert column(episodes, "state2") == [-1, 1]
    assert column(episodes, "transition_common") == [-1, 1]
    np.testing.assert_equal(column(episodes, "reward"), [np.nan, 1])


def test_an_invalid_trial_keeps_its_latents(play: Play) -> None:
    tape = hand_tape(block=[1])
    actions = torch.tensor([FIXATE, FIXATE, 0])[:, None]
    episodes, _, _ = play(TwoStep(fixation=True, trials=1), tape, actions)
    assert column(episodes, "good_state") == [1]
    assert column(episodes, "good_choice") == [1]


def test_a_penalty_given_as_a_whole_number_is_a_float_reward_all_the_same(
    play: Play,
) -> None:
    task = TwoStep(fixation=True, trials=1, invalid_reward=-1)
    episodes = task.begin(hand_tape(flip=[0]))
    for action in (0, FIXATE, 0):
        _, reward = episodes.step(torch.tensor([action]))
        assert reward.dtype == torch.float32


@pytest.mark.parametrize("action", [0, 1])
def test_a_forced_choice_is_cued_and_taken_whatever_the_action(
    play: Play, action: int
) -> None:
    tape = hand_tape(forced=[0, 1, -1], outcome1=[1, 1, 1])
    actions = torch.tensor([action, 0] * 3)[:, None]
    task = TwoStep(p_forced=0.2, trials=3)
    episodes, seen, earned = play(task, tape, actions)
    assert task.n_observations == 5
    assert seen[0, 0].tolist() == [0, 0, 0, 1, 0]
    assert seen[1, 0].tolist() == [0, 1, 0, 0, 0]
    assert seen[2, 0].tolist() == [0, 0, 0, 0, 1]
    assert seen[3, 0].tolist() == [0, 0, 1, 0, 0]
    assert seen[4, 0].tolist() == [1, 0, 0, 0, 0]
    assert column(episodes, "choice") == [0, 1, action]
    assert column(episodes, "state2") == [0, 1, action]
    assert column(episodes, "forced") == [1, 1, 0]
    assert earned[:, 0].tolist() == [0, 0, 0, 1, 0, action]


@pytest.mark.parametrize("action", [0, 1, FIXATE])
def test_a_forced_choice_follows_fixation_with_a_cue_of_its_own(
    play: Play, action: int
) -> None:
    tape = hand_tape(forced=[1, -1])
    task = TwoStep(p_forced=0.2, fixation=True, trials=2)
    actions = torch.tensor([FIXATE, action, 0, FIXATE, 0, 0])[:, None]
    episodes, seen, earned = play(task, tape, actions)
    assert seen[0, 0].tolist() == [0, 0, 0, 1, 0, 0]
    assert seen[1, 0].tolist() == [0, 0, 0, 0, 0, 1]
    assert seen[4, 0].tolist() == [1, 0, 0, 0, 0, 0]
    assert column(episodes, "choice") == [1, 0]
    assert not earned.any()


@pytest.mark.parametrize("block", [0, 1])
@pytest.mark.parametrize("common", [0, 1])
@pytest.mark.parametrize("swapped", [0, 1])
def test_the_good_choice_is_the_one_that_commonly_leads_to_the_good_state(
    play: Play, block: int, common: int, swapped: int
) -> None:
    flip = swapped ^ (1 - common)
    tape = hand_tape(block=[block], common=[common], flip=[flip])
    task = TwoStep(p_transition_reversal=0.1, trials=1)
    episodes, _, _ = play(task, tape, torch.tensor([[0], [0]]))
    assert column(episodes, "good_state") == [block]
    assert column(episodes, "good_choice") == [block ^ swapped]
    assert column(episodes, "transition_common") == [common]


def test_no_choice_is_good_where_both_states_pay_alike(play: Play) -> None:
    tape = hand_tape(block=[0, 1, 2])
    actions = torch.zeros(6, 1, dtype=torch.int64)
    episodes, _, _ = play(replace(AkamMice(), trials=3), tape, actions)
    assert column(episodes, "good_state") == [0, -1, 1]
    assert column(episodes, "good_choice") == [0, -1, 1]


# Agents whose earnings are known.


def actions_of(choices: Tensor) -> Tensor:
    """(trial, episode) choices as the actions of every step, without fixation."""
    return torch.stack([choices, torch.zeros_like(choices)], 1).flatten(0, 1)


@pytest.mark.parametrize(
    ("blocks", "expected"), [(((0.9, 0.1), (0.1, 0.9)), 0.5), (UNEVEN, 0.475)]
)
def test_a_random_player_earns_the_mean_of_the_reward_probabilities(
    play: Play, near: Near, blocks: Any, expected: float
) -> None:
    task = TwoStep(blocks=blocks, trials=1)  # episodes are independent
    tape = draw(task, 1_000_000)
    generator = torch.Generator().manual_seed(3)
    choices = torch.randint(2, (1, 1_000_000), generator=generator)
    episodes, _, _ = play(task, tape, actions_of(choices))
    near(episodes.trials()["reward"], expected)


def test_a_random_player_earns_one_half_over_whole_episodes(
    million: Tape, play: Play, near: Near
) -> None:
    generator = torch.Generator().manual_seed(3)
    choices = torch.randint(2, (100, EPISODES), generator=generator)
    episodes, _, _ = play(TwoStep(), million, actions_of(choices))
    near(episodes.trials()["reward"], 0.5)
    near(episodes.trials()["state2"], 0.5)


@pytest.mark.parametrize("p_transition_reversal", [0.0, 0.05])
def test_an_oracle_that_knows_the_good_choice_earns_074(
    play: Play, near: Near, p_transition_reversal: float
) -> None:
    task = TwoStep(p_transition_reversal=p_transition_reversal)
    tape = draw(task)
    episodes, _, _ = play(task, tape, actions_of(tape["block"] ^ mapping(tape)))
    columns = episodes.trials()
    near(columns["reward"], 0.8 * 0.9 + 0.2 * 0.1)
    assert torch.equal(columns["good_choice"], columns["choice"])


def test_swapping_the_names_of_the_states_and_actions_changes_no_reward(
    play: Play,
) -> None:
    task = TwoStep(p_forced=0.2)
    tape = draw(task, 50)
    renamed = {
        **tape,
        "block": 1 - tape["block"],
        "outcome0": tape["outcome1"],
        "outcome1": tape["outcome0"],
        "forced": torch.where(tape["forced"] < 0, -1, 1 - tape["forced"]),
    }
    generator = torch.Generator().manual_seed(3)
    choices = torch.randint(2, (100, 50), generator=generator)
    one, seen, earned = play(task, tape, actions_of(choices))
    other, seen_renamed, earned_renamed = play(task, renamed, actions_of(1 - choices))
    assert torch.equal(earned, earned_renamed)
    assert torch.equal(seen, seen_renamed[..., [0, 2, 1, 4, 3]])
    for name in ("choice", "state2", "good_state", "good_choice"):
        assert torch.equal(one.trials()[name], 1 - other.trials()[name])
    for name in ("transition_common", "forced", "valid"):
        assert torch.equal(one.trials()[name], other.trials()[name])


def test_swapping_the_names_of_the_actions_alone_changes_no_state(play: Play) -> None:
    task = TwoStep(p_transition_reversal=0.1)
    tape = draw(task, 50)
    renamed = {**tape, "flip": 1 - tape["flip"]}
    generator = torch.Generator().manual_seed(3)
    choices = torch.randint(2, (100, 50), generator=generator)
    one, seen, earned = play(task, tape, actions_of(choices))
    other, seen_renamed, earned_renamed = play(task, renamed, actions_of(1 - choices))
    assert torch.equal(seen, seen_renamed)
    assert torch.equal(earned, earned_renamed)
    columns, columns_renamed = one.trials(), other.trials()
    assert torch.equal(columns["good_choice"], 1 - columns_renamed["good_choice"])
    assert torch.equal(columns["good_state"], columns_renamed["good_state"])


# What is refused.


@pytest.mark.parametrize(
    "name", ["p_common", "p_reversal", "p_transition_reversal", "p_forced"]
)
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_probability_out_of_range_is_refused_by_name(name: str, value: float) -> None:
    wrong: dict[str, Any] = {name: value}
    with pytest.raises(InputError, match=rf"^{name} is {value}; expected 0 to 1"):
        TwoStep(**wrong)


@pytest.mark.parametrize(
    "blocks",
    [
        ((0.9, 1.1),),
        ((-0.1, 0.5),),
        ((0.9,), (0.1,)),
        ((0.9, 0.1, 0.5),),
        (),
        ((0.9, float("nan")),),
        (0.9, 0.1),
    ],
)
def test_a_table_of_blocks_that_is_none_is_refused_by_name(blocks: Any) -> None:
    with pytest.raises(InputError, match="blocks is"):
        TwoStep(blocks=blocks)


@pytest.mark.parametrize(
    ("name", "value"), [("trials", 0), ("trials", -3), ("min_block_trials", -1)]
)
def test_a_count_out_of_range_is_refused_by_name(name: str, value: int) -> None:
    wrong: dict[str, Any] = {name: value}
    with pytest.raises(InputError, match=rf"{name}( is)? {value}"):
        TwoStep(**wrong)
