from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks import HarlowGaze
from pfc_metarl.tasks.base import Episodes, Tape, Task
from pfc_metarl.tasks.harlow_gaze import HarlowGazeEpisodes
from pfc_metarl.tasks.observers import ideal_observer

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]
Near = Callable[..., None]


def draw(task: HarlowGaze, n_episodes: int, seed: int = 1) -> Tape:
    return task.draw(n_episodes, torch.Generator().manual_seed(seed))


def random_actions(*shape: int, seed: int = 3) -> Tensor:
    return torch.randint(2, shape, generator=torch.Generator().manual_seed(seed))


class RolledWorld:
    """One episode told as by BKHMSI: the gaze stays, a ring of 17 cells rolls.

    A cell is 0, the cue "+", or the number of an object.
    """

    def __init__(self, start: int, good: float, bad: float, sides: list[int]) -> None:
        self.good, self.bad, self.sides = good, bad, sides
        self.cells: list[Any] = [0] * 17
        self.cells[8 - start] = "+"
        self.choices: list[int] = []
        self.steps: list[int] = []

    @property
    def view(self) -> list[Any]:
        return self.cells[4:8] + self.cells[9:13]

    def step(self, action: int, number: int) -> float:
        if len(self.choices) == 6:
            return 0.0
        cells = self.cells
        cells = [*cells[1:], cells[0]] if action else [cells[-1], *cells[:-1]]
        self.cells, found = cells, cells[8]
        if found == 0:
            return 0.0
        self.cells = [0] * 17
        if found == "+":
            pair = [self.good, self.bad]
            on_left = self.sides[len(self.choices)]
            self.cells[5], self.cells[11] = pair[on_left], pair[1 - on_left]
            return 0.2
        good_side = self.sides[len(self.choices)]
        side = good_side if found == self.good else 1 - good_side
        self.choices.append(side)
        self.steps.append(number)
        if len(self.choices) < 6:
            self.cells[11 if side == 0 else 5] = "+"  # back where the gaze came from
        return 1.0 if found == self.good else -1.0


def test_it_is_the_world_that_rolls_around_the_gaze(play: Play) -> None:
    task, n = HarlowGaze(), 40
    tape = draw(task, n)
    actions = random_actions(250, n)
    episodes, seen, earned = play(task, tape, actions)
    columns = episodes.trials()
    finished = 0
    for episode in range(n):
        good, bad = (tape[k][0, episode, 0].item() for k in ("rewarded", "unrewarded"))
        sides = tape["good_choice"][:, episode].tolist()
        world = RolledWorld(int(tape["start"][0, episode]), good, bad, sides)
        for step in range(250):
            shown = [x for c in world.view for x in ((1, 0) if c == "+" else (0, c))]
            assert seen[step, episode].tolist() == shown
            reward = world.step(int(actions[step, episode]), step)
            assert earned[step, episode] == torch.tensor(reward)
        made = len(world.choices)
        finished += made == 6
        assert columns["choice"][:made, episode].tolist() == world.choices
        assert columns["choice_step"][:made, episode].tolist() == world.steps
        assert (columns["choice"][made:, episode] == -1).all()
    assert 5 < finished < n  # some ran out of time


def test_the_gaze_begins_at_any_other_cell_near_the_centre(near: Near) -> None:
    start = draw(HarlowGaze(), 20_000)["start"]
    assert torch.equal(start, start[:1].expand_as(start))
    for cell in (-3, -2, -1, 1, 2, 3):
        near(start[0] == cell, 1 / 6)


def test_an_episode_that_is_over_waits_blank_and_earns_nothing(play: Play) -> None:
    task, n = HarlowGaze(), 50
    tape, actions = draw(task, n), random_actions(250, n)
    episodes = task.begin(tape)
    for action in actions:
        active = episodes.active.clone()
        observation, reward = episodes.step(action)
        assert not reward[~active].any()
        assert not observation[~episodes.active].any()
    assert not episodes.active.any()
    assert episodes.trial.max() == 6


def test_trials_out_of_time_are_not_valid_but_keep_their_latents(play: Play) -> None:
    task = HarlowGaze(max_steps=20)
    tape = draw(task, 100)
    columns = play(task, tape, random_actions(20, 100))[0].trials()
    late = columns["choice"] < 0
    assert 0 < late.sum() < late.numel()
    assert torch.equal(columns["valid"], (~late).long())
    assert torch.equal(columns["reward"].isnan(), late)
    assert torch.equal(columns["choice_step"] < 0, late)
    assert torch.equal(columns["good_choice"], tape["good_choice"])


def test_a_trial_enters_the_table_when_it_is_finished(play: Play) -> None:
    task = HarlowGaze()
    tape, actions = draw(task, 30), random_actions(250, 30)
    partway, _, _ = play(task, tape, actions[:60])
    whole = play(task, tape, actions)[0].trials()
    done = (whole["choice_step"] >= 0) & (whole["choice_step"] < 60)
    columns = partway.trials()
    assert torch.equal(columns["choice"] >= 0, done)
    for name, values in columns.items():
        assert torch.equal(values[done], whole[name][done]), name


def test_trial_and_phase_tell_where_each_episode_is() -> None:
    task, n = HarlowGaze(), 30
    episodes = task.begin(draw(task, n))
    for step, action in enumerate(random_actions(250, n)):
        phase, trial = episodes.phase, episodes.trial
        _, reward = episodes.step(action)
        fixated = reward == torch.tensor(0.2)
        chosen = reward.abs() == 1
        assert (phase[fixated] == task.phases.index("fixation")).all()
        assert (phase[chosen] == task.phases.index("choice")).all()
        assert torch.equal(episodes.trial, trial + chosen)
        assert torch.equal(episodes.phase != phase, fixated | chosen)
        at_this_step = episodes.trials()["choice_step"] == step
        assert torch.equal(at_this_step.any(0), chosen)


# The scripted player.


@pytest.fixture(scope="module")
def scripted() -> tuple[Tape, HarlowGazeEpisodes]:
    task = HarlowGaze()
    tape = draw(task, 20_000)
    episodes = ideal_observer(task).play(tape, torch.Generator().manual_seed(2))
    assert isinstance(episodes, HarlowGazeEpisodes)
    return tape, episodes


def test_the_scripted_player_is_at_chance_once_and_then_always_right(
    near: Near, scripted: tuple[Tape, HarlowGazeEpisodes]
) -> None:
    columns = scripted[1].trials()
    right = columns["choice"] == columns["good_choice"]
    near(right[0], 0.5)
    assert right[1:].all()


def test_the_scripted_player_loses_no_step(
    scripted: tuple[Tape, HarlowGazeEpisodes],
) -> None:
    tape, episodes = scripted
    to_cue = torch.cat([tape["start"][:1].abs(), torch.full((5, 20_000), 3)])
    assert torch.equal(episodes.trials()["choice_step"], (to_cue + 3).cumsum(0) - 1)


def test_the_scripted_player_knows_objects_of_several_features() -> None:
    task = HarlowGaze(n_features=3, cells=13, view=6, object_distance=5)
    episodes = ideal_observer(task).play(draw(task, 500), torch.Generator())
    columns = episodes.trials()
    assert (columns["choice"] == columns["good_choice"])[1:].all()


# What is refused.


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("object_distance", 5),
        ("object_distance", 0),
        ("cells", 8),
        ("n_features", 0),
        ("trials", 0),
        ("max_steps", 0),
        ("correct_reward", -1.0),
    ],
)
def test_a_parameter_out_of_range_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{name} is {value}"):
        replace(HarlowGaze(), **{name: value})
