"""Ideal observers and classic baselines, by task: what can be earned, and how."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.bandit import Bandit
from pfc_metarl.tasks.base import Task
from pfc_metarl.tasks.contextual import BarcodeBandit
from pfc_metarl.tasks.daw_two_step import DawTwoStep
from pfc_metarl.tasks.episodic_two_step import EpisodicTwoStep
from pfc_metarl.tasks.foraging import Foraging
from pfc_metarl.tasks.harlow import Harlow
from pfc_metarl.tasks.harlow_gaze import HarlowGaze
from pfc_metarl.tasks.harlow_pixels import HarlowPixels
from pfc_metarl.tasks.inferred_value import InferredValue
from pfc_metarl.tasks.informative_bandit import InformativeBandit
from pfc_metarl.tasks.kool_two_step import KoolTwoStep
from pfc_metarl.tasks.observers.bandit import BanditObserver, GreedyBayes
from pfc_metarl.tasks.observers.bandits import (
    UCB1,
    RandomPlayer,
    RescorlaWagner,
    ThompsonSampling,
    WinStayLoseShift,
)
from pfc_metarl.tasks.observers.base import Player
from pfc_metarl.tasks.observers.contextual import BarcodeObserver
from pfc_metarl.tasks.observers.daw_two_step import DawTwoStepObserver
from pfc_metarl.tasks.observers.episodic_two_step import EpisodicTwoStepObserver
from pfc_metarl.tasks.observers.foraging import (
    BayesianForager,
    KnownRates,
    Matching,
    RandomForager,
    WinStayLoseShiftForager,
)
from pfc_metarl.tasks.observers.gittins import Gittins
from pfc_metarl.tasks.observers.harlow import HarlowObserver
from pfc_metarl.tasks.observers.harlow_gaze import GazeObserver, PixelsObserver
from pfc_metarl.tasks.observers.hybrid import HybridLearner
from pfc_metarl.tasks.observers.inferred_value import (
    ExperiencedValue,
    InferredValueObserver,
)
from pfc_metarl.tasks.observers.informative_bandit import (
    InformativeBanditObserver,
    SearchPlayer,
)
from pfc_metarl.tasks.observers.kool_two_step import KoolTwoStepObserver
from pfc_metarl.tasks.observers.restless_bandit import (
    KalmanFilter,
    KalmanThompson,
    RestlessBanditObserver,
)
from pfc_metarl.tasks.observers.reversal import ReversalObserver, WhatWhereObserver
from pfc_metarl.tasks.observers.risk import GreedyRisk, RiskObserver
from pfc_metarl.tasks.observers.two_step import TwoStepObserver
from pfc_metarl.tasks.observers.volatility import (
    BehrensLearner,
    FixedRate,
    VolatilityObserver,
)
from pfc_metarl.tasks.restless_bandit import RestlessBandit
from pfc_metarl.tasks.reversal import Reversal, ThreeArmReversal
from pfc_metarl.tasks.risk import RiskyChoice, StOngeRats
from pfc_metarl.tasks.two_step import TwoStep
from pfc_metarl.tasks.two_step_versions import (
    AkamMice,
    CastroPeople,
    MillerRats,
    Wang2016TwoStep,
)
from pfc_metarl.tasks.volatility import Volatility
from pfc_metarl.tasks.what_where_reversal import WhatWhereReversal

IDEAL = "ideal"

_Players = Mapping[str, Callable[[Any], Player]]
_TWO_STEP: _Players = {
    IDEAL: TwoStepObserver,
    "last trial": partial(TwoStepObserver, memory_trials=1),
}
_HYBRIDS: _Players = {
    "model-based": partial(HybridLearner, model_based_weight=1.0),
    "hybrid": HybridLearner,
    "model-free": partial(HybridLearner, model_based_weight=0.0),
    "random": partial(HybridLearner, inverse_temperature=0.0),
}
_RISK: _Players = {
    IDEAL: RiskObserver,
    "greedy Bayes": GreedyRisk,
    "random": RandomPlayer,
}

PLAYERS: dict[type[Task], Mapping[str, Callable[[Any], Player]]] = {
    TwoStep: _TWO_STEP,
    Wang2016TwoStep: _TWO_STEP,
    MillerRats: _TWO_STEP,
    AkamMice: _TWO_STEP,
    CastroPeople: _TWO_STEP,
    DawTwoStep: {IDEAL: DawTwoStepObserver, **_HYBRIDS},
    KoolTwoStep: {IDEAL: KoolTwoStepObserver, **_HYBRIDS},
    Reversal: {
        IDEAL: ReversalObserver,
        "Rescorla-Wagner": RescorlaWagner,
        "win-stay-lose-shift": WinStayLoseShift,
        "random": RandomPlayer,
    },
    ThreeArmReversal: {
        "greedy Bayes": ReversalObserver,  # looking ahead earns about 1 % more
        "win-stay-lose-shift": WinStayLoseShift,
        "Rescorla-Wagner": RescorlaWagner,
        "random": RandomPlayer,
    },
    WhatWhereReversal: {
        IDEAL: WhatWhereObserver,
        "win-stay-lose-shift": WinStayLoseShift,
        "random": RandomPlayer,
    },
    Bandit: {
        IDEAL: BanditObserver,
        "greedy Bayes": GreedyBayes,
        "Gittins": Gittins,
        "Thompson": ThompsonSampling,
        "UCB1": UCB1,
        "win-stay-lose-shift": WinStayLoseShift,
        "random": RandomPlayer,
    },
    RestlessBandit: {
        IDEAL: RestlessBanditObserver,
        "Kalman": KalmanFilter,
        "Rescorla-Wagner": RescorlaWagner,
        "UCB1": UCB1,
        "Kalman Thompson": KalmanThompson,
        "win-stay-lose-shift": WinStayLoseShift,
        "random": RandomPlayer,
    },
    InformativeBandit: {
        IDEAL: InformativeBanditObserver,
        "search": SearchPlayer,
        "random": RandomPlayer,
    },
    Foraging: {
        "known rates": KnownRates,
        "greedy Bayes": BayesianForager,
        "matching law": Matching,
        "local matching": partial(Matching, memory_trials=10),
        "win-stay-lose-shift": WinStayLoseShiftForager,
        "random": RandomForager,
    },
    Volatility: {
        IDEAL: VolatilityObserver,
        "Behrens": BehrensLearner,
        "learning rate 0.2": partial(FixedRate, learning_rate=0.2),
        "learning rate 0.05": partial(FixedRate, learning_rate=0.05),
        "learning rate 0.5": partial(FixedRate, learning_rate=0.5),
        "win-stay-lose-shift": WinStayLoseShift,
        "random": RandomPlayer,
    },
    InferredValue: {
        IDEAL: InferredValueObserver,
        "experience only": ExperiencedValue,
    },
    Harlow: {
        IDEAL: HarlowObserver,
        "win-stay-lose-shift by side": WinStayLoseShift,
        "random": RandomPlayer,
    },
    HarlowGaze: {IDEAL: GazeObserver},
    HarlowPixels: {IDEAL: PixelsObserver},
    RiskyChoice: _RISK,
    StOngeRats: _RISK,
    BarcodeBandit: {
        IDEAL: BarcodeObserver,
        "no memory of visits": partial(BarcodeObserver, remembers=False),
        "random": RandomPlayer,
    },
    EpisodicTwoStep: {
        IDEAL: EpisodicTwoStepObserver,
        "no memory of contexts": TwoStepObserver,
    },
}
"""Players by task and name, each made from the task; the strongest first.

The name ``"ideal"`` is kept for exact Bayesian inference with a choice that is optimal
or, as the player's documentation then says, greedy and next to optimal.
"""


def players(task: Task) -> dict[str, Player]:
    """Return the players of a task, by name, without those that refuse its parameters.

    :func:`ideal_observer` tells why the ideal observer does.
    """
    found = {}
    for name, make in PLAYERS.get(type(task), {}).items():
        with suppress(InputError):
            found[name] = make(task)
    return found


def ideal_observer(task: Task) -> Player:
    """Return the ideal observer of a task.

    Raises
    ------
    InputError
        When the task has none, or none for its parameters.
    """
    known = PLAYERS.get(type(task), {})
    if IDEAL not in known:
        raise InputError(f"{type(task).__name__}: no ideal observer is known")
    return known[IDEAL](task)


__all__ = ["IDEAL", "PLAYERS", "Player", "ideal_observer", "players"]
