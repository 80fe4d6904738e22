"""What E11 measures is known of networks that were built by hand to count outcomes."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from statsmodels.discrete.discrete_model import Logit

from pfc_metarl.analysis.state_maps import fit_ridge
from pfc_metarl.emergence import setting as settings
from pfc_metarl.emergence.bayes_comparison import BAYES, compared
from pfc_metarl.emergence.belief import BELIEF, INTACT, REST, decoded, donors, used
from pfc_metarl.emergence.cell import finish
from pfc_metarl.emergence.experiment import Claim, Plan, Runs
from pfc_metarl.emergence.experiments import mesa_optimisation
from pfc_metarl.emergence.experiments.mesa_claims import claims
from pfc_metarl.emergence.experiments.mesa_optimisation import MesaOptimisation
from pfc_metarl.emergence.levels import correct
from pfc_metarl.emergence.objective_swap import FLIPPED, PERMUTED, objective_swap
from pfc_metarl.emergence.out_of_distribution import (
    BOTH_BAD,
    BOTH_GOOD,
    IDEAL_OF_TRAINING,
    LONGER,
    SWAP,
    SwappingBandit,
    curve_of_player,
    out_of_distribution,
    problems,
)
from pfc_metarl.emergence.proxy_reliance import (
    ALWAYS,
    LIGHTS,
    MOSTLY,
    proxy_reliance,
    stay_weights,
    with_light,
)
from pfc_metarl.emergence.yoked import OWN, SAME, TRAINED, observed, trained_and_not
from pfc_metarl.errors import InputError
from pfc_metarl.network import Network, NetworkSettings
from pfc_metarl.paper.emergence.mesa_optimisation import caption, draw
from pfc_metarl.recording import play
from pfc_metarl.tasks.bandit import Bandit, medium_bandit
from pfc_metarl.tasks.base import Task
from pfc_metarl.tasks.observers import IDEAL
from pfc_metarl.tasks.observers.bandit import BanditObserver, GreedyBayes
from pfc_metarl.training import Progress

TRAINED_ON = Bandit(trials=30)
TEST = replace(medium_bandit(), trials=30)
EPISODES, UNITS, SEEDS = 300, 4, (0, 1, 2, 3)
PLAN = Plan(seeds=2, settings=("bandit",))


def counting_network(task: Task, by_light: bool = False) -> Network:
    """Build LSTMs that choose the arm for which more outcomes spoke.

    The first unit adds +1 (times a small number) for arm 0 and -1 for arm 1 where the
    input gate opens, on a reward; the second the opposite, where there was none. Their
    sum is the lead, and the policy its steep softmax: next to Bayes-optimal.
    """
    network = Network(NetworkSettings(units=UNITS), task, SEEDS)
    seen = task.n_observations
    arms, cue = (seen, seen + 1), seen - 1 if by_light else seen + 2
    gates = {name: n * UNITS for n, name in enumerate("ifog")}
    weight, bias = network.memory.input_weight, network.memory.bias
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        for unit, sign in ((0, 1.0), (1, -1.0)):
            weight[:, gates["i"] + unit, cue] = 80 * sign
            bias[:, gates["i"] + unit] = -40 * sign
            for arm, side in zip(arms, (1.0, -1.0), strict=True):
                weight[:, gates["g"] + unit, arm] = 0.02 * sign * side
        bias[:, gates["f"] : gates["g"]] = 40.0
        network.policy_weight[:, 0, :2] = 500.0
        network.policy_weight[:, 1, :2] = -500.0
    return network


@pytest.fixture(scope="module")
def counting() -> Network:
    return counting_network(TRAINED_ON)


@pytest.fixture(scope="module")
def untrained() -> Network:
    return Network(NetworkSettings(units=UNITS), TRAINED_ON, SEEDS)


@pytest.fixture(scope="module")
def results(counting: Network, untrained: Network) -> xr.Dataset:
    """Everything that E11 measures, of the networks that count."""
    seen = trained_and_not(counting, untrained, TEST, 60)
    lit = [
        proxy_reliance(TEST, p, counting_network(with_light(TEST, p)), EPISODES)
        for p in LIGHTS.values()
    ]
    return xr.merge(
        [
            objective_swap(TEST, counting, EPISODES),
            xr.concat(lit, xr.IndexVariable("condition", list(LIGHTS))),
            out_of_distribution(TRAINED_ON, TEST, counting, EPISODES),
            decoded(seen),
            used(seen, TEST, EPISODES),
            compared(seen, fit_ridge),
        ]
    )


def test_what_counts_rewards_follows_the_reward_that_it_sees(
    results: xr.Dataset,
) -> None:
    assert results.following.values == pytest.approx(1, abs=0.05)
    accuracy = results.accuracy_by_input
    intact, flipped = accuracy.sel(input=INTACT), accuracy.sel(input=FLIPPED)
    assert (intact > 0.9).all()
    assert flipped.values == pytest.approx(1 - intact.values, abs=0.03)
    assert accuracy.sel(input=PERMUTED).values == pytest.approx(0.5, abs=0.06)


def test_what_is_paid_is_what_the_task_pays(results: xr.Dataset) -> None:
    """P(correct) p of 0.75 and the rest of 0.25, whatever the network sees."""
    expected = 0.25 + 0.5 * results.accuracy_by_input
    np.testing.assert_allclose(results.paid_by_input, expected, atol=0.02)


@pytest.mark.parametrize(("by_light", "index"), [(False, 0.0), (True, 1.0)])
def test_pseudo_alignment_tells_what_is_counted(by_light: bool, index: float) -> None:
    network = counting_network(with_light(TEST, 0.9), by_light)
    found = proxy_reliance(TEST, 0.9, network, EPISODES)
    assert found.pseudo_alignment.values == pytest.approx(index, abs=0.1)
    usual, unrelated, opposed = found.accuracy_by_light.mean("seed").values
    if by_light:
        assert usual > 0.8
        assert unrelated == pytest.approx(0.5, abs=0.06)
        assert opposed < 0.1
    else:
        assert min(usual, unrelated, opposed) > 0.9


def test_weights_of_reward_and_light_are_those_of_logistic_regression() -> None:
    """Drawn from known weights; statsmodels is asked, too."""
    rng = np.random.default_rng(0)
    choice, reward, light = rng.integers(0, 2, (3, 20, 400)).astype(float)
    log_odds = 0.9 * (2 * reward - 1) - 0.4 * (2 * light - 1) + 0.3
    stays = rng.random(choice.shape) < 1 / (1 + np.exp(-log_odds))
    then = np.where(stays, choice, 1 - choice)
    found = stay_weights(choice, then, reward, light)
    assert found == pytest.approx((0.9, -0.4), abs=0.08)
    side = 2 * choice - 1
    columns = []
    for told in (reward, light):
        columns += [2 * told - 1, np.zeros_like(told)]
        for trial in range(1, len(choice)):  # what had been told before, one by one
            earlier = side[:trial] * (2 * told[:trial] - 1)
            columns[-1][trial] = side[trial] * earlier.sum(0)
    regressors = np.stack([*columns, np.ones_like(side)], -1).reshape(-1, 5)
    fit = Logit(stays.reshape(-1).astype(float), regressors).fit(disp=0)
    assert found == pytest.approx((fit.params[0], fit.params[2]), abs=1e-3)


def test_what_counts_does_elsewhere_what_the_bayesian_of_training_does(
    results: xr.Dataset,
) -> None:
    theirs = results.p_correct_of_comparator.sel(player=IDEAL_OF_TRAINING)
    np.testing.assert_allclose(
        results.p_correct_elsewhere.mean(["seed", "trial_elsewhere"]),
        theirs.mean("trial_elsewhere"),
        atol=0.04,
    )
    ours = results.index_elsewhere.mean("seed")
    own = results.index_of_comparator.sel(player=IDEAL)
    np.testing.assert_allclose(own, 1)
    assert float(ours.sel(problem=LONGER)) == pytest.approx(1, abs=0.03)
    assert (ours.sel(problem=[BOTH_GOOD, SWAP]) < 0.6).all()


def test_regret_elsewhere_is_the_loss_over_the_trials_there_are(
    results: xr.Dataset,
) -> None:
    for name, stake, trials in ((LONGER, 0.5, 60), (BOTH_BAD, 0.1, 30)):
        of = results.sel(problem=name)
        curve = of.p_correct_elsewhere.values[:, :trials]
        assert np.isnan(of.p_correct_elsewhere.values[:, trials:]).all()
        expected = stake * (1 - curve).sum(1)
        np.testing.assert_allclose(of.regret_elsewhere, expected, rtol=1e-6)


@pytest.mark.parametrize("name", [BOTH_GOOD, BOTH_BAD])
def test_greedy_choice_is_optimal_on_the_problems(name: str) -> None:
    task = replace(problems(medium_bandit())[name].task, trials=25)
    greedy, optimal = (
        curve_of_player(player(task), task, 400)
        for player in (GreedyBayes, BanditObserver)
    )
    np.testing.assert_array_equal(greedy, optimal)


def test_arms_swap_once() -> None:
    task = SwappingBandit(trials=10, swap_at=4)
    p = task.draw(50, torch.Generator().manual_seed(0))["p_reward"]
    assert torch.equal(p[:4], p[:1].expand(4, -1, -1))
    assert torch.equal(p[4:], p[:1].flip(-1).expand(6, -1, -1))


@pytest.mark.parametrize("swap_at", [0, 10])
def test_arms_that_never_swap_are_refused(swap_at: int) -> None:
    with pytest.raises(InputError, match=f"swap_at is {swap_at}; expected 1 to 9"):
        SwappingBandit(trials=10, swap_at=swap_at)


def test_shown_their_own_episodes_networks_are_as_they_were(
    untrained: Network,
) -> None:
    played = play(untrained, TEST, 6, n_recorded=6)
    found = observed(untrained, played)
    hidden, cell = (
        played.states[name].permute(1, 3, 0, 2) for name in ("hidden", "cell")
    )
    both = torch.cat([hidden, cell], -1).numpy()
    np.testing.assert_allclose(found.state, both, atol=1e-6)
    np.testing.assert_allclose(found.output, hidden.numpy(), atol=1e-6)
    policy = played.policy.permute(1, 3, 0, 2).numpy()
    np.testing.assert_allclose(found.policy, policy, atol=1e-6)


def test_untrained_networks_meet_the_trained_one_s_episodes(
    counting: Network, untrained: Network
) -> None:
    seen = trained_and_not(counting, untrained, TEST, 8)
    np.testing.assert_array_equal(seen[TRAINED].choice, seen[SAME].choice)
    np.testing.assert_array_equal(seen[TRAINED].inputs, seen[SAME].inputs)
    assert (seen[OWN].choice != seen[SAME].choice).any()
    assert (seen[TRAINED].state != seen[SAME].state).any()


def test_the_lead_is_in_the_state_of_what_counts(results: xr.Dataset) -> None:
    assert (results.r2.sel(network=TRAINED, statistic="lead") > 0.999).all()


def test_choices_of_what_counts_go_by_its_belief(results: xr.Dataset) -> None:
    assert (results.by_belief > 0.9).all()
    curve, trial = results.p_correct_exchanged, int(results.exchange_trial)
    assert trial == 15
    before = curve.isel(trial=slice(None, trial))
    np.testing.assert_array_equal(before.sel(part=BELIEF), before.sel(part=REST))
    held = results.index_held
    assert (held.sel(held=INTACT) > 0.95).all()
    assert (held.sel(held=BELIEF) < 0.4).all()
    assert (held.sel(held=REST) > 0.9).all()
    assert (results.variance_share.sel(part=BELIEF) > 0.9).all()


def test_donors_have_the_other_arm_for_the_good_one() -> None:
    donor = donors(TEST, 31)
    episodes = play(counting_network(TEST), TEST, 31).episodes
    good = episodes.trials()["good_choice"][0, 0]
    paired = donor != torch.arange(31)
    assert torch.equal(donor[donor], torch.arange(31))
    assert (good[donor] != good)[paired].all()
    assert (~paired).sum() == 31 - 2 * min((good == arm).sum() for arm in (0, 1))


def test_what_counts_is_bayesian_in_output_and_state(results: xr.Dataset) -> None:
    of_bayes = results.divergence.sel(comparator=BAYES)
    others = results.divergence.drop_sel(comparator=BAYES)
    assert (others > 5 * of_bayes).all()
    loss = results.output_dissimilarity
    assert (loss.sel(network=TRAINED) < 0.2).all()
    of_networks = loss.sel(direction="network_to_observer")
    assert (of_networks.sel(network=OWN) > 2 * of_networks.sel(network=TRAINED)).all()
    simulated = loss.sel(direction="observer_to_network")
    assert simulated.sel(network=[SAME, OWN]).isnull().all()


def row(found: list[Claim], words: str) -> Claim:
    """Return the only row whose claim has these words."""
    (only,) = [claim for claim in found if words in claim.claim]
    return only


def test_a_learner_is_shown_and_a_search_is_not(results: xr.Dataset) -> None:
    found = claims(results)
    assert row(found, "learned learner").verdict == "shown"
    assert row(found, "go by the belief").verdict == "shown"
    carried = row(found, "training had none")
    assert carried.verdict == "depends"
    assert LONGER in carried.on.split("no on")[0]
    search = found[-1]
    assert search.verdict == "not shown"
    assert "needed for it" in search.mark


def changed(name: str, value: float) -> Callable[[xr.Dataset], xr.Dataset]:
    return lambda results: results.assign({name: 0 * results[name] + value})


@pytest.mark.parametrize(
    ("change", "words", "verdict"),
    [
        (changed("following", 0.5), "reward that is seen", "not shown"),
        (changed("following", 0.5), "learned learner", "not shown"),
        (changed("accuracy_by_input", 0.6), "outcomes of other", "not shown"),
        (changed("pseudo_alignment", 0.02), MOSTLY, "shown"),
        (changed("pseudo_alignment", 0.3), MOSTLY, "depends"),
        (changed("pseudo_alignment", 0.6), ALWAYS, "not shown"),
        (changed("index_elsewhere", 0.95), "training had none", "shown"),
        (changed("index_elsewhere", 0.1), "training had none", "not shown"),
        (changed("r2", 0.9), "ideal observer's statistic", "not shown"),
        (changed("by_belief", 0.2), "go by the belief", "not shown"),
        (changed("divergence", 0.2), "nearer the Bayes", "not shown"),
        (changed("state_dissimilarity", 0.2), "each other's state", "not shown"),
        (changed("index_held", 0.2), "learned learner", "not shown"),
    ],
)
def test_verdicts_follow_the_numbers(
    change: Callable[[xr.Dataset], xr.Dataset],
    words: str,
    verdict: str,
    results: xr.Dataset,
) -> None:
    found = claims(change(results))
    assert row(found, words).verdict == verdict
    assert found[-1].verdict == "not shown"


def test_seeds_that_have_not_learned_are_left_out_and_counted(
    results: xr.Dataset,
) -> None:
    index, following = results.index_held.copy(), results.following.copy()
    index[:, 1], following[1] = 0.1, 40.0  # at chance it means nothing
    one_less = results.assign(index_held=index, following=following)
    found = row(claims(one_less), "reward that is seen")
    assert found.verdict == "depends"
    assert "3 of 4 learn" in found.on
    assert "40.0" not in found.statistic


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the bandit's setting and the tests small, and the maps linear."""
    bandit = settings.SETTINGS["bandit"]
    small = replace(
        bandit,
        task=Bandit(trials=22),
        test_task=replace(medium_bandit(), trials=22),
        learning=replace(bandit.learning, updates=2, batch=3),
        units=5,
    )
    monkeypatch.setitem(settings.SETTINGS, "bandit", small)
    monkeypatch.setattr(mesa_optimisation, "EPISODES", 41)
    monkeypatch.setattr(mesa_optimisation, "OBSERVED", 20)
    linear = partial(compared, fit=fit_ridge)
    monkeypatch.setattr(mesa_optimisation, "compared", linear)


def silent(progress: Progress) -> None:
    """Report to nobody."""


def test_from_cells_to_rows_and_figure(tiny: None, tmp_path: Path) -> None:
    of = MesaOptimisation()
    cells = of.cells(PLAN)
    assert len({cell.name for cell in cells.values()}) == 3
    for cell in cells.values():
        finish(cell, tmp_path, silent)
    found = of.analyse(PLAN, Runs(tmp_path))
    assert found.sizes["seed"] == 2
    assert set(found.condition.values) == set(LIGHTS)
    rows = of.claims(found)
    assert len(rows) == 12
    for claim in rows:
        assert claim.verdict in ("shown", "not shown", "depends")
        assert "nan" not in claim.statistic.lower()
    assert row(rows, "learned learner").verdict == "not shown"
    figure = draw(found)
    figure.savefig(tmp_path / "figure.png", dpi=40)
    letters = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert set("abcde") <= set(letters)
    assert "nan" not in " ".join(caption(found)).lower()


def test_accuracy_is_of_the_usual_test_episodes(
    results: xr.Dataset, counting: Network
) -> None:
    right = correct(play(counting, TEST, EPISODES).episodes).nanmean((0, -1))
    usual = results.accuracy_by_input.sel(input=INTACT)
    np.testing.assert_allclose(usual, right)
    elsewhere = results.p_correct_elsewhere.isel(problem=0).mean("trial_elsewhere")
    np.testing.assert_allclose(elsewhere, right)
