"""Players of the informative bandit: the optimal one, and one that only searches."""

from dataclasses import dataclass
from functools import lru_cache

import torch

from pfc_metarl.tasks.arms import ArmEpisodes
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.informative_bandit import InformativeBandit
from pfc_metarl.tasks.observers.bandits import play_trial
from pfc_metarl.tasks.observers.base import Player


@dataclass(frozen=True)
class SearchPlayer(Player):
    """Tries the arms in turn until one is the target, and stays.

    The best that can be done without the informative arm.
    """

    task: InformativeBandit

    def asks(self, left: int, candidates: int) -> bool:
        """Whether to choose the informative arm while the target is not known.

        Parameters
        ----------
        left
            Trials left, this one included.
        candidates
            How many arms may be the target; those of lower number are not.
        """
        return False

    def play(self, tape: Tape, generator: torch.Generator) -> ArmEpisodes:
        """Play the episodes of a tape; nothing is left to chance."""
        task, episodes = self.task, self.task.begin(tape)
        shape = tape["payoff"].shape[1:-1]
        tried = 0
        target = torch.full(shape, -1)  # -1: not known
        for trial in range(task.trials):
            candidates = task.targets - tried
            ask = candidates > 1 and self.asks(task.trials - trial, candidates)
            probe = torch.full(shape, task.targets if ask else tried)
            choice = torch.where(target < 0, probe, target)
            reward = play_trial(episodes, choice)
            if ask:
                told = (reward / task.informative_reward).round().long() - 1
                target = torch.where(target < 0, told, target)
            else:
                found = reward > (task.other_reward + task.target_reward) / 2
                target = torch.where(found, choice, target)
                tried = min(tried + 1, task.targets - 1)
        return episodes


@dataclass(frozen=True)
class InformativeBanditObserver(SearchPlayer):
    """The optimal player: asks the informative arm when that is worth its price.

    With the paper's parameters it asks at the first trial, then takes the target.
    """

    def asks(self, left: int, candidates: int) -> bool:
        """Whether the informative arm is worth more than to try another."""
        worth_asking, worth_trying = _worth(self.task, left, candidates)
        return worth_asking > worth_trying


@lru_cache(maxsize=4096)
def _worth(task: InformativeBandit, left: int, candidates: int) -> tuple[float, float]:
    """Return what the trials left bring if the next asks, and if it tries an arm.

    V(m, k) for m trials left and k candidates, which are those of the highest numbers:
    what was tried was tried in turn, which is best, since it leaves to the informative
    arm the numbers for which it pays most.
    """
    if left == 0:
        return 0.0, 0.0
    numbers = range(task.targets - candidates + 1, task.targets + 1)
    mean_number = sum(numbers) / candidates
    ask = task.informative_reward * mean_number + task.target_reward * (left - 1)
    p_hit = 1 / candidates
    miss = 0.0
    if candidates > 1:
        miss = task.other_reward + max(_worth(task, left - 1, candidates - 1))
    return ask, p_hit * task.target_reward * left + (1 - p_hit) * miss
