"""E2: without memory nothing is learned within an episode."""

from collections.abc import Mapping
from itertools import pairwise

import xarray as xr

from pfc_metarl.configuration import Configuration
from pfc_metarl.emergence.comparison import INTACT, Comparison, removal
from pfc_metarl.emergence.experiment import Claim
from pfc_metarl.emergence.intervals import mean
from pfc_metarl.emergence.setting import with_network

NO_MEMORY = "no memory"
HORIZONS = (1, 2, 5, 10)  # trials
TOLERANCE = 0.02  # of the adaptation index


def reach(trials: int) -> str:
    """Return what the condition of a horizon is called."""
    return f"reset every {f'{trials} trials' if trials > 1 else 'trial'}"


class MemoryNeeded(Comparison):
    """Take the memory away, or cut it to its last trials, in training and testing.

    The memory is cut by putting it back into its initial state every so many trials, so
    that on average it reaches back half as far. A network without memory, or just
    reset, still sees its last action and reward. On the bandit that is the last trial.
    On the two-step task the last action is the response at the second-step state, which
    has no effect: a network can learn to answer there with a note of the state to
    itself, which survives the reset. Some do; there, memory is cut less than is said.
    """

    name = "E2"
    title = "Memory is necessary"

    def conditions(self, intact: Configuration) -> Mapping[str, Configuration]:
        """Return the intact system, one without memory, and shorter memories."""
        per_trial = intact.task.steps_per_trial
        return {
            INTACT: intact,
            NO_MEMORY: with_network(intact, memory="none"),
            **{
                reach(trials): with_network(intact, horizon=trials * per_trial)
                for trials in HORIZONS
            },
        }

    def claims(self, results: xr.Dataset) -> list[Claim]:
        """Judge: no better than one trial's memory without, better with more."""
        rows = []
        for setting in results.setting.values:
            of = results.adaptation_index.sel(setting=setting)
            one = float(results.one_trial_index.sel(setting=setting))
            within = of.sel(condition=NO_MEMORY) <= one + TOLERANCE
            mark = f"AI at most one trial's memory, {one:.2f} + {TOLERANCE}"
            rows.append(removal(results, setting, NO_MEMORY, mark, within))
            names = [reach(trials) for trials in HORIZONS] + [INTACT]
            means = [float(of.sel(condition=name).mean()) for name in names]
            first = of.sel(condition=INTACT) - of.sel(condition=names[0])
            gain = mean(first.values)
            rises = all(b > a - 0.01 for a, b in pairwise(means))
            rows.append(
                Claim(
                    f"{setting}: the rarer memory is reset, the more is learned",
                    "AI "
                    + ", ".join(
                        f"{m:.2f} ({n})" for n, m in zip(names, means, strict=True)
                    )
                    + f"; intact - reset every trial {gain.estimate:.2f} "
                    f"[{gain.low:.2f}, {gain.high:.2f}]",
                    "rises throughout (within 0.01), gain above 0",
                    "shown" if rises and gain.low > 0 else "not shown",
                )
            )
        return rows
