"""The episodic two-step task's ideal observer: a filter, and perfect memory."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.episodic_two_step import EpisodicTwoStep, EpisodicTwoStepEpisodes
from pfc_metarl.tasks.observers.bandits import choose_highest
from pfc_metarl.tasks.observers.two_step import TwoStepObserver
from pfc_metarl.tasks.stages import FIXATE


@dataclass(frozen=True)
class EpisodicTwoStepObserver(TwoStepObserver):
    """Exact Bayesian filter of blocks, perfect memory of contexts, and greedy choice.

    It remembers the second-step state and the reward of every context it has seen. When
    a cue recalls one, that state is worth the old reward for sure, the other what the
    belief about the block says; a recalled outcome tells nothing of the block. A sure
    reward, 1 or 0, decides whatever the belief is, and in uncued trials either choice
    tells as much: greedy was optimal in all episodes of up to 10 trials that we solved.

    Parameters
    ----------
    task
        Any episodic two-step task.
    memory_trials
        None: it remembers all.
    """

    task: EpisodicTwoStep

    def __post_init__(self) -> None:
        """Check the memory.

        Raises
        ------
        InputError
            When it is limited.
        """
        if self.memory_trials is not None:
            raise InputError(
                f"memory_trials is {self.memory_trials}; expected None: the ideal "
                "observer of the episodic task remembers all trials"
            )

    def play(self, tape: Tape, generator: torch.Generator) -> EpisodicTwoStepEpisodes:
        """Play the episodes of a tape; see :meth:`Player.play`."""
        episodes, task = self.task.begin(tape), self.task
        here = tape["flip"][0]
        belief = self._prior.expand(*here.shape, -1)
        memory = ContextMemory(task, here)
        for _ in range(task.trials):
            if task.fixation:
                episodes.step(torch.full_like(here, FIXATE))
            known, state, reward = memory.recall(self._barcode(episodes))
            pays = self._reward_prob.expand(*here.shape, -1, -1)
            sure = known.unsqueeze(-1) & (torch.arange(2) == state.unsqueeze(-1))
            pays = torch.where(sure[..., None], reward[..., None, None], pays)
            value = torch.einsum("...k,ask,...sk->...a", belief, self._state_prob, pays)
            episodes.step(choose_highest(value, generator))
            choice, reached = episodes.last_choice, episodes.last_state
            context = self._barcode(episodes)
            _, reward = episodes.step(torch.zeros_like(here))
            rewarded = (reward > 0).unsqueeze(-1)
            told = self._reward_prob[reached]
            told = torch.where(rewarded, told, 1 - told)
            told = torch.where((known & (reached == state)).unsqueeze(-1), 1.0, told)
            belief = self._update(belief, self._state_prob[choice, reached] * told)
            memory.keep(context, reached, reward)
        return episodes

    def _barcode(self, episodes: EpisodicTwoStepEpisodes) -> Tensor:
        return episodes.observation[..., -self.task.barcode_bits :]


class ContextMemory:
    """State and reward of every context seen, in the order in which they were seen."""

    def __init__(self, task: EpisodicTwoStep, like: Tensor) -> None:
        self._n = 0
        shape = (*like.shape, task.trials)
        self._contexts = torch.zeros((*shape, task.barcode_bits))
        self._states = torch.full(shape, -1)
        self._rewards = torch.zeros(shape, dtype=torch.float64)

    def keep(self, context: Tensor, state: Tensor, reward: Tensor) -> None:
        """Store a context (..., episode, bit) with its state and reward."""
        self._contexts[..., self._n, :] = context
        self._states[..., self._n] = state
        self._rewards[..., self._n] = reward.double()
        self._n += 1

    def recall(self, cue: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Find a cue (..., episode, bit).

        Returns
        -------
        known : Tensor
            (..., episode) bool: it is a context seen before; not if it is blank.
        state, reward : Tensor
            (..., episode): what happened then.
        """
        same = (self._contexts == cue.unsqueeze(-2)).all(-1)
        known = same.any(-1) & cue.any(-1)
        where = same.long().argmax(-1, keepdim=True)
        state = self._states.gather(-1, where).squeeze(-1)
        return known, state, self._rewards.gather(-1, where).squeeze(-1)
