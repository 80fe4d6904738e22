from itertools import pairwise, product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from pfc_metarl.analysis import stay_probability
from pfc_metarl.errors import InputError
from pfc_metarl.recording import behaviour
from pfc_metarl.tasks import TwoStep
from pfc_metarl.tasks.observers.two_step import TwoStepObserver
from pfc_metarl.tasks.two_step import TwoStepEpisodes

EPISODES = 20_000
UNEVEN = ((0.7, 0.2), (0.35, 0.6), (0.05, 0.95))


def play(
    task: TwoStep, n_episodes: int, memory_trials: int | None = None, seed: int = 1
) -> TwoStepEpisodes:
    tape = task.draw(n_episodes, torch.Generator().manual_seed(seed))
    observer = TwoStepObserver(task, memory_trials)
    return observer.play(tape, torch.Generator().manual_seed(seed + 1))


def mean_and_error(reward: Tensor) -> tuple[float, float]:
    """Mean reward per trial and its standard error over episodes."""
    by_episode = reward.double().mean(0)
    return by_episode.mean().item(), by_episode.std().item() / len(by_episode) ** 0.5


@pytest.fixture(scope="module")
def wang() -> TwoStepEpisodes:
    """The observer on the task of Wang et al. 2018."""
    return play(TwoStep(), EPISODES)


def test_earns_what_was_computed_apart_from_this_package(wang: TwoStepEpisodes) -> None:
    mean, error = mean_and_error(wang.trials()["reward"])
    elsewhere = error * (EPISODES / 40_000) ** 0.5  # 0.7060 is of 40,000 episodes
    assert abs(mean - 0.7060) < 4 * (error**2 + elsewhere**2) ** 0.5


def test_stays_as_in_the_figure_of_wang(wang: TwoStepEpisodes) -> None:
    stay = stay_probability(behaviour(wang, ["observer"], {})).stay.isel(subject=0)
    expected = {
        ("rewarded", "common"): 1.0,
        ("rewarded", "rare"): 0.665,
        ("unrewarded", "common"): 0.663,
        ("unrewarded", "rare"): 1.0,
    }
    for (outcome, transition), value in expected.items():
        cell = float(stay.sel(outcome=outcome, transition=transition))
        assert cell == pytest.approx(value, abs=0.006), (outcome, transition)


def test_starts_with_either_choice_alike(wang: TwoStepEpisodes) -> None:
    share = wang.trials()["choice"][0].double().mean().item()
    assert abs(share - 0.5) < 4 * 0.5 / EPISODES**0.5


def test_earns_the_same_with_a_fixation_step() -> None:
    plain = play(TwoStep(), 200).trials()
    fixating = play(TwoStep(fixation=True), 200).trials()
    for name, values in plain.items():
        assert torch.equal(values, fixating[name]), name


def test_the_same_tape_and_generator_give_the_same_play() -> None:
    one, other = (play(TwoStep(), 200).trials() for _ in range(2))
    for name, values in one.items():
        assert torch.equal(values, other[name]), name


def test_seeds_can_be_played_side_by_side() -> None:
    task = TwoStep(trials=20, p_reversal=0.1)
    tape = task.draw(30, torch.Generator().manual_seed(1))
    together = {name: torch.stack([v, v], 1) for name, v in tape.items()}
    episodes = TwoStepObserver(task).play(together, torch.Generator().manual_seed(2))
    assert episodes.trials()["choice"].shape == (20, 2, 30)


# With a memory of one trial.


def test_with_a_memory_of_one_trial_it_wins_and_stays_by_state() -> None:
    columns = play(TwoStep(), 500, memory_trials=1).trials()
    state, rewarded = columns["state2"][:-1], columns["reward"][:-1] == 1
    seek = torch.where(rewarded, state, 1 - state)
    assert torch.equal(columns["choice"][1:], seek)


def test_with_a_memory_of_one_trial_it_earns_the_closed_form() -> None:
    mean, error = mean_and_error(play(TwoStep(), EPISODES, 1).trials()["reward"])
    right = 0.9 * 0.975 + 0.1 * 0.025  # the last outcome told the state, and it stood
    later = right * 0.74 + (1 - right) * 0.26
    expected = (0.5 + 99 * later) / 100
    assert expected == pytest.approx(0.680, abs=0.001)
    assert abs(mean - expected) < 4 * error


def test_a_memory_as_long_as_the_episode_is_a_full_one() -> None:
    task = TwoStep(trials=15, p_reversal=0.1)
    full, long = play(task, 300).trials(), play(task, 300, 15).trials()
    assert torch.equal(full["choice"], long["choice"])


def test_a_longer_memory_earns_more() -> None:
    means = [
        mean_and_error(play(TwoStep(), 5_000, memory).trials()["reward"])[0]
        for memory in (1, 2, 5)
    ]
    assert means == sorted(means)


@pytest.mark.parametrize("memory_trials", [0, -1])
def test_a_memory_of_no_trial_is_refused(memory_trials: int) -> None:
    with pytest.raises(InputError, match=f"memory_trials is {memory_trials}"):
        TwoStepObserver(TwoStep(), memory_trials)


# Against an enumeration of every hidden history.

Hidden = tuple[int, int]  # kind of block, mapping


def hidden_states(task: TwoStep) -> list[Hidden]:
    mappings = [0, 1] if task.p_transition_reversal else [0]
    return list(product(range(len(task.blocks)), mappings))


def p_change(task: TwoStep, before: Hidden, after: Hidden) -> float:
    others = len(task.blocks) - 1
    same_block, same_mapping = before[0] == after[0], before[1] == after[1]
    block = 1 - task.p_reversal if same_block else task.p_reversal / others
    turn = task.p_transition_reversal
    return block * (1 - turn if same_mapping else turn)


def p_outcome(
    task: TwoStep, hidden: Hidden, choice: int, state: int, reward: float
) -> float:
    kind, mapping = hidden
    common = state == (choice ^ mapping)
    pays = task.blocks[kind][state]
    reach = task.p_common if common else 1 - task.p_common
    return reach * (pays if reward else 1 - pays)


def enumerated_belief(
    task: TwoStep, trials: list[tuple[int, int, float]]
) -> NDArray[np.float64]:
    """P(hidden state of the next trial | trials), over every hidden history."""
    states = hidden_states(task)
    belief = dict.fromkeys(states, 0.0)
    for history in product(states, repeat=len(trials) + 1):
        weight = 1.0
        for before, after in pairwise(history):
            weight *= p_change(task, before, after)
        for hidden, (choice, state, reward) in zip(history, trials, strict=False):
            weight *= p_outcome(task, hidden, choice, state, reward)
        belief[history[-1]] += weight
    weights = np.array(list(belief.values()))
    normalised: NDArray[np.float64] = weights / weights.sum()
    return normalised


def expected_rewards(task: TwoStep, belief: NDArray[np.float64]) -> list[float]:
    return [
        sum(
            weight
            * sum(p_outcome(task, hidden, choice, state, 1.0) for state in (0, 1))
            for weight, hidden in zip(belief, hidden_states(task), strict=True)
        )
        for choice in (0, 1)
    ]


@pytest.mark.parametrize(
    "task",
    [
        TwoStep(trials=5),
        TwoStep(trials=5, p_common=0.65, p_reversal=0.2, p_forced=0.3),
        TwoStep(trials=5, p_common=0.7, p_reversal=0.2, blocks=UNEVEN, p_forced=0.5),
        TwoStep(trials=5, p_reversal=0.15, p_transition_reversal=0.1, p_forced=0.4),
        TwoStep(
            trials=4,
            p_common=0.7,
            p_reversal=0.2,
            p_transition_reversal=0.1,
            blocks=UNEVEN,
            p_forced=0.4,
        ),
    ],
    ids=["Wang", "forced", "three kinds", "mapping", "three kinds and mapping"],
)
def test_belief_and_choice_equal_a_sum_over_every_hidden_history(
    task: TwoStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    beliefs: list[Tensor] = []
    choose = TwoStepObserver._choose

    def watched(
        observer: TwoStepObserver, belief: Tensor, generator: torch.Generator
    ) -> Tensor:
        beliefs.append(belief)
        return choose(observer, belief, generator)

    monkeypatch.setattr(TwoStepObserver, "_choose", watched)
    columns = play(task, 12, seed=4).trials()
    assert len(beliefs) == task.trials
    for episode in range(12):
        choice, state, reward, forced = (
            columns[name][:, episode].tolist()
            for name in ("choice", "state2", "reward", "forced")
        )
        history = list(zip(choice, state, reward, strict=True))
        for trial in range(task.trials):
            expected = enumerated_belief(task, history[:trial])
            found = beliefs[trial][episode].numpy()
            np.testing.assert_allclose(found, expected, rtol=1e-9)
            values = expected_rewards(task, expected)
            if not forced[trial] and abs(values[0] - values[1]) > 1e-6:
                assert choice[trial] == int(np.argmax(values))


def test_certain_transitions_and_rewards_are_learned_in_one_trial() -> None:
    task = TwoStep(
        p_common=1.0, blocks=((1.0, 0.0), (0.0, 1.0)), p_reversal=0.0, trials=6
    )
    reward = play(task, 50).trials()["reward"]
    assert (reward[1:] == 1).all()
