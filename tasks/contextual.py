"""The barcode bandit: bandits that come back, each known by a barcode.

Ritter et al. 2018 (ICML, arXiv 1805.09692), contextual bandits. What one bandit has
taught is of use when it comes back, to whoever remembers it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.arms import ArmEpisodes, ArmTask
from pfc_metarl.tasks.base import Tape

MOST_BITS = 16  # the barcodes of an episode are drawn from a list of all there are


def draw_barcodes(
    batch: int, number: int, bits: int, generator: torch.Generator
) -> Tensor:
    """Draw different barcodes for each episode; none is blank (all zeros).

    Returns
    -------
    Tensor
        (number, episode, bit) float32 of 0 and 1.
    """
    lot = torch.rand((batch, 2**bits - 1), generator=generator)
    code = 1 + lot.topk(number).indices.T
    return ((code.unsqueeze(-1) >> torch.arange(bits)) & 1).float()


def check_barcodes(bits: int, number: int) -> None:
    """Check that there are enough barcodes.

    Raises
    ------
    InputError
        When there are not, or they are too long.
    """
    if not 1 <= bits <= MOST_BITS:
        raise InputError(f"barcode_bits is {bits}; expected 1 to {MOST_BITS}")
    if number > 2**bits - 1:
        raise InputError(
            f"barcode_bits is {bits}, which gives {2**bits - 1} barcodes; "
            f"expected enough for {number}"
        )


@dataclass(frozen=True)
class BarcodeBandit(ArmTask):
    """Bandits that come back, each with its barcode.

    **A trial.** (Fixation;) choice of an arm while the barcode of the present bandit is
    shown. One arm pays with ``p_good``, the others with ``p_bad``.

    **Contexts.** An episode has ``contexts`` bandits, each with a barcode of its own
    and one good arm; as many arms as there are bandits for are good in one of them, so
    that with as many contexts as arms no two have the same. Bandits are visited one
    after the other for ``visit_trials`` trials, all equally often in random order.
    Barcodes and good arms are new in every episode.

    **Actions.** One per arm; with ``fixation`` also a last one, the central fixation.

    **Observation.** One-hot fixation and choice cues, where there is a fixation; the
    trial number, where asked for; the bits of the barcode (blank at fixation).

    **Reward.** 1 or 0. With ``fixation``, a wrong response to the fixation cue or the
    choice costs ``invalid_reward``, and in the latter case the trial is not valid.

    **End.** After ``trials`` trials.

    Ritter et al. call a visit an episode, and what is an episode here an epoch: the
    stretch after which memory is emptied. If ``trials`` is not a whole number of rounds
    through all contexts, the last round is cut short.
    """

    arms: int = parameter(
        10, "Ritter et al. 2018 as a reimplementation quotes it", unit="arms"
    )
    contexts: int = parameter(
        10,
        "Ritter et al. 2018 as a reimplementation quotes it",
        unit="bandits per episode",
    )
    visit_trials: int = parameter(
        10, "Ritter et al. 2018 as a reimplementation quotes it", unit="trials"
    )
    barcode_bits: int = parameter(
        10, "guess: as the contexts of the episodic two-step task have it", unit="bits"
    )
    p_good: float = parameter(
        0.9, "a reimplementation of Ritter et al. 2018", unit="probability of reward"
    )
    p_bad: float = parameter(
        0.1, "a reimplementation of Ritter et al. 2018", unit="probability of reward"
    )
    trials: int = parameter(
        1000,
        "Ritter et al. 2018 as a reimplementation quotes it: 10 visits of 10 trials",
        unit="trials",
    )
    trial_number: bool = parameter(
        False, "guess: not among the inputs, as in Wang et al. 2018 (preprint)"
    )
    fixation: bool = parameter(
        False, "Ritter et al. 2018 as a reimplementation quotes it: none"
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
        super().__post_init__()
        for name in ("contexts", "visit_trials"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if not 0 <= self.p_bad < self.p_good <= 1:
            raise InputError(
                f"p_bad is {self.p_bad} and p_good {self.p_good}; "
                "expected 0 <= p_bad < p_good <= 1"
            )
        check_barcodes(self.barcode_bits, self.contexts)

    @property
    def n_observations(self) -> int:
        """Cues and trial number, where there are any, and the barcode."""
        return super().n_observations + self.barcode_bits

    @property
    def latents(self) -> dict[str, str]:
        """Context, its visits, and its good arm."""
        return {
            "context": "number of the bandit in its episode (latent)",
            "visit": "visits that this bandit has had before (latent)",
            "good_arm": "arm that pays more (latent)",
        }

    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        """Draw contexts, their order, and outcomes.

        Returns
        -------
        Tape
            (trial, episode) int64: ``context``, ``visit`` and ``good_arm``; ``barcode``
            (trial, episode, bit) and ``payoff`` (trial, episode, arm) float32.
        """
        barcodes = draw_barcodes(batch, self.contexts, self.barcode_bits, generator)
        good_arms = self._good_arms(batch, generator)
        context, visit = (
            rows.repeat_interleave(self.visit_trials, dim=0)[: self.trials]
            for rows in self._visits(batch, generator)
        )
        good_arm = good_arms.gather(0, context)
        good = torch.arange(self.arms) == good_arm.unsqueeze(-1)
        luck = torch.rand((self.trials, batch, self.arms), generator=generator)
        return {
            "context": context,
            "visit": visit,
            "good_arm": good_arm,
            "barcode": barcodes[context, torch.arange(batch)],
            "payoff": (luck < torch.where(good, self.p_good, self.p_bad)).float(),
        }

    def _good_arms(self, batch: int, generator: torch.Generator) -> Tensor:
        """(context, episode): all arms once before one comes twice."""
        shuffled = torch.rand((self.arms, batch), generator=generator).argsort(0)
        shape = (max(self.contexts - self.arms, 0), batch)
        more = torch.randint(self.arms, shape, generator=generator)
        return torch.cat([shuffled, more])[: self.contexts]

    def _visits(self, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(visit, episode): context of each visit, and how often it came before."""
        n_visits = -(-self.trials // self.visit_trials)
        rounds = -(-n_visits // self.contexts)
        bag = torch.arange(self.contexts).repeat(rounds)
        lot = torch.rand((len(bag), batch), generator=generator)
        context = bag[lot.argsort(0)][:n_visits]
        seen = torch.nn.functional.one_hot(context, self.contexts).cumsum(0)
        return context, seen.gather(-1, context.unsqueeze(-1)).squeeze(-1) - 1

    def begin(self, tape: Tape) -> "BarcodeBanditEpisodes":
        """Start the episodes of a tape."""
        return BarcodeBanditEpisodes(self, tape)

    def latent_columns(self, tape: Tape) -> dict[str, Tensor]:
        """Return context, visit and good arm."""
        return {name: tape[name] for name in self.latents}


class BarcodeBanditEpisodes(ArmEpisodes):
    """Episodes with a barcode on show, played in lockstep."""

    def _observe(self) -> Tensor:
        barcode = self.tape["barcode"][min(self.trial, self.task.trials - 1)]
        choosing = self.phase == self.task.steps_per_trial - 1
        shown = choosing and self.trial < self.task.trials
        return torch.cat([super()._observe(), barcode * shown], dim=-1)
