"""Probabilistic reversal: arms whose probabilities of reward change places unsignalled.

Two arms as mice had them (Beron, Neufeld, Linderman & Sabatini 2022, PNAS
119:e2113961119; data set mouse_bandit_sabatini), three as people had them (Reed et al.
2020, eLife 9:e56345), and monkeys' task of finding out whether image or location
matters (:mod:`what_where_reversal`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.arms import ArmTask, good_choice
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.blocks import Blocks, are_blocks, draw_blocks


@dataclass(frozen=True)
class Reversal(ArmTask):
    """Probabilistic reversal of two or more arms.

    **A trial.** (Fixation;) choice of an arm, which pays with a probability that
    depends on a hidden block. Blocks end at random, and any of the other kinds follows;
    nothing signals it.

    **Actions.** One per arm; with ``fixation`` also a last one, the central fixation.

    **Observation.** One-hot fixation and choice cues, where there is a fixation; then
    the trial number, from 0 at the first trial to 1 at the episode's end.

    **Reward.** 1 or 0. With ``fixation``, a wrong response to the fixation cue or the
    choice cue costs ``invalid_reward``, and in the latter case the trial is not valid.

    **End.** After ``trials`` trials. The first block is drawn at random.

    Departures: mice met 0.9/0.1 or 0.7/0.3 in other sessions; with 0.9/0.1 most blocks
    lasted some 50 trials, in the data.
    """

    blocks: Blocks = parameter(
        ((0.8, 0.2), (0.2, 0.8)),
        "Beron et al. 2022; 0.799 and 0.197 in the data",
        unit="probability of reward per arm, per kind of block",
    )
    p_reversal: float = parameter(
        0.02,
        "Beron et al. 2022; 0.018 to 0.022 in the data of 0.8/0.2, whatever a block's "
        "age",
        unit="probability per trial",
    )
    min_block_trials: int = parameter(
        0, "Beron et al. 2022, data: blocks of one trial occur", unit="trials"
    )
    trials: int = parameter(
        700,
        "guess: a round number; half of the sessions of six mice have 718 or more",
        unit="trials",
    )
    trial_number: bool = parameter(
        True, "guess: as in the bandits of Wang et al. 2016, so that something is seen"
    )
    fixation: bool = parameter(
        False, "guess: left out for speed; mice began a trial at a centre port"
    )
    invalid_reward: float = parameter(
        -1.0, "Wang et al. 2018 (preprint), general Methods", unit="reward"
    )

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises
        ------
        InputError
            When a probability or a count is out of range.
        """
        if not are_blocks(self.blocks, options=_n_arms(self.blocks)):
            raise InputError(
                f"blocks is {self.blocks}; expected tuples of equally many "
                "probabilities, such as ((0.8, 0.2), (0.2, 0.8))"
            )
        super().__post_init__()
        if not 0 <= self.p_reversal <= 1:
            raise InputError(f"p_reversal is {self.p_reversal}; expected 0 to 1")
        if self.min_block_trials < 0:
            raise InputError(
                f"min_block_trials is {self.min_block_trials}; expected 0 or more"
            )

    @property
    def arms(self) -> int:
        """Number of arms."""
        return _n_arms(self.blocks)

    @property
    def latents(self) -> dict[str, str]:
        """The arms' probabilities."""
        return {
            f"p_reward_{arm}": f"probability that arm {arm} pays (latent)"
            for arm in range(self.arms)
        }

    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        """Draw blocks and outcomes.

        Returns
        -------
        Tape
            (trial, episode, arm) float32: ``p_reward``; ``payoff``, what each arm would
            pay.
        """
        block = draw_blocks(
            (self.trials, batch),
            len(self.blocks),
            self.p_reversal,
            self.min_block_trials,
            generator,
        )
        p_reward = torch.tensor(self.blocks)[block]
        payoff = torch.rand(p_reward.shape, generator=generator) < p_reward
        return {"p_reward": p_reward, "payoff": payoff.float()}

    def latent_columns(self, tape: Tape) -> dict[str, Tensor]:
        """Return ``p_reward_0``, ..., and with two arms ``good_choice``.

        The trial table's ``good_choice`` knows two options.
        """
        p_reward = tape["p_reward"]
        columns = dict(zip(self.latents, p_reward.unbind(-1), strict=True))
        if self.arms == 2:
            columns["good_choice"] = good_choice(p_reward)
        return columns


def _n_arms(blocks: object) -> int:
    """Return the number of arms of the first kind of block, 0 if there is none."""
    first = blocks[0] if isinstance(blocks, tuple) and blocks else ()
    return len(first) if isinstance(first, tuple) else 0


@dataclass(frozen=True)
class ThreeArmReversal(Reversal):
    """Reversal of three arms: a good, a middling and a bad one.

    The first half of the task of Reed et al. 2020 (eLife 9:e56345), whose people chose
    among three decks of cards.

    Departures: a reversal came when the best deck had been chosen 9 times in 10; here
    after a constant hazard. In the second half probabilities were 0.8, 0.4 and 0.2.
    """

    blocks: Blocks = parameter(
        ((0.9, 0.5, 0.1), (0.1, 0.9, 0.5), (0.5, 0.1, 0.9)),
        "guess: 0.9, 0.5 and 0.1 by Reed et al. 2020, Fig. 1; that they move round, so "
        "that another arm is the best after each reversal, is ours",
        unit="probability of reward per arm, per kind of block",
    )
    p_reversal: float = parameter(
        0.1,
        "guess: for a criterion of performance; blocks of 19 trials on average",
        unit="probability per trial",
    )
    min_block_trials: int = parameter(
        10,
        "guess: the 10 trials of the criterion of Reed et al. 2020",
        unit="trials",
    )
    trials: int = parameter(
        160, "Suthaharan et al. 2021, data: the same task", unit="trials"
    )
    fixation: bool = parameter(False, "Reed et al. 2020: none in the task")
