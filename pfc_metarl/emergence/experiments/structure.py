"""E8: the inner algorithm fits the structure of its tasks, which the outer does not."""

from collections.abc import Mapping
from dataclasses import replace

import xarray as xr

from pfc_metarl.configuration import FAST_BANDIT, Configuration
from pfc_metarl.emergence.cell import Cell
from pfc_metarl.emergence.comparison import INTACT
from pfc_metarl.emergence.dependent_arms import belief_followed, regret_on
from pfc_metarl.emergence.experiment import Claim, Experiment, Plan, Runs
from pfc_metarl.emergence.informative_arm import asking
from pfc_metarl.emergence.intervals import mean, sign_test
from pfc_metarl.emergence.levels import CHANCE
from pfc_metarl.emergence.planned_choices import planning
from pfc_metarl.emergence.setting import SETTINGS
from pfc_metarl.emergence.wording import estimated, estimated_and_range, of_every_seed
from pfc_metarl.errors import InputError
from pfc_metarl.stopping import Stopping
from pfc_metarl.tasks.bandit import CORRELATED, INDEPENDENT, Bandit, independent_bandit
from pfc_metarl.tasks.base import Task
from pfc_metarl.tasks.informative_bandit import InformativeBandit

BANDIT, INFORMATIVE, TWO_STEP = "bandit", "informative-bandit", "two-step"
TESTED = "0.25 / 0.75"
TASK = InformativeBandit(reward_cue=True)  # Wang et al. 2016: the reward one-hot
LEARNING = replace(
    FAST_BANDIT,
    discount=0.9,
    learning_rate=1.5e-2,
    entropy_cost=1.0,
    batch=128,
    updates=300,
)
"""Settings that learn the informative arm soonest (a guess: seeds 100 to 111).

The arm is worth while only to who can use what it tells, and until then pays least of
all: a high entropy cost, which falls from 1 to 0, keeps it being tried.
"""
EPISODES = 300  # Wang et al. 2016: evaluation episodes
ASKS = 0.9


class Structure(Experiment):
    """Whether what is learned in the activity depends on what the tasks share.

    1. One outer algorithm trains for as long on independent arms, or on arms that sum
       to 1. Both learners are tested on 0.25 / 0.75, which either may have met; and on
       independent arms, since a learner that was merely trained less well would lose on
       both. Then both are told the same past, from which the two structures imply
       different beliefs, and their policies tell which is followed.
    2. One arm pays less than any other and tells where the best is: to ask it first is
       against reward learning, but not against what the tasks have in common.
    3. On the two-step task, whether reward acts through the transition.
    """

    name = "E8"
    title = "The inner algorithm fits the structure of its tasks"

    def cells(self, plan: Plan) -> Mapping[tuple[str, str], Cell]:
        """Return the cells; those on correlated arms and two-step are E1's, too."""
        dependent, two_step = (
            SETTINGS[name].configuration(plan.seeds, plan.kernels)
            for name in (BANDIT, TWO_STEP)
        )
        arms = replace(independent_bandit(), trials=dependent.task.trials)
        return {
            (BANDIT, CORRELATED): Cell(dependent, BANDIT),
            (BANDIT, INDEPENDENT): Cell(replace(dependent, task=arms), BANDIT),
            (INFORMATIVE, INTACT): Cell(informative(plan)),
            (TWO_STEP, INTACT): Cell(two_step, TWO_STEP),
        }

    def analyse(self, plan: Plan, runs: Runs) -> xr.Dataset:
        """Measure regret, where the informative arm is used, and two-step choices.

        Returns
        -------
        xarray.Dataset
            Of :func:`pfc_metarl.emergence.dependent_arms.regret_on`, with the
            dimensions (trained_on, tested_on) in front, and
            :func:`pfc_metarl.emergence.dependent_arms.belief_followed`, with
            trained_on; of :func:`pfc_metarl.emergence.informative_arm.asking` and
            :func:`pfc_metarl.emergence.planned_choices.planning`.
        """
        cells = self.cells(plan)
        told, choices = cells[INFORMATIVE, INTACT], cells[TWO_STEP, INTACT]
        return xr.merge(
            [
                _arms(cells[BANDIT, CORRELATED], cells[BANDIT, INDEPENDENT], runs),
                asking(TASK, runs.networks(told), EPISODES),
                planning(
                    choices.configuration.tested_on, runs.networks(choices), EPISODES
                ),
            ]
        )

    def claims(self, results: xr.Dataset) -> list[Claim]:
        """Judge: less regret where arms depend, the arm asked first, planning."""
        return [*_regrets(results), _belief(results), _asks(results), *_plans(results)]


def informative(plan: Plan) -> Configuration:
    """Return the system that learns the informative bandit."""
    return Configuration(
        INFORMATIVE,
        TASK,
        "emergence",
        plan.seeds,
        learning=LEARNING,
        kernels=plan.kernels,
        stopping=Stopping(fraction=0.8, every=10, episodes=100, leave=False),
        test_episodes=EPISODES,
        recorded_episodes=0,
    )


def _arms(correlated: Cell, independent: Cell, runs: Runs) -> xr.Dataset:
    """Put both through both tests: the same episodes for all."""
    tests = {
        TESTED: _bandit(correlated.configuration.tested_on),
        INDEPENDENT: _bandit(independent.configuration.task),
    }
    rows = []
    for cell in (correlated, independent):
        network, trained_on = runs.networks(cell), _bandit(cell.configuration.task)
        regrets = [regret_on(trained_on, t, network, EPISODES) for t in tests.values()]
        by_test = xr.concat(regrets, xr.IndexVariable("tested_on", list(tests)))
        belief = belief_followed(tests[INDEPENDENT], network, EPISODES)
        rows.append(by_test.merge(belief))
    return xr.concat(rows, xr.IndexVariable("trained_on", [CORRELATED, INDEPENDENT]))


def _bandit(task: Task) -> Bandit:
    if not isinstance(task, Bandit):
        raise InputError(f"the setting '{BANDIT}' has {task}; expected a Bandit")
    return task


def _regrets(results: xr.Dataset) -> list[Claim]:
    """Judge each test: who was trained for it has less regret."""
    there, home = (
        _regret(results, test, own, other)
        for test, own, other in (
            (TESTED, CORRELATED, INDEPENDENT),
            (INDEPENDENT, INDEPENDENT, CORRELATED),
        )
    )
    if there.verdict == "shown" and home.verdict != "shown":
        reason = (
            "on training: on independent arms, too, those trained on them are no "
            "better, so they may have learned less in as many updates"
        )
        there = replace(there, verdict="depends", on=reason)
    return [there, home]


def _regret(results: xr.Dataset, test: str, own: str, other: str) -> Claim:
    of, ideal = (
        results[name].sel(tested_on=test) for name in ("regret", "regret_of_ideal")
    )
    gain = (of.sel(trained_on=own) - of.sel(trained_on=other)).values
    words = [
        f"{estimated(of.sel(trained_on=on))} trained on {on} arms (player that is "
        f"optimal on these: {float(ideal.sel(trained_on=on)):.2f})"
        for on in (own, other)
    ]
    return Claim(
        f"bandit: on {test} arms, regret is lower after training on {own} arms",
        f"regret {', '.join(words)}; paired difference {estimated(gain)}, below 0 in "
        f"{int((gain < 0).sum())} of {gain.size} seeds, sign test p = "
        f"{sign_test(gain):.2g}",
        "paired difference below 0 with its interval",
        "shown" if mean(gain).high < 0 else "not shown",
    )


def _belief(results: xr.Dataset) -> Claim:
    dependent, independent = (
        results.follows_dependence.sel(trained_on=on)
        for on in (CORRELATED, INDEPENDENT)
    )
    change = (dependent - independent).values
    shown = mean(change).low > 0 and mean(dependent).low > CHANCE
    agreed = results.follows_both.mean("seed")
    return Claim(
        "bandit: told the same past, only networks trained on dependent arms take them "
        "for dependent",
        "where the beliefs that arms are dependent and independent disagree, P(choice "
        f"as if dependent) {estimated_and_range(dependent)} trained on {CORRELATED} "
        f"arms, {estimated_and_range(independent)} on {INDEPENDENT} arms; paired "
        f"difference {estimated(change)}, above 0 in {int((change > 0).sum())} of "
        f"{change.size} seeds, sign test p = {sign_test(change):.2g} (P(better arm) "
        f"where they agree: {float(agreed.sel(trained_on=CORRELATED)):.2f} and "
        f"{float(agreed.sel(trained_on=INDEPENDENT)):.2f})",
        f"paired difference above 0, and above {CHANCE} trained on {CORRELATED} arms, "
        "with their intervals",
        "shown" if shown else "not shown",
    )


def _asks(results: xr.Dataset) -> Claim:
    first = results.p_informative.isel(informative_trial=0)
    then = results.p_target.isel(informative_trial=slice(1, None))
    verdict, on = of_every_seed(first > ASKS)
    by_player = ", ".join(
        f"{name} {float(results.reward_of_player.sel(player=name)):.2f}"
        for name in results.player.values
    )
    return Claim(
        "informative bandit: the arm that pays least is chosen first, for what it "
        "tells",
        f"P(informative arm on trial 1) {estimated_and_range(first)}; P(target from "
        f"trial 2) {estimated_and_range(then.mean('informative_trial'))}; reward per "
        f"trial {estimated(results.reward)} (players: {by_player})",
        f"P(informative arm on trial 1) above {ASKS} in every seed",
        verdict,
        on,
    )


def _plans(results: xr.Dataset) -> list[Claim]:
    """Judge stay probability and history regression alike."""
    rows = []
    for name, planned, plain in (
        ("probability to stay", "interaction", "reward_effect"),
        ("history regression", "planning_index", "model_free_index"),
    ):
        through, alone = results[planned], results[plain]
        of_ideal = [float(results[f"{effect}_of_ideal"]) for effect in (planned, plain)]
        share = float(alone.mean() / through.mean())
        above, none = mean(through).low > 0, mean(alone).low <= 0 <= mean(alone).high
        rows.append(
            Claim(
                f"two-step: reward acts through the transition ({name})",
                f"reward x transition {estimated_and_range(through)}; reward alone "
                f"{estimated_and_range(alone)} (the ideal observer, which is "
                f"model-based: {of_ideal[0]:.2f} and {of_ideal[1]:.2f})",
                "reward x transition above 0 with its interval; the interval of reward "
                "alone holds 0",
                "not shown" if not above else ("shown" if none else "depends"),
                ""
                if none or not above
                else "on the mark for reward alone: it is not 0, but "
                f"{share:.1%} of reward x transition; the ideal observer's is "
                f"{of_ideal[1] / of_ideal[0]:.1%}",
            )
        )
    return rows
