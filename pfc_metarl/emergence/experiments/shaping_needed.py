"""E3: the memory must be shaped by reinforcement learning."""

from collections.abc import Mapping

import xarray as xr

from pfc_metarl.configuration import Configuration
from pfc_metarl.emergence.comparison import INTACT, Comparison, removal
from pfc_metarl.emergence.experiment import Claim
from pfc_metarl.emergence.setting import with_learning

RANDOM_MEMORY = "random memory, trained readout"
UNTRAINED = "untrained"
MARK = 0.2


class ShapingNeeded(Comparison):
    """Leave the memory as it was drawn and train the readout; or train nothing."""

    name = "E3"
    title = "The memory must be shaped by reward"

    def conditions(self, intact: Configuration) -> Mapping[str, Configuration]:
        """Return the intact system, and one whose memory does not learn."""
        return {
            INTACT: intact,
            RANDOM_MEMORY: with_learning(intact, memory_learns=False),
        }

    def untrained(self, intact: Configuration) -> Mapping[str, Configuration]:
        """Return the intact system before training."""
        return {UNTRAINED: intact}

    def claims(self, results: xr.Dataset) -> list[Claim]:
        """Judge: an adaptation index below 0.2."""
        mark = f"AI of every seed below {MARK}"
        return [
            removal(
                results,
                setting,
                condition,
                mark,
                results.adaptation_index.sel(setting=setting, condition=condition)
                < MARK,
            )
            for setting in results.setting.values
            for condition in (RANDOM_MEMORY, UNTRAINED)
        ]
