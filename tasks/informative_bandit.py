"""The informative bandit: one arm pays little but tells which of the others pays most.

Wang et al. 2016 (arXiv 1611.05763), the second experiment on dependent arms.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.arms import ArmEpisodes, ArmTask
from pfc_metarl.tasks.base import Tape


@dataclass(frozen=True)
class InformativeBandit(ArmTask):
    """Bandit of which one arm pays the index of the best one.

    To explore by that arm costs reward at once: an algorithm that only seeks reward, or
    takes the arms for independent, does not find it worth while.

    **A trial.** (Fixation;) choice of an arm. One arm of the first ``targets``, the
    target, pays ``target_reward``, the others ``other_reward``. The last arm, the
    informative one, pays ``informative_reward`` times the target's number, counted from
    1. All pay for certain. The target stays for the episode.

    **Actions.** One per arm, the informative one last; with ``fixation`` one more, the
    central fixation.

    **Observation.** One-hot fixation and choice cues, where there is a fixation; the
    trial number, from 0 at the first trial to 1 at the episode's end; with
    ``reward_cue`` also the last reward, one-hot: a cue for each target's number as the
    informative arm pays it, then the other arms' reward and the target's; blank before
    the first trial and after an invalid one.

    **Reward.** As above. With ``fixation``, a wrong response to the fixation cue or the
    choice cue costs ``invalid_reward``, and in the latter case the trial is not valid.

    **End.** After ``trials`` trials.

    Departures: the paper gives the network the reward one-hot; here it is in the
    observation if wanted. Arms that are not the target pay 1, which makes the mean of
    all ten 1.4 as the paper has it; a reimplementation pays 1.1.
    """

    targets: int = parameter(10, "Wang et al. 2016, dependent arms (II)", unit="arms")
    target_reward: float = parameter(
        5.0, "Wang et al. 2016, dependent arms (II)", unit="reward"
    )
    other_reward: float = parameter(
        1.0, "Wang et al. 2016, dependent arms (II)", unit="reward"
    )
    informative_reward: float = parameter(
        0.1,
        "Wang et al. 2016, dependent arms (II): a tenth of the target's index",
        unit="reward per index",
    )
    reward_cue: bool = parameter(
        False,
        "guess: left out, the reward being an input anyway; Wang et al. 2016 give it "
        "one-hot",
    )
    trials: int = parameter(5, "Wang et al. 2016, dependent arms (II)", unit="trials")
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
            When there are fewer than two targets to tell apart, no trial, or the target
            does not pay the most.
        """
        super().__post_init__()
        if self.targets < 2:
            raise InputError(f"targets is {self.targets}; expected 2 or more")
        if not self.informative_reward > 0:
            raise InputError(
                f"informative_reward is {self.informative_reward}; expected above 0"
            )
        most = max(self.other_reward, self.informative_reward * self.targets)
        if not most < self.target_reward < float("inf"):
            raise InputError(
                f"target_reward is {self.target_reward}; expected more than any other "
                f"arm can pay, {most}"
            )

    @property
    def arms(self) -> int:
        """The possible targets and the informative arm."""
        return self.targets + 1

    @property
    def n_observations(self) -> int:
        """Cues of fixation, choice and reward, trial number, where there are any."""
        return super().n_observations + self.reward_cue * (self.targets + 2)

    @property
    def latents(self) -> dict[str, str]:
        """The target."""
        return {"target": "arm that pays the most (latent)"}

    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        """Draw the targets; all else follows.

        Returns
        -------
        Tape
            (trial, episode) int64 ``target``; (trial, episode, arm) float32 ``payoff``,
            what each arm would pay. Both the same in all trials.
        """
        target = torch.randint(self.targets, (batch,), generator=generator)
        payoff = torch.full((batch, self.arms), float(self.other_reward))
        payoff.scatter_(1, target[:, None], float(self.target_reward))
        payoff[:, -1] = self.informative_reward * (1 + target)
        return {
            "target": target.expand(self.trials, -1),
            "payoff": payoff.expand(self.trials, -1, -1),
        }

    def begin(self, tape: Tape) -> "InformativeEpisodes":
        """Start the episodes of a tape."""
        return InformativeEpisodes(self, tape)

    def latent_columns(self, tape: Tape) -> dict[str, Tensor]:
        """Return the target."""
        return {"target": tape["target"]}


class InformativeEpisodes(ArmEpisodes):
    """Episodes of the informative bandit, played in lockstep."""

    task: InformativeBandit

    def _observe(self) -> Tensor:
        observation = super()._observe()
        if not self.task.reward_cue:
            return observation
        blank = observation.new_zeros((*observation.shape[:-1], self.task.targets + 3))
        if self.trial > 0:
            blank.scatter_(-1, self._last_outcome().unsqueeze(-1), 1.0)
        return torch.cat([observation, blank[..., 1:]], dim=-1)

    def _last_outcome(self) -> Tensor:
        """Which cue the last trial's reward has, (..., episode), from 1; 0: none."""
        choice, target = self._choices[-1], self.tape["target"][self.trial - 1]
        other, hit, informative = (
            self.task.targets + 1,
            self.task.targets + 2,
            self.task.targets,
        )
        outcome = torch.where(choice == target, hit, other)
        outcome = torch.where(choice == informative, target + 1, outcome)
        return torch.where(choice < 0, 0, outcome)
