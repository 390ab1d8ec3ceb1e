"""Same seed, same machine, same result to the last bit."""

import keras
import tensorflow as tf


def make_deterministic(seed: int) -> None:
    """Seeds Python, NumPy and TensorFlow, and makes TensorFlow choose deterministic kernels.

    Call it before a model is made, for the initial weights are drawn from these seeds. The choice of
    kernels holds for the whole process and cannot be taken back.

    Args:
        seed: At least 0 and below 2**32.

    Raises:
        ValueError: When the seed is out of that range.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be at least 0 and below 2**32, not {seed}")
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
