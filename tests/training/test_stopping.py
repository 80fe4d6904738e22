"""A seed stops once its frozen network earns enough; the others go on undisturbed."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pfc_metarl import checkpoints, recording, stopping, training
from pfc_metarl.configuration import Configuration
from pfc_metarl.errors import InputError
from pfc_metarl.network import Network, NetworkSettings
from pfc_metarl.recording import play
from pfc_metarl.seeds import generator
from pfc_metarl.stopping import Stopping
from pfc_metarl.tasks.bandit import Bandit
from pfc_metarl.tasks.foraging import Foraging
from pfc_metarl.tasks.observers import PLAYERS, ideal_observer
from pfc_metarl.tasks.two_step import TwoStep
from pfc_metarl.training import Group, Progress, train_group

Small = Callable[..., Configuration]
Equal = Callable[[Any, Any], bool]

TASK = TwoStep(trials=5)


def silent(progress: Progress) -> None:
    """Report to nobody."""


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Report and save after every update."""
    monkeypatch.setattr(training, "REPORT_SECONDS", -1.0)
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("fraction", 0.0, "fraction is 0.0; expected above 0, up to 1"),
        ("fraction", 1.01, "fraction is 1.01; expected above 0, up to 1"),
        ("fraction", math.nan, "fraction is nan; expected above 0, up to 1"),
        ("every", 0, "every is 0"),
        ("episodes", 0, "episodes 0"),
    ],
)
def test_a_criterion_out_of_range_is_refused_in_one_line(
    name: str, value: float, message: str
) -> None:
    with pytest.raises(InputError) as error:
        replace(Stopping(), **{name: value})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_training_validation_and_test_share_no_numbers() -> None:
    streams = [
        (0, "validation episodes"),
        (0, "test episodes"),
        *((seed, "training") for seed in range(32)),
        *((seed, "validation actions") for seed in range(32)),
        *((seed, "test actions") for seed in range(32)),
    ]
    seen: set[int] = set()
    for seed, stream in streams:
        draw = generator(seed, stream)  # type: ignore[arg-type]
        numbers = torch.empty(500, dtype=torch.int64).random_(generator=draw).tolist()
        assert seen.isdisjoint(numbers), (seed, stream)
        seen.update(numbers)


@pytest.mark.parametrize(
    "task", [TASK, Bandit(trials=10)], ids=lambda t: type(t).__name__
)
def test_validation_episodes_are_those_of_neither_test_nor_training(task: Any) -> None:
    networks = Network(NetworkSettings(units=3), task, [2, 5])
    validation, test = (
        play(networks, task, 20, purpose=purpose).episodes.tape
        for purpose in ("validation", "test")
    )
    trained = [task.draw(20, generator(seed, "training")) for seed in range(20)]
    for name, values in validation.items():
        assert torch.equal(values[:, 0], values[:, 1])  # the same for every seed
        if values.unique().numel() < 2:
            continue
        assert not torch.equal(values, test[name]), name
        for tape in trained:
            assert not torch.equal(values[:, 0], tape[name]), name


def reward_of(episodes: Any) -> float:
    return float(episodes.trials()["reward"].mean())


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.95])
def test_what_is_needed_lies_between_chance_and_ideal_on_the_validation_episodes(
    fraction: float,
) -> None:
    task, n = TwoStep(trials=50), 300
    tape = task.draw(n, generator(0, "validation episodes"))
    ideal = reward_of(ideal_observer(task).play(tape, generator(0, "observer")))
    at_random = []
    for seed in range(20):
        draw, episodes = torch.Generator().manual_seed(seed), task.begin(tape)
        for _ in range(task.steps):
            episodes.step(torch.randint(2, (n,), generator=draw))
        at_random.append(reward_of(episodes))
    chances = torch.tensor(at_random)
    criterion = Stopping(fraction=fraction, episodes=n)
    assert replace(criterion, fraction=1.0).needed(task) == pytest.approx(ideal)
    chance = (criterion.needed(task) - fraction * ideal) / (1 - fraction)
    assert abs(chance - chances.mean()) < 4 * chances.std()
    assert chance < criterion.needed(task) < ideal
    assert ideal - chance > 0.15


def test_what_is_needed_is_the_same_whenever_it_is_asked() -> None:
    torch.manual_seed(1)
    first = Stopping().needed(TASK)
    torch.manual_seed(2)
    assert Stopping().needed(TASK) == first
    assert Stopping(episodes=100).needed(TASK) != first


def test_a_reward_that_is_given_is_what_is_needed() -> None:
    assert Stopping(reward=0.61).needed(TASK) == 0.61
    assert Stopping(reward=0.61).needed(Foraging(trials=3)) == 0.61
    assert Stopping(reward=0.0).needed(TASK) == 0.0


def test_a_task_without_ideal_observer_is_refused_in_one_line(
    small: Small, tmp_path: Path
) -> None:
    task = Foraging(trials=3)
    assert "ideal" not in PLAYERS[Foraging]
    with pytest.raises(InputError, match="Foraging: no ideal observer") as error:
        Stopping().needed(task)
    assert "\n" not in str(error.value)
    configuration = replace(small(), task=task, stopping=Stopping(every=2))
    with pytest.raises(InputError, match="Foraging: no ideal observer"):
        train_group(configuration, [0, 1], tmp_path / "ideal", silent)
    given = replace(configuration, stopping=Stopping(every=2, episodes=5, reward=9.0))
    group = train_group(given, [0, 1], tmp_path / "given", silent)
    assert group.competent_at.tolist() == [-1, -1]


def test_what_a_seed_earns_is_the_mean_reward_of_its_frozen_network() -> None:
    networks = Network(NetworkSettings(units=6), TASK, [0, 1, 2])
    before = {name: w.clone() for name, w in networks.state_dict().items()}
    earned = Stopping(episodes=40).earned(networks, TASK)
    assert all(torch.equal(w, before[n]) for n, w in networks.state_dict().items())
    played = play(networks, TASK, 40, purpose="validation")
    expected = played.reward[1::2].mean((0, 2))  # paid on leaving the second state
    torch.testing.assert_close(earned, expected)
    assert torch.equal(Stopping(episodes=40).earned(networks, TASK), earned)


def with_one_competent(configuration: Configuration) -> tuple[Configuration, int]:
    """Ask for what only the best of three seeds earns after 2 updates; say who."""
    group = Group(replace(configuration, stopping=None), [0, 1, 2])
    for _ in range(2):
        group.learn()
    earned = Stopping(episodes=20).earned(group.network, configuration.task)
    second, first = earned.sort().values[-2:].tolist()
    assert second < first
    criterion = Stopping(every=2, episodes=20, reward=(first + second) / 2)
    return replace(configuration, stopping=criterion), int(earned.argmax())


def only_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is competent later than the first of three seeds."""
    earned = Stopping.earned

    def once(criterion: Stopping, network: Network, task: Any) -> Tensor:
        return earned(criterion, network, task) - float(len(network.seeds) < 3)

    monkeypatch.setattr(Stopping, "earned", once)


def diverges(monkeypatch: pytest.MonkeyPatch, seed: int, update: int) -> None:
    """A seed diverges in an update, whoever trains it."""
    learn = Group.learn

    def poisoned(group: Group) -> None:
        if group.update == update and seed in group.network.seeds:
            row = group.network.seeds.index(seed)
            with torch.no_grad():
                group.network.value_bias[row] = torch.nan
        learn(group)

    monkeypatch.setattr(Group, "learn", poisoned)


def weights_of(group: Group) -> list[dict[str, Tensor]]:
    return [group.seed_weights(position) for position in range(len(group.seeds))]


def test_a_competent_seed_keeps_its_weights_while_the_others_go_on(
    small: Small,
) -> None:
    configuration, best = with_one_competent(small(3))
    group = Group(configuration, [0, 1, 2])
    undisturbed = Group(replace(configuration, stopping=None), [0, 1, 2])
    for _ in range(2):
        group.learn()
        undisturbed.learn()
    assert group.competent_at.tolist() == [2 if s == best else -1 for s in range(3)]
    at_the_check = weights_of(undisturbed)
    for found, expected in zip(weights_of(group), at_the_check, strict=True):
        for name, weight in expected.items():  # asking changes no bit
            assert torch.equal(found[name], weight), name
    group.learn()
    undisturbed.learn()
    assert best not in group.network.seeds  # it costs nothing more
    later = weights_of(group)
    for seed in range(3):
        for name, weight in later[seed].items():
            if seed == best:
                assert torch.equal(weight, at_the_check[seed][name]), name
            else:
                assert not torch.equal(weight, at_the_check[seed][name]), name
                expected = undisturbed.seed_weights(seed)[name]
                torch.testing.assert_close(weight, expected, rtol=0, atol=1e-5)
    assert group.reward[:2].isfinite().all()
    assert group.reward[2, best].isnan()
    assert group.reward[2].isfinite().sum() == 2


def test_the_weights_that_stay_earn_what_was_needed(small: Small) -> None:
    configuration, best = with_one_competent(small(3))
    criterion = configuration.stopping
    assert criterion is not None
    group = Group(configuration, [0, 1, 2])
    while group.update < 8:
        group.learn()
    network = Network(configuration.network, configuration.task, [best])
    network.load_seed_weights(0, group.seed_weights(best))
    assert criterion.reward is not None
    assert float(criterion.earned(network, configuration.task)) >= criterion.reward


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize(
    ("algorithm", "optimiser", "kernels", "stops"),
    [
        ("a2c", "adam", "torch", range(1, 9)),
        ("a2c", "rmsprop", "torch", (2, 5)),
        ("ppo", "adam", "torch", (2, 5)),
        ("a2c", "adam", "compiled", (2, 5)),
    ],
)
def test_resumed_after_any_update_it_ends_with_the_same_bits(
    small: Small,
    equal: Equal,
    algorithm: str,
    optimiser: str,
    kernels: str,
    stops: Sequence[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if kernels == "compiled":
        pytest.importorskip("numba")  # an optional extra
    configuration, best = with_one_competent(
        replace(small(3, algorithm=algorithm, optimiser=optimiser), kernels=kernels)
    )
    fails, goes_on = (best + 1) % 3, (best + 2) % 3
    only_asked_once(monkeypatch)
    diverges(monkeypatch, fails, update=4)
    whole = train_group(configuration, [0, 1, 2], tmp_path / "whole", silent)
    assert whole.competent_at[best] == 2
    assert whole.diverged_at[fails] == 4
    assert whole.network.seeds == (goes_on,)
    assert whole.reward[:, goes_on].isfinite().all()
    for update in stops:
        folder = tmp_path / str(update)
        asked = iter([False] * (update - 1) + [True])
        parts = train_group(
            configuration, [0, 1, 2], folder, silent, lambda a=asked: next(a)
        )
        assert parts.update == update
        parts = train_group(configuration, [0, 1, 2], folder, silent)
        assert equal(parts.state(), whole.state())
        assert equal(weights_of(parts), weights_of(whole))
        found, expected = (
            checkpoints.newest(f, whole.name) for f in (folder, tmp_path / "whole")
        )
        assert equal(found, expected)


@pytest.mark.parametrize("part", ["competent_at", "diverged_at", "left"])
def test_what_a_checkpoint_holds_of_those_that_left_is_needed(
    small: Small,
    part: str,
    equal: Equal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configuration, best = with_one_competent(small(3))
    diverges(monkeypatch, (best + 1) % 3, update=4)
    whole, restored = (Group(configuration, [0, 1, 2]) for _ in range(2))
    fresh = restored.state()[part]
    for _ in range(6):
        whole.learn()
    checkpoints.save(tmp_path, whole.name, whole.update, whole.state())
    content = checkpoints.newest(tmp_path, whole.name)
    assert content is not None
    restored.restore(content)
    assert equal(restored.state(), whole.state())
    content[part] = fresh
    restored.restore(content)
    assert not equal(restored.state(), whole.state())


@pytest.mark.usefixtures("often")
def test_training_ends_early_when_all_are_competent(
    small: Small, equal: Equal, tmp_path: Path
) -> None:
    criterion = Stopping(every=2, episodes=10, reward=-1.0)
    configuration = replace(small(2, updates=50), stopping=criterion)
    seen: list[Progress] = []
    group = train_group(configuration, [0, 1], tmp_path, seen.append)
    assert len(seen) == 2
    assert (seen[-1].update, seen[-1].updates) == (50, 50)
    assert group.competent_at.tolist() == [2, 2]
    assert group.reward[:2].isfinite().all()
    assert group.reward[2:].isnan().all()
    plain = Group(replace(configuration, stopping=None), [0, 1])
    for _ in range(2):
        plain.learn()
    assert equal(weights_of(group), weights_of(plain))
    again: list[Progress] = []
    found = train_group(configuration, [0, 1], tmp_path, again.append)
    assert len(again) == 1  # nothing is trained anew
    assert equal(weights_of(found), weights_of(plain))
    assert equal(found.reward, group.reward)


@pytest.mark.usefixtures("often")
def test_who_is_competent_since_when_is_in_progress_and_checkpoint(
    small: Small, tmp_path: Path
) -> None:
    configuration, best = with_one_competent(small(3))
    seen: list[Progress] = []
    group = train_group(configuration, [0, 1, 2], tmp_path, seen.append)
    assert seen[0].competent_at == (-1, -1, -1)
    expected = tuple(2 if seed == best else -1 for seed in range(3))
    assert seen[1].competent_at == seen[2].competent_at == expected
    assert seen[-1].competent_at == tuple(group.competent_at.tolist())
    for progress in seen[1:]:  # its reward is that of the updates it took part in
        shown = progress.reward[best]
        assert shown == pytest.approx(float(group.reward[:2, best].mean()))
    left = checkpoints.newest(tmp_path, group.name)
    assert left is not None
    assert left["competent_at"].equal(group.competent_at)
    assert left["competent_at"][best] == 2


def test_a_seed_that_diverges_is_not_competent(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    criterion = Stopping(every=1, episodes=5, reward=-1.0)
    group = Group(replace(small(2), stopping=criterion), [0, 1])
    with torch.no_grad():
        group.network.value_bias[0] = torch.nan
    group.learn()
    assert group.diverged_at.tolist() == [0, -1]
    assert group.competent_at.tolist() == [-1, 1]


def test_seeds_are_asked_every_so_many_updates_and_after_the_last(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    criterion = Stopping(every=3, episodes=5, reward=9.0)
    group, asked = Group(replace(small(2), stopping=criterion), [0, 1]), []
    earned = Stopping.earned

    def noted(criterion: Stopping, network: Network, task: Any) -> Tensor:
        asked.append(group.update)
        return earned(criterion, network, task)

    monkeypatch.setattr(Stopping, "earned", noted)
    for _ in range(8):
        group.learn()
    assert asked == [3, 6, 8]


def test_the_criterion_never_looks_at_the_test_episodes(
    small: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def noted(seed: int, stream: Any) -> torch.Generator:
        asked.append(stream)
        return generator(seed, stream)

    for module in (recording, stopping, training):
        monkeypatch.setattr(module, "generator", noted)
    criterion = Stopping(every=2, episodes=5)
    train_group(replace(small(2), stopping=criterion), [0, 1], tmp_path, silent)
    assert "validation episodes" in asked
    assert "validation actions" in asked
    assert "training" in asked
    assert not [stream for stream in asked if stream.startswith("test")]


def test_asking_does_not_change_what_is_learned(small: Small, equal: Equal) -> None:
    asked = Stopping(every=1, episodes=5, reward=9.0)
    groups = [Group(replace(small(2), stopping=s), [0, 1]) for s in (None, asked)]
    for group in groups:
        for _ in range(4):
            group.learn()
    never, often = (
        {k: v for k, v in group.state().items() if k != "configuration"}
        for group in groups
    )
    assert equal(never, often)
