"""Local credit assignment is e-prop: eligibility traces and a broadcast RPE.

Bellec et al. 2020 (Nat Commun 11:3625): a weight's eligibility is carried forward in
time, by itself; what is learned is its product with a learning signal.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pfc_metarl.errors import InputError
from pfc_metarl.learning import Learner, LearningSettings
from pfc_metarl.memory import MEMORIES
from pfc_metarl.memory.lstm import LSTM
from pfc_metarl.network import Network, NetworkSettings
from pfc_metarl.policy_gradient import actor_critic_loss, lesson
from pfc_metarl.tasks.base import Episodes
from pfc_metarl.tasks.two_step import TwoStep

Drawn = Callable[..., tuple[Episodes, Tensor]]
Grads = dict[str, Tensor]

TASK, SEEDS, BATCH = TwoStep(trials=5, fixation=True), (0, 1), 3
SETTINGS = replace(
    LearningSettings(),
    batch=BATCH,
    credit="local",
    discount=0.8,
    trace_decay=0.7,
    value_cost=0.3,
)
WEIGHTS = ("input_weight", "recurrent_weight", "bias", "initial_cell")


def network_of(memory: str = "lstm") -> Network:
    network = Network(NetworkSettings(memory=memory, units=5), TASK, SEEDS).double()
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():  # those that begin at zero included
            parameter += 0.3 * torch.randn(parameter.shape, generator=draw)
    return network


class Synapses:
    """One LSTM in one episode, whose weights carry their eligibility forward.

    For every unit j and what reaches it, s = (input, hidden state, 1), the trace of
    gate q is  e_q <- f e_q + dc/dq s,  kept for q = i, f, g; that of the initial cell
    state is  e <- f e.  Eligibility: how a weight moves its own unit's output now.
    """

    def __init__(self, memory: LSTM, seed: int) -> None:
        self.W, self.U, self.b, h, c = (
            parameter[seed].detach() for parameter in memory.parameters()
        )
        self.h, self.c = h[:, 0].clone(), c[:, 0].clone()
        n_inputs, units = memory.n_inputs, memory.n_units
        self.sizes = [n_inputs, units, 1]
        self.trace = {
            q: torch.zeros(units, sum(self.sizes)).double() for q in ("i", "f", "g")
        }
        self.trace_of_initial = torch.ones(units).double()

    def step(self, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Grads]]:
        """Advance; return the output, and what a learning signal by unit changes."""
        s = torch.cat([x, self.h, torch.ones(1).double()])
        i, f, o, g = (self.W @ x + self.U @ self.h + self.b[:, 0]).chunk(4)
        i, f, o, g = i.sigmoid(), f.sigmoid(), o.sigmoid(), g.tanh()
        dc = {
            "i": g * i * (1 - i),
            "f": self.c * f * (1 - f),
            "g": i * (1 - g * g),
        }
        for q, trace in self.trace.items():
            for j in range(len(f)):
                trace[j] = f[j] * trace[j] + dc[q][j] * s
        self.trace_of_initial = f * self.trace_of_initial
        self.c = f * self.c + i * g
        self.h = o * self.c.tanh()
        dh_dc = o * (1 - self.c.tanh() ** 2)
        own = {q: dh_dc[:, None] * trace for q, trace in self.trace.items()}
        own["o"] = (self.c.tanh() * o * (1 - o))[:, None] * s  # acts at once
        initial = dh_dc * self.trace_of_initial

        def learned(signal: Tensor) -> Grads:
            rows = torch.cat([signal[:, None] * own[q] for q in ("i", "f", "o", "g")])
            parts = rows.split(self.sizes, dim=1)
            by_name = dict(
                zip(("input_weight", "recurrent_weight", "bias"), parts, strict=True)
            )
            return by_name | {"initial_cell": (signal * initial)[:, None]}

        return self.h, learned


def add(into: Grads, more: Grads, times: float = 1.0) -> None:
    for name, values in more.items():
        into[name] = into.get(name, torch.zeros_like(values)) + times * values


def memory_gradients(memory: LSTM) -> Grads:
    found = {name: getattr(memory, name).grad for name in WEIGHTS}
    assert all(gradient.any() for gradient in found.values())
    hidden = memory.initial_hidden.grad  # it acts on other units: no trace of its own
    assert hidden is None or not hidden.any()
    return found


def assert_close(found: Grads, expected: list[Grads]) -> None:
    """Compare the gradients of all seeds."""
    for seed, by_name in enumerate(expected):
        for name, right in by_name.items():
            scale = float(right.abs().max())
            torch.testing.assert_close(
                found[name][seed],
                right.view_as(found[name][seed]),
                rtol=0,
                atol=1e-9 * max(scale, 1.0),
                msg=lambda m, n=name: f"{n}: {m}",
            )


def test_the_gradient_equals_traces_carried_forward_times_learning_signals() -> None:
    network = network_of()
    memory = network.memory
    assert isinstance(memory, LSTM)
    draw = torch.Generator().manual_seed(2)
    shape = (TASK.steps, len(SEEDS), network.n_inputs, BATCH)
    inputs = torch.randn(shape, generator=draw).double()
    by_step = (TASK.steps, len(SEEDS), BATCH)
    reward = torch.randn(by_step, generator=draw).double()
    action = torch.randint(TASK.n_actions, by_step, generator=draw)
    logits, value = network.logits_and_value(memory(inputs, local_credit=True))
    logits.retain_grad()
    value.retain_grad()
    log_policy = logits.log_softmax(2)
    taught = lesson(log_policy, value, action, reward, SETTINGS)
    loss = actor_critic_loss(log_policy, value, taught, SETTINGS, 0.1)
    loss.sum().backward()
    expected: list[Grads] = []
    for seed in range(len(SEEDS)):
        expected.append({})
        # Symmetric feedback: a readout's error comes back by its own weights.
        to_units = torch.cat([network.policy_weight, network.value_weight], dim=1)[seed]
        for episode in range(BATCH):
            synapses = Synapses(memory, seed)
            for step in range(TASK.steps):
                _, learned = synapses.step(inputs[step, seed, :, episode])
                error = torch.cat(
                    [
                        logits.grad[step, seed, :, episode],
                        value.grad[step, seed, episode, None],
                    ]
                )
                add(expected[seed], learned(to_units.detach().T @ error))
    assert_close(memory_gradients(memory), expected)


def learn_online(
    network: Network, episodes: Episodes, noise: Tensor, settings: LearningSettings
) -> tuple[list[Grads], list[Grads]]:
    """Play and learn in one go, never looking back: sum_t delta_t z_t.

        z_t = discount trace_decay z_{t-1} + (what makes a_t likelier, V_t higher now)

    Returns what the actor and what the critic learn, by seed.
    """
    decay = settings.discount * settings.trace_decay
    actor: list[Grads] = [{} for _ in SEEDS]
    critic: list[Grads] = [{} for _ in SEEDS]
    cells = [
        [Synapses(network.memory, seed) for _ in range(BATCH)]
        for seed in range(len(SEEDS))
    ]
    z_policy: list[list[Grads]] = [[{} for _ in range(BATCH)] for _ in SEEDS]
    z_value: list[list[Grads]] = [[{} for _ in range(BATCH)] for _ in SEEDS]
    before = torch.zeros(len(SEEDS), BATCH).double()  # V of the step before
    last_action = torch.zeros(len(SEEDS), TASK.n_actions, BATCH).double()
    last_reward = torch.zeros(len(SEEDS), BATCH).double()
    observation = episodes.observation.double()
    for step in range(TASK.steps + 1):
        actions = torch.zeros(len(SEEDS), BATCH, dtype=torch.int64)
        for seed in range(len(SEEDS)):
            weights = network.seed_weights(seed)
            for episode in range(BATCH):
                value, over = 0.0, step == TASK.steps
                if not over:
                    x = torch.cat(
                        [
                            observation[seed, episode],
                            last_action[seed, :, episode],
                            last_reward[seed, episode, None],
                        ]
                    )
                    h, learned = cells[seed][episode].step(x)
                    value = weights["value_weight"][0] @ h + weights["value_bias"][0, 0]
                if step > 0:  # the RPE of the step before is known only now
                    rpe = last_reward[seed, episode] + settings.discount * value
                    rpe = rpe - before[seed, episode]
                    add(actor[seed], z_policy[seed][episode], -float(rpe) / BATCH)
                    critic_rate = -float(rpe) * settings.value_cost / BATCH
                    add(critic[seed], z_value[seed][episode], critic_rate)
                if over:
                    continue
                logits = weights["policy_weight"] @ h + weights["policy_bias"][:, 0]
                actions[seed, episode] = (
                    logits + noise[step, seed, :, episode]
                ).argmax()
                taken = torch.zeros(TASK.n_actions).double()
                taken[actions[seed, episode]] = 1.0
                surprise = taken - logits.softmax(0)
                likelier = learned(weights["policy_weight"].T @ surprise)
                higher = learned(weights["value_weight"][0])
                for z, more in (
                    (z_policy[seed][episode], likelier),
                    (z_value[seed][episode], higher),
                ):
                    for name in more:
                        z[name] = decay * z.get(name, 0.0) + more[name]
                before[seed, episode] = value
        if step < TASK.steps:
            observation, reward = episodes.step(actions)
            observation, last_reward = observation.double(), reward.double()
            one_hot = torch.nn.functional.one_hot(actions, TASK.n_actions)
            last_action = one_hot.transpose(1, 2).double()
    return actor, critic


@pytest.mark.parametrize("kernels", ["torch", "compiled"])
@pytest.mark.parametrize("learner", ["actor", "critic"])
def test_an_update_is_the_rpe_times_decaying_traces_of_eligibility(
    drawn: Drawn, learner: str, kernels: str
) -> None:
    if kernels == "compiled":
        pytest.importorskip("numba")  # an optional extra
    network = network_of()
    settings = replace(
        SETTINGS,
        entropy_cost=0.0,
        actor_learns=learner == "actor",
        critic_learns=learner == "critic",
    )
    batch = (TASK, len(SEEDS), BATCH, 0)
    expected = learn_online(copy.deepcopy(network), *drawn(*batch), settings)
    fast = Learner(network, settings, TASK.steps, compiled=kernels == "compiled")
    assert fast.update(*drawn(*batch)).sound.all()
    assert isinstance(network.memory, LSTM)
    found = memory_gradients(network.memory)
    assert_close(found, expected[0 if learner == "actor" else 1])


def gradient_of(
    credit: str, drawn: Drawn, settings: LearningSettings = SETTINGS
) -> tuple[Tensor, Tensor]:
    """Gradient of the memory and of the heads, by seed, (seed, weight)."""
    network = network_of()
    learner = Learner(network, replace(settings, credit=credit), TASK.steps)
    learner.update(*drawn(TASK, len(SEEDS), BATCH, 0))
    memory, heads = [], []
    for name, weight in network.named_parameters():
        (memory if name.startswith("memory.") else heads).append(weight.grad.flatten(1))
    return torch.cat(memory, dim=1), torch.cat(heads, dim=1)


def test_it_points_with_backpropagation_but_not_the_same_way(drawn: Drawn) -> None:
    local, local_heads = gradient_of("local", drawn)
    whole, heads = gradient_of("backpropagation", drawn)
    torch.testing.assert_close(local_heads, heads)  # readouts need no trace
    cosine = torch.nn.functional.cosine_similarity(local, whole)
    assert (cosine > 0.8).all(), cosine  # measured: 0.963 and 0.960
    assert (cosine < 0.999).all(), cosine


def test_some_memories_have_such_a_rule_and_some_have_not() -> None:
    assert {"lstm", "none"} <= set(filter(has_rule, MEMORIES))
    assert not {"gru", "rnn"} & set(filter(has_rule, MEMORIES))


def has_rule(name: str) -> bool:
    memory = MEMORIES[name](1, 2, 3)
    try:
        memory.local_state(memory.initial_state(1))
    except InputError:
        return False
    return True


@pytest.mark.parametrize("memory", sorted(filter(has_rule, MEMORIES)))
def test_memories_with_such_a_rule_learn_by_it(memory: str, drawn: Drawn) -> None:
    network = network_of(memory)
    before = copy.deepcopy(network.state_dict())
    learner = Learner(network, SETTINGS, TASK.steps)
    assert learner.update(*drawn(TASK, len(SEEDS), BATCH, 0)).sound.all()
    changed = [n for n, w in network.memory.named_parameters() if w.grad.any()]
    assert all(
        (network.memory.state_dict()[n] != before[f"memory.{n}"]).any() for n in changed
    )
    assert changed


@pytest.mark.parametrize("memory", sorted(n for n in MEMORIES if not has_rule(n)))
def test_memories_without_such_a_rule_refuse_in_one_line(memory: str) -> None:
    network = network_of(memory)
    with pytest.raises(InputError, match=r"has no local credit ass.*; use") as error:
        Learner(network, SETTINGS, TASK.steps)
    assert type(network.memory).__name__ in str(error.value)
    assert "\n" not in str(error.value)


def test_without_memory_there_is_nothing_that_is_not_local(
    drawn: Drawn,
) -> None:
    found: list[dict[str, Any]] = []
    for credit in ("local", "backpropagation"):
        network = network_of("none")
        learner = Learner(network, replace(SETTINGS, credit=credit), TASK.steps)
        learner.update(*drawn(TASK, len(SEEDS), BATCH, 0))
        found.append(network.state_dict())
    for name, weight in found[0].items():
        assert torch.equal(weight, found[1][name]), name
