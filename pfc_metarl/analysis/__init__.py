"""Statistics of trial tables and recordings, one module per question."""

from pfc_metarl.analysis.history_regression import history_regression
from pfc_metarl.analysis.learning_curve import learning_curve
from pfc_metarl.analysis.regret import regret
from pfc_metarl.analysis.reversal_aligned_choice import reversal_aligned_choice
from pfc_metarl.analysis.rpe_regression import rpe_regression
from pfc_metarl.analysis.stay_probability import stay_probability

__all__ = [
    "history_regression",
    "learning_curve",
    "regret",
    "reversal_aligned_choice",
    "rpe_regression",
    "stay_probability",
]
