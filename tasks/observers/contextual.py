"""The barcode bandit's ideal observer: perfect memory, and exact inference."""

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.tasks.arms import ArmEpisodes
from pfc_metarl.tasks.base import Tape
from pfc_metarl.tasks.contextual import BarcodeBandit
from pfc_metarl.tasks.observers.bandits import choose_highest
from pfc_metarl.tasks.observers.base import Player


@dataclass(frozen=True)
class BarcodeObserver(Player):
    """Exact Bayesian inference of the good arms, and greedy choice.

    It knows every bandit by its barcode, and that no two have the same good arm. With
    w_cb the likelihood of all that happened in context c if arm b is its good one, the
    posterior of the present context is

        P(b) proportional to w_cb * sum over ways to give the other contexts different
                             arms, none of them b, of the product of their w,

    computed over sets of arms (:func:`free_arm_weights`). The arm that is most likely
    good is chosen, ties by chance. In a single bandit with one good arm this is optimal
    (Rodman 1978 Ann Probab 6:491). Where contexts exclude one another, looking ahead
    can gain a little: 0.02 % in the worst of the small cases that we solved.

    Parameters
    ----------
    task
        With no more contexts than arms.
    remembers
        Without memory of earlier visits it is the best player of a single visit.
    """

    task: BarcodeBandit
    remembers: bool = True

    def __post_init__(self) -> None:
        """Check that contexts exclude one another.

        Raises
        ------
        InputError
            When there are more contexts than arms.
        """
        if self.task.contexts > self.task.arms:
            raise InputError(
                f"contexts is {self.task.contexts}; the ideal observer knows no more "
                f"than arms, which is {self.task.arms}"
            )

    def play(self, tape: Tape, generator: torch.Generator) -> ArmEpisodes:
        """Play the episodes of a tape; see :meth:`Player.play`."""
        episodes, task = self.task.begin(tape), self.task
        here = tape["good_arm"][0]
        contexts = task.contexts if self.remembers else 1
        memory = BarcodeMemory(task, contexts, here)
        for trial in range(task.trials):
            if task.fixation:
                episodes.step(torch.full_like(here, task.arms))
            if trial % task.visit_trials == 0:
                if not self.remembers:
                    memory = BarcodeMemory(task, contexts, here)
                memory.meet(episodes.observation[..., -task.barcode_bits :])
            arm = choose_highest(memory.log_posterior(), generator)
            _, reward = episodes.step(arm)
            memory.learn(arm, reward)
        return episodes


class BarcodeMemory:
    """Evidence of each context met so far; shapes are (..., episode)."""

    def __init__(self, task: BarcodeBandit, contexts: int, like: Tensor) -> None:
        self._task, self._contexts = task, torch.arange(contexts)
        shape = (*like.shape, contexts)
        self._barcodes = torch.full((*shape, task.barcode_bits), -1.0)
        self._evidence = torch.zeros((*shape, task.arms), dtype=torch.float64)
        self._present = torch.zeros_like(like)
        self._others = torch.zeros((*like.shape, task.arms), dtype=torch.float64)

    def meet(self, barcode: Tensor) -> None:
        """Find the context of a barcode (..., episode, bit), or make room for it."""
        known = (self._barcodes == barcode.unsqueeze(-2)).all(-1)
        n_known = (self._barcodes[..., 0] >= 0).sum(-1)
        self._present = torch.where(known.any(-1), known.long().argmax(-1), n_known)
        slot = self._contexts == self._present.unsqueeze(-1)
        self._barcodes = torch.where(
            slot.unsqueeze(-1), barcode.unsqueeze(-2), self._barcodes
        )
        after = self._present.unsqueeze(-1) + self._contexts[1:]
        others = after % len(self._contexts)
        index = others.unsqueeze(-1).expand(*others.shape, self._task.arms)
        self._others = free_arm_weights(self._evidence.gather(-2, index)).log()

    def log_posterior(self) -> Tensor:
        """(..., episode, arm): that it is good in the present context, unnormalised."""
        index = self._present[..., None, None]
        index = index.expand(*index.shape[:-1], self._task.arms)
        return self._evidence.gather(-2, index).squeeze(-2) + self._others

    def learn(self, arm: Tensor, reward: Tensor) -> None:
        """Add what an arm's reward tells about the present context.

        If the arm is good its outcome was one of ``p_good``; if any other is, of
        ``p_bad``.
        """
        task = self._task
        tells = torch.where(
            reward > 0,
            _log(task.p_good) - _log(task.p_bad),
            _log(1 - task.p_good) - _log(1 - task.p_bad),
        )
        context = self._contexts == self._present.unsqueeze(-1)
        chosen = torch.arange(task.arms) == arm.unsqueeze(-1)
        here = context.unsqueeze(-1) & chosen.unsqueeze(-2)
        self._evidence = self._evidence + here * tells.double()[..., None, None]


def _log(p: float) -> float:
    """Log of a probability; of 0, a number that no other evidence outweighs."""
    return log(max(p, 1e-12))


def free_arm_weights(evidence: Tensor) -> Tensor:
    """Weigh each arm by how well the other contexts can do without it.

    Parameters
    ----------
    evidence
        (..., context, arm) float64: log likelihood of each context's observations by
        its good arm, up to a constant per context.

    Returns
    -------
    Tensor
        (..., arm): the sum over all ways to give the contexts different arms, none of
        them this one, of the product of their likelihoods, up to a factor common to
        all arms.

    Contexts are given their arms one after the other; what counts of those before is
    only which arms are taken: 2^arms sets instead of arms! orders.
    """
    contexts, arms = evidence.shape[-2:]
    likelihood = (evidence - evidence.amax(-1, keepdim=True)).exp()
    lead = evidence.shape[:-2]

    def by_member(weight: Tensor, arm: int) -> tuple[Tensor, Tensor]:
        """View the sets without an arm, and the same sets with it."""
        without, including = weight.view(*lead, -1, 2, 2**arm).unbind(-2)
        return without, including

    weight = torch.zeros((*lead, 2**arms), dtype=torch.float64)  # by set, as bits
    weight[..., 0] = 1.0
    for context in range(contexts):
        before, weight = weight, torch.zeros_like(weight)
        for arm in range(arms):
            free, _ = by_member(before, arm)
            _, taken = by_member(weight, arm)
            taken += free * likelihood[..., context, arm, None, None]
        weight = weight / weight.amax(-1, keepdim=True)
    without = [by_member(weight, arm)[0].sum((-1, -2)) for arm in range(arms)]
    return torch.stack(without, dim=-1)
