"""The episodic LSTM of Ritter et al. 2018: an LSTM whose cell states come back."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, pad, softplus

from pfc_metarl.memory.base import (
    Activity,
    KeptActivity,
    Memory,
    State,
    fill_uniform,
    register,
)


@register("episodic-lstm")
class EpisodicLSTM(Memory):
    """An LSTM with a dictionary of its cell states, each found again by its context.

        i, f, o, r = sigmoid(W x + U h + b)   g = tanh(W x + U h + b)
        c_t = f c_(t-1) + i g + r tanh(e_t)   h_t = o tanh(c_t)

    What is reinstated, e_t, is read from the dictionary; then c_t is written into it,
    over the oldest when it is full, under the context k_t:

        q_t = K x_t + a                       what is sought
        k_t = q_t + rho k_(t-1)               the context: it drifts
        s_tj = beta (cos(q_t, k_j) - theta) - softplus(phi) (t - j)
        e_t = sum_j w_tj c_j                  w_tj = exp(s_tj) / (1 + sum_j exp(s_tj))

    So the cell state comes back that was written in the most similar and latest
    context; if none is more similar than theta, nothing does. An episode begins with an
    empty dictionary: what Ritter et al. call an epoch is an episode here, and their
    episodes are its visits.

    Source: Ritter et al. 2018 (arXiv 1805.09692), by the equations of two
    reimplementations (qihongl/dnd-lstm, BKHMSI/Meta-RL-TwoStep-Task; the paper's text
    was not at hand): the gate r, tanh(e), a cell state written at every step, cosine
    similarity, nothing from an empty dictionary. There the context is given apart from
    the other inputs, the nearest entry alone is read, and no gradient passes through
    it. Ours (guesses): K is learned, since a memory is not told which of its inputs are
    the context; the read is soft, with a gradient, or K could not learn; the latest of
    similar entries counts most, which stands in for writing once per visit; the context
    drifts, as in Howard & Kahana 2002 (J Math Psychol 46:269), since what an action
    brought is seen only one step later, and is to be found by what was seen before it.

    The lesion r = 0 is ``memory.reinstatement = 0.0``, after training, or in a subclass
    that trains without; silencing the whole dictionary does the same. What is left is
    an LSTM.
    """

    state_names = ("hidden", "cell", "context", "dictionary")
    not_recorded = frozenset({"dictionary"})  # holds what cell and context were

    # A variant is a subclass with other values, registered under a name of its own.
    n_slots = 200  # cell states there is room for: a guess, the steps of two-step tasks
    n_features = 16  # size of a context: a guess
    reinstatement: float = 1.0  # factor on the gate r

    def __init__(self, n_seeds: int, n_inputs: int, n_units: int) -> None:
        super().__init__(n_seeds, n_inputs, n_units)

        def parameter(rows: int, columns: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(n_seeds, rows, columns))

        # Rows of the gates: i, f, o, r, g; the four sigmoids lie together.
        self.input_weight = parameter(5 * n_units, n_inputs)
        self.recurrent_weight = parameter(5 * n_units, n_units)
        self.bias = parameter(5 * n_units, 1)
        self.key_weight = parameter(self.n_features, n_inputs)  # K
        self.key_bias = parameter(self.n_features, 1)  # a
        self.drift = parameter(1, 1)  # rho = sigmoid(drift)
        self.sharpness = parameter(1, 1)  # beta = exp(sharpness)
        self.threshold = parameter(1, 1)  # theta
        self.forgetting = parameter(1, 1)  # phi
        self.initial_hidden = parameter(n_units, 1)
        self.initial_cell = parameter(n_units, 1)

    def initialise(self, seed: int, generator: torch.Generator) -> None:
        """Draw the parameters of one seed.

        The LSTM's as in :class:`~pfc_metarl.memory.lstm.LSTM`, those of the contexts
        uniform within 1/sqrt(n_inputs). At first rho is 1/2, beta 10, theta 1/2, and an
        entry loses half its weight in 38 steps (guesses).
        """
        weights = (self.input_weight, self.recurrent_weight, self.bias)
        fill_uniform(weights, seed, self.n_units**-0.5, generator)
        contexts = (self.key_weight, self.key_bias)
        fill_uniform(contexts, seed, self.n_inputs**-0.5, generator)
        with torch.no_grad():
            self.drift[seed] = 0.0
            self.sharpness[seed] = math.log(10)
            self.threshold[seed] = 0.5
            self.forgetting[seed] = -4.0

    def initial_state(self, batch: int) -> State:
        """Return the learned initial state, no context, and an empty dictionary.

        An entry is its number in order of writing (from 1; 0: empty), direction of the
        context, and cell state: (seed, slot x (1 + feature + unit), episode).
        """
        hidden, cell = (
            part.expand(-1, -1, batch)
            for part in (self.initial_hidden, self.initial_cell)
        )
        entries = self.n_slots * (1 + self.n_features + self.n_units)
        context, dictionary = (
            self.bias.new_zeros(self.n_seeds, size, 1).expand(-1, -1, batch)
            for size in (self.n_features, entries)
        )
        return hidden, cell, context, dictionary

    def forward_step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step; see :meth:`Memory.forward_step`."""
        hidden, cell, context, dictionary = state
        parts = (1, self.n_features, self.n_units)
        entries = dictionary.unflatten(1, (self.n_slots, sum(parts)))
        latest = entries[:, :, :1].amax(1, keepdim=True)
        there = entries[:, : int(latest.max())]  # those after it are empty
        number, keys, cells = there.split(parts, dim=2)
        sought = self.key_weight @ inputs + self.key_bias
        context = sought + self.drift.sigmoid() * context
        likeness = (keys * _direction(sought, 1).unsqueeze(1)).sum(2) - self.threshold
        age = (latest + 1 - number).squeeze(2)
        score = self.sharpness.exp() * likeness - softplus(self.forgetting) * age
        score = score.masked_fill(number.squeeze(2) == 0, -math.inf)
        weight = pad(score, (0, 0, 0, 1)).softmax(1)[:, :-1]  # the last: nothing
        found = (weight.unsqueeze(2) * cells).sum(1)
        hidden, cell = self._reinstated(inputs, hidden, cell, found)
        written = torch.cat([latest[:, 0] + 1, _direction(context, 1), cell], dim=1)
        place = (latest % self.n_slots).long().expand(-1, -1, sum(parts), -1)
        entries = entries.scatter(1, place, written.unsqueeze(1))
        return hidden, (hidden, cell, context, entries.flatten(1, 2))

    def _reinstated(
        self, inputs: Tensor, hidden: Tensor, cell: Tensor, found: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the next hidden and cell state; ``found`` is e_t."""
        gates = self.input_weight @ inputs + self.recurrent_weight @ hidden + self.bias
        i, f, o, r, g = gates.chunk(5, dim=1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        cell = cell + self.reinstatement * r.sigmoid() * found.tanh()
        return o.sigmoid() * cell.tanh(), cell

    def forward(self, inputs: Tensor, local_credit: bool = False) -> Tensor:
        """Run whole episodes; see :meth:`Memory.forward`.

        Where to read depends on the inputs alone and is found for all steps at once.
        """
        if local_credit:
            return super().forward(inputs, local_credit)
        seeds, batch = inputs.shape[1], inputs.shape[3]
        hidden, cell, *_ = self.initial_state(batch)
        rows = _rows_of(self.addresses(inputs), self.n_slots)
        cells: list[Tensor] = []  # (seed x episode, unit), as many as there is room for
        outputs = []
        for at_step, row in zip(inputs, rows, strict=True):
            found = torch.zeros_like(cell)
            if cells:
                read = row.unsqueeze(1) @ torch.stack(cells, dim=1)
                found = read.view(seeds, batch, -1).mT
            hidden, cell = self._reinstated(at_step, hidden, cell, found)
            cells = [*cells, cell.mT.flatten(0, 1)][-self.n_slots :]
            outputs.append(hidden)
        return torch.stack(outputs)

    def addresses(self, inputs: Tensor) -> list[Tensor]:
        """Return the weights w_tj with which whole episodes read the dictionary.

        Parameters
        ----------
        inputs
            (step, seed, input, episode).

        Returns
        -------
        list of Tensor
            One (seed x episode, step, entry) for each block of ``n_slots`` steps. The
            entries are those written in the block before and in the block itself, and
            last of all, nothing.
        """
        steps, seeds, _, batch = inputs.shape
        rows = inputs.permute(1, 0, 3, 2).flatten(1, 2)  # (seed, step x episode, input)
        sought = torch.baddbmm(self.key_bias.mT, rows, self.key_weight.mT)
        order = torch.arange(steps, device=inputs.device)
        age = order[:, None] - order
        kept = (logsigmoid(self.drift) * age).masked_fill(age < 0, -math.inf).exp()
        context = (kept @ sought.view(seeds, steps, -1)).view_as(sought)
        query, key = (
            _direction(part, 2)
            .view(seeds, steps, batch, -1)
            .transpose(1, 2)
            .flatten(0, 1)
            for part in (sought, context)
        )
        beta = self.sharpness.exp()
        query = query * beta.repeat_interleave(batch, dim=0)
        recency = -softplus(self.forgetting) * age - beta * self.threshold
        recency = recency.masked_fill((age < 1) | (age > self.n_slots), -math.inf)
        weights = []
        for now, there in _blocks(steps, self.n_slots):
            likeness = query[:, now] @ pad(key[:, there], (0, 0, 0, 1)).mT
            offset = pad(recency[:, now, there], (0, 1)).unsqueeze(1)
            score = likeness.view(seeds, batch, *offset.shape[2:]) + offset
            weights.append(score.softmax(-1).flatten(0, 1))
        return weights

    def activity(
        self,
        steps: int,
        batch: int,
        *,
        local_credit: bool = False,
        compiled: bool = False,
    ) -> Activity:
        """Prepare to act, keeping the activations for the backward pass."""
        if local_credit or compiled:  # not written out here
            return super().activity(
                steps, batch, local_credit=local_credit, compiled=compiled
            )
        return EpisodicLSTMActivity(self, steps, batch)


def _direction(context: Tensor, dim: int) -> Tensor:
    """Return contexts at unit length; that of a context of 0 is 0."""
    return context * (context.square().sum(dim, keepdim=True) + 1e-6).rsqrt()


def _blocks(steps: int, room: int) -> Iterator[tuple[slice, slice]]:
    """Yield blocks of as many steps as there is room for, and what they may read.

    That was written in the block or in the one before.
    """
    for begin in range(0, steps, room):
        stop = min(begin + room, steps)
        yield slice(begin, stop), slice(max(0, begin - room), stop)


def _rows_of(addresses: list[Tensor], room: int) -> Iterator[Tensor]:
    """Yield the weights of each step over what is there, (seed x episode, entry)."""
    steps = sum(block.shape[1] for block in addresses)
    for block, (now, there) in zip(addresses, _blocks(steps, room), strict=True):
        for step in range(now.start, now.stop):
            oldest = max(0, step - room)
            readable = slice(oldest - there.start, step - there.start)
            yield block[:, step - now.start, readable]


class _Step(NamedTuple):
    """Views into the buffers at one step."""

    seen: Tensor
    inputs: Tensor
    products: Tensor
    gates: Tensor
    sigmoids: Tensor
    i: Tensor
    f: Tensor
    o: Tensor
    r: Tensor
    g: Tensor
    sought: Tensor
    recalled: Tensor
    cell_before: Tensor
    cell: Tensor
    cell_tanh: Tensor
    hidden: Tensor
    keys_there: Tensor
    key: Tensor
    cells_there: Tensor
    written: Tensor
    d_found: Tensor


class EpisodicLSTMActivity(KeptActivity):
    """Activations of an episodic LSTM over a batch of episodes, in reused buffers.

    As in the LSTM's, what a step sees lies together, hidden state, inputs and a one for
    the biases, filled up with zeros to a multiple of 8 rows; one product gives the
    gates and what is sought. In the dictionary, episodes come first, so that the
    features of an entry lie together; nothing is written over, but only the latest
    entries are read.
    """

    def __init__(self, memory: EpisodicLSTM, steps: int, batch: int) -> None:
        super().__init__(memory, batch, local_credit=False)
        self._lstm, self.room = memory, memory.n_slots
        n, units, features = memory.n_seeds, memory.n_units, memory.n_features
        new = memory.bias.new_empty
        self.products = new(steps, n, 5 * units + features, batch)
        self.recalled = new(steps, n, units, batch)  # tanh(e)
        self.cell = new(steps + 1, n, units, batch)  # before each step, and the last
        self.cell_tanh = new(steps, n, units, batch)
        filled = units + memory.n_inputs + 1
        self.seen = new(steps + 1, n, -(-filled // 8) * 8, batch).zero_()
        self.seen[:, :, filled - 1] = 1.0
        self.hidden = self.seen[:, :, :units]
        self.rows = (units, memory.n_inputs, 1, self.seen.shape[2] - filled)
        self.weight = new(n, 5 * units + features, self.seen.shape[2]).zero_()
        self.context = new(n, features, batch)
        self.keys = new(n, batch, steps, features)
        self.cells = new(n, batch, steps, units)
        self.d_found = new(n, batch, steps, units)
        self.addressed: list[Tensor] = []  # with a gradient, once they are known
        self.at = [self._views(step) for step in range(steps)]
        self.n_steps = 0

    def _views(self, step: int) -> _Step:
        products, units = self.products[step], self.cell.shape[2]
        i, f, o, r, g, sought = products.split(
            [*[units] * 5, len(products[0]) - 5 * units], 1
        )
        there = slice(max(0, step - self.room), step)
        return _Step(
            self.seen[step],
            self.seen[step].split(self.rows, dim=1)[1],
            products,
            products[:, : 5 * units],
            products[:, : 4 * units],
            i,
            f,
            o,
            r,
            g,
            sought,
            self.recalled[step],
            self.cell[step],
            self.cell[step + 1],
            self.cell_tanh[step],
            self.hidden[step + 1],
            self.keys[:, :, there].flatten(0, 1).mT,
            self.keys[:, :, step].mT,
            self.cells[:, :, there].flatten(0, 1),
            self.cells[:, :, step].mT,
            self.d_found[:, :, step].mT,
        )

    @torch.no_grad()
    def begin(self) -> None:
        """Put the memory into its initial state."""
        self.n_steps, self.addressed = 0, []
        lstm, gates = self._lstm, 5 * self._lstm.n_units
        self.reinstatement = lstm.reinstatement
        self.hidden[0], self.cell[0] = lstm.initial_hidden, lstm.initial_cell
        self.context.zero_()
        recurrent, from_inputs, bias, _ = self.weight.split(self.rows, dim=2)
        recurrent[:, :gates] = lstm.recurrent_weight
        from_inputs[:, :gates], bias[:, :gates] = lstm.input_weight, lstm.bias
        from_inputs[:, gates:], bias[:, gates:] = lstm.key_weight, lstm.key_bias
        self.rho, self.beta = lstm.drift.sigmoid(), lstm.sharpness.exp()
        age = torch.arange(lstm.n_slots, 0, -1, device=self.weight.device)
        # (seed, 1, slot), the oldest first.
        self.recency = -softplus(lstm.forgetting) * age - self.beta * lstm.threshold
        self.recency = pad(self.recency, (0, 1))  # the last for nothing

    def step(self, inputs: Tensor) -> Tensor:
        """Advance one step without a gradient."""
        at = self._see(inputs)
        with torch.no_grad():
            weight = self._address(at)
        return self._remember(at, weight)

    def _see(self, inputs: Tensor) -> _Step:
        at = self.at[self.n_steps]
        self.n_steps += 1
        at.inputs.copy_(inputs)
        torch.bmm(self.weight, at.seen, out=at.products)
        return at

    def _address(self, at: _Step) -> Tensor:
        """Return the weights of what is there, (seed x episode, entry)."""
        query = (_direction(at.sought, 1) * self.beta).mT.flatten(0, 1).unsqueeze(1)
        score = pad(query @ at.keys_there, (0, 1)).squeeze(1)
        n = score.shape[1]
        score = score.view(len(self.beta), -1, n) + self.recency[..., -n:]
        self.context.mul_(self.rho).add_(at.sought)
        at.key.copy_(_direction(self.context, 1))
        return score.softmax(2).flatten(0, 1)[:, :-1]

    def _remember(self, at: _Step, weight: Tensor) -> Tensor:
        """Reinstate what is read with these weights, and go on as an LSTM."""
        read = torch.bmm(weight.unsqueeze(1), at.cells_there)
        torch.tanh(read.view(len(self.beta), self._batch, -1).mT, out=at.recalled)
        at.sigmoids.sigmoid_()
        at.g.tanh_()
        torch.mul(at.f, at.cell_before, out=at.cell)
        at.cell.addcmul_(at.i, at.g)
        at.cell.addcmul_(at.r, at.recalled, value=self.reinstatement)
        torch.tanh(at.cell, out=at.cell_tanh)
        torch.mul(at.o, at.cell_tanh, out=at.hidden)
        at.written.copy_(at.cell)
        return at.hidden

    def replay(self, inputs: Tensor) -> None:
        """Run the steps since :meth:`begin` again, with the weights as they are now."""
        self.begin()
        with torch.enable_grad():
            self.addressed = self._lstm.addresses(inputs)
        weights = _rows_of([block.detach() for block in self.addressed], self.room)
        for at_step, weight in zip(inputs, weights, strict=True):
            self._remember(self._see(at_step), weight)

    def kept(self) -> Tensor:
        """Return the hidden states since :meth:`begin`."""
        return self.hidden[1 : self.n_steps + 1]

    def backward(self, grad: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of the parameters.

        Where to read does not depend on the states, so that its gradient is left to
        autograd.
        """
        if not self.addressed:
            inputs = self.seen[: self.n_steps].split(self.rows, dim=2)[1]
            with torch.enable_grad():
                self.addressed = self._lstm.addresses(inputs)
        d_lstm, d_initial = _backward(self, grad)
        lstm = self._lstm
        contexts = (
            lstm.key_weight,
            lstm.key_bias,
            lstm.drift,
            lstm.sharpness,
            lstm.threshold,
            lstm.forgetting,
        )
        d_weights = [
            pad(
                self.d_found[:, :, now].flatten(0, 1)
                @ self.cells[:, :, there].flatten(0, 1).mT,
                (0, 1),
            )
            for now, there in _blocks(self.n_steps, self.room)
        ]
        d_contexts = torch.autograd.grad(self.addressed, contexts, d_weights)
        self.addressed = []
        return *d_lstm, *d_contexts, *d_initial


def _readers_of(addresses: list[Tensor], room: int) -> Iterator[Tensor]:
    """Yield the weights that each entry has when it is read, the last entry first.

    For entry j, (seed x episode, step): steps j + 1, j + 2, ... as far as there are.
    """
    steps = sum(block.shape[1] for block in addresses)
    # Rows of a transposed copy: the weights that are multiplied then lie together.
    by_entry = [block.mT.contiguous() for block in addresses]
    spans = list(_blocks(steps, room))
    for entry in reversed(range(steps)):
        parts = []
        for block in range(entry // room, min(entry // room + 2, len(spans))):
            now, there = spans[block]
            first = max(entry + 1, now.start) - now.start
            last = min(entry + room + 1, now.stop) - now.start
            parts.append(by_entry[block][:, entry - there.start, first:last])
        yield parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _backward(
    activity: EpisodicLSTMActivity, grad_hidden: Tensor
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Backpropagate through time from the kept activations.

    Leaves the gradient of what was found, e, in the activity's ``d_found``.
    """
    sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
    tanh_backward = torch.ops.aten.tanh_backward.grad_input
    units = activity.cell.shape[2]
    weight = activity.weight[:, : 5 * units]
    from_gates = weight[:, :, :units].transpose(1, 2)
    factor = activity.reinstatement
    weights = [block.detach() for block in activity.addressed]
    d_weight = torch.zeros_like(weight)
    d_gates = torch.empty_like(activity.at[0].gates)
    d_sigmoids = d_gates[:, : 4 * units]
    d_i, d_f, d_o, d_r, d_g = d_gates.split(units, dim=1)
    d_cell = torch.zeros_like(activity.cell[0])
    d_hidden = torch.zeros_like(d_cell)
    scratch = torch.empty_like(d_cell)
    steps = reversed(range(len(grad_hidden)))
    for step, row in zip(steps, _readers_of(weights, activity.room), strict=True):
        at = activity.at[step]
        d_hidden.add_(grad_hidden[step])
        torch.mul(d_hidden, at.o, out=scratch)
        tanh_backward(scratch, at.cell_tanh, grad_input=scratch)
        d_cell.add_(scratch)
        # What reached the steps at which it came back.
        d_read = activity.d_found[:, :, step + 1 : step + 1 + row.shape[1]]
        came_back = torch.bmm(row.unsqueeze(1), d_read.flatten(0, 1))
        d_cell.add_(came_back.view(len(d_cell), -1, units).mT)
        torch.mul(d_cell, at.g, out=d_i)
        torch.mul(d_cell, at.cell_before, out=d_f)
        torch.mul(d_hidden, at.cell_tanh, out=d_o)
        torch.mul(d_cell, at.recalled, out=d_r)
        torch.mul(d_cell, at.r, out=scratch)
        tanh_backward(scratch, at.recalled, grad_input=scratch)
        if factor != 1:
            d_r.mul_(factor)
            scratch.mul_(factor)
        at.d_found.copy_(scratch)
        sigmoid_backward(d_sigmoids, at.sigmoids, grad_input=d_sigmoids)
        torch.mul(d_cell, at.i, out=d_g)
        tanh_backward(d_g, at.g, grad_input=d_g)
        d_cell.mul_(at.f)
        d_weight.baddbmm_(d_gates, at.seen.transpose(1, 2))
        torch.bmm(from_gates, d_gates, out=d_hidden)
    recurrent, inputs, bias, _ = d_weight.split(activity.rows, dim=2)
    d_initial = d_hidden.sum(2, keepdim=True), d_cell.sum(2, keepdim=True)
    return (inputs, recurrent, bias), d_initial
