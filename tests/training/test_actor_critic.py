"""The loss of the slow learning has the gradient of the published actor-critic."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pfc_metarl.learning import Learner, LearningSettings, exploration_noise
from pfc_metarl.network import Network, NetworkSettings
from pfc_metarl.policy_gradient import actor_critic_loss, clip_per_seed, lesson
from pfc_metarl.tasks.base import side_by_side
from pfc_metarl.tasks.two_step import TwoStep

STEPS, SEEDS, ACTIONS, EPISODES = 6, 3, 4, 5
WANG = LearningSettings()
SETTINGS = {
    "paper": WANG,
    "one-step": replace(WANG, trace_decay=0.0),
    "actor only": replace(WANG, value_cost=0.0, entropy_cost=0.0),
    "critic only": replace(WANG, value_cost=2.0),
    "traces": replace(WANG, trace_decay=0.6, discount=0.5, entropy_cost=0.3),
    "no future": replace(WANG, discount=0.0),
}


class Played:
    """A random batch of episodes; logits and values are leaves."""

    def __init__(self) -> None:
        draw = torch.Generator().manual_seed(0)

        def noise(*shape: int) -> Tensor:
            return torch.randn(shape, generator=draw).double()

        self.logits = noise(STEPS, SEEDS, ACTIONS, EPISODES).requires_grad_()
        self.value = noise(STEPS, SEEDS, EPISODES).requires_grad_()
        self.reward = noise(STEPS, SEEDS, EPISODES)
        shape = (STEPS, SEEDS, EPISODES)
        self.action = torch.randint(ACTIONS, shape, generator=draw)

    def loss(self, settings: LearningSettings) -> Tensor:
        log_policy = self.logits.log_softmax(2)
        return loss_of(log_policy, self.value, self.action, self.reward, settings)


def loss_of(
    log_policy: Tensor,
    value: Tensor,
    action: Tensor,
    reward: Tensor,
    settings: LearningSettings,
) -> Tensor:
    """Loss of a batch of episodes, by seed, and what the episodes teach from them."""
    taught = lesson(log_policy, value, action, reward, settings)
    return actor_critic_loss(log_policy, value, taught, settings, settings.entropy_cost)


@pytest.fixture
def played() -> Played:
    return Played()


def slow_gradients(played: Played, settings: LearningSettings) -> tuple[Tensor, Tensor]:
    """Gradients of logits and values, step by step, from the written-out formula."""
    of_logits = torch.zeros_like(played.logits)
    of_value = torch.zeros_like(played.value)
    for seed in range(SEEDS):
        for episode in range(EPISODES):
            advantage = next_value = 0.0
            for step in reversed(range(STEPS)):
                at = (step, seed, episode)
                value = float(played.value.detach()[at])
                rpe = float(played.reward[at]) + settings.discount * next_value - value
                advantage = rpe + settings.discount * settings.trace_decay * advantage
                next_value = value
                policy = played.logits[step, seed, :, episode].detach().softmax(0)
                entropy = -float((policy * policy.log()).sum())
                for action in range(ACTIONS):
                    p = float(policy[action])
                    taken = float(action == int(played.action[at]))
                    actor = -advantage * (taken - p)
                    of_entropy = -p * (float(policy[action].log()) + entropy)
                    of_logits[step, seed, action, episode] = (
                        actor - settings.entropy_cost * of_entropy
                    ) / EPISODES
                of_value[at] = -settings.value_cost * advantage / EPISODES
    return of_logits, of_value


@pytest.mark.parametrize("name", SETTINGS)
def test_the_gradient_equals_a_slow_step_by_step_one(name: str, played: Played) -> None:
    played.loss(SETTINGS[name]).sum().backward()
    of_logits, of_value = slow_gradients(played, SETTINGS[name])
    torch.testing.assert_close(played.logits.grad, of_logits, rtol=0, atol=1e-9)
    torch.testing.assert_close(played.value.grad, of_value, rtol=0, atol=1e-9)


def test_the_policy_gradient_does_not_flow_through_the_advantage(
    played: Played,
) -> None:
    played.loss(SETTINGS["actor only"]).sum().backward()
    assert played.logits.grad.any()
    assert not played.value.grad.any()


def test_the_critic_is_pulled_to_the_return(played: Played) -> None:
    settings = replace(WANG, value_cost=1.0, entropy_cost=0.0)
    value = played.value
    for _ in range(200):
        value.grad = None
        played.loss(settings).sum().backward()
        with torch.no_grad():
            value -= value.grad
    ahead = torch.zeros(SEEDS, EPISODES).double()
    for step in reversed(range(STEPS)):
        ahead = played.reward[step] + settings.discount * ahead
        torch.testing.assert_close(value[step].detach(), ahead, rtol=0, atol=1e-6)


def test_the_entropy_term_makes_the_policy_less_certain(played: Played) -> None:
    played.reward.zero_()
    with torch.no_grad():
        played.value.zero_()

    def entropy() -> Tensor:
        log_policy = played.logits.detach().log_softmax(2)
        return -(log_policy.exp() * log_policy).sum(2)

    before = entropy()
    played.loss(replace(WANG, entropy_cost=0.05)).sum().backward()
    with torch.no_grad():
        played.logits -= played.logits.grad
    assert (entropy() > before).all()


def test_better_than_expected_makes_the_action_more_likely() -> None:
    for reward, sign in ((1.0, 1), (0.0, -1)):
        logits = torch.zeros(1, 1, 2, 1, requires_grad=True)
        loss_of(
            logits.log_softmax(2),
            torch.full((1, 1, 1), 0.5),
            torch.ones((1, 1, 1), dtype=torch.int64),
            torch.full((1, 1, 1), reward),
            WANG,
        ).sum().backward()
        assert torch.sign(-logits.grad[0, 0, 1, 0]) == sign


def test_steps_are_summed_and_episodes_averaged(played: Played) -> None:
    once = played.loss(WANG)
    twice = loss_of(
        *(
            torch.cat([part, part], dim=-1)
            for part in (
                played.logits.log_softmax(2),
                played.value,
                played.action,
                played.reward,
            )
        ),
        WANG,
    )
    assert once.shape == (SEEDS,)
    torch.testing.assert_close(once, twice)
    later = replace(WANG, discount=0.0)
    by_step = [
        loss_of(
            played.logits[step : step + 1].log_softmax(2),
            played.value[step : step + 1],
            played.action[step : step + 1],
            played.reward[step : step + 1],
            later,
        )
        for step in range(STEPS)
    ]
    torch.testing.assert_close(played.loss(later), torch.stack(by_step).sum(0))


def test_the_loss_of_a_seed_is_its_own(played: Played) -> None:
    played.loss(WANG)[1].backward()
    for gradient in (played.logits.grad, played.value.grad):
        assert gradient[:, 1].any()
        assert not gradient[:, [0, 2]].any()


@pytest.mark.parametrize("trace_decay", [1.0, 0.0])
def test_an_update_trains_every_weight_the_critics_included(
    trace_decay: float,
) -> None:
    task = TwoStep(trials=4)
    network = Network(NetworkSettings(units=6), task, [0, 1])
    settings = replace(WANG, batch=EPISODES, trace_decay=trace_decay)
    learner = Learner(network, settings, task.steps)
    draw = torch.Generator().manual_seed(0)
    tapes = [task.draw(EPISODES, draw) for _ in range(2)]
    noise = [exploration_noise(task.steps, 2, EPISODES, draw) for _ in range(2)]
    before = copy.deepcopy(network.state_dict())
    learner.update(task.begin(side_by_side(tapes)), torch.stack(noise, dim=1))
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.flatten(1).any(1).all(), name
        assert (weight != before[name]).flatten(1).any(1).all(), name


class Slopes(torch.nn.Module):
    """Two parameters of three seeds with given gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.a = torch.nn.Parameter(torch.zeros(3, 2, 2))
        self.b = torch.nn.Parameter(torch.zeros(3, 1))
        self.unused = torch.nn.Parameter(torch.zeros(3, 1))
        self.a.grad = torch.tensor([[[1.0, 2.0], [2.0, 0.0]]] * 3)
        self.b.grad = torch.tensor([[4.0]] * 3)  # norm 5 together
        for gradient in (self.a.grad, self.b.grad):
            gradient *= torch.tensor([1.0, 10.0, 0.0]).view(
                3, *[1] * (gradient.ndim - 1)
            )


def test_each_seed_is_clipped_by_its_own_norm() -> None:
    slopes = Slopes()
    a, b = slopes.a.grad.clone(), slopes.b.grad.clone()
    norm = clip_per_seed(slopes, 8.0)
    torch.testing.assert_close(norm, torch.tensor([5.0, 50.0, 0.0]))
    for found, before in ((slopes.a.grad, a), (slopes.b.grad, b)):
        assert torch.equal(found[0], before[0])
        torch.testing.assert_close(found[1], before[1] * 8 / 50)
        assert torch.equal(found[2], before[2])
    assert slopes.unused.grad is None


def test_exploration_samples_the_softmax_policy() -> None:
    n = 200_000
    noise = exploration_noise(1, 3, n, torch.Generator().manual_seed(0))[0]
    logits = torch.tensor([1.0, 0.0, -3.0])
    chosen = (logits[:, None] + noise).argmax(0)
    for action, p in enumerate(logits.softmax(0).tolist()):
        share = float((chosen == action).double().mean())
        assert abs(share - p) < 4 * (p * (1 - p) / n) ** 0.5


def test_exploration_is_finite_and_drawn_from_its_generator_alone() -> None:
    first, again = (
        exploration_noise(50, 3, 4000, torch.Generator().manual_seed(7))
        for _ in range(2)
    )
    assert first.shape == (50, 3, 4000)
    assert torch.isfinite(first).all()
    assert torch.equal(first, again)
