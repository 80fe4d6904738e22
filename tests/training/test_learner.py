"""An update plays, learns and changes the weights; seeds are independent replicas."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pfc_metarl.configuration import Configuration
from pfc_metarl.errors import InputError
from pfc_metarl.learning import Learner, LearningSettings, exploration_noise
from pfc_metarl.network import Network, NetworkSettings
from pfc_metarl.tasks.base import Episodes, side_by_side
from pfc_metarl.tasks.two_step import TwoStep
from pfc_metarl.training import Group

Small = Callable[..., Configuration]
Equal = Callable[[Any, Any], bool]

BATCH, SEEDS = 4, (0, 1)
TASK = TwoStep(trials=6, fixation=True)


def drawn(seed: int) -> tuple[Episodes, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    tapes = [TASK.draw(BATCH, draw) for _ in SEEDS]
    noise = [exploration_noise(TASK.steps, TASK.n_actions, BATCH, draw) for _ in SEEDS]
    return TASK.begin(side_by_side(tapes)), torch.stack(noise, dim=1)


def network_of(memory: str = "lstm") -> Network:
    return Network(NetworkSettings(memory=memory, units=6), TASK, SEEDS)


def slow_gradients(
    network: Network, settings: LearningSettings, episodes: Episodes, noise: Tensor
) -> tuple[dict[str, Tensor], Tensor]:
    """Play and learn in one plain loop that keeps the graph of every step."""
    state = network.memory.initial_state(BATCH)
    observation = episodes.observation
    done = torch.zeros(len(SEEDS), TASK.n_actions, BATCH)
    earned = torch.zeros(len(SEEDS), 1, BATCH)
    log_policies, values, rewards = [], [], []
    for step in range(TASK.steps):
        seen = torch.cat([observation.transpose(1, 2), done, earned], dim=1)
        output, state = network.memory.forward_step(seen, state)
        log_policy = network.logits(output).log_softmax(1)
        action = (network.logits(output) + noise[step]).argmax(1)
        observation, reward = episodes.step(action)
        done = torch.nn.functional.one_hot(action, TASK.n_actions).transpose(1, 2)
        earned = reward.unsqueeze(1)
        chosen = log_policy.gather(1, action.unsqueeze(1)).squeeze(1)
        entropy = -(log_policy.exp() * log_policy).sum(1)
        log_policies.append((chosen, entropy))
        values.append((network.value_weight @ output + network.value_bias).squeeze(1))
        rewards.append(reward)
    loss, ahead = torch.zeros(len(SEEDS), BATCH), torch.zeros(len(SEEDS), BATCH)
    assert settings.trace_decay == 1.0
    for step in reversed(range(TASK.steps)):
        ahead = rewards[step] + settings.discount * ahead
        chosen, entropy = log_policies[step]
        surprise = ahead - values[step]
        loss = loss - surprise.detach() * chosen - settings.entropy_cost * entropy
        loss = loss + settings.value_cost * surprise**2 / 2
    by_seed = loss.mean(1)
    parameters = dict(network.named_parameters())
    grads = torch.autograd.grad(by_seed.sum(), list(parameters.values()))
    return dict(zip(parameters, grads, strict=True)), by_seed.detach()


@pytest.mark.parametrize("memory", ["lstm", "none", "compiled"])
def test_every_update_follows_the_gradient_of_its_own_episodes(memory: str) -> None:
    if memory == "compiled":
        pytest.importorskip("numba")  # an optional extra
    network = network_of("lstm" if memory == "compiled" else memory)
    settings = replace(LearningSettings(), batch=BATCH, learning_rate=0.01)
    learner = Learner(network, settings, TASK.steps, compiled=memory == "compiled")
    for update in range(4):  # later ones with nothing left over from those before
        twin = copy.deepcopy(network)
        expected, _ = slow_gradients(twin, settings, *drawn(update))
        assert learner.update(*drawn(update)).sound.all()
        for name, weight in network.named_parameters():
            scale = float(expected[name].abs().max())
            torch.testing.assert_close(
                weight.grad, expected[name], rtol=1e-4, atol=1e-4 * scale
            )


def test_a_memory_without_compiled_kernels_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="FeedForward has no compiled ker") as error:
        Learner(network_of("none"), LearningSettings(), TASK.steps, compiled=True)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("optimiser", ["adam", "rmsprop"])
@pytest.mark.parametrize("algorithm", ["a2c", "ppo"])
def test_a_memory_that_does_not_learn_stays_as_it_was_drawn(
    algorithm: str, optimiser: str
) -> None:
    settings = replace(
        LearningSettings(),
        batch=BATCH,
        algorithm=algorithm,
        optimiser=optimiser,
        memory_learns=False,
    )
    network = network_of()
    before = network.seed_weights(1)
    learner = Learner(network, settings, TASK.steps)
    for number in range(3):
        learner.update(*drawn(number))
    for name, weight in network.seed_weights(1).items():
        kept = name.startswith("memory.")
        assert torch.equal(weight, before[name]) == kept, name


def test_the_paper_steps_by_rmsprop() -> None:
    network, settings = network_of(), replace(LearningSettings(), batch=BATCH)
    before = {name: w.detach().clone() for name, w in network.named_parameters()}
    Learner(network, settings, TASK.steps).update(*drawn(0))
    for name, weight in network.named_parameters():
        step = 7e-4 * weight.grad / ((0.1 * weight.grad**2).sqrt() + 1e-10)
        torch.testing.assert_close(weight.detach(), before[name] - step)


def test_an_unknown_optimiser_is_refused() -> None:
    with pytest.raises(InputError, match="no optimiser 'luck'; expected adam or rms"):
        LearningSettings(optimiser="luck")


def test_the_memory_begins_anew_in_every_batch() -> None:
    settings = replace(LearningSettings(), batch=BATCH, learning_rate=0.0)
    learner = Learner(network_of(), settings, TASK.steps)
    first, other, again = (learner.update(*drawn(seed)) for seed in (0, 1, 0))
    assert torch.equal(first.reward, again.reward)
    for name, values in first.metrics.items():
        assert torch.equal(values, again.metrics[name]), name
        assert not torch.equal(values, other.metrics[name]), name


def test_an_update_returns_the_rewards_of_every_step() -> None:
    learner = Learner(network_of(), LearningSettings(batch=BATCH), TASK.steps)
    episodes, noise = drawn(0)
    update = learner.update(episodes, noise)
    assert update.reward.shape == (TASK.steps, len(SEEDS), BATCH)
    assert update.sound.tolist() == [True] * len(SEEDS)
    for values in update.metrics.values():
        assert values.shape == (len(SEEDS),)
        assert not values.requires_grad
    of_trials = torch.nan_to_num(episodes.trials()["reward"])
    assert torch.equal(update.reward[2::3], of_trials)  # fixation, choice, state 2


@pytest.mark.parametrize("memory", ["lstm", "none"])
@pytest.mark.parametrize("optimiser", ["adam", "rmsprop"])
def test_a_seed_learns_the_same_alone_and_among_others(
    small: Small, optimiser: str, memory: str
) -> None:
    configuration = small(4, memory=memory, optimiser=optimiser, learning_rate=1e-3)
    alone, among = Group(configuration, [3]), Group(configuration, [0, 1, 2, 3])
    for _ in range(3):
        alone.learn()
        among.learn()
    expected = among.seed_weights(3)
    for name, weight in alone.seed_weights(0).items():
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=1e-5)
    assert alone.reward[:3].isfinite().all()
    torch.testing.assert_close(alone.reward[:3, 0], among.reward[:3, 3])


def test_the_place_among_others_does_not_matter(small: Small) -> None:
    configuration = small(4, learning_rate=1e-3)
    one, other = Group(configuration, [3, 0]), Group(configuration, [0, 3])
    for _ in range(3):
        one.learn()
        other.learn()
    expected = other.seed_weights(1)
    for name, weight in one.seed_weights(0).items():
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=1e-5)


def test_the_same_seeds_give_the_same_bits(small: Small, equal: Equal) -> None:
    one, two = Group(small(), [0, 1]), Group(small(), [0, 1])
    for _ in range(4):
        one.learn()
        torch.rand(3)  # the global generator is nobody's
        two.learn()
    assert equal(one.state(), two.state())


def test_different_seeds_live_different_lives(small: Small) -> None:
    group = Group(small(3), [0, 1, 2])
    first = {name: w.clone() for name, w in group.network.state_dict().items()}
    episodes, noise = group._draw()
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert not torch.equal(first["policy_weight"][a], first["policy_weight"][b])
        assert not torch.equal(noise[:, a], noise[:, b])
        tape = episodes.tape["outcome0"]
        assert not torch.equal(tape[:, a], tape[:, b])
    again, noise_again = group._draw()
    assert not torch.equal(noise, noise_again)
    assert not torch.equal(episodes.tape["outcome0"], again.tape["outcome0"])


def test_a_seed_that_diverges_stops_alone_and_is_noted(small: Small) -> None:
    group = Group(small(2), [3, 5])
    group.learn()
    with torch.no_grad():
        group.network.value_bias[1] = torch.nan
    before = [group.seed_weights(position) for position in (0, 1)]
    for _ in range(3):
        group.learn()
    assert group.diverged_at.tolist() == [-1, 1]
    assert group.reward[1:4, 1].isnan().all()
    assert group.reward[:4, 0].isfinite().all()
    assert group.network.seeds == (3,)  # the other costs nothing more
    after = [group.seed_weights(position) for position in (0, 1)]
    for name in before[0]:
        assert not torch.equal(before[0][name], after[0][name])
        assert torch.equal(before[1][name].nan_to_num(), after[1][name].nan_to_num())
    for states in group.learner.optimiser.state.values():
        assert all(value.isfinite().all() for value in states.values())


@pytest.mark.parametrize("name", ["policy_bias", "value_weight", "memory.bias"])
def test_with_compiled_kernels_a_seed_that_diverges_is_noticed(
    small: Small, name: str
) -> None:
    pytest.importorskip("numba")  # an optional extra
    group = Group(replace(small(2), kernels="compiled"), [3, 5])
    group.learn()
    with torch.no_grad():
        group.network.get_parameter(name)[1].view(-1)[-1] = torch.nan
    group.learn()
    assert group.diverged_at.tolist() == [-1, 1]
    group.learn()
    assert all(w.isfinite().all() for w in group.seed_weights(0).values())


def test_a_gradient_that_is_no_number_is_noticed_too(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Group(small(2), [3, 5])
    monkeypatch.setattr(
        "pfc_metarl.learning.clip_per_seed",
        lambda network, norm: torch.tensor([torch.inf, 1.0]),
    )
    group.learn()
    assert group.diverged_at.tolist() == [0, -1]


@pytest.mark.parametrize("optimiser", ["adam", "rmsprop"])
def test_the_others_learn_as_if_none_had_diverged(small: Small, optimiser: str) -> None:
    configuration = small(3, optimiser=optimiser)
    sound, beside = Group(configuration, [3, 5, 7]), Group(configuration, [3, 5, 7])
    for group in (sound, beside):
        group.learn()  # so that the optimiser has averages to keep
    with torch.no_grad():
        beside.network.value_bias[1] = torch.nan
    for group in (sound, beside):
        group.learn()
    assert beside.diverged_at.tolist() == [-1, 1, -1]
    for position in (0, 2):  # in that update, bit for bit
        expected = sound.seed_weights(position)
        for name, weight in beside.seed_weights(position).items():
            assert torch.equal(weight, expected[name]), name
    for group in (sound, beside):
        group.learn()
        group.learn()
    for position in (0, 2):  # later, among fewer, sums may have another order
        expected = sound.seed_weights(position)
        for name, weight in beside.seed_weights(position).items():
            torch.testing.assert_close(weight, expected[name], rtol=0, atol=1e-5)
        torch.testing.assert_close(
            beside.reward[:4, position], sound.reward[:4, position]
        )


def test_the_training_curve_is_the_mean_reward_per_trial(small: Small) -> None:
    group = Group(small(2, learning_rate=0.0), [0, 1])
    twin = Group(small(2, learning_rate=0.0), [0, 1])
    group.learn()
    episodes, noise = twin._draw()
    twin.learner.update(episodes, noise)
    expected = episodes.trials()["reward"].mean((0, 2))
    torch.testing.assert_close(group.reward[0], expected)
