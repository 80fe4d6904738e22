"""Slow learning: one update of the weights by advantage actor-critic."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.dopamine import advantage, reward_prediction_error
from pfc_metarl.errors import InputError
from pfc_metarl.network import Network
from pfc_metarl.provenance import parameter
from pfc_metarl.tasks.base import Episodes


@dataclass(frozen=True)
class LearningSettings:
    """The outer algorithm; the defaults are those of Wang et al. 2018."""

    optimiser: str = parameter("rmsprop", "Wang et al. 2018 (preprint), Methods")
    learning_rate: float = parameter(7e-4, "Wang et al. 2018 (preprint), Methods")
    discount: float = parameter(
        0.9, "Wang et al. 2018 (preprint), Methods", unit="per step"
    )
    trace_decay: float = parameter(
        1.0, "Wang et al. 2018 (preprint), Methods: full returns", unit="per step"
    )
    value_cost: float = parameter(0.05, "Wang et al. 2018 (preprint), Methods")
    entropy_cost: float = parameter(0.05, "Wang et al. 2018 (preprint), Methods")
    rmsprop_decay: float = parameter(
        0.9, "guess: default of the authors' framework; no use to adam"
    )
    optimiser_epsilon: float = parameter(
        1e-10,
        "guess: default of the authors' framework (there inside the root, and the mean "
        "square starts at 1; torch adds it outside and starts at 0)",
    )
    max_gradient_norm: float = parameter(
        999.0, "a reimplementation of Wang et al. 2018; the paper does not say"
    )
    batch: int = parameter(
        1, "Wang et al. 2018 (preprint), Methods: one thread", unit="episodes"
    )
    updates: int = parameter(
        10_000,
        "Wang et al. 2018 as two reimplementations have it; one of them needed 20 000",
        unit="updates",
    )

    def __post_init__(self) -> None:
        """Check the settings.

        Raises
        ------
        InputError
            When one is out of range.
        """
        for name in ("batch", "updates"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected 1 or more")
        for name in ("discount", "trace_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected 0 to 1")
        if not 0 <= self.learning_rate < float("inf"):
            raise InputError(
                f"learning_rate is {self.learning_rate}; expected 0 or more"
            )

    def optimiser_for(self, network: Network) -> torch.optim.Optimizer:
        """Return the optimiser; it works element by element, so seeds do not mix.

        Raises
        ------
        InputError
            When the optimiser is unknown.
        """
        rate, epsilon = self.learning_rate, self.optimiser_epsilon
        if self.optimiser == "rmsprop":
            return torch.optim.RMSprop(
                network.parameters(), rate, alpha=self.rmsprop_decay, eps=epsilon
            )
        if self.optimiser == "adam":
            return torch.optim.Adam(network.parameters(), rate, eps=epsilon)
        raise InputError(f"no optimiser '{self.optimiser}'; expected adam or rmsprop")


class Learner:
    """Plays batches of episodes with several seeds side by side, and learns from them.

    Parameters
    ----------
    network
        The networks; their weights are changed.
    settings
        The outer algorithm.
    steps
        Steps per episode.
    """

    def __init__(
        self, network: Network, settings: LearningSettings, steps: int
    ) -> None:
        self.network, self.settings = network, settings
        self.optimiser = settings.optimiser_for(network)
        self._inputs = network.blank_inputs(steps, settings.batch)
        self._activity = network.memory.activity(steps, settings.batch)

    def update(
        self, episodes: Episodes, exploration: Tensor, learns: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Play a batch of episodes and change the weights once.

        Parameters
        ----------
        episodes
            Just begun; observations (seed, episode, observation).
        exploration
            Standard Gumbel noise, (step, seed, action, episode): the action of the
            highest logit + noise is a sample of the softmax policy.
        learns
            (seed,) bool: the others play, but their weights stay. None: all learn.

        Returns
        -------
        reward : Tensor
            (step, seed, episode).
        sound : Tensor
            (seed,) bool: loss and gradient are finite. Where they are not, the weights
            stay as they were.
        """
        action, reward = self._play(episodes, exploration)
        loss = actor_critic_loss(
            *self._policy_and_value(), action, reward, self.settings
        )
        self.optimiser.zero_grad()
        loss.sum().backward()
        norm = clip_per_seed(self.network, self.settings.max_gradient_norm)
        sound = torch.isfinite(loss.detach()) & torch.isfinite(norm)
        self._step(sound if learns is None else sound & learns)
        return reward, sound

    @torch.no_grad()
    def _step(self, learns: Tensor) -> None:
        """Change the weights of those that learn; the others keep theirs exactly."""
        if learns.all():
            self.optimiser.step()
            return
        kept = [weight.clone() for weight in self.network.parameters()]
        for weight in self.network.parameters():
            if weight.grad is not None:
                weight.grad[~learns] = 0.0  # not into the optimiser's averages either
        self.optimiser.step()
        for weight, before in zip(self.network.parameters(), kept, strict=True):
            weight[~learns] = before[~learns]

    @torch.no_grad()
    def _play(self, episodes: Episodes, exploration: Tensor) -> tuple[Tensor, Tensor]:
        inputs, activity, network = self._inputs, self._activity, self.network
        inputs.clear()
        activity.begin()
        actions, rewards = [], []
        observation = episodes.observation
        for step, noise in enumerate(exploration + network.policy_bias):
            output = activity.step(inputs.observe(step, observation))
            # logits + noise, in one operation
            action = torch.baddbmm(noise, network.policy_weight, output).argmax(1)
            observation, reward = episodes.step(action)
            inputs.feed_back(step, action, reward)
            actions.append(action)
            rewards.append(reward)
        return torch.stack(actions), torch.stack(rewards)

    def _policy_and_value(self) -> tuple[Tensor, Tensor]:
        outputs = self._activity.outputs(self._inputs.steps)
        logits, value = self.network.logits_and_value(outputs)
        return logits.log_softmax(2), value


def actor_critic_loss(
    log_policy: Tensor,
    value: Tensor,
    action: Tensor,
    reward: Tensor,
    settings: LearningSettings,
) -> Tensor:
    """Return the loss whose gradient is the actor-critic update, for every seed.

        sum_t  - A_t log pi(a_t) + value_cost (R_t - V_t)^2 / 2 - entropy_cost H(pi_t)

    with the advantage A_t = R_t - V_t made of RPEs and held constant; summed over the
    steps of an episode and averaged over episodes.

    Parameters
    ----------
    log_policy
        (step, seed, action, episode).
    value, action, reward
        (step, seed, episode).
    settings
        Discount, trace decay and costs.

    Returns
    -------
    Tensor
        (seed,).

    Source: Wang et al. 2018 (preprint), general Methods; Mnih et al. 2016.
    """
    rpe = reward_prediction_error(reward, value.detach(), settings.discount)
    ahead = advantage(rpe, settings.discount, settings.trace_decay)
    chosen = log_policy.gather(2, action.unsqueeze(2)).squeeze(2)
    entropy = -(log_policy.exp() * log_policy).sum(2)
    critic = (ahead + value.detach() - value).square() / 2
    loss = (
        -ahead * chosen + settings.value_cost * critic - settings.entropy_cost * entropy
    )
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


def exploration_noise(
    steps: int, n_actions: int, batch: int, generator: torch.Generator
) -> Tensor:
    """Draw one seed's standard Gumbel noise, (step, action, episode)."""
    uniform = torch.rand((steps, n_actions, batch), generator=generator)
    return -torch.log(-torch.log(uniform.clamp(1e-7, 1 - 1e-7)))
