"""The light tells the last outcome as often as it should, and changes nothing else."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.bandit import Bandit
from pfc_metarl.tasks.base import Episodes, Tape, Task, side_by_side
from pfc_metarl.tasks.proxy_bandit import ProxyBandit

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]
Near = Callable[..., None]
N = 300


def played(
    task: ProxyBandit, play: Play, seed: int = 0
) -> tuple[Episodes, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tape = task.draw(N, generator)
    actions = torch.randint(task.n_actions, (task.steps, N), generator=generator)
    return play(task, tape, actions)


@pytest.mark.parametrize("p_agree", [0.1, 0.5, 0.9])
def test_the_light_agrees_as_often_as_it_should(
    play: Play, near: Near, p_agree: float
) -> None:
    _, seen, earned = played(ProxyBandit(trials=40, p_agree=p_agree), play)
    near(seen[1:, :, -1] == earned, p_agree)


@pytest.mark.parametrize("agrees", [False, True])
def test_the_light_may_always_agree_or_never(play: Play, agrees: bool) -> None:
    _, seen, earned = played(ProxyBandit(trials=40, p_agree=float(agrees)), play)
    assert ((seen[1:, :, -1] == earned) == agrees).all()


def test_the_light_is_off_before_the_first_outcome(play: Play) -> None:
    _, seen, _ = played(ProxyBandit(trials=4, p_agree=0.0), play)
    assert (seen[0, :, -1] == 0).all()


def test_arms_and_payoffs_are_those_of_the_bandit() -> None:
    one, other = (
        task.draw(N, torch.Generator().manual_seed(3))
        for task in (Bandit(trials=9), ProxyBandit(trials=9))
    )
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert set(other) - set(one) == {"agrees"}


def test_all_but_the_light_is_as_in_the_bandit(play: Play) -> None:
    task = ProxyBandit(trials=9)
    tape = task.draw(N, torch.Generator().manual_seed(3))
    actions = torch.randint(2, (9, N), generator=torch.Generator().manual_seed(4))
    lit, seen, earned = play(task, tape, actions)
    plain, seen_plain, earned_plain = play(Bandit(trials=9), tape, actions)
    assert torch.equal(seen[..., :-1], seen_plain)
    assert torch.equal(earned, earned_plain)
    columns, others = lit.trials(), plain.trials()
    assert columns.keys() == others.keys()
    assert all(torch.equal(columns[name], others[name]) for name in columns)


def test_an_invalid_trial_leaves_the_light_off(play: Play) -> None:
    task = ProxyBandit(trials=6, fixation=True, p_agree=0.0)
    tape = task.draw(N, torch.Generator().manual_seed(3))
    never = torch.full((task.steps, N), task.arms)  # fixates where a choice is due
    _, seen, _ = play(task, tape, never)
    assert (seen[..., -1] == 0).all()


def test_seeds_side_by_side_see_their_own_lights(play: Play) -> None:
    task = ProxyBandit(trials=6)
    tapes = [task.draw(N, torch.Generator().manual_seed(seed)) for seed in (1, 2)]
    actions = torch.randint(2, (6, 2, N), generator=torch.Generator().manual_seed(4))
    _, seen, _ = play(task, side_by_side(tapes), actions)
    for seed, tape in enumerate(tapes):
        _, alone, _ = play(task, tape, actions[:, seed])
        assert torch.equal(seen[:, seed], alone)


@pytest.mark.parametrize("p_agree", [-0.1, 1.1])
def test_a_probability_out_of_range_is_refused(p_agree: float) -> None:
    with pytest.raises(InputError, match=f"p_agree is {p_agree}; expected 0 to 1"):
        ProxyBandit(p_agree=p_agree)
