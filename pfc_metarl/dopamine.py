"""Dopamine: reward prediction errors, and the advantages made of them."""

import torch
from torch import Tensor


def reward_prediction_error(reward: Tensor, value: Tensor, discount: float) -> Tensor:
    """Return the RPE of every step of whole episodes.

        delta_t = r_t + discount * V_{t+1} - V_t,    V = 0 after the last step.

    r_t is what the action of step t brought; V_t the value before it. Positive: better
    than expected.

    Parameters
    ----------
    reward, value
        (step, ...), whole episodes.
    discount
        Of the future, per step, 0 to 1.

    Returns
    -------
    Tensor
        (step, ...), in units of reward.

    Source: Wang et al. 2018, Methods (actor-critic); one-step form as in their Fig. 4.
    """
    next_value = torch.cat([value[1:], torch.zeros_like(value[:1])])
    return reward + discount * next_value - value


def advantage(rpe: Tensor, discount: float, trace_decay: float) -> Tensor:
    """Return the advantage of every step: its RPE and the later ones, discounted.

        A_t = sum_k (discount * trace_decay)^k delta_{t+k}

    With ``trace_decay`` 1 it is the discounted return to the end of the episode minus
    the value, R_t - V_t, as in Wang et al. 2018; with less, generalised advantage
    estimation (Schulman et al. 2016).

    Parameters
    ----------
    rpe
        (step, ...), whole episodes.
    discount, trace_decay
        gamma and lambda, 0 to 1.

    Returns
    -------
    Tensor
        (step, ...), in units of reward.
    """
    steps = len(rpe)
    step = torch.arange(steps, device=rpe.device)
    ahead = (step[None, :] - step[:, None]).to(rpe.dtype)
    # (discount * trace_decay)^0 is 1 also when the product is 0.
    weight = (discount * trace_decay) ** ahead.clamp(min=0) * (ahead >= 0)
    return (weight @ rpe.reshape(steps, -1)).reshape(rpe.shape)
