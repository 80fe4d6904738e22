"""Risk: a lever that always pays a little, and one that pays much, or nothing.

Wang et al. 2018 (Nat Neurosci 21:860), simulation 6, after Stopper et al. 2014 (Neuron
84:177). The probabilistic discounting of St Onge, Abhari & Floresco 2011 (J Neurosci
31:8625) is the same class with other settings: :class:`StOngeRats`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.arms import ArmEpisodes, ArmTask
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.blocks import are_blocks, draw_blocks

SAFE, RISKY_WIN, RISKY_LOSS = 0, 1, 2
"""Outcomes of a trial."""


@dataclass(frozen=True)
class Manipulation:
    """What is done to dopamine after one kind of outcome: a change of the RPE."""

    outcome: int
    change: float


MANIPULATIONS: Mapping[str, Manipulation] = {
    "block dopamine at risky wins": Manipulation(RISKY_WIN, -4.0),
    "block dopamine at safe rewards": Manipulation(SAFE, -1.0),
    "stimulate dopamine at risky losses": Manipulation(RISKY_LOSS, 1.0),
}
"""The three experiments of Wang et al. 2018, Fig. 7.

The paper's main text does not give the sizes. These are those of the reimplementation
m-thompson22/meta-rl-simulation6 (GitHub): the reward itself, or that of the safe lever.
"""


@dataclass(frozen=True)
class RiskyChoice(ArmTask):
    """Choice between a safe and a risky lever.

    **A trial.** (Fixation;) choice of a lever. The safe one pays ``safe_reward``; the
    risky one pays ``risky_reward`` with a probability that depends on a hidden block,
    else nothing. Which lever is risky is drawn for the episode. In forced trials only
    the lever shown is available.

    **Blocks** are kinds of ``risky_probs``. By default the first is drawn and any other
    follows with the probability ``p_shift`` per trial, and the episode opens with
    forced trials. With ``block_trials`` every block lasts so many trials, in the order
    of ``risky_probs``, and each opens with forced trials. Of ``forced_trials``, half
    are to either lever, in random order.

    **Actions.** 0 and 1, the levers; with ``fixation`` also 2, the central fixation.

    **Observation.** One-hot fixation and choice cues, where there is a fixation; the
    trial number, where asked for; the lever of a forced trial, one-hot, where there are
    any. Free choices show no lever.

    **Reward.** As above. With ``fixation``, a wrong response to the fixation cue or the
    choice costs ``invalid_reward``, and in the latter case the trial is not valid. In a
    forced trial any response takes the lever shown.

    **End.** After ``trials`` trials.

    What is done to dopamine is not part of the task: ``last_outcome`` of its episodes
    tells when, :data:`MANIPULATIONS` what.
    """

    safe_reward: float = parameter(1.0, "St Onge et al. 2011, abstract", unit="pellets")
    risky_reward: float = parameter(
        4.0, "St Onge et al. 2011, abstract", unit="pellets"
    )
    risky_probs: tuple[float, ...] = parameter(
        (0.5, 0.125), "Wang et al. 2018, Fig. 7", unit="probability per kind of block"
    )
    p_shift: float = parameter(
        0.02,
        "guess: 1 or 2 shifts in 100 trials, as in m-thompson22/meta-rl-simulation6",
        unit="probability per trial",
    )
    block_trials: int = parameter(
        0, "Wang et al. 2018: payoffs shift now and then", unit="trials; 0: by chance"
    )
    forced_trials: int = parameter(
        10, "m-thompson22/meta-rl-simulation6: 5 to either lever", unit="trials"
    )
    trials: int = parameter(
        100,
        "guess: as m-thompson22/meta-rl-simulation6; the paper's are not known to us",
        unit="trials",
    )
    trial_number: bool = parameter(
        False, "Wang et al. 2018 (preprint): not among the inputs"
    )
    fixation: bool = parameter(
        False, "guess: left out for speed; Wang et al. 2018 have a fixation step"
    )
    invalid_reward: float = parameter(
        -1.0, "Wang et al. 2018 (preprint), general Methods", unit="reward"
    )

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises
        ------
        InputError
            When a probability, reward or count is out of range.
        """
        super().__post_init__()
        if not 0 < self.safe_reward < self.risky_reward:
            raise InputError(
                f"safe_reward is {self.safe_reward} and risky_reward "
                f"{self.risky_reward}; expected 0 < safe < risky"
            )
        if not are_blocks((self.risky_probs,), options=len(self.risky_probs) or 1):
            raise InputError(
                f"risky_probs is {self.risky_probs}; expected probabilities, such as "
                "(0.5, 0.125)"
            )
        if not 0 <= self.p_shift <= 1:
            raise InputError(f"p_shift is {self.p_shift}; expected 0 to 1")
        if self.block_trials < 0:
            raise InputError(f"block_trials is {self.block_trials}; expected 0 or more")
        if self.forced_trials < 0 or self.forced_trials % 2:
            raise InputError(
                f"forced_trials is {self.forced_trials}; expected an even number, half "
                "of them to either lever"
            )
        if 0 < self.block_trials < self.forced_trials:
            raise InputError(
                f"forced_trials is {self.forced_trials}; expected no more than "
                f"block_trials, which is {self.block_trials}"
            )

    @property
    def arms(self) -> int:
        """Two levers."""
        return 2

    @property
    def n_observations(self) -> int:
        """Cues and trial number, where there are any, and the levers where forced."""
        return super().n_observations + 2 * (self.forced_trials > 0)

    @property
    def latents(self) -> dict[str, str]:
        """The risky lever, its probability, and the kind of outcome."""
        return {
            "risky_lever": "lever that pays much or nothing (latent)",
            "risky_prob": "probability that the risky lever pays (latent)",
            "outcome": "0 safe reward, 1 risky win, 2 risky loss, -1 not valid",
        }

    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        """Draw levers, blocks, outcomes and forced choices.

        Returns
        -------
        Tape
            (trial, episode): ``risky_lever`` int64; ``risky_prob`` float32; ``forced``
            int64, the only lever available or -1; ``payoff`` (trial, episode, lever)
            float32, what each lever would pay.
        """
        shape = (self.trials, batch)
        lever = torch.randint(2, (batch,), generator=generator)
        risky_prob = torch.tensor(self.risky_probs).take(self._blocks(batch, generator))
        win = torch.rand(shape, generator=generator) < risky_prob
        risky = torch.where(win, float(self.risky_reward), 0.0)
        is_risky = torch.arange(2) == lever[:, None]
        return {
            "risky_lever": lever.expand(shape),
            "risky_prob": risky_prob,
            "forced": self._forced(batch, generator),
            "payoff": torch.where(is_risky, risky[..., None], float(self.safe_reward)),
        }

    def _blocks(self, batch: int, generator: torch.Generator) -> Tensor:
        kinds = len(self.risky_probs)
        if self.block_trials:
            kind = torch.arange(self.trials) // self.block_trials % kinds
            return kind[:, None].expand(-1, batch)
        return draw_blocks((self.trials, batch), kinds, self.p_shift, 0, generator)

    def _forced(self, batch: int, generator: torch.Generator) -> Tensor:
        """Draw the levers of forced trials, at the start of every block."""
        length = self.block_trials or max(self.trials, self.forced_trials)
        n_blocks = -(-self.trials // length)
        lot = torch.rand((n_blocks, self.forced_trials, batch), generator=generator)
        levers = (lot.argsort(1) >= self.forced_trials // 2).long()
        free = torch.full((n_blocks, length - self.forced_trials, batch), -1)
        return torch.cat([levers, free], dim=1).flatten(0, 1)[: self.trials]

    def begin(self, tape: Tape) -> "RiskyChoiceEpisodes":
        """Start the episodes of a tape."""
        return RiskyChoiceEpisodes(self, tape)

    def latent_columns(self, tape: Tape) -> dict[str, Tensor]:
        """Return lever, probability, and the lever of the higher expected reward."""
        risky = tape["risky_prob"] * self.risky_reward
        better = torch.where(
            risky > self.safe_reward, tape["risky_lever"], 1 - tape["risky_lever"]
        )
        return {
            "risky_lever": tape["risky_lever"],
            "risky_prob": tape["risky_prob"],
            "good_choice": better.masked_fill(risky == self.safe_reward, -1),
        }


class RiskyChoiceEpisodes(ArmEpisodes):
    """Episodes of choices between two levers, played in lockstep."""

    task: RiskyChoice

    @property
    def last_outcome(self) -> Tensor:
        """(..., episode): kind of the latest outcome, -1 where it was not valid."""
        trial = len(self._choices) - 1
        lever = self.tape["risky_lever"][trial]
        return _outcome(self._choices[trial], self._rewards[trial], lever)

    def _observe(self) -> Tensor:
        cues = super()._observe()
        if not self.task.forced_trials:
            return cues
        lever = self.tape["forced"][min(self.trial, self.task.trials - 1), ..., None]
        choosing = self.phase == self.task.steps_per_trial - 1
        shown = lever == torch.arange(2, device=lever.device)
        return torch.cat([cues, shown.float() * choosing], dim=-1)

    def _choose(self, action: Tensor) -> Tensor:
        forced = self.tape["forced"][self.trial]
        return super()._choose(torch.where(forced >= 0, forced, action))

    def trials(self) -> dict[str, Tensor]:
        """Return the trials finished so far; see :meth:`ArmEpisodes.trials`."""
        columns = super().trials()
        outcome = _outcome(columns["choice"], columns["reward"], columns["risky_lever"])
        forced = self.tape["forced"][: self.trial] >= 0
        return {**columns, "forced": forced.long(), "outcome": outcome}


def _outcome(choice: Tensor, reward: Tensor, risky_lever: Tensor) -> Tensor:
    risky = torch.where(reward > 0, RISKY_WIN, RISKY_LOSS)
    outcome = torch.where(choice == risky_lever, risky, SAFE)
    return outcome.masked_fill(choice < 0, -1)


@dataclass(frozen=True)
class StOngeRats(RiskyChoice):
    """The probabilistic discounting of St Onge, Abhari & Floresco 2011.

    The probability falls from block to block, in the same order in every session.

    Departures: in the experiment the risky lever is a rat's for good; here it differs
    between episodes, as it does between rats.
    """

    risky_probs: tuple[float, ...] = parameter(
        (1.0, 0.5, 0.25, 0.125),
        "St Onge et al. 2011, abstract",
        unit="probability per block",
    )
    block_trials: int = parameter(
        18,
        "guess: 8 forced and 10 free choices, the laboratory's usual block as we "
        "recall it (Cardinal & Howes 2005 have 16 and 10)",
        unit="trials",
    )
    forced_trials: int = parameter(
        8, "guess: as for block_trials", unit="trials per block"
    )
    trials: int = parameter(72, "guess: four blocks of 18", unit="trials")
