"""Attention: one transformer block that looks back over the episode."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, rms_norm, scaled_dot_product_attention

from pfc_metarl.memory.base import Activity, Memory, State, fill_uniform, register


@register("attention")
class Attention(Memory):
    """Causal attention over the latest steps, and a feed-forward layer upon it.

        u_t = E (x_t, x_(t-1)) + e                        the token of step t
        q_t, k_t, v_t = A norm(u_t)                       query, key, value, per head h
        w_hj = softmax_j( q_ht . k_hj / sqrt(d) - m_h (t - j) ),  t - n < j <= t
        a_t = u_t + R (sum_j w_1j v_1j, sum_j w_2j v_2j, ...)
        y_t = a_t + O relu( H norm(a_t) + g )

    with norm(u) = u / sqrt(mean u^2), and x = 0 before the episode begins.

    How it differs from slots. Both hold moments that are found by content, and nothing
    else of the past: with one block, a key or value depends on the inputs of its own
    moment, never on what was read. Slots are the least that such a memory can be: one
    key and value for all heads, read into one layer of units. This is the block that
    language models are made of, and what was read is worked on by a layer of its own
    before it is acted upon.

    A token holds two steps of inputs, because a single block cannot bind what was seen
    to the reward that came one step later: that takes a second block (Elhage et al.
    2021, A mathematical framework for transformer circuits). With two steps a token is
    a transition, as in Lee et al. 2023 (arXiv:2306.14892). With one step the bandit was
    learned as well, the two-step task not.

    Sources: Vaswani et al. 2017 (arXiv:1706.03762); norm before a layer, Xiong et al.
    2020 (arXiv:2002.04745), by root mean square, Zhang & Sennrich 2019
    (arXiv:1910.07467); slopes m_h = 2^(-8 h / heads), fixed, in place of positions, so
    that episodes may have any length, Press et al. 2022 (arXiv:2108.12409).

    Left out: the gates of Parisotto et al. 2020 (arXiv:1910.06764) in the place of the
    sums. On bandit and two-step task neither their output gate nor their GRU gate (four
    times the parameters) learned sooner or earned more. At a constant learning rate one
    seed of four lapsed late without them; where the rate falls to 0 none did.

    Guesses: one block; the sizes, chosen to measure no worse than larger ones (d = 8,
    200 steps, twice the hidden units); biases for tokens and hidden units only; no norm
    at the end.
    """

    state_names = ("cache", "last_inputs")
    not_recorded = frozenset({"cache"})  # follows from the inputs, step by step

    # A variant is a subclass with other sizes, registered under a name of its own.
    n_steps = 64  # latest steps that can be attended to, the present one included
    n_heads = 4
    n_features = 4  # d, the size of a head's query, key and value

    def __init__(self, n_seeds: int, n_inputs: int, n_units: int) -> None:
        super().__init__(n_seeds, n_inputs, n_units)
        n_read = self.n_heads * self.n_features

        def parameter(rows: int, columns: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(n_seeds, rows, columns))

        self.token_weight = parameter(n_units, 2 * n_inputs)
        self.token_bias = parameter(n_units, 1)
        self.attention_weight = parameter(3 * n_read, n_units)  # query, key, value
        self.read_weight = parameter(n_units, n_read)
        self.hidden_weight = parameter(n_units, n_units)
        self.hidden_bias = parameter(n_units, 1)
        self.output_weight = parameter(n_units, n_units)

    def initialise(self, seed: int, generator: torch.Generator) -> None:
        """Draw the parameters of one seed.

        Tokens are uniform within 1/sqrt(inputs), as torch does it; the other weights
        have variance 1/(inputs to the layer), so that the scale of the units is kept
        (LeCun et al. 1998, Efficient BackProp). Which for which: a guess.
        """
        token = (self.token_weight, self.token_bias)
        fill_uniform(token, seed, self.token_weight.shape[2] ** -0.5, generator)
        fill_uniform((self.hidden_bias,), seed, self.n_units**-0.5, generator)
        for weight in (
            self.attention_weight,
            self.read_weight,
            self.hidden_weight,
            self.output_weight,
        ):
            bound = math.sqrt(3 / weight.shape[2])
            fill_uniform((weight,), seed, bound, generator)

    @property
    def slopes(self) -> Tensor:
        """What a head's score loses with each step of age, (head,)."""
        head = torch.arange(1, self.n_heads + 1).to(self.token_bias)
        return torch.exp2(-8 / self.n_heads * head)

    def initial_state(self, batch: int) -> State:
        """Return an empty cache, and no inputs before.

        The cache has the latest steps, oldest first, each with a 1 where there was such
        a step, keys and values: (seed, n_steps x (1 + 2 heads d), episode).
        """
        size = 1 + 2 * self.n_heads * self.n_features
        zeros = self.token_bias.new_zeros
        return (
            zeros(self.n_seeds, self.n_steps * size, batch),
            zeros(self.n_seeds, self.n_inputs, batch),
        )

    def forward_step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step; see :meth:`Memory.forward_step`."""
        cache, last_inputs = state
        token = self.token(torch.cat([inputs, last_inputs], dim=1).mT)
        query, *written = (part.mT for part in self.projected(token))
        n_read = query.shape[1]
        present = torch.cat([torch.ones_like(query[:, :1]), *written], dim=1)
        cache = torch.cat([cache[:, present.shape[1] :], present], dim=1)
        steps = cache.unflatten(1, (self.n_steps, 1 + 2 * n_read))
        there, keys, values = steps.split([1, n_read, n_read], dim=2)
        heads = (self.n_heads, self.n_features)
        query = query.unflatten(1, heads).unsqueeze(1) / math.sqrt(self.n_features)
        age = torch.arange(self.n_steps - 1, -1, -1, device=inputs.device)
        recency = -self.slopes[:, None] * age[:, None, None]
        score = (query * keys.unflatten(2, heads)).sum(3) + recency
        weight = score.masked_fill(there == 0, -math.inf).softmax(1).unsqueeze(3)
        read = (weight * values.unflatten(2, heads)).sum(1).flatten(1, 2)
        return self.response(token, read.mT).mT, (cache, inputs)

    def forward(self, inputs: Tensor, local_credit: bool = False) -> Tensor:
        """Run whole episodes; see :meth:`Memory.forward`.

        No key or value depends on what was read: all steps are run at once.
        """
        if local_credit:
            return super().forward(inputs, local_credit)
        steps, seeds, _, batch = inputs.shape
        rows = inputs.permute(1, 3, 0, 2)
        before = pad(rows, (0, 0, 1, 0))[:, :, :-1]
        token = self.token(torch.cat([rows, before], dim=3).flatten(1, 2))
        heads = (seeds * batch, steps, self.n_heads, self.n_features)
        parts = (part.reshape(heads).transpose(1, 2) for part in self.projected(token))
        read = self._read(*parts).transpose(1, 2).reshape(seeds, batch * steps, -1)
        outputs = self.response(token, read)
        return outputs.view(seeds, batch, steps, -1).permute(2, 0, 3, 1)

    # The three parts of the block take rows, (seed, row, feature): a row is a step of
    # an episode.

    def token(self, inputs: Tensor) -> Tensor:
        """Return the tokens of inputs and the inputs before them."""
        return torch.baddbmm(self.token_bias.mT, inputs, self.token_weight.mT)

    def projected(self, token: Tensor) -> tuple[Tensor, ...]:
        """Return query, key and value, each (seed, row, head x d)."""
        projected = _norm(token) @ self.attention_weight.mT
        return projected.chunk(3, dim=2)

    def response(self, token: Tensor, read: Tensor) -> Tensor:
        """Return the outputs, given the tokens and what their heads have read."""
        found = torch.baddbmm(token, read, self.read_weight.mT)
        hidden = torch.baddbmm(
            self.hidden_bias.mT, _norm(found), self.hidden_weight.mT
        ).relu()
        return torch.baddbmm(found, hidden, self.output_weight.mT)

    def _read(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend at every step of whole episodes.

        In blocks of as many steps as can be attended to: what a block attends to lies
        in it or in the one before.

        Parameters
        ----------
        query, key, value
            (seed x episode, head, step, d).

        Returns
        -------
        Tensor
            (seed x episode, head, step, d).
        """
        steps, reach = query.shape[2], self.n_steps
        order = torch.arange(steps, device=query.device)
        slopes = self.slopes[:, None, None]
        read = []
        for begin in range(0, steps, reach):
            now = slice(begin, min(begin + reach, steps))
            there = slice(max(0, begin + 1 - reach), now.stop)
            age = order[now, None] - order[there]
            unseen = (age < 0) | (age >= reach)
            score = (-slopes * age).masked_fill(unseen, -math.inf).unsqueeze(0)
            read.append(
                scaled_dot_product_attention(
                    query[:, :, now], key[:, :, there], value[:, :, there], score
                )
            )
        return torch.cat(read, dim=2)

    def activity(
        self,
        steps: int,
        batch: int,
        *,
        local_credit: bool = False,
        compiled: bool = False,
    ) -> Activity:
        """Prepare to act from a cache that need not be copied at every step."""
        if local_credit or compiled:  # not written out here
            return super().activity(
                steps, batch, local_credit=local_credit, compiled=compiled
            )
        return AttentionActivity(self, steps, batch)


def _norm(rows: Tensor) -> Tensor:
    return rms_norm(rows, rows.shape[-1:])


class AttentionActivity(Activity):
    """Keys and values of a batch of episodes, of which the latest are attended to."""

    def __init__(self, memory: Attention, steps: int, batch: int) -> None:
        super().__init__(memory, batch)
        self._attention = memory
        new = memory.token_bias.new_zeros
        # Both (seed x episode, head, step, d), as they are read.
        shape = (memory.n_seeds * batch, memory.n_heads, steps, memory.n_features)
        self.keys, self.values = new(shape), new(shape)
        self.seen = new(memory.n_seeds, 2 * memory.n_inputs, batch)
        self.present, self.before = self.seen.chunk(2, dim=1)
        self.n_steps = 0

    @torch.no_grad()
    def begin(self) -> None:
        """Put the memory into its initial state."""
        self.n_steps = 0
        self.present.zero_()
        memory = self._attention
        age = torch.arange(memory.n_steps - 1, -1, -1, device=self.seen.device)
        self.recency = -memory.slopes[None, :, None, None] * age

    @torch.no_grad()
    def step(self, inputs: Tensor) -> Tensor:
        """Advance one step without a gradient."""
        memory, step = self._attention, self.n_steps
        self.n_steps += 1
        self.before.copy_(self.present)
        self.present.copy_(inputs)
        token = memory.token(self.seen.mT)
        heads = (-1, memory.n_heads, memory.n_features)
        query, key, value = (part.reshape(heads) for part in memory.projected(token))
        self.keys[:, :, step] = key
        self.values[:, :, step] = value
        there = slice(max(0, step + 1 - memory.n_steps), step + 1)
        read = scaled_dot_product_attention(
            query.unsqueeze(2),
            self.keys[:, :, there],
            self.values[:, :, there],
            self.recency[..., there.start - there.stop :],
        )
        return memory.response(token, read.view(len(inputs), self._batch, -1)).mT
