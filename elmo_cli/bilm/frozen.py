"""A biLM that only reads, at the speed of the machine."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from elmo_cli.bilm.characters import sentence_marks, token_characters
from elmo_cli.bilm.lanes import MAX_LANES, Lanes, fill_lanes
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.projected_lstm import ProjectedLSTMCell, State

WORDS_AT_ONCE = 512


class _Cell(NamedTuple):
    """A cell with its weights as the products want them.

    Args:
        cell: Where they come from.
        input_kernel: In the first layer the part for the input alone, (P, 4D); None in those above.
        kernel: The rest: the part for the cell's own last output, (P, 4D), or the whole, (2P, 4D).
        bias: float32 (4D,).
        projection_kernel: (D, P).
    """

    cell: ProjectedLSTMCell
    input_kernel: tf.Tensor | None
    kernel: tf.Tensor
    bias: tf.Tensor
    projection_kernel: tf.Tensor


class FrozenBiLM:
    """Reads many sentences with a biLM whose weights do not change any more.

    It computes what `BiLM.call` computes, from the same weights, with less work:

    - the character CNN runs once per distinct word of all sentences, on words of like length;
    - sentences are laid end to end in lanes (`lanes`), so that no step computes padding;
    - the state after the sentence mark (if marks are read), which is where every sentence begins, is
      computed once, and the mark at the end is not read at all, since nothing follows it;
    - the first layer's products with its input are taken once per distinct word of a batch;
    - gates are one compiled function where there are enough sentences to make up for its compilation.

    Args:
        bilm: A built network; its weights are copied now. Its dtype decides the precision of the products.
    """

    def __init__(self, bilm: BiLM) -> None:
        self.bilm = bilm
        self.dtype = tf.as_dtype(bilm.compute_dtype)
        # bfloat16 products are faster, up to one and a half times, with the weight stored transposed.
        self._transposed = self.dtype == tf.bfloat16
        self._cells = [
            [self._prepare(cell, is_first=layer == 0) for cell in pair]
            for layer, pair in enumerate(zip(bilm.forward_cells, bilm.backward_cells, strict=True))
        ]
        # Numbers of words, sentences, tokens and steps are left open, so that one trace serves every batch.
        vectors = tf.TensorSpec([None, bilm.options.lstm.projection_dim], self.dtype)
        lengths, numbers = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, None], tf.int32)
        states = [
            State(
                tf.TensorSpec([1, cell.projection_dim], self.dtype), tf.TensorSpec([1, cell.dim], tf.float32)
            )
            for cell in (cell.cell for pair in self._cells for cell in pair)
        ]
        lanes = Lanes(numbers, numbers, tf.TensorSpec([None, None], tf.bool), numbers, numbers)
        # AutoGraph would only cost start-up time: there is no Python to translate.
        words = tf.TensorSpec([None], tf.string)
        self._vectors_of_words = tf.function(
            self._spell_and_convolve, input_signature=[words], autograph=False
        )
        self._states_after_marks = tf.function(self._read_marks, input_signature=[], autograph=False)
        self._layers = {
            compiled: tf.function(
                functools.partial(self._read, compiled=compiled),
                input_signature=[states, vectors, lengths, *lanes],
                autograph=False,
            )
            for compiled in (False, True)
        }
        self._compiled_activate = tf.function(self._activate, jit_compile=True, autograph=False)
        self._after_marks: list[State] | None = None

    @property
    def num_traces(self) -> int:
        """How many graphs were traced so far: for words, marks, either kind of batch, and gates."""
        graphs = (
            self._vectors_of_words,
            self._states_after_marks,
            *self._layers.values(),
            self._compiled_activate,
        )
        return sum(graph.experimental_get_tracing_count() for graph in graphs)

    def _prepare(self, cell: ProjectedLSTMCell, *, is_first: bool) -> _Cell:
        kernel, bias, projection_kernel = cell.cast_weights()
        width = kernel.shape[0] - cell.projection_dim
        input_kernel, kernel = (kernel[:width], kernel[width:]) if is_first else (None, tf.identity(kernel))
        if self._transposed:
            input_kernel = None if input_kernel is None else tf.transpose(input_kernel)
            kernel = tf.transpose(kernel)
        return _Cell(cell, input_kernel, kernel, tf.cast(bias, tf.float32), tf.identity(projection_kernel))

    def _product(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return tf.matmul(inputs, kernel, transpose_b=self._transposed)

    def token_vectors(self, words: Sequence[str]) -> tf.Tensor:
        """Computes the context-free vector of each word.

        Args:
            words: M words, best distinct.

        Returns:
            (M, P) in the network's precision.
        """
        if not words:
            return tf.zeros((0, self.bilm.options.lstm.projection_dim), self.dtype)
        spelled = [word.encode() for word in words]
        order = np.argsort([len(word) for word in spelled], kind="stable")
        parts = [
            self._vectors_of_words(
                tf.constant([spelled[row] for row in order[start : start + WORDS_AT_ONCE]])
            )
            for start in range(0, len(words), WORDS_AT_ONCE)
        ]
        return tf.gather(tf.concat(parts, axis=0), np.argsort(order, kind="stable").astype(np.int32))

    def layers(
        self,
        vectors: tf.Tensor,
        tokens: NDArray[np.int32],
        lengths: NDArray[np.int32],
        *,
        compiled: bool = False,
    ) -> tf.Tensor:
        """Reads sentences in both directions.

        Args:
            vectors: Vectors of words from `token_vectors`, (M, P).
            tokens: For each token of each sentence, one sentence after another, its row of ``vectors``;
                int32 (sum of lengths,).
            lengths: Tokens of each sentence, at least 1, int32 (B,).
            compiled: Whether gates may be compiled, where the batch fills all lanes: this takes some
                tenths of a second once, and pays from some ten thousand tokens.

        Returns:
            float32 (B, L, T, 2P), as `BiLM.call`; zero beyond a sentence's end.
        """
        if self._after_marks is None:
            self._after_marks = self._states_after_marks()
        distinct, numbers = np.unique(tokens, return_inverse=True)
        lanes = fill_lanes(numbers.reshape(-1).astype(np.int32), lengths)
        read = self._layers[compiled and lanes.begins.shape[1] == MAX_LANES]
        return read(self._after_marks, tf.gather(vectors, distinct.astype(np.int32)), lengths, *lanes)

    def _spell_and_convolve(self, words: tf.Tensor) -> tf.Tensor:
        """Computes (M, P) of words, string (M,)."""
        cnn = self.bilm.options.char_cnn
        # Characters are cut to the longest word and one window of padding; see `sentence_characters`.
        longest = tf.reduce_max(tf.strings.length(words, unit="BYTE"))
        kept = tf.minimum(longest + 2 + cnn.max_filter_width, cnn.max_characters_per_token)
        return self.bilm.character_cnn(token_characters(words, cnn.max_characters_per_token)[:, :kept])

    def _read(
        self,
        after_marks: list[State],
        vectors: tf.Tensor,
        lengths: tf.Tensor,
        forward: tf.Tensor,
        backward: tf.Tensor,
        begins: tf.Tensor,
        forward_place: tf.Tensor,
        backward_place: tf.Tensor,
        *,
        compiled: bool,
    ) -> tf.Tensor:
        """Computes what `layers` returns; states of one row, (M, P), (B,), then the fields of `Lanes`."""
        sequences = (forward, backward)
        num_steps, num_lanes = tf.shape(begins)[0], tf.shape(begins)[1]
        # The first layer's products with its input, once per distinct token: (M, 4D) per direction.
        products = [self._product(vectors, cell.input_kernel) for cell in self._cells[0]]
        activate = self._compiled_activate if compiled else self._activate

        def step(time: tf.Tensor, states: list[State], arrays: list[tf.TensorArray]) -> Any:
            after: list[State] = []
            results: list[tf.Tensor] = []  # what a layer gives to the one above it
            begin = begins[time][:, None]
            for number, (state, first) in enumerate(zip(states, after_marks, strict=True)):
                layer, direction = divmod(number, 2)
                cell = self._cells[layer][direction]
                # Where a sentence begins, the state is that after its mark: (K, P)
                output = tf.where(begin, first.output, state.output)
                if layer:
                    addends = [self._product(tf.concat([results[number - 2], output], -1), cell.kernel)]
                else:
                    addends = [
                        tf.gather(products[direction], sequences[direction][time]),
                        self._product(output, cell.kernel),
                    ]
                memory, hidden = activate(cell.cell, addends, cell.bias, begin, first.memory, state.memory)
                after.append(State(cell.cell.project(hidden, cell.projection_kernel), memory))
                results.append(self._skip(layer, after[-1].output, results))
            arrays = [array.write(time, result) for array, result in zip(arrays, results, strict=True)]
            return time + 1, after, arrays

        states = [State(*(tf.repeat(part, num_lanes, axis=0) for part in state)) for state in after_marks]
        arrays = [tf.TensorArray(self.dtype, num_steps) for _ in states]
        _, _, arrays = tf.while_loop(
            lambda time, *_: time < num_steps, step, (tf.constant(0), states, arrays)
        )
        # (S * K, P) per layer and direction, the forward one first.
        outputs = [array.concat() for array in arrays]

        # Back to sentences, (B, T, 2P) per layer; the token layer is the token's vector twice.
        token = tf.gather(vectors, tf.gather(tf.reshape(forward, [-1]), forward_place))
        layers = [tf.concat([token, token], axis=-1)]
        for both in zip(outputs[::2], outputs[1::2], strict=True):
            placed = [
                tf.gather(output, place)
                for output, place in zip(both, (forward_place, backward_place), strict=True)
            ]
            layers.append(tf.concat(placed, axis=-1))
        inside = tf.sequence_mask(lengths, tf.shape(forward_place)[1])[:, None, :, None]
        return tf.where(inside, tf.cast(tf.stack(layers, axis=1), tf.float32), 0.0)

    def _read_marks(self) -> list[State]:
        """Computes the state of each LSTM before the first token, after the mark: (1, P) and (1, D)."""
        if not self.bilm.options.sentence_marks:
            return [cell.cell.initial_state(1) for pair in self._cells for cell in pair]
        marks = self.bilm.character_cnn(
            tf.constant(sentence_marks(self.bilm.options.char_cnn.max_characters_per_token))
        )
        states: list[State] = []
        results: list[tf.Tensor] = []
        for number in range(2 * len(self._cells)):
            layer, direction = divmod(number, 2)
            cell = self._cells[layer][direction].cell
            inputs = results[number - 2] if layer else marks[direction : direction + 1]
            states.append(cell(inputs, cell.initial_state(1)))
            results.append(self._skip(layer, states[-1].output, results))
        return states

    def _skip(self, layer: int, output: tf.Tensor, results: list[tf.Tensor]) -> tf.Tensor:
        """Adds to a layer's output what the layer below gave in the same direction, except in the first."""
        return output + results[-2] if layer and self.bilm.options.lstm.use_skip_connections else output

    @staticmethod
    def _activate(
        cell: ProjectedLSTMCell,
        addends: list[tf.Tensor],
        bias: tf.Tensor,
        begin: tf.Tensor,
        first_memory: tf.Tensor,
        memory: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes memory (K, D) and what is to be projected (K, D) from the parts of the gates (K, 4D)."""
        gates = bias
        for addend in addends:
            gates += tf.cast(addend, tf.float32)
        return cell.activate(gates, tf.where(begin, first_memory, memory))
