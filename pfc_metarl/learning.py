"""Slow learning: play a batch of episodes, change the weights by what they teach."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pfc_metarl.learning_settings import LearningSettings
from pfc_metarl.network import Network
from pfc_metarl.policy_gradient import (
    Lesson,
    actor_critic_loss,
    clip_per_seed,
    lesson,
)
from pfc_metarl.tasks.base import Episodes

__all__ = ["Learner", "LearningSettings", "Update", "exploration_noise"]


@dataclass(frozen=True)
class Update:
    """What an update was like.

    ``reward`` is (step, seed, episode); ``sound`` (seed,) bool says where loss and
    gradient were finite numbers: elsewhere the weights stay as they were. ``metrics``
    are (seed,): mean absolute ``rpe``, mean ``entropy`` of the policy in nats, mean
    squared ``value_error``, ``gradient_norm`` before clipping (of the last pass).
    """

    reward: Tensor
    sound: Tensor
    metrics: dict[str, Tensor]


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
    compiled
        Use the memory's compiled kernels.

    Raises
    ------
    InputError
        When the memory has no compiled kernels, or no local credit assignment.
    """

    def __init__(
        self,
        network: Network,
        settings: LearningSettings,
        steps: int,
        compiled: bool = False,
    ) -> None:
        self.network, self.settings = network, settings
        self.optimiser = settings.optimiser_for(network)
        self._inputs = network.blank_inputs(steps, settings.batch)
        local = settings.credit == "local"
        if local:
            network.memory.local_state(network.memory.initial_state(1))  # or raises
        self._activity = network.memory.activity(
            steps, settings.batch, local_credit=local, compiled=compiled
        )

    def update(
        self,
        episodes: Episodes,
        exploration: Tensor,
        done: float = 0.0,
    ) -> Update:
        """Play a batch of episodes and change the weights.

        Parameters
        ----------
        episodes
            Just begun; observations (seed, episode, observation).
        exploration
            Standard Gumbel noise, (step, seed, action, episode): the action of the
            highest logit + noise is a sample of the softmax policy.
        done
            Share of all updates that is done, 0 to 1, for what changes in training.
        """
        settings = self.settings
        for group in self.optimiser.param_groups:
            group["lr"] = settings.learning_rate_at(done)
        entropy_cost = settings.entropy_cost_at(done)
        action, reward, counts = self._play(episodes, exploration)
        inputs = self._inputs.steps[: len(action)]
        before = [weight.detach().clone() for weight in self.network.parameters()]
        taught: Lesson | None = None
        sound = torch.ones(len(reward[0]), dtype=torch.bool, device=reward.device)
        for _ in range(settings.passes):
            if taught is not None:
                self._activity.replay(inputs)
            log_policy, value = self._policy_and_value(inputs)
            if taught is None:
                taught = lesson(log_policy, value, action, reward, settings, counts)
            loss = actor_critic_loss(log_policy, value, taught, settings, entropy_cost)
            self.optimiser.zero_grad()
            loss.sum().backward()
            norm = clip_per_seed(self.network, settings.max_gradient_norm)
            sound &= torch.isfinite(loss.detach()) & torch.isfinite(norm)
            self._step(sound)
        if not sound.all():
            self._put_back(before, ~sound)  # what failed in a later pass, too
        assert taught is not None
        metrics = _metrics(taught, log_policy.detach(), value.detach(), norm)
        return Update(reward, sound, metrics)

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
        self._put_back(kept, ~learns)

    @torch.no_grad()
    def _put_back(self, weights: list[Tensor], seeds: Tensor) -> None:
        for weight, before in zip(self.network.parameters(), weights, strict=True):
            weight[seeds] = before[seeds]

    @torch.no_grad()
    def _play(
        self, episodes: Episodes, exploration: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        inputs, activity, network = self._inputs, self._activity, self.network
        inputs.clear()
        activity.begin()
        policy_weight = network.policy_weight.detach()
        actions, rewards, counts = [], [], []
        observation = episodes.observation
        for step, noise in enumerate(exploration + network.policy_bias):
            if episodes.active is not None:
                if not episodes.active.any():
                    break  # all are over
                counts.append(episodes.active.to(exploration))
            seen = inputs.observe(step, observation)
            action = activity.act(seen, policy_weight, noise)
            observation, reward = episodes.step(action)
            inputs.feed_back(step, action, reward)
            actions.append(action)
            rewards.append(reward)
        return (
            torch.stack(actions),
            torch.stack(rewards),
            torch.stack(counts) if counts else None,
        )

    def _policy_and_value(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        outputs = self._activity.outputs(inputs)
        if not self.settings.memory_learns:
            outputs = outputs.detach()
        logits, value = self.network.logits_and_value(outputs)
        return logits.log_softmax(2), value


def _metrics(
    taught: Lesson, log_policy: Tensor, value: Tensor, norm: Tensor
) -> dict[str, Tensor]:
    counts = torch.ones_like(value) if taught.counts is None else taught.counts
    n = counts.sum((0, 2))
    entropy = -(log_policy.exp() * log_policy).sum(2)
    squares = (taught.returns - value).square()
    return {
        "rpe": (taught.rpe.abs() * counts).sum((0, 2)) / n,
        "entropy": (entropy * counts).sum((0, 2)) / n,
        "value_error": (squares * counts).sum((0, 2)) / n,
        "gradient_norm": norm,
    }


def exploration_noise(
    steps: int, n_actions: int, batch: int, generator: torch.Generator
) -> Tensor:
    """Draw one seed's standard Gumbel noise, (step, action, episode)."""
    uniform = torch.rand((steps, n_actions, batch), generator=generator)
    return -torch.log(-torch.log(uniform.clamp(1e-7, 1 - 1e-7)))
