"""The language model of `elmo-pretrain` in PyTorch.

Gradients are written by hand, so that a step is one CUDA graph.

Both directions read in lanes: sentences stand one behind the other, the state begins anew where a sentence
begins, and a lane is read in pieces of T positions with the state carried from one to the next. Nothing is
padding. The backward direction reads its sentences from right to left, in lanes of its own.

Parameters are float32, products in the dtype of `Network`, memory float32. Axes: 2 directions, T positions,
B lanes, P outputs, D memory.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .network_shape import EMBEDDING_DIM, FILTERS

CLIP = 3.0
WIDEST = max(width for width, _ in FILTERS)
NUM_FILTERS = sum(number for _, number in FILTERS)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Fuses element-wise operations on a GPU; elsewhere leaves them as they are."""
    if not torch.cuda.is_available():
        return function
    return torch.compile(function, dynamic=False)


class Batch(NamedTuple):
    """What a step reads.

    Args:
        inputs: int64 (2, T, B), types.
        targets: int64 (2, T, B), words of the vocabulary.
        goes_on: float32 (2, T, B), 0 where a sentence begins, else 1.
    """

    inputs: Tensor
    targets: Tensor
    goes_on: Tensor


class State(NamedTuple):
    """What is carried from one piece of a lane to the next, per LSTM layer.

    Args:
        outputs: (L, 2, B, P).
        memories: float32 (L, 2, B, D).
    """

    outputs: Tensor
    memories: Tensor


def new_parameters(dim: int, width: int, vocabulary_size: int, seed: int, device: str) -> dict[str, Tensor]:
    """Returns random parameters of 2 layers of LSTM `dim` projected to `width`."""
    generator = torch.Generator().manual_seed(seed)

    def glorot(*shape: int, fan_in: int, fan_out: int) -> Tensor:
        limit = (6.0 / (fan_in + fan_out)) ** 0.5
        return (torch.rand(*shape, generator=generator) * 2.0 - 1.0) * limit

    parameters = {"char_embed": torch.rand(261, EMBEDDING_DIM, generator=generator) * 2.0 - 1.0}
    for i, (filter_width, number) in enumerate(FILTERS):
        fan_in, fan_out = filter_width * EMBEDDING_DIM, filter_width * number
        parameters[f"W_cnn_{i}"] = glorot(filter_width, EMBEDDING_DIM, number, fan_in=fan_in, fan_out=fan_out)
        parameters[f"b_cnn_{i}"] = torch.zeros(number)
    square = {"fan_in": NUM_FILTERS, "fan_out": NUM_FILTERS}
    parameters |= {
        "W_transform": glorot(NUM_FILTERS, NUM_FILTERS, **square),
        "b_transform": torch.zeros(NUM_FILTERS),
        "W_carry": glorot(NUM_FILTERS, NUM_FILTERS, **square),
        "b_carry": torch.full((NUM_FILTERS,), -2.0),
        "W_proj": glorot(NUM_FILTERS, width, fan_in=NUM_FILTERS, fan_out=width),
        "b_proj": torch.zeros(width),
    }
    for layer in range(2):
        parameters |= {
            f"W_{layer}": glorot(2, 2 * width, 4 * dim, fan_in=2 * width, fan_out=4 * dim),
            f"B_{layer}": torch.zeros(2, 4 * dim),
            f"W_P_{layer}": glorot(2, dim, width, fan_in=dim, fan_out=width),
        }
    parameters["softmax_kernel"] = torch.randn(vocabulary_size, width, generator=generator) * width**-0.5
    parameters["softmax_bias"] = torch.zeros(vocabulary_size)
    return {name: value.to(device).requires_grad_() for name, value in parameters.items()}


def zero_state(num_lanes: int, dim: int, width: int, dtype: torch.dtype, device: str) -> State:
    """Returns the state before the first piece."""
    return State(
        torch.zeros(2, 2, num_lanes, width, dtype=dtype, device=device),
        torch.zeros(2, 2, num_lanes, dim, device=device),
    )


class Network:
    """Losses of both directions.

    Args:
        characters: integers (types, W), how each type is spelled.
        max_types: Most distinct types of a batch; `most_seen` tells how many there were.
        dtype: Of the products.
        dropout: Share of what each LSTM layer and the softmax read that is dropped in training.
        rows: Positions that are scored at once.
    """

    def __init__(
        self, characters: Tensor, *, max_types: int, dtype: torch.dtype, dropout: float, rows: int
    ) -> None:
        self.characters = characters
        self.max_types = max_types
        self.dtype = dtype
        self.dropout = dropout
        self.rows = rows
        self.most_seen = torch.zeros((), dtype=torch.int64, device=characters.device)
        # Windows that begin here would reach beyond the word.
        width = characters.shape[1]
        outside = [
            (torch.arange(width) > width - filter_width)[:, None].expand(width, number)
            for filter_width, number in FILTERS
        ]
        self.outside = (torch.cat(outside, dim=1) * -1e4).to(characters.device, dtype)

    def losses(
        self, parameters: dict[str, Tensor], batch: Batch, state: State, *, training: bool
    ) -> tuple[Tensor, State]:
        """Returns the mean losses of both directions in nats, (2,), and the state after the piece."""
        cast = {name: value.to(self.dtype) for name, value in parameters.items()}
        distinct, index = self._distinct(batch.inputs)
        below = _Rows.apply(self._token_vectors(cast, distinct), index)
        outputs, memories = [], []
        for layer in range(2):
            read = self._drop(below) if training else below
            above, memory = _LSTM.apply(
                read,
                batch.goes_on[..., None],
                state.outputs[layer],
                state.memories[layer],
                cast[f"W_{layer}"],
                parameters[f"B_{layer}"],
                cast[f"W_P_{layer}"],
            )
            outputs.append(above[:, -1].detach())
            memories.append(memory)
            below = above + below if layer else above
        top = self._drop(below) if training else below
        losses = _SoftmaxLoss.apply(
            top.flatten(0, 2),
            batch.targets.flatten(),
            cast["softmax_kernel"],
            parameters["softmax_bias"],
            self.rows,
        )
        return losses.reshape(2, -1).mean(dim=1), State(torch.stack(outputs), torch.stack(memories))

    def _drop(self, values: Tensor) -> Tensor:
        return torch.nn.functional.dropout(values, self.dropout) if self.dropout else values

    def _distinct(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the distinct types, (max_types,), and for each position which of them it is."""
        flat = inputs.flatten()
        seen = torch.zeros(len(self.characters), dtype=torch.int32, device=flat.device).scatter_(0, flat, 1)
        number = seen.cumsum(0) - 1
        torch.maximum(self.most_seen, number[-1] + 1, out=self.most_seen)
        index = number[flat].clamp(max=self.max_types - 1)
        distinct = torch.zeros(self.max_types, dtype=torch.int64, device=flat.device).scatter_(0, index, flat)
        return distinct, index.view_as(inputs)

    def _token_vectors(self, cast: dict[str, Tensor], distinct: Tensor) -> Tensor:
        """Returns context-free vectors, (max_types, P)."""
        kernel = torch.cat(
            [
                torch.nn.functional.pad(cast[f"W_cnn_{i}"], (0, 0, 0, 0, 0, WIDEST - filter_width))
                for i, (filter_width, _) in enumerate(FILTERS)
            ],
            dim=2,
        ).flatten(0, 1)
        bias = torch.cat([cast[f"b_cnn_{i}"] for i in range(len(FILTERS))])
        best = _Convolutions.apply(self.characters[distinct].long(), cast["char_embed"], kernel, self.outside)
        vectors = torch.relu(best + bias)
        transformed = torch.relu(vectors @ cast["W_transform"] + cast["b_transform"])
        gate = torch.sigmoid(vectors @ cast["W_carry"] + cast["b_carry"])
        vectors = gate * transformed + (1.0 - gate) * vectors
        return vectors @ cast["W_proj"] + cast["b_proj"]


class _Rows(torch.autograd.Function):
    """Rows of a table, whose gradient is summed in float32."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.like = table
        return table[index]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        total = torch.zeros(ctx.like.shape, device=gradient.device)
        total.index_add_(0, index.flatten(), gradient.float().flatten(0, -2))
        return total.to(ctx.like.dtype), None


class _Convolutions(torch.autograd.Function):
    """Characters (U, W) → the best window of each filter, (U, F); one product for all widths."""

    @staticmethod
    def forward(ctx: Any, characters: Tensor, embedding: Tensor, kernel: Tensor, outside: Tensor) -> Tensor:
        windows = _windows(embedding[characters])
        scores = (windows @ kernel).view(*characters.shape, -1)
        best, where = (scores + outside).max(dim=1)
        ctx.save_for_backward(characters, embedding, kernel, where)
        return best

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, Tensor, None]:
        characters, embedding, kernel, where = ctx.saved_tensors
        num_words, width = characters.shape
        scores = torch.zeros(num_words, width, kernel.shape[1], dtype=kernel.dtype, device=kernel.device)
        scores.scatter_(1, where[:, None], gradient[:, None])
        scores = scores.flatten(0, 1)
        by_kernel = _windows(embedding[characters]).T @ scores
        by_windows = (scores @ kernel.T).view(num_words, width, WIDEST, EMBEDDING_DIM)
        by_place = torch.zeros(
            num_words, width + WIDEST - 1, EMBEDDING_DIM, dtype=kernel.dtype, device=kernel.device
        )
        for offset in range(WIDEST):
            by_place[:, offset : offset + width] += by_windows[:, :, offset]
        one_hot = torch.zeros(num_words * width, len(embedding), dtype=kernel.dtype, device=kernel.device)
        one_hot.scatter_(1, characters.reshape(-1, 1), 1.0)
        by_embedding = one_hot.T @ by_place[:, :width].reshape(-1, EMBEDDING_DIM)
        return None, by_embedding, by_kernel, None


def _windows(embedded: Tensor) -> Tensor:
    """Returns what each window sees: (U, W, E) → (U * W, WIDEST * E), zeros beyond the word."""
    padded = torch.nn.functional.pad(embedded, (0, 0, 0, WIDEST - 1))
    return padded.unfold(1, WIDEST, 1).transpose(2, 3).reshape(-1, WIDEST * EMBEDDING_DIM)


def _activate(gates: Tensor, memory: Tensor, goes_on: Tensor, hidden: Tensor) -> Tensor:
    """Writes what is to be projected into `hidden`; returns the memory after the step."""
    i, j, f, o = gates.float().chunk(4, dim=-1)
    memory = torch.sigmoid(f + 1.0) * memory * goes_on + torch.sigmoid(i) * torch.tanh(j)
    memory = memory.clamp(-CLIP, CLIP)
    hidden.copy_(torch.sigmoid(o) * torch.tanh(memory))
    return memory


def _finish(projected: Tensor, goes_on_after: Tensor, output: Tensor) -> Tensor:
    """Writes the output of a step; returns what the next one is given: nothing where a sentence begins."""
    clipped = projected.clamp(-CLIP, CLIP)
    output.copy_(clipped)
    return clipped * goes_on_after.to(clipped.dtype)


def _finish_backward(
    by_output: Tensor, by_given: Tensor, goes_on_after: Tensor, output: Tensor, by_projected: Tensor
) -> None:
    total = by_output.float() + by_given.float() * goes_on_after
    by_projected.copy_(torch.where(output.abs() < CLIP, total, 0.0))


def _activate_backward(
    gates: Tensor,
    before: Tensor,
    goes_on: Tensor,
    after: Tensor,
    by_hidden: Tensor,
    by_after: Tensor,
    by_gates: Tensor,
) -> Tensor:
    """Writes the gradient by the gates; returns that by the memory before the step."""
    i, j, f, o = gates.float().chunk(4, dim=-1)
    i, j, f, o = torch.sigmoid(i), torch.tanh(j), torch.sigmoid(f + 1.0), torch.sigmoid(o)
    bent = torch.tanh(after)
    by_hidden = by_hidden.float()
    by_memory = by_after + by_hidden * o * (1.0 - bent * bent)
    by_memory = torch.where(after.abs() < CLIP, by_memory, 0.0)
    by_gates.copy_(
        torch.cat(
            [
                by_memory * j * i * (1.0 - i),
                by_memory * i * (1.0 - j * j),
                by_memory * before * goes_on * f * (1.0 - f),
                by_hidden * bent * o * (1.0 - o),
            ],
            dim=-1,
        )
    )
    return by_memory * f * goes_on


_activate, _finish, _finish_backward, _activate_backward = map(
    compiled, (_activate, _finish, _finish_backward, _activate_backward)
)


class _LSTM(torch.autograd.Function):
    """One layer in both directions; see `bilm/projected_lstm.py` for the cell."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        goes_on: Tensor,
        output: Tensor,
        memory: Tensor,
        kernel: Tensor,
        bias: Tensor,
        projection: Tensor,
    ) -> tuple[Tensor, Tensor]:
        _, num_steps, num_lanes, width = inputs.shape
        dim = projection.shape[1]
        recurrent = kernel[:, width:]
        gates = torch.baddbmm(bias.to(kernel.dtype)[:, None], inputs.flatten(1, 2), kernel[:, :width])
        gates = gates.view(2, num_steps, num_lanes, 4 * dim)
        outputs, given = torch.empty_like(inputs), torch.empty_like(inputs)
        hiddens = inputs.new_empty(2, num_steps, num_lanes, dim)
        memories = [memory]
        given_now = output * goes_on[:, 0].to(output.dtype)
        for t in range(num_steps):
            given[:, t] = given_now
            gates[:, t].baddbmm_(given_now, recurrent)
            memory = _activate(gates[:, t], memory, goes_on[:, t], hiddens[:, t])
            memories.append(memory)
            projected = torch.bmm(hiddens[:, t], projection)
            given_now = _finish(projected, goes_on[:, min(t + 1, num_steps - 1)], outputs[:, t])
        ctx.save_for_backward(inputs, goes_on, kernel, projection, gates, outputs, given, hiddens, *memories)
        memory = memory.clone()
        ctx.mark_non_differentiable(memory)
        return outputs, memory

    @staticmethod
    def backward(ctx: Any, by_outputs: Tensor, _: Tensor) -> tuple[Any, ...]:
        inputs, goes_on, kernel, projection, gates, outputs, given, hiddens, *memories = ctx.saved_tensors
        num_steps, width = inputs.shape[1], inputs.shape[3]
        recurrent_t = kernel[:, width:].transpose(1, 2).contiguous()
        projection_t = projection.transpose(1, 2).contiguous()
        by_projected, by_gates = torch.empty_like(outputs), torch.empty_like(gates)
        by_given, by_memory = torch.zeros_like(outputs[:, 0]), torch.zeros_like(memories[0])
        for t in reversed(range(num_steps)):
            goes_on_after = goes_on[:, min(t + 1, num_steps - 1)]
            _finish_backward(by_outputs[:, t], by_given, goes_on_after, outputs[:, t], by_projected[:, t])
            by_hidden = torch.bmm(by_projected[:, t], projection_t)
            by_memory = _activate_backward(
                gates[:, t], memories[t], goes_on[:, t], memories[t + 1], by_hidden, by_memory, by_gates[:, t]
            )
            by_given = torch.bmm(by_gates[:, t], recurrent_t)
        flat = by_gates.flatten(1, 2)
        by_inputs = torch.bmm(flat, kernel[:, :width].transpose(1, 2)).view_as(inputs)
        read = torch.cat([inputs, given], dim=-1).flatten(1, 2)
        by_kernel = torch.bmm(read.transpose(1, 2), flat)
        by_projection = torch.bmm(hiddens.flatten(1, 2).transpose(1, 2), by_projected.flatten(1, 2))
        by_bias = flat.sum(dim=1, dtype=torch.float32)
        return by_inputs, None, None, None, by_kernel, by_bias, by_projection


def _log_sum(logits: Tensor, bias: Tensor) -> Tensor:
    return torch.logsumexp(logits.float() + bias, dim=-1)


def _softmax_gradient(logits: Tensor, bias: Tensor, log_sum: Tensor, scale: float) -> Tensor:
    return (torch.exp(logits.float() + bias - log_sum[:, None]) * scale).to(logits.dtype)


_log_sum, _softmax_gradient = map(compiled, (_log_sum, _softmax_gradient))


class _SoftmaxLoss(torch.autograd.Function):
    """Cross-entropy over the whole vocabulary, (N,), some rows at a time.

    The gradients are taken at once, while the scores are there, as those of the mean over each half.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, targets: Tensor, kernel: Tensor, bias: Tensor, rows: int) -> Tensor:
        scale = 2.0 / len(states)
        losses = torch.empty(len(states), device=states.device)
        by_states = torch.empty_like(states)
        by_kernel = torch.zeros(kernel.shape, device=kernel.device)
        by_bias = torch.zeros_like(bias)
        for part in range(0, len(states), rows):
            here = slice(part, part + rows)
            state, target = states[here], targets[here]
            logits = state @ kernel.T
            log_sum = _log_sum(logits, bias)
            true = logits.gather(1, target[:, None])[:, 0].float() + bias[target]
            losses[here] = log_sum - true
            gradient = _softmax_gradient(logits, bias, log_sum, scale)
            gradient.scatter_add_(1, target[:, None], torch.full_like(gradient[:, :1], -scale))
            by_states[here] = gradient @ kernel
            by_kernel += gradient.T @ state
            by_bias += gradient.sum(dim=0, dtype=torch.float32)
        ctx.save_for_backward(by_states, by_kernel, by_bias)
        ctx.dtype = kernel.dtype
        return losses

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        by_states, by_kernel, by_bias = ctx.saved_tensors
        # What comes in is the same for every row: a constant over the gradient of the mean.
        factor = gradient[0] * (len(gradient) / 2.0)
        return (
            by_states * factor.to(by_states.dtype),
            None,
            (by_kernel * factor).to(ctx.dtype),
            by_bias * factor,
            None,
        )
