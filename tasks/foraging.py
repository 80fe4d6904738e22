"""Foraging: two arms, baited now and then, whose baits wait until they are taken.

Wang et al. 2018 (Nat Neurosci 21:860), simulation 1, after Tsutsui et al. 2016 (Nat
Commun 7:12554) and Lau & Glimcher 2005 (J Exp Anal Behav 84:555). Presets of the same
class: :func:`held_out_foraging`, :func:`whole_range_foraging`; with blocks, the tasks
for mice :func:`hattori_mice`, :func:`bari_mice`, :func:`hou_mice`.
"""

from dataclasses import dataclass
from math import exp

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.arms import ArmEpisodes, ArmTask, good_choice
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.hazards import block_starts, hazard_between

Pairs = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Foraging(ArmTask):
    """Foraging between two baited arms.

    **A trial.** Each arm that has no bait gets one with its base rate p0; a bait waits
    until the arm is chosen. (Fixation;) choice of an arm, which pays if it is baited.
    The agent does not see baits, so to it an arm last chosen n trials before the
    previous one pays with probability

        p = 1 - (1 - p0)^(n + 1),

    the rule of Wang et al. 2018 (n is 0 for the arm chosen last, and at first).

    **Base rates.** Of kinds of condition, all alike probable at first. The left rate is
    uniform within the kind's range of ``left_rates``, the right rate is ``total`` minus
    it. They stay for the episode, or, with ``block_trials``, for a block, after which
    another kind comes, one of those that may ``follow``. Baits outlast blocks.

    **Actions.** 0 left, 1 right; with ``fixation`` also 2, the central fixation.

    **Observation.** One-hot fixation and choice cues, where there is a fixation; the
    trial number, where asked for. Otherwise there is nothing to see.

    **Reward.** 1 or 0. With ``fixation``, a wrong response to the fixation cue or the
    choice cue costs ``invalid_reward``; in the latter case no bait is taken and the
    trial is not valid.

    **End.** After ``trials`` trials.

    Departures: all episodes are of the same length (training episodes of Wang et al.
    2018 as reimplemented last 50 to 100 trials).
    """

    total: float = parameter(
        0.5,
        "two reimplementations of Wang et al. 2018",
        unit="sum of the base rates of both arms",
    )
    left_rates: Pairs = parameter(
        ((0.0, 0.1), (0.2, 0.3), (0.4, 0.5)),
        "two reimplementations of Wang et al. 2018, training",
        unit="(lowest, highest) base rate of the left arm, per kind of condition",
    )
    block_trials: tuple[int, int] | None = parameter(
        None,
        "Wang et al. 2018 as reimplemented: no blocks",
        unit="(fewest, most) trials",
    )
    p_block_end: float | None = parameter(
        None,
        "none without blocks; None: lengths are alike probable",
        unit="probability per trial, from the fewest trials on",
    )
    follow: tuple[tuple[int, ...], ...] = parameter(
        (), "none without blocks; empty: any other", unit="kinds, per kind before them"
    )
    trials: int = parameter(
        100, "a reimplementation of Wang et al. 2018, test", unit="trials"
    )
    trial_number: bool = parameter(
        False, "Wang et al. 2018 (preprint), general Methods: not among the inputs"
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
            When a rate is no probability, or blocks are not well described.
        """
        super().__post_init__()
        if not self.left_rates or not all(map(self._is_range, self.left_rates)):
            raise InputError(
                f"left_rates is {self.left_rates} with a total of {self.total}; "
                "expected (lowest, highest) pairs that leave both arms a probability"
            )
        if self.p_block_end is not None and not 0 <= self.p_block_end <= 1:
            raise InputError(f"p_block_end is {self.p_block_end}; expected 0 to 1")
        kinds = range(len(self.left_rates))
        if self.block_trials is not None:
            hazard_between(*self.block_trials)
            if len(kinds) == 1 and not self.follow:
                raise InputError(
                    f"left_rates is {self.left_rates}; expected two kinds or more, so "
                    "that another can follow a block"
                )
        if self.follow and not (
            len(self.follow) == len(kinds)
            and all(after and set(after) <= set(kinds) for after in self.follow)
        ):
            raise InputError(
                f"follow is {self.follow}; expected, for each of {len(kinds)} kinds, "
                "one or more that may come next"
            )

    def _is_range(self, pair: object) -> bool:
        if not isinstance(pair, tuple) or len(pair) != 2:
            return False
        low, high = pair
        return bool(
            0 <= low <= high <= 1 and 0 <= self.total - high <= self.total - low <= 1
        )

    @property
    def arms(self) -> int:
        """Two."""
        return 2

    @property
    def latents(self) -> dict[str, str]:
        """Probabilities, base rates and blocks."""
        sides = ("left", "right")
        return {
            **{
                f"p_reward_{arm}": f"probability that the {side} arm pays, given when "
                "it was last chosen (latent)"
                for arm, side in enumerate(sides)
            },
            **{
                f"p_base_{arm}": f"base rate of the {side} arm (latent)"
                for arm, side in enumerate(sides)
            },
            "block": "number of the block in its episode (latent)",
            "richer_arm": "arm of the higher base rate, -1 if alike (latent)",
        }

    @property
    def following(self) -> tuple[tuple[int, ...], ...]:
        """Kinds that may come next, alike probable, per kind."""
        kinds = range(len(self.left_rates))
        others = tuple(tuple(k for k in kinds if k != kind) for kind in kinds)
        return self.follow or others

    @property
    def hazard(self) -> Tensor:
        """Probability that a block ends, by the trials it has lasted."""
        if self.block_trials is None:
            return torch.zeros(1, dtype=torch.float64)
        return hazard_between(*self.block_trials, self.p_block_end)

    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        """Draw base rates and baits.

        Returns
        -------
        Tape
            ``block`` (trial, episode) int64; (trial, episode, arm) float32: ``p_base``;
            ``bait``, 1 where an arm without bait gets one.
        """
        if self.block_trials is None:
            starts = torch.zeros((self.trials, batch), dtype=torch.bool)
        else:
            chance = torch.rand((self.trials, batch), generator=generator)
            starts = block_starts(chance, self.hazard)
        p_base = self._draw_rates(starts, generator)
        bait = torch.rand(p_base.shape, generator=generator) < p_base
        return {"block": starts.cumsum(0), "p_base": p_base, "bait": bait.float()}

    def _draw_rates(self, starts: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the base rates, (trial, episode, arm), of blocks that start there."""
        batch = starts.shape[1]
        left = torch.empty(starts.shape, dtype=torch.float64)
        kind = torch.randint(len(self.left_rates), (batch,), generator=generator)
        left[0] = self._rate_of(kind, generator)
        if not starts.any():
            left[:] = left[0].clone()
        else:
            for trial in range(1, len(starts)):
                new = starts[trial]
                kind = torch.where(new, self._next_kind(kind, generator), kind)
                rate = self._rate_of(kind, generator)
                left[trial] = torch.where(new, rate, left[trial - 1])
        return torch.stack([left, self.total - left], dim=-1).clamp(0, 1).float()

    def _rate_of(self, kind: Tensor, generator: torch.Generator) -> Tensor:
        low, high = torch.tensor(self.left_rates, dtype=torch.float64)[kind].unbind(-1)
        chance = torch.rand(kind.shape, generator=generator, dtype=torch.float64)
        return low + chance * (high - low)

    def _next_kind(self, kind: Tensor, generator: torch.Generator) -> Tensor:
        count = torch.tensor([len(after) for after in self.following])
        table = torch.zeros(len(count), int(count.max()), dtype=torch.int64)
        for row, after in zip(table, self.following, strict=True):
            row[: len(after)] = torch.tensor(after)
        chance = torch.rand(kind.shape, generator=generator)
        return table[kind, (chance * count[kind]).long()]

    def latent_columns(self, tape: Tape) -> dict[str, Tensor]:
        """Return base rates, blocks and the arm of the higher rate.

        That is not the trial table's ``good_choice``: the better choice now hinges on
        the baits that wait.
        """
        left, right = tape["p_base"].unbind(-1)
        return {
            "p_base_0": left,
            "p_base_1": right,
            "block": tape["block"],
            "richer_arm": good_choice(tape["p_base"]),
        }

    def begin(self, tape: Tape) -> "ForagingEpisodes":
        """Start the episodes of a tape."""
        return ForagingEpisodes(self, tape)


class ForagingEpisodes(ArmEpisodes):
    """Episodes of foraging, played in lockstep."""

    def __init__(self, task: Foraging, tape: Tape) -> None:
        # What each arm would pay: a bait not taken is carried on to the next trial.
        super().__init__(task, {**tape, "payoff": tape["bait"].clone()})

    def _choose(self, action: Tensor) -> Tensor:
        reward = super()._choose(action)
        if self.trial + 1 < self.task.trials:
            bait, new = self.tape["payoff"][self.trial : self.trial + 2]
            arms = torch.arange(2, device=action.device)
            torch.maximum(new, bait * (action.unsqueeze(-1) != arms), out=new)
        return reward

    def trials(self) -> dict[str, Tensor]:
        """Return the trials finished so far; see :meth:`ArmEpisodes.trials`."""
        columns = super().trials()
        p_base = self.tape["p_base"][: self.trial]
        arms = torch.arange(2, device=p_base.device)
        chosen = columns["choice"].unsqueeze(-1) == arms
        empty = torch.ones_like(p_base[0])
        p_reward = torch.empty_like(p_base)
        for trial in range(self.trial):
            empty = empty * (1 - p_base[trial])
            p_reward[trial] = 1 - empty
            empty = torch.where(chosen[trial], 1.0, empty)
        left, right = p_reward.unbind(-1)
        return {**columns, "p_reward_0": left, "p_reward_1": right}


def held_out_foraging() -> Foraging:
    """Return the base rates that training leaves out (red points of Fig. 2d)."""
    return Foraging(left_rates=((0.1, 0.2), (0.3, 0.4)))


def whole_range_foraging() -> Foraging:
    """Return base rates over the whole range, the test of two reimplementations."""
    return Foraging(left_rates=((0.0, 0.5),))


def hattori_mice(trials: int = 500) -> Foraging:
    """Return the version for mice of Hattori et al. 2019 (Cell 177:1858).

    As in the authors' code for Hattori et al. 2023 (Nat Neurosci 26:2182): base rates
    0.6/0.1 and 0.525/0.175, the sides exchanged in every block and the pairs every
    second block, blocks of 60 to 80 trials, sessions of 500.

    Departure: a session starts with any of the four, theirs with 0.6/0.1.
    """
    # Each pair comes on the left and on the right, in one of two orders of sides.
    one, other = (0.6, 0.1, 0.525, 0.175), (0.1, 0.6, 0.175, 0.525)
    return Foraging(
        total=0.7,
        left_rates=tuple((rate, rate) for rate in one + other),
        follow=((1,), (2,), (3,), (0,), (5,), (6,), (7,), (4,)),
        block_trials=(60, 80),
        trials=trials,
    )


def bari_mice(trials: int = 500) -> Foraging:
    """Return the version for mice of Bari et al. 2019 (Neuron 103:922).

    As in the Allen Institute's simulations of it: base rates 0.45 in sum, in ratios
    8:1, 6:1, 3:1 and 1:1; the richer side changes with every block, across a 1:1 block
    too, which none follows; a block lasts 40 trials and then an exponential time of 20,
    but no more than 80. The length of the session is a guess.
    """
    return _coupled_baiting((40, 80), trials)


def hou_mice(trials: int = 500) -> Foraging:
    """Return the version for mice of the Allen Institute (coupled baiting, H. Hou).

    As in the final stage of its curriculum: :func:`bari_mice` with blocks of 20 to 60
    trials. The length of the session is a guess; mice must finish 500 trials there.
    """
    return _coupled_baiting((20, 60), trials)


def _coupled_baiting(block_trials: tuple[int, int], trials: int) -> Foraging:
    total = 0.45
    rich = tuple(total * ratio / (ratio + 1) for ratio in (8, 6, 3))
    poor = tuple(total - rate for rate in rich)
    even = (total / 2, total / 2)  # after a richer left and after a richer right
    to_right, to_left = (3, 4, 5), (0, 1, 2)
    return Foraging(
        total=total,
        left_rates=tuple((rate, rate) for rate in rich + poor + even),
        follow=(
            *((*to_right, 6),) * 3,
            *((*to_left, 7),) * 3,
            to_right,
            to_left,
        ),
        block_trials=block_trials,
        p_block_end=1 - exp(-1 / 20),
        trials=trials,
    )
