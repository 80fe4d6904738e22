"""PPO: the clipped objective, and epochs that look again with the weights of now."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pfc_metarl.learning import Learner, LearningSettings
from pfc_metarl.memory import MEMORIES
from pfc_metarl.network import Network, NetworkSettings
from pfc_metarl.policy_gradient import actor_critic_loss, lesson
from pfc_metarl.tasks.base import Episodes
from pfc_metarl.tasks.two_step import TwoStep

Drawn = Callable[..., tuple[Episodes, Tensor]]

TASK, SEEDS, BATCH = TwoStep(trials=4, fixation=True), (0, 1), 3
PPO = replace(
    LearningSettings(),
    algorithm="ppo",
    optimiser="adam",
    optimiser_epsilon=1e-8,
    learning_rate=0.02,
    batch=BATCH,
    epochs=3,
    discount=0.8,
    trace_decay=0.9,
)


def network_of(memory: str = "lstm") -> Network:
    return Network(NetworkSettings(memory=memory, units=5), TASK, SEEDS).double()


def grads(network: Network) -> dict[str, Tensor]:
    return {name: weight.grad.clone() for name, weight in network.named_parameters()}


def test_with_one_epoch_its_gradient_is_that_of_a2c(drawn: Drawn) -> None:
    found = []
    for algorithm in ("a2c", "ppo"):
        network = network_of()
        settings = replace(PPO, algorithm=algorithm, epochs=1)
        learner = Learner(network, settings, TASK.steps)
        assert learner.update(*drawn(TASK, len(SEEDS), BATCH, 0)).sound.all()
        found.append(grads(network))
    a2c, ppo = found
    for name, gradient in a2c.items():
        assert gradient.any()
        torch.testing.assert_close(ppo[name], gradient, rtol=1e-6, atol=1e-12)


class Batch:
    """Policies and values then and now, such that ratios are cut on both sides."""

    steps, seeds, actions, episodes = 8, 2, 3, 5

    def __init__(self) -> None:
        draw = torch.Generator().manual_seed(0)

        def noise(*shape: int) -> Tensor:
            return torch.randn(shape, generator=draw).double()

        shape = (self.steps, self.seeds, self.actions, self.episodes)
        by_step = (self.steps, self.seeds, self.episodes)
        self.logits_then = noise(*shape)
        self.logits_now = (self.logits_then + 0.4 * noise(*shape)).requires_grad_()
        self.value_then = noise(*by_step)
        self.value_now = (self.value_then + noise(*by_step)).requires_grad_()
        self.reward = noise(*by_step)
        self.action = torch.randint(self.actions, by_step, generator=draw)

    def loss(self, settings: LearningSettings) -> Tensor:
        then = self.logits_then.log_softmax(2)
        taught = lesson(then, self.value_then, self.action, self.reward, settings)
        now = self.logits_now.log_softmax(2)
        return actor_critic_loss(
            now, self.value_now, taught, settings, settings.entropy_cost
        )


def softmax(logits: np.ndarray) -> np.ndarray:
    weight = np.exp(logits - logits.max())
    return np.asarray(weight / weight.sum())


def slow_loss(
    batch: Batch, settings: LearningSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, int]]:
    """Loss by seed, gradients of logits and value, and how often which case occurred.

    Schulman et al. 2017, eq. 7, step by step.
    """
    loss = np.zeros(batch.seeds)
    of_logits = np.zeros(batch.logits_now.shape)
    of_value = np.zeros(batch.value_now.shape)
    cases = dict.fromkeys(("cut above", "cut below", "too high", "too low", "free"), 0)
    clip, n = settings.clip_ratio, batch.episodes
    reward, value_then = batch.reward.numpy(), batch.value_then.numpy()
    value_now = batch.value_now.detach().numpy()
    for seed in range(batch.seeds):
        for episode in range(n):
            ahead = next_value = 0.0
            for step in reversed(range(batch.steps)):
                at = (step, seed, episode)
                rpe = reward[at] + settings.discount * next_value - value_then[at]
                ahead = rpe + settings.discount * settings.trace_decay * ahead
                next_value = value_then[at]
                target = ahead + value_then[at]
                now = softmax(batch.logits_now[step, seed, :, episode].detach().numpy())
                then = softmax(batch.logits_then[step, seed, :, episode].numpy())
                action = int(batch.action[at])
                ratio = now[action] / then[action]
                entropy = -(now * np.log(now)).sum()
                d_ratio = ahead  # by how much the objective grows with the ratio
                if ahead > 0 and ratio > 1 + clip:
                    objective, d_ratio = ahead * (1 + clip), 0.0
                    cases["cut above"] += 1
                elif ahead < 0 and ratio < 1 - clip:
                    objective, d_ratio = ahead * (1 - clip), 0.0
                    cases["cut below"] += 1
                else:
                    objective = ahead * ratio
                    if ratio > 1 + clip:
                        cases["too high"] += 1  # and punished: it counts in full
                    elif ratio < 1 - clip:
                        cases["too low"] += 1
                    else:
                        cases["free"] += 1
                error = target - value_now[at]
                loss[seed] += (
                    -objective
                    - settings.entropy_cost * entropy
                    + settings.value_cost * error**2 / 2
                ) / n
                taken = np.eye(batch.actions)[action]
                d_log = -d_ratio * ratio * (taken - now)
                d_entropy = -now * (np.log(now) + entropy)
                of_logits[step, seed, :, episode] = (
                    d_log - settings.entropy_cost * d_entropy
                ) / n
                of_value[at] = -settings.value_cost * error / n
    return loss, of_logits, of_value, cases


@pytest.mark.parametrize(
    "changed",
    [{}, {"clip_ratio": 0.05}, {"entropy_cost": 0.0, "value_cost": 0.0}],
    ids=["usual", "narrow", "actor only"],
)
def test_the_clipped_objective_equals_a_slow_step_by_step_one(
    changed: dict[str, float],
) -> None:
    batch, settings = Batch(), replace(PPO, **changed)  # type: ignore[arg-type]
    loss = batch.loss(settings)
    loss.sum().backward()
    expected, of_logits, of_value, cases = slow_loss(batch, settings)
    assert min(cases.values()) >= 3, cases  # both sides, both signs, and within
    np.testing.assert_allclose(loss.detach(), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(batch.logits_now.grad, of_logits, rtol=0, atol=1e-9)
    if settings.value_cost:
        np.testing.assert_allclose(batch.value_now.grad, of_value, rtol=0, atol=1e-9)


def slow_update(
    network: Network,
    optimiser: torch.optim.Optimizer,
    settings: LearningSettings,
    life: Any,
) -> None:
    """Learn from a batch epoch by epoch, the whole sequence afresh each time."""
    taught = None
    for _ in range(settings.epochs):
        outputs = network.memory(life.inputs)
        logits = network.policy_weight @ outputs + network.policy_bias
        value = (network.value_weight @ outputs + network.value_bias).squeeze(2)
        log_policy = logits.log_softmax(2)
        if taught is None:  # advantages and returns stay those of the first look
            taught = lesson(log_policy, value, life.action, life.reward, settings)
        loss = actor_critic_loss(
            log_policy, value, taught, settings, settings.entropy_cost
        )
        optimiser.zero_grad()
        loss.sum().backward()
        optimiser.step()


@pytest.mark.parametrize("memory", [*sorted(MEMORIES), "compiled"])
def test_every_epoch_looks_again_with_the_weights_of_now(
    memory: str, drawn: Drawn, played: Callable[..., Any]
) -> None:
    if memory == "compiled":
        pytest.importorskip("numba")  # an optional extra
    network = network_of("lstm" if memory == "compiled" else memory)
    twin = copy.deepcopy(network)
    learner = Learner(network, PPO, TASK.steps, compiled=memory == "compiled")
    optimiser = torch.optim.Adam(twin.parameters(), PPO.learning_rate, eps=1e-8)
    for update in range(2):
        before = {name: w.detach().clone() for name, w in network.named_parameters()}
        batch = (TASK, len(SEEDS), BATCH, update)
        slow_update(twin, optimiser, PPO, played(twin, *drawn(*batch)))
        assert learner.update(*drawn(*batch)).sound.all()
        for name, weight in network.named_parameters():
            right = twin.get_parameter(name)
            assert (right != before[name]).any(), name
            torch.testing.assert_close(weight, right, rtol=0, atol=1e-9)


def test_more_epochs_change_the_weights_more_than_once(drawn: Drawn) -> None:
    weights = []
    for epochs in (1, 2, 3):
        network = network_of()
        learner = Learner(network, replace(PPO, epochs=epochs), TASK.steps)
        learner.update(*drawn(TASK, len(SEEDS), BATCH, 0))
        weights.append(network.policy_weight.detach().clone())
    assert not torch.allclose(weights[0], weights[1], atol=1e-4)
    assert not torch.allclose(weights[1], weights[2], atol=1e-4)


@pytest.mark.parametrize("memory", sorted(MEMORIES))
def test_a_replay_equals_a_fresh_look(memory: str) -> None:
    network = network_of(memory)
    draw = torch.Generator().manual_seed(0)
    shape = (TASK.steps, len(SEEDS), network.n_inputs, BATCH)
    inputs = torch.randn(shape, generator=draw).double()
    activity = network.memory.activity(TASK.steps, BATCH)
    activity.begin()
    for at_step in inputs:
        activity.step(at_step)
    with torch.no_grad():
        for parameter in network.memory.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=draw)
    activity.replay(inputs)
    outputs, expected = activity.outputs(inputs), network.memory(inputs)
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-9)
    weight = torch.randn(outputs.shape, generator=draw).double()
    found, right = [], []
    for result, into in ((outputs, found), (expected, right)):
        network.zero_grad()
        (result * weight).sum().backward()
        into += [parameter.grad.clone() for parameter in network.memory.parameters()]
    for gradient, exact in zip(found, right, strict=True):
        torch.testing.assert_close(gradient, exact, rtol=1e-9, atol=1e-9)


def test_a_seed_that_fails_in_a_later_epoch_keeps_its_weights_of_before(
    drawn: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, passes = network_of(), iter(range(3))

    def fails_in_the_second(network: Network, norm: float) -> Tensor:
        return torch.tensor([1.0, torch.inf if next(passes) == 1 else 1.0])

    monkeypatch.setattr("pfc_metarl.learning.clip_per_seed", fails_in_the_second)
    before = [network.seed_weights(position) for position in (0, 1)]
    learner = Learner(network, PPO, TASK.steps)
    update = learner.update(*drawn(TASK, len(SEEDS), BATCH, 0))
    assert update.sound.tolist() == [True, False]
    after = [network.seed_weights(position) for position in (0, 1)]
    for name in before[0]:
        assert not torch.equal(after[0][name], before[0][name])
        assert torch.equal(after[1][name], before[1][name]), name
