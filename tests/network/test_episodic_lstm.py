"""An episodic LSTM is an LSTM to which old cell states come back by their context."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.interventions import Lesion, Moment
from pfc_metarl.memory.episodic_lstm import EpisodicLSTM
from pfc_metarl.memory.lstm import LSTM

SEEDS, INPUTS, UNITS, EPISODES, STEPS = 2, 3, 5, 4, 10


class FewSlots(EpisodicLSTM):
    """So few that an episode fills them more than once."""

    n_slots, n_features = 3, 4


class OneSlot(FewSlots):
    n_slots = 1


class AsManySlotsAsSteps(FewSlots):
    n_slots = STEPS


class MoreSlotsThanSteps(FewSlots):
    n_slots = STEPS + 5


SIZES = [OneSlot, FewSlots, AsManySlotsAsSteps, MoreSlotsThanSteps]
Run = Callable[[EpisodicLSTM, Tensor], Tensor]


def made(kind: type[EpisodicLSTM]) -> EpisodicLSTM:
    """Return a memory of random weights, all that begin at zero included."""
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


def whole(memory: EpisodicLSTM, inputs: Tensor) -> Tensor:
    outputs: Tensor = memory(inputs)
    return outputs


def stepped(memory: EpisodicLSTM, inputs: Tensor) -> Tensor:
    state = memory.initial_state(inputs.shape[-1])
    outputs = []
    for at_step in inputs:
        output, state = memory.forward_step(at_step, state)
        outputs.append(output)
    return torch.stack(outputs)


def acted(memory: EpisodicLSTM, inputs: Tensor) -> Tensor:
    activity = memory.activity(len(inputs) + 2, inputs.shape[-1])
    activity.begin()
    outputs = torch.stack([activity.step(at_step).clone() for at_step in inputs])
    learned_from = activity.outputs(inputs)
    assert torch.equal(outputs, learned_from)
    return learned_from


def replayed(memory: EpisodicLSTM, inputs: Tensor) -> Tensor:
    activity = memory.activity(len(inputs) + 2, inputs.shape[-1])
    activity.begin()
    for at_step in inputs:
        activity.step(at_step + 1)
    activity.replay(inputs)
    return activity.outputs(inputs)


RUNS = [whole, stepped, acted, replayed]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def direction(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt(x @ x + 1e-6)


def by_the_equations(
    memory: EpisodicLSTM, inputs: Tensor, seed: int, episode: int
) -> Tensor:
    """Outputs of one episode by the equations, from a plain list of entries."""
    weights = {key: p[seed].detach().numpy() for key, p in memory.named_parameters()}
    rho, beta = sigmoid(weights["drift"][0, 0]), np.exp(weights["sharpness"][0, 0])
    theta = weights["threshold"][0, 0]
    forgets = np.log1p(np.exp(weights["forgetting"][0, 0]))
    h, c = weights["initial_hidden"][:, 0], weights["initial_cell"][:, 0]
    context = np.zeros(memory.n_features)
    dictionary: list[tuple[np.ndarray, np.ndarray, int]] = []
    outputs = []
    for t, x in enumerate(inputs[:, seed, :, episode].numpy()):
        q = weights["key_weight"] @ x + weights["key_bias"][:, 0]
        found, total = np.zeros(memory.n_units), 1.0
        for key, cell, j in dictionary[-memory.n_slots :]:
            likeness = direction(q) @ key - theta
            w = np.exp(beta * likeness - forgets * (t - j))
            found, total = found + w * cell, total + w
        gates = weights["input_weight"] @ x + weights["recurrent_weight"] @ h
        i, f, o, r, g = np.split(gates + weights["bias"][:, 0], 5)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        c = c + memory.reinstatement * sigmoid(r) * np.tanh(found / total)
        h = sigmoid(o) * np.tanh(c)
        context = q + rho * context
        dictionary.append((direction(context), c, t))
        outputs.append(h)
    return torch.tensor(np.stack(outputs))


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("kind", SIZES)
def test_every_way_to_run_an_episode_follows_the_equations(
    kind: type[EpisodicLSTM], run: Run, inputs: Tensor
) -> None:
    memory = made(kind)
    outputs = run(memory, inputs).detach()
    for seed in range(SEEDS):
        for episode in range(EPISODES):
            expected = by_the_equations(memory, inputs, seed, episode)
            torch.testing.assert_close(
                outputs[:, seed, :, episode], expected, rtol=0, atol=1e-12
            )


def gradients(memory: EpisodicLSTM, outputs: Tensor) -> tuple[Tensor, ...]:
    weight = torch.linspace(-1, 1, len(outputs) * UNITS).double()
    loss = (outputs * weight.view(-1, 1, UNITS, 1)).sum()
    return torch.autograd.grad(loss, tuple(memory.parameters()))


@pytest.mark.parametrize("reinstatement", [1.0, 0.3])
@pytest.mark.parametrize("run", [whole, acted, replayed])
@pytest.mark.parametrize("kind", SIZES)
def test_every_way_to_learn_has_the_gradients_of_single_steps(
    kind: type[EpisodicLSTM], run: Run, reinstatement: float, inputs: Tensor
) -> None:
    memory = made(kind)
    memory.reinstatement = reinstatement
    right = gradients(memory, stepped(memory, inputs))
    for found, expected in zip(
        gradients(memory, run(memory, inputs)), right, strict=True
    ):
        assert expected.abs().max() > 0
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


def lstm_of(memory: EpisodicLSTM) -> LSTM:
    """Return an LSTM of the same weights, those of the gate r left out."""
    lstm = LSTM(SEEDS, INPUTS, UNITS).double()
    with torch.no_grad():
        for name in ("input_weight", "recurrent_weight", "bias"):
            i, f, o, _, g = getattr(memory, name).chunk(5, dim=1)
            getattr(lstm, name).copy_(torch.cat([i, f, o, g], dim=1))
        lstm.initial_hidden.copy_(memory.initial_hidden)
        lstm.initial_cell.copy_(memory.initial_cell)
    return lstm


@pytest.mark.parametrize("run", RUNS)
def test_without_reinstatement_it_is_an_lstm(run: Run, inputs: Tensor) -> None:
    memory = made(FewSlots)
    expected = lstm_of(memory)(inputs)
    assert not torch.allclose(run(memory, inputs)[1:], expected[1:], atol=1e-3)
    memory.reinstatement = 0.0
    torch.testing.assert_close(run(memory, inputs), expected, rtol=0, atol=1e-12)


def test_a_variant_can_be_trained_without_reinstatement(inputs: Tensor) -> None:
    class Lesioned(FewSlots):
        reinstatement = 0.0

    memory = made(Lesioned)
    expected = lstm_of(memory)
    outputs = acted(memory, inputs)
    torch.testing.assert_close(outputs, expected(inputs), rtol=0, atol=1e-12)
    (outputs * outputs.detach()).sum().backward()
    (expected(inputs) * outputs.detach()).sum().backward()
    assert memory.recurrent_weight.grad is not None
    i, f, o, r, g = memory.recurrent_weight.grad.chunk(5, dim=1)
    assert not r.any()
    torch.testing.assert_close(
        torch.cat([i, f, o, g], dim=1), expected.recurrent_weight.grad
    )


def test_silencing_the_dictionary_equals_the_lesion_of_the_gate(inputs: Tensor) -> None:
    memory = made(FewSlots)
    part = memory.state_names.index("dictionary")
    begin = memory.initial_state(EPISODES)
    everything = tuple(range(begin[part].shape[1]))
    lesion = Lesion(everything, part, also_output=False)
    state, outputs = begin, []
    for step, at_step in enumerate(inputs):
        moment = Moment(step, torch.tensor(step), torch.tensor(step > 0))
        state = lesion.state(state, begin, moment)
        output, state = memory.forward_step(at_step, state)
        outputs.append(output)
    memory.reinstatement = 0.0
    torch.testing.assert_close(torch.stack(outputs), memory(inputs), rtol=0, atol=1e-14)


@pytest.mark.parametrize("run", RUNS)
def test_an_empty_dictionary_gives_nothing_back(run: Run, inputs: Tensor) -> None:
    memory = made(FewSlots)
    first = lstm_of(memory)(inputs)[0]
    torch.testing.assert_close(run(memory, inputs)[0], first, rtol=0, atol=1e-12)


def test_nothing_comes_back_to_a_context_that_resembles_none(inputs: Tensor) -> None:
    memory = made(MoreSlotsThanSteps)
    with torch.no_grad():
        memory.threshold.fill_(2.0)
        memory.sharpness.fill_(6.0)
    expected = lstm_of(memory)(inputs)
    torch.testing.assert_close(memory(inputs), expected, rtol=0, atol=1e-9)


def test_the_oldest_entry_is_written_over(inputs: Tensor) -> None:
    memory = made(FewSlots)
    state = memory.initial_state(EPISODES)
    for at_step, numbers in zip(
        inputs, ([1, 0, 0], [1, 2, 0], [1, 2, 3], [4, 2, 3]), strict=False
    ):
        output, state = memory.forward_step(at_step, state)
        hidden, cell, context, dictionary = state
        entries = dictionary.unflatten(1, (3, -1))
        assert entries[0, :, 0, 0].tolist() == numbers
        newest = entries[:, (max(numbers) - 1) % 3]
        assert torch.equal(newest[:, -UNITS:], cell)
        length = context.norm(dim=1, keepdim=True)
        torch.testing.assert_close(
            newest[:, 1:-UNITS] * length, context, rtol=1e-5, atol=0
        )
        assert torch.equal(hidden, output)


def test_episodes_may_begin_anew_at_different_times(inputs: Tensor) -> None:
    memory = made(FewSlots)
    begin = state = memory.initial_state(EPISODES)
    for at_step in inputs[:5]:
        _, state = memory.forward_step(at_step, state)
    anew = torch.arange(EPISODES) % 2 == 0
    state = tuple(
        torch.where(anew, first, part) for first, part in zip(begin, state, strict=True)
    )
    outputs = []
    for at_step in inputs[5:]:
        output, state = memory.forward_step(at_step, state)
        outputs.append(output)
    after = torch.stack(outputs)
    torch.testing.assert_close(after[..., anew], memory(inputs[5:])[..., anew])
    torch.testing.assert_close(after[..., ~anew], memory(inputs)[5:, ..., ~anew])


def test_where_to_read_depends_on_the_inputs_alone(inputs: Tensor) -> None:
    memory = made(FewSlots)
    before = memory.addresses(inputs)
    with torch.no_grad():
        for name in ("input_weight", "recurrent_weight", "bias", "initial_cell"):
            getattr(memory, name).add_(1)
    for old, new in zip(before, memory.addresses(inputs), strict=True):
        assert torch.equal(old, new)
        torch.testing.assert_close(old.sum(2), torch.ones_like(old[..., 0]))


CUE_A, CUE_B, BLANK = [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]


def recalling(*, drift: float = -50.0, forgetting: float = -9.0) -> EpisodicLSTM:
    """Return a memory of one unit that forgets its cell state at once.

    Inputs are (cue A, cue B, datum). The datum becomes the cell state, tanh(datum); the
    cues are the context; what is found is reinstated in full.
    """

    class Recalling(EpisodicLSTM):
        n_slots, n_features = 20, 2

    memory = Recalling(1, 3, 1).double()
    with torch.no_grad():
        i, f, o, r, g = range(5)
        memory.bias[0, [i, o, r], 0] = 50.0
        memory.bias[0, f, 0] = -50.0
        memory.input_weight[0, g, 2] = 1.0
        memory.key_weight[0] = torch.eye(2, 3)
        memory.drift.fill_(drift)
        memory.sharpness.fill_(5.0)
        memory.threshold.fill_(0.5)
        memory.forgetting.fill_(forgetting)
    return memory


@torch.no_grad()
def cell_after(memory: EpisodicLSTM, *steps: tuple[list[float], float]) -> float:
    """Cell state after steps of (cue, datum)."""
    inputs = torch.tensor([[*cue, datum] for cue, datum in steps]).double()
    return float(memory(inputs[:, None, :, None])[-1].atanh())


@pytest.mark.parametrize(("cue", "datum"), [(CUE_A, 0.8), (CUE_B, -0.6)])
def test_a_cell_state_comes_back_in_its_context(cue: list[float], datum: float) -> None:
    past = (CUE_A, 0.8), (BLANK, 0.3), (CUE_B, -0.6), (BLANK, 0.0)
    memory, back = recalling(), np.tanh(np.tanh(datum))
    assert cell_after(memory, *past, (cue, 0.0)) == pytest.approx(back, abs=1e-3)
    assert cell_after(memory, *past) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(("cue", "datum"), [(CUE_A, 0.8), (CUE_B, -0.6)])
def test_what_came_of_a_step_is_found_by_what_was_seen_at_it(
    cue: list[float], datum: float
) -> None:
    past = (CUE_A, 0.0), (BLANK, 0.8), (CUE_B, 0.0), (BLANK, -0.6), (cue, 0.0)
    drifting, back = recalling(drift=0.0, forgetting=5.0), np.tanh(np.tanh(datum))
    assert cell_after(drifting, *past) == pytest.approx(back, abs=0.01)
    assert cell_after(recalling(forgetting=5.0), *past) == pytest.approx(0, abs=0.01)


def test_of_equal_contexts_the_latest_counts_most() -> None:
    first = np.tanh(-0.8)
    second = np.tanh(1.5) + np.tanh(first)
    past = (CUE_A, -0.8), (CUE_A, 1.5), (CUE_A, 0.0)
    for forgetting, found in ((-9.0, (first + second) / 2), (9.0, second)):
        memory = recalling(forgetting=forgetting)
        assert cell_after(memory, *past) == pytest.approx(np.tanh(found), abs=1e-3)


@pytest.mark.parametrize(
    ("option", "message"),
    [("local_credit", "no local credit"), ("compiled", "no compiled kernels")],
)
def test_what_is_not_written_out_is_refused(
    option: str, message: str, inputs: Tensor
) -> None:
    memory = made(FewSlots)
    with pytest.raises(InputError, match=message):
        memory.activity(STEPS, EPISODES, **{option: True}).outputs(inputs)


def test_contexts_begin_half_drifting_and_cells_at_zero() -> None:
    memory = EpisodicLSTM(1, 4, 16)
    memory.initialise(0, torch.Generator().manual_seed(0))
    assert memory.drift.sigmoid() == 0.5
    assert memory.sharpness.exp().item() == pytest.approx(10)
    assert memory.threshold == 0.5
    lost_in_38_steps = np.exp(-38 * np.log1p(np.exp(memory.forgetting.item())))
    assert lost_in_38_steps == pytest.approx(0.5, abs=0.01)
    assert not any(part.any() for part in memory.initial_state(3))
    for weight in (memory.input_weight, memory.recurrent_weight, memory.bias):
        assert 0.2 < weight.abs().max() <= 0.25
    for weight in (memory.key_weight, memory.key_bias):
        assert 0.3 < weight.abs().max() <= 0.5
