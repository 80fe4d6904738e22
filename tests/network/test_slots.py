"""Slots keep the latest moments, and give back those that fit what is sought."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from pfc_metarl.memory.slots import Slots

SEEDS, INPUTS, UNITS, EPISODES, STEPS = 2, 3, 5, 4, 9


class FewSlots(Slots):
    """So few that an episode fills them more than once."""

    n_slots, n_heads, n_features = 3, 2, 4


class OneSlot(FewSlots):
    n_slots = 1


class AsManySlotsAsSteps(FewSlots):
    n_slots = STEPS


class MoreSlotsThanSteps(FewSlots):
    n_slots = STEPS + 5


SIZES = [OneSlot, FewSlots, AsManySlotsAsSteps, MoreSlotsThanSteps]


def made(kind: type[Slots]) -> Slots:
    """Return slots of random weights, the initial slot included."""
    memory = kind(SEEDS, INPUTS, UNITS).double()
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw))
    return memory


@pytest.fixture
def inputs() -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.randn((STEPS, SEEDS, INPUTS, EPISODES), generator=draw).double()


def stepped(memory: Slots, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs, and the store after the last step, (seed, slot, feature, episode)."""
    state = memory.initial_state(inputs.shape[-1])
    outputs = []
    for at_step in inputs:
        output, state = memory.forward_step(at_step, state)
        outputs.append(output)
    size = (memory.n_slots, 1 + 2 * memory.n_features)
    return torch.stack(outputs), state[0].unflatten(1, size)


def acted(memory: Slots, inputs: Tensor) -> Tensor:
    activity = memory.activity(len(inputs), inputs.shape[-1])
    activity.begin()
    return torch.stack([activity.step(at_step).clone() for at_step in inputs])


def softplus(a: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(a))


def by_the_equations(memory: Slots, inputs: Tensor, seed: int, episode: int) -> Tensor:
    """Outputs of one episode by the equations, from a plain list of moments."""
    weights = {key: p[seed].detach().numpy() for key, p in memory.named_parameters()}
    d, heads, room = memory.n_features, memory.n_heads, memory.n_slots
    moments = [np.split(weights["initial_slot"][:, 0], 2)]
    outputs = []
    for x in inputs[:, seed, :, episode].numpy():
        present = np.tanh(weights["slot_weight"] @ x + weights["slot_bias"][:, 0])
        moments.append(np.split(present, 2))
        q = weights["query_weight"] @ x + weights["query_bias"][:, 0]
        t, seen = len(moments) - 1, [x]
        there = range(max(0, t - room), t)
        for head in range(heads):
            q_h = q[head * d : (head + 1) * d]
            forgets = softplus(weights["forgetting"][head, 0])
            likeness = [q_h @ moments[j][0] / math.sqrt(d) for j in there]
            w = np.exp(likeness - forgets * (t - np.array(there)))
            w = w / w.sum()
            seen.append(w @ [moments[j][1] for j in there])
            seen.append(w @ [moments[j + 1][1] for j in there])
        weight = np.hstack([weights["input_weight"], weights["read_weight"]])
        outputs.append(np.tanh(weight @ np.concatenate(seen) + weights["bias"][:, 0]))
    return torch.tensor(np.stack(outputs))


@pytest.mark.parametrize("kind", SIZES)
def test_every_way_to_run_an_episode_follows_the_equations(
    kind: type[Slots], inputs: Tensor
) -> None:
    memory = made(kind)
    with torch.no_grad():
        ways = [memory(inputs), stepped(memory, inputs)[0], acted(memory, inputs)]
    for seed in range(SEEDS):
        for episode in range(EPISODES):
            expected = by_the_equations(memory, inputs, seed, episode)
            for outputs in ways:
                torch.testing.assert_close(
                    outputs[:, seed, :, episode], expected, rtol=0, atol=1e-12
                )


@pytest.mark.parametrize("kind", SIZES)
def test_running_all_steps_at_once_has_the_gradients_of_single_steps(
    kind: type[Slots], inputs: Tensor
) -> None:
    memory = made(kind)
    weight = torch.linspace(-1, 1, STEPS * UNITS).double().view(STEPS, 1, UNITS, 1)
    parameters = tuple(memory.parameters())
    at_once = torch.autograd.grad((memory(inputs) * weight).sum(), parameters)
    outputs, _ = stepped(memory, inputs)
    by_step = torch.autograd.grad((outputs * weight).sum(), parameters)
    for found, right in zip(at_once, by_step, strict=True):
        torch.testing.assert_close(found, right, rtol=1e-9, atol=1e-11)


def test_the_oldest_slot_is_written_over(inputs: Tensor) -> None:
    memory = made(FewSlots)
    for steps, numbers in ((1, [1, 2, 0]), (2, [1, 2, 3]), (3, [4, 2, 3])):
        _, slots = stepped(memory, inputs[:steps])
        assert slots[0, :, 0, 0].tolist() == numbers


def test_what_is_written_depends_on_the_present_inputs_alone(inputs: Tensor) -> None:
    memory = made(FewSlots)
    _, before = stepped(memory, inputs)
    others = inputs.clone()
    others[: -memory.n_slots] += 1
    _, after = stepped(memory, others)
    assert torch.equal(before, after)
    with torch.no_grad():
        for reader in (memory.query_weight, memory.forgetting, memory.read_weight):
            reader.add_(1)
    assert torch.equal(before, stepped(memory, inputs)[1])


def test_the_past_is_known_as_far_back_as_there_are_slots(inputs: Tensor) -> None:
    memory = made(FewSlots)
    for back in range(1, STEPS):
        changed = inputs.clone()
        changed[-1 - back] += 1
        for run in (
            memory,
            lambda x: stepped(memory, x)[0],
            lambda x: acted(memory, x),
        ):
            differs = (run(inputs)[-1] != run(changed)[-1]).any()
            assert differs == (back <= memory.n_slots)


def test_a_moment_is_found_by_content_and_brings_the_one_that_followed() -> None:
    """Inputs are (cue 0, cue 1, reward); the one head seeks cue 0, however long ago."""

    class OneHead(Slots):
        n_slots, n_heads, n_features = 8, 1, 3

    memory = OneHead(1, 3, 6)
    with torch.no_grad():
        memory.slot_weight.copy_(torch.cat([torch.eye(3), torch.eye(3)])[None])
        memory.query_bias[0, 0] = 200.0
        memory.forgetting.fill_(-50.0)
        memory.read_weight.copy_(torch.eye(6)[None])
    cue_0, cue_1 = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]
    reward, nothing = [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]
    episode = torch.tensor([cue_1, nothing, cue_0, reward, cue_1, nothing, nothing])
    answer = memory(episode[:, None, :, None])[-1, 0, :, 0].atanh().atanh()
    torch.testing.assert_close(answer, torch.tensor(cue_0 + reward))


def test_a_head_that_forgets_fast_sees_the_latest_moment(inputs: Tensor) -> None:
    memory = made(FewSlots)
    with torch.no_grad():
        memory.forgetting.fill_(1e4)
    last = made(OneSlot)
    last.load_state_dict(memory.state_dict())
    torch.testing.assert_close(memory(inputs), last(inputs))


def test_heads_begin_with_different_time_constants_and_the_first_slot_at_zero() -> None:
    memory = Slots(1, 4, 16)
    memory.initialise(0, torch.Generator().manual_seed(0))
    rate = torch.nn.functional.softplus(memory.forgetting.detach()[0, :, 0])
    assert 40 < 1 / rate[0] < 60
    assert 0.5 < 1 / rate[-1] < 1
    assert (rate.diff() > 0).all()
    assert not memory.initial_slot.any()
    for weight in (memory.slot_weight, memory.query_weight):
        assert 1.3 < weight.abs().max() <= 1.5
    for weight in (memory.input_weight, memory.read_weight, memory.bias):
        assert weight.abs().max() <= 68**-0.5
