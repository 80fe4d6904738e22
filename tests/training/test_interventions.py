"""Frozen networks are reset, lesioned or shown other inputs; nothing else changes."""

import pytest
import torch

from pfc_metarl.errors import InputError
from pfc_metarl.interventions import Intervention, Lesion, Moment, Reset, Seen
from pfc_metarl.memory import MEMORIES
from pfc_metarl.network import Network, NetworkSettings
from pfc_metarl.recording import Played, play
from pfc_metarl.tasks.bandit import Bandit
from pfc_metarl.tasks.base import Task
from pfc_metarl.tasks.two_step import TwoStep

TASK, EPISODES = Bandit(trials=8), 5


def network_of(memory: str = "lstm", task: Task = TASK) -> Network:
    network = Network(NetworkSettings(memory=memory, units=6), task, (0, 3))
    with torch.no_grad():
        network.policy_weight *= 5
    return network


def played(
    intervention: Intervention | None, memory: str = "lstm", task: Task = TASK
) -> Played:
    return play(
        network_of(memory, task),
        task,
        EPISODES,
        intervention=intervention,
        n_recorded=EPISODES,
    )


def differ_at(one: Played, two: Played) -> list[int]:
    """Steps at which the policies differ."""
    apart = (one.policy != two.policy).flatten(1).any(1)
    return torch.nonzero(apart).flatten().tolist()


@pytest.mark.parametrize("memory", sorted(MEMORIES))
def test_an_intervention_that_does_nothing_changes_nothing(memory: str) -> None:
    one, two = played(None, memory), played(Intervention(), memory)
    assert differ_at(one, two) == []
    assert torch.equal(one.action, two.action)


def test_moments_tell_where_trials_begin() -> None:
    moments: list[Moment] = []

    class Spy(Intervention):
        def inputs(self, seen: Seen, moment: Moment) -> Seen:
            moments.append(moment)
            return seen

    played(Spy(), task=TwoStep(trials=3))
    assert [int(m.trial) for m in moments] == [0, 0, 1, 1, 2, 2]
    assert [bool(m.begins) for m in moments] == [False, False, True, False, True, False]


def test_what_is_seen_is_observation_action_and_reward_of_the_step_before() -> None:
    seen: list[Seen] = []

    class Spy(Intervention):
        def inputs(self, now: Seen, moment: Moment) -> Seen:
            seen.append(Seen(*(part.clone() for part in now)))
            return now

    result = played(Spy())
    assert torch.equal(torch.stack([s.observation for s in seen]), result.observation)
    assert torch.equal(seen[4].action.argmax(1), result.action[3])
    assert torch.equal(seen[4].reward.squeeze(1), result.reward[3])


def test_a_reset_in_the_middle_begins_the_episode_anew() -> None:
    """Blank, and without a trial number: as if it were the first trial."""
    task = Bandit(trials=8, trial_number=False)
    result = played(Reset((4,), blank=True), task=task)
    torch.testing.assert_close(result.policy[4], result.policy[0])
    assert (result.policy[3] - result.policy[0]).abs().max() > 1e-3


def test_without_blanks_the_last_trial_is_still_seen_after_a_reset() -> None:
    task = Bandit(trials=8, trial_number=False)
    result = played(Reset((4,)), task=task)
    assert (result.policy[4] - result.policy[0]).abs().max() > 1e-3


def test_up_to_the_reset_nothing_changes() -> None:
    apart = differ_at(played(None), played(Reset((4,), blank=True)))
    assert min(apart) == 4


def test_a_memory_reset_every_trial_is_a_horizon_of_one_trial() -> None:
    task = TwoStep(trials=5)
    whole = network_of("gru", task)
    settings = NetworkSettings(memory="gru", units=6, horizon=task.steps_per_trial)
    short = Network(settings, task, (0, 3))
    short.memory.memory.load_state_dict(whole.memory.state_dict())  # type: ignore[union-attr]
    for mine, theirs in zip(short.heads(), whole.heads(), strict=True):
        mine.data.copy_(theirs.data)
    one = play(whole, task, EPISODES, intervention=Reset())
    two = play(short, task, EPISODES)
    torch.testing.assert_close(one.policy, two.policy)


def test_a_lesion_keeps_units_silent() -> None:
    result = played(Lesion((1, 4)))
    intact = played(None)
    # The step's own state is recorded before the next step is lesioned.
    assert differ_at(result, intact)[0] == 0


def test_a_lesion_of_every_unit_leaves_the_policy_its_bias() -> None:
    result = played(Lesion(tuple(range(6))))
    expected = network_of().policy_bias.detach().softmax(1)
    torch.testing.assert_close(result.policy, expected.expand_as(result.policy))


def test_a_lesion_of_the_state_alone_first_shows_at_the_second_step() -> None:
    task = Bandit(trials=8)
    apart = differ_at(
        played(None, task=task), played(Lesion((0, 1, 2), also_output=False), task=task)
    )
    assert apart
    assert apart[0] == 1  # the initial state is 0 before training


@pytest.mark.parametrize(
    ("lesion", "message"),
    [
        (Lesion((6,)), r"units are \(6,\); expected numbers below 6"),
        (Lesion((-1,)), r"units are \(-1,\); expected numbers below 6"),
        (Lesion((0,), part=2), "part is 2; the memory's state has 2 parts"),
    ],
)
def test_what_is_not_there_cannot_be_silenced(lesion: Lesion, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        played(lesion)
    assert "\n" not in str(error.value)
