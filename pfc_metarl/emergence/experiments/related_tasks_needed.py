"""E4: it takes a sequence of related tasks."""

from collections.abc import Mapping
from dataclasses import replace

import xarray as xr

from pfc_metarl.configuration import Configuration
from pfc_metarl.curriculum import Curriculum
from pfc_metarl.emergence.comparison import INTACT, Comparison, removal
from pfc_metarl.emergence.experiment import Claim
from pfc_metarl.emergence.intervals import mean
from pfc_metarl.tasks.two_step import TwoStep

PROBLEMS = (1, 2, 4, 8, 16, 64)
UNRELATED = "unrelated trials"
MARK = 0.2


def limited_to(problems: int) -> str:
    """Return what the condition of so many training problems is called."""
    return f"{problems} problem{'s' if problems > 1 else ''}"


def trained_on(intact: Configuration, problems: int) -> Configuration:
    """Return the intact system trained on a few problems only.

    Where rewards reverse within an episode, one problem is an episode without any
    reversal: a schedule of reversals would hold the whole task.
    """
    few = replace(intact, curriculum=Curriculum(problems=problems))
    if problems == 1 and isinstance(intact.task, TwoStep):
        return replace(few, task=replace(intact.task, p_reversal=0.0))
    return few


class RelatedTasksNeeded(Comparison):
    """Train on few problems, or on trials that have nothing in common.

    Every seed draws its own few problems, as they come: on the bandit, probabilities of
    reward, some of them near one half, so that among few it is chance whether both
    sides occur; on the two-step task, schedules of reversals, and one problem is a
    block that does not end. Unrelated trials leave nothing to learn within an episode,
    whatever the network: they show what training on them leaves behind.
    """

    name = "E4"
    title = "A sequence of related tasks is necessary"

    def conditions(self, intact: Configuration) -> Mapping[str, Configuration]:
        """Return training on 1, 2, ... problems, on all, and on unrelated trials."""
        return {
            **{limited_to(n): trained_on(intact, n) for n in PROBLEMS},
            INTACT: intact,
            UNRELATED: replace(intact, curriculum=Curriculum(related=False)),
        }

    def claims(self, results: xr.Dataset) -> list[Claim]:
        """Judge: no adaptation to held-out problems after one, or unrelated ones."""
        rows = []
        for setting in results.setting.values:
            for condition in (limited_to(1), UNRELATED):
                of = results.sel(setting=setting, condition=condition)
                mark = f"AI of every seed below {MARK}"
                within = of.adaptation_index < MARK
                row = removal(results, setting, condition, mark, within)
                if condition == limited_to(1):
                    sides = of.p_correct_by_side
                    high, low = sides.max("side").mean(), sides.min("side").mean()
                    text = (
                        f"; P(correct) {float(high):.2f} where the choice that each "
                        f"seed prefers is good, {float(low):.2f} where it is not"
                    )
                    row = replace(row, statistic=row.statistic + text)
                rows.append(row)
            of_index = results.adaptation_index.sel(setting=setting)
            names = [limited_to(n) for n in PROBLEMS] + [INTACT]
            means = [float(of_index.sel(condition=name).mean()) for name in names]
            gain = mean(
                of_index.sel(condition=INTACT) - of_index.sel(condition=names[0])
            )
            enough = [
                name
                for name in names
                if results.emerged.sel(setting=setting, condition=name).all()
            ]
            rows.append(
                Claim(
                    f"{setting}: a better learner comes from all problems than one",
                    "AI "
                    + ", ".join(
                        f"{m:.2f} ({n})" for n, m in zip(names, means, strict=True)
                    )
                    + f"; all - one {gain.estimate:.2f} [{gain.low:.2f}, "
                    f"{gain.high:.2f}]; all seeds emerge from: "
                    + (", ".join(enough) or "none"),
                    "all problems better than one, lower bound above 0",
                    "shown" if gain.low > 0 else "not shown",
                )
            )
        return rows
