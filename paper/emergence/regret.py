"""Regret of an episode: what the networks of E1 and the players lose, in rewards."""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from pfc_metarl.emergence.comparison import INTACT
from pfc_metarl.emergence.levels import CHANCE
from pfc_metarl.emergence.setting import SETTINGS
from pfc_metarl.paper.emergence.panels import diverged
from pfc_metarl.paper.style import BLUE, GREY

NETWORKS, RANDOM = "networks", "random choice"


def stake(of: xr.Dataset) -> float:
    """Return by how much the good choice pays more often, in the test of a setting."""
    return SETTINGS[str(of.setting.values)].stake


def of_networks(of: xr.Dataset) -> xr.DataArray:
    """Return the regret of each network, (seed,), NaN if it has no P(correct)."""
    return _loss(of, of.p_correct.sel(condition=INTACT))


def of_players(of: xr.Dataset) -> dict[str, float]:
    """Return the regret of each player that plays the task of a setting."""
    losses = _loss(of, of.p_correct_of_player.dropna("player", how="all"))
    return dict(zip(map(str, losses.player.values), map(float, losses), strict=True))


def of_chance(of: xr.Dataset) -> float:
    """Return the regret of choosing at random."""
    return stake(of) * (1 - CHANCE) * of.sizes["trial"]


def _loss(of: xr.Dataset, p_correct: xr.DataArray) -> xr.DataArray:
    """Stake times the expected number of trials without the good choice."""
    return stake(of) * (1 - p_correct).sum("trial", skipna=False)


def draw_regret(axes: Axes, of: xr.Dataset) -> None:
    """Draw the regret of networks, every seed a dot, of the players and of chance."""
    networks, chance = of_networks(of), of_chance(of)
    edge = 1.3 * chance
    bars = dict(_bars(of))
    places = range(len(bars))
    colours = [BLUE] + [GREY] * (len(bars) - 1)
    axes.barh(places, list(bars.values()), color=colours, alpha=0.35)
    failed = diverged(of.sel(condition=INTACT)) | networks.isnull().values
    spread = np.linspace(-0.3, 0.3, networks.size + 2)[1:-1]
    for which, marker in ((~failed, "o"), (failed, "x")):
        x = networks.fillna(0.96 * edge).values[which]
        axes.plot(x, spread[which], marker, ms=2.5, mew=0.6, color=BLUE)
    beyond = {NETWORKS: float(networks.max())}
    for place, (name, value) in zip(places, bars.items(), strict=True):
        if np.isfinite(value):
            axes.annotate(
                f"{value:.1f}",
                (beyond.get(name, value), place),
                (4, 0),
                textcoords="offset points",
                va="center",
                size=5.5,
            )
    axes.set_yticks(places, list(bars))
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(len(bars) - 0.4, -0.6), xlim=(0, edge), title="Expected loss")
    axes.set_xlabel("Regret of an episode (rewards)")


def _bars(of: xr.Dataset) -> Iterator[tuple[str, float]]:
    """Networks first, then the players, the best first, and chance."""
    yield NETWORKS, float(of_networks(of).mean())
    yield from sorted(of_players(of).items(), key=lambda pair: pair[1])
    yield RANDOM, of_chance(of)
