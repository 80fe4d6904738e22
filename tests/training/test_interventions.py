"""Frozen networks are reset, lesioned or shown other inputs; nothing else changes."""

import pytest
import torch

from pfc_metarl.errors import InputError
from pfc_metarl.interventions import (
    Directions,
    FlippedReward,
    HeldDirections,
    Intervention,
    Lesion,
    Moment,
    PermutedReward,
    Reset,
    ScaledObservation,
    Seen,
    Transplant,
)
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


def shown(intervention: Intervention, task: Task) -> tuple[torch.Tensor, Played]:
    """Rewards that the network sees, (step, seed, episode), and what was played."""
    rewards: list[torch.Tensor] = []

    class Spy(Intervention):
        def inputs(self, seen: Seen, moment: Moment) -> Seen:
            changed = intervention.inputs(seen, moment)
            rewards.append(changed.reward.squeeze(1).clone())
            assert torch.equal(changed.action, seen.action)
            return changed

    result = play(network_of(task=task), task, EPISODES, intervention=Spy())
    return torch.stack(rewards), result


def test_a_flipped_reward_is_seen_as_its_opposite_and_paid_as_it_is() -> None:
    seen, result = shown(FlippedReward(), TASK)
    assert torch.equal(seen[1:], 1 - result.reward[:-1])
    assert (seen[0] == 0).all()
    assert torch.equal(result.reward, result.episodes.trials()["reward"])


def test_only_outcomes_are_flipped() -> None:
    """On two-step every other step sees no outcome."""
    seen, result = shown(FlippedReward(), TwoStep(trials=4))
    assert (seen[1::2] == 0).all()
    assert torch.equal(seen[2::2], 1 - result.reward[1:-1:2])


def test_permuted_rewards_are_those_of_the_same_trial_in_other_episodes() -> None:
    task = Bandit(trials=30)
    seen, result = shown(PermutedReward(), task)
    assert torch.equal(seen[1:].sort(-1).values, result.reward[:-1].sort(-1).values)
    assert (seen[1:] != result.reward[:-1]).any()
    again, _ = shown(PermutedReward(), task)
    assert torch.equal(seen, again)
    other, _ = shown(PermutedReward(seed=1), task)
    assert not torch.equal(seen, other)


def test_permutations_differ_from_step_to_step() -> None:
    reward = torch.arange(40.0).expand(1, 1, 40)
    nothing = torch.zeros(1, 1, 40)
    one, two = (
        PermutedReward()
        .inputs(
            Seen(nothing, nothing, reward),
            Moment(step, torch.tensor(step), torch.tensor(True)),
        )
        .reward
        for step in (3, 4)
    )
    assert not torch.equal(one, two)


def test_rewards_of_episodes_out_of_step_are_not_permuted() -> None:
    begins = torch.tensor([[True, False]])
    reward = torch.ones(1, 1, 2)
    with pytest.raises(InputError, match="self-paced") as error:
        PermutedReward().inputs(
            Seen(reward, reward, reward), Moment(3, torch.tensor([[1, 0]]), begins)
        )
    assert "\n" not in str(error.value)


def test_an_observation_is_multiplied() -> None:
    """Twice the trial number of 8 trials is that of 4, as long as these last."""
    network = network_of()
    task = Bandit(trials=4, trial_number=True)
    seen = []

    class Spy(ScaledObservation):
        def inputs(self, now: Seen, moment: Moment) -> Seen:
            seen.append(super().inputs(now, moment).observation[0, 0, 0].item())
            return super().inputs(now, moment)

    play(network, TASK, EPISODES, intervention=Spy(2.0))
    short = play(network, task, EPISODES)
    assert seen[:4] == short.observation[:, 0, 0, 0].tolist()
    assert seen == [2 * trial / 8 for trial in range(8)]


STATE = tuple(
    torch.randn(2, 6, EPISODES, generator=torch.Generator().manual_seed(part))
    for part in range(2)
)


def orthonormal(units: int, directions: int, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(2, units, directions, generator=draw)).Q


def moment(step: int) -> Moment:
    return Moment(step, torch.tensor(step), torch.tensor(step > 0))


def test_held_directions_stay_at_the_mean_of_their_step() -> None:
    basis, mean = orthonormal(12, 3), torch.randn(8, 2, 12)
    held = HeldDirections(
        Directions(basis, mean), Directions(basis[:, :6] * 0, mean[..., :6])
    )
    new = torch.cat(held.state(STATE, STATE, moment(5)), 1)
    old, at = torch.cat(STATE, 1), mean[4]  # after the step before
    along = torch.einsum("sud,sue->sde", basis, new)
    expected = torch.einsum("sud,su->sd", basis, at).unsqueeze(-1)
    torch.testing.assert_close(along, expected.expand_as(along))
    rest = torch.eye(12) - torch.einsum("sud,svd->suv", basis, basis)
    torch.testing.assert_close(rest @ new, rest @ old)
    assert held.state(STATE, STATE, moment(0)) is STATE
    torch.testing.assert_close(held.output(STATE[0], moment(5)), STATE[0])


def test_an_output_is_held_at_the_mean_of_its_own_step() -> None:
    whole = torch.eye(6).expand(2, -1, -1)
    mean = torch.randn(8, 2, 6)
    held = HeldDirections(
        Directions(torch.zeros(2, 12, 1), torch.zeros(8, 2, 12)),
        Directions(whole, mean),
    )
    new = held.output(STATE[0], moment(5))
    torch.testing.assert_close(new, mean[5].unsqueeze(-1).expand_as(new))


def test_a_transplant_takes_some_directions_from_the_donor() -> None:
    basis, donor = orthonormal(12, 2), torch.tensor([1, 0, 3, 2, 4])
    old = torch.cat(STATE, 1)
    theirs = old[..., donor]
    onto = torch.einsum("sud,svd->suv", basis, basis)
    for others, part in ((False, onto), (True, torch.eye(12) - onto)):
        transplant = Transplant(basis, donor, 5, others)
        new = torch.cat(transplant.state(STATE, STATE, moment(5)), 1)
        torch.testing.assert_close(new, part @ theirs + (torch.eye(12) - part) @ old)
        torch.testing.assert_close(new[..., 4], old[..., 4])  # its own donor
        assert transplant.state(STATE, STATE, moment(4)) is STATE


@pytest.mark.parametrize("units", [6, 13])
def test_directions_for_other_units_are_refused(units: int) -> None:
    basis = orthonormal(units, 2)
    transplant = Transplant(basis, torch.arange(EPISODES), 5)
    with pytest.raises(InputError, match=rf"directions are for \(2, {units}\) seeds"):
        transplant.state(STATE, STATE, moment(5))
