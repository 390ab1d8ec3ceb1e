"""The LSTM of ELMo: memory clipped, output projected and clipped again."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from elmo_cli.bilm.scan import scan


class State(NamedTuple):
    """What an LSTM carries from one token to the next.

    Args:
        output: float (B, P), the last output.
        memory: float32 (B, D), the cell's memory.
    """

    output: Any
    memory: Any


class Weights(NamedTuple):
    """A cell's weights in the precision of its products, cast once for a whole sequence.

    Args:
        kernel: (I + P, 4D).
        bias: (4D,).
        projection_kernel: (D, P).
    """

    kernel: Any
    bias: Any
    projection_kernel: Any


@keras.saving.register_keras_serializable("elmo_cli")
class ProjectedLSTMCell(keras.layers.Layer):
    """One step of an LSTM with cell clip, projection and projection clip.

    The gates stand in the order input, candidate, forget, output, and 1 is added to the forget
    gate's bias, as in `tf.compat.v1.nn.rnn_cell.LSTMCell`, with which published ELMos were trained.

    Args:
        dim: Width D of the memory.
        projection_dim: Width P of the output.
        cell_clip: Bound on the memory's absolute values, or None.
        projection_clip: Bound on the output's absolute values, or None.
        kernel_initializer: Of the kernels; ``"zeros"`` saves time where weights are read at once.

    Call arguments:
        inputs: float (B, I).
        state: State of the step before.

    Returns:
        State after this step; its `output` is the step's output.

    Reference: Sak et al. 2014, arXiv 1402.1128.
    """

    def __init__(
        self,
        dim: int,
        projection_dim: int,
        cell_clip: float | None = 3.0,
        projection_clip: float | None = 3.0,
        kernel_initializer: str = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        # The memory stays in float32 whatever the policy, so casts are made by hand.
        super().__init__(autocast=False, **kwargs)
        self.dim = dim
        self.projection_dim = projection_dim
        self.cell_clip = cell_clip
        self.projection_clip = projection_clip
        self.kernel_initializer = kernel_initializer

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights for inputs of width ``input_shape[-1]``; see `Weights`."""
        self.kernel = self.add_weight(
            shape=(int(input_shape[-1] or 0) + self.projection_dim, 4 * self.dim),
            initializer=self.kernel_initializer,
            name="kernel",
        )
        # A bias costs nothing in full precision.
        self.bias = self.add_weight(shape=(4 * self.dim,), initializer="zeros", dtype="float32", name="bias")
        self.projection_kernel = self.add_weight(
            shape=(self.dim, self.projection_dim),
            initializer=self.kernel_initializer,
            name="projection_kernel",
        )

    def initial_state(self, batch_size: Any) -> State:
        """Returns the state before the first token: zeros."""
        return State(
            ops.zeros((batch_size, self.projection_dim), dtype=self.compute_dtype),
            ops.zeros((batch_size, self.dim), dtype="float32"),
        )

    def cast_weights(self) -> Weights:
        """Returns the weights in the compute dtype."""
        return Weights(
            *(
                ops.cast(weight, self.compute_dtype)
                for weight in (self.kernel, self.bias, self.projection_kernel)
            )
        )

    def call(self, inputs: Any, state: State) -> State:
        """Takes one step; see the class."""
        return self.step(ops.cast(inputs, self.compute_dtype), state, self.cast_weights())

    def step(self, inputs: Any, state: State, weights: Weights) -> State:
        """Does what `call` does with weights and inputs that are cast already."""
        memory, hidden = self.activate(self.gates(inputs, state.output, weights), state.memory)
        return State(self.project(hidden, weights.projection_kernel), memory)

    def gates(self, inputs: Any, output: Any, weights: Weights) -> Any:
        """Returns all four gates before their activations, in one product: (B, I + P) x (I + P, 4D)."""
        return ops.matmul(ops.concatenate([inputs, output], axis=-1), weights.kernel) + weights.bias

    def activate(self, gates: Any, memory: Any) -> tuple[Any, Any]:
        """Returns the memory after the step, float32 (B, D), and what is to be projected, (B, D)."""
        memory, hidden = activate(ops.cast(gates, "float32"), memory, self.cell_clip)
        return memory, ops.cast(hidden, self.compute_dtype)

    def project(self, hidden: Any, projection_kernel: Any) -> Any:
        """Returns the output, (B, P), of what `activate` gave to be projected."""
        output = ops.matmul(hidden, projection_kernel)
        if self.projection_clip is not None:
            output = ops.clip(output, -self.projection_clip, self.projection_clip)
        return output

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        return {
            **super().get_config(),
            "dim": self.dim,
            "projection_dim": self.projection_dim,
            "cell_clip": self.cell_clip,
            "projection_clip": self.projection_clip,
            "kernel_initializer": self.kernel_initializer,
        }


def activate(gates: Any, memory: Any, cell_clip: float | None) -> tuple[Any, Any]:
    """Computes what an LSTM's gates do to its memory; all float32.

    Args:
        gates: (B, 4D), input, candidate, forget and output gate before their activations.
        memory: (B, D), before the step.
        cell_clip: Bound on the memory's absolute values after the step, or None.

    Returns:
        The memory after the step, and what is to be projected, both (B, D).
    """
    i, j, f, o = ops.split(gates, 4, axis=-1)
    memory = ops.sigmoid(f + 1.0) * memory + ops.sigmoid(i) * ops.tanh(j)
    if cell_clip is not None:
        memory = ops.clip(memory, -cell_clip, cell_clip)
    return memory, ops.sigmoid(o) * ops.tanh(memory)


def scan_side_by_side(
    cells: Sequence[ProjectedLSTMCell],
    inputs: Sequence[Any],
    states: Sequence[State],
    *,
    training: bool = False,
    with_memory: bool = True,
) -> list[State]:
    """Runs independent LSTMs over sequences of one length, in one loop.

    In one loop the two directions of a biLM keep both processor cores busy.

    Args:
        cells: One built cell per sequence.
        inputs: float (T, B, I) per cell, time first.
        states: The state of each cell before the first step.
        training: Whether a gradient will be taken. Under TensorFlow it is then computed as
            `lstm_gradient` describes; without, automatic differentiation gives the same.
        with_memory: Whether the memory is asked for.

    Returns:
        Per cell its states after every step: output (T, B, P), memory (T, B, D) or None.
    """
    weights = [cell.cast_weights() for cell in cells]
    inputs = [ops.cast(x, cell.compute_dtype) for cell, x in zip(cells, inputs, strict=True)]
    if training and keras.backend.backend() == "tensorflow":
        from elmo_cli.bilm.lstm_gradient import scan_for_training

        return scan_for_training(cells, inputs, states, weights, with_memory=with_memory)

    def step(carried: Sequence[State], at: Sequence[Any]) -> tuple[list[State], list[State]]:
        after = [
            cell.step(x, state, cast)
            for cell, x, state, cast in zip(cells, at, carried, weights, strict=True)
        ]
        return after, after if with_memory else [state.output for state in after]

    like = list(states) if with_memory else [state.output for state in states]
    sequences = scan(step, list(states), inputs, like=like)[1]
    return sequences if with_memory else [State(outputs, None) for outputs in sequences]
