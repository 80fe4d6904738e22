"""The two-step task: a choice leads, mostly, to one of two states, which pays or not.

Wang et al. 2018 (Nat Neurosci 21:860), simulation 4, after Daw et al. 2011 and Miller,
Botvinick & Brody 2017. Presets of the same class: :func:`miller_rats`,
:func:`akam_mice`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.base import Episodes, Tape, Task

Blocks = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class TwoStep(Task):
    """Two-step task without a second-step choice.

    **A trial.** (Fixation;) choice between two actions; one of two second-step states
    appears, the choice's own with probability ``p_common``; a reward follows with a
    probability that depends on the state and on a hidden block. Reversals of the block
    are not signalled.

    **Actions.** 0 and 1, the choices; with ``fixation`` also 2, the central fixation.
    At the second-step state any action is accepted and has no effect.

    **Observation.** One-hot: choice cue, second-step states 0 and 1, then, when in use,
    the fixation cue and the two cues of a forced choice. Blank (all zeros) after an
    invalid choice.

    **Reward.** 1 or 0 on leaving the second-step state. With ``fixation``, a wrong
    response to the fixation cue or the choice cue costs ``invalid_reward``; after a
    wrong response to the choice cue the trial has no second step and is not valid. At
    the cue of a forced choice any response takes the instructed side.

    **End.** After ``trials`` trials. The first block is drawn at random.

    Departures: a trial is two steps without fixation (the paper's number of steps is
    not known to us).
    """

    p_common: float = parameter(0.8, "Wang et al. 2018, Fig. 5a", unit="probability")
    blocks: Blocks = parameter(
        ((0.9, 0.1), (0.1, 0.9)),
        "three reimplementations of Wang et al. 2018; the paper gives p and 1 - p",
        unit="probability of reward in (state 0, state 1), per kind of block",
    )
    p_reversal: float = parameter(
        0.025,
        "four reimplementations of Wang et al. 2018",
        unit="probability per trial",
    )
    min_block_trials: int = parameter(
        0, "Wang et al. 2018 as reimplemented: no minimum", unit="trials"
    )
    p_transition_reversal: float = parameter(
        0.0, "Wang et al. 2018, Fig. 5a: fixed", unit="probability per trial"
    )
    p_forced: float = parameter(
        0.0, "Wang et al. 2018: no forced choices", unit="probability per trial"
    )
    trials: int = parameter(100, "Wang et al. 2018, Fig. 5 legend", unit="trials")
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
            When a probability or a count is out of range.
        """
        for name in ("p_common", "p_reversal", "p_transition_reversal", "p_forced"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected 0 to 1")
        if not self.blocks or not all(map(_is_reward_pair, self.blocks)):
            raise InputError(
                f"blocks is {self.blocks}; expected pairs of probabilities, "
                "such as ((0.9, 0.1), (0.1, 0.9))"
            )
        if self.trials < 1 or self.min_block_trials < 0:
            raise InputError(
                f"trials is {self.trials} and min_block_trials {self.min_block_trials};"
                " expected at least 1 and 0"
            )

    @property
    def n_observations(self) -> int:
        """Choice cue, two states, and the optional cues."""
        return 3 + self.fixation + 2 * (self.p_forced > 0)

    @property
    def n_actions(self) -> int:
        """Two choices, and fixation where there is one."""
        return 2 + self.fixation

    @property
    def phases(self) -> tuple[str, ...]:
        """(Fixation,) choice, second-step state."""
        return ("fixation", "choice", "state2")[0 if self.fixation else 1 :]

    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        """Draw blocks, transitions, outcomes and forced choices.

        Returns
        -------
        Tape
            (trial, episode): ``block`` int64; ``flip`` int64, 1 where state 2 differs
            from the choice; ``common`` bool; ``outcome0`` and ``outcome1`` float32, the
            reward each state would pay; ``forced`` int64, the instructed choice or -1.
        """
        shape = (self.trials, batch)

        def uniform() -> Tensor:
            return torch.rand(shape, generator=generator)

        block = self._draw_blocks(batch, generator)
        common = uniform() < self.p_common
        swapped = self._draw_mapping(batch, generator)
        reward_prob = torch.tensor(self.blocks)[block]
        side = torch.randint(2, shape, generator=generator)
        forced = torch.where(uniform() < self.p_forced, side, -1)
        return {
            "block": block,
            "common": common,
            "flip": (~common).long() ^ swapped,
            "outcome0": (uniform() < reward_prob[..., 0]).float(),
            "outcome1": (uniform() < reward_prob[..., 1]).float(),
            "forced": forced,
        }

    def _draw_blocks(self, batch: int, generator: torch.Generator) -> Tensor:
        """Kinds of block; a reversal goes to any of the other kinds."""
        shape, kinds = (self.trials, batch), len(self.blocks)
        reversal = torch.rand(shape, generator=generator) < self.p_reversal
        if self.min_block_trials:
            reversal = _with_minimum_between(reversal, self.min_block_trials)
        jump = torch.randint(1, max(kinds, 2), shape, generator=generator)
        first = torch.randint(kinds, (batch,), generator=generator)
        return (first + torch.cumsum(reversal * jump, dim=0)) % kinds

    def _draw_mapping(self, batch: int, generator: torch.Generator) -> Tensor:
        """1 where choice 0 commonly leads to state 1; drawn only if it varies."""
        shape = (self.trials, batch)
        if self.p_transition_reversal == 0:
            return torch.zeros(shape, dtype=torch.int64)
        reversal = torch.rand(shape, generator=generator) < self.p_transition_reversal
        first = torch.randint(2, (batch,), generator=generator)
        return (first + torch.cumsum(reversal, dim=0)) % 2

    def begin(self, tape: Tape) -> "TwoStepEpisodes":
        """Start the episodes of a tape."""
        return TwoStepEpisodes(self, tape)


def _is_reward_pair(pair: object) -> bool:
    return isinstance(pair, tuple) and len(pair) == 2 and all(0 <= p <= 1 for p in pair)


def _with_minimum_between(reversal: Tensor, minimum: int) -> Tensor:
    """Drop reversals that come within ``minimum`` trials of a block's start."""
    kept = torch.zeros_like(reversal)
    age = torch.zeros_like(reversal[0], dtype=torch.int64)
    for trial in range(len(reversal)):
        kept[trial] = reversal[trial] & (age >= minimum)
        age = torch.where(kept[trial], 0, age) + 1
    return kept


# Rows of the table of cues. State -1, after an invalid choice, is the blank before it.
CHOICE, BLANK, STATE, FIXATION, FORCED = 0, 1, 2, 4, 5
FIXATE = 2  # the action that fixates


def _cue_table(task: TwoStep) -> Tensor:
    """One row per cue, one column per unit of the observation in use."""
    columns = [CHOICE, STATE, STATE + 1]
    if task.fixation:
        columns.append(FIXATION)
    if task.p_forced > 0:
        columns += [FORCED, FORCED + 1]
    return torch.eye(7)[:, columns]


class TwoStepEpisodes(Episodes):
    """Episodes of the two-step task, played in lockstep."""

    def __init__(self, task: TwoStep, tape: Tape) -> None:
        self.task, self.tape = task, tape
        self.trial = self.phase = 0
        respond = [self._fixate, self._choose, self._leave_state]
        self._responses = respond[-task.steps_per_trial :]
        self._choices: list[Tensor] = []
        self._states: list[Tensor] = []
        self._rewards: list[Tensor] = []
        self._cues = _cue_table(task).to(tape["flip"].device)
        self._everywhere = torch.zeros_like(tape["flip"][0])
        self.observation = self._trial_start()

    def step(self, action: Tensor) -> tuple[Tensor, Tensor]:
        """Take one action in every episode; see :meth:`Episodes.step`."""
        reward = self._responses[self.phase](action)
        self.phase += 1
        if self.phase == len(self._responses):
            self.phase = 0
            self.trial += 1
            self.observation = self._trial_start()
        return self.observation, reward

    @property
    def last_choice(self) -> Tensor:
        """(..., episode): the latest choice, -1 if it was invalid."""
        return self._choices[-1]

    @property
    def last_state(self) -> Tensor:
        """(..., episode): the latest second-step state, -1 if there was none."""
        return self._states[-1]

    def _trial_start(self) -> Tensor:
        if self.task.fixation:
            return self._cues[self._everywhere + FIXATION]
        return self._choice_cue()

    def _choice_cue(self) -> Tensor:
        if self.task.p_forced == 0 or self.trial == self.task.trials:
            return self._cues[self._everywhere + CHOICE]
        forced = self.tape["forced"][self.trial]
        return self._cues[torch.where(forced >= 0, FORCED + forced, CHOICE)]

    def _fixate(self, action: Tensor) -> Tensor:
        self.observation = self._choice_cue()
        return float(self.task.invalid_reward) * (action != FIXATE)

    def _choose(self, action: Tensor) -> Tensor:
        choice = action
        if self.task.p_forced > 0:  # only the instructed side is available
            forced = self.tape["forced"][self.trial]
            choice = torch.where(forced >= 0, forced, action)
        state = choice ^ self.tape["flip"][self.trial]
        reward = torch.zeros_like(self.tape["outcome0"][self.trial])
        if self.task.fixation:
            invalid = choice == FIXATE
            choice, state = (
                choice.masked_fill(invalid, -1),
                state.masked_fill(invalid, -1),
            )
            reward = float(self.task.invalid_reward) * invalid
        self._choices.append(choice)
        self._states.append(state)
        self.observation = self._cues[STATE + state]
        return reward

    def _leave_state(self, action: Tensor) -> Tensor:
        state = self._states[-1]
        reward = torch.where(
            state == 1,
            self.tape["outcome1"][self.trial],
            self.tape["outcome0"][self.trial],
        )
        if self.task.fixation:
            reward = reward.masked_fill(state < 0, 0.0)
        self._rewards.append(reward)
        return reward.clone()  # what is recorded stays ours

    def trials(self) -> dict[str, Tensor]:
        """Return the trials finished so far; see :meth:`Episodes.trials`.

        ``reward`` is the outcome's, NaN in trials that are not valid; penalties for
        invalid responses are not in it.

        Raises
        ------
        InputError
            When no trial is finished yet.
        """
        done = self.trial
        if done == 0:
            raise InputError("no trial is finished yet; play some before asking")
        choice, state = (
            torch.stack(self._choices[:done]),
            torch.stack(self._states[:done]),
        )
        tape = {name: values[:done] for name, values in self.tape.items()}
        valid = choice >= 0
        pays0, pays1 = torch.tensor(self.task.blocks, device=choice.device)[
            tape["block"]
        ].unbind(-1)
        good_state = torch.where(pays0 == pays1, -1, (pays1 > pays0).long())
        swapped = tape["flip"] ^ (~tape["common"]).long()
        return {
            "choice": choice,
            "state2": state,
            "transition_common": torch.where(valid, tape["common"].long(), -1),
            "reward": torch.where(valid, torch.stack(self._rewards), torch.nan),
            "forced": (tape["forced"] >= 0).long(),
            "valid": valid.long(),
            "good_state": good_state,
            "good_choice": torch.where(good_state < 0, -1, good_state ^ swapped),
        }


def miller_rats() -> TwoStep:
    """Return the version for rats of Miller, Botvinick & Brody 2017.

    Transitions 0.8/0.2, rewards 0.8/0.2, uncued reversals after a minimum of trials,
    some first steps forced. The hazard 0.02 after 10 trials and the forced fraction
    0.125 are guesses from memory and from the 2022 data; so is the session length.
    """
    return TwoStep(
        blocks=((0.8, 0.2), (0.2, 0.8)),
        p_reversal=0.02,
        min_block_trials=10,
        p_forced=0.125,
        trials=500,
    )


def akam_mice() -> TwoStep:
    """Return the reduced version for mice of Akam et al. 2021 (Neuron 109:149).

    Rewards 0.8/0.2, neutral blocks 0.4/0.4, transitions 0.8/0.2 that reverse too. In
    the experiment blocks end after a performance criterion; here by a constant hazard
    (0.02 for rewards, after 20 trials of a block; 0.01 for transitions): guesses.
    """
    return TwoStep(
        blocks=((0.8, 0.2), (0.4, 0.4), (0.2, 0.8)),
        p_reversal=0.02,
        min_block_trials=20,
        p_transition_reversal=0.01,
        trials=400,
    )
