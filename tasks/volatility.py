"""Volatility: two arms of which one pays, in parts that reverse rarely or often.

Wang et al. 2018 (Nat Neurosci 21:860), simulation 2, after Behrens et al. 2007 (Nat
Neurosci 10:1214). Presets of the same class: :func:`stable_and_volatile`, for tests;
:func:`behrens_people`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.arms import ArmTask, good_choice
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.hazards import block_starts, hazard_after


@dataclass(frozen=True)
class Volatility(ArmTask):
    """Bandit of two arms, p and 1 - p, that reverse with a changing volatility.

    **A trial.** (Fixation;) choice of an arm. On every trial one arm pays, the better
    one with a probability from ``payoffs``, as in Behrens et al. 2007; what the other
    arm would have brought tells the agent nothing beyond its reward.

    **Volatility.** The episode is in parts, stable or volatile: of a part's kind are
    the probability per trial that the arms reverse (``volatilities``) and the better
    arm's probability of reward (``payoffs``). A part ends at every ``part_trials``-th
    trial, if there are any, and at random (``p_shift``); another kind follows. The
    first kind, and the better arm, are any, so that both orders occur.

    **Actions.** 0 and 1; with ``fixation`` also 2, the central fixation.

    **Observation.** One-hot fixation and choice cues, where there is a fixation; the
    trial number, where asked for. Otherwise there is nothing to see.

    **Reward.** 1 or 0. With ``fixation``, a wrong response to the fixation cue or the
    choice cue costs ``invalid_reward``, and in the latter case the trial is not valid.

    **End.** After ``trials`` trials.

    The defaults are for training: Wang et al. 2018 train on "episodes with shifting
    volatilities" (Supplementary Fig. 5) of which the numbers are not known to us. No
    reversal and one in ten trials span what people met in Behrens et al. 2007 (none, or
    one in 30 to 40 trials) and want learning rates apart: of fixed rates, 0.1 earns the
    most in stable parts and 0.3 in volatile ones. But choice forgives much: the best
    rate for both, 0.2, earns 142.7 of the ideal observer's 143.9 in an episode, and of
    the settings we tried with equal payoffs few leave more to gain by tracking the
    volatility. Shifts are seldom, that a part tells of itself, and come at any time,
    lest their times be learned.
    """

    volatilities: tuple[float, ...] = parameter(
        (0.0, 0.1),
        "guess: none, and more than the one in 30 to 40 trials of Behrens et al. 2007",
        unit="probability of reversal per trial, per kind of part",
    )
    payoffs: tuple[float, ...] = parameter(
        (0.8, 0.8),
        "guess: as in the volatile part of Behrens et al. 2007",
        unit="probability of reward of the better arm, per kind of part",
    )
    min_block_trials: int = parameter(
        0, "guess: reversals without a minimum cannot be timed", unit="trials"
    )
    p_shift: float = parameter(
        0.005,
        "guess: one shift in an episode, so that parts tell of themselves",
        unit="probability per trial",
    )
    part_trials: int = parameter(
        0, "guess: parts of no fixed length cannot be timed; 0: none", unit="trials"
    )
    trials: int = parameter(200, "Wang et al. 2018, Fig. 3 (test)", unit="trials")
    trial_number: bool = parameter(
        False, "Wang et al. 2018 (preprint), general Methods: not among the inputs"
    )
    fixation: bool = parameter(
        False, "Wang et al. 2018 (preprint), general Methods: none in simulation 2"
    )
    invalid_reward: float = parameter(
        -1.0, "Wang et al. 2018 (preprint), general Methods", unit="reward"
    )

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises
        ------
        InputError
            When a probability or a count is out of range, or kinds do not agree.
        """
        super().__post_init__()
        if not self.volatilities or len(self.volatilities) != len(self.payoffs):
            raise InputError(
                f"volatilities is {self.volatilities} and payoffs {self.payoffs}; "
                "expected as many of each, one per kind of part"
            )
        for name in ("volatilities", "payoffs"):
            if not all(0 <= p <= 1 for p in getattr(self, name)):
                raise InputError(f"{name} is {getattr(self, name)}; expected 0 to 1")
        if not 0 <= self.p_shift <= 1:
            raise InputError(f"p_shift is {self.p_shift}; expected 0 to 1")
        for name in ("min_block_trials", "part_trials"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)}; expected 0 or more")

    @property
    def arms(self) -> int:
        """Two."""
        return 2

    @property
    def latents(self) -> dict[str, str]:
        """The arms' probabilities and how often they reverse."""
        return {
            "p_reward_0": "probability that arm 0 pays (latent)",
            "p_reward_1": "probability that arm 1 pays (latent)",
            "volatility": "probability of reversal per trial (latent)",
        }

    @property
    def hazard(self) -> Tensor:
        """Probability of reversal (kind, age), by the trials a block has lasted."""
        minimum = self.min_block_trials
        return torch.stack([hazard_after(minimum, p) for p in self.volatilities])

    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        """Draw parts, reversals and outcomes.

        Returns
        -------
        Tape
            ``kind`` (trial, episode) int64, of the trial's part; (trial, episode, arm)
            float32: ``p_reward``; ``payoff``, 1 for the arm that pays.
        """
        shape = (self.trials, batch)
        kind = self._draw_kinds(batch, generator)
        chance = torch.rand(shape, generator=generator)
        reversal = block_starts(chance, self.hazard, kind)
        first = torch.randint(2, (batch,), generator=generator)
        better = (first + reversal.cumsum(0)) % 2
        p = torch.tensor(self.payoffs)[kind]
        p_first = torch.where(better == 0, p, 1 - p)
        pays = (torch.rand(shape, generator=generator) < p_first).float()
        return {
            "kind": kind,
            "p_reward": torch.stack([p_first, 1 - p_first], dim=-1),
            "payoff": torch.stack([pays, 1 - pays], dim=-1),
        }

    def _draw_kinds(self, batch: int, generator: torch.Generator) -> Tensor:
        shape, kinds = (self.trials, batch), len(self.volatilities)
        shift = torch.rand(shape, generator=generator) < self.p_shift
        if self.part_trials:
            shift[:: self.part_trials] = True
        jump = torch.randint(1, max(kinds, 2), shape, generator=generator)
        first = torch.randint(kinds, (batch,), generator=generator)
        return (first + torch.cumsum(shift * jump, dim=0)) % kinds

    def latent_columns(self, tape: Tape) -> dict[str, Tensor]:
        """Return probabilities, volatility and ``good_choice``."""
        first, second = tape["p_reward"].unbind(-1)
        volatilities = torch.tensor(self.volatilities, device=first.device)
        return {
            "p_reward_0": first,
            "p_reward_1": second,
            "volatility": volatilities[tape["kind"]],
            "good_choice": good_choice(tape["p_reward"]),
        }


def stable_and_volatile() -> Volatility:
    """Return test episodes of a stable and a volatile part, in either order.

    200 trials as in Wang et al. 2018, Fig. 3, in halves; a guess is all the rest: 0.75
    without a reversal as in the stable, and 0.8 as in the volatile part of Behrens et
    al. 2007, with blocks of 20 trials or some more, so that the half holds four.
    """
    return Volatility(
        volatilities=(0.0, 0.2),
        payoffs=(0.75, 0.8),
        min_block_trials=20,
        p_shift=0.0,
        part_trials=100,
    )


def behrens_people() -> Volatility:
    """Return the version for people of Behrens et al. 2007, without reward magnitudes.

    From memory: 120 stable trials of 0.75, and a volatile part of 0.8 that reverses
    every 30 or 40 trials, in either order. Guesses: that the volatile part lasts 120
    trials too, and that a block ends at random after 30 trials.
    """
    return Volatility(
        volatilities=(0.0, 0.2),
        payoffs=(0.75, 0.8),
        min_block_trials=30,
        p_shift=0.0,
        part_trials=120,
        trials=240,
    )
