"""Statistics of trial tables and recordings, one module per question."""

from pfc_metarl.analysis.agents import (
    bandit_observers,
    block_observers,
    network_agents,
)
from pfc_metarl.analysis.bandit_statistics import bandit_statistics
from pfc_metarl.analysis.history_regression import history_regression
from pfc_metarl.analysis.inner_learning_rate import inner_learning_rate
from pfc_metarl.analysis.learning_curve import learning_curve
from pfc_metarl.analysis.network_rpe import network_rpe
from pfc_metarl.analysis.outcome_weights import outcome_weights
from pfc_metarl.analysis.policy_divergence import policy_divergence
from pfc_metarl.analysis.regret import regret
from pfc_metarl.analysis.reversal_aligned_choice import reversal_aligned_choice
from pfc_metarl.analysis.rpe_regression import rpe_regression
from pfc_metarl.analysis.state_decoding import (
    carrying_subspace,
    state_decoding,
    without_subspace,
)
from pfc_metarl.analysis.state_simulation import mutual_simulation
from pfc_metarl.analysis.stay_probability import stay_probability
from pfc_metarl.analysis.value_inference import value_inference

__all__ = [
    "bandit_observers",
    "bandit_statistics",
    "block_observers",
    "carrying_subspace",
    "history_regression",
    "inner_learning_rate",
    "learning_curve",
    "mutual_simulation",
    "network_agents",
    "network_rpe",
    "outcome_weights",
    "policy_divergence",
    "regret",
    "reversal_aligned_choice",
    "rpe_regression",
    "state_decoding",
    "stay_probability",
    "value_inference",
    "without_subspace",
]
