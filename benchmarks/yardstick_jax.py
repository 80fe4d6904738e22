"""How fast the same training is in JAX: a yardstick for ``benchmarks/train.py``.

As in PureJaxRL, task, network, gradient and optimiser are one compiled program that
does many updates per call. The work per update is ours: two-step task of 100 trials of
two steps, LSTM of 48 units with a learned initial state, actor-critic loss, gradient
through the whole episode, clipping and Adam for each seed by itself. A step is one
action of one episode.

Chosen by measurement on a CPU, to be as fast as we can make it: the randomness is
drawn before the episode; acting and gradient share one pass, whose scan keeps carry and
products and computes the rest again; seeds run one after another inside the program,
which is faster than side by side (``--seeds-side-by-side``: vmap), most so with many
episodes. Slower: a second pass for the gradient, an unrolled scan, units before
episodes. No clear gain in one or two runs: whole trials as steps of the scan, the
weights' gradient as one product at the end, other random generators, XLA's options.
Some 5 % at 256 episodes, and left out: the gradient in parts of 64.

    python benchmarks/yardstick_jax.py --sizes 1x16 8x16 --json

It needs benchmarks/requirements-yardsticks.txt; without JAX it exits with code 3.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

try:
    import jax
    import jax.numpy as jnp
    from jax import Array, lax
except ImportError as error:
    print(f"{error}; see benchmarks/requirements-yardsticks.txt", file=sys.stderr)
    raise SystemExit(3) from None

TRIALS, STEPS = 100, 200
P_COMMON, P_REWARD, P_REVERSAL = 0.8, 0.9, 0.025
UNITS, INPUTS, ACTIONS = 48, 6, 2

# As the preset "fast", pfc_metarl.configuration.FAST.
DISCOUNT, TRACE_DECAY = 0.7, 0.9
VALUE_COST, ENTROPY_COST = 0.05, 0.05
LEARNING_RATE, MAX_GRADIENT_NORM = 1.5e-2, 50.0
MEAN_DECAY, SQUARE_DECAY, EPSILON = 0.9, 0.999, 1e-8

STEPS_PER_BLOCK = 200_000


class Weights(NamedTuple):
    """The network; the rows of ``gates`` are units, inputs and bias."""

    gates: Array  # (unit + input + 1, 4 * unit): i, f, o, g
    heads: Array  # (unit, action + 1): logits and value
    head_bias: Array  # (action + 1,)
    initial_hidden: Array  # (unit,)
    initial_cell: Array  # (unit,)


class Learner(NamedTuple):
    """Weights and the averages of Adam."""

    weights: Weights
    mean: Weights
    square: Weights
    updates: Array


class Tape(NamedTuple):
    """All randomness of a batch of episodes."""

    flip: Array  # (trial, episode) bool: state 2 differs from the choice
    outcome0: Array  # (trial, episode): what state 0 would pay
    outcome1: Array  # (trial, episode)
    noise: Array  # (step, episode), logistic: what makes a choice of a logit


def begin(key: Array) -> Learner:
    """Start one seed."""
    gates, heads = jax.random.split(key)
    uniform = partial(jax.random.uniform, minval=-(UNITS**-0.5), maxval=UNITS**-0.5)
    weights = Weights(
        uniform(gates, (UNITS + INPUTS + 1, 4 * UNITS)),
        uniform(heads, (UNITS, ACTIONS + 1)),
        jnp.zeros(ACTIONS + 1),
        jnp.zeros(UNITS),
        jnp.zeros(UNITS),
    )
    zeros = jax.tree.map(jnp.zeros_like, weights)
    return Learner(weights, zeros, zeros, jnp.zeros(()))


def draw(key: Array, batch: int) -> Tape:
    """Draw the episodes of one update."""
    keys = jax.random.split(key, 5)
    shape = (TRIALS, batch)
    first = jax.random.bernoulli(keys[0], 0.5, (batch,))
    reversal = jax.random.bernoulli(keys[1], P_REVERSAL, shape)
    block = (first + jnp.cumsum(reversal, axis=0)) % 2
    luck = jax.random.uniform(keys[2], shape)
    p0 = jnp.where(block == 0, P_REWARD, 1 - P_REWARD)
    return Tape(
        jax.random.bernoulli(keys[3], 1 - P_COMMON, shape),
        (luck < p0).astype(jnp.float32),
        (luck < 1 - p0).astype(jnp.float32),
        jax.random.logistic(keys[4], (STEPS, batch)),
    )


def lstm(gates: Array, seen: Array, cell: Array) -> tuple[Array, Array]:
    """Advance one step; return hidden state and cell."""
    product = seen @ gates
    i, f, o = jnp.split(jax.nn.sigmoid(product[:, : 3 * UNITS]), 3, axis=1)
    cell = f * cell + i * jnp.tanh(product[:, 3 * UNITS :])
    return o * jnp.tanh(cell), cell


def play(weights: Weights, tape: Tape) -> tuple[Array, Array, Array]:
    """Play a batch of episodes.

    Returns
    -------
    hidden : Array
        (step, episode, unit).
    action, reward : Array
        (step, episode).
    """
    batch = tape.noise.shape[1]
    preference = weights.heads[:, 1] - weights.heads[:, 0]
    preference_bias = weights.head_bias[1] - weights.head_bias[0]

    def step(carry: tuple[Array, ...], now: Any) -> tuple[Any, Any]:
        hidden, cell, inputs, state = carry
        leaves, flip, outcome0, outcome1, noise = now
        seen = jnp.concatenate([hidden, inputs, jnp.ones((batch, 1))], axis=1)
        hidden, cell = lstm(weights.gates, seen, cell)
        action = hidden @ preference + preference_bias + noise > 0
        reward = jnp.where(leaves, jnp.where(state, outcome1, outcome0), 0.0)
        state = action ^ flip
        cue = jnp.broadcast_to(leaves, state.shape)
        observation = [cue, ~cue & ~state, ~cue & state, ~action, action, reward]
        inputs = jnp.stack(observation, axis=1).astype(jnp.float32)
        return (hidden, cell, inputs, state), (hidden, action, reward)

    # The backward pass computes again what is cheap: less memory to write and read.
    products = jax.checkpoint_policies.dots_saveable
    step = jax.checkpoint(step, prevent_cse=False, policy=products)
    start = (
        jnp.broadcast_to(weights.initial_hidden, (batch, UNITS)),
        jnp.broadcast_to(weights.initial_cell, (batch, UNITS)),
        jnp.zeros((batch, INPUTS)).at[:, 0].set(1.0),
        jnp.zeros(batch, bool),
    )
    leaves = jnp.arange(STEPS) % 2 == 1
    by_step = [jnp.repeat(each, 2, axis=0) for each in tape[:3]]
    return lax.scan(step, start, (leaves, *by_step, tape.noise))[1]


def loss(weights: Weights, tape: Tape) -> tuple[Array, Array]:
    """Return the actor-critic loss and the rewards, (step, episode)."""
    hidden, action, reward = play(weights, tape)
    outputs = hidden @ weights.heads + weights.head_bias
    log_policy, value = jax.nn.log_softmax(outputs[..., :ACTIONS]), outputs[..., -1]
    ahead = advantage(reward, lax.stop_gradient(value))
    chosen = jnp.where(action, log_policy[..., 1], log_policy[..., 0])
    entropy = -(jnp.exp(log_policy) * log_policy).sum(-1)
    critic = (ahead + lax.stop_gradient(value) - value) ** 2 / 2
    each = -ahead * chosen + VALUE_COST * critic - ENTROPY_COST * entropy
    return each.sum(0).mean(), reward


def advantage(reward: Array, value: Array) -> Array:
    """Sum reward prediction errors from each step on, discounted; (step, episode)."""
    next_value = jnp.concatenate([value[1:], jnp.zeros_like(value[:1])])

    def back(later: Array, error: Array) -> tuple[Array, Array]:
        return (ahead := error + DISCOUNT * TRACE_DECAY * later), ahead

    errors = reward + DISCOUNT * next_value - value
    return lax.scan(back, jnp.zeros_like(value[0]), errors, reverse=True)[1]


def update(learner: Learner, key: Array, batch: int) -> tuple[Learner, Array]:
    """Play a batch of episodes and learn from it; return the reward per trial too."""
    gradient, reward = jax.grad(loss, has_aux=True)(learner.weights, draw(key, batch))
    norm = jnp.sqrt(sum(jnp.sum(each**2) for each in gradient))
    scale = jnp.minimum(1.0, MAX_GRADIENT_NORM / jnp.maximum(norm, 1e-12))
    updates = learner.updates + 1
    rate = LEARNING_RATE / (1 - MEAN_DECAY**updates)
    unbiased = 1 / (1 - SQUARE_DECAY**updates)

    def adam(w: Array, g: Array, m: Array, s: Array) -> tuple[Array, Array, Array]:
        m = MEAN_DECAY * m + (1 - MEAN_DECAY) * scale * g
        s = SQUARE_DECAY * s + (1 - SQUARE_DECAY) * (scale * g) ** 2
        return w - rate * m / (jnp.sqrt(s * unbiased) + EPSILON), m, s

    parts = zip(learner.weights, gradient, learner.mean, learner.square, strict=True)
    new = (Weights(*each) for each in zip(*(adam(*p) for p in parts), strict=True))
    return Learner(*new, updates), reward.sum(0).mean() / TRIALS


def trainer(batch: int, updates: int, side_by_side: bool) -> Callable[..., Any]:
    """Return the compiled training of every seed by some updates.

    It takes learners and keys, one of each per seed, and returns learners and the
    reward per trial, (seed, update).
    """

    def seed(learner: Learner, key: Array) -> tuple[Learner, Array]:
        keys = jax.random.split(key, updates)
        return lax.scan(partial(update, batch=batch), learner, keys)

    def seeds(learners: Learner, keys: Array) -> tuple[Learner, Array]:
        if side_by_side:
            return jax.vmap(seed)(learners, keys)
        return lax.map(lambda each: seed(*each), (learners, keys))

    return jax.jit(seeds, donate_argnums=0)


@dataclass(frozen=True)
class Measurement:
    """What was measured at one size."""

    steps_per_second: list[float]  # by block, over all seeds together
    compile_seconds: float
    cpu_per_wall: float  # 1: one thread; less: other processes took part of the core
    steps_per_cpu_second: float


def one_thread() -> None:
    """Let JAX start, for good, with a single thread to compute; call it first.

    XLA's option alone leaves it two and more: it makes a thread for every core that the
    process may use, so for the start there is only one. Then all cores are free again.
    """
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    jax.config.update("jax_platforms", "cpu")
    if not hasattr(os, "sched_setaffinity"):  # not Linux: see cpu_per_wall
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    jax.devices()
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), allowed)


def measure(
    n_seeds: int, batch: int, blocks: int, side_by_side: bool = False
) -> Measurement:
    """Train and take the time, after a first block that is not counted."""
    steps = n_seeds * batch * STEPS
    updates = max(2, STEPS_PER_BLOCK // steps)
    train = trainer(batch, updates, side_by_side)
    keys = jax.random.split(jax.random.key(1), (blocks + 1, n_seeds))
    learners = jax.vmap(begin)(jax.random.split(jax.random.key(0), n_seeds))
    began = time.perf_counter()
    train = train.lower(learners, keys[0]).compile()
    compiled = time.perf_counter() - began
    learners, _ = jax.block_until_ready(train(learners, keys[0]))
    seconds, cpu = [], time.process_time()
    for key in keys[1:]:
        began = time.perf_counter()
        learners, _ = jax.block_until_ready(train(learners, key))
        seconds.append(time.perf_counter() - began)
    cpu = time.process_time() - cpu
    return Measurement(
        [updates * steps / each for each in seconds],
        compiled,
        cpu / sum(seconds),
        blocks * updates * steps / cpu,
    )


def steps_per_second(n_seeds: int, batch: int, blocks: int) -> list[float]:
    """Return the steps per second by block, without compilation."""
    return measure(n_seeds, batch, blocks).steps_per_second


def learning_curve(n_seeds: int, batch: int, updates: int) -> list[list[float]]:
    """Train from nothing; return the reward per trial by tenths, for every seed."""
    keys = jax.random.split(jax.random.key(0), (2, n_seeds))
    learners = jax.vmap(begin)(keys[0])
    _, reward = trainer(batch, updates, side_by_side=False)(learners, keys[1])
    whole = reward[:, : updates // 10 * 10]
    return whole.reshape(n_seeds, 10, -1).mean(2).tolist()


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=["1x16", "8x16", "1x256", "8x64"])
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--seeds-side-by-side", action="store_true")
    parser.add_argument(
        "--learn", type=int, metavar="UPDATES", help="and show learning"
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    one_thread()
    report: dict[str, Any] = {"yardstick": f"jax {jax.__version__}", "sizes": {}}
    for size in arguments.sizes:
        n_seeds, batch = map(int, size.split("x"))
        found = measure(n_seeds, batch, arguments.blocks, arguments.seeds_side_by_side)
        report["sizes"][size] = asdict(found)
        if arguments.learn:
            curve = learning_curve(n_seeds, batch, arguments.learn)
            report["sizes"][size]["reward_by_tenth"] = curve
        if not arguments.json:
            print(size, _in_words(report["sizes"][size]), flush=True)
    if arguments.json:
        print(json.dumps(report))


def _in_words(found: dict[str, Any]) -> str:
    rates = [each / 1e3 for each in found["steps_per_second"]]
    words = (
        f"{statistics.median(rates):.1f} k steps/s ({min(rates):.1f} to "
        f"{max(rates):.1f}), compiled in {found['compile_seconds']:.1f} s, "
        f"CPU time/time {found['cpu_per_wall']:.2f}"
    )
    for curve in found.get("reward_by_tenth", []):
        words += "\n    reward " + " ".join(f"{each:.3f}" for each in curve)
    return words


if __name__ == "__main__":
    main()
