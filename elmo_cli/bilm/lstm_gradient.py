"""Projected LSTMs for training under TensorFlow, with their gradient written out.

Automatic differentiation of a loop keeps every intermediate of every step and adds up each weight's
gradient step by step. Here a step keeps only what cannot be computed again cheaply, and weights get
their gradients after the loop, from one large product each. Results are the same.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from elmo_cli.bilm.projected_lstm import ProjectedLSTMCell, State, Weights
from elmo_cli.bilm.scan import scan


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


class _Kept(NamedTuple):
    """What the forward loop keeps of its steps.

    Args:
        gates: (T, B, 4D), before their activations.
        memory: float32 (T, B, D), after its clip.
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
) -> list[State]:
    """Does what `projected_lstm.scan_side_by_side` does, for a gradient to be taken.

    Args:
        cells: One built cell per sequence.
        inputs: (T, B, I) per cell, in its compute dtype.
        states: The state of each cell before the first step.
        weights: Of each cell, in its compute dtype.

    Returns:
        Per cell its states after every step: output (T, B, P), memory float32 (T, B, D). Gradients
        reach inputs, states and weights; a second derivative is not defined.
    """
    runs = [_Run(*run) for run in zip(inputs, states, weights, strict=True)]

    @tf.custom_gradient
    def states_of(*flat: tf.Tensor) -> Any:
        given = tf.nest.pack_sequence_as(runs, flat)
        kept = _forward(cells, given)
        after = [
            State(_clip(one.projected, cell.projection_clip), one.memory)
            for cell, one in zip(cells, kept, strict=True)
        ]

        def gradient(*upstream: tf.Tensor) -> Any:
            return tf.nest.flatten(
                _backward(cells, given, kept, after, tf.nest.pack_sequence_as(after, upstream))
            )

        return tuple(tf.nest.flatten(after)), gradient

    flat = states_of(*tf.nest.flatten(runs))
    return [State(output, memory) for output, memory in zip(flat[::2], flat[1::2], strict=True)]


def _forward(cells: Sequence[ProjectedLSTMCell], runs: Sequence[_Run]) -> list[_Kept]:
    def step(carried: Sequence[State], at: Sequence[tf.Tensor]) -> tuple[list[State], list[_Kept]]:
        states, kept = [], []
        for cell, run, state, inputs in zip(cells, runs, carried, at, strict=True):
            gates = cell.gates(inputs, state.output, run.weights)
            memory, hidden = cell.activate(gates, state.memory)
            projected = tf.matmul(hidden, run.weights.projection_kernel)
            states.append(State(_clip(projected, cell.projection_clip), memory))
            kept.append(_Kept(gates, memory, projected))
        return states, kept

    like = [
        _Kept(_gates_like(cell, run), run.state.memory, run.state.output)
        for cell, run in zip(cells, runs, strict=True)
    ]
    return scan(step, [run.state for run in runs], [run.inputs for run in runs], like=like)[1]


def _backward(
    cells: Sequence[ProjectedLSTMCell],
    runs: Sequence[_Run],
    kept: Sequence[_Kept],
    after: Sequence[State],
    upstream: Sequence[State],
) -> list[_Run]:
    """Returns the gradients with respect to `runs`, given those with respect to `after`."""
    before = [
        State(
            *(
                tf.concat([first[None], later[:-1]], axis=0)
                for first, later in zip(run.state, states, strict=True)
            )
        )
        for run, states in zip(runs, after, strict=True)
    ]
    num_inputs = [run.inputs.shape[-1] for run in runs]
    recurrent = [run.weights.kernel[n:] for run, n in zip(runs, num_inputs, strict=True)]

    def step(carried: Sequence[State], at: Any) -> tuple[list[State], list[_StepGradient]]:
        carried_on, given = [], []
        for cell, run, kernel, later, (one, memory, direct) in zip(
            cells, runs, recurrent, carried, at, strict=True
        ):
            d_projected = _through_clip(later.output + direct.output, one.projected, cell.projection_clip)
            d_hidden = tf.matmul(d_projected, run.weights.projection_kernel, transpose_b=True)
            d_gates, d_memory, hidden = _gates_gradient(
                one.gates, memory, d_hidden, later.memory + direct.memory, cell.cell_clip
            )
            carried_on.append(State(tf.matmul(d_gates, kernel, transpose_b=True), d_memory))
            given.append(_StepGradient(d_gates, hidden, d_projected))
        return carried_on, given

    like = [
        _StepGradient(
            _gates_like(cell, run),
            tf.TensorSpec(run.state.memory.shape, run.inputs.dtype),
            run.state.output,
        )
        for cell, run in zip(cells, runs, strict=True)
    ]
    first, steps = scan(
        step,
        [State(*map(tf.zeros_like, run.state)) for run in runs],
        [(one, states.memory, direct) for one, states, direct in zip(kept, before, upstream, strict=True)],
        like=like,
        reverse=True,
    )
    gradients = []
    for run, n, states, d_state, d_steps in zip(runs, num_inputs, before, first, steps, strict=True):
        gradients.append(
            _Run(
                tf.matmul(d_steps.gates, run.weights.kernel[:n], transpose_b=True),
                d_state,
                Weights(
                    _product(tf.concat([run.inputs, states.output], axis=-1), d_steps.gates),
                    # The sum over all rows, as a product: no copy in float32 is made.
                    _product(tf.ones_like(run.inputs[..., :1]), d_steps.gates)[0],
                    _product(d_steps.hidden, d_steps.projected),
                ),
            )
        )
    return gradients


def _gates_gradient(
    gates: tf.Tensor, memory: tf.Tensor, d_hidden: tf.Tensor, d_after: tf.Tensor, cell_clip: float | None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The gradient of `ProjectedLSTMCell.activate`.

    Args:
        gates: (B, 4D), before their activations.
        memory: float32 (B, D), before the step.
        d_hidden: (B, D), gradient with respect to what is projected.
        d_after: float32 (B, D), gradient with respect to the memory after the step.
        cell_clip: Bound on that memory, or None.

    Returns:
        The gradients with respect to `gates` and `memory`, and what is projected (B, D).
    """
    dtype = gates.dtype
    i, j, f, o = tf.split(tf.cast(gates, tf.float32), 4, axis=-1)
    i, j, f, o = tf.sigmoid(i), tf.tanh(j), tf.sigmoid(f + 1.0), tf.sigmoid(o)
    unclipped = f * memory + i * j
    squashed = tf.tanh(_clip(unclipped, cell_clip))
    d_hidden = tf.cast(d_hidden, tf.float32)
    d_after = _through_clip(d_after + d_hidden * o * (1.0 - squashed * squashed), unclipped, cell_clip)
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


def _clip(value: tf.Tensor, bound: float | None) -> tf.Tensor:
    return value if bound is None else tf.clip_by_value(value, -bound, bound)


def _through_clip(gradient: tf.Tensor, unclipped: tf.Tensor, bound: float | None) -> tf.Tensor:
    """Stops the gradient where the clip took hold, as `tf.clip_by_value` does."""
    return (
        gradient if bound is None else tf.where(tf.abs(unclipped) <= bound, gradient, tf.zeros_like(gradient))
    )


def _product(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Sums ``left[t, b]^T right[t, b]`` over all steps and sequences: (M, N)."""
    return tf.matmul(
        tf.reshape(left, (-1, left.shape[-1])), tf.reshape(right, (-1, right.shape[-1])), transpose_a=True
    )


def _gates_like(cell: ProjectedLSTMCell, run: _Run) -> tf.TensorSpec:
    return tf.TensorSpec((run.state.memory.shape[0], 4 * cell.dim), run.inputs.dtype)
