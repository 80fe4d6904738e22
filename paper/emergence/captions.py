"""What the captions of the card share: numbers of seeds, the same words everywhere."""

from collections.abc import Callable

import xarray as xr

from pfc_metarl.emergence.intervals import Interval, wilson
from pfc_metarl.paper.emergence.panels import of_setting, one_trial_player, title

DOTS = (
    "Dots are seeds: filled, it meets the criterion; open, it does not; a cross, its "
    "training diverged. Bars are means with their 95 % interval. Dotted lines: means "
    "of the ideal observer, of a player that remembers one trial, and chance."
)


def number(value: float, digits: int = 2) -> str:
    """Return a number with so many decimals; one that rounds to 0 has no sign."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def measured(values: xr.DataArray, digits: int = 2) -> str:
    """Return the mean over seeds and their range, NaN left out."""
    known = values.dropna("seed")
    if not known.size:
        return "(no seed has a number)"
    middle, low, high = (
        number(float(of), digits) for of in (known.mean(), known.min(), known.max())
    )
    if known.size == 1:
        return f"{middle} (one seed)"
    return f"{middle} (seeds {low} to {high})"


def share_emerged(of: xr.Dataset, condition: str) -> Interval:
    """Return the share of seeds of a condition that emerged, with Wilson's interval."""
    found = of.emerged.sel(condition=condition).values > 0
    return wilson(int(found.sum()), found.size)


def emerged(of: xr.Dataset, condition: str) -> str:
    """Return in how many seeds of a condition a learner emerged, with the interval."""
    share, n = share_emerged(of, condition), of.sizes["seed"]
    return (
        f"{round(share.estimate * n)} of {n} seeds [{share.low:.2f}, {share.high:.2f}]"
    )


def of_each_setting(results: xr.Dataset, say: Callable[[xr.Dataset], str]) -> list[str]:
    """Return what is seen in each setting, a paragraph each."""
    parts = [of_setting(results, name) for name in results.setting.values]
    return [f"{title(of)}: {say(of)}" for of in parts]


def all_indices(of: xr.Dataset) -> str:
    """Return the adaptation index of every condition, with the one-trial player's."""
    listed = ", ".join(
        f"{name} {measured(of.adaptation_index.sel(condition=name))}"
        for name in of.condition.values
    )
    return (
        f"adaptation index {listed}; of one trial's memory ({one_trial_player(of)}) "
        f"{number(float(of.one_trial_index))}."
    )
