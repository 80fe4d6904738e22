"""The restless bandit: two arms whose probabilities drift, in some episodes faster.

Wang et al. 2016 (arXiv 1611.05763), the experiment on restless bandits.
"""

from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.arms import ArmTask, good_choice
from pfc_metarl.tasks.base import Tape


@dataclass(frozen=True)
class RestlessBandit(ArmTask):
    """Bandit of two arms that pay with p and 1 - p, p on a random walk.

    **A trial.** (Fixation;) choice of an arm, which pays with its probability of that
    trial. From trial to trial p takes a Gaussian step and is reflected at 0 and 1. Its
    standard deviation, the volatility, is one of ``volatilities``, all alike probable,
    and stays for the episode. It is not signalled.

    **Actions.** 0 and 1, the arms; with ``fixation`` also 2, the central fixation.

    **Observation.** One-hot fixation and choice cues, where there is a fixation; then
    the trial number, from 0 at the first trial to 1 at the episode's end.

    **Reward.** 1 or 0. With ``fixation``, a wrong response to the fixation cue or the
    choice cue costs ``invalid_reward``, and in the latter case the trial is not valid.

    **End.** After ``trials`` trials. At the first, p is uniform from 0 to 1; so it is,
    reflection being symmetric, at every trial.

    Departures: the form of the walk and its two volatilities are not known to us. With
    the defaults p wanders by about 0.2 in an episode of low volatility, so that the
    better arm changes rarely, and over its whole range in one of high volatility.
    """

    volatilities: tuple[float, ...] = parameter(
        (0.02, 0.1),
        "guess: Wang et al. 2016 have a low and a high one; these are slow and fast "
        "for 100 trials",
        unit="probability per trial",
    )
    trials: int = parameter(100, "Wang et al. 2016, restless bandits", unit="trials")
    trial_number: bool = parameter(
        True, "Wang et al. 2016, section 3.1: the time step is an input"
    )
    fixation: bool = parameter(
        False, "Wang et al. 2016: none; Wang et al. 2018 have one in later simulations"
    )
    invalid_reward: float = parameter(
        -1.0, "Wang et al. 2018 (preprint), general Methods", unit="reward"
    )

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises
        ------
        InputError
            When there is no volatility or no trial, or a volatility is not one.
        """
        super().__post_init__()
        if not self.volatilities or not all(
            isfinite(volatility) and volatility >= 0 for volatility in self.volatilities
        ):
            raise InputError(
                f"volatilities is {self.volatilities}; expected numbers from 0, "
                "at least one"
            )

    @property
    def arms(self) -> int:
        """Two."""
        return 2

    @property
    def latents(self) -> dict[str, str]:
        """The arms' probabilities, and how fast they drift."""
        return {
            "p_reward_0": "probability that arm 0 pays (latent)",
            "p_reward_1": "probability that arm 1 pays (latent)",
            "volatility": "standard deviation of p's step per trial (latent)",
        }

    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        """Draw volatilities, walks and outcomes.

        Returns
        -------
        Tape
            (trial, episode) float32 ``volatility``, the same in all trials;
            (trial, episode, arm) float32 ``p_reward`` and ``payoff``, what each arm
            would pay.
        """
        shape = (self.trials, batch)
        kind = torch.randint(len(self.volatilities), (batch,), generator=generator)
        volatility = torch.tensor(self.volatilities)[kind]
        first = torch.rand(batch, generator=generator)
        step = volatility * torch.randn(shape, generator=generator)
        step[0] = 0
        p = reflected(first + torch.cumsum(step, dim=0))
        p_reward = torch.stack([p, 1 - p], dim=-1)
        payoff = torch.rand(p_reward.shape, generator=generator) < p_reward
        return {
            "volatility": volatility.expand(shape),
            "p_reward": p_reward,
            "payoff": payoff.float(),
        }

    def latent_columns(self, tape: Tape) -> dict[str, Tensor]:
        """Return the arms' probabilities, the volatility and ``good_choice``."""
        p0, p1 = tape["p_reward"].unbind(-1)
        return {
            "p_reward_0": p0,
            "p_reward_1": p1,
            "volatility": tape["volatility"],
            "good_choice": good_choice(tape["p_reward"]),
        }


def reflected(position: Tensor) -> Tensor:
    """Fold positions on the line into 0 to 1, as by mirrors at both ends.

    The fold of a walk with symmetric steps is the walk that is reflected at each step.
    """
    lap = position.remainder(2)
    return torch.where(lap > 1, 2 - lap, lap)
