"""The two-step task as other experiments had it: the same class, other settings.

Each is a subclass whose defaults, and their sources, are the experiment's. What the
experiments made depend on performance, the end of a block, is a constant hazard here.
"""

from dataclasses import dataclass

from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.blocks import Blocks
from pfc_metarl.tasks.two_step import TwoStep

_PER_BLOCK = "probability of reward in (state 0, state 1), per kind of block"
_PER_TRIAL = "probability per trial"


@dataclass(frozen=True)
class Wang2016TwoStep(TwoStep):
    """The two-step task of Wang et al. 2016 (arXiv 1611.05763): no reversals.

    The state that pays is drawn for the episode and keeps paying. As the paper says, a
    model-free learner whose state holds the last trial could show the same pattern of
    stay probabilities.
    """

    p_common: float = parameter(0.75, "Wang et al. 2016", unit="probability")
    blocks: Blocks = parameter(
        ((0.9, 0.1), (0.1, 0.9)), "Wang et al. 2016", unit=_PER_BLOCK
    )
    p_reversal: float = parameter(
        0.0, "Wang et al. 2016: fixed in an episode", unit=_PER_TRIAL
    )
    trials: int = parameter(
        10,
        "guess: from memory of Wang et al. 2016; its table of settings is not known "
        "to us",
        unit="trials",
    )
    fixation: bool = parameter(
        False, "guess: Wang et al. 2016 name no fixation step for this task"
    )


@dataclass(frozen=True)
class MillerRats(TwoStep):
    """The version for rats of Miller, Botvinick & Brody 2017 (Nat Neurosci 20:1269).

    Uncued reversals of two kinds of block, some first steps forced. The numbers are
    those of the recording sessions of Miller, Botvinick & Brody 2022 (eLife 11:e64575),
    data set rat_twostep_miller2022: 6 rats, 36 413 trials.

    Departures: one rat of six had blocks of at least 41 trials, and the fraction of
    forced trials varied between rats from 0 to 0.21.
    """

    p_common: float = parameter(
        0.8, "Miller et al. 2017, Fig. 1; 0.79 to 0.80 in 2022", unit="probability"
    )
    blocks: Blocks = parameter(
        ((0.8, 0.2), (0.2, 0.8)), "Miller et al. 2022, data", unit=_PER_BLOCK
    )
    p_reversal: float = parameter(
        0.02,
        "Miller et al. 2022, data: 0.019 after a block's minimum, whatever its age",
        unit=_PER_TRIAL,
    )
    min_block_trials: int = parameter(
        10,
        "guess: 10 from memory of Miller et al. 2017; the shortest of 565 blocks in "
        "the 2022 data have 11",
        unit="trials",
    )
    p_forced: float = parameter(
        0.125, "Miller et al. 2022, data: 0.125 over 6 rats", unit=_PER_TRIAL
    )
    trials: int = parameter(
        500,
        "guess: a round number; sessions of the 2022 data have 700 on average",
        unit="trials",
    )
    p_transition_reversal: float = parameter(
        0.0, "Miller et al. 2017: fixed for a rat", unit=_PER_TRIAL
    )
    fixation: bool = parameter(
        False, "guess: left out for speed; the experiment's trials begin with one"
    )


@dataclass(frozen=True)
class AkamMice(TwoStep):
    """The reduced version for mice of Akam et al. 2021 (Neuron 109:149).

    Three kinds of block, one of them neutral, and transitions that reverse too.

    Departures: in the experiment a block with a good state ended 20 trials after the
    moving average of correct choices (time constant 8 trials) had passed 0.75, and a
    neutral one with probability 0.1 per trial after the 40th; a block was followed with
    equal probability by a reversal of its rewards, a reversal of its transitions, or
    either neutral block, and a neutral one by a change of rewards alone (STAR Methods).
    Here rewards and transitions reverse apart from each other with constant hazards.
    """

    p_common: float = parameter(0.8, "Akam et al. 2021, Fig. 1", unit="probability")
    blocks: Blocks = parameter(
        ((0.8, 0.2), (0.4, 0.4), (0.2, 0.8)),
        "Akam et al. 2021, Fig. 1",
        unit=_PER_BLOCK,
    )
    p_reversal: float = parameter(
        0.02,
        "guess: for a criterion of performance; gives blocks of 69 trials, where Akam "
        "et al. 2021 had 63.6 with changes of either sort",
        unit=_PER_TRIAL,
    )
    min_block_trials: int = parameter(
        20,
        "guess: the wait between criterion and reversal in Akam et al. 2021",
        unit="trials",
    )
    p_transition_reversal: float = parameter(
        0.01,
        "guess: transitions changed at half of the ends of blocks with a good state",
        unit=_PER_TRIAL,
    )
    trials: int = parameter(
        400, "guess: a round number; sessions lasted 1.5 hours", unit="trials"
    )
    p_forced: float = parameter(0.0, "guess: all choices free", unit=_PER_TRIAL)
    fixation: bool = parameter(
        False, "guess: left out for speed; the experiment's trials begin with one"
    )


@dataclass(frozen=True)
class CastroPeople(TwoStep):
    """The version for people of Castro-Rodrigues et al. 2022 (Nat Hum Behav 6:1126).

    Of the groups whose transitions were fixed. The numbers are those of the data set
    human_twostep_castro2022: 224 people, 256 860 trials.

    Departures: in the experiment a neutral block ended with probability 0.1 per trial
    from the 10th on, and one with a good state after a criterion of performance, not
    before the 40th trial; here both have the hazard that they had on average.
    """

    p_common: float = parameter(
        0.8, "Castro-Rodrigues et al. 2022, data: 0.7998", unit="probability"
    )
    blocks: Blocks = parameter(
        ((0.2, 0.8), (0.5, 0.5), (0.8, 0.2)),
        "Castro-Rodrigues et al. 2022, data: 0.20, 0.50 and 0.80",
        unit=_PER_BLOCK,
    )
    p_reversal: float = parameter(
        0.023,
        "guess: for a criterion of performance; the data have 3596 ends of blocks in "
        "156 181 trials from a block's 10th on",
        unit=_PER_TRIAL,
    )
    min_block_trials: int = parameter(
        10, "Castro-Rodrigues et al. 2022, data: the shortest blocks", unit="trials"
    )
    trials: int = parameter(
        300, "Castro-Rodrigues et al. 2022, data: one session", unit="trials"
    )
    p_transition_reversal: float = parameter(
        0.0, "Castro-Rodrigues et al. 2022: the groups with fixed ones", unit=_PER_TRIAL
    )
    p_forced: float = parameter(0.0, "guess: all choices free", unit=_PER_TRIAL)
    fixation: bool = parameter(
        False, "guess: left out for speed; the experiment's trials begin with one"
    )
