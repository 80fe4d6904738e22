"""The front door for other people's agents: a task as a neurogym environment."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.utils import seeding
from neurogym.core import TrialEnv
from neurogym.utils import spaces
from numpy.typing import NDArray

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.base import Tape, Task
from pfc_metarl.tasks.by_name import task_with
from pfc_metarl.tasks.vector_environment import chance

NO_ACTION = -1
"""The previous action at the first step, and the right one where none is right."""

CHOICE, GOOD_CHOICE = "choice", "good_choice"
"""The phase at which a choice is made; the trial table's column of the right one."""


def environment(task: str | type[Task], dt: int = 100, **parameters: Any) -> "TaskEnv":
    """Return the environment of a task; what ``gymnasium.make`` calls.

    Parameters
    ----------
    task
        A name of :data:`pfc_metarl.tasks.TASKS`, or a class of your own.
    dt
        Duration of a step in ms.
    parameters
        Those of the task.

    Raises
    ------
    InputError
        When there is no such task or parameter, or a value is out of range.
    """
    return TaskEnv(task_with(task, parameters), dt)


class TaskEnv(TrialEnv):  # type: ignore[misc]  # neurogym has no types
    """A task as an environment of neurogym and gymnasium: one episode at a time.

    **Steps.** One of the task's steps lasts ``dt`` ms, and every phase of a trial is a
    period of that name; where a phase lasts until the agent has done what it asks for,
    ``in_period`` tells the present one. Observation and reward are the task's own;
    previous action and reward are added by neurogym's PassAction and PassReward, where
    the action before the first step is -1.

    **Episodes.** ``reset`` draws a new problem and plays nothing. After the last trial
    (or, in self-paced tasks, the last step) the episode is *terminated*, not truncated:
    no reward comes later, as our own learning has it. An agent that steps on, as
    neurogym's tools do, starts the next episode with that step.

    **Seeds.** ``reset(seed=...)`` determines all episodes from then on, given the
    actions; so does ``seed(...)`` before a reset.

    **Info.** neurogym's keys: ``new_trial``; ``gt``, at the step of the choice the
    action that makes the trial table's ``good_choice``, -1 at other steps, where a task
    has no such column, and where what is good hinges on what was done before (baits
    that wait, say); at a trial's end ``performance`` (1 right, 0 wrong, -1 where
    nothing was right) and ``trial``, which is the next one. At the episode's end
    ``trials`` holds the columns of the trial table, latents included, each (trial,).

    There is no ``ob`` of a whole trial, which neurogym's ``Dataset`` asks for: what is
    seen depends on what is done.

    Parameters
    ----------
    task
        Any task.
    dt
        Duration of a step in ms.
    """

    metadata = {  # noqa: RUF012 (gymnasium's way)
        "render_modes": [],
        "tags": ["meta-reinforcement learning"],
    }

    def __init__(self, task: Task, dt: int = 100) -> None:
        super().__init__(dt=dt)
        self.task = task
        self.timing = dict.fromkeys(task.phases, dt)
        shape = (task.n_observations,)
        self.observation_space = spaces.Box(0.0, 1.0, shape=shape, dtype=np.float32)
        self.action_space = spaces.Discrete(task.n_actions)
        self._over = True
        self._starting = False

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Draw a problem; return what is seen first.

        Parameters
        ----------
        seed
            Of this and all later episodes; None goes on with the generator there is.
        options
            ``step_fn``: neurogym's wrappers give their ``step``, to add to the first
            observation what they add to others.
        """
        gymnasium.Env.reset(self, seed=seed)
        if seed is not None:
            self._seed_neurogym(seed)
        self._begin_episode()
        step_fn: Callable[[int], Any] | None = (options or {}).get("step_fn")
        if step_fn is None:
            return self._observation(), {}
        self._starting = True
        return step_fn(NO_ACTION)[0], {}

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Seed the next ``reset()``: neurogym's older way."""
        self._np_random, used = seeding.np_random(seed)
        self._seed_neurogym(int(used))
        self.action_space.seed(seed)
        return [seed]

    def _seed_neurogym(self, seed: int) -> None:
        """Seed what neurogym's own wrappers draw from."""
        self.rng = np.random.RandomState(seed % 2**32)

    def _begin_episode(self) -> None:
        tape = self.task.draw(1, chance(self.np_random))
        self._episodes = self.task.begin(tape)
        self._right = [] if self._self_paced else right_choices(self.task, tape)
        self._played = self.num_tr = self.t = self.t_ind = 0
        self._over = False
        self._top.new_trial()

    @property
    def _self_paced(self) -> bool:
        return self._episodes.active is not None

    def _trial_and_phase(self) -> tuple[int, int]:
        """Return where in the episode the next step is."""
        if self._self_paced:
            where: Any = self._episodes  # says so itself, (episode,) each
            return int(where.trial), int(where.phase)
        return divmod(self._played, self.task.steps_per_trial)

    def in_period(self, period: str, t: int | None = None) -> bool:
        """Check whether the next step, or time t of the trial, is in a period."""
        if t is not None:
            return bool(super().in_period(period, t))
        return period == self.task.phases[self._trial_and_phase()[1]]

    def _new_trial(self, **kwargs: Any) -> dict[str, int]:
        """Describe the trial that the episode has come to."""
        if kwargs:
            raise InputError(
                f"new_trial has {', '.join(kwargs)}; the task draws its trials itself"
            )
        trial = self._trial_and_phase()[0]
        if self._self_paced:
            self.tmax = (self.task.steps + 1) * self.dt  # ends when it ends
            return {"trial_in_session": trial}
        right = self._right[trial] if trial < self.task.trials else NO_ACTION
        self.add_period(list(self.timing))
        self.set_groundtruth(NO_ACTION)
        if CHOICE in self.timing:
            self.set_groundtruth(right, CHOICE)
        return {"trial_in_session": trial, "ground_truth": right}

    def step(
        self, action: int
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Take an action; see the class for what comes back.

        Raises
        ------
        InputError
            When there is no such action.
        """
        if self._starting:  # a wrapper resets: nothing is played
            self._starting = False
            return self._observation(), 0.0, False, False, {"new_trial": False}
        if not self.action_space.contains(action):
            raise InputError(
                f"action is {action!r}; expected 0 to {self.task.n_actions - 1}"
            )
        if self._over:
            self._begin_episode()
        stepped: Any = super().step(int(action))
        return stepped  # type: ignore[no-any-return]

    def _step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        before, _ = self._trial_and_phase()
        _, reward = self._episodes.step(torch.tensor([action]))
        self._played += 1
        trial, _ = self._trial_and_phase()
        active = self._episodes.active
        self._over = self._played == self.task.steps or (
            active is not None and not active.item()
        )
        info: dict[str, Any] = {"new_trial": trial > before or self._over}
        self._judge(action, trial - 1 if trial > before else None)
        if self._over:
            info["trials"] = self.trials()
        return self._observation(), reward.item(), self._over, False, info

    def _judge(self, action: int, finished: int | None) -> None:
        """Set neurogym's ``performance``, by trial, from the choice made in it."""
        if self.t == 0:
            self.performance = NO_ACTION
        if self._self_paced:
            choice, right = self._choice_and_right(finished)
        else:
            choice, right = action, int(self.gt_now)
        if right != NO_ACTION:
            self.performance = int(choice == right)

    def _choice_and_right(self, trial: int | None) -> tuple[int, int]:
        columns = {} if trial is None else self.trials()
        if GOOD_CHOICE not in columns:
            return NO_ACTION, NO_ACTION
        return int(columns["choice"][trial]), int(columns[GOOD_CHOICE][trial])

    def _observation(self) -> NDArray[np.float32]:
        seen: NDArray[np.float32] = self._episodes.observation[0].numpy().copy()
        return seen

    def trials(self) -> dict[str, NDArray[Any]]:
        """Return the columns of the trial table so far, latents included.

        Returns
        -------
        dict
            Each (trial,).

        Raises
        ------
        InputError
            When no trial is finished yet.
        """
        columns = self._episodes.trials()
        return {name: values[:, 0].numpy().copy() for name, values in columns.items()}


def right_choices(task: Task, tape: Tape) -> list[int]:
    """Return the action that makes the good choice in each trial of one episode, or -1.

    What is good stands in the trial table, which is written when a trial is over. So
    the episode is played ahead by one player per action, who does nothing else. No
    action is right where all lead to the same choice (it is forced), where both choices
    are as good, and where what is good hinges on what was done before.
    """
    copies = {
        name: values.expand(-1, task.n_actions, *[-1] * (values.dim() - 2))
        for name, values in tape.items()
    }
    episodes = task.begin(copies)
    for _ in range(task.steps):
        episodes.step(torch.arange(task.n_actions))
    columns = episodes.trials()
    if GOOD_CHOICE not in columns:
        return [NO_ACTION] * task.trials
    choice, good = columns["choice"], columns[GOOD_CHOICE]
    makes_it = (choice == good) & (good >= 0)
    known = (good == good[:, :1]).all(dim=1) & makes_it.any(dim=1)
    known &= ~makes_it.all(dim=1)
    right: list[int] = torch.where(known, makes_it.int().argmax(1), NO_ACTION).tolist()
    return right
