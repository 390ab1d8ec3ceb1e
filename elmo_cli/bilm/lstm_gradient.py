"""Projected LSTMs for training under TensorFlow, with their gradient written out.

Automatic differentiation of a loop keeps every intermediate of every step and adds up each weight's
gradient step by step. Here a step keeps only what cannot be computed again cheaply, what lies between two
products is one compiled function, and weights get their gradients after the loop, from one large product
each. Results are the same. `benchmarks/lstm_gradient.py` measures what it brings.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from elmo_cli.bilm.projected_lstm import ProjectedLSTMCell, State, Weights, activate
from elmo_cli.bilm.scan import ArrayOf, scan


class _Run(NamedTuple):
    """All that a cell's states over one sequence depend on, or the gradients with respect to it.

    Args:
        inputs: (T, B, I).
        state: The state before the first step.
        weights: The cell's, in its compute dtype.
    """

    inputs: tf.Tensor
    state: State
    weights: Weights


class _Kind(NamedTuple):
    """What a graph depends on besides shapes and dtypes.

    Args:
        cell_clip: See `ProjectedLSTMCell`.
        projection_clip: Likewise.
        with_memory: See `scan_for_training`.
    """

    cell_clip: float | None
    projection_clip: float | None
    with_memory: bool


class _Kept(NamedTuple):
    """What the forward loop keeps of its steps.

    Args:
        gates: The flow of an array of T times (B, 4D), before their bias and their activations. The backward
            loop reads it as it is: to stack and to divide so many numbers would copy them twice.
        memory: The flow of one of T times float32 (B, D), before the step.
        projected: (T, B, P), the outputs before their clip.
    """

    gates: tf.Tensor
    memory: tf.Tensor
    projected: tf.Tensor


class _StepGradient(NamedTuple):
    """What the backward loop gives to the large products after it.

    Args:
        gates: (T, B, 4D), the gradient with respect to `_Kept.gates`.
        hidden: (T, B, D), what was projected.
        projected: (T, B, P), the gradient with respect to `_Kept.projected`.
    """

    gates: tf.Tensor
    hidden: tf.Tensor
    projected: tf.Tensor


def scan_for_training(
    cells: Sequence[ProjectedLSTMCell],
    inputs: Sequence[tf.Tensor],
    states: Sequence[State],
    weights: Sequence[Weights],
    *,
    with_memory: bool = True,
) -> list[State]:
    """Does what `projected_lstm.scan_side_by_side` does, for a gradient to be taken.

    Each cell has loops of its own: TensorFlow runs independent loops at once, and none waits for another.

    Args:
        cells: One built cell per sequence.
        inputs: (T, B, I) per cell, in its compute dtype.
        states: The state of each cell before the first step.
        weights: Of each cell, in its compute dtype.
        with_memory: Whether the memory is asked for; if not, no gradient of it is carried about.

    Returns:
        Per cell its states after every step: output (T, B, P), memory float32 (T, B, D) or None. Gradients
        reach inputs, states and weights; a second derivative is not defined.
    """
    return [
        _scan_one(cell, _Run(*run), with_memory)
        for cell, *run in zip(cells, inputs, states, weights, strict=True)
    ]


def _scan_one(cell: ProjectedLSTMCell, run: _Run, with_memory: bool) -> State:
    kind = _Kind(cell.cell_clip, cell.projection_clip, with_memory)

    @tf.custom_gradient
    def states_of(*flat: tf.Tensor) -> Any:
        given = tf.nest.pack_sequence_as(run, flat)
        kept, after = _traced(_forward, kind, given)

        def gradient(*upstream: tf.Tensor) -> Any:
            return tf.nest.flatten(_traced(_backward, kind, given, kept, after[0], upstream))

        return after, gradient

    output, *memory = states_of(*tf.nest.flatten(run))
    return State(output, memory[0] if with_memory else None)


def _traced(function: Callable[..., Any], kind: _Kind, *args: Any) -> Any:
    """Calls a function of a kind and tensors as part of a graph that all cells of one shape share.

    To build the graph of a loop takes some tenths of a second; for each cell of each graph anew, seconds.
    """
    # What has three axes is a sequence, whose number of steps is left open. Tuples can be keys of a cache.
    signature = tf.nest.map_structure(
        lambda x: tf.TensorSpec([None, *x.shape[1:]] if x.shape.rank == 3 else x.shape, x.dtype), args
    )
    return _graph(function, kind, signature)(*args)


@functools.cache
def _graph(function: Callable[..., Any], kind: _Kind, signature: tuple[Any, ...]) -> Callable[..., Any]:
    return tf.function(functools.partial(function, kind), input_signature=signature, autograph=False)


def _forward(kind: _Kind, run: _Run) -> tuple[_Kept, tuple[tf.Tensor, ...]]:
    """Returns what `_backward` needs, and after every step the output and, if asked for, the memory."""
    gates_and_memory = _compiled_activate(kind.cell_clip)

    def step(carried: State, inputs: tf.Tensor) -> tuple[State, Any]:
        gates = tf.matmul(tf.concat([inputs, carried.output], axis=-1), run.weights.kernel)
        memory, hidden = gates_and_memory(gates, run.weights.bias, carried.memory)
        projected = tf.matmul(hidden, run.weights.projection_kernel)
        after = State(_clip(projected, kind.projection_clip), memory)
        asked_for = (memory,) if kind.with_memory else ()
        return after, (_Kept(gates, carried.memory, projected), asked_for)

    gates, memory = _arrays_like(run)
    asked_for = (run.state.memory,) if kind.with_memory else ()
    like = (_Kept(gates, memory, run.state.output), asked_for)
    kept, asked_for = scan(step, run.state, run.inputs, like=like)[1]
    output = _clip(kept.projected, kind.projection_clip)
    return kept._replace(gates=kept.gates.flow, memory=kept.memory.flow), (output, *asked_for)


def _backward(
    kind: _Kind, run: _Run, kept: _Kept, output: tf.Tensor, upstream: tuple[tf.Tensor, ...]
) -> _Run:
    """Returns the gradients with respect to `run`, given those with respect to what `_forward` gave."""
    before = tf.concat([run.state.output[None], output[:-1]], axis=0)
    like_gates, like_memory = _arrays_like(run)
    num_inputs = run.inputs.shape[-1]
    to_inputs, to_output, to_hidden = (
        _times_transposed(kernel)
        for kernel in (
            run.weights.kernel[:num_inputs],
            run.weights.kernel[num_inputs:],
            run.weights.projection_kernel,
        )
    )
    gates_gradient = _compiled_gates_gradient(kind.cell_clip)
    # 1 where the projection's clip let the gradient through, else 0.
    inside = _through_clip(tf.ones_like(kept.projected), kept.projected, kind.projection_clip)

    def step(later: State, at: Any) -> tuple[State, _StepGradient]:
        gates, memory, inside, (d_output, *d_memory) = at
        gates.set_shape(like_gates.shape)  # an array does not know it from its flow
        memory.set_shape(like_memory.shape)
        d_projected = inside * (later.output + d_output)
        d_hidden = to_hidden(d_projected)
        d_memory = sum(d_memory, start=later.memory)
        d_gates, d_memory, hidden = gates_gradient(gates, run.weights.bias, memory, d_hidden, d_memory)
        return State(to_output(d_gates), d_memory), _StepGradient(d_gates, hidden, d_projected)

    like = _StepGradient(
        tf.TensorSpec(like_gates.shape, run.inputs.dtype),
        tf.TensorSpec(like_memory.shape, run.inputs.dtype),
        run.state.output,
    )
    gates = tf.TensorArray(like_gates.dtype, flow=kept.gates)
    memory = tf.TensorArray(like_memory.dtype, flow=kept.memory)
    d_state, steps = scan(
        step,
        State(*map(tf.zeros_like, run.state)),
        (gates, memory, inside, upstream),
        like=like,
        reverse=True,
    )
    d_weights = Weights(
        _product(tf.concat([run.inputs, before], axis=-1), steps.gates),
        # The sum over all rows, as a product: no copy in float32 is made.
        _product(tf.ones_like(run.inputs[..., :1]), steps.gates)[0],
        _product(steps.hidden, steps.projected),
    )
    # One product of all rows: with an axis of time it would be one for each step, several times as slow.
    d_inputs = tf.reshape(to_inputs(_rows(steps.gates)), tf.shape(run.inputs))
    return _Run(d_inputs, d_state, d_weights)


def _gates_gradient(
    gates: tf.Tensor,
    bias: tf.Tensor,
    memory: tf.Tensor,
    d_hidden: tf.Tensor,
    d_memory: tf.Tensor,
    *,
    cell_clip: float | None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The gradient of `projected_lstm.activate`.

    Args:
        gates: (B, 4D), before their bias and their activations.
        bias: (4D,).
        memory: float32 (B, D), before the step.
        d_hidden: (B, D), gradient with respect to what is projected.
        d_memory: float32 (B, D), gradient with respect to the memory after the step, from what used it
            besides.
        cell_clip: Bound on that memory, or None.

    Returns:
        The gradients with respect to `gates` and `memory`, and what is projected (B, D).
    """
    dtype = gates.dtype
    i, j, f, o = tf.split(tf.cast(_add_bias(gates, bias), tf.float32), 4, axis=-1)
    i, j, f, o = tf.sigmoid(i), tf.tanh(j), tf.sigmoid(f + 1.0), tf.sigmoid(o)
    unclipped = f * memory + i * j
    squashed = tf.tanh(_clip(unclipped, cell_clip))
    d_hidden = tf.cast(d_hidden, tf.float32)
    d_after = _through_clip(d_memory + d_hidden * o * (1.0 - squashed * squashed), unclipped, cell_clip)
    d_gates = tf.concat(
        [
            d_after * j * i * (1.0 - i),
            d_after * i * (1.0 - j * j),
            d_after * memory * f * (1.0 - f),
            d_hidden * squashed * o * (1.0 - o),
        ],
        axis=-1,
    )
    return tf.cast(d_gates, dtype), d_after * f, tf.cast(o * squashed, dtype)


# What lies between two products is compiled into one pass over memory. That is done anew for every number of
# rows and takes half a second, so cells share it, and small batches go without: those below _MANY_ROWS, or
# below _SOME_ROWS where all batches have one number of rows, which is known while the graph is built.
_MANY_ROWS = 64
_SOME_ROWS = 16


@functools.cache
def _compiled_activate(cell_clip: float | None) -> Callable[..., Any]:
    def function(gates: tf.Tensor, bias: tf.Tensor, memory: tf.Tensor) -> Any:
        memory, hidden = activate(_add_bias(gates, bias), memory, cell_clip)
        return memory, tf.cast(hidden, gates.dtype)

    return _compiled_for_many_rows(function)


@functools.cache
def _compiled_gates_gradient(cell_clip: float | None) -> Callable[..., Any]:
    return _compiled_for_many_rows(functools.partial(_gates_gradient, cell_clip=cell_clip))


def _compiled_for_many_rows(function: Callable[..., Any]) -> Callable[..., Any]:
    compiled = tf.function(function, jit_compile=True, autograph=False)

    def choose(*args: tf.Tensor) -> Any:
        rows = args[0].shape[0]
        if rows is not None:
            return compiled(*args) if rows >= _SOME_ROWS else function(*args)
        many = tf.shape(args[0])[0] >= _MANY_ROWS
        return tf.cond(many, lambda: compiled(*args), lambda: function(*args))

    return choose


def _add_bias(gates: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    return tf.cast(gates, tf.float32) + tf.cast(bias, tf.float32)


def _clip(value: tf.Tensor, bound: float | None) -> tf.Tensor:
    return value if bound is None else tf.clip_by_value(value, -bound, bound)


def _through_clip(gradient: tf.Tensor, unclipped: tf.Tensor, bound: float | None) -> tf.Tensor:
    """Stops the gradient where the clip took hold, as `tf.clip_by_value` does."""
    return (
        gradient if bound is None else tf.where(tf.abs(unclipped) <= bound, gradient, tf.zeros_like(gradient))
    )


def _times_transposed(kernel: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function from x, (..., N), to ``x kernel^T``, (..., M), for a kernel (M, N) that stays.

    In float32 the product with a kernel that lies transposed in memory is 2 to 3 times as fast; in bfloat16
    the other way round.
    """
    if kernel.dtype == tf.bfloat16:
        return lambda x: tf.matmul(x, kernel, transpose_b=True)
    transposed = tf.transpose(kernel)
    return lambda x: tf.matmul(x, transposed)


def _product(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Sums ``left[t, b]^T right[t, b]`` over all steps and sequences: (M, N)."""
    return tf.matmul(_rows(left), _rows(right), transpose_a=True)


def _rows(sequences: tf.Tensor) -> tf.Tensor:
    """Lays all steps of all sequences one below the other: (T, B, N) -> (T * B, N)."""
    return tf.reshape(sequences, (-1, sequences.shape[-1]))


def _arrays_like(run: _Run) -> tuple[ArrayOf, ArrayOf]:
    """Returns what the arrays of gates and of memory in `_Kept` are like."""
    rows, dim = run.state.memory.shape
    return ArrayOf((rows, 4 * dim), run.inputs.dtype), ArrayOf((rows, dim), tf.float32)
