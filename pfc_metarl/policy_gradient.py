"""What the slow learning wants: the loss of a batch of episodes, for every seed."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.dopamine import advantage, reward_prediction_error
from pfc_metarl.learning_settings import LearningSettings
from pfc_metarl.network import Network


@dataclass(frozen=True)
class Lesson:
    """What a batch of episodes teaches; constants of the loss.

    Tensors are (step, seed, episode). ``counts`` is 1 where a step belongs to its
    episode and 0 after its end; None: all belong.
    """

    action: Tensor
    rpe: Tensor
    advantage: Tensor
    returns: Tensor
    log_chosen: Tensor
    counts: Tensor | None


@torch.no_grad()
def lesson(
    log_policy: Tensor,
    value: Tensor,
    action: Tensor,
    reward: Tensor,
    settings: LearningSettings,
    counts: Tensor | None = None,
) -> Lesson:
    """Judge what was done by the reward prediction errors that followed.

    Parameters
    ----------
    log_policy
        (step, seed, action, episode), as it was when acting.
    value, action, reward
        (step, seed, episode).
    settings
        Discount, trace decay, whether advantages are normalised (by seed).
    counts
        (step, seed, episode); see :class:`Lesson`. Rewards must be 0 where it is 0.
    """
    if counts is not None:
        value = value * counts  # the future beyond the end is worth nothing
    rpe = reward_prediction_error(reward, value, settings.discount)
    ahead = advantage(rpe, settings.discount, settings.trace_decay)
    returns = ahead + value
    if settings.normalise_advantage:
        ahead = _normalised(ahead, counts)
    log_chosen = _chosen(log_policy, action)
    return Lesson(action, rpe, ahead, returns, log_chosen, counts)


def _normalised(ahead: Tensor, counts: Tensor | None) -> Tensor:
    weight = torch.ones_like(ahead) if counts is None else counts
    n = weight.sum((0, 2), keepdim=True)
    centred = (ahead - (ahead * weight).sum((0, 2), keepdim=True) / n) * weight
    deviation = (centred.square().sum((0, 2), keepdim=True) / n).sqrt()
    return centred / (deviation + 1e-8)


def _chosen(log_policy: Tensor, action: Tensor) -> Tensor:
    return log_policy.gather(2, action.unsqueeze(2)).squeeze(2)


def actor_critic_loss(
    log_policy: Tensor,
    value: Tensor,
    lesson: Lesson,
    settings: LearningSettings,
    entropy_cost: float,
) -> Tensor:
    """Return the loss whose gradient is the actor-critic update, for every seed.

        sum_t  - actor_t + value_cost (R_t - V_t)^2 / 2 - entropy_cost H(pi_t)

    summed over the steps of an episode and averaged over episodes. R_t is the return,
    A_t = R_t - V_t the advantage, made of RPEs and held constant, and actor_t

        A_t log pi(a_t)                                         (a2c)
        min(A_t q_t, A_t clip(q_t, 1 - clip_ratio, 1 + clip_ratio))      (ppo)

    with q_t = pi(a_t) / pi_when_acting(a_t).

    Parameters
    ----------
    log_policy
        (step, seed, action, episode), as it is now.
    value
        (step, seed, episode), as it is now.
    lesson
        What the episodes teach.
    settings
        Algorithm, costs, and which part learns.
    entropy_cost
        As it is now.

    Returns
    -------
    Tensor
        (seed,).

    Source: Wang et al. 2018 (preprint), general Methods; Mnih et al. 2016; Schulman et
    al. 2017, eq. 7 and 9.
    """
    loss = torch.zeros_like(lesson.rpe)
    if settings.actor_learns:
        chosen = _chosen(log_policy, lesson.action)
        entropy = -(log_policy.exp() * log_policy).sum(2)
        if settings.algorithm == "ppo":
            ratio = (chosen - lesson.log_chosen).exp()
            clip = settings.clip_ratio
            clipped = ratio.clamp(1 - clip, 1 + clip)
            actor = torch.minimum(lesson.advantage * ratio, lesson.advantage * clipped)
        else:
            actor = lesson.advantage * chosen
        loss = loss - actor - entropy_cost * entropy
    if settings.critic_learns:
        loss = loss + settings.value_cost * (lesson.returns - value).square() / 2
    if lesson.counts is not None:
        loss = loss * lesson.counts
    return loss.sum(0).mean(-1)


def clip_per_seed(network: Network, max_norm: float) -> Tensor:
    """Scale each seed's gradient down to a norm of at most ``max_norm``.

    Returns
    -------
    Tensor
        (seed,) norms as they were.
    """
    grads = [p.grad for p in network.parameters() if p.grad is not None]
    norm = torch.stack([g.flatten(1).square().sum(1) for g in grads]).sum(0).sqrt()
    scale = (max_norm / norm.clamp(min=1e-12)).clamp(max=1.0)
    for grad in grads:
        grad.mul_(scale.view(-1, *[1] * (grad.dim() - 1)))
    return norm
