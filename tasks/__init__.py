"""The tasks: each a distribution of related problems, simulated in batches."""

from pfc_metarl.tasks.bandit import Bandit
from pfc_metarl.tasks.base import Episodes, Tape, Task, side_by_side
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

TASKS: dict[str, type[Task]] = {
    "two-step": TwoStep,
    "two-step-wang2016": Wang2016TwoStep,
    "two-step-miller-rats": MillerRats,
    "two-step-akam-mice": AkamMice,
    "two-step-castro-people": CastroPeople,
    "daw-two-step": DawTwoStep,
    "kool-two-step": KoolTwoStep,
    "reversal": Reversal,
    "three-arm-reversal": ThreeArmReversal,
    "what-where-reversal": WhatWhereReversal,
    "bandit": Bandit,
    "restless-bandit": RestlessBandit,
    "informative-bandit": InformativeBandit,
    "foraging": Foraging,
    "volatility": Volatility,
    "inferred-value": InferredValue,
    "harlow": Harlow,
    "harlow-gaze": HarlowGaze,
    "harlow-pixels": HarlowPixels,
    "risk": RiskyChoice,
    "risk-st-onge-rats": StOngeRats,
    "barcode-bandit": BarcodeBandit,
    "episodic-two-step": EpisodicTwoStep,
}
"""Tasks by name: the common tests run over them."""

__all__ = [
    "TASKS",
    "AkamMice",
    "Bandit",
    "BarcodeBandit",
    "CastroPeople",
    "DawTwoStep",
    "Episodes",
    "EpisodicTwoStep",
    "Foraging",
    "Harlow",
    "HarlowGaze",
    "HarlowPixels",
    "InferredValue",
    "InformativeBandit",
    "KoolTwoStep",
    "MillerRats",
    "RestlessBandit",
    "Reversal",
    "RiskyChoice",
    "StOngeRats",
    "Tape",
    "Task",
    "ThreeArmReversal",
    "TwoStep",
    "Volatility",
    "Wang2016TwoStep",
    "WhatWhereReversal",
    "side_by_side",
]
