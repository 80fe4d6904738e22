"""Settings of the slow learning: what is refused, what falls, and which part learns."""

import copy
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pfc_metarl import learning, training
from pfc_metarl.configuration import Configuration
from pfc_metarl.errors import InputError
from pfc_metarl.learning import Learner, LearningSettings
from pfc_metarl.network import Network, NetworkSettings
from pfc_metarl.tasks.base import Episodes
from pfc_metarl.tasks.two_step import TwoStep
from pfc_metarl.training import Group, Progress, train_group

Small = Callable[..., Configuration]
Equal = Callable[[Any, Any], bool]
Drawn = Callable[..., tuple[Episodes, Tensor]]

TASK, SEEDS, BATCH = TwoStep(trials=4, fixation=True), (0, 1), 3
SETTINGS = replace(LearningSettings(), batch=BATCH, learning_rate=0.01)


def network_of(memory: str = "lstm") -> Network:
    return Network(NetworkSettings(memory=memory, units=5), TASK, SEEDS)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("batch", 0, "batch is 0; expected 1 or more"),
        ("updates", 0, "updates is 0; expected 1 or more"),
        ("epochs", 0, "epochs is 0; expected 1 or more"),
        ("discount", 1.1, "discount is 1.1; expected 0 to 1"),
        ("discount", float("nan"), "discount is nan; expected 0 to 1"),
        ("trace_decay", -0.1, "trace_decay is -0.1; expected 0 to 1"),
        ("learning_rate", -1e-3, "learning_rate is -0.001; expected 0 or more"),
        ("learning_rate", float("nan"), "learning_rate is nan; expected 0 or more"),
        ("final_learning_rate", -1.0, "final_learning_rate is -1.0; expected 0 or"),
        ("final_entropy_cost", float("inf"), "final_entropy_cost is inf; expected 0"),
        ("clip_ratio", 0.0, "clip_ratio is 0.0; expected above 0"),
        ("algorithm", "luck", "no algorithm 'luck'; expected a2c or ppo"),
        ("credit", "luck", "no credit 'luck'; expected backpropagation or local"),
        ("optimiser", "luck", "no optimiser 'luck'; expected adam or rmsprop"),
    ],
)
def test_a_setting_out_of_range_is_refused_in_one_line(
    name: str, value: Any, message: str
) -> None:
    with pytest.raises(InputError) as error:
        replace(LearningSettings(), **{name: value})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_ends_of_the_ranges_are_allowed() -> None:
    LearningSettings(discount=1.0, trace_decay=0.0, batch=1, updates=1, epochs=1)
    LearningSettings(final_learning_rate=0.0, final_entropy_cost=0.0)


def test_rates_go_linearly_from_first_to_final() -> None:
    settings = replace(
        SETTINGS,
        learning_rate=0.4,
        final_learning_rate=0.1,
        entropy_cost=0.0,
        final_entropy_cost=0.2,
    )
    for done, rate, cost in ((0.0, 0.4, 0.0), (0.5, 0.25, 0.1), (1.0, 0.1, 0.2)):
        assert settings.learning_rate_at(done) == pytest.approx(rate)
        assert settings.entropy_cost_at(done) == pytest.approx(cost)


def test_without_a_final_one_they_are_constant() -> None:
    for done in (0.0, 0.3, 1.0):
        assert SETTINGS.learning_rate_at(done) == SETTINGS.learning_rate
        assert SETTINGS.entropy_cost_at(done) == SETTINGS.entropy_cost


@pytest.mark.parametrize("algorithm", ["a2c", "ppo"])
@pytest.mark.parametrize("optimiser", ["adam", "rmsprop"])
def test_an_update_uses_the_rate_and_the_cost_of_its_time(
    drawn: Drawn, optimiser: str, algorithm: str
) -> None:
    plain = replace(SETTINGS, optimiser=optimiser, algorithm=algorithm)
    falling = replace(plain, final_learning_rate=0.002, final_entropy_cost=0.5)
    for done in (0.0, 0.25, 1.0):
        now = replace(
            plain,
            learning_rate=falling.learning_rate_at(done),
            entropy_cost=falling.entropy_cost_at(done),
        )
        found, expected = network_of(), network_of()
        for network, settings in ((found, falling), (expected, now)):
            learner = Learner(network, settings, TASK.steps)
            learner.update(*drawn(TASK, len(SEEDS), BATCH, 0), done=done)
        for name, weight in found.named_parameters():
            assert torch.equal(weight, expected.get_parameter(name)), name


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """Learning rate and entropy cost of every update from now on."""
    log: list[tuple[float, float]] = []
    real_loss, real_step = learning.actor_critic_loss, Learner._step
    costs: list[float] = []

    def loss(*arguments: Any) -> Tensor:
        costs.append(arguments[4])
        return real_loss(*arguments)

    def step(learner: Learner, learns: Tensor) -> None:
        (rate,) = {group["lr"] for group in learner.optimiser.param_groups}
        log.append((rate, costs[-1]))
        real_step(learner, learns)

    monkeypatch.setattr(learning, "actor_critic_loss", loss)
    monkeypatch.setattr(Learner, "_step", step)
    return log


FALLING = {
    "learning_rate": 0.01,
    "final_learning_rate": 0.002,
    "entropy_cost": 0.08,
    "final_entropy_cost": 0.0,
    "updates": 9,
}


def test_in_training_they_fall_from_the_first_to_the_last_update(
    small: Small, used: list[tuple[float, float]]
) -> None:
    group = Group(small(**FALLING), [0, 1])
    for _ in range(9):
        group.learn()
    rates, costs = zip(*used, strict=True)
    assert (rates[0], costs[0]) == (0.01, 0.08)
    for values in (rates, costs):
        falls = [a - b for a, b in pairwise(values)]
        assert falls == pytest.approx([falls[0]] * 8)
        assert falls[0] > 0


def test_they_are_reached_at_the_last_update(
    small: Small, used: list[tuple[float, float]]
) -> None:
    group = Group(small(**FALLING), [0, 1])
    for _ in range(9):
        group.learn()
    assert used[4] == pytest.approx((0.006, 0.04))
    assert used[8] == pytest.approx((0.002, 0.0))


def test_in_training_they_are_constant_unless_a_final_one_is_given(
    small: Small, used: list[tuple[float, float]]
) -> None:
    configuration = small(learning_rate=0.01, entropy_cost=0.08)
    group = Group(configuration, [0, 1])
    for _ in range(configuration.learning.updates):
        group.learn()
    assert used == [(0.01, 0.08)] * 8


def test_resumed_training_goes_on_with_the_same_rates(
    small: Small,
    equal: Equal,
    used: list[tuple[float, float]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
    configuration = small(**FALLING)

    def silent(progress: Progress) -> None:
        pass

    whole = train_group(configuration, [0, 1], tmp_path / "whole", silent)
    expected = list(used)
    used.clear()
    for _ in range(4):  # two updates at a time
        asked = iter([False, True])
        train_group(
            configuration,
            [0, 1],
            tmp_path / "parts",
            silent,
            lambda asked=asked: next(asked),
        )
    resumed = train_group(configuration, [0, 1], tmp_path / "parts", silent)
    assert used == expected
    assert equal(whole.state(), resumed.state())


HEADS = {
    "actor": ("policy_weight", "policy_bias"),
    "critic": ("value_weight", "value_bias"),
}


def slow_gradients(
    network: Network, settings: LearningSettings, life: Any
) -> dict[str, Tensor]:
    """Gradients of the part that learns, from the graph of every step."""
    loss = torch.zeros(len(SEEDS), BATCH)
    ahead = torch.zeros(len(SEEDS), BATCH)
    for step in reversed(range(TASK.steps)):
        ahead = life.reward[step] + settings.discount * ahead
        surprise = ahead - life.value[step]
        if settings.critic_learns:
            loss = loss + settings.value_cost * surprise**2 / 2
        if settings.actor_learns:
            log_policy = life.log_policy[step]
            chosen = log_policy.gather(1, life.action[step].unsqueeze(1)).squeeze(1)
            loss = loss - surprise.detach() * chosen
            entropy = -(log_policy.exp() * log_policy).sum(1)
            loss = loss - settings.entropy_cost * entropy
    names, weights = zip(*network.named_parameters(), strict=True)
    grads = torch.autograd.grad(loss.mean(1).sum(), weights, allow_unused=True)
    return {
        name: torch.zeros_like(weight) if grad is None else grad
        for name, weight, grad in zip(names, weights, grads, strict=True)
    }


@pytest.mark.parametrize("optimiser", ["adam", "rmsprop"])
@pytest.mark.parametrize("algorithm", ["a2c", "ppo"])
@pytest.mark.parametrize("idle", ["actor", "critic"])
def test_the_head_that_does_not_learn_stays_and_the_memory_learns_from_the_other(
    drawn: Drawn,
    played: Callable[..., Any],
    idle: str,
    algorithm: str,
    optimiser: str,
) -> None:
    settings = replace(
        SETTINGS,
        optimiser=optimiser,
        algorithm=algorithm,
        epochs=1,
        **{f"{idle}_learns": False},
    )
    network = network_of()
    learner = Learner(network, settings, TASK.steps)
    begin = copy.deepcopy(network.state_dict())
    for update in range(3):
        batch = (TASK, len(SEEDS), BATCH, update)
        twin = copy.deepcopy(network)
        expected = slow_gradients(twin, settings, played(twin, *drawn(*batch)))
        assert learner.update(*drawn(*batch)).sound.all()
        for name, weight in network.named_parameters():
            scale = float(expected[name].abs().max())
            torch.testing.assert_close(
                weight.grad, expected[name], rtol=1e-4, atol=1e-4 * scale
            )
            assert (scale == 0) == (name in HEADS[idle]), name
    for name, weight in network.named_parameters():
        assert torch.equal(weight, begin[name]) == (name in HEADS[idle]), name


def test_when_neither_learns_it_is_refused() -> None:
    with pytest.raises(InputError, match="neither actor nor critic learns; expected"):
        LearningSettings(actor_learns=False, critic_learns=False)


@pytest.mark.parametrize("idle", ["actor", "critic"])
def test_lesioned_networks_train_beside_each_other_to_the_end(
    small: Small, idle: str, tmp_path: Path
) -> None:
    configuration = small(**{f"{idle}_learns": False})
    group = train_group(configuration, [0, 1], tmp_path, lambda progress: None)
    assert group.diverged_at.tolist() == [-1, -1]
    assert group.reward.isfinite().all()
