"""The biLM: characters of sentences → a vector per token and layer."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from elmo_cli.bilm.character_cnn import CharacterCNN
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.bilm.projected_lstm import ProjectedLSTMCell, State, scan_side_by_side


class Directions(NamedTuple):
    """What the two stacks of LSTMs compute, time first, sentence marks included where they are read.

    Args:
        forward: float (T + 2, B, P) per layer, the token layer first.
        backward: The same, read from right to left, but stored at the token's own position.
        final_states: (forward, backward) State of each LSTM layer after each sentence's last
            position; only where an initial state was given.
    """

    forward: list[Any]
    backward: list[Any]
    final_states: list[tuple[State, State]]


@keras.saving.register_keras_serializable("elmo_cli")
class BiLM(keras.layers.Layer):
    """A character CNN and two stacks of projected LSTMs, one per reading direction.

    The state starts from zero for every sentence, and each sentence is reversed within its own
    length: a vector depends on its sentence alone.

    Args:
        options: The shape of the network.
        kernel_initializer: Of all kernels; ``"zeros"`` saves time where weights are read at once.

    Call arguments:
        character_ids: int32 (M, W), the characters of the batch's distinct tokens.
        index: int32 (B, T + 2), rows of `character_ids` for each position, sentence marks included; or
            (B, T) where the options say that none are read.
        lengths: int32 (B,), tokens per sentence without the marks.
        training: Whether a gradient will be taken; it changes speed and memory, not results.

    Returns:
        float32 (B, L, T, 2P): forward and backward side by side, without the sentence marks; layer
        0 is the token vector twice. Positions beyond a sentence's end are zero.

    Reference: Peters et al. 2018, arXiv 1802.05365.
    """

    def __init__(
        self, options: BiLMOptions, kernel_initializer: str = "glorot_uniform", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.options = options
        self.kernel_initializer = kernel_initializer
        lstm = options.lstm
        self.character_cnn = CharacterCNN.from_options(
            options.char_cnn,
            lstm.projection_dim,
            kernel_initializer=kernel_initializer,
            name="character_cnn",
            dtype=self.dtype_policy,
        )
        self.forward_cells, self.backward_cells = (
            [
                ProjectedLSTMCell(
                    lstm.dim,
                    lstm.projection_dim,
                    lstm.cell_clip,
                    lstm.projection_clip,
                    kernel_initializer,
                    name=f"{direction}_{layer}",
                    dtype=self.dtype_policy,
                )
                for layer in range(lstm.num_layers)
            ]
            for direction in ("forward", "backward")
        )

    def build(self, *_: Any, **__: Any) -> None:
        """Makes all weights; no shape is needed, and a second call does nothing."""
        if self.character_cnn.built:
            return
        self.character_cnn.build((None, None))
        for cell in (*self.forward_cells, *self.backward_cells):
            cell.build((None, self.options.lstm.projection_dim))
        self.built = True

    def call(self, character_ids: Any, index: Any, lengths: Any, training: bool | None = None) -> Any:
        """Returns the layers of each token; see the class."""
        # A frozen network takes no gradient, also as part of a model in training.
        training = bool(training) and self.trainable
        tokens = self.character_cnn(character_ids, training=training)
        return self.layers_of(tokens, index, lengths, training=training)

    def layers_of(
        self,
        tokens: Any,
        index: Any,
        lengths: Any,
        *,
        training: bool = False,
        num_frozen: int = 0,
        drop: Callable[[Any], Any] | None = None,
    ) -> Any:
        """Does what `call` does, for tokens whose context-free vectors are there already.

        Args:
            tokens: (M, P), what the character CNN gives for the batch's distinct tokens.
            index: As in `call`.
            lengths: As in `call`.
            training: As in `call`.
            num_frozen: As in `read_tokens`.
            drop: As in `read`.
        """
        directions = self.read_tokens(
            tokens, index, lengths, training=training, num_frozen=num_frozen, drop=drop
        )
        # Per layer (T + 2, B, 2P) without the two marks, then (B, L, T, 2P).
        layers = [
            self._without_marks(ops.concatenate([forward, backward], axis=-1))
            for forward, backward in zip(directions.forward, directions.backward, strict=True)
        ]
        stacked = ops.cast(ops.transpose(ops.stack(layers), (2, 0, 1, 3)), "float32")
        inside = ops.arange(ops.shape(stacked)[2])[None, :] < lengths[:, None]
        return ops.where(inside[:, None, :, None], stacked, 0.0)

    def _without_marks(self, sequence: Any) -> Any:
        """Takes off the first and the last step, where sentence marks are read: (T + 2, ...) to (T, ...)."""
        if not self.options.sentence_marks:
            return sequence
        # TensorFlow's gradient of a slice is several times as fast as that of ``sequence[1:-1]``.
        steps, *rest = ops.shape(sequence)
        return ops.slice(sequence, (1, *[0] * len(rest)), (steps - 2, *rest))

    def read(
        self,
        character_ids: Any,
        index: Any,
        lengths: Any,
        initial_states: Sequence[tuple[State, State]] | None = None,
        *,
        training: bool = False,
        drop: Callable[[Any], Any] | None = None,
    ) -> Directions:
        """Runs both stacks over whole sentences, with the marks where they are read.

        Args:
            character_ids: As in `call`.
            index: As in `call`.
            lengths: As in `call`.
            initial_states: (forward, backward) State per LSTM layer, as `final_states` of another
                batch returned them; zeros when absent. ELMo's reference code carries the state from
                batch to batch; it is here to compare with it.
            training: As in `call`.
            drop: Dropout, applied to what each LSTM layer reads; a skip connection passes it by.

        Returns:
            Every layer in both directions.
        """
        tokens = self.character_cnn(character_ids, training=training)
        return self.read_tokens(tokens, index, lengths, initial_states, training=training, drop=drop)

    def read_tokens(
        self,
        tokens: Any,
        index: Any,
        lengths: Any,
        initial_states: Sequence[tuple[State, State]] | None = None,
        *,
        training: bool = False,
        num_frozen: int = 0,
        drop: Callable[[Any], Any] | None = None,
    ) -> Directions:
        """Does what `read` does, for tokens whose context-free vectors are there already.

        Args:
            tokens: (M, P), what the character CNN gives for the batch's distinct tokens.
            index: As in `call`.
            lengths: As in `call`.
            initial_states: As in `read`.
            training: As in `call`.
            num_frozen: How many layers, the token layer first, take no gradient and pass none on.
            drop: As in `read`.
        """
        # Positions of the backward reading: within a sentence from its end, beyond it unchanged.
        index = ops.transpose(index)
        num_positions, batch_size = ops.shape(index)[0], ops.shape(index)[1]
        position = ops.arange(num_positions, dtype="int32")[:, None]
        total = ops.cast(lengths, "int32")[None, :] + (2 if self.options.sentence_marks else 0)
        reverse = ops.where(position < total, total - 1 - position, position)

        # Context-free vectors once per distinct token: (M, P), then (T + 2, B, P) each way.
        tokens = ops.cast(tokens, self.compute_dtype)
        tokens = ops.stop_gradient(tokens) if num_frozen else tokens
        forward = ops.take(tokens, index, axis=0)
        backward = ops.take(tokens, ops.take_along_axis(index, reverse, axis=0), axis=0)
        layers = [(forward, backward)]
        final_states = []
        for layer, cells in enumerate(zip(self.forward_cells, self.backward_cells, strict=True)):
            states = (
                initial_states[layer]
                if initial_states
                else [cell.initial_state(batch_size) for cell in cells]
            )
            read = (drop(forward), drop(backward)) if drop else (forward, backward)
            frozen = layer + 1 < num_frozen
            sequences = scan_side_by_side(
                cells, read, states, training=training and not frozen, with_memory=bool(initial_states)
            )
            if initial_states:
                forward_sequence, backward_sequence = sequences
                final_states.append((_last(forward_sequence, total), _last(backward_sequence, total)))
            outputs = [sequence.output for sequence in sequences]
            if layer and self.options.lstm.use_skip_connections:
                outputs = [
                    output + skipped for output, skipped in zip(outputs, (forward, backward), strict=True)
                ]
            if frozen:
                outputs = [ops.stop_gradient(output) for output in outputs]
            forward, backward = outputs
            layers.append((forward, backward))
        return Directions(
            [forward for forward, _ in layers],
            [_at(backward, reverse) for _, backward in layers],
            final_states,
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        return {
            **super().get_config(),
            "options": self.options.to_dict(),
            "kernel_initializer": self.kernel_initializer,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "BiLM":
        """Builds the layer from `get_config`'s dictionary."""
        config = dict(config)
        return cls(BiLMOptions.from_dict(config.pop("options")), **config)


def _at(sequence: Any, positions: Any) -> Any:
    """Picks ``sequence[positions[t, b], b]``: (T, B, P) and (T, B) -> (T, B, P)."""
    steps, batch_size = ops.shape(positions)[0], ops.shape(positions)[1]
    flat = ops.reshape(sequence, (steps * batch_size, ops.shape(sequence)[-1]))
    return ops.take(flat, positions * batch_size + ops.arange(batch_size, dtype="int32")[None, :], axis=0)


def _last(sequence: State, total: Any) -> State:
    """Picks each sentence's state at its last position; total (1, B) counts its positions."""
    last = ops.repeat(total - 1, ops.shape(sequence.output)[0], axis=0)
    return State(_at(sequence.output, last)[0], _at(sequence.memory, last)[0])
