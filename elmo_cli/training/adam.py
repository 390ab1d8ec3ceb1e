"""Adam, one operation per variable."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("elmo_cli")
class FusedAdam(keras.optimizers.Adam):
    """Keras's Adam with the same state and the same formula, computed in one operation per variable.

    Keras writes the formula out as about ten operations, each of which reads and writes as many numbers
    as the variable holds. For a small head on wide vectors that is a third of a training step.

    Args:
        learning_rate: A positive number, or a schedule.
        clip_norm: Bound on the norm of all gradients together, or None. It is computed without the squares
            of all numbers being stored, as Keras's ``global_clipnorm`` stores them.
        **kwargs: Those of `keras.optimizers.Adam`; ``amsgrad`` is not among them.

    Reference:
        Kingma & Ba 2015, "Adam: a method for stochastic optimization", the variant before section 2.1;
        TensorFlow's ``ResourceApplyAdam``.
    """

    def __init__(self, learning_rate: Any = 0.001, *, clip_norm: float | None = None, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        if self.amsgrad:
            raise ValueError("amsgrad has no fused operation; use keras.optimizers.Adam")
        self.clip_norm = clip_norm

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Takes one step.

        Args:
            grads: Of the loss by each variable; dense where they are clipped.
            trainable_variables: Those that are moved; when absent, those the optimizer was built with.
        """
        if self.clip_norm is not None:
            grads, _ = tf.clip_by_global_norm(grads, self.clip_norm)
        super().apply(grads, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Moves one variable; called by `apply`.

        Args:
            gradient: Of the loss by the variable, dense or `tf.IndexedSlices`.
            variable: One of those the optimizer was built with.
            learning_rate: Scalar.
        """
        self.adam_step(gradient, variable, learning_rate, self.iterations + 1)

    def adam_step(self, gradient: Any, variable: Any, learning_rate: Any, step: Any) -> None:
        """Does what `update_step` does for a variable whose ``step``-th step this is, from 1."""
        index = self._get_variable_index(variable)
        step = tf.cast(step, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, variable.dtype), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, variable.dtype), step),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=tf.cast(self.beta_1, variable.dtype),
            beta2=tf.cast(self.beta_2, variable.dtype),
            epsilon=tf.cast(self.epsilon, variable.dtype),
            grad=tf.cast(tf.convert_to_tensor(gradient), variable.dtype),
            use_locking=True,
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        return {**super().get_config(), "clip_norm": self.clip_norm}
