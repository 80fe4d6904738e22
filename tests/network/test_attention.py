"""Attention weighs the latest steps by content and age, as the equations say."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pfc_metarl.memory.attention import Attention

SEEDS, INPUTS, UNITS, EPISODES, STEPS = 2, 3, 6, 4, 9


class FewSteps(Attention):
    """So few that an episode does not fit into the cache."""

    n_steps, n_heads, n_features = 4, 2, 3


class OneStep(FewSteps):
    n_steps = 1


class AsManyAsTheEpisode(FewSteps):
    n_steps = STEPS


class MoreThanTheEpisode(FewSteps):
    n_steps = STEPS + 5


SIZES = [OneStep, FewSteps, AsManyAsTheEpisode, MoreThanTheEpisode]


def made(kind: type[Attention]) -> Attention:
    """Return attention of random weights."""
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


def stepped(memory: Attention, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs, and the cache after the last step, (seed, step, feature, episode)."""
    state = memory.initial_state(inputs.shape[-1])
    outputs = []
    for at_step in inputs:
        output, state = memory.forward_step(at_step, state)
        outputs.append(output)
    size = (memory.n_steps, 1 + 2 * memory.n_heads * memory.n_features)
    return torch.stack(outputs), state[0].unflatten(1, size)


def acted(memory: Attention, inputs: Tensor) -> Tensor:
    activity = memory.activity(len(inputs), inputs.shape[-1])
    activity.begin()
    return torch.stack([activity.step(at_step).clone() for at_step in inputs])


def norm(u: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = u / np.sqrt((u**2).mean())
    return scaled


def by_the_equations(
    memory: Attention, inputs: Tensor, seed: int, episode: int
) -> Tensor:
    """Outputs of one episode by the equations, one step and one head at a time."""
    weights = {key: p[seed].detach().numpy() for key, p in memory.named_parameters()}
    heads, d = memory.n_heads, memory.n_features
    before, moments, outputs = np.zeros(INPUTS), [], []
    for t, x in enumerate(inputs[:, seed, :, episode].numpy()):
        token = weights["token_weight"] @ np.concatenate([x, before])
        token = token + weights["token_bias"][:, 0]
        moment = weights["attention_weight"] @ norm(token)
        moments.append(moment.reshape(3, heads, d))  # query, key, value
        there, read = range(max(0, t + 1 - memory.n_steps), t + 1), []
        for h in range(heads):
            query, slope = moments[t][0, h], 2 ** (-8 * (h + 1) / heads)
            score = [query @ moments[j][1, h] / math.sqrt(d) for j in there]
            w = np.exp(score - slope * (t - np.array(there)))
            read.append(w / w.sum() @ [moments[j][2, h] for j in there])
        found = token + weights["read_weight"] @ np.concatenate(read)
        hidden = weights["hidden_weight"] @ norm(found) + weights["hidden_bias"][:, 0]
        outputs.append(found + weights["output_weight"] @ np.maximum(hidden, 0))
        before = x
    return torch.tensor(np.stack(outputs))


@pytest.mark.parametrize("kind", SIZES)
def test_every_way_to_run_an_episode_follows_the_equations(
    kind: type[Attention], inputs: Tensor
) -> None:
    memory = made(kind)
    with torch.no_grad():
        ways = [memory(inputs), stepped(memory, inputs)[0], acted(memory, inputs)]
    for seed in range(SEEDS):
        for episode in range(EPISODES):
            expected = by_the_equations(memory, inputs, seed, episode)
            for outputs in ways:
                torch.testing.assert_close(
                    outputs[:, seed, :, episode], expected, rtol=1e-9, atol=1e-11
                )


def test_a_seed_attends_as_the_layers_of_torch_do(inputs: Tensor) -> None:
    memory = made(AsManyAsTheEpisode)
    heads, n_read = memory.n_heads, memory.n_heads * memory.n_features
    assert n_read == UNITS  # as torch has it
    layer = nn.MultiheadAttention(UNITS, heads, bias=False, batch_first=True).double()
    rms = nn.RMSNorm(UNITS, elementwise_affine=False)
    rows = inputs[:, 0].permute(2, 0, 1)  # (episode, step, input)
    before = torch.cat([torch.zeros_like(rows[:, :1]), rows[:, :-1]], dim=1)
    age = torch.arange(STEPS)[:, None] - torch.arange(STEPS)
    bias = torch.stack([-age * 2.0**-4, -age * 2.0**-8]).double()  # by head
    bias = bias.masked_fill(age < 0, -math.inf).repeat(EPISODES, 1, 1)
    with torch.no_grad():
        layer.in_proj_weight.copy_(memory.attention_weight[0])
        layer.out_proj.weight.copy_(memory.read_weight[0])
        token = torch.cat([rows, before], dim=2) @ memory.token_weight[0].T
        token = token + memory.token_bias[0].T
        normed = rms(token)
        read, _ = layer(normed, normed, normed, attn_mask=bias)
        found = token + read
        hidden = rms(found) @ memory.hidden_weight[0].T + memory.hidden_bias[0].T
        expected = found + hidden.relu() @ memory.output_weight[0].T
        outputs = memory(inputs)[:, 0].permute(2, 0, 1)
    torch.testing.assert_close(outputs, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", SIZES)
def test_running_all_steps_at_once_has_the_gradients_of_single_steps(
    kind: type[Attention], inputs: Tensor
) -> None:
    memory = made(kind)
    weight = torch.linspace(-1, 1, STEPS * UNITS).double().view(STEPS, 1, UNITS, 1)
    parameters = tuple(memory.parameters())
    at_once = torch.autograd.grad((memory(inputs) * weight).sum(), parameters)
    outputs, _ = stepped(memory, inputs)
    by_step = torch.autograd.grad((outputs * weight).sum(), parameters)
    for found, right in zip(at_once, by_step, strict=True):
        torch.testing.assert_close(found, right, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("heads", "published"),
    [(4, [2**-2, 2**-4, 2**-6, 2**-8]), (8, [2.0**-h for h in range(1, 9)])],
)
def test_the_slopes_are_those_of_press_et_al(
    heads: int, published: list[float]
) -> None:
    kind = type("Heads", (Attention,), {"n_heads": heads})
    assert kind(1, INPUTS, UNITS).slopes.tolist() == published


def test_the_past_is_known_as_far_back_as_steps_are_attended_to(
    inputs: Tensor,
) -> None:
    """The oldest token attended to holds the inputs of the step before it, too."""
    memory = made(FewSteps)
    for back in range(1, STEPS):
        changed = inputs.clone()
        changed[-1 - back] += 1
        for run in (
            memory,
            lambda x: stepped(memory, x)[0],
            lambda x: acted(memory, x),
        ):
            differs = (run(inputs)[-1] != run(changed)[-1]).any()
            assert differs == (back <= memory.n_steps)


def test_the_cache_holds_the_latest_steps_oldest_first(inputs: Tensor) -> None:
    memory = made(FewSteps)
    for steps, there in ((1, [0, 0, 0, 1]), (2, [0, 0, 1, 1]), (6, [1, 1, 1, 1])):
        _, cache = stepped(memory, inputs[:steps])
        assert cache[0, :, 0, 0].tolist() == there
    _, later = stepped(memory, inputs[:7])
    assert torch.equal(later[:, :-1], cache[:, 1:])


def test_what_is_kept_depends_on_its_own_step_and_the_one_before(
    inputs: Tensor,
) -> None:
    memory = made(FewSteps)
    _, cache = stepped(memory, inputs)
    others = inputs.clone()
    others[: -memory.n_steps - 1] += 1
    assert torch.equal(cache, stepped(memory, others)[1])
    others[-memory.n_steps - 1] += 1
    _, changed = stepped(memory, others)
    assert torch.equal(cache[:, 1:], changed[:, 1:])
    assert not torch.equal(cache[:, 0], changed[:, 0])


def test_a_memory_of_one_step_passes_its_value_on(inputs: Tensor) -> None:
    """The softmax over a single step is 1, whatever is sought."""
    memory = made(OneStep)
    with torch.no_grad():
        before = memory(inputs)
        sought = 2 * memory.n_heads * memory.n_features
        memory.attention_weight[:, :sought] += 1  # query and key
    torch.testing.assert_close(memory(inputs), before)


def test_an_episode_may_be_longer_than_any_before(inputs: Tensor) -> None:
    memory = made(FewSteps)
    long = torch.cat([inputs, inputs, inputs])
    with torch.no_grad():
        outputs = memory(long)
    torch.testing.assert_close(outputs[:STEPS], memory(inputs).detach())
    torch.testing.assert_close(outputs[STEPS:-STEPS], outputs[-STEPS:])


def test_weights_begin_with_the_scale_that_keeps_that_of_the_units() -> None:
    memory = Attention(1, 4, 48)
    memory.initialise(0, torch.Generator().manual_seed(0))
    for weight in (memory.attention_weight, memory.hidden_weight, memory.read_weight):
        expected = weight.shape[2] ** -0.5
        assert 0.95 * expected < weight.std() < 1.05 * expected
    assert memory.token_weight.abs().max() <= 8**-0.5
    assert memory.hidden_bias.abs().max() <= 48**-0.5
