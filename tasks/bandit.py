"""The bandit: arms that pay or not, with probabilities that the episode keeps.

Wang et al. 2016 (arXiv 1611.05763), sections 3.1.1 and 3.1.2; the introductory example
of Wang et al. 2018 (Nat Neurosci 21:860), Figure 1. Presets of the same class:
:func:`easy_bandit`, :func:`medium_bandit`, :func:`hard_bandit`,
:func:`independent_bandit`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.arms import ArmTask, good_choice
from pfc_metarl.tasks.base import Tape

Problems = tuple[tuple[float, ...], ...]

CORRELATED, INDEPENDENT, LISTED = "correlated", "independent", "listed"
DISTRIBUTIONS = (CORRELATED, INDEPENDENT, LISTED)


@dataclass(frozen=True)
class Bandit(ArmTask):
    """Bandit whose arms pay 1 or nothing.

    **A trial.** (Fixation;) choice of an arm, which pays with its own probability. The
    probabilities stay as they are for the episode and differ between episodes.

    **Distribution** of the probabilities. ``"correlated"``: two arms, p and 1 - p, with
    p uniform from 0 to 1: what one arm does tells about the other. ``"independent"``:
    each uniform. ``"listed"``: one of ``problems``, all alike probable.

    **Actions.** One per arm; with ``fixation`` also a last one, the central fixation.

    **Observation.** One-hot fixation and choice cues, where there is a fixation; then
    the trial number, from 0 at the first trial to 1 at the episode's end.

    **Reward.** 1 or 0. With ``fixation``, a wrong response to the fixation cue or the
    choice cue costs ``invalid_reward``, and in the latter case the trial is not valid.

    **End.** After ``trials`` trials.

    Departures: the trial number is given as a share of the episode, so that
    observations stay within 0 and 1; its scale is not known to us.
    """

    arms: int = parameter(2, "Wang et al. 2016, section 3.1", unit="arms")
    distribution: str = parameter(
        CORRELATED, "Wang et al. 2016, section 3.1.2: p2 = 1 - p1, p1 uniform"
    )
    problems: Problems = parameter(
        (), "Wang et al. 2016: none are listed", unit="probability of reward, per arm"
    )
    trials: int = parameter(100, "Wang et al. 2016, section 3.1", unit="trials")
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
            When the distribution is unknown or does not fit the arms or problems, or
            there is no trial.
        """
        super().__post_init__()
        if self.distribution not in DISTRIBUTIONS:
            raise InputError(
                f"distribution is '{self.distribution}'; "
                f"expected {', '.join(DISTRIBUTIONS)}"
            )
        if self.distribution == CORRELATED and self.arms != 2:
            raise InputError(f"arms is {self.arms}; 'correlated' is for 2 arms")
        listed = self.distribution == LISTED
        if listed != bool(self.problems) or not all(map(self._fits, self.problems)):
            raise InputError(
                f"problems is {self.problems}; expected {self.arms} probabilities per "
                "problem with distribution 'listed', and no problems with another"
            )

    def _fits(self, problem: object) -> bool:
        return (
            isinstance(problem, tuple)
            and len(problem) == self.arms
            and all(0 <= p <= 1 for p in problem)
        )

    @property
    def latents(self) -> dict[str, str]:
        """The arms' probabilities."""
        return {
            f"p_reward_{arm}": f"probability that arm {arm} pays (latent)"
            for arm in range(self.arms)
        }

    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        """Draw problems and outcomes.

        Returns
        -------
        Tape
            (trial, episode, arm) float32: ``p_reward``, the same in all trials;
            ``payoff``, what each arm would pay.
        """
        return self.draw_outcomes(self.draw_problems(batch, generator), generator)

    def draw_problems(self, n: int, generator: torch.Generator) -> Tape:
        """Draw the probabilities of reward: ``p_reward`` (trial, n, arm)."""
        return {"p_reward": self._draw_arms(n, generator).expand(self.trials, -1, -1)}

    def draw_outcomes(self, problems: Tape, generator: torch.Generator) -> Tape:
        """Draw what each arm would pay."""
        p_reward = problems["p_reward"]
        payoff = torch.rand(p_reward.shape, generator=generator) < p_reward
        return {"p_reward": p_reward, "payoff": payoff.float()}

    def _draw_arms(self, batch: int, generator: torch.Generator) -> Tensor:
        if self.distribution == LISTED:
            which = torch.randint(len(self.problems), (batch,), generator=generator)
            return torch.tensor(self.problems)[which]
        if self.distribution == INDEPENDENT:
            return torch.rand((batch, self.arms), generator=generator)
        p = torch.rand(batch, generator=generator)
        return torch.stack([p, 1 - p], dim=-1)

    def latent_columns(self, tape: Tape) -> dict[str, Tensor]:
        """Return ``p_reward_0``, ..., and ``good_choice``."""
        p_reward = tape["p_reward"]
        columns = dict(zip(self.latents, p_reward.unbind(-1), strict=True))
        columns["good_choice"] = good_choice(p_reward)
        return columns


def easy_bandit() -> Bandit:
    """Return the correlated bandit 0.9/0.1 of Wang et al. 2016, section 3.1.2."""
    return _one_or_the_other(0.9)


def medium_bandit() -> Bandit:
    """Return the correlated bandit 0.75/0.25 of Wang et al. 2016, section 3.1.2.

    The test problem of Wang et al. 2018, Figure 1.
    """
    return _one_or_the_other(0.75)


def hard_bandit() -> Bandit:
    """Return the correlated bandit 0.6/0.4 of Wang et al. 2016, section 3.1.2."""
    return _one_or_the_other(0.6)


def _one_or_the_other(p: float) -> Bandit:
    q = round(1 - p, 12)
    return Bandit(distribution=LISTED, problems=((p, q), (q, p)))


def independent_bandit(arms: int = 2) -> Bandit:
    """Return the bandit of independent arms of Wang et al. 2016, section 3.1.1.

    Parameters
    ----------
    arms
        Number of arms; two in the paper.
    """
    return Bandit(arms=arms, distribution=INDEPENDENT)
