"""Characters of a token → its context-free vector."""

from typing import Any

import keras
from keras import ops

from elmo_cli.bilm.characters import NUM_CHARACTERS
from elmo_cli.bilm.options import CharacterCNNOptions


@keras.saving.register_keras_serializable("elmo_cli")
class Highway(keras.layers.Layer):
    """A gated mix of a vector and its transformation: ``g * relu(x W_t + b_t) + (1 - g) * x``.

    Args:
        kernel_initializer: Of both kernels.

    Call arguments:
        inputs: float (..., N).

    Returns:
        float (..., N).

    Reference: Srivastava et al. 2015, arXiv 1505.00387; gate bias -2 as in bilm-tf's `training.py`.
    """

    def __init__(self, kernel_initializer: str = "glorot_uniform", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kernel_initializer = kernel_initializer

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes two kernels (N, N) and two biases (N,)."""
        width = input_shape[-1]
        self.transform_kernel = self.add_weight(
            shape=(width, width), initializer=self.kernel_initializer, name="transform_kernel"
        )
        self.transform_bias = self.add_weight(shape=(width,), initializer="zeros", name="transform_bias")
        self.carry_kernel = self.add_weight(
            shape=(width, width), initializer=self.kernel_initializer, name="carry_kernel"
        )
        self.carry_bias = self.add_weight(
            shape=(width,), initializer=keras.initializers.Constant(-2.0), name="carry_bias"
        )

    def call(self, inputs: Any) -> Any:
        """Mixes a vector with its transformation; see the class."""
        transformed = ops.relu(ops.matmul(inputs, self.transform_kernel) + self.transform_bias)
        gate = ops.sigmoid(ops.matmul(inputs, self.carry_kernel) + self.carry_bias)
        return gate * transformed + (1.0 - gate) * inputs

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        return {**super().get_config(), "kernel_initializer": self.kernel_initializer}


@keras.saving.register_keras_serializable("elmo_cli")
class CharacterCNN(keras.layers.Layer):
    """Character embeddings, convolutions of several widths, highway layers, a projection.

    Args:
        embedding_dim: Width of a character's vector.
        filters: (width, number) of each convolution.
        num_highway: Number of highway layers.
        projection_dim: Width P of the token vector.
        activation: ``relu`` or ``tanh``.
        kernel_initializer: Of all kernels.

    Call arguments:
        character_ids: int32 (M, W), values 0 to 260; W at least the widest filter.
        training: Whether a gradient will be taken. Under TensorFlow `windows` then takes the place of
            convolutions; it changes speed and memory, not results.

    Returns:
        float (M, P).

    Reference: Kim et al. 2015, arXiv 1508.06615; Peters et al. 2018, arXiv 1802.05365.
    """

    def __init__(
        self,
        embedding_dim: int,
        filters: Any,
        num_highway: int,
        projection_dim: int,
        activation: str = "relu",
        kernel_initializer: str = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.embedding_dim = embedding_dim
        self.filters = tuple((int(width), int(number)) for width, number in filters)
        self.num_highway = num_highway
        self.projection_dim = projection_dim
        self.activation = activation
        self.kernel_initializer = kernel_initializer
        self.highways = [
            Highway(kernel_initializer, name=f"highway_{i}", dtype=self.dtype_policy)
            for i in range(num_highway)
        ]

    @classmethod
    def from_options(cls, options: CharacterCNNOptions, projection_dim: int, **kwargs: Any) -> "CharacterCNN":
        """Builds the layer that the options describe."""
        return cls(
            options.embedding_dim,
            options.filters,
            options.num_highway,
            projection_dim,
            options.activation,
            **kwargs,
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the characters' vectors, the convolutions, the highways and the projection."""
        self.character_embedding = self.add_weight(
            shape=(NUM_CHARACTERS, self.embedding_dim),
            initializer=keras.initializers.RandomUniform(-1.0, 1.0),
            name="character_embedding",
        )
        self.kernels = []
        self.biases = []
        for i, (width, number) in enumerate(self.filters):
            self.kernels.append(
                self.add_weight(
                    shape=(width, self.embedding_dim, number),
                    initializer=self.kernel_initializer,
                    name=f"convolution_kernel_{i}",
                )
            )
            self.biases.append(
                self.add_weight(shape=(number,), initializer="zeros", name=f"convolution_bias_{i}")
            )
        num_filters = sum(number for _, number in self.filters)
        for highway in self.highways:
            highway.build((None, num_filters))
        self.projection_kernel = self.add_weight(
            shape=(num_filters, self.projection_dim),
            initializer=self.kernel_initializer,
            name="projection_kernel",
        )
        self.projection_bias = self.add_weight(
            shape=(self.projection_dim,), initializer="zeros", name="projection_bias"
        )

    def call(self, character_ids: Any, training: bool | None = None) -> Any:
        """Turns characters into token vectors; see the class."""
        # Best window of each filter: (M, F).
        activate = ops.relu if self.activation == "relu" else ops.tanh
        best = self._best_windows(character_ids, training=bool(training))
        vectors = activate(best + ops.concatenate(self.biases))
        # Highways keep the width; the projection brings it to that of the LSTMs.
        for highway in self.highways:
            vectors = highway(vectors)
        return ops.matmul(vectors, self.projection_kernel) + self.projection_bias

    def _best_windows(self, character_ids: Any, *, training: bool) -> Any:
        kernels = [ops.convert_to_tensor(kernel) for kernel in self.kernels]
        if training and keras.backend.backend() == "tensorflow":
            from elmo_cli.bilm.windows import best_windows

            embedding = ops.convert_to_tensor(self.character_embedding)
            return best_windows(embedding, kernels, character_ids)
        # Characters: (M, W) -> (M, W, E); windows: (M, W - w + 1, number) per width.
        embedded = ops.take(self.character_embedding, character_ids, axis=0)
        return ops.concatenate(
            [ops.max(ops.conv(embedded, kernel, padding="valid"), axis=1) for kernel in kernels], axis=-1
        )

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns (M, P)."""
        return (input_shape[0], self.projection_dim)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        return {
            **super().get_config(),
            "embedding_dim": self.embedding_dim,
            "filters": [list(pair) for pair in self.filters],
            "num_highway": self.num_highway,
            "projection_dim": self.projection_dim,
            "activation": self.activation,
            "kernel_initializer": self.kernel_initializer,
        }
