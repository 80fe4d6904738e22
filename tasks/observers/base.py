"""What plays a task without learning in networks: ideal observers and baselines."""

from abc import ABC, abstractmethod

import torch

from pfc_metarl.tasks.base import Episodes, Tape


class Player(ABC):
    """Plays whole episodes of one task by a rule of its own.

    Subclasses are frozen dataclasses whose first field is the task.
    """

    @abstractmethod
    def play(self, tape: Tape, generator: torch.Generator) -> Episodes:
        """Play the episodes of a tape.

        Parameters
        ----------
        tape
            Drawn from the task; tensors (trial, ..., episode).
        generator
            The source of the player's own chance: ties, samples.

        Returns
        -------
        Episodes
            Finished. The player has used no more than an agent sees: observations
            and rewards (the contract's tests change the rest of the tape).
        """
