"""The table of tasks: what each pays to a random player, to baselines, to the ideal."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from inspect import getmodule

import pandas as pd
import torch
from torch import Tensor

from pfc_metarl.seeds import generator
from pfc_metarl.tasks import TASKS
from pfc_metarl.tasks.base import Episodes, Tape, Task
from pfc_metarl.tasks.observers import players

EPISODES = 10_000
SEED = 0
NUMBERS_AT_ONCE = 3e7  # of a tape and an observation, to bound the memory

Play = Callable[[Tape, torch.Generator], Episodes]


@dataclass(frozen=True)
class Earned:
    """Outcome of a player: mean and standard error over episodes."""

    reward: float
    reward_sem: float
    regret: float
    regret_sem: float


def table(
    names: list[str], episodes: int = EPISODES, say: Callable[[str], None] = print
) -> pd.DataFrame:
    """Let every player of every task play.

    Parameters
    ----------
    names
        Tasks of :data:`pfc_metarl.tasks.TASKS`, with their default parameters.
    episodes
        Episodes per player, the same for all players of a task; drawn from the test
        episodes' stream. Time grows in proportion; memory does not.
    say
        Told each row as it is done.

    Returns
    -------
    pandas.DataFrame
        A row per task and player: what :func:`listing` tells, ``reward`` per episode
        and ``regret`` per episode (NaN where the task does not tell the options'
        probabilities), each with ``_sem``. Rewards are the outcomes of trials;
        penalties for invalid responses, which a random player gives, are not in them.
    """
    rows = []
    for name in names:
        task = TASKS[name]()
        for player, play in _players(task):
            earned = _earned(task, play, episodes)
            rows.append({"task": name, "player": player, **vars(earned)})
            say(_line(name, player, earned))
    return listing(names).merge(pd.DataFrame(rows), on="task")


def listing(names: list[str]) -> pd.DataFrame:
    """Return ``task``, ``trials``, ``steps_per_trial`` and ``source``, a row per task.

    ``steps_per_trial`` is 0 where the agent sets the pace.
    """
    rows = []
    for name in names:
        task = TASKS[name]()
        paced = task.begin(task.draw(1, generator(SEED, "test episodes"))).active
        steps = task.steps_per_trial if paced is None else 0
        rows.append((name, task.trials, steps, source(type(task))))
    return pd.DataFrame(rows, columns=["task", "trials", "steps_per_trial", "source"])


def source(task: type[Task]) -> str:
    """Return where a task is from: the first sentence with a year that introduces it.

    Looked for in what its class says before the trial, then in its module.
    """
    of_class, of_module = task.__doc__, getattr(getmodule(task), "__doc__", None)
    introduction, *rest = (of_class or "").split("**A trial")
    everything = "\n\n".join([introduction, of_module or "", *rest])
    for paragraph in everything.split("\n\n"):
        if re.search(r"\b(19|20)\d\d\b", paragraph):
            text = " ".join(paragraph.split())
            return re.split(r"\.(?= [A-Z*])|\.$", text)[0]
    return ""


def _line(name: str, player: str, earned: Earned) -> str:
    line = (
        f"{name}, {player}: {earned.reward:.3f} ± {earned.reward_sem:.3f} per episode"
    )
    if not math.isnan(earned.regret):
        line += f", regret {earned.regret:.2f} ± {earned.regret_sem:.2f}"
    return line


def _players(task: Task) -> Iterator[tuple[str, Play]]:
    yield from ((name, player.play) for name, player in players(task).items())
    if "random" not in players(task):
        yield "random", lambda tape, draw: _random(task, tape, draw)


def _random(task: Task, tape: Tape, draw: torch.Generator) -> Episodes:
    """Play any action, all alike probable."""
    episodes = task.begin(tape)
    for _ in range(task.steps):
        if episodes.active is not None and not episodes.active.any():
            break
        shape = episodes.observation.shape[:-1]
        episodes.step(torch.randint(task.n_actions, shape, generator=draw))
    return episodes


def _earned(task: Task, play: Play, episodes: int) -> Earned:
    draw, own = generator(SEED, "test episodes"), generator(SEED, "observer")
    size = task.n_observations + 10 * task.trials * task.n_actions
    at_once = int(max(20, min(episodes, NUMBERS_AT_ONCE / size)))
    rewards, regrets = [], []
    for first in range(0, episodes, at_once):
        tape = task.draw(min(at_once, episodes - first), draw)
        columns = play(tape, own).trials()
        rewards.append(columns["reward"].nan_to_num().sum(0))
        regrets.append(_regret(columns))
    return Earned(*_mean(torch.cat(rewards)), *_mean(torch.cat(regrets)))


def _regret(columns: dict[str, Tensor]) -> Tensor:
    """Sum over trials of the best option's probability less the chosen one's."""
    if "p_reward_0" not in columns:
        return torch.full_like(columns["reward"][0], torch.nan)
    names = [f"p_reward_{arm}" for arm in range(len(columns))]
    p_reward = torch.stack([columns[n] for n in names if n in columns], dim=-1)
    choice = columns["choice"].long()
    chosen = p_reward.gather(-1, choice.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return (p_reward.amax(-1) - chosen.masked_fill(choice < 0, 0.0)).sum(0)


def _mean(values: Tensor) -> tuple[float, float]:
    values = values.double()
    return float(values.mean()), float(values.std() / math.sqrt(len(values)))
