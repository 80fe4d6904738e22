"""The curriculum: which problems the episodes of training are drawn from."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.provenance import parameter
from pfc_metarl.seeds import generator
from pfc_metarl.tasks.base import Tape, Task


@dataclass(frozen=True)
class Curriculum:
    """The sequence of problems that a seed is trained on.

    The third condition of the theory is a sequence of related tasks. It is removed by
    training on ``problems`` problems only, which each seed draws for itself once, or by
    problems that are not ``related``: in every trial the latents are those of another
    episode, so that what an episode has taught so far says nothing about what comes.
    Outcomes are drawn anew for every episode either way.

    Source: Wang et al. 2018 (the condition); how it is removed is ours (a guess).
    """

    problems: int | None = parameter(
        None,
        "Wang et al. 2016, section 3.1: a new one in every episode",
        unit="problems",
    )
    related: bool = parameter(True, "Wang et al. 2016, section 3.1")

    def __post_init__(self) -> None:
        """Check the number of problems.

        Raises
        ------
        InputError
            When it is not at least 1.
        """
        if self.problems is not None and self.problems < 1:
            raise InputError(
                f"problems is {self.problems}; expected None, or 1 or more"
            )

    def draw(self, task: Task, batch: int, seed: int, draw: torch.Generator) -> Tape:
        """Draw the tape of a batch of episodes for training.

        Parameters
        ----------
        task
            The distribution of problems.
        batch
            Number of episodes.
        seed
            Whose few problems it is drawn from.
        draw
            The source of everything else.

        Raises
        ------
        InputError
            When the curriculum is confined and the task does not draw its problems
            apart from their outcomes.
        """
        if self.problems is None and self.related:
            return task.draw(batch, draw)
        if self.problems is None:
            problems = task.draw_problems(batch, draw)
        else:
            known = task.draw_problems(self.problems, generator(seed, "problems"))
            which = torch.randint(self.problems, (batch,), generator=draw)
            problems = {name: values[:, which] for name, values in known.items()}
        if not self.related:
            problems = _unrelated(problems, task.trials, batch, draw)
        return task.draw_outcomes(problems, draw)


def _unrelated(problems: Tape, trials: int, batch: int, draw: torch.Generator) -> Tape:
    """Exchange the latents of each trial among the episodes, all names alike."""
    other = torch.rand((trials, batch), generator=draw).argsort(1)

    def exchanged(values: Tensor) -> Tensor:
        order = other.view(trials, batch, *[1] * (values.dim() - 2))
        return values.gather(1, order.expand_as(values))

    return {name: exchanged(values) for name, values in problems.items()}
