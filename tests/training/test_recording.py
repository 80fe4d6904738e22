"""Frozen networks are recorded as they play: same episodes, steps and trials agree."""

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn

from pfc_metarl.interventions import Reset
from pfc_metarl.memory import MEMORIES, Memory
from pfc_metarl.memory.base import State
from pfc_metarl.netcdf import save_tree
from pfc_metarl.network import Network, NetworkSettings
from pfc_metarl.recording import Played, behaviour, hashes, play, recording
from pfc_metarl.seeds import generator
from pfc_metarl.tasks.base import side_by_side
from pfc_metarl.tasks.two_step import FIXATE, TwoStep
from pfc_metarl.trials import validate

SEEDS, EPISODES, RECORDED, UNITS = (2, 5, 9), 4, 3, 6
TASKS = {
    "two steps": TwoStep(trials=8),
    "with fixation": TwoStep(trials=8, fixation=True),
    "forced": TwoStep(trials=8, p_forced=0.4),
}


@pytest.fixture(params=sorted(TASKS))
def task(request: pytest.FixtureRequest) -> TwoStep:
    return TASKS[request.param]


def network_of(
    task: TwoStep, memory: str = "lstm", seeds: tuple[int, ...] = SEEDS
) -> Network:
    network = Network(NetworkSettings(memory=memory, units=UNITS), task, seeds)
    with torch.no_grad():
        network.policy_bias[:, 2:] += 1  # fixates now and then
        network.policy_weight *= 3
    return network


def tree_of(task: TwoStep, memory: str = "lstm") -> tuple[xr.DataTree, Played, Network]:
    network = network_of(task, memory)
    played = play(network, task, EPISODES, n_recorded=RECORDED)
    attrs = {"task": "two-step", "source": "a test"}
    return recording(played, task, network, 0.9, attrs), played, network


@pytest.mark.parametrize("memory", sorted(MEMORIES))
def test_playing_leaves_the_weights_as_they_are(memory: str) -> None:
    task = TASKS["two steps"]
    network = network_of(task, memory)
    before = hashes(network)
    assert len(set(before)) == len(SEEDS)
    played = play(network, task, EPISODES, n_recorded=RECORDED)
    assert hashes(network) == before
    assert all(parameter.grad is None for parameter in network.parameters())
    tensors = (played.policy, played.value, played.reward, *played.states.values())
    assert not any(tensor.requires_grad for tensor in tensors)


def test_hashes_tell_one_seed_from_another_and_any_change_of_a_weight() -> None:
    network = network_of(TASKS["two steps"])
    before = hashes(network)
    with torch.no_grad():
        network.value_bias[1] += 1e-7
    after = hashes(network)
    assert [a == b for a, b in zip(after, before, strict=True)] == [True, False, True]


def test_playing_twice_gives_the_same(task: TwoStep) -> None:
    network = network_of(task)
    one, two = (play(network, task, EPISODES) for _ in range(2))
    assert torch.equal(one.action, two.action)
    assert torch.equal(one.value, two.value)


def test_every_seed_meets_the_same_test_episodes(task: TwoStep) -> None:
    expected = task.draw(EPISODES, generator(0, "test episodes"))
    for seeds in (SEEDS, (0,), (1, 7)):
        tape = play(network_of(task, seeds=seeds), task, EPISODES).episodes.tape
        for name, values in tape.items():
            assert values.shape[1] == len(seeds)
            for position in range(len(seeds)):
                assert torch.equal(values[:, position], expected[name])


def test_test_episodes_are_not_those_of_training(task: TwoStep) -> None:
    tested = task.draw(EPISODES, generator(0, "test episodes"))
    for seed in range(20):
        trained = task.draw(EPISODES, generator(seed, "training"))
        assert not torch.equal(trained["outcome0"], tested["outcome0"])


def test_a_seed_plays_the_same_alone_and_among_others(task: TwoStep) -> None:
    among = play(network_of(task), task, EPISODES)
    alone = play(network_of(task, seeds=SEEDS[1:2]), task, EPISODES)
    assert torch.equal(alone.action[:, 0], among.action[:, 1])
    torch.testing.assert_close(alone.value[:, 0], among.value[:, 1])


def test_seeds_explore_each_in_its_own_way() -> None:
    task = TASKS["two steps"]
    network = network_of(task)
    with torch.no_grad():
        network.policy_weight.zero_()
    action = play(network, task, 50).action
    for a, b in ((0, 1), (0, 2), (1, 2)):
        agree = (action[:, a] == action[:, b]).double().mean()
        assert 0.4 < agree < 0.6


def test_policy_and_value_are_those_of_the_whole_episode(task: TwoStep) -> None:
    network = network_of(task)
    played = play(network, task, EPISODES, n_recorded=EPISODES)
    before = torch.nn.functional.one_hot(played.action[:-1], task.n_actions)
    inputs = torch.zeros(task.steps, len(SEEDS), network.n_inputs, EPISODES)
    inputs[:, :, : task.n_observations] = played.observation
    inputs[1:, :, task.n_observations : -1] = before.transpose(2, 3)
    inputs[1:, :, -1] = played.reward[:-1]
    with torch.no_grad():
        outputs = network.memory(inputs)
        logits = network.policy_weight @ outputs + network.policy_bias
        value = network.value_weight @ outputs + network.value_bias
        torch.testing.assert_close(played.policy, logits.softmax(2))
        torch.testing.assert_close(played.value, value.squeeze(2))
    torch.testing.assert_close(played.policy.sum(2), torch.ones_like(played.value))


def test_actions_are_samples_of_the_policy() -> None:
    task = TwoStep(trials=50, fixation=True)
    played = play(network_of(task), task, 400)
    for action in range(task.n_actions):
        p = played.policy[:, :, action].double()
        surplus = (played.action == action).double() - p
        deviation = surplus.sum() / (p * (1 - p)).sum().sqrt()
        assert abs(deviation) < 4


class Clock(Memory):
    """Counts the steps since its initial state."""

    state_names = ("count",)

    def __init__(self, n_seeds: int, n_inputs: int, n_units: int) -> None:
        super().__init__(n_seeds, n_inputs, n_units)
        self.none = nn.Parameter(torch.zeros(n_seeds, n_units, 1))

    def initialise(self, seed: int, generator: torch.Generator) -> None:
        """There is nothing to draw."""

    def initial_state(self, batch: int) -> State:
        return (self.none.expand(-1, -1, batch),)

    def forward_step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        return state[0] + 1, (state[0] + 1,)


@pytest.mark.parametrize("reset", [False, True])
def test_the_memory_is_reset_at_the_start_of_every_trial_or_never(
    task: TwoStep, reset: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MEMORIES, "clock", Clock)
    played = play(
        network_of(task, "clock"),
        task,
        EPISODES,
        intervention=Reset() if reset else None,
        n_recorded=RECORDED,
    )
    step = torch.arange(task.steps)
    expected = step % task.steps_per_trial if reset else step
    count = played.states["count"]
    assert count.shape == (task.steps, len(SEEDS), UNITS, RECORDED)
    assert torch.equal(count, (expected + 1.0).view(-1, 1, 1, 1).expand_as(count))


def test_the_tree_has_the_names_and_shapes_promised(task: TwoStep) -> None:
    tree, _, _ = tree_of(task)
    steps = tree["steps"].to_dataset()
    sizes = {"seed": 3, "episode": RECORDED, "step": task.steps}
    for name in ("action", "reward", "value", "rpe"):
        assert dict(steps[name].sizes) == sizes
    for name, n in (
        ("observation", task.n_observations),
        ("policy", task.n_actions),
        ("hidden", UNITS),
        ("cell", UNITS),
    ):
        assert tuple(steps[name].dims[:3]) == tuple(sizes)
        assert list(steps[name].sizes.values()) == [*sizes.values(), n]
    assert steps.seed.values.tolist() == list(SEEDS)
    assert steps.attrs["discount"] == 0.9
    assert steps.trial.values.tolist() == [
        t for t in range(8) for _ in range(task.steps_per_trial)
    ]
    assert steps.phase.values.tolist() == list(task.phases) * 8
    assert tree.attrs["task"] == "two-step"
    assert tree["trials"].attrs["source"] == "a test"
    validate(tree["trials"].to_dataset())


def session(tree: xr.DataTree, seed: int, episode: int) -> xr.Dataset:
    """Trials of one episode of one seed, by position."""
    trials = tree["trials"].to_dataset()
    return trials.isel(
        trial=np.flatnonzero(trials.session.values == seed * EPISODES + episode)
    )


def test_steps_agree_with_the_trial_table(task: TwoStep) -> None:
    tree, _, _ = tree_of(task)
    steps = tree["steps"].to_dataset()
    choices = steps.isel(step=steps.phase.values == "choice")
    states = steps.isel(step=steps.phase.values == "state2")
    n_valid = n_forced = 0
    for seed in range(len(SEEDS)):
        for episode in range(RECORDED):
            trials = session(tree, seed, episode)
            at = {"seed": seed, "episode": episode}
            valid, forced = trials.valid.values == 1, trials.forced.values == 1
            n_valid, n_forced = n_valid + valid.sum(), n_forced + forced.sum()
            action = choices.action.isel(at).values
            assert (action[~valid] == FIXATE).all()
            free = valid & ~forced
            np.testing.assert_array_equal(trials.choice.values[free], action[free])
            np.testing.assert_array_equal(
                trials.reward.values[valid], states.reward.isel(at).values[valid]
            )
            cue = states.observation.isel(at).values[:, 1:3]
            np.testing.assert_array_equal(
                trials.state2.values[valid], cue.argmax(1)[valid]
            )
            assert not cue[~valid].any()
            assert (cue.sum(1) == valid).all()
    assert n_valid > 20
    assert (n_forced > 5) == (task.p_forced > 0)


def test_prediction_errors_are_reward_plus_discounted_next_value_minus_value(
    task: TwoStep,
) -> None:
    tree, _, _ = tree_of(task)
    steps = tree["steps"].to_dataset()
    reward, value, rpe = (steps[n].values for n in ("reward", "value", "rpe"))
    for step in range(task.steps):
        ahead = 0.9 * value[..., step + 1] if step + 1 < task.steps else 0.0
        expected = reward[..., step] + ahead - value[..., step]
        np.testing.assert_allclose(rpe[..., step], expected, atol=1e-6)


def test_values_and_policies_are_read_from_the_hidden_state_of_the_same_step(
    task: TwoStep,
) -> None:
    tree, _, network = tree_of(task)
    steps = tree["steps"].to_dataset()
    for position in range(len(SEEDS)):
        weights = network.seed_weights(position)
        hidden = torch.from_numpy(steps.hidden.values[position])
        value = hidden @ weights["value_weight"][0] + weights["value_bias"][0]
        np.testing.assert_allclose(steps.value.values[position], value, atol=1e-6)
        logits = hidden @ weights["policy_weight"].T + weights["policy_bias"][:, 0]
        found = steps.policy.values[position]
        np.testing.assert_allclose(found, logits.softmax(-1), atol=1e-6)


@pytest.mark.parametrize("memory", sorted(MEMORIES))
def test_every_memory_can_be_recorded(memory: str, tmp_path: Path) -> None:
    tree, played, _ = tree_of(TASKS["two steps"], memory)
    of = MEMORIES[memory]
    names = set(of.state_names) - of.not_recorded
    assert names == set(played.states)
    assert names <= set(tree["steps"].data_vars)
    save_tree(tree, tmp_path / "recording.nc")


def test_a_recording_is_saved_and_opened_again_unchanged(
    task: TwoStep, tmp_path: Path
) -> None:
    tree, _, _ = tree_of(task)
    path = tmp_path / "new" / "recording.nc"
    save_tree(tree, path)
    with xr.open_datatree(path, engine="h5netcdf") as opened:
        opened.load()
    assert opened.identical(tree)
    for node in opened.subtree:
        for name, variable in node.dataset.variables.items():
            assert variable.dtype.kind == tree[node.path][name].dtype.kind
    assert [path.name for path in path.parent.iterdir()] == ["recording.nc"]


def test_recordings_are_compressed(tmp_path: Path) -> None:
    tree, _, _ = tree_of(TASKS["two steps"])
    save_tree(tree, tmp_path / "recording.nc")
    with xr.open_datatree(tmp_path / "recording.nc", engine="h5netcdf") as opened:
        for name in ("hidden", "value", "rpe", "action"):
            assert opened["steps"][name].encoding["zlib"]


def test_subjects_are_seeds_and_sessions_their_episodes(task: TwoStep) -> None:
    network = network_of(task)
    played = play(network, task, EPISODES)
    table = behaviour(played.episodes, ["a", "b", "c"], {"task": "two-step"})
    assert table.sizes["trial"] == 3 * EPISODES * 8
    assert table.subject_id.values.tolist() == ["a", "b", "c"]
    assert table.sizes["sessions"] == 3 * EPISODES
    assert table.session_name.values[EPISODES] == "b, episode 0"
    columns = played.episodes.trials()
    row = 0
    for seed in range(3):
        for episode in range(EPISODES):
            for trial in range(8):
                at = table.isel(trial=row)
                assert int(at.subject) == seed
                assert int(at.session) == seed * EPISODES + episode
                assert int(at.trial_in_session) == trial
                for name in ("choice", "state2", "reward", "good_state", "forced"):
                    np.testing.assert_equal(
                        at[name].item(), columns[name][trial, seed, episode].item()
                    )
                row += 1


def test_one_player_is_one_subject() -> None:
    task = TASKS["two steps"]
    tape = task.draw(5, torch.Generator().manual_seed(0))
    episodes = task.begin(tape)
    for _ in range(task.steps):
        episodes.step(torch.ones(5, dtype=torch.int64))
    table = behaviour(episodes, ["one"], {})
    assert table.sizes["trial"] == 5 * 8
    assert not table.subject.values.any()
    expected = episodes.trials()["reward"].T.reshape(-1)
    np.testing.assert_array_equal(table.reward.values, expected)


def test_the_first_episodes_are_the_ones_recorded() -> None:
    task = TASKS["two steps"]
    network = network_of(task)
    played = play(network, task, EPISODES, n_recorded=2)
    everything = play(network, task, EPISODES, n_recorded=EPISODES)
    hidden = everything.states["hidden"][..., :2]
    assert torch.equal(played.states["hidden"], hidden)
    tree = recording(played, task, network, 0.9, {})
    assert tree["steps"].sizes["episode"] == 2
    assert tree["trials"].sizes["trial"] == len(SEEDS) * EPISODES * 8
    tape = side_by_side([task.draw(EPISODES, generator(0, "test episodes"))] * 3)
    assert torch.equal(played.episodes.tape["block"], tape["block"])
