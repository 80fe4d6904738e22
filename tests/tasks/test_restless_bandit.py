from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import ks_2samp, norm
from torch import Tensor

from pfc_metarl.analysis import regret
from pfc_metarl.errors import InputError
from pfc_metarl.recording import behaviour
from pfc_metarl.tasks import RestlessBandit
from pfc_metarl.tasks.base import Episodes, Tape, Task
from pfc_metarl.tasks.observers import players
from pfc_metarl.tasks.observers.restless_bandit import (
    KalmanFilter,
    KalmanThompson,
    RestlessBanditObserver,
)
from pfc_metarl.tasks.restless_bandit import reflected

Play = Callable[[Task, Tape, Tensor], tuple[Episodes, Tensor, Tensor]]
Near = Callable[..., None]

EPISODES = 10_000


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def million() -> Tape:
    """The task as it comes, a million trials."""
    return RestlessBandit().draw(EPISODES, generator(1))


def p(tape: Tape) -> Tensor:
    """(trial, episode): probability of arm 0."""
    return tape["p_reward"][..., 0]


# The walk.


@pytest.mark.parametrize("trial", [0, 1, 99])
@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.8])
def test_p_is_uniform_at_every_trial(
    million: Tape, near: Near, trial: int, quantile: float
) -> None:
    near(p(million)[trial] < quantile, quantile)


def test_the_arms_pay_with_p_and_1_minus_p(million: Tape) -> None:
    torch.testing.assert_close(million["p_reward"].sum(-1), torch.ones(100, EPISODES))


@pytest.mark.parametrize("arm", [0, 1])
def test_outcomes_follow_the_probability_of_their_trial(
    million: Tape, near: Near, arm: int
) -> None:
    chance = million["p_reward"][..., arm]
    for low in (0.1, 0.5, 0.8):
        here = (chance >= low) & (chance < low + 0.1)
        near(million["payoff"][..., arm][here], chance[here].double().mean().item())


def test_either_volatility_is_as_likely_and_lasts_the_episode(
    million: Tape, near: Near
) -> None:
    volatility = million["volatility"]
    assert torch.equal(volatility, volatility[:1].expand_as(volatility))
    near(volatility[0] == torch.tensor(0.1), 0.5)
    assert set(volatility[0].tolist()) == set(torch.tensor([0.02, 0.1]).tolist())


@pytest.mark.parametrize("volatility", [0.02, 0.1])
def test_away_from_the_ends_a_step_is_gaussian_of_its_volatility(
    million: Tape, near: Near, volatility: float
) -> None:
    before, after = p(million)[:-1], p(million)[1:]
    here = (million["volatility"][1:] == torch.tensor(volatility)) & (
        (before - 0.5).abs() < 0.05
    )
    step = (after - before)[here] / volatility
    for quantile in (0.05, 0.5, 0.9):
        near(step < norm.ppf(quantile), quantile)


def test_steps_are_independent(million: Tape) -> None:
    middle = ((p(million) - 0.5).abs() < 0.2).all(0)
    step = (p(million)[1:] - p(million)[:-1])[:, middle]
    correlation = torch.corrcoef(torch.stack([step[1:].ravel(), step[:-1].ravel()]))
    assert correlation[0, 1].abs() < 4 / step[1:].numel() ** 0.5


def test_positions_beyond_the_ends_are_mirrored() -> None:
    position = torch.tensor([-0.2, 0.3, 1.0, 1.2, 1.9, 2.0, 2.3, -1.4])
    expected = torch.tensor([0.2, 0.3, 1.0, 0.8, 0.1, 0.0, 0.3, 0.6])
    torch.testing.assert_close(reflected(position), expected)


def test_the_fold_of_a_walk_is_the_walk_reflected_at_each_step() -> None:
    steps = 0.4 * torch.randn((6, 20_000), generator=generator(1))
    folded = reflected(0.1 + steps.sum(0))
    stepwise = torch.full((20_000,), 0.1)
    for step in 0.4 * torch.randn((6, 20_000), generator=generator(2)):
        stepwise = reflected(stepwise + step)
    assert ks_2samp(folded, stepwise).pvalue > 1e-3


def test_without_volatility_nothing_moves() -> None:
    tape = RestlessBandit(volatilities=(0.0,)).draw(20, generator(1))
    torch.testing.assert_close(p(tape), p(tape)[:1].expand(100, -1))


def test_the_latents_are_recorded(play: Play) -> None:
    task = RestlessBandit(trials=30)
    tape = task.draw(20, generator(1))
    episodes, _, _ = play(task, tape, torch.zeros(30, 20, dtype=torch.int64))
    columns = episodes.trials()
    assert torch.equal(columns["p_reward_0"], p(tape))
    assert torch.equal(columns["volatility"], tape["volatility"])
    assert torch.equal(columns["good_choice"] == 0, columns["p_reward_0"] > 0.5)


# The ideal observer.


def estimates(
    task: RestlessBandit, evidence: list[int], monkeypatch: pytest.MonkeyPatch
) -> list[float]:
    """The observer's expected p before each trial, when arm 0 pays as told."""
    seen: list[float] = []
    estimate = RestlessBanditObserver._estimate

    def watched(
        observer: RestlessBanditObserver, belief: Tensor, draw: torch.Generator
    ) -> Tensor:
        seen.append(estimate(observer, belief, draw).item())
        return estimate(observer, belief, draw)

    tape = task.draw(1, generator(1))
    spoke = torch.tensor(evidence, dtype=torch.float32)[:, None]
    payoff = torch.stack([spoke, 1 - spoke], dim=-1)
    with monkeypatch.context() as patch:
        patch.setattr(RestlessBanditObserver, "_estimate", watched)
        RestlessBanditObserver(task).play({**tape, "payoff": payoff}, generator(2))
    return seen


EVIDENCE = [1, 1, 0, 1, 1, 1, 0, 0]


@pytest.mark.parametrize("volatilities", [(0.1, 0.3), (0.02, 0.1), (0.0, 0.5), (0.05,)])
def test_the_belief_is_that_of_many_walks_weighted_by_what_was_seen(
    volatilities: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = RestlessBandit(trials=8, volatilities=volatilities)
    walks = p(task.draw(400_000, generator(3))).double()
    spoke = torch.tensor(EVIDENCE)[:, None] == 1
    weight = torch.where(spoke, walks, 1 - walks).cumprod(0)
    found = estimates(task, EVIDENCE, monkeypatch)
    assert found[0] == pytest.approx(0.5)
    for trial in range(1, 8):
        w = weight[trial - 1] / weight[trial - 1].sum()
        expected = (w * walks[trial]).sum().item()
        error = (w**2 * (walks[trial] - expected) ** 2).sum().item() ** 0.5
        assert abs(found[trial] - expected) < 4 * error + 1e-4


def test_without_volatility_the_belief_is_a_beta(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = RestlessBandit(trials=8, volatilities=(0.0,))
    found = estimates(task, EVIDENCE, monkeypatch)
    seen = np.cumsum([0, *EVIDENCE[:-1]])
    np.testing.assert_allclose(found, (1 + seen) / (2 + np.arange(8)), atol=1e-4)


def test_a_finer_grid_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    task = RestlessBandit(trials=8)
    coarse = estimates(task, EVIDENCE, monkeypatch)
    module = "pfc_metarl.tasks.observers.restless_bandit"
    monkeypatch.setattr(f"{module}.MIN_CELLS", 400)
    fine = estimates(task, EVIDENCE, monkeypatch)
    np.testing.assert_allclose(coarse, fine, atol=1e-4)


def test_players_lose_more_the_less_they_know() -> None:
    task = RestlessBandit()
    tape = task.draw(1_000, generator(1))
    tables = [
        behaviour(player.play(tape, generator(2)), ["player"], {})
        for player in players(task).values()
    ]
    lost = [regret(table).total_regret.item() for table in tables]
    assert lost == sorted(lost)
    assert lost[-1] == pytest.approx(25, abs=1)  # random: half of E|2p - 1| = 1/2


# Kalman filters.


def gaussian_estimate(
    evidence: list[int], drift: float, noise: float
) -> NDArray[np.float64]:
    """E(p after the last trial | evidence), from the joint Gaussian of everything."""
    n = len(evidence)
    earlier = np.minimum.outer(np.arange(n + 1), np.arange(n + 1))
    cov = 1 / 12 + drift * earlier  # of p at trials 0 to n
    seen = cov[:n, :n] + noise * np.eye(n)
    weights = np.linalg.solve(seen, cov[:n, n])
    estimate: NDArray[np.float64] = 0.5 + weights @ (np.array(evidence) - 0.5)
    return estimate


def test_the_kalman_filter_conditions_a_gaussian_walk() -> None:
    filtering = KalmanFilter(RestlessBandit(), volatility=0.15, noise=0.2)
    belief = filtering._prior()[None]
    for evidence in EVIDENCE:
        belief = filtering._updated(belief, torch.tensor([float(evidence)]))
    expected = gaussian_estimate(EVIDENCE, 0.15**2, 0.2)
    assert belief[0, 0].item() == pytest.approx(float(expected))


def test_by_default_the_kalman_filter_expects_the_mean_square_step() -> None:
    task = RestlessBandit(trials=30)
    tape = task.draw(50, generator(1))
    step = ((0.02**2 + 0.1**2) / 2) ** 0.5
    one, other = (
        KalmanFilter(task, volatility).play(tape, generator(2)).trials()["choice"]
        for volatility in (None, step)
    )
    assert torch.equal(one, other)


def test_kalman_thompson_samples_from_its_belief(near: Near) -> None:
    task = RestlessBandit(trials=2)
    player = KalmanThompson(task, volatility=0.1)
    columns = player.play(task.draw(100_000, generator(1)), generator(2)).trials()
    stays = columns["choice"][1] == columns["choice"][0]
    # Gain 1/3: the mean moves by 1/6, the variance is 2/3 of 1/12, and a step more.
    chance = norm.cdf(1 / 6 / (1 / 18 + 0.01) ** 0.5)
    near(stays[columns["reward"][0] == 1], chance)
    near(stays[columns["reward"][0] == 0], 1 - chance)


# What is refused.


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"volatilities": ()}, "volatilities is"),
        ({"volatilities": (0.1, -0.1)}, "volatilities is"),
        ({"volatilities": (float("nan"),)}, "volatilities is"),
        ({"trials": 0}, "trials is 0"),
    ],
)
def test_parameters_that_make_no_task_are_refused(
    wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        RestlessBandit(**wrong)


def test_a_volatility_too_small_for_the_grid_is_refused() -> None:
    with pytest.raises(InputError, match=r"at least 0\.002"):
        RestlessBanditObserver(RestlessBandit(volatilities=(0.001,)))


@pytest.mark.parametrize("wrong", [{"volatility": -1.0}, {"noise": 0.0}])
def test_parameters_of_a_filter_out_of_range_are_refused(
    wrong: dict[str, float],
) -> None:
    (name,) = wrong
    with pytest.raises(InputError, match=f"{name} is"):
        KalmanFilter(RestlessBandit(), **wrong)
