"""Inferred value: one target a trial, left or right, of which one side pays for now.

Wang et al. 2018 (Nat Neurosci 21:860), simulation 3, after Bromberg-Martin et al. 2010
(J Neurophysiol 104:1068). Preset of the same class: :func:`bromberg_martin_monkeys`.
"""

from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.base import Episodes, Tape, Task
from pfc_metarl.tasks.blocks import draw_blocks


@dataclass(frozen=True)
class InferredValue(Task):
    """Saccades to a target whose side tells whether reward will follow.

    **A trial.** (Fixation;) a target appears left or right, either alike probable; the
    response to it is rewarded if its side is the one that pays; then the screen is
    blank. Now and then the sides exchange their value, unsignalled. What was earned at
    one side tells the value of the other, which was not there: the inferred value.

    **Actions.** 0 left, 1 right; with ``fixation`` also 2, the central fixation. On the
    blank screen any action is accepted and has no effect.

    **Observation.** One-hot: left target, right target and, when in use, the fixation
    cue. Blank (all zeros) after the response.

    **Reward.** 1 or 0 on the right response to the target. A wrong response to it, or
    to the fixation cue, costs ``invalid_reward``; a trial with a wrong response to the
    target is not valid.

    **End.** After ``trials`` trials. The side that pays first is drawn at random.

    The blank step is ours: Wang et al. 2018, Fig. 4, draw a reward prediction error at
    fixation, target and response, and an error needs a step to follow, where the reward
    is known and the next trial's cue is not there yet. When and how often the sides
    exchange their value is not known to us; it must happen often enough in an episode
    for a network to learn it, and seldom enough for a value to be worth remembering.
    """

    p_reward: tuple[float, float] = parameter(
        (1.0, 0.0), "Wang et al. 2018, Fig. 4", unit="probability, (paying side, other)"
    )
    p_reversal: float = parameter(
        0.05,
        "guess: one reversal in 20 trials, near the 24 of the monkeys' blocks",
        unit="probability per trial",
    )
    min_block_trials: int = parameter(
        3, "guess: long enough to see both targets before a reversal", unit="trials"
    )
    trials: int = parameter(
        30, "guess: most episodes have a reversal, and few more than two", unit="trials"
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
            When a probability or a count is out of range, or the penalty no number.
        """
        if len(self.p_reward) != 2 or not all(0 <= p <= 1 for p in self.p_reward):
            raise InputError(
                f"p_reward is {self.p_reward}; expected two probabilities, of the "
                "paying side and of the other"
            )
        if not 0 <= self.p_reversal <= 1:
            raise InputError(f"p_reversal is {self.p_reversal}; expected 0 to 1")
        if self.trials < 1 or self.min_block_trials < 0:
            raise InputError(
                f"trials is {self.trials} and min_block_trials {self.min_block_trials};"
                " expected at least 1 and 0"
            )
        if not isfinite(self.invalid_reward):
            raise InputError(
                f"invalid_reward is {self.invalid_reward}; expected a finite number"
            )

    @property
    def n_observations(self) -> int:
        """Two targets, and the optional fixation cue."""
        return 2 + self.fixation

    @property
    def n_actions(self) -> int:
        """Two responses, and fixation where there is one."""
        return 2 + self.fixation

    @property
    def phases(self) -> tuple[str, ...]:
        """(Fixation,) target, blank screen."""
        return ("fixation", "target", "blank")[0 if self.fixation else 1 :]

    @property
    def latents(self) -> dict[str, str]:
        """The target's side, and the hidden side that pays."""
        return {
            "cue": "side of the target, 0 left, 1 right",
            "paying_side": "side whose target is rewarded, 0 left, 1 right (latent)",
        }

    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        """Draw targets, reversals and outcomes.

        Returns
        -------
        Tape
            (trial, episode): ``forced`` int64, the side of the target; ``paying_side``
            int64; ``outcome`` float32, what the right response brings.
        """
        shape = (self.trials, batch)
        paying_side = draw_blocks(
            shape, 2, self.p_reversal, self.min_block_trials, generator
        )
        forced = torch.randint(2, shape, generator=generator)
        pays, other = self.p_reward
        p_reward = torch.where(forced == paying_side, pays, other)
        outcome = (torch.rand(shape, generator=generator) < p_reward).float()
        return {"forced": forced, "paying_side": paying_side, "outcome": outcome}

    def begin(self, tape: Tape) -> "InferredValueEpisodes":
        """Start the episodes of a tape."""
        return InferredValueEpisodes(self, tape)


# Rows of the table of cues: a target's is its side.
FIXATION, BLANK = 2, 3
FIXATE = 2  # the action that fixates


class InferredValueEpisodes(Episodes):
    """Episodes of the inferred-value task, played in lockstep."""

    def __init__(self, task: InferredValue, tape: Tape) -> None:
        self.task, self.tape = task, tape
        self.trial = self.phase = 0
        respond = [self._fixate, self._saccade, self._wait]
        self._responses = respond[-task.steps_per_trial :]
        self._choices: list[Tensor] = []
        self._rewards: list[Tensor] = []
        cues = torch.eye(4)[:, : task.n_observations]  # blank: no unit of its own
        self._cues = cues.to(tape["forced"].device)
        self.observation = self._trial_start()

    def step(self, action: Tensor) -> tuple[Tensor, Tensor]:
        """Take one action in every episode; see :meth:`Episodes.step`."""
        reward = self._responses[self.phase](action)
        self.phase = (self.phase + 1) % len(self._responses)
        return self.observation, reward

    def _trial_start(self) -> Tensor:
        return self._alike(FIXATION) if self.task.fixation else self._target_cue()

    def _alike(self, row: int) -> Tensor:
        """Return a fresh observation of one cue in all episodes."""
        return self._cues[row].expand(*self.tape["forced"].shape[1:], -1).clone()

    def _target_cue(self) -> Tensor:
        if self.trial == self.task.trials:  # nothing more to come
            return self._alike(BLANK)
        side = self.tape["forced"][self.trial]
        return self._cues.index_select(0, side.flatten()).view(*side.shape, -1)

    def _fixate(self, action: Tensor) -> Tensor:
        self.observation = self._target_cue()
        return float(self.task.invalid_reward) * (action != FIXATE)

    def _saccade(self, action: Tensor) -> Tensor:
        wrong = action != self.tape["forced"][self.trial]
        outcome = self.tape["outcome"][self.trial]
        self._choices.append(action.masked_fill(wrong, -1))
        self._rewards.append(outcome.masked_fill(wrong, torch.nan))
        self.observation = self._alike(BLANK)
        return outcome.masked_fill(wrong, float(self.task.invalid_reward))

    def _wait(self, action: Tensor) -> Tensor:
        self.trial += 1
        self.observation = self._trial_start()
        return torch.zeros_like(self.tape["outcome"][0])

    def trials(self) -> dict[str, Tensor]:
        """Return the trials finished so far; see :meth:`Episodes.trials`.

        ``choice`` is the side of the response; the target instructs it, hence
        ``forced``. ``reward`` is the target's, NaN in trials that are not valid;
        penalties for wrong responses are not in it.

        Raises
        ------
        InputError
            When no trial is finished yet.
        """
        done = self.trial
        if done == 0:
            raise InputError("no trial is finished yet; play some before asking")
        choice = torch.stack(self._choices[:done])
        return {
            "choice": choice,
            "reward": torch.stack(self._rewards[:done]),
            "valid": (choice >= 0).long(),
            "forced": torch.ones_like(choice),
            "cue": self.tape["forced"][:done],
            "paying_side": self.tape["paying_side"][:done],
        }


def bromberg_martin_monkeys() -> InferredValue:
    """Return the version for monkeys of Bromberg-Martin et al. 2010.

    Blocks of 24 trials, of which the sessions have ten here (a guess): the task of Hong
    & Hikosaka 2008 (Neuron 60:720), Fig. 2, of the same laboratory.
    """
    return InferredValue(p_reversal=1.0, min_block_trials=24, trials=240, fixation=True)
