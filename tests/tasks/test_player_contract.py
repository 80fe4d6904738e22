"""What holds for every player: enter one in PLAYERS, or a variant below, and it is met.

A tape holds what is never revealed (payoffs of arms not chosen, latents) and what is
revealed only later. The tests put other numbers there and expect the same choices.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import pytest
import torch

from pfc_metarl.errors import InputError
from pfc_metarl.tasks import (
    TASKS,
    Bandit,
    InformativeBandit,
    RestlessBandit,
    TwoStep,
)
from pfc_metarl.tasks.bandit import independent_bandit
from pfc_metarl.tasks.base import Tape, Task, side_by_side
from pfc_metarl.tasks.observers import PLAYERS
from pfc_metarl.tasks.observers.base import Player
from pfc_metarl.tasks.observers.gittins import Gittins

N_TRIALS, N_EPISODES, SPLIT = 12, 16, 5
UNCUED = (Bandit, InformativeBandit, RestlessBandit, TwoStep)
"""Tasks whose cues before a choice tell nothing (but for forced choices)."""


@dataclass(frozen=True)
class Entry:
    """A player and a task that it knows."""

    make: Callable[[Any], Player]
    task: Task

    def player(self) -> Player:
        return self.make(replace(self.task, trials=N_TRIALS))


def registered() -> dict[str, Entry]:
    """Every player, on its task as it comes and with a fixation step."""
    entries = {}
    for kind, task_players in PLAYERS.items():
        for name, make in task_players.items():
            task = kind()
            entries[f"{kind.__name__}, {name}"] = Entry(make, task)
            if any(field.name == "fixation" for field in fields(task)):
                fixating = replace(task, fixation=True)
                entries[f"{kind.__name__} with fixation, {name}"] = Entry(
                    make, fixating
                )
    return entries


ENTRIES = {
    **registered(),
    "two-step with forced choices, ideal": Entry(
        PLAYERS[TwoStep]["ideal"], TwoStep(p_forced=0.3)
    ),
    "independent arms, ideal": Entry(PLAYERS[Bandit]["ideal"], independent_bandit()),
    "five arms, Gittins": Entry(Gittins, independent_bandit(5)),
    "five arms, discounted Gittins": Entry(
        lambda task: Gittins(task, 0.9), independent_bandit(5)
    ),
    "five arms, Thompson": Entry(PLAYERS[Bandit]["Thompson"], independent_bandit(5)),
    "five arms, win-stay-lose-shift": Entry(
        PLAYERS[Bandit]["win-stay-lose-shift"], independent_bandit(5)
    ),
}


@pytest.fixture(params=ENTRIES)
def player(request: pytest.FixtureRequest) -> Any:
    """A player of short episodes; its first field is the task."""
    return ENTRIES[request.param].player()


def draw(task: Task, seed: int = 1) -> Tape:
    return task.draw(N_EPISODES, torch.Generator().manual_seed(seed))


def played(player: Player, tape: Tape, seed: int = 2) -> dict[str, torch.Tensor]:
    return player.play(tape, torch.Generator().manual_seed(seed)).trials()


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one.nan_to_num(nan=-9), other.nan_to_num(nan=-9))


def test_a_player_is_a_frozen_dataclass_whose_first_field_is_the_task(
    player: Any,
) -> None:
    assert is_dataclass(player)
    assert fields(player)[0].name == "task"
    assert player in {replace(player): "equal settings, equal player"}


def test_a_player_finishes_every_trial(player: Any) -> None:
    columns = played(player, draw(player.task))
    assert {len(values) for values in columns.values()} == {N_TRIALS}
    assert columns["choice"].shape == (N_TRIALS, N_EPISODES)


def test_a_player_makes_only_valid_choices(player: Any) -> None:
    columns = played(player, draw(player.task))
    assert (columns["choice"] >= 0).all()
    assert (columns.get("valid", torch.ones(1)) == 1).all()
    assert columns["reward"].isfinite().all()


def test_the_same_tape_and_generator_give_the_same_play(player: Any) -> None:
    tape = draw(player.task)
    before = {name: values.clone() for name, values in tape.items()}
    one, other = played(player, tape), played(player, tape)
    for name, values in one.items():
        assert same(values, other[name]), name
    for name, values in tape.items():
        assert same(values, before[name]), name


def test_what_is_revealed_later_changes_no_choice_before(player: Any) -> None:
    tape, other = draw(player.task), draw(player.task, seed=7)
    changed = {
        name: torch.cat([values[:SPLIT], other[name][SPLIT:]])
        for name, values in tape.items()
        if name != "forced"  # is shown before the choice
    }
    one, two = played(player, tape), played(player, {**tape, **changed})
    # A trial's choice comes before its outcome, but a cue may tell of the trial.
    shown = SPLIT + 1 if type(player.task) in UNCUED else SPLIT
    assert torch.equal(one["choice"][:shown], two["choice"][:shown])


def test_what_stays_hidden_changes_no_choice(player: Any) -> None:
    tape, other = draw(player.task), draw(player.task, seed=7)
    one = played(player, tape)
    for hidden in hidden_parts(tape, other, one["choice"]):
        two = played(player, hidden)
        assert torch.equal(one["choice"], two["choice"])
        assert same(one["reward"], two["reward"])


def hidden_parts(tape: Tape, other: Tape, choice: torch.Tensor) -> list[Tape]:
    """Tapes that differ where these choices reveal nothing."""
    latents = {"p_reward", "volatility", "block", "target", "common"} & set(tape)
    tapes = [{**tape, **{name: other[name] for name in latents}}]
    if "payoff" in tape:
        arms = torch.arange(tape["payoff"].shape[-1])
        chosen = choice.unsqueeze(-1) == arms
        payoff = torch.where(chosen, tape["payoff"], 1 - tape["payoff"])
        tapes.append({**tape, "payoff": payoff})
    if {"outcome0", "outcome1", "flip"} <= set(tape):
        state = choice ^ tape["flip"]
        tapes.append(
            {
                **tape,
                "outcome0": torch.where(state == 0, tape["outcome0"], 9.0),
                "outcome1": torch.where(state == 1, tape["outcome1"], 9.0),
            }
        )
    return tapes


def test_seeds_can_be_played_side_by_side(player: Any) -> None:
    tape = draw(player.task)
    together = side_by_side([tape, tape, tape])
    columns = played(player, together)
    assert columns["choice"].shape == (N_TRIALS, 3, N_EPISODES)
    assert columns["reward"].shape == (N_TRIALS, 3, N_EPISODES)


def test_one_episode_can_be_played(player: Any) -> None:
    tape = player.task.draw(1, torch.Generator().manual_seed(1))
    assert played(player, tape)["choice"].shape == (N_TRIALS, 1)


@pytest.mark.parametrize("name", [n for n in ENTRIES if "with fixation" in n])
def test_a_fixation_step_changes_no_choice(name: str) -> None:
    player: Any = ENTRIES[name].player()
    plain = replace(player, task=replace(player.task, fixation=False))
    tape = draw(player.task)
    one, other = played(player, tape), played(plain, tape)
    assert torch.equal(one["choice"], other["choice"])


def test_every_task_with_players_is_registered() -> None:
    assert set(PLAYERS) <= set(TASKS.values())


@pytest.mark.parametrize("kind", PLAYERS, ids=lambda kind: kind.__name__)
def test_a_task_with_an_ideal_observer_lists_it_first(kind: type[Task]) -> None:
    names = list(PLAYERS[kind])
    assert "ideal" not in names[1:]


def test_an_ideal_observer_that_would_not_be_exact_is_refused() -> None:
    with pytest.raises(InputError, match="arms is 5"):
        PLAYERS[Bandit]["ideal"](independent_bandit(5))
