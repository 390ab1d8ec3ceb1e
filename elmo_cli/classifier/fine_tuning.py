"""A classifier and the ELMo under it learn together, from the top downwards."""

import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from elmo_cli.classifier.token_batches import TokenBatches
from elmo_cli.classifier.trainable_classifier import TrainableClassifier
from elmo_cli.config import FineTuningConfig
from elmo_cli.counts import counted
from elmo_cli.errors import ConfigError
from elmo_cli.progress import track
from elmo_cli.training.batch_steps import BatchSteps, Sums
from elmo_cli.training.callbacks import Best, KeepLast
from elmo_cli.training.checkpoints import Checkpoints
from elmo_cli.training.history import History
from elmo_cli.training.loop import run_epochs
from elmo_cli.training.order import batches_of_like_length
from elmo_cli.training.parameter_groups import GroupedAdam, ParameterGroup, slanted_triangular

# With fewer training rows a fine-tuned ELMo was not more accurate than a frozen one (benchmarks/quality.py).
ENOUGH_ROWS = 1000
_ADAM_BETA_2 = 0.99  # as in pre-training
_EVALUATED_ROWS = 128
_WORDS_AT_ONCE = 512
_MOST_VECTOR_BYTES = 1 << 30  # of the words' vectors, while the character CNN is frozen


@dataclass(frozen=True)
class LabelledTexts:
    """N texts with the class of each.

    Args:
        texts: Space-joined, str (N,).
        targets: Class ids, int32 (N,), at least 0.
    """

    texts: NDArray[np.object_]
    targets: NDArray[np.int32]


class FineTuning:
    """What `fine_tune` works with: batches, optimizer, a compiled step per number of frozen layers.

    Args:
        model: Trained with ELMo frozen.
        train: The training rows.
        valid: The validation rows.
        config: How; see `FineTuningConfig`.
        top_only: Whether the upper LSTM layer alone learns, and none below it.
        class_weights: What a row of each class counts in the loss, float32 (C,).
        seed: Decides the order of rows.
    """

    def __init__(
        self,
        model: TrainableClassifier,
        train: LabelledTexts,
        valid: LabelledTexts,
        config: FineTuningConfig,
        *,
        top_only: bool,
        class_weights: NDArray[np.float32],
        seed: int,
    ) -> None:
        self.model, self.config, self.class_weights, self.seed = model, config, class_weights, seed
        self.train_targets, self.valid_targets = train.targets, valid.targets
        self.train_batches = TokenBatches(train.texts, model.bilm.options)
        self.valid_batches = TokenBatches(valid.texts, model.bilm.options)
        self.steps_per_epoch = math.ceil(len(train.targets) / config.batch_size)
        self.num_epochs = config.num_epochs(len(train.targets))
        self.num_steps = self.num_epochs * self.steps_per_epoch
        self.layers = model.layer_variables()
        self.least_frozen = len(self.layers) - 1 if top_only else 0
        self.optimizer = GroupedAdam(
            self._groups(), config.learning_rate, beta_2=_ADAM_BETA_2, clip_norm=config.clip_norm
        )
        self._steps: dict[int, BatchSteps] = {}
        self._vectors: NDArray[Any] | None = None

    def _first_step(self, layer: int) -> int:
        """Returns the step from which a layer learns: the upper one at once, each one below it later.

        The lowest has a share of the steps as large as the others, whatever their number.
        """
        steps_between = min(
            math.ceil(self.config.unfreeze * self.num_steps), self.num_steps // len(self.layers)
        )
        return (len(self.layers) - 1 - layer) * steps_between

    def _groups(self) -> list[ParameterGroup]:
        classifier, config = self.model.classifier, self.config
        mix = {variable.path for variable in classifier.mix.variables}
        # A linear head has a penalty of its own.
        head = [variable for variable in classifier.trainable_variables if variable.path not in mix]
        decay = 0.0 if classifier.l2 else config.weight_decay
        groups = [ParameterGroup(tuple(head), config.head_rate, decay)]
        if classifier.mix.trainable_variables:
            groups.append(ParameterGroup(tuple(classifier.mix.trainable_variables), config.head_rate))
        for layer in range(self.least_frozen, len(self.layers)):
            rate = config.layer_decay ** -(len(self.layers) - 1 - layer)
            variables = tuple(self.layers[layer])
            groups.append(ParameterGroup(variables, rate, config.weight_decay, self._first_step(layer)))
        return groups

    def num_frozen(self, step: int) -> int:
        """Returns how many layers, the token layer first, are still frozen in a step."""
        begun = [layer for layer in range(len(self.layers)) if step >= self._first_step(layer)]
        return max(self.least_frozen, min(begun))

    def least_accuracy(self, before: float) -> float:
        """Returns what share of the validation rows must be right for what was learned to be kept.

        Args:
            before: The share that was right with ELMo frozen, in [0, 1].

        Returns:
            That share. With fewer than `ENOUGH_ROWS` training rows it has to be exceeded by a row, and by
            the standard error of a share of so many validation rows: most gains of so few rows are chance.
        """
        if self.config.keep == "always":
            return 0.0
        if len(self.train_targets) >= ENOUGH_ROWS:
            return before
        num_valid = len(self.valid_targets)
        num_right = round(before * num_valid)
        return (num_right + math.ceil(max(1.0, math.sqrt(num_right * (1.0 - before))))) / num_valid

    def train_epoch(self, epoch: int) -> tuple[float, float]:
        """Takes the steps of an epoch, from 0; returns mean loss and accuracy."""
        sums = []
        for number, rows in enumerate(self._shown(self._epoch_batches(epoch), epoch)):
            step = epoch * self.steps_per_epoch + number
            self.optimizer.learning_rate = self.config.learning_rate * slanted_triangular(
                step / self.num_steps, warmup=self.config.warmup
            )
            num_frozen = self.num_frozen(step)
            sums.append(self.steps(num_frozen).train(self.batch(rows, num_frozen)))
        return _means(sums, len(self.train_targets))

    def evaluate(self) -> tuple[float, float]:
        """Returns mean loss and accuracy of the validation rows."""
        lengths = self.valid_batches.lengths
        order = np.argsort(-lengths, kind="stable")
        # No more tokens at once than in training.
        most_tokens = self.config.batch_size * int(self.train_batches.lengths.max())
        sums = []
        first = 0
        while first < len(order):
            num_rows = max(1, min(_EVALUATED_ROWS, most_tokens // int(lengths[order[first]])))
            rows = order[first : first + num_rows]
            first += num_rows
            targets = self.valid_targets[rows]
            labels = {"targets": targets, "weights": self.class_weights[targets]}
            sums.append(self.steps(0).evaluate({**self.valid_batches.batch(rows), **labels}))
        return _means(sums, len(order))

    def batch(self, rows: NDArray[np.int64], num_frozen: int) -> dict[str, Any]:
        """Returns training rows for `steps`, filled up so that all batches have one size."""
        filled = np.concatenate([rows, np.repeat(rows[:1], self.config.batch_size - len(rows))])
        targets = self.train_targets[filled]
        weights = self.class_weights[targets]
        weights[len(rows) :] = 0.0
        vectors = self._vectors_of_words() if self._knows_vectors(num_frozen) else None
        return {**self.train_batches.batch(filled, vectors), "targets": targets, "weights": weights}

    def steps(self, num_frozen: int) -> BatchSteps:
        """Returns the compiled steps for a number of frozen layers, the token layer first."""
        if num_frozen not in self._steps:
            self._steps[num_frozen] = self._make_steps(num_frozen)
        return self._steps[num_frozen]

    def _epoch_batches(self, epoch: int) -> list[NDArray[np.int64]]:
        return batches_of_like_length(
            self.train_batches.lengths, self.config.batch_size, seed=self.seed, epoch=epoch
        )

    def _shown(self, batches: list[NDArray[np.int64]], epoch: int) -> Iterator[NDArray[np.int64]]:
        name = f"fine-tuning, epoch {epoch + 1} of {self.num_epochs}"
        return track(batches, total=len(batches), description=name, unit="batches")

    def _knows_vectors(self, num_frozen: int) -> bool:
        """Whether what the character CNN gives for the words is computed once: it is frozen, they are few."""
        cnn, num_words = self.model.bilm.character_cnn, len(self.train_batches.characters)
        return num_frozen > 0 and num_words * cnn.projection_dim * 4 <= _MOST_VECTOR_BYTES

    def _vectors_of_words(self) -> NDArray[Any]:
        """Returns what the character CNN, still unchanged, gives for all words: float32 (V, P)."""
        if self._vectors is None:
            characters, cnn = self.train_batches.characters, self.model.bilm.character_cnn
            # As in training: no padding is convolved.
            convolve = tf.function(
                lambda ids: tf.cast(cnn(ids, training=True), tf.float32),
                input_signature=[tf.TensorSpec([None, characters.shape[1]], tf.int32)],
                autograph=False,
            )
            starts = range(0, len(characters), _WORDS_AT_ONCE)
            parts = [
                convolve(characters[start : start + _WORDS_AT_ONCE].astype(np.int32)) for start in starts
            ]
            self._vectors = np.concatenate(parts)
        return self._vectors

    def _forward(self, batch: Mapping[str, Any], *, training: bool, num_frozen: int) -> Any:
        if training:
            # All batches have one number of rows; graphs that know it are smaller and faster.
            rows = self.config.batch_size
            fixed = {"index": [rows, None], "lengths": [rows]}
            batch = {**batch, **{name: tf.ensure_shape(batch[name], shape) for name, shape in fixed.items()}}
        return self.model.call(batch, training=training, num_frozen=num_frozen)

    def _make_steps(self, num_frozen: int) -> BatchSteps:
        bilm = self.model.bilm
        tokens = (
            {"token_vectors": tf.TensorSpec([None, bilm.options.lstm.projection_dim], "float32")}
            if self._knows_vectors(num_frozen)
            else {"character_ids": tf.TensorSpec([None, None], "int32")}
        )
        sentences = {"index": tf.TensorSpec([None, None], "int32"), "lengths": tf.TensorSpec([None], "int32")}
        learning: list[keras.Variable] = list(self.model.classifier.trainable_variables)
        learning += [variable for layer in self.layers[num_frozen:] for variable in layer]
        return BatchSteps(
            functools.partial(self._forward, num_frozen=num_frozen),
            self.model,
            learning,
            self.optimizer,
            tokens | sentences,
        )


def fine_tune(tuning: FineTuning, before: History, *, checkpoints: Checkpoints | None = None) -> History:
    """Trains all of a model, or its upper part, and leaves it with the weights of the last epoch.

    Where that is not accurate enough on the validation rows, it is left as it was; see
    `FineTuning.least_accuracy`.

    Args:
        tuning: What is trained, and how; its model was trained with ELMo frozen.
        before: The training that this one goes on with.
        checkpoints: See `training.loop.fit`.

    Returns:
        What happened, the epochs before included.

    Raises:
        ConfigError: When a loss is no longer a number, or memory does not suffice.
        RunError: When a checkpoint cannot be written, or is of another training.
    """
    model, config = tuning.model, tuning.config
    best = Best(before.best_epoch, before.best.val_loss, tuple(model.get_weights()))
    try:
        return run_epochs(
            model,
            lambda epoch: tuning.train_epoch(epoch - len(before.epochs)),
            tuning.evaluate,
            KeepLast(best, tuning.least_accuracy(before.best.val_accuracy)),
            num_epochs=len(before.epochs) + tuning.num_epochs,
            learning_rate=config.learning_rate,
            rate_option="--set fine_tuning.learning_rate=",
            optimizer=tuning.optimizer,
            earlier=before.epochs,
            checkpoints=checkpoints,
        )
    except tf.errors.ResourceExhaustedError as error:
        smaller = f"Use smaller batches (--set fine_tuning.batch_size={config.batch_size // 2}), or cut"
        raise ConfigError(
            f"Memory does not suffice to fine-tune with {counted(config.batch_size, 'text')} of up to "
            f"{counted(int(tuning.train_batches.lengths.max()), 'token')} at once. "
            f"{smaller if config.batch_size > 1 else 'Cut'} texts shorter (--max-length)."
        ) from error


def _means(sums: list[Sums], num_rows: int) -> tuple[float, float]:
    loss_sum, weight_sum, num_correct = np.sum([[float(one) for one in step] for step in sums], axis=0)
    return float(loss_sum / weight_sum), float(num_correct / num_rows)
