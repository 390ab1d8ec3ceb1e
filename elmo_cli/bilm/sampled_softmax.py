"""Cross-entropy over the true word and words drawn at random."""

from typing import Any

import keras
from keras import ops

# A logit that no softmax notices.
_NEVER = -1e9


def sampled_softmax_losses(
    hidden: Any, true_logits: Any, targets: Any, kernel: Any, bias: Any, negatives: Any
) -> Any:
    """Computes the cross-entropy of each row over its true word and the sampled ones.

    Args:
        hidden: float (N, P).
        true_logits: float32 (N,), the logit of each row's true word, corrected.
        targets: int32 (N,), the true words; where one is in the sample, too, it does not count there.
        kernel: float32 (K, P), the sampled words' rows of the softmax weights.
        bias: float32 (K,), their biases, corrected.
        negatives: int32 (K,), the sampled words.

    Returns:
        float32 (N,), in nats. Gradients reach `hidden`, `true_logits`, `kernel` and `bias`; under
        TensorFlow they are computed as `softmax_gradient` describes, else automatically: the same.
    """
    kernel = ops.cast(kernel, hidden.dtype)
    if keras.backend.backend() == "tensorflow":
        from elmo_cli.bilm.softmax_gradient import losses_for_training

        return losses_for_training(hidden, true_logits, kernel, bias, targets, negatives)
    return cross_entropy(ops.matmul(hidden, ops.transpose(kernel)), true_logits, bias, targets, negatives)[0]


def cross_entropy(logits: Any, true_logits: Any, bias: Any, targets: Any, negatives: Any) -> Any:
    """Computes the losses from the sampled words' logits.

    Args:
        logits: float (N, K), without their biases.
        true_logits: As in `sampled_softmax_losses`, like what follows.
        bias: float32 (K,).
        targets: int32 (N,).
        negatives: int32 (K,).

    Returns:
        Losses, float32 (N,); probabilities of the sampled words, (N, K), and of the true ones, float32 (N,).
    """
    exact = ops.cast(logits, "float32") + bias
    exact = ops.where(negatives[None, :] == targets[:, None], _NEVER, exact)
    highest = ops.maximum(ops.max(exact, axis=1), true_logits)
    weights, true_weights = ops.exp(exact - highest[:, None]), ops.exp(true_logits - highest)
    total = ops.sum(weights, axis=1) + true_weights
    losses = ops.log(total) + highest - true_logits
    return losses, ops.cast(weights / total[:, None], logits.dtype), true_weights / total
