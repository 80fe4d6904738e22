"""The three conditions together: each present or removed, same seeds, 2 x 2 x 2."""

from collections.abc import Mapping
from itertools import product

import xarray as xr

from pfc_metarl.configuration import Configuration
from pfc_metarl.emergence.comparison import Comparison, in_words
from pfc_metarl.emergence.experiment import Claim
from pfc_metarl.emergence.experiments.related_tasks_needed import trained_on
from pfc_metarl.emergence.setting import with_learning, with_network

ALL = "memory + shaped + related"


def called(memory: bool, shaped: bool, related: bool) -> str:
    """Return what a combination is called."""
    present = (("memory", memory), ("shaped", shaped), ("related", related))
    return " + ".join(name for name, there in present if there) or "none of the three"


class ThreeConditions(Comparison):
    """Memory or none; shaped by reward or left as drawn; all problems or one.

    Wang et al. 2018 claim that the three suffice; E2 to E4 remove one at a time, and
    say what each removal leaves: without memory a network still sees the last trial's
    reward, and on the two-step task its own note of it.
    """

    name = "2x2x2"
    title = "The three conditions together"

    def conditions(self, intact: Configuration) -> Mapping[str, Configuration]:
        """Return the eight combinations."""
        systems = {}
        for memory, shaped, related in product((True, False), repeat=3):
            system = intact
            if not memory:
                system = with_network(system, memory="none")
            if not shaped:
                system = with_learning(system, memory_learns=False)
            if not related:
                system = trained_on(system, 1)
            systems[called(memory, shaped, related)] = system
        return systems

    def claims(self, results: xr.Dataset) -> list[Claim]:
        """Judge: with all three every seed emerges, without any one of them none."""
        rows = []
        for setting in results.setting.values:
            of = results.emerged.sel(setting=setting)
            everyone = bool(of.sel(condition=ALL).all())
            others = [c for c in results.condition.values if c != ALL]
            exceptions = [c for c in others if of.sel(condition=c).any()]
            words = [in_words(results, setting, c) for c in (ALL, *others)]
            rows.append(
                Claim(
                    f"{setting}: the three conditions suffice, and each is needed",
                    "; ".join(words),
                    "every seed with all three; no seed otherwise",
                    "shown"
                    if everyone and not exceptions
                    else ("depends" if everyone else "not shown"),
                    f"seeds emerge without one of them: {', '.join(exceptions)}"
                    if exceptions
                    else "",
                )
            )
        return rows
