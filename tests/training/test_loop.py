"""Training: it learns, stops, keeps the best epoch, repeats itself, and can be interrupted."""

import gc
import logging
from typing import Any

import keras
import numpy as np
import pytest
from tiny_training import AtEpoch, digest, in_another_process, interrupt, model, rows, train

from elmo_cli.config import TrainingConfig
from elmo_cli.errors import ConfigError
from elmo_cli.training import loop
from elmo_cli.training.arrays import LabelledArrays
from elmo_cli.training.interruption import Interruption
from elmo_cli.training.loop import BLOCK_ROWS, fit
from elmo_cli.training.order import epoch_order


def test_it_learns():
    classifier, history = train(epochs=40, learning_rate=0.05)
    assert history.best.val_accuracy > 0.8
    assert history.epochs[-1].loss < history.epochs[0].loss
    predicted = np.argmax(classifier(rows(200, seed=2).inputs), axis=-1)
    assert np.mean(predicted == rows(200, seed=2).targets) > 0.8


@pytest.mark.parametrize("batch_size", [8, 5, 100])
def test_its_steps_are_those_of_keras_in_the_order_of_the_epoch(batch_size):
    """Every row is used once in an epoch, those of a last batch that is not full too."""
    data = rows(8)
    ours, theirs = model(dropout=0), model(dropout=0)
    history = fit(ours, data, data, TrainingConfig(epochs=2, batch_size=batch_size), seed=7)
    theirs.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    for epoch, record in enumerate(history.epochs):
        order = epoch_order(8, seed=7, epoch=epoch)
        seen = theirs.fit(
            data.inputs[order], data.targets[order], batch_size=batch_size, shuffle=False, verbose=0
        )
        assert record.loss == pytest.approx(seen.history["loss"][0], abs=1e-6)
        assert record.accuracy == pytest.approx(seen.history["accuracy"][0], abs=1e-6)
    assert history.best_epoch == 2
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_the_numbers_of_the_validation_rows_are_right():
    classifier, history = train(epochs=1)
    valid = rows(20, seed=1)
    logits = np.asarray(classifier(valid.inputs), np.float64)
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert history.best.val_loss == pytest.approx(
        -log_probabilities[np.arange(20), valid.targets].mean(), abs=1e-6
    )
    assert history.best.val_accuracy == np.mean(logits.argmax(axis=1) == valid.targets)


def test_the_penalty_of_a_layer_is_minimised_too():
    penalty = keras.regularizers.L2(10.0)
    penalised = keras.Sequential([keras.layers.Dense(3, kernel_regularizer=penalty)])
    fit(penalised, rows(50), rows(20, seed=1), TrainingConfig(epochs=30, learning_rate=0.05), seed=7)
    free, _ = train(epochs=30, learning_rate=0.05)
    assert np.abs(penalised.get_weights()[0]).max() < 0.2 < np.abs(free.get_weights()[0]).max()


def test_it_stops_early_and_keeps_the_best_epoch():
    classifier = model()
    best: list[list[np.ndarray]] = []
    spoil = AtEpoch(2, lambda model: (best.append(model.get_weights()), model.set_weights(_opposite(model))))
    data, config = rows(50), TrainingConfig(epochs=30, learning_rate=0.01, patience=2)
    history = fit(classifier, data, rows(20, seed=1), config, seed=7, callbacks=[spoil])
    assert history.best_epoch == 3
    assert history.stopped_early
    assert len(history.epochs) == 5
    for kept, weight in zip(best[0], classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, kept)


def _opposite(model: keras.Model) -> list[np.ndarray]:
    return [-50 * weight for weight in model.get_weights()]


def test_ctrl_c_keeps_the_best_weights_so_far():
    classifier = model()
    weights: list[list[np.ndarray]] = []
    callbacks = [
        AtEpoch(1, lambda model: weights.append(model.get_weights())),
        AtEpoch(2, interrupt, begin=True),
    ]
    config = TrainingConfig(epochs=30, learning_rate=0.01)
    history = fit(classifier, rows(50), rows(20, seed=1), config, seed=7, callbacks=callbacks)
    assert history.interrupted
    assert history.best_epoch == len(history.epochs) == 2
    np.testing.assert_array_equal(classifier.get_weights()[0], weights[0][0])


def test_an_interruption_that_ended_training_is_not_taken_for_a_lost_one():
    lost: list[str] = []

    def interrupt_as_commands_do(_: keras.Model) -> None:
        raise Interruption(lambda: lost.append("lost"))

    callbacks = [AtEpoch(1, interrupt_as_commands_do, begin=True)]
    assert fit(model(), rows(50), rows(20), TrainingConfig(), seed=7, callbacks=callbacks).interrupted
    gc.collect()
    assert lost == []


def test_ctrl_c_in_the_first_epoch_goes_on_to_the_caller():
    callbacks = [AtEpoch(0, interrupt, begin=True)]
    with pytest.raises(KeyboardInterrupt):
        fit(model(), rows(50), rows(20), TrainingConfig(), seed=7, callbacks=callbacks)


def test_a_loss_that_is_no_number_names_the_learning_rate():
    with pytest.raises(ConfigError, match=r"epoch 1: .*learning rate of 1e\+38.*--learning-rate 1e\+37"):
        train(learning_rate=1e38, batch_size=4)


def test_the_same_seed_gives_the_same_bits_in_one_process():
    (one, _), (other, _) = train(epochs=3), train(epochs=3)
    for mine, yours in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, yours)


def test_another_seed_gives_another_order():
    one, other = model(dropout=0), model(dropout=0)
    for classifier, seed in ((one, 1), (other, 2)):
        fit(classifier, rows(50), rows(20), TrainingConfig(epochs=1, batch_size=4), seed=seed)
    assert not np.array_equal(one.get_weights()[0], other.get_weights()[0])


def test_the_same_seed_gives_the_same_bits_in_another_process(tmp_path):
    done = in_another_process("import tiny_training as t; print(t.digest(t.train(epochs=3)[0]))", tmp_path)
    assert done.stdout.strip() == digest(train(epochs=3)[0]), done.stderr


def weights_after_training(train_rows: LabelledArrays, valid_rows: LabelledArrays) -> list[np.ndarray]:
    """Trains on more than one block of rows."""
    classifier = model()
    fit(classifier, train_rows, valid_rows, TrainingConfig(epochs=2), seed=7)
    return classifier.get_weights()


def assert_same_bits(ones: list[np.ndarray], others: list[np.ndarray]) -> None:
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_file_mapped_into_memory_gives_the_bits_of_the_same_numbers_in_float32(tmp_path, dtype):
    data = rows(BLOCK_ROWS + 100)
    inputs = data.inputs.astype(dtype)
    inputs.tofile(tmp_path / "inputs")
    mapped = np.memmap(tmp_path / "inputs", dtype, mode="r", shape=inputs.shape)
    in_memory = LabelledArrays(inputs.astype(np.float32), data.targets)
    on_disk = LabelledArrays(mapped, data.targets)
    assert_same_bits(weights_after_training(on_disk, on_disk), weights_after_training(in_memory, in_memory))


def test_choosing_rows_gives_the_bits_of_a_copy_of_them():
    data = rows(100)
    chosen = np.array([0, 3, 3, 99, 50, *range(60)])
    targets = data.targets[chosen]
    without_copy = LabelledArrays(data.inputs, targets, chosen)
    copy = LabelledArrays(data.inputs[chosen], targets)
    assert_same_bits(weights_after_training(without_copy, without_copy), weights_after_training(copy, copy))


class OnlyInBlocks:
    """An array that cannot be had as a whole, and remembers how many rows were asked for at once."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype
        self.most = 0

    def __len__(self) -> int:
        return len(self._array)

    def __array__(self, *arguments: Any, **keywords: Any) -> np.ndarray:
        raise AssertionError("all rows at once")

    def __getitem__(self, which: Any) -> np.ndarray:
        part = self._array[which]
        self.most = max(self.most, len(part))
        return part


def test_rows_are_never_asked_for_all_at_once():
    train_rows, valid_rows = rows(3 * BLOCK_ROWS + 5), rows(2 * BLOCK_ROWS + 5)
    inputs, valid_inputs = OnlyInBlocks(train_rows.inputs), OnlyInBlocks(valid_rows.inputs)
    in_blocks = LabelledArrays(inputs, train_rows.targets), LabelledArrays(valid_inputs, valid_rows.targets)
    assert_same_bits(weights_after_training(*in_blocks), weights_after_training(train_rows, valid_rows))
    assert inputs.most == valid_inputs.most == BLOCK_ROWS


def test_blocks_of_large_rows_have_fewer(monkeypatch):
    data = rows(200)
    inputs, valid_inputs = OnlyInBlocks(data.inputs), OnlyInBlocks(data.inputs)
    in_blocks = [LabelledArrays(one, data.targets) for one in (inputs, valid_inputs)]
    monkeypatch.setattr(loop, "BLOCK_BYTES", 80 * data.inputs[:1].nbytes)
    assert_same_bits(weights_after_training(*in_blocks), weights_after_training(data, data))
    assert (inputs.most, valid_inputs.most) == (64, 80)


def test_a_block_holds_whole_batches(monkeypatch):
    """Blocks are a matter of memory: where they end changes no step."""
    data, config = rows(100), TrainingConfig(epochs=1, batch_size=12)
    weights = []
    for block_rows in (5, 30, 1000):
        monkeypatch.setattr(loop, "BLOCK_ROWS", block_rows)
        classifier = model()
        fit(classifier, data, data, config, seed=7)
        weights.append(classifier.get_weights())
    assert_same_bits(weights[0], weights[2])
    assert_same_bits(weights[1], weights[2])


def test_balanced_weights_help_a_rare_class():
    random = np.random.default_rng(0)
    targets = (np.arange(200) % 20 == 0).astype(np.int32)
    inputs = (targets[:, None] + random.normal(scale=0.8, size=(200, 2))).astype(np.float32)
    data = LabelledArrays(inputs, targets)
    found = {}
    for class_weight in ("none", "balanced"):
        classifier = model(dropout=0)
        config = TrainingConfig(epochs=30, learning_rate=0.05, class_weight=class_weight)
        fit(classifier, data, data, config, seed=7)
        found[class_weight] = np.mean(np.argmax(classifier(inputs), axis=-1)[targets == 1] == 1)
    assert found["balanced"] > found["none"]


def test_it_logs_a_line_per_epoch(caplog):
    caplog.set_level(logging.INFO)
    train(epochs=2)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("elmo_cli")]
    assert lines[0].startswith("epoch 1 of 2: loss ")
    assert lines[-1].startswith("training done after epoch 2; kept epoch 2 with validation loss")
