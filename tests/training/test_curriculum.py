"""Training draws on all problems, on a few of a seed's own, or on unrelated ones."""

from dataclasses import replace

import pytest
import torch

from pfc_metarl.configuration import Configuration, preset
from pfc_metarl.curriculum import Curriculum
from pfc_metarl.errors import InputError
from pfc_metarl.seeds import generator
from pfc_metarl.stopping import Stopping
from pfc_metarl.tasks.bandit import Bandit, medium_bandit
from pfc_metarl.tasks.base import Tape, Task
from pfc_metarl.tasks.foraging import Foraging
from pfc_metarl.tasks.two_step import TwoStep
from pfc_metarl.training import Group

TASKS = {"p_reward": Bandit(trials=12), "block": TwoStep(trials=12, p_reversal=0.2)}
BATCH = 200


@pytest.fixture(params=sorted(TASKS))
def latent(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def drawn(curriculum: Curriculum, task: Task, seed: int = 3, number: int = 0) -> Tape:
    draw = generator(seed, "training")
    for _ in range(number + 1):
        tape = curriculum.draw(task, BATCH, seed, draw)
    return tape


def problems_in(tape: Tape, latent: str) -> torch.Tensor:
    """The different problems, (problem, ...)."""
    return tape[latent].transpose(0, 1).unique(dim=0)


def test_without_limits_it_is_the_task_s_own_draw(latent: str) -> None:
    expected = TASKS[latent].draw(BATCH, generator(3, "training"))
    tape = drawn(Curriculum(), TASKS[latent])
    assert tape.keys() == expected.keys()
    assert all(torch.equal(tape[name], expected[name]) for name in tape)


@pytest.mark.parametrize("n", [1, 4])
def test_a_few_problems_stay_the_same_from_batch_to_batch(latent: str, n: int) -> None:
    first, second = (
        problems_in(drawn(Curriculum(problems=n), TASKS[latent], number=k), latent)
        for k in (0, 1)
    )
    assert len(first) == n
    assert torch.equal(first, second)


def test_outcomes_are_drawn_anew_within_the_same_problem() -> None:
    tapes = [drawn(Curriculum(problems=1), TASKS["p_reward"], number=k) for k in (0, 1)]
    assert not torch.equal(tapes[0]["payoff"], tapes[1]["payoff"])
    assert not torch.equal(tapes[0]["payoff"][:, 0], tapes[0]["payoff"][:, 1])


def test_every_seed_has_few_problems_of_its_own(latent: str) -> None:
    one, two = (
        problems_in(drawn(Curriculum(problems=1), TASKS[latent], seed=s), latent)
        for s in (3, 4)
    )
    assert not torch.equal(one, two)


def test_fewer_of_a_bandit_s_problems_are_the_first_of_more() -> None:
    known = [
        TASKS["p_reward"].draw_problems(n, generator(5, "problems")) for n in (2, 64)
    ]
    assert torch.equal(known[0]["p_reward"], known[1]["p_reward"][:, :2])


def test_unrelated_trials_have_the_same_latents_from_other_episodes(
    latent: str,
) -> None:
    task = TASKS[latent]
    related = task.draw_problems(BATCH, generator(3, "training"))[latent]
    unrelated = drawn(Curriculum(related=False), task)[latent]
    assert torch.equal(related.sort(dim=1).values, unrelated.sort(dim=1).values)
    good = unrelated.reshape(task.trials, BATCH, -1)[..., 0].float()
    good = good - good.mean()
    autocorrelation = (good[1:] * good[:-1]).mean() / good.square().mean()
    assert abs(float(autocorrelation)) < 0.1


def test_unrelated_outcomes_still_follow_their_own_trial_s_latents() -> None:
    tape = drawn(Curriculum(related=False), Bandit(trials=200))
    sure = tape["p_reward"] > 0.95
    assert tape["payoff"][sure].mean() > 0.95


def test_the_whole_tape_of_the_two_step_task_is_there() -> None:
    task = TwoStep(trials=9, p_transition_reversal=0.1, p_forced=0.3)
    expected = task.draw(5, generator(0, "training"))
    tape = Curriculum(problems=2, related=False).draw(
        task, 5, 0, generator(0, "training")
    )
    shapes = {name: values.shape for name, values in expected.items()}
    assert {name: values.shape for name, values in tape.items()} == shapes


def test_a_group_s_seeds_train_on_their_own_problems() -> None:
    configuration = replace(
        preset("fast", "bandit", 2),
        task=Bandit(trials=5),
        curriculum=Curriculum(problems=1),
    )
    group = Group(configuration, [0, 1])
    tape = group._draw()[0].tape  # type: ignore[attr-defined]
    for position, seed in enumerate((0, 1)):
        expected = configuration.task.draw_problems(1, generator(seed, "problems"))
        of_seed = tape["p_reward"][:, position].expand(-1, -1, 2)
        assert torch.equal(of_seed, expected["p_reward"].expand_as(of_seed))


def test_a_task_that_cannot_be_confined_is_refused_in_one_line() -> None:
    with pytest.raises(
        InputError, match="Foraging does not draw its problems"
    ) as error:
        Curriculum(problems=2).draw(Foraging(), 3, 0, generator(0, "training"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("n", [0, -1])
def test_no_problems_at_all_are_refused(n: int) -> None:
    with pytest.raises(InputError, match=f"problems is {n}; expected None, or 1"):
        Curriculum(problems=n)


def held_out(**other: object) -> Configuration:
    task = replace(medium_bandit(), trials=6)
    return replace(
        preset("fast", "bandit", 2), task=Bandit(trials=6), test_task=task, **other
    )


def test_competence_is_judged_on_the_test_task(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Task] = []

    def needed(self: Stopping, task: Task) -> float:
        asked.append(task)
        return -1.0

    monkeypatch.setattr(Stopping, "needed", needed)
    group = Group(held_out(stopping=Stopping(every=1, episodes=3)), [0, 1])
    group.learn()
    assert asked == [held_out().test_task]


def test_a_competent_seed_may_stay_and_it_is_noted_when_it_was_first() -> None:
    stopping = Stopping(every=1, episodes=3, reward=-1.0, leave=False)
    group = Group(held_out(stopping=stopping), [0, 1])
    before = group.seed_weights(0)["policy_weight"]
    group.learn()
    group.learn()
    assert group.competent_at.tolist() == [1, 1]
    assert group.network.seeds == (0, 1)
    assert not torch.isnan(group.reward[1]).any()
    assert not torch.equal(before, group.seed_weights(0)["policy_weight"])


def test_a_test_task_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="test_task has 3 observations and 2 actions"):
        replace(preset("fast", "bandit", 2), test_task=TwoStep())


def test_a_task_with_problems_but_no_outcomes_is_refused_in_one_line() -> None:
    class Half(Bandit):
        draw_outcomes = Task.draw_outcomes

    with pytest.raises(InputError, match="Half does not draw outcomes") as error:
        Curriculum(problems=2).draw(Half(), 3, 0, generator(0, "training"))
    assert "\n" not in str(error.value)
