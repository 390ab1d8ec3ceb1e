"""The one place that loops over epochs."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from elmo_cli.config import TrainingConfig
from elmo_cli.training.adam import FusedAdam
from elmo_cli.training.arrays import LabelledArrays, class_weights
from elmo_cli.training.callbacks import KeepBest, ShowProgress, StopOnNaN
from elmo_cli.training.checkpoints import Checkpoints
from elmo_cli.training.determinism import make_deterministic
from elmo_cli.training.history import EpochRecord, History
from elmo_cli.training.interruption import arrive, interruptions_as_such
from elmo_cli.training.order import epoch_order
from elmo_cli.training.steps import Steps, feed

logger = logging.getLogger(__name__)

# Rows per call of the graph, about: enough to hide what a call costs, few enough for Ctrl-C to be heard soon,
# and for the two blocks that exist at once to be small.
BLOCK_ROWS = 1024
BLOCK_BYTES = 1 << 25  # most bytes of inputs in it, unless a batch has more: token vectors are large


def fit(
    model: keras.Model,
    train: LabelledArrays,
    valid: LabelledArrays,
    config: TrainingConfig,
    *,
    seed: int,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    checkpoints: Checkpoints | None = None,
) -> History:
    """Trains a classification model and leaves it with the weights of its best epoch.

    Adam on the cross-entropy of the model's logits, plus the model's own penalties. Training stops when
    the validation loss has not fallen for ``config.patience`` epochs. The order of rows in an epoch
    depends on ``seed`` and the number of the epoch alone. With `make_deterministic` called before the
    model was made, the same seed on the same machine gives the same weights to the last bit.

    Ctrl-C after the first epoch ends training as if it had been the last: the best weights so far are
    restored and the history says so. Before that nothing is worth keeping, and KeyboardInterrupt goes on.

    With ``checkpoints``, a training that was killed or interrupted can go on; weights and history
    (seconds aside) are then the same to the last bit as without the break.

    Args:
        model: Takes ``train.inputs``-like batches (B, ...) and gives logits (B, C). Its trainable
            variables are trained. Whatever else its layers change must be among ``model.variables``,
            as a seed generator of dropout is.
        train: The training rows; read in blocks, so that they may be larger than memory.
        valid: The validation rows; with ``class_weight: balanced`` they are weighed like the training
            rows, so that what is watched is what is minimised.
        config: Epochs, batch size, learning rate, patience, class weight.
        seed: At least 0 and below 2**32.
        callbacks: Further Keras callbacks; their hooks for training and epochs are called, those for
            batches are not, because batches run inside a graph. What they remember is not part of a
            checkpoint.
        checkpoints: Where to save the state after epochs, and whether to go on from what is there; None
            saves nothing.

    Returns:
        What happened, epoch by epoch, those before a break included.

    Raises:
        ConfigError: When a loss is no longer a number; the learning rate is too high.
        RunError: When a checkpoint cannot be written, or the one to go on from is not of this training.
        KeyboardInterrupt: On Ctrl-C during the first epoch.
    """
    make_deterministic(seed)
    num_classes = 1 + int(max(train.targets.max(), valid.targets.max()))
    weights = class_weights(config.class_weight, train.targets, num_classes)
    model(train.inputs[:1].astype(np.float32))  # A model that was never called has no variables yet.
    optimizer = FusedAdam(config.learning_rate)
    shape, dtype = train.inputs.shape[1:], train.inputs.dtype.name
    steps = Steps(model, optimizer, batch_size=config.batch_size, input_shape=shape, input_dtype=dtype)

    def train_epoch(epoch: int) -> tuple[float, float]:
        order = epoch_order(len(train), seed=seed, epoch=epoch)
        return _train_epoch(steps, train, order, weights)

    return run_epochs(
        model,
        train_epoch,
        lambda: _evaluate(steps, valid, weights),
        KeepBest(config.patience),
        num_epochs=config.epochs,
        learning_rate=config.learning_rate,
        optimizer=optimizer,
        callbacks=callbacks,
        checkpoints=checkpoints,
    )


def run_epochs(
    model: keras.Model,
    train_epoch: Callable[[int], tuple[float, float]],
    evaluate: Callable[[], tuple[float, float]],
    keep_best: KeepBest,
    *,
    num_epochs: int,
    learning_rate: float,
    optimizer: keras.optimizers.Optimizer,
    rate_option: str = "--learning-rate ",
    earlier: Sequence[EpochRecord] = (),
    callbacks: Sequence[keras.callbacks.Callback] = (),
    checkpoints: Checkpoints | None = None,
) -> History:
    """Loops over epochs, whatever one consists of; see `fit` for what that means.

    Args:
        model: What is trained; built.
        train_epoch: Takes the steps of an epoch, whose number from 0 it is given; returns mean loss and
            accuracy. It depends on nothing but that number and the variables of model and optimizer.
        evaluate: Returns mean loss and accuracy of the validation rows.
        keep_best: Says which epoch is kept, and when none better is to be expected.
        num_epochs: Most epochs, those of an earlier training included.
        learning_rate: The highest step size, for messages.
        optimizer: Built.
        rate_option: What gives another step size on the command line, up to the number.
        earlier: Epochs of a training that this one goes on with; numbers go on from theirs.
        callbacks: As in `fit`.
        checkpoints: As in `fit`.

    Returns:
        What happened, the earlier epochs included.

    Raises:
        ConfigError, RunError, KeyboardInterrupt: As `fit`.
    """
    variables = [*model.variables, *optimizer.variables]
    records = list(earlier)
    saved = checkpoints.begin(variables) if checkpoints else None
    if saved:
        records = list(saved.records)
        keep_best.go_on(saved.best, len(records))
    show_progress = ShowProgress(num_epochs, num_done=len(records))
    watchers = keras.callbacks.CallbackList(
        [StopOnNaN(learning_rate, rate_option), keep_best, show_progress, *callbacks], model=model
    )
    model.stop_training = False
    interrupted = False
    watchers.on_train_begin()
    try:
        for epoch in range(len(records), len(records) if keep_best.stopped_early else num_epochs):
            start = time.monotonic()
            watchers.on_epoch_begin(epoch)
            with interruptions_as_such():
                loss, accuracy = train_epoch(epoch)
                val_loss, val_accuracy = evaluate()
            seconds = time.monotonic() - start
            record = EpochRecord(epoch + 1, loss, accuracy, val_loss, val_accuracy, seconds)
            records.append(record)
            watchers.on_epoch_end(
                epoch, {key: value for key, value in vars(record).items() if key != "epoch"}
            )
            if checkpoints and keep_best.best:
                checkpoints.keep(records, keep_best.best, variables)
            if model.stop_training:
                break
    except KeyboardInterrupt as error:
        if keep_best.best is None:
            raise
        arrive(error)
        interrupted = True
    finally:
        watchers.on_train_end()
        if checkpoints:
            checkpoints.flush()
    keep_best.restore()
    best_epoch = keep_best.best.epoch if keep_best.best else 1
    history = History(tuple(records), best_epoch, keep_best.stopped_early, interrupted)
    _report(history)
    return history


def _train_epoch(
    steps: Steps, train: LabelledArrays, order: NDArray[np.int64], weights: NDArray[np.float32]
) -> tuple[float, float]:
    """Takes the steps of one epoch; returns mean loss and accuracy."""
    # Whole batches, so that the blocks cut none of them in two.
    block_rows = steps.batch_size * max(1, _block_rows(train) // steps.batch_size)
    blocks = feed(train, order, block_rows=block_rows, class_weights=weights)
    return _means([steps.train(*block) for block in blocks], len(train))


def _evaluate(steps: Steps, valid: LabelledArrays, weights: NDArray[np.float32]) -> tuple[float, float]:
    """Returns mean loss and accuracy."""
    blocks = feed(valid, np.arange(len(valid)), block_rows=_block_rows(valid), class_weights=weights)
    return _means([steps.evaluate(*block[:3]) for block in blocks], len(valid))


def _block_rows(rows: LabelledArrays) -> int:
    """Returns how many rows a block may have."""
    return max(1, min(BLOCK_ROWS, BLOCK_BYTES // rows.inputs[:1].nbytes))


def _means(sums: list[tuple[Any, Any, Any]], num_rows: int) -> tuple[float, float]:
    loss_sum, weight_sum, num_correct = np.sum([[float(one) for one in call] for call in sums], axis=0)
    return float(loss_sum / weight_sum), float(num_correct / num_rows)


def _report(history: History) -> None:
    best = history.best
    ending = "interrupted" if history.interrupted else "stopped early" if history.stopped_early else "done"
    logger.info(
        "training %s after epoch %d; kept epoch %d with validation loss %.4f and accuracy %.3f",
        ending,
        len(history.epochs),
        best.epoch,
        best.val_loss,
        best.val_accuracy,
    )
