"""Slots: a memory without recurrence, which stores moments and finds them by content."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from pfc_metarl.memory.base import Activity, Memory, State, fill_uniform, register


@register("slots")
class Slots(Memory):
    """A store of the latest moments, each found by how like it is to what is sought.

    At step t some heads h read the slots, written at the steps j < t; then the moment
    itself is written, over the oldest when all slots are full:

        k_t = K x_t      v_t = V x_t                      what is written: key, value
        q_h = Q_h x_t + c_h                               what head h seeks
        w_hj = softmax_j( q_h . k_j / sqrt(d) - softplus(a_h) (t - j) )
        s_h = sum_j w_hj v_j      f_h = sum_j w_hj v_(j+1)
        y_t = tanh( W x_t + R (s_1, f_1, s_2, f_2, ...) + b )

    What is written depends on the present inputs alone, not on what was read: the past
    is in the slots and nowhere else. One moment holds the last action with its reward,
    but not what was seen when it was taken, one step before: hence f_h. With a moment
    that is found comes the one that followed, as in free recall. The first slot of an
    episode, "before it began", is learned.

    Sources: that a slot-based memory suffices is held without an architecture, so this
    one is ours (a guess), as are sizes and initial values; read by softmax as in Graves
    et al. 2014 (arXiv:1410.5401), what followed as in Kahana 1996 (Mem Cogn 24:103).

    Parameters
    ----------
    n_seeds, n_inputs, n_units
        Seeds, inputs, and outputs y.
    n_slots
        Moments that there is room for.
    n_heads
        Things sought at a time.
    n_features
        Size d of a key and of a value.
    """

    state_names = ("slots",)

    def __init__(
        self,
        n_seeds: int,
        n_inputs: int,
        n_units: int,
        *,
        n_slots: int = 32,
        n_heads: int = 4,
        n_features: int = 8,
    ) -> None:
        super().__init__(n_seeds, n_inputs, n_units)
        self.n_slots, self.n_heads, self.n_features = n_slots, n_heads, n_features

        def parameter(rows: int, columns: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(n_seeds, rows, columns))

        self.key_weight = parameter(n_features, n_inputs)
        self.value_weight = parameter(n_features, n_inputs)
        self.query_weight = parameter(n_heads * n_features, n_inputs)
        self.query_bias = parameter(n_heads * n_features, 1)
        self.forgetting = parameter(n_heads, 1)
        self.input_weight = parameter(n_units, n_inputs)
        self.read_weight = parameter(n_units, 2 * n_heads * n_features)
        self.bias = parameter(n_units, 1)
        self.initial_key = parameter(n_features, 1)
        self.initial_value = parameter(n_features, 1)

    def initialise(self, seed: int, generator: torch.Generator) -> None:
        """Draw the parameters of one seed.

        Weights are uniform within 1/sqrt(number of inputs to the layer), the initial
        slot is zero; the heads begin with time constants from about 50 steps to 1.
        """
        asked = (
            self.key_weight,
            self.value_weight,
            self.query_weight,
            self.query_bias,
        )
        fill_uniform(asked, seed, self.n_inputs**-0.5, generator)
        answered = (self.input_weight, self.read_weight, self.bias)
        n_seen = self.n_inputs + self.read_weight.shape[2]
        fill_uniform(answered, seed, n_seen**-0.5, generator)
        with torch.no_grad():
            self.forgetting[seed, :, 0] = torch.linspace(-4, 1, self.n_heads)

    def initial_state(self, batch: int) -> State:
        """Return the store with its learned first slot.

        A slot is its number in order of writing (from 1; 0: empty), key, and value: the
        state is (seed, slot x (1 + 2 d), episode).
        """
        number = torch.ones_like(self.initial_key[:, :1])
        first = torch.cat([number, self.initial_key, self.initial_value], dim=1)
        empty = first.new_zeros(self.n_seeds, (self.n_slots - 1) * first.shape[1], 1)
        return (torch.cat([first, empty], dim=1).expand(-1, -1, batch),)

    def forward_step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step; see :meth:`Memory.forward_step`."""
        d = self.n_features
        slots = state[0].unflatten(1, (self.n_slots, 1 + 2 * d))
        number, keys, values = slots.split([1, d, d], dim=2)
        latest = number.amax(1, keepdim=True)
        key, value = self.key_weight @ inputs, self.value_weight @ inputs
        followed_by = torch.where(
            number == latest, value.unsqueeze(1), values.roll(-1, 1)
        )
        query = self.query_weight @ inputs + self.query_bias
        query = query.unflatten(1, (self.n_heads, d))
        likeness = torch.einsum("shdb,sjdb->shjb", query, keys) / math.sqrt(d)
        age = (latest + 1 - number).transpose(1, 2)
        score = likeness - softplus(self.forgetting).unsqueeze(2) * age
        score = score.masked_fill(number.transpose(1, 2) == 0, -math.inf)
        moments = torch.cat([values, followed_by], dim=2)
        read = torch.einsum("shjb,sjdb->shdb", score.softmax(2), moments).flatten(1, 2)
        output = self.input_weight @ inputs + self.read_weight @ read + self.bias
        written = torch.cat([latest[:, 0] + 1, key, value], dim=1).unsqueeze(1)
        place = torch.arange(self.n_slots, device=key.device).view(1, -1, 1, 1)
        slots = torch.where(place == latest % self.n_slots, written, slots)
        return output.tanh(), (slots.flatten(1, 2),)

    def forward(self, inputs: Tensor, local_credit: bool = False) -> Tensor:
        """Run whole episodes; see :meth:`Memory.forward`.

        As nothing that is written depends on what is read, all steps are run at once.
        """
        if local_credit:
            return super().forward(inputs, local_credit)
        steps, seeds, _, batch = inputs.shape
        d = self.n_features
        rows = inputs.permute(1, 3, 0, 2).flatten(1, 2)  # (seed, episode x step, input)

        def by_episode(projected: Tensor) -> Tensor:
            """(seed, episode x step, feature) to (seed x episode, step, feature)."""
            return projected.view(seeds * batch, steps, -1)

        query = torch.baddbmm(self.query_bias.mT, rows, self.query_weight.mT)
        written = rows @ torch.cat([self.key_weight, self.value_weight], dim=1).mT
        first = torch.cat([self.initial_key, self.initial_value], dim=1).mT
        first = first.repeat_interleave(batch, dim=0)
        keys, values = torch.cat([first, by_episode(written)], dim=1).split(d, dim=2)
        moments = torch.cat([values[:, :-1], values[:, 1:]], dim=2)
        read = self._read(by_episode(query), keys, moments)
        seen = torch.cat([rows, read.view(*rows.shape[:2], -1)], dim=2)
        weight = torch.cat([self.input_weight, self.read_weight], dim=2)
        outputs = torch.baddbmm(self.bias.mT, seen, weight.mT).tanh()
        return outputs.view(seeds, batch, steps, -1).permute(2, 0, 3, 1)

    def _read(self, query: Tensor, keys: Tensor, moments: Tensor) -> Tensor:
        """Read the slots at every step of whole episodes.

        Block by block of as many steps as there are slots, since what is read in one
        was written in it or in the one before. Slot 0 is the initial one, so that the
        slot of step j is j + 1.

        Parameters
        ----------
        query
            (seed x episode, step, head x d).
        keys, moments
            (seed x episode, slot, d), and twice the d.

        Returns
        -------
        Tensor
            (seed x episode, step, head x 2 d).
        """
        steps, n = query.shape[1], self.n_slots
        query = query.unflatten(2, (self.n_heads, -1)) / math.sqrt(self.n_features)
        rate = softplus(self.forgetting)  # (seed, head, 1)
        at = torch.arange(steps, device=query.device)
        read = []
        for begin in range(0, steps, n):
            now = slice(begin, min(begin + n, steps))
            there = slice(max(0, begin + 1 - n), now.stop)
            age = (at[now, None] + 1 - at[there]).unsqueeze(1)  # (step, 1, slot)
            recency = -rate.unsqueeze(1) * age  # (seed, step, head, slot)
            recency = recency.masked_fill((age < 1) | (age > n), -math.inf)
            likeness = query[:, now].flatten(1, 2) @ keys[:, there].mT
            score = likeness.view(self.n_seeds, -1, *recency.shape[1:])
            score = (score + recency.unsqueeze(1)).view_as(likeness)
            found = torch.bmm(score.softmax(2), moments[:, there])
            read.append(found.view(len(found), now.stop - now.start, -1))
        return torch.cat(read, dim=1)

    def activity(
        self,
        steps: int,
        batch: int,
        *,
        local_credit: bool = False,
        compiled: bool = False,
    ) -> Activity:
        """Prepare to act from slots that need not be copied at every step."""
        if local_credit or compiled:  # not written out here
            return super().activity(
                steps, batch, local_credit=local_credit, compiled=compiled
            )
        return SlotsActivity(self, steps, batch)


class _Step(NamedTuple):
    """Views into the buffer at one step."""

    written: Tensor
    keys: Tensor
    moments: Tensor
    recency: slice


class SlotsActivity(Activity):
    """All moments of a batch of episodes, of which the latest are read.

    Episodes come first here: the features of a slot lie together, key, value, and the
    value that followed. The last is written with the next slot's key and value, which
    in memory come right after it.
    """

    def __init__(self, memory: Slots, steps: int, batch: int) -> None:
        super().__init__(memory, batch)
        self._slots = memory
        size, shape = 3 * memory.n_features, (memory.n_seeds, batch)
        self.store = memory.bias.new_empty(*shape, (steps + 2) * size)
        self.at = [self._views(step, size) for step in range(steps)]
        self.n_steps = 0

    def _views(self, step: int, size: int) -> _Step:
        n = min(step + 1, self._slots.n_slots)
        d, end = size // 3, (step + 1) * size
        slots = self.store[..., end - n * size : end].unflatten(2, (n, size))
        slots = slots.flatten(0, 1)
        return _Step(
            self.store[..., end - d : end + 2 * d],
            slots[:, :, :d].mT,
            slots[:, :, d:],
            slice(self._slots.n_slots - n, None),
        )

    @torch.no_grad()
    def begin(self) -> None:
        """Put the memory into its initial state."""
        self.n_steps = 0
        memory, scale = self._slots, self._slots.n_features**-0.5
        first = torch.cat([memory.initial_key, memory.initial_value], dim=1)
        self.store[..., : first.shape[1]] = first.mT
        weight = (
            memory.value_weight,
            memory.key_weight,
            memory.value_weight,
            scale * memory.query_weight,
            memory.input_weight,
        )
        self.weight = torch.cat(weight, dim=1).mT.contiguous()
        unbiased = first.new_zeros(memory.n_seeds, 3 * memory.n_features, 1)
        bias = (unbiased, scale * memory.query_bias, memory.bias)
        self.bias = torch.cat(bias, dim=1).mT
        age = torch.arange(memory.n_slots, 0, -1, device=first.device)
        self.recency = (-softplus(memory.forgetting) * age).unsqueeze(1)
        self.rows = [part.shape[1] for part in bias]
        self.read_weight = memory.read_weight.detach()

    def step(self, inputs: Tensor) -> Tensor:
        """Advance one step without a gradient."""
        memory, at = self._slots, self.at[self.n_steps]
        self.n_steps += 1
        projected = torch.baddbmm(self.bias, inputs.mT, self.weight)
        written, query, drive = projected.split(self.rows, dim=2)
        at.written.copy_(written)
        query = query.view(-1, memory.n_heads, memory.n_features)
        score = torch.bmm(query, at.keys)
        score = score.view(len(inputs), -1, *score.shape[1:])
        score.add_(self.recency[..., at.recency])
        read = torch.bmm(score.softmax(3).flatten(0, 1), at.moments)
        read = read.view(len(inputs), self._batch, -1)
        return torch.baddbmm(drive.mT, self.read_weight, read.mT).tanh_()
