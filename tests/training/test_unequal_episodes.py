"""Episodes of unequal length: nothing after an episode's end teaches anything."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from pfc_metarl.learning import Learner, LearningSettings, Update
from pfc_metarl.network import Network, NetworkSettings
from pfc_metarl.policy_gradient import actor_critic_loss, lesson
from pfc_metarl.tasks.base import Episodes, Tape, Task

Drawn = Callable[..., tuple[Episodes, Tensor]]

SEEDS, BATCH, STEPS = (0, 1), 6, 7
SETTINGS = replace(
    LearningSettings(),
    batch=BATCH,
    discount=0.8,
    trace_decay=0.7,
    value_cost=0.5,
    learning_rate=0.01,
)
VARIANTS = {
    "a2c": SETTINGS,
    "full returns": replace(SETTINGS, trace_decay=1.0),
    "normalised": replace(SETTINGS, normalise_advantage=True),
    "ppo": replace(SETTINGS, algorithm="ppo", epochs=3, optimiser="adam"),
    "local": replace(SETTINGS, credit="local"),
}


@dataclass(frozen=True)
class Straws(Task):
    """Episodes of 1 to ``longest`` steps, by lot; observations and rewards are noise.

    After the end nothing is earned. What is seen then is blank, plus ``afterwards``.
    """

    trials: int = STEPS
    longest: int = STEPS
    afterwards: float = 0.0
    n_observations = 2
    n_actions = 3
    phases = ("draw",)

    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        length = torch.randint(1, self.longest + 1, (1, batch), generator=generator)
        length[0, 0] = self.longest  # one lasts to the end, one is over at once
        length[0, 1] = 1
        shape = (STEPS + 1, batch, self.n_observations)
        return {
            "length": length,
            "observation": torch.randn(shape, generator=generator),
            "reward": torch.randn((STEPS, batch), generator=generator),
        }

    def begin(self, tape: Tape) -> "StrawsEpisodes":
        return StrawsEpisodes(self, tape)


class StrawsEpisodes(Episodes):
    """Episodes that end one after the other."""

    active: Tensor

    def __init__(self, task: Straws, tape: Tape) -> None:
        self.task, self.tape = task, tape
        self.trial = self.phase = 0
        self.observation = tape["observation"][0]
        self.active = torch.ones_like(tape["length"][0], dtype=torch.bool)

    def step(self, action: Tensor) -> tuple[Tensor, Tensor]:
        # An action earns more or less, so that it matters which is taken.
        reward = (self.tape["reward"][self.trial] + action) * self.active
        self.trial += 1
        self.active = self.tape["length"][0] > self.trial
        seen = self.tape["observation"][self.trial]
        blank = torch.full_like(seen, self.task.afterwards)
        self.observation = torch.where(self.active.unsqueeze(-1), seen, blank)
        return self.observation, reward

    def trials(self) -> dict[str, Tensor]:
        return {}


class ChangedInPlace(StrawsEpisodes):
    """The same, but says who is active in one tensor that it changes."""

    def step(self, action: Tensor) -> tuple[Tensor, Tensor]:
        active = self.active
        result = super().step(action)
        self.active = active.copy_(self.active)
        return result


def network_of() -> Network:
    return Network(NetworkSettings(units=5), Straws(), SEEDS).double()


def learned(
    settings: LearningSettings, episodes: Episodes, noise: Tensor
) -> tuple[Network, Update]:
    """A network after an update, with the gradients of its last pass."""
    network = network_of()
    learner = Learner(network, settings, STEPS)
    update = learner.update(episodes, noise)
    assert update.sound.all()
    return network, update


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_seen_after_the_end_leaves_the_gradient_the_same(
    variant: str, drawn: Drawn
) -> None:
    (blank, same), (noisy, update) = (
        learned(VARIANTS[variant], *drawn(Straws(afterwards=x), 2, BATCH, 0))
        for x in (0.0, 3.0)
    )
    for name, weight in blank.named_parameters():
        assert weight.grad.any() or (variant, name[-6:]) == ("local", "hidden")
        found = noisy.get_parameter(name)
        torch.testing.assert_close(found.grad, weight.grad, rtol=0, atol=1e-12)
        torch.testing.assert_close(found, weight, rtol=0, atol=1e-12)
    for name, values in same.metrics.items():
        torch.testing.assert_close(update.metrics[name], values, rtol=0, atol=1e-12)


def one_by_one(network: Network, episodes: Episodes, noise: Tensor) -> Tensor:
    """Loss by seed: every episode played alone, to its own end and no further."""
    tape = episodes.tape  # type: ignore[attr-defined]
    losses = torch.zeros(len(SEEDS), BATCH).double()
    for seed in range(len(SEEDS)):
        weights = dict(network.named_parameters())
        for episode in range(BATCH):
            state = tuple(part[:, :, :1] for part in network.memory.initial_state(1))
            steps = int(tape["length"][0, seed, episode])
            last, earned = torch.zeros(3).double(), torch.zeros(1).double()
            entropy, value, chosen, rewards = [], [], [], []
            for step in range(steps):
                seen = tape["observation"][step, seed, episode].double()
                x = torch.cat([seen, last, earned]).expand(len(SEEDS), 1, -1)
                output, state = network.memory.forward_step(x.transpose(1, 2), state)
                h = output[seed, :, 0]
                logits = weights["policy_weight"][seed] @ h
                logits = logits + weights["policy_bias"][seed, :, 0]
                log_policy = logits.log_softmax(0)
                v = weights["value_weight"][seed, 0] @ h + weights["value_bias"][seed]
                action = int((logits + noise[step, seed, :, episode]).argmax())
                r = float(tape["reward"][step, seed, episode] + action)
                last, earned = torch.zeros(3).double(), torch.tensor([r]).double()
                last[action] = 1.0
                entropy.append(-(log_policy.exp() * log_policy).sum())
                value.append(v.squeeze())
                chosen.append(log_policy[action])
                rewards.append(r)
            ahead, after = 0.0, 0.0
            for step in reversed(range(steps)):
                now = float(value[step].detach())
                rpe = rewards[step] + SETTINGS.discount * after - now
                ahead = rpe + SETTINGS.discount * SETTINGS.trace_decay * ahead
                after = now
                error = ahead + now - value[step]
                losses[seed, episode] = (
                    losses[seed, episode]
                    - ahead * chosen[step]
                    - SETTINGS.entropy_cost * entropy[step]
                    + SETTINGS.value_cost * error**2 / 2
                )
    return losses.mean(1)


@pytest.mark.parametrize("longest", [1, 4, STEPS])
def test_the_gradient_is_that_of_every_episode_played_alone_to_its_end(
    longest: int, drawn: Drawn
) -> None:
    batch = (Straws(longest=longest), 2, BATCH, 0)
    twin = network_of()
    one_by_one(twin, *drawn(*batch)).sum().backward()
    network, update = learned(SETTINGS, *drawn(*batch))
    assert len(update.reward) == longest  # what is over for all is not played
    for name, weight in network.named_parameters():
        expected = twin.get_parameter(name).grad
        if expected is None:  # of one step: nothing is remembered
            expected = torch.zeros_like(weight)
        torch.testing.assert_close(weight.grad, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kernels", ["torch", "compiled"])
@pytest.mark.parametrize("algorithm", ["a2c", "ppo"])
def test_a_longer_batch_leaves_nothing_over_for_a_shorter_one(
    algorithm: str, kernels: str, drawn: Drawn
) -> None:
    if kernels == "compiled":
        pytest.importorskip("numba")  # an optional extra
    settings = replace(SETTINGS, algorithm=algorithm, optimiser="rmsprop")
    weights, updates = [], []
    for first in (STEPS, 2):
        network = network_of()
        learner = Learner(network, settings, STEPS, compiled=kernels == "compiled")
        before = {name: w.clone() for name, w in network.state_dict().items()}
        learner.update(*drawn(Straws(longest=first), 2, BATCH, 1))
        network.load_state_dict(before)
        learner.optimiser.state.clear()
        updates.append(learner.update(*drawn(Straws(longest=3), 2, BATCH, 0)))
        weights.append(network.state_dict())
    for name, weight in weights[0].items():
        assert torch.equal(weight, weights[1][name]), name
    for name, values in updates[0].metrics.items():
        assert torch.equal(values, updates[1].metrics[name]), name


def test_metrics_are_means_over_the_steps_that_count(drawn: Drawn) -> None:
    episodes, noise = drawn(Straws(), 2, BATCH, 0)
    counts = (
        torch.arange(STEPS).view(-1, 1, 1) < episodes.tape["length"]  # type: ignore[attr-defined]
    ).double()
    assert 0.2 < counts.mean() < 0.8
    uniform = network_of()
    with torch.no_grad():
        for weight in uniform.parameters():
            weight.zero_()
    learner = Learner(uniform, SETTINGS, STEPS)
    update = learner.update(episodes, noise)
    reward = update.reward.double()
    assert not (reward * (1 - counts)).any()
    # Policy uniform, values 0: the RPE is the reward, the error the return.
    n = counts.sum((0, 2))
    entropy = torch.full((2,), torch.tensor(3.0).log().item()).double()
    torch.testing.assert_close(update.metrics["entropy"], entropy)
    rpe = (reward.abs() * counts).sum((0, 2)) / n
    torch.testing.assert_close(update.metrics["rpe"], rpe)


def random_lesson() -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw).double()

    length = torch.randint(1, STEPS + 1, (2, BATCH), generator=draw)
    counts = (torch.arange(STEPS).view(-1, 1, 1) < length).double()
    return {
        "log_policy": noise(STEPS, 2, 3, BATCH).log_softmax(2),
        "value": noise(STEPS, 2, BATCH),
        "action": torch.randint(3, (STEPS, 2, BATCH), generator=draw),
        "reward": noise(STEPS, 2, BATCH) * counts,
        "counts": counts,
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_returns_ignore_values_beyond_the_end(variant: str) -> None:
    settings, batch = VARIANTS[variant], random_lesson()
    counts = batch["counts"].bool()
    changed = {**batch, "value": torch.where(counts, batch["value"], 99.0)}
    one, other = (lesson(settings=settings, **b) for b in (batch, changed))
    for name in ("rpe", "advantage", "returns"):
        found = getattr(other, name)
        assert torch.equal(found[counts], getattr(one, name)[counts]), name
        assert not found[~counts].any(), name
    losses = [
        actor_critic_loss(b["log_policy"], b["value"], taught, settings, 0.1)
        for b, taught in ((batch, one), (changed, other))
    ]
    assert torch.equal(*losses)


def test_an_episode_of_its_own_length_gives_the_same_lesson() -> None:
    batch = random_lesson()
    taught = lesson(settings=SETTINGS, **batch)
    length = batch["counts"].sum(0).long()
    for seed in range(2):
        for episode in range(BATCH):
            steps = int(length[seed, episode])
            alone = lesson(
                *(
                    batch[name][:steps, seed : seed + 1, ..., episode : episode + 1]
                    for name in ("log_policy", "value", "action", "reward")
                ),
                SETTINGS,
            )
            for name in ("rpe", "advantage", "returns"):
                found = getattr(taught, name)[:steps, seed, episode]
                expected = getattr(alone, name)[:, 0, 0]
                torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_advantages_are_normalised_over_the_steps_that_count() -> None:
    batch = random_lesson()
    taught = lesson(settings=VARIANTS["normalised"], **batch)
    plain = lesson(settings=SETTINGS, **batch)
    for seed in range(2):
        counts = batch["counts"][:, seed].bool()
        ahead = taught.advantage[:, seed][counts]
        assert abs(float(ahead.mean())) < 1e-9
        assert float(ahead.square().mean()) == pytest.approx(1, abs=1e-6)
        expected = plain.advantage[:, seed][counts]
        expected = (expected - expected.mean()) / expected.std(correction=0)
        torch.testing.assert_close(ahead, expected, rtol=1e-6, atol=1e-6)
    assert torch.equal(taught.returns, plain.returns)


def test_advantages_are_normalised_by_seed_where_all_steps_count() -> None:
    batch = random_lesson()
    del batch["counts"]
    ahead = lesson(settings=VARIANTS["normalised"], **batch).advantage
    torch.testing.assert_close(ahead.mean((0, 2)), torch.zeros(2).double())
    deviation = ahead.square().mean((0, 2)).sqrt()
    torch.testing.assert_close(deviation, torch.ones(2).double())


def test_a_task_may_change_who_is_active_in_place(drawn: Drawn) -> None:
    expected, _ = learned(SETTINGS, *drawn(Straws(), 2, BATCH, 0))
    episodes, noise = drawn(Straws(), 2, BATCH, 0)
    tape = copy.copy(episodes.tape)  # type: ignore[attr-defined]
    found, _ = learned(SETTINGS, ChangedInPlace(Straws(), tape), noise)
    for name, weight in expected.named_parameters():
        assert torch.equal(found.get_parameter(name), weight), name
