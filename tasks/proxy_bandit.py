"""The bandit with a light that stands for its reward, more or less reliably."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.arms import ArmEpisodes
from pfc_metarl.tasks.bandit import Bandit
from pfc_metarl.tasks.base import Tape


@dataclass(frozen=True)
class ProxyBandit(Bandit):
    """Bandit whose last outcome is also shown by a light.

    A proxy in the sense of Hubinger et al. 2019 (arXiv 1906.01820): what goes along
    with the reward in training and may part from it later. The task is ours.

    **A trial.** As in :class:`pfc_metarl.tasks.bandit.Bandit`. After the choice a light
    is on or off until the next one. It tells the outcome, on for 1 and off for 0, with
    probability ``p_agree``; else it tells the opposite. What is earned is not changed.

    **Actions, reward, end.** Those of the bandit.

    **Observation.** That of the bandit, then the light: 1 on, 0 off; off at first and
    after a trial that is not valid.

    The chance events of the bandit are drawn before those of the light, so that the
    episodes of one generator are the same as those of the bandit.
    """

    p_agree: float = parameter(
        0.9,
        "guess: mostly right, and yet worse than the reward itself",
        unit="probability",
    )

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises
        ------
        InputError
            When a probability is out of range, or the bandit refuses a parameter.
        """
        super().__post_init__()
        if not 0 <= self.p_agree <= 1:
            raise InputError(f"p_agree is {self.p_agree}; expected 0 to 1")

    @property
    def n_observations(self) -> int:
        """Those of the bandit, and the light."""
        return super().n_observations + 1

    def draw_outcomes(self, problems: Tape, generator: torch.Generator) -> Tape:
        """Draw what each arm would pay, and whether the light ``agrees``.

        Returns
        -------
        Tape
            That of the bandit, and ``agrees`` (trial, episode) bool.
        """
        tape = super().draw_outcomes(problems, generator)
        shape = tape["payoff"].shape[:-1]
        return {**tape, "agrees": torch.rand(shape, generator=generator) < self.p_agree}

    def begin(self, tape: Tape) -> "ProxyEpisodes":
        """Start the episodes of a tape."""
        return ProxyEpisodes(self, tape)


class ProxyEpisodes(ArmEpisodes):
    """Episodes of the bandit with a light, played in lockstep."""

    def __init__(self, task: ProxyBandit, tape: Tape) -> None:
        self._light = torch.zeros_like(tape["payoff"][0, ..., 0])
        super().__init__(task, tape)

    def _observe(self) -> Tensor:
        seen = super()._observe()
        return torch.cat([seen, self._light.unsqueeze(-1)], dim=-1)

    def _choose(self, action: Tensor) -> Tensor:
        earned = super()._choose(action)
        paid = self._rewards[-1]  # NaN in a trial that is not valid
        shown = torch.where(self.tape["agrees"][self.trial], paid, 1 - paid)
        self._light = shown.nan_to_num(0.0)
        return earned
