"""What the network sees at step t: observation t, action t - 1 and reward t - 1."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from pfc_metarl.errors import InputError
from pfc_metarl.interventions import Reset
from pfc_metarl.learning import Learner, LearningSettings, exploration_noise
from pfc_metarl.memory import MEMORIES, Memory
from pfc_metarl.memory.base import State, fill_uniform
from pfc_metarl.network import Network, NetworkSettings, weights_hash
from pfc_metarl.recording import play
from pfc_metarl.tasks.base import Episodes, Tape, Task, side_by_side
from pfc_metarl.tasks.two_step import TwoStep

SEEDS, EPISODES = (4, 7), 3


@dataclass(frozen=True)
class Diary(Task):
    """Observations and rewards are noise; the episodes note all that passed."""

    trials: int = 3
    n_observations = 2
    n_actions = 4
    phases = ("morning", "evening")

    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        def noise(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator)

        return {
            "observation": noise(self.steps + 1, batch, self.n_observations),
            "reward": noise(self.steps, batch),
        }

    def begin(self, tape: Tape) -> "DiaryEpisodes":
        return DiaryEpisodes(tape)


class DiaryEpisodes(Episodes):
    """Notes what was shown, done and earned at every step."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.shown: list[Tensor] = []
        self.done: list[Tensor] = []
        self.earned: list[Tensor] = []
        self.trial = self.phase = 0
        self.observation = tape["observation"][0]

    def step(self, action: Tensor) -> tuple[Tensor, Tensor]:
        self.shown.append(self.observation.clone())
        self.done.append(action.clone())
        self.earned.append(self.tape["reward"][len(self.earned)].clone())
        self.trial, self.phase = divmod(len(self.done), 2)
        self.observation = self.tape["observation"][len(self.done)]
        return self.observation, self.earned[-1]

    def trials(self) -> dict[str, Tensor]:
        return {}


class Spy(Memory):
    """A memory that notes its inputs when acting and when learning."""

    state_names = ("last_input",)

    def __init__(self, n_seeds: int, n_inputs: int, n_units: int) -> None:
        super().__init__(n_seeds, n_inputs, n_units)
        self.weight = nn.Parameter(torch.empty(n_seeds, n_units, n_inputs))
        self.acting: list[Tensor] = []
        self.learning: list[Tensor] = []

    def initialise(self, seed: int, generator: torch.Generator) -> None:
        fill_uniform((self.weight,), seed, 1.0, generator)

    def initial_state(self, batch: int) -> State:
        return (self.weight.new_zeros(self.n_seeds, self.n_inputs, batch),)

    def forward_step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        self.acting.append(inputs.clone())
        return self.weight @ inputs, (inputs,)

    def forward(self, inputs: Tensor, local_credit: bool = False) -> Tensor:
        self.learning.append(inputs.clone())
        return self.weight @ inputs


@pytest.fixture(params=["all inputs", "no reward", "no action", "neither"])
def settings(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> NetworkSettings:
    monkeypatch.setitem(MEMORIES, "spy", Spy)
    return NetworkSettings(
        memory="spy",
        units=5,
        reward_input=request.param in ("all inputs", "no action"),
        action_input=request.param in ("all inputs", "no reward"),
    )


def spied(network: Network) -> Spy:
    assert isinstance(network.memory, Spy)
    return network.memory


def expected(episodes: DiaryEpisodes, settings: NetworkSettings) -> Tensor:
    """Write out the inputs of every step, (step, seed, input, episode)."""
    steps, (seeds, batch) = len(episodes.done), episodes.done[0].shape
    inputs = torch.zeros(steps, seeds, 2 + 4 + 1, batch)
    for step in range(steps):
        for seed in range(seeds):
            for episode in range(batch):
                column = inputs[step, seed, :, episode]
                column[:2] = episodes.shown[step][seed, episode]
                if step > 0 and settings.action_input:
                    column[2 + int(episodes.done[step - 1][seed, episode])] = 1
                if step > 0 and settings.reward_input:
                    column[6] = episodes.earned[step - 1][seed, episode]
    return inputs


def drawn(task: Task, seed: int) -> tuple[Episodes, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    tapes = [task.draw(EPISODES, draw) for _ in SEEDS]
    noise = [exploration_noise(task.steps, 4, EPISODES, draw) for _ in SEEDS]
    return task.begin(side_by_side(tapes)), torch.stack(noise, dim=1)


def test_in_training_inputs_are_the_observation_and_what_was_done_and_earned_before(
    settings: NetworkSettings,
) -> None:
    task = Diary()
    network = Network(settings, task, SEEDS)
    learner = Learner(network, LearningSettings(batch=EPISODES), task.steps)
    spy = spied(network)
    for batch in range(3):  # nothing of one batch shows in the next
        spy.acting.clear()
        episodes, noise = drawn(task, batch)
        learner.update(episodes, noise)
        assert isinstance(episodes, DiaryEpisodes)
        assert len({int(a) for done in episodes.done for a in done.flatten()}) > 2
        right = expected(episodes, settings)
        assert torch.equal(torch.stack(spy.acting), right)
        assert torch.equal(spy.learning[batch], right)


@pytest.mark.parametrize("reset", [False, True])
def test_in_recording_inputs_are_the_observation_and_what_was_done_and_earned_before(
    settings: NetworkSettings, reset: bool
) -> None:
    task = Diary()
    network = Network(settings, task, SEEDS)
    played = play(network, task, 5, intervention=Reset() if reset else None)
    assert isinstance(played.episodes, DiaryEpisodes)
    right = expected(played.episodes, settings)
    assert torch.equal(torch.stack(spied(network).acting), right)
    assert torch.equal(played.observation, right[:, :, :2])
    assert torch.equal(played.action, torch.stack(played.episodes.done))
    assert torch.equal(played.reward, torch.stack(played.episodes.earned))


def test_switching_an_input_off_leaves_the_network_the_same_size() -> None:
    task = TwoStep()
    settings = NetworkSettings()
    blind = replace(settings, reward_input=False, action_input=False)
    full, reduced = (Network(s, task, [0]) for s in (settings, blind))
    assert full.n_inputs == reduced.n_inputs == 3 + 2 + 1
    assert weights_hash(full.seed_weights(0)) == weights_hash(reduced.seed_weights(0))


def test_a_network_with_an_unknown_memory_is_refused() -> None:
    with pytest.raises(InputError, match="no memory 'elephant'"):
        Network(NetworkSettings(memory="elephant"), TwoStep(), [0])


@pytest.mark.parametrize("memory", sorted(MEMORIES))
def test_a_seed_begins_with_the_same_weights_alone_and_among_others(
    memory: str,
) -> None:
    settings = NetworkSettings(memory=memory, units=8)
    alone, among = (Network(settings, TwoStep(), s) for s in ([3], [0, 3, 5]))
    weights = alone.seed_weights(0)
    assert weights.keys() == among.seed_weights(1).keys()
    assert all(torch.equal(weights[k], among.seed_weights(1)[k]) for k in weights)
    hashes = {weights_hash(among.seed_weights(position)) for position in range(3)}
    assert len(hashes) == 3
    assert weights_hash(weights) in hashes


def test_the_weights_of_a_seed_can_be_taken_out_and_put_in_elsewhere() -> None:
    settings = NetworkSettings(units=8)
    source, target = (Network(settings, TwoStep(), s) for s in ([1, 2], [5, 6, 7]))
    untouched = [weights_hash(target.seed_weights(position)) for position in (0, 2)]
    target.load_seed_weights(1, source.seed_weights(0))
    assert weights_hash(target.seed_weights(1)) == weights_hash(source.seed_weights(0))
    assert untouched == [weights_hash(target.seed_weights(p)) for p in (0, 2)]


def test_taking_weights_out_gives_a_copy() -> None:
    network = Network(NetworkSettings(units=8), TwoStep(), [1])
    taken = network.seed_weights(0)
    before = weights_hash(taken)
    with torch.no_grad():
        network.policy_weight += 1
    assert weights_hash(taken) == before


def test_the_hash_of_weights_tells_names_shapes_types_and_every_value() -> None:
    weights = {"a": torch.zeros(2, 3), "b": torch.ones(1)}
    other = {
        "name": {"A": weights["a"], "b": weights["b"]},
        "shape": {**weights, "a": torch.zeros(3, 2)},
        "type": {**weights, "a": torch.zeros(2, 3).double()},
        "value": {**weights, "b": torch.nextafter(torch.ones(1), torch.zeros(1))},
    }
    sums = {weights_hash(weights), *(weights_hash(w) for w in other.values())}
    assert len(sums) == 5
    assert weights_hash(dict(reversed(weights.items()))) == weights_hash(weights)


def test_logits_and_values_are_linear_in_the_outputs_of_the_memory() -> None:
    network = Network(NetworkSettings(units=8), TwoStep(fixation=True), [0, 1])
    with torch.no_grad():
        network.policy_bias.normal_()
        network.value_bias.normal_()
        outputs = torch.randn(4, 2, 8, 3)
        logits, value = network.logits_and_value(outputs)
    assert logits.shape == (4, 2, 3, 3)
    assert value.shape == (4, 2, 3)
    for seed in range(2):
        at = outputs[2, seed, :, 1]
        w, b = network.seed_weights(seed)["policy_weight"], network.policy_bias[seed, :]
        torch.testing.assert_close(logits[2, seed, :, 1], w @ at + b[:, 0])
        v, c = network.seed_weights(seed)["value_weight"], network.value_bias[seed, 0]
        torch.testing.assert_close(value[2, seed, 1], (v @ at + c)[0])
