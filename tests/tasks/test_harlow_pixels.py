from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks import HarlowPixels
from pfc_metarl.tasks.base import Episodes, Tape, Task
from pfc_metarl.tasks.harlow_images import (
    N_FEATURES,
    chosen_images,
    generated_images,
    images_in,
)
from pfc_metarl.tasks.harlow_pixels import HarlowPixelsEpisodes
from pfc_metarl.tasks.observers import ideal_observer

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]
Near = Callable[..., None]

LEFT, RIGHT, STAY = 0, 1, 2
SMALL = HarlowPixels(pixels=20)
GREY, RED = torch.full((3,), 0.5), torch.tensor([1.0, 0.0, 0.0])


def draw(task: HarlowPixels, n_episodes: int, seed: int = 1) -> Tape:
    return task.draw(n_episodes, torch.Generator().manual_seed(seed))


def views(task: HarlowPixels, tape: Tape, actions: list[int], play: Play) -> Tensor:
    """(step + 1, channel, row, column) of one episode."""
    _, seen, _ = play(task, tape, torch.tensor(actions)[:, None])
    view: Tensor = seen[:, 0].unflatten(-1, task.image_shape)
    return view


def images(tape: Tape, size: int) -> tuple[Tensor, Tensor]:
    """The rewarded and the other object of one episode."""
    return (
        generated_images(tape["rewarded"][0, 0], size),
        generated_images(tape["unrewarded"][0, 0], size),
    )


# The screen.


def test_it_begins_with_a_red_cross_on_black() -> None:
    task = HarlowPixels()
    view = task.begin(draw(task, 1)).observation[0].unflatten(0, task.image_shape)
    assert view.shape == (3, 84, 84)
    assert not view[1:].any()
    red = view[0].nonzero()
    assert red.min(0).values.tolist() == [38, 38]  # a tenth of 84, about the middle
    assert red.max(0).values.tolist() == [45, 45]
    assert torch.equal(view, view.flip(-1))
    assert torch.equal(view[0], view[0].T)


@pytest.mark.parametrize("seed", range(4))
def test_objects_appear_where_deepmind_lab_has_them(play: Play, seed: int) -> None:
    task = HarlowPixels()
    tape = draw(task, 1, seed)
    view = views(task, tape, [STAY] * 4, play)[-1]
    good, bad = images(tape, 34)
    left, right = (good, bad) if tape["good_choice"][0, 0] == LEFT else (bad, good)
    assert torch.equal(view[:, 25:59, 4:38], left)  # centre at a quarter: column 21
    assert torch.equal(view[:, 25:59, 46:80], right)  # at three quarters: 63
    assert view.count_nonzero() == left.count_nonzero() + right.count_nonzero()


def test_the_screen_shifts_with_the_gaze_and_beside_it_all_is_grey(play: Play) -> None:
    task = HarlowPixels(momentum=0.0)
    tape = draw(task, 1)
    ahead, _, _, turned = views(task, tape, [LEFT] * 3, play)
    columns = round(3 * 4.4 * 84 / 65)
    assert torch.equal(turned[..., columns:], ahead[..., :-columns])
    beside = turned[..., :columns]
    assert torch.equal(beside, GREY[:, None, None].expand_as(beside))


def test_after_360_degrees_the_screen_is_back(play: Play) -> None:
    task = replace(SMALL, momentum=0.0, shift_degrees=30.0, fixation_hold=99)
    turn = views(task, draw(task, 1), [RIGHT] * 12, play)
    assert torch.equal(turn[12], turn[0])
    assert torch.equal(turn[6], GREY[:, None, None].expand(3, 20, 20))  # behind one


def test_nothing_is_seen_when_the_episode_is_over(play: Play) -> None:
    task = replace(SMALL, max_steps=3)
    assert not views(task, draw(task, 1), [RIGHT] * 3, play)[-1].any()


# A trial, told step by step in plain numbers.


def simulate(
    task: HarlowPixels, sides: list[int], actions: list[int]
) -> tuple[list[float], list[int], list[str]]:
    """Rewards, choices, and what the screen shows before each action."""
    gaze = speed = 0.0
    phase, held, waited = "fixation", 0, 0
    rewards: list[float] = []
    choices: list[int] = []
    shown: list[str] = []
    for action in actions:
        shown.append(phase if len(choices) < len(sides) else "over")
        speed = task.momentum * speed + {0: -4.4, 1: 4.4, 2: 0.0}[action]
        gaze += speed
        rewards.append(0.0)
        if len(choices) == len(sides):
            continue
        if phase == "fixation":
            held = held + 1 if abs(gaze) <= 3.5 else 0
            if held == task.fixation_hold:
                rewards[-1], phase, held = 0.2, "choice", 0
        elif phase == "choice":
            if abs(abs(gaze) - 16.25) <= 7:
                choice = int(gaze > 0)
                rewards[-1] = 1.0 if choice == sides[len(choices)] else -1.0
                choices.append(choice)
                phase, waited = "interval", 0
        else:
            waited += 1
            if waited == 10:
                phase = "fixation"
    return rewards, choices, shown


def roughly_sensible_actions(task: HarlowPixels, tape: Tape) -> Tensor:
    """(step, episode): a fifth at random, the others towards cross and objects."""
    generator = torch.Generator().manual_seed(3)
    episodes = HarlowPixelsEpisodes(task, tape)
    actions = []
    for _ in range(task.steps):
        shape = episodes.gaze.shape
        side = 2 * (episodes.trial % 2) - 1
        ahead = torch.where(episodes.phase == 1, 16.25 * side, 0.0) - episodes.gaze
        towards = torch.where(ahead.abs() < 2.5, STAY, (ahead > 0).long())
        random = torch.randint(3, shape, generator=generator)
        now = torch.rand(shape, generator=generator) < 0.2
        actions.append(torch.where(now, random, towards))
        episodes.step(actions[-1])
    return torch.stack(actions)


@pytest.mark.parametrize("momentum", [0.0, 0.2, 0.5])
def test_a_trial_is_cross_objects_and_a_black_interval(
    play: Play, momentum: float
) -> None:
    task, n = replace(SMALL, momentum=momentum, max_steps=200), 10
    tape = draw(task, n)
    actions = roughly_sensible_actions(task, tape)
    episodes, seen, earned = play(task, tape, actions)
    finished = []
    for episode in range(n):
        sides = tape["good_choice"][:, episode].tolist()
        rewards, choices, shown = simulate(task, sides, actions[:, episode].tolist())
        torch.testing.assert_close(earned[:, episode], torch.tensor(rewards))
        made = episodes.trials()["choice"][:, episode]
        assert made[: len(choices)].tolist() == choices
        assert (made[len(choices) :] == -1).all()
        view = seen[:-1, episode].unflatten(-1, task.image_shape)
        red = (view == RED[:, None, None]).all(1).flatten(1).any(1)
        coloured = (view != view[:, :1]).flatten(1).any(1) & ~red
        for step, phase in enumerate(shown):
            assert not red[step] or phase == "fixation"
            assert not coloured[step] or phase == "choice"
        finished.append(len(choices))
    assert sum(finished) > 2 * n


def test_momentum_carries_the_view_on() -> None:
    task = replace(SMALL, momentum=0.5)
    gaze, speed = torch.zeros(1), torch.zeros(1)
    path = []
    for action in (RIGHT, STAY, STAY, LEFT):
        gaze, speed = task.turn(gaze, speed, torch.tensor([action]))
        path.append(gaze.item())
    assert path == pytest.approx([4.4, 6.6, 7.7, 7.7 + 0.55 - 4.4])


# Objects.


def test_generated_objects_are_bright_enough_and_all_different() -> None:
    features = torch.rand((300, N_FEATURES), generator=torch.Generator().manual_seed(1))
    pictures = generated_images(features, 34)
    assert pictures.shape == (300, 3, 34, 34)
    assert pictures.max() <= 1
    inside = pictures.any(1)
    assert pictures.amax(1)[inside].min() >= 0.15
    assert (inside.float().mean((1, 2)) > 0.05).all()
    assert torch.pdist(pictures.flatten(1)).min() > 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures, each of one colour."""
    for number, colour in enumerate(["red", "lime", "blue"]):
        Image.new("RGB", (10, 12), colour).save(tmp_path / f"{number}.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


def test_pictures_of_a_folder_can_be_objects(folder: Path, play: Play) -> None:
    task = HarlowPixels(image_folder=str(folder))
    view = views(task, draw(task, 1), [STAY] * 4, play)[-1]
    colours = {tuple(view[:, 42, column].tolist()) for column in (21, 63)}
    assert len(colours) == 2
    assert colours < {(1, 0, 0), (0, 1, 0), (0, 0, 1)}


def test_two_different_pictures_are_taken_all_pairs_alike(
    folder: Path, near: Near
) -> None:
    pictures = images_in(str(folder), 4)
    assert pictures.shape == (3, 3, 4, 4)
    chance = torch.rand((2, 30_000, 1), generator=torch.Generator().manual_seed(1))
    good, bad = (p[:, :, 0, 0].argmax(1) for p in chosen_images(pictures, *chance))
    for one in range(3):
        near(bad == one, 1 / 3)
        for other in {0, 1, 2} - {one}:
            near((good == one) & (bad == other), 1 / 6)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds 0 pictures .* expected two or more"):
        HarlowPixels(image_folder=str(tmp_path))


# The scripted player.


@pytest.mark.parametrize(
    "task",
    [SMALL, replace(SMALL, interval=0), replace(SMALL, wrong_reward=0.0, momentum=0.5)],
    ids=["small", "no interval", "other rewards and momentum"],
)
def test_the_scripted_player_is_at_chance_once_and_then_always_right(
    near: Near, task: HarlowPixels
) -> None:
    tape = draw(task, 500)
    episodes = ideal_observer(task).play(tape, torch.Generator().manual_seed(2))
    columns = episodes.trials()
    right = columns["choice"] == columns["good_choice"]
    near(right[0], 0.5)
    assert right[1:].all()


def test_the_scripted_player_knows_pictures_again(folder: Path) -> None:
    task = HarlowPixels(image_folder=str(folder))
    columns = ideal_observer(task).play(draw(task, 20), torch.Generator()).trials()
    assert (columns["choice"] == columns["good_choice"])[1:].all()


# What is refused.


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pixels", 19),
        ("momentum", 1.0),
        ("shift_degrees", 0.0),
        ("object_size", 0.0),
        ("screen_degrees", 0.0),
        ("object_offset", 0.15),
        ("object_offset", 0.35),
        ("fixation_tolerance", 10.0),
        ("fixation_hold", 0),
        ("interval", -1),
        ("max_steps", 0),
    ],
)
def test_a_parameter_out_of_range_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{name} is {value}"):
        replace(HarlowPixels(), **{name: value})
