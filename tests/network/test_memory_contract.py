"""Every registered memory keeps the contract of the memory protocol."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.func import functional_call

from pfc_metarl.errors import InputError
from pfc_metarl.memory import MEMORIES, Memory, memory_class, register
from pfc_metarl.memory.base import State

SEEDS, INPUTS, UNITS, EPISODES, STEPS = 3, 5, 8, 4, 7
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}


@pytest.fixture(params=sorted(MEMORIES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    dtype: torch.dtype = request.param
    return dtype


@pytest.fixture
def empty_is_nan() -> Iterator[None]:
    """Memory that was never written to holds NaN."""
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    yield
    torch.use_deterministic_algorithms(False)


def made(
    name: str,
    dtype: torch.dtype = torch.float64,
    *,
    sizes: tuple[int, int, int] = (SEEDS, INPUTS, UNITS),
) -> Memory:
    """Return a memory of random weights, those that begin at zero included."""
    memory = MEMORIES[name](*sizes).to(dtype)
    scramble(memory, 1)
    return memory


def scramble(memory: nn.Module, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=draw))


def random_inputs(
    dtype: torch.dtype = torch.float64,
    shape: tuple[int, ...] = (STEPS, SEEDS, INPUTS, EPISODES),
    seed: int = 2,
) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=draw).to(dtype)


def followed(
    memory: Memory, inputs: Tensor, state: State | None = None
) -> tuple[list[Tensor], list[State]]:
    """Outputs of single steps, and the states after them; None: the initial state."""
    if state is None:
        state = memory.initial_state(inputs.shape[-1])
    outputs, states = [], []
    for at_step in inputs:
        output, state = memory.forward_step(at_step, state)
        outputs.append(output)
        states.append(state)
    return outputs, states


def stepped(memory: Memory, inputs: Tensor) -> Tensor:
    return torch.stack(followed(memory, inputs)[0])


def acted(memory: Memory, inputs: Tensor) -> Tensor:
    activity = memory.activity(len(inputs), inputs.shape[-1])
    activity.begin()
    return torch.stack([activity.step(at_step).clone() for at_step in inputs])


def gradients(memory: Memory, outputs: Tensor) -> dict[str, Tensor]:
    memory.zero_grad()
    (outputs * random_inputs(outputs.dtype, tuple(outputs.shape), 3)).sum().backward()
    return {
        key: torch.zeros_like(parameter)
        if parameter.grad is None
        else parameter.grad.clone()
        for key, parameter in memory.named_parameters()
    }


def test_outputs_have_a_row_for_every_unit(name: str) -> None:
    outputs = made(name)(random_inputs())
    assert outputs.shape == (STEPS, SEEDS, UNITS, EPISODES)
    assert torch.isfinite(outputs).all()


def test_one_step_at_a_time_equals_the_whole_sequence(
    name: str, dtype: torch.dtype
) -> None:
    memory, inputs = made(name, dtype), random_inputs(dtype)
    torch.testing.assert_close(
        stepped(memory, inputs), memory(inputs), rtol=0, atol=TOLERANCE[dtype]
    )


def test_acting_equals_the_whole_sequence(name: str, dtype: torch.dtype) -> None:
    memory, inputs = made(name, dtype), random_inputs(dtype)
    outputs = acted(memory, inputs)
    assert not outputs.requires_grad
    torch.testing.assert_close(
        outputs, memory(inputs).detach(), rtol=0, atol=TOLERANCE[dtype]
    )


def test_learning_from_what_was_acted_equals_learning_from_the_whole_sequence(
    name: str, dtype: torch.dtype
) -> None:
    memory, inputs, tolerance = made(name, dtype), random_inputs(dtype), TOLERANCE
    activity = memory.activity(STEPS, EPISODES)
    activity.begin()
    for at_step in inputs:
        activity.step(at_step)
    outputs, expected = activity.outputs(inputs), memory(inputs)
    torch.testing.assert_close(outputs, expected, rtol=0, atol=tolerance[dtype])
    found, right = gradients(memory, outputs), gradients(memory, expected)
    for key, gradient in right.items():
        scale = float(gradient.abs().max())
        assert scale > 0, key
        torch.testing.assert_close(
            found[key], gradient, rtol=0, atol=tolerance[dtype] * scale, msg=key
        )


def test_an_episode_may_end_before_the_steps_prepared_for(name: str) -> None:
    memory, inputs = made(name), random_inputs()
    activity = memory.activity(STEPS, EPISODES)
    activity.begin()
    for at_step in inputs[:3]:
        activity.step(at_step)
    found = gradients(memory, activity.outputs(inputs[:3]))
    for key, gradient in gradients(memory, memory(inputs[:3])).items():
        torch.testing.assert_close(found[key], gradient, rtol=1e-9, atol=1e-12)


def test_gradients_equal_finite_differences(name: str) -> None:
    memory = made(name, sizes=(2, 2, 4))
    inputs = random_inputs(shape=(3, 2, 2, 2))
    names, values = zip(*memory.named_parameters(), strict=True)

    def outputs(*values: Tensor) -> Tensor:
        by_name = dict(zip(names, values, strict=True))
        result: Tensor = functional_call(memory, by_name, (inputs,))
        return result

    assert gradcheck(outputs, values)


def test_acting_follows_the_weights_when_they_change(name: str) -> None:
    memory, inputs = made(name), random_inputs()
    activity = memory.activity(STEPS, EPISODES)
    activity.begin()
    activity.step(inputs[0])
    scramble(memory, 9)
    activity.begin()
    outputs = torch.stack([activity.step(at_step).clone() for at_step in inputs])
    torch.testing.assert_close(outputs, memory(inputs).detach(), rtol=0, atol=1e-9)


def test_beginning_again_forgets_the_episodes_before(name: str) -> None:
    memory, inputs = made(name), random_inputs()
    activity = memory.activity(STEPS, EPISODES)
    episodes = []
    for _ in range(3):
        activity.begin()
        steps = [activity.step(at_step).clone() for at_step in inputs]
        episodes.append(torch.stack(steps))
        gradients(memory, activity.outputs(inputs))
    assert torch.equal(episodes[0], episodes[1])
    assert torch.equal(episodes[0], episodes[2])


def test_the_past_matters_if_and_only_if_there_is_a_state(name: str) -> None:
    memory, inputs = made(name), random_inputs()
    changed = inputs.clone()
    changed[0] += 1
    for run in (memory, lambda x: stepped(memory, x), lambda x: acted(memory, x)):
        later, later_changed = run(inputs)[1:], run(changed)[1:]
        depends = (later != later_changed).any(0).any(1)  # (seed, episode)
        assert depends.all() if memory.state_names else not depends.any()


def test_the_future_does_not_matter(name: str) -> None:
    memory, inputs = made(name), random_inputs()
    changed = inputs.clone()
    changed[-1] += 1
    assert torch.equal(memory(inputs)[:-1], memory(changed)[:-1])


def test_episodes_do_not_meet(name: str) -> None:
    memory, inputs = made(name), random_inputs()
    changed = inputs.clone()
    changed[..., 0] += 1
    assert torch.equal(memory(inputs)[..., 1:], memory(changed)[..., 1:])
    assert not torch.equal(memory(inputs)[..., 0], memory(changed)[..., 0])


@pytest.mark.parametrize("what", ["weights", "inputs"])
def test_seeds_do_not_meet(name: str, what: str) -> None:
    memory, inputs = made(name), random_inputs()
    before = [run(memory, inputs).detach().clone() for run in (stepped, acted)]
    gradient = {
        key: grad[1:] for key, grad in gradients(memory, memory(inputs)).items()
    }
    if what == "inputs":
        inputs[:, 0] += 1
    else:
        with torch.no_grad():
            for parameter in memory.parameters():
                parameter[0] += 0.1
    for run, outputs in zip((stepped, acted), before, strict=True):
        assert torch.equal(run(memory, inputs)[:, 1:], outputs[:, 1:])
        assert not torch.equal(run(memory, inputs)[:, 0], outputs[:, 0])
    for key, grad in gradients(memory, memory(inputs)).items():
        assert torch.equal(grad[1:], gradient[key]), key


def test_a_seed_begins_the_same_alone_and_among_others(name: str) -> None:
    among, alone = (MEMORIES[name](n, INPUTS, UNITS) for n in (3, 1))
    for position in (2, 0, 1):
        among.initialise(position, torch.Generator().manual_seed(position))
    alone.initialise(0, torch.Generator().manual_seed(2))
    for key, weight in alone.state_dict().items():
        assert torch.equal(weight[0], among.state_dict()[key][2]), key


@pytest.mark.usefixtures("empty_is_nan")
def test_every_weight_of_every_seed_is_set(name: str) -> None:
    memory = MEMORIES[name](2, INPUTS, UNITS)
    memory.initialise(0, torch.Generator().manual_seed(0))
    memory.initialise(1, torch.Generator().manual_seed(1))
    for key, weight in memory.state_dict().items():
        assert torch.isfinite(weight).all(), key
    assert any((w[0] != w[1]).any() for w in memory.state_dict().values())


def test_the_state_has_the_parts_that_its_names_say(name: str) -> None:
    memory = made(name)
    begin = memory.initial_state(EPISODES)
    _, states = followed(memory, random_inputs())
    assert len(set(memory.state_names)) == len(memory.state_names)
    for state in (begin, *states):
        assert isinstance(state, tuple)
        assert len(state) == len(memory.state_names)
        for first, part in zip(begin, state, strict=True):
            assert part.dim() == 3
            assert (part.shape[0], part.shape[2]) == (SEEDS, EPISODES)
            assert (part.shape, part.dtype) == (first.shape, torch.float64)


def test_the_state_has_names_of_its_own_in_a_recording(name: str) -> None:
    recorded = {"action", "reward", "value", "rpe", "observation", "policy"}
    coordinates = {"seed", "episode", "step", "trial", "phase", "unit"}
    assert not (recorded | coordinates) & set(MEMORIES[name].state_names)


def test_stepping_leaves_the_state_before_as_it_was(name: str) -> None:
    memory = made(name)
    _, state = memory.forward_step(random_inputs()[0], memory.initial_state(EPISODES))
    before = [part.clone() for part in state]
    memory.forward_step(random_inputs()[1], state)
    assert all(torch.equal(a, b) for a, b in zip(before, state, strict=True))


def test_an_episode_goes_on_from_a_state_that_was_saved(
    name: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    memory, inputs = made(name, dtype), random_inputs(dtype)
    outputs, (*_, state) = followed(memory, inputs[:3])
    torch.save((memory.state_dict(), state), tmp_path / "mid-episode.pt")
    memory.forward_step(inputs[0], state)  # what comes in between
    weights, saved = torch.load(tmp_path / "mid-episode.pt", weights_only=True)
    another = MEMORIES[name](SEEDS, INPUTS, UNITS).to(dtype)
    another.load_state_dict(weights)
    outputs += followed(another, inputs[3:], saved)[0]
    assert torch.equal(torch.stack(outputs), stepped(memory, inputs))


def test_with_the_initial_state_put_back_an_episode_begins_anew(name: str) -> None:
    memory, inputs = made(name), random_inputs()
    followed(memory, inputs[:3])  # leaves nothing behind but the state
    outputs, _ = followed(memory, inputs[3:], memory.initial_state(EPISODES))
    torch.testing.assert_close(
        torch.stack(outputs), memory(inputs[3:]), rtol=0, atol=1e-9
    )


def test_the_initial_state_put_back_in_some_episodes_leaves_the_others(
    name: str,
) -> None:
    memory, inputs = made(name), random_inputs()
    _, (*_, state) = followed(memory, inputs[:3])
    now = torch.arange(EPISODES) % 2 == 0
    reset = tuple(
        torch.where(now, first, part)
        for first, part in zip(memory.initial_state(EPISODES), state, strict=True)
    )
    outputs = torch.stack(followed(memory, inputs[3:], reset)[0])
    kept, anew = memory(inputs)[3:], memory(inputs[3:])
    torch.testing.assert_close(outputs, torch.where(now, anew, kept), rtol=0, atol=1e-9)


def test_a_lesion_of_the_state_changes_what_follows(name: str) -> None:
    memory, inputs = made(name), random_inputs()
    _, (*_, state) = followed(memory, inputs[:3])
    nothing = tuple(torch.zeros_like(part) for part in state)
    lesioned = torch.stack(followed(memory, inputs[3:], nothing)[0])
    assert torch.isfinite(lesioned).all()
    differs = (lesioned != stepped(memory, inputs)[3:]).any(0).any(1)
    assert differs.all() if memory.state_names else not differs.any()


def test_no_part_of_the_state_is_without_effect(name: str) -> None:
    memory, inputs = made(name), random_inputs()
    _, (*_, state) = followed(memory, inputs[:3])
    intact = torch.stack(followed(memory, inputs[3:], state)[0])
    for at, part in enumerate(memory.state_names):
        lesioned = (*state[:at], torch.zeros_like(state[at]), *state[at + 1 :])
        outputs = torch.stack(followed(memory, inputs[3:], lesioned)[0])
        assert (outputs != intact).any(0).any(1).all(), part


def test_an_unknown_memory_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InputError, match="no memory 'elephant'") as error:
        memory_class("elephant")
    assert all(name in str(error.value) for name in MEMORIES)


def test_users_enter_memories_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MEMORIES, "mine", MEMORIES["none"])  # undone afterwards
    mine = register("mine")(type("Mine", (MEMORIES["lstm"],), {}))
    assert memory_class("mine") is mine
