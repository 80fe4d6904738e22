"""The front door for other people's tasks: neurogym's, played by our network.

Any environment of neurogym, or of gymnasium with discrete actions, becomes a
:class:`Task`. Its copies are stepped one after the other in a loop, some 10 to 100 us
each; tasks of our own are thousands of times faster.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

import gymnasium
import neurogym
import numpy as np
import torch
from gymnasium import spaces
from neurogym.core import TrialEnv
from numpy.typing import NDArray
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.base import Episodes, Tape, Task

SURVEY_STEPS = 5_000
"""Steps that each of two players takes to find the longest trial and the range seen."""

UNBOUNDED = 1e6
"""Bounds of a space beyond this are none (some say the largest float32)."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Survey:
    """What one player that stays at action 0 and a random one met."""

    longest: int | None  # steps; None: no trial came to its end
    low: Floats  # (observation,)
    high: Floats


@dataclass(frozen=True)
class NeurogymTask(Task):
    """An environment of neurogym, or of gymnasium with discrete actions, as a task.

    **A trial.** A trial of neurogym; an episode of gymnasium. All take
    ``steps_per_trial`` steps here: after a trial that ended earlier come blank steps
    in which actions do nothing, as between trials; one that lasts longer is cut short
    and not valid.

    **Actions.** The environment's own.

    **Observation.** The environment's, flattened (one-hot where it is discrete), each
    element scaled to 0 to 1: by the bounds of its space or, where there are none (as in
    nearly all of neurogym), by the range seen in a survey, beyond which it is clipped.
    Blank between trials.

    **Reward.** The environment's.

    **End.** After ``trials`` trials. Every episode is played by a fresh copy, so that
    nothing but its seed decides what happens in it. (neurogym's ``reset(seed=...)``
    does not reach its tasks, and starts with a step of its own: here all that draws at
    random is seeded, and the first trial starts at its start.)

    The tape holds the seeds. In the trial table, ``choice`` is a trial's last action
    and ``reward`` the sum over its steps.
    """

    environment: str = parameter(
        "PerceptualDecisionMaking-v0", "neurogym: id, also of your own environment"
    )
    trials: int = parameter(
        20, "guess: enough to learn within an episode, if there is anything", unit="1"
    )
    trial_steps: int | None = parameter(
        None, "the longest trial in a survey", unit="steps per trial"
    )
    arguments: Mapping[str, Any] | None = field(
        default=None,
        hash=False,
        metadata={"source": "neurogym: as the environment comes", "unit": "1"},
    )

    def __post_init__(self) -> None:
        """Check that there is such an environment and that it can be played.

        Raises
        ------
        InputError
            When there is none, its actions are not discrete, its observations cannot
            be flattened, or a count is below 1.
        """
        if self.trials < 1 or (self.trial_steps is not None and self.trial_steps < 1):
            raise InputError(
                f"trials is {self.trials} and trial_steps {self.trial_steps}; "
                "expected 1 or more"
            )
        env = self.make()
        if not isinstance(env.action_space, spaces.Discrete):
            raise InputError(
                f"{self.environment}: actions are {env.action_space}; expected Discrete"
            )
        if not env.observation_space.is_np_flattenable:
            raise InputError(
                f"{self.environment}: observations are {env.observation_space}; "
                "expected what can be flattened to an array"
            )

    def make(self) -> Any:
        """Return a fresh copy of the environment.

        Raises
        ------
        InputError
            When there is no such environment, or it does not take the arguments.
        """
        try:
            with warnings.catch_warnings():  # neurogym does not say how it renders
                warnings.filterwarnings("ignore", message=".*render_modes.*")
                return neurogym.make(self.environment, **(self.arguments or {}))
        except (gymnasium.error.Error, ModuleNotFoundError, TypeError) as wrong:
            raise InputError(f"environment '{self.environment}': {wrong}") from None

    @property
    def n_observations(self) -> int:
        """Length of the flattened observation."""
        return len(self.bounds[0])

    @cached_property
    def n_actions(self) -> int:
        """Number of the environment's actions."""
        return int(self.make().action_space.n)

    @cached_property
    def phases(self) -> tuple[str, ...]:
        """One per step of the longest trial.

        Raises
        ------
        InputError
            When no trial comes to its end.
        """
        return tuple(f"step {step}" for step in range(self._longest_trial()))

    def _longest_trial(self) -> int:
        env = self.make()
        longest = self.trial_steps
        if longest is None and not isinstance(env.unwrapped, TrialEnv):
            longest = env.spec.max_episode_steps  # good players may last longest
        longest = longest or self._survey.longest
        if longest is None:
            raise InputError(
                f"{self.environment}: no trial ended within {SURVEY_STEPS} steps; "
                "say trial_steps"
            )
        return longest

    @cached_property
    def bounds(self) -> tuple[Floats, Floats]:
        """Lowest and highest observation, (observation,) each."""
        space: Any = spaces.flatten_space(self.make().observation_space)
        known = (np.abs(space.low) < UNBOUNDED) & (np.abs(space.high) < UNBOUNDED)
        low, high = space.low.astype(np.float32), space.high.astype(np.float32)
        if not known.all():
            low = np.where(known, low, self._survey.low)
            high = np.where(known, high, self._survey.high)
        return low, high

    @property
    def _survey(self) -> Survey:
        return survey(replace(self, trials=1, trial_steps=None))

    @property
    def latents(self) -> dict[str, str]:
        """What neurogym tells about a trial."""
        return {
            "ground_truth": "right action at the trial's last step, -1: not told",
            "performance": "1: right, 0: wrong; NaN: not told",
        }

    def draw(self, batch: int, generator: torch.Generator) -> Tape:
        """Draw seeds.

        Returns
        -------
        Tape
            (trial, episode) int64 ``seed``, the same in all trials.
        """
        seed = torch.randint(2**31, (batch,), generator=generator)
        return {"seed": seed.expand(self.trials, -1)}

    def begin(self, tape: Tape) -> "NeurogymEpisodes":
        """Start the episodes of a tape."""
        return NeurogymEpisodes(self, tape)


@cache
def survey(task: NeurogymTask) -> Survey:
    """Let two players play a copy of an environment; the same again every time."""
    copy = Copy(task.make(), seed=0)
    rng = np.random.default_rng(0)
    lengths, seen, length = [], [copy.observation], 0
    still = np.zeros(SURVEY_STEPS, dtype=np.int64)
    for action in (*still, *rng.integers(task.n_actions, size=SURVEY_STEPS)):
        _, over, _ = copy.step(int(action))
        seen.append(copy.observation)
        length += 1
        if over:
            lengths.append(length)
            length = 0
    low, high = np.min(seen, axis=0), np.max(seen, axis=0)
    return Survey(max(lengths, default=None), low, high)


class Copy:
    """One copy of an environment, seeded, at the start of its first trial.

    ``observation`` is the flattened observation of now: after a trial's last step the
    first of the next trial.
    """

    def __init__(self, env: Any, seed: int) -> None:
        self.env = env
        seed_all(env, seed)
        first, _ = env.reset(seed=seed)
        task = env.unwrapped
        self._is_neurogym = isinstance(task, TrialEnv) and (
            type(task).reset is TrialEnv.reset  # our TaskEnv has a reset of its own
        )
        if self._is_neurogym:  # its reset has played a step
            seed_all(env, seed)
            first = self._start_trial()
        self.observation = self._flat(first)

    def step(self, action: int) -> tuple[float, bool, dict[str, Any]]:
        """Take an action; return its reward, whether the trial is over, and info."""
        first = getattr(self.env.action_space, "start", 0)
        seen, reward, terminated, truncated, info = self.env.step(action + int(first))
        over = terminated or truncated
        if over:
            seen, _ = self.env.reset()
        self.observation = self._flat(seen)
        return float(reward), over or info.get("new_trial", False), info

    def cut(self) -> None:
        """Leave the trial and start the next."""
        seen = self._start_trial() if self._is_neurogym else self.env.reset()[0]
        self.observation = self._flat(seen)

    def _start_trial(self) -> Any:
        self.env.unwrapped._top.new_trial()
        task = self.env.unwrapped  # may be another now: some environments alternate
        task.t = task.t_ind = 0
        space = self.env.observation_space
        return task.ob[0] if hasattr(task, "ob") else np.zeros(space.shape)

    def _flat(self, seen: Any) -> Floats:
        flat: Any = spaces.flatten(self.env.observation_space, seen)
        return np.asarray(flat, dtype=np.float32)


def seed_all(env: Any, seed: int) -> None:
    """Seed everything in an environment of neurogym that draws at random.

    Its tasks draw from generators of their own, which ``reset(seed=...)`` does not
    reach; wrappers may hold several tasks and the schedule that alternates them.
    """
    while True:
        held = vars(env)
        if "schedule" in held:
            held["schedule"].seed(seed)
        for other in held.get("envs", ()):
            seed_all(other, seed)
        if not isinstance(env, gymnasium.Wrapper):
            break
        env = env.env
    if isinstance(env, TrialEnv):
        env.seed(seed)
    for name, value in vars(env).items():
        if isinstance(value, np.random.Generator):  # AnnubesEnv has one of its own
            setattr(env, name, np.random.default_rng(seed))


class NeurogymEpisodes(Episodes):
    """Episodes of a neurogym environment: a copy each."""

    trial: int
    phase: int

    def __init__(self, task: NeurogymTask, tape: Tape) -> None:
        self.task = task
        seeds = tape["seed"][0]
        self._shape, self._device = seeds.shape, seeds.device
        self._copies = [Copy(task.make(), seed) for seed in seeds.flatten().tolist()]
        self.trial = self.phase = 0
        n = len(self._copies)
        self._waits = np.zeros(n, dtype=np.bool_)
        self._columns = {
            "choice": np.full((task.trials, n), -1),
            "reward": np.zeros((task.trials, n), dtype=np.float32),
            "valid": np.zeros((task.trials, n), dtype=np.int64),
            "ground_truth": np.full((task.trials, n), -1),
            "performance": np.full((task.trials, n), np.nan, dtype=np.float32),
        }
        self.observation = self._observe()

    def step(self, action: Tensor) -> tuple[Tensor, Tensor]:
        """Take one action in every episode; see :meth:`Episodes.step`."""
        reward = np.zeros(len(self._copies), dtype=np.float32)
        actions = action.flatten().tolist()
        for at in np.flatnonzero(~self._waits):
            reward[at], self._waits[at], info = self._copies[at].step(actions[at])
            if self._waits[at]:
                self._note(at, actions[at], info)
        self._columns["reward"][self.trial] += reward
        self.phase += 1
        if self.phase == self.task.steps_per_trial:
            self._next_trial()
        self.observation = self._observe()
        earned = torch.from_numpy(reward).view(self._shape).to(self._device)
        return self.observation, earned

    def _note(self, at: int, action: int, info: dict[str, Any]) -> None:
        """Write down a trial that has come to its end."""
        self._columns["choice"][self.trial, at] = action
        self._columns["valid"][self.trial, at] = 1
        truth = info.get("gt", -1)
        if np.ndim(truth) == 0:
            self._columns["ground_truth"][self.trial, at] = int(truth)
        performance = info.get("performance", np.nan)
        self._columns["performance"][self.trial, at] = performance

    def _next_trial(self) -> None:
        for at in np.flatnonzero(~self._waits):
            self._copies[at].cut()
        self.trial, self.phase = self.trial + 1, 0
        self._waits[:] = self.trial == self.task.trials

    def _observe(self) -> Tensor:
        """Return the observations, from 0 to 1; blank between and after trials."""
        low, high = self.task.bounds
        seen = np.stack([copy.observation for copy in self._copies])
        scaled = np.clip((seen - low) / np.where(high > low, high - low, 1), 0, 1)
        scaled[self._waits] = 0
        return torch.from_numpy(scaled).view(*self._shape, -1).to(self._device)

    def trials(self) -> dict[str, Tensor]:
        """Return the trials finished so far; see :meth:`Episodes.trials`.

        Raises
        ------
        InputError
            When no trial is finished yet.
        """
        if self.trial == 0:
            raise InputError("no trial is finished yet; play some before asking")
        return {
            name: torch.from_numpy(values[: self.trial].copy())
            .view(self.trial, *self._shape)
            .to(self._device)
            for name, values in self._columns.items()
        }
