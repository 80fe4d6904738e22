"""E5: the network must be told its last action and its last reward."""

from collections.abc import Mapping

import xarray as xr

from pfc_metarl.configuration import Configuration
from pfc_metarl.emergence.comparison import INTACT, Comparison, in_words, removal
from pfc_metarl.emergence.experiment import Claim
from pfc_metarl.emergence.setting import with_network

NO_REWARD, NO_ACTION, NEITHER = "no reward input", "no action input", "neither"
DELAYS = (1, 2, 5)  # trials
MARK = 0.1


def delayed(trials: int) -> str:
    """Return what the condition of a delayed reward input is called."""
    return f"reward {trials} trial{'s' if trials > 1 else ''} late"


class InputsNeeded(Comparison):
    """Mask reward, action or both; delay the reward. Learning still gets every RPE.

    On the two-step task the ideal observer needs no action: the second-step state and
    the reward tell the block, whatever led there. That a learner emerges there without
    its actions is no argument against Wang et al. 2018. On the bandit, too, a network
    that comes to choose almost without chance knows what it chose. Rewards replaced by
    RPEs are not among the conditions.
    """

    name = "E5"
    title = "Reward and action inputs are necessary"

    def conditions(self, intact: Configuration) -> Mapping[str, Configuration]:
        """Return the intact system, masked and delayed ones."""
        per_trial = intact.task.steps_per_trial
        return {
            INTACT: intact,
            NO_REWARD: with_network(intact, reward_input=False),
            NO_ACTION: with_network(intact, action_input=False),
            NEITHER: with_network(intact, reward_input=False, action_input=False),
            **{
                delayed(trials): with_network(intact, reward_delay=trials * per_trial)
                for trials in DELAYS
            },
        }

    def claims(self, results: xr.Dataset) -> list[Claim]:
        """Judge: no adaptation at all with an input masked."""
        rows = []
        for setting in results.setting.values:
            for condition in (NO_REWARD, NO_ACTION, NEITHER):
                of = results.adaptation_index.sel(setting=setting, condition=condition)
                mark = f"AI of every seed within {MARK} of 0"
                rows.append(removal(results, setting, condition, mark, abs(of) < MARK))
            late = [in_words(results, setting, delayed(t)) for t in DELAYS]
            some = [
                int(results.emerged.sel(setting=setting, condition=delayed(t)).sum())
                for t in DELAYS
            ]
            rows.append(
                Claim(
                    f"{setting}: a learner emerges though reward is told late",
                    "; ".join(late),
                    "every seed emerges at every delay",
                    "shown"
                    if min(some) == results.sizes["seed"]
                    else ("depends" if any(some) else "not shown"),
                    "on the delay"
                    if any(some) and min(some) < results.sizes["seed"]
                    else "",
                )
            )
        return rows
