"""The front door for other people's agents, many episodes at once in one program."""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.base import Task
from pfc_metarl.tasks.by_name import task_with

_MODES = getattr(gymnasium.vector, "AutoresetMode", None)  # from gymnasium 1.1

FINAL = "final_observation" if _MODES is None else "final_obs"
"""What the installed gymnasium calls the last observation of an episode in ``info``."""

Stepped = tuple[
    NDArray[np.float32],
    NDArray[np.float64],
    NDArray[np.bool_],
    NDArray[np.bool_],
    dict[str, Any],
]


def chance(draw: np.random.Generator) -> torch.Generator:
    """Return a generator for one draw of a tape, seeded from gymnasium's."""
    return torch.Generator().manual_seed(int(draw.integers(2**63)))


def vector_environment(
    task: str | type[Task],
    num_envs: int = 1,
    max_episode_steps: int | None = None,
    **parameters: Any,
) -> "TaskVectorEnv":
    """Return many episodes of a task as one environment; for ``gymnasium.make_vec``.

    Parameters
    ----------
    task
        A name of :data:`pfc_metarl.tasks.TASKS`, or a class of your own.
    num_envs
        Number of episodes at once.
    max_episode_steps
        Must be None; gymnasium 0.29 always hands it over.
    parameters
        Those of the task.

    Raises
    ------
    InputError
        When there is no such task or parameter, or a value is out of range.
    """
    if max_episode_steps is not None:
        raise InputError(
            f"max_episode_steps is {max_episode_steps}; an episode's length is its "
            "task's: say trials"
        )
    return TaskVectorEnv(task_with(task, parameters), num_envs)


class TaskVectorEnv(VectorEnv):
    """A batch of episodes of a task as a vector environment of gymnasium.

    All episodes are played in lockstep by the task's own tensor operations: what comes
    back is what the task gives on the same tape.

    **Reset.** All episodes end together, by termination, and the next ones begin in the
    same step (gymnasium 1 calls it SAME_STEP; 0.29 knows nothing else). The observation
    returned is then the first of the new episodes; ``info`` holds the last of the old
    ones under gymnasium's name (``final_obs``; in 0.29 ``final_observation``) and, as
    ``trials``, the columns of their trial table, each (trial, episode). Where trials
    take as many steps as the agent needs, ``info["active"]`` (episode,) tells whose
    next action still counts: an episode that is over waits for the others, and earns
    nothing.

    **Seeds.** ``reset(seed=...)`` determines all episodes from then on, given the
    actions. With one seed the batch has one generator, which is fast; an episode's
    chance events then depend on the batch's size. With a list of seeds, each episode is
    the one that :class:`~pfc_metarl.tasks.environments.TaskEnv` plays under its seed.

    Parameters
    ----------
    task
        Any task.
    num_envs
        Number of episodes.
    """

    metadata = {  # noqa: RUF012 (gymnasium's way)
        "render_modes": [],
        "autoreset_mode": _MODES.SAME_STEP if _MODES else "SameStep",
    }

    # What gymnasium's own vector environments have; there is no common constructor.
    spec = None
    render_mode = None
    viewer = None
    closed = False
    is_vector_env = True

    def __init__(self, task: Task, num_envs: int) -> None:
        if num_envs < 1:
            raise InputError(f"num_envs is {num_envs}; expected 1 or more")
        self.task, self.num_envs = task, num_envs
        shape = (task.n_observations,)
        self.single_observation_space = spaces.Box(0, 1, shape=shape, dtype=np.float32)
        self.single_action_space = spaces.Discrete(task.n_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._draws = [seeding.np_random()[0]]

    def reset(
        self,
        *,
        seed: int | list[int] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Draw new problems for all episodes; return what is seen first.

        Parameters
        ----------
        seed
            One for the batch, or one per episode; of this and all later episodes. None
            goes on with what there is.
        options
            None are known.

        Raises
        ------
        InputError
            When there are more or fewer seeds than episodes.
        """
        if isinstance(seed, int | np.integer):
            self._draws = [seeding.np_random(int(seed))[0]]
        elif seed is not None:
            if len(seed) != self.num_envs:
                raise InputError(
                    f"{len(seed)} seeds for {self.num_envs} episodes; expected as many"
                )
            self._draws = [seeding.np_random(int(each))[0] for each in seed]
        self._begin_episodes()
        return self._observation(), self._info()

    def _begin_episodes(self) -> None:
        share = self.num_envs // len(self._draws)
        tapes = [self.task.draw(share, chance(draw)) for draw in self._draws]
        tape = {name: torch.cat([t[name] for t in tapes], dim=1) for name in tapes[0]}
        self._episodes = self.task.begin(tape)
        self._played = 0

    def step(self, actions: Any) -> Stepped:  # type: ignore[override]
        """Take an action in every episode.

        Parameters
        ----------
        actions
            (episode,) integers.

        Returns
        -------
        tuple
            Observations (episode, observation) float32, rewards (episode,) float64,
            terminated and truncated (episode,) bool, and ``info``.

        Raises
        ------
        InputError
            When there is no such action.
        """
        given = np.asarray(actions)
        if (
            given.shape != (self.num_envs,)
            or given.dtype.kind not in "iu"
            or not ((given >= 0) & (given < self.task.n_actions)).all()
        ):
            raise InputError(
                f"actions are {given.dtype} of shape {given.shape}; expected "
                f"({self.num_envs},) integers from 0 to {self.task.n_actions - 1}"
            )
        action = torch.as_tensor(given, dtype=torch.int64)
        _, reward = self._episodes.step(action)
        self._played += 1
        over = self._played == self.task.steps or self._all_wait()
        final = self._final() if over else {}
        if over:
            self._begin_episodes()
        return (
            self._observation(),
            reward.double().numpy(),
            np.full(self.num_envs, over),
            np.zeros(self.num_envs, dtype=np.bool_),
            {**self._info(), **final},
        )

    def _all_wait(self) -> bool:
        active = self._episodes.active
        return active is not None and not active.any()

    def _final(self) -> dict[str, Any]:
        """Tell how the episodes ended."""
        last = np.empty(self.num_envs, dtype=object)
        last[:] = list(self._observation())
        columns = self._episodes.trials()
        return {
            FINAL: last,
            f"_{FINAL}": np.ones(self.num_envs, dtype=np.bool_),
            "trials": {name: values.numpy().copy() for name, values in columns.items()},
        }

    def _info(self) -> dict[str, Any]:
        active = self._episodes.active
        return {} if active is None else {"active": active.numpy().copy()}

    def _observation(self) -> NDArray[np.float32]:
        seen: NDArray[np.float32] = self._episodes.observation.numpy().copy()
        return seen
