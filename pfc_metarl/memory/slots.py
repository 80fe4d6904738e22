"""Slots: a memory without recurrence that stores moments and finds them by content."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from pfc_metarl.memory.base import Activity, Memory, State, fill_uniform, register


@register("slots")
class Slots(Memory):
    """A store of the latest moments, each found by how well it fits what is sought.

    At step t some heads h read the slots written at the steps j < t; then the moment
    itself is written, over the oldest when all slots are full:

        k_t, v_t = tanh(K x_t + b)                        what is written: key, value
        q_h = Q_h x_t + c_h                               what head h seeks
        w_hj = softmax_j( q_h . k_j / sqrt(d) - softplus(a_h) (t - j) )
        s_h = sum_j w_hj v_j      f_h = sum_j w_hj v_(j+1)
        y_t = tanh( W x_t + R (s_1, f_1, s_2, f_2, ...) + e )

    What is written depends on the present inputs alone, not on what was read: the past
    is in the slots and nowhere else. One moment holds the last action with its reward,
    but not what was seen when it was taken, one step before: hence f_h. With a moment
    that is found comes the one that followed, as in free recall. The first slot of an
    episode, "before it began", is learned.

    Sources: that slots suffice is claimed without an architecture; this one is ours (a
    guess), as are its sizes and initial values. Read by softmax as in Graves et al.
    2014 (arXiv:1410.5401), what followed as in Kahana 1996 (Mem Cogn 24:103).
    """

    state_names = ("slots",)

    # A variant is a subclass with other sizes, registered under a name of its own.
    n_slots = 32  # moments that there is room for
    n_heads = 4  # things sought at a time
    n_features = 8  # d, the size of a key and of a value

    def __init__(self, n_seeds: int, n_inputs: int, n_units: int) -> None:
        super().__init__(n_seeds, n_inputs, n_units)
        n_sought = self.n_heads * self.n_features

        def parameter(rows: int, columns: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(n_seeds, rows, columns))

        self.slot_weight = parameter(2 * self.n_features, n_inputs)  # key, value
        self.slot_bias = parameter(2 * self.n_features, 1)
        self.query_weight = parameter(n_sought, n_inputs)
        self.query_bias = parameter(n_sought, 1)
        self.forgetting = parameter(self.n_heads, 1)
        self.input_weight = parameter(n_units, n_inputs)
        self.read_weight = parameter(n_units, 2 * n_sought)
        self.bias = parameter(n_units, 1)
        self.initial_slot = parameter(2 * self.n_features, 1)

    def initialise(self, seed: int, generator: torch.Generator) -> None:
        """Draw the parameters of one seed.

        Weights are uniform within 1/sqrt(number of inputs to the layer), thrice that to
        slots and queries, or heads learn late to tell moments apart. Heads begin with
        time constants from about 50 steps to 1, the initial slot at zero.
        """
        slots = (self.slot_weight, self.slot_bias, self.query_weight, self.query_bias)
        fill_uniform(slots, seed, 3 * self.n_inputs**-0.5, generator)
        output = (self.input_weight, self.read_weight, self.bias)
        n_seen = self.n_inputs + self.read_weight.shape[2]
        fill_uniform(output, seed, n_seen**-0.5, generator)
        with torch.no_grad():
            self.forgetting[seed, :, 0] = torch.linspace(-4, 1, self.n_heads)

    def initial_state(self, batch: int) -> State:
        """Return the store with its learned first slot.

        A slot is its number in order of writing (from 1; 0: empty), key, and value: the
        state is (seed, slot x (1 + 2 d), episode).
        """
        number = torch.ones_like(self.initial_slot[:, :1])
        first = torch.cat([number, self.initial_slot], dim=1)
        empty = first.new_zeros(self.n_seeds, (self.n_slots - 1) * first.shape[1], 1)
        return (torch.cat([first, empty], dim=1).expand(-1, -1, batch),)

    def forward_step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step; see :meth:`Memory.forward_step`."""
        d = self.n_features
        slots = state[0].unflatten(1, (self.n_slots, 1 + 2 * d))
        number, keys, values = slots.split([1, d, d], dim=2)
        latest = number.amax(1, keepdim=True)
        moment = torch.tanh(self.slot_weight @ inputs + self.slot_bias)
        followed_by = torch.where(
            number == latest, moment[:, None, d:], values.roll(-1, dims=1)
        )
        query = self.query_weight @ inputs + self.query_bias
        query = query.unflatten(1, (self.n_heads, d)) / math.sqrt(d)
        age = (latest + 1 - number).transpose(1, 2)
        score = torch.einsum("shdb,sjdb->shjb", query, keys)
        score = score - softplus(self.forgetting).unsqueeze(2) * age
        empty = number.transpose(1, 2) == 0
        # Not minus infinity: a lesion may leave no slot at all, which reads as zeros.
        score = score.masked_fill(empty, torch.finfo(score.dtype).min)
        found = torch.cat([values, followed_by], dim=2)
        read = torch.einsum("shjb,sjdb->shdb", score.softmax(2), found).flatten(1, 2)
        output = self.input_weight @ inputs + self.read_weight @ read + self.bias
        written = torch.cat([latest[:, 0] + 1, moment], dim=1).unsqueeze(1)
        place = torch.arange(self.n_slots, device=inputs.device).view(1, -1, 1, 1)
        slots = torch.where(place == latest % self.n_slots, written, slots)
        return output.tanh(), (slots.flatten(1, 2),)

    def forward(self, inputs: Tensor, local_credit: bool = False) -> Tensor:
        """Run whole episodes; see :meth:`Memory.forward`.

        Nothing that is written depends on what is read: all steps are run at once.
        """
        if local_credit:
            return super().forward(inputs, local_credit)
        steps, seeds, _, batch = inputs.shape
        # Episodes first: (seed, episode x step, feature), (seed x episode, step, ...).
        rows = inputs.permute(1, 3, 0, 2).flatten(1, 2)
        query = torch.baddbmm(self.query_bias.mT, rows, self.query_weight.mT)
        written = torch.baddbmm(self.slot_bias.mT, rows, self.slot_weight.mT).tanh()
        first = self.initial_slot.mT.repeat_interleave(batch, dim=0)
        slots = torch.cat([first, written.view(seeds * batch, steps, -1)], dim=1)
        read = self._read(query.view(seeds * batch, steps, -1), slots)
        seen = torch.cat([rows, read.view(seeds, batch * steps, -1)], dim=2)
        weight = torch.cat([self.input_weight, self.read_weight], dim=2)
        outputs = torch.baddbmm(self.bias.mT, seen, weight.mT).tanh()
        return outputs.view(seeds, batch, steps, -1).permute(2, 0, 3, 1)

    def _read(self, query: Tensor, slots: Tensor) -> Tensor:
        """Read the slots at every step of whole episodes.

        In blocks of as many steps as there are slots: what a block reads was written in
        it or in the one before.

        Parameters
        ----------
        query
            (seed x episode, step, head x d).
        slots
            (seed x episode, slot, 2 d), in order of writing: the initial one first, so
            that step t may read up to slot t and writes slot t + 1.

        Returns
        -------
        Tensor
            (seed x episode, step, head x 2 d).
        """
        steps, room, d = query.shape[1], self.n_slots, self.n_features
        query = query.unflatten(2, (self.n_heads, d)) / math.sqrt(d)
        keys, values = slots.split(d, dim=2)
        found = torch.cat([values[:, :-1], values[:, 1:]], dim=2)
        rate = softplus(self.forgetting)[:, None]  # (seed, 1, head, 1)
        order = torch.arange(steps, device=query.device)
        read = []
        for begin in range(0, steps, room):
            now = slice(begin, min(begin + room, steps))
            there = slice(max(0, begin + 1 - room), now.stop)
            age = (order[now, None] + 1 - order[there]).unsqueeze(1)  # (step, 1, slot)
            unread = (age < 1) | (age > room)
            recency = (-rate * age).masked_fill(unread, -math.inf).unsqueeze(1)
            likeness = query[:, now].flatten(1, 2) @ keys[:, there].mT
            # Episodes of a seed share the recency, (seed, 1, step, head, slot).
            score = likeness.view(self.n_seeds, -1, *recency.shape[2:]) + recency
            weight = score.softmax(-1).view_as(likeness)
            read.append((weight @ found[:, there]).view(len(query), len(age), -1))
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
    """Views into the store at one step."""

    written: Tensor
    keys: Tensor
    found: Tensor
    recency: slice


class SlotsActivity(Activity):
    """All moments of a batch of episodes, of which the latest are read.

    Episodes come first, so that the features of a slot lie together: key, value, and
    the value that followed. The last is written with the next slot's key and value,
    which in memory come right after it.
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
        memory, d = self._slots, self._slots.n_features
        self.store[..., : 2 * d] = memory.initial_slot.mT
        self.weight = self._together(
            memory.slot_weight, memory.query_weight, memory.input_weight
        ).contiguous()
        self.bias = self._together(memory.slot_bias, memory.query_bias, memory.bias)
        self.rows = (3 * d, memory.n_heads * d, memory.n_units)
        self.read_weight = memory.read_weight.detach()
        age = torch.arange(memory.n_slots, 0, -1, device=self.store.device)
        self.recency = (-softplus(memory.forgetting) * age).unsqueeze(1)

    def _together(self, slot: Tensor, query: Tensor, output: Tensor) -> Tensor:
        """Return what gives, in one product: value, key, value; query; output."""
        d = self._slots.n_features
        return torch.cat([slot[:, d:], slot, query / math.sqrt(d), output], dim=1).mT

    def step(self, inputs: Tensor) -> Tensor:
        """Advance one step without a gradient."""
        memory, at = self._slots, self.at[self.n_steps]
        self.n_steps += 1
        projected = torch.baddbmm(self.bias, inputs.mT, self.weight)
        written, query, output = projected.split(self.rows, dim=2)
        torch.tanh(written, out=at.written)
        query = query.view(-1, memory.n_heads, memory.n_features)
        score = torch.bmm(query, at.keys)
        score = score.view(len(inputs), -1, *score.shape[1:])
        score.add_(self.recency[..., at.recency])
        read = torch.bmm(score.softmax(3).flatten(0, 1), at.found)
        read = read.view(len(inputs), self._batch, -1)
        return torch.baddbmm(output.mT, self.read_weight, read.mT).tanh_()
