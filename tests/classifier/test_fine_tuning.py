"""A classifier and its ELMo learn together: what learns, how, and that it can be gone on with."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from bilm.tiny_bilm import OPTIONS, tiny_bilm
from tiny_training import AtEpoch, interrupt

from elmo_cli.bilm.characters import sentence_characters
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.bilm.weights import read_weights
from elmo_cli.classifier import fine_tuning
from elmo_cli.classifier.fine_tuning import FineTuning, LabelledTexts, fine_tune
from elmo_cli.classifier.pooled_classifier import PooledClassifier
from elmo_cli.classifier.pooling import MaskedPooling, MaskedTokens
from elmo_cli.classifier.token_batches import TokenBatches
from elmo_cli.classifier.trainable_classifier import TrainableClassifier
from elmo_cli.config import FineTuningConfig
from elmo_cli.errors import ConfigError
from elmo_cli.training.checkpoints import Checkpoints
from elmo_cli.training.determinism import make_deterministic
from elmo_cli.training.history import EpochRecord, History

TEXTS = np.array(
    ["the cat sat", "a dog ran home", "cats and dogs", "rain fell", "the rain in spain fell on", "snow"],
    object,
)
ANIMALS = np.array([0, 0, 0, 1, 1, 1], np.int32)
ROWS = LabelledTexts(TEXTS, ANIMALS)
BEFORE = History((EpochRecord(1, 0.7, 0.5, 0.7, 0.5, 0.1),), 1)
WEIGHTS = np.ones(2, np.float32)


def _model(bilm: BiLM | None = None, *, dropout: float = 0.0, attention: bool = False) -> TrainableClassifier:
    make_deterministic(4)
    bilm = bilm or tiny_bilm()
    options = bilm.options
    poolings = ("attention",) if attention else ()
    classifier = PooledClassifier(2, poolings=poolings, dropout=dropout, joined=not attention)
    shape = (None, 3, None, options.dim) if attention else (None, 3, 2 * options.dim)
    classifier.build(shape)
    pooling = MaskedTokens() if attention else MaskedPooling()
    model = TrainableClassifier(bilm, pooling, classifier, dropout=dropout, seed=4)
    model.build()
    return model


def _fine_tune(model: TrainableClassifier, *, top_only: bool = False, **options: Any) -> History:
    keys = ("checkpoints", "before", "valid")
    settings = {
        "batch_size": 4,
        "epochs": 1,
        "keep": "always",
        **{k: v for k, v in options.items() if k not in keys},
    }
    config, valid = FineTuningConfig(**settings), options.get("valid", ROWS)
    tuning = FineTuning(model, ROWS, valid, config, top_only=top_only, class_weights=WEIGHTS, seed=4)
    return fine_tune(tuning, options.get("before", BEFORE), checkpoints=options.get("checkpoints"))


def _changed(model: TrainableClassifier, before: list[np.ndarray]) -> set[str]:
    return {
        variable.path
        for variable, value in zip(model.weights, before, strict=True)
        if not np.array_equal(variable.numpy(), value)
    }


def _paths(variables: Any) -> set[str]:
    return {variable.path for variable in variables}


@pytest.mark.parametrize("marks", [True, False])
def test_a_network_of_a_module_learns_too_whether_it_reads_marks_or_not(marks: bool):
    trained = tiny_bilm()
    bilm = BiLM(replace(OPTIONS, sentence_marks=marks))
    bilm.build()
    bilm.set_weights(trained.get_weights())
    model = _model(bilm)
    batch = TokenBatches(TEXTS, bilm.options).batch(np.arange(len(TEXTS)))
    pooled = model.pooling(*_frozen(bilm))
    expected = model.classifier(pooled, training=False)
    np.testing.assert_allclose(model(batch, training=False), expected, atol=1e-5)
    history = _fine_tune(model, batch_size=6, epochs=8, unfreeze=0.0, learning_rate=0.01)
    losses = [epoch.loss for epoch in history.epochs[1:]]
    assert losses[-1] < 0.9 * losses[0]


def _frozen(bilm: BiLM) -> tuple[Any, Any]:
    """The layers of the texts and their mask, as frozen vectors are computed."""
    options, cnn = bilm.options, bilm.options.char_cnn
    characters = sentence_characters(
        tf.constant(TEXTS), cnn.max_characters_per_token, cnn.max_filter_width, marks=options.sentence_marks
    )
    return bilm(*characters), tf.sequence_mask(characters.lengths)


@pytest.mark.parametrize("top_only", [True, False])
def test_after_a_step_exactly_what_should_have_changed_has(top_only: bool):
    model = _model()
    before = model.get_weights()
    _fine_tune(model, top_only=top_only, batch_size=6, unfreeze=0.0)
    layers = model.layer_variables()
    learned = layers[-1] if top_only else [variable for layer in layers for variable in layer]
    expected = _paths(model.classifier.trainable_variables) | _paths(learned)
    assert _changed(model, before) == expected
    frozen = _paths(model.weights) - expected
    assert _paths(model.classifier.non_trainable_variables) <= frozen
    assert (len(frozen) > len(layers[0])) == top_only


def test_layers_begin_to_learn_from_the_top_downwards():
    model = _model()
    config = FineTuningConfig(epochs=5, batch_size=3, unfreeze=0.2)
    tuning = FineTuning(model, ROWS, ROWS, config, top_only=False, class_weights=WEIGHTS, seed=4)
    assert tuning.num_steps == 10
    assert [tuning.num_frozen(step) for step in range(10)] == [2, 2, 1, 1, 0, 0, 0, 0, 0, 0]
    rates = {path: group.rate for group in tuning.optimizer.groups for path in _paths(group.variables)}
    expected = [2.6**-2, 2.6**-1, 1.0]
    for layer, rate in zip(model.layer_variables(), expected, strict=True):
        assert [rates[path] for path in _paths(layer)] == pytest.approx([rate] * len(layer))
    assert {rates[path] for path in _paths(model.classifier.trainable_variables)} == {config.head_rate}
    decays = {
        path: group.weight_decay for group in tuning.optimizer.groups for path in _paths(group.variables)
    }
    assert {decays[path] for path in _paths(model.classifier.mix.variables)} == {0.0}


@pytest.mark.parametrize(
    ("num_rows", "num_epochs"), [(1, 10), (500, 10), (1_000, 5), (1_600, 3), (100_000, 3)]
)
def test_few_rows_are_passed_over_more_often(num_rows: int, num_epochs: int):
    assert FineTuningConfig().num_epochs(num_rows) == num_epochs
    assert FineTuningConfig(epochs=7).num_epochs(num_rows) == 7


@pytest.mark.parametrize("unfreeze", [0.5, 0.99])
def test_every_layer_learns_however_late_the_next_one_may_begin(unfreeze: float):
    config = FineTuningConfig(epochs=5, batch_size=3, unfreeze=unfreeze)
    tuning = FineTuning(_model(), ROWS, ROWS, config, top_only=False, class_weights=WEIGHTS, seed=4)
    assert [tuning.num_frozen(step) for step in range(10)] == [2, 2, 2, 1, 1, 1, 0, 0, 0, 0]


def test_before_a_layer_begins_it_stays_as_it_was(monkeypatch: pytest.MonkeyPatch):
    model = _model()
    before = model.get_weights()
    run_epochs = fine_tuning.run_epochs
    one_step = lambda *args, **kwargs: run_epochs(*args, callbacks=[AtEpoch(1, interrupt)], **kwargs)  # noqa: E731
    monkeypatch.setattr(fine_tuning, "run_epochs", one_step)
    assert len(_fine_tune(model, batch_size=6, epochs=3, unfreeze=0.2).epochs) == 2
    layers = model.layer_variables()
    assert _changed(model, before) == _paths(model.classifier.trainable_variables) | _paths(layers[-1])


@pytest.mark.parametrize("num_frozen", [0, 1, 2])
@pytest.mark.parametrize("attention", [False, True])
def test_gradients_agree_with_finite_differences(num_frozen: int, attention: bool):
    model = _model(attention=attention)
    batches = TokenBatches(TEXTS, OPTIONS)
    batch = batches.batch(np.arange(len(TEXTS)))

    def loss() -> Any:
        logits = model(batch, training=True, num_frozen=num_frozen)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(ANIMALS, logits)
        return tf.reduce_mean(losses)

    random = np.random.default_rng(0)
    for layer in model.layer_variables()[num_frozen:]:
        with tf.GradientTape() as tape:
            value = loss()
        gradients = [
            tf.convert_to_tensor(one).numpy() for one in tape.gradient(value, [v.value for v in layer])
        ]
        # Along one random direction of all of the layer's weights at once.
        directions = [random.normal(size=variable.shape).astype(np.float32) for variable in layer]
        expected = sum(float((one * other).sum()) for one, other in zip(gradients, directions, strict=True))
        values, step = [variable.numpy() for variable in layer], 1e-3
        ends = []
        for sign in (1, -1):
            for variable, start, direction in zip(layer, values, directions, strict=True):
                variable.assign(start + sign * step * direction)
            ends.append(float(loss()))
        for variable, start in zip(layer, values, strict=True):
            variable.assign(start)
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(expected, rel=0.02, abs=2e-4)


@pytest.mark.parametrize("num_frozen", [1, 2])
def test_frozen_layers_get_no_gradient(num_frozen: int):
    model = _model()
    batch = TokenBatches(TEXTS, OPTIONS).batch(np.arange(len(TEXTS)))
    for number, layer in enumerate(model.layer_variables()):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(model(batch, training=True, num_frozen=num_frozen))
        gradients = tape.gradient(total, [variable.value for variable in layer])
        assert [gradient is None for gradient in gradients] == [number < num_frozen] * len(layer)


def test_words_whose_vectors_are_known_give_the_same_logits():
    model = _model()
    batches = TokenBatches(TEXTS, OPTIONS)
    rows = np.arange(len(TEXTS))
    vectors = model.bilm.character_cnn(batches.characters.astype(np.int32)).numpy()
    np.testing.assert_allclose(
        model(batches.batch(rows, vectors), num_frozen=1), model(batches.batch(rows)), atol=1e-6
    )


def test_the_loss_falls():
    history = _fine_tune(_model(), epochs=30, learning_rate=0.02, head_rate=1.0, unfreeze=0.0)
    assert history.epochs[-1].val_loss < 0.3 < history.epochs[1].val_loss
    assert history.best_epoch == len(history.epochs) == 31


def test_the_loss_falls_on_published_weights(shared: Path):
    folder = shared / "elmo-fixture"
    bilm = BiLM(BiLMOptions.from_json(folder / "options.json"), "zeros")
    read_weights(bilm, folder / "lm_weights.hdf5")
    history = _fine_tune(_model(bilm), epochs=8, learning_rate=0.02, head_rate=1.0, unfreeze=0.0)
    assert history.epochs[-1].val_loss < 0.5 * history.epochs[1].val_loss


def test_no_more_is_evaluated_at_once_than_is_learned_from():
    model, rows = _model(), []
    valid = LabelledTexts(
        np.array([" ".join(["cat"] * number) for number in (1, 2, 9, 30)], object), ANIMALS[:4]
    )
    config = FineTuningConfig(batch_size=3)  # of 7 tokens at most
    tuning = FineTuning(model, ROWS, valid, config, top_only=False, class_weights=WEIGHTS, seed=4)
    batch = tuning.valid_batches.batch
    tuning.valid_batches.batch = lambda numbers: (rows.append(numbers.tolist()), batch(numbers))[1]
    loss, accuracy = tuning.evaluate()
    assert rows == [[3], [2, 1], [0]]
    logits = model(batch(np.arange(4)))
    expected = tf.nn.sparse_softmax_cross_entropy_with_logits(ANIMALS[:4], logits).numpy().mean()
    assert loss == pytest.approx(expected, rel=1e-5)
    assert accuracy == (logits.numpy().argmax(axis=1) == ANIMALS[:4]).mean()


def test_a_loss_that_is_no_number_names_the_option_of_fine_tuning():
    with pytest.raises(ConfigError, match=r"--set fine_tuning.learning_rate=1e\+29"):
        _fine_tune(_model(), learning_rate=1e30, unfreeze=0.0, epochs=3)


def test_what_becomes_less_accurate_is_left_as_it_was():
    model = _model()
    perfect = History((EpochRecord(1, 0.7, 0.5, 0.7, 1.0, 0.1),), 1)
    opposite = LabelledTexts(TEXTS, 1 - ANIMALS)
    before = model.get_weights()
    settings = {"epochs": 6, "learning_rate": 0.05, "unfreeze": 0.0, "keep": "auto"}
    history = _fine_tune(model, **settings, valid=opposite, before=perfect)
    assert history.best_epoch == 1
    for weight, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize(
    ("num_train", "num_valid", "before", "least"),
    [
        (1000, 100, 0.8, 0.8),  # enough rows: no less accurate
        (999, 100, 0.8, 0.84),  # 80 of 100, whose standard error is 4
        (90, 10, 0.9, 1.0),  # one row more
        (90, 10, 1.0, 1.1),  # never
        (90, 10, 0.0, 0.1),
        (90, 3, 1 / 3, 2 / 3),
    ],
)
def test_what_few_rows_taught_must_be_better_by_more_than_chance(
    num_train: int, num_valid: int, before: float, least: float
):
    train, valid = (
        LabelledTexts(np.array(["a cat"] * number, object), np.zeros(number, np.int32))
        for number in (num_train, num_valid)
    )
    model = _model()
    found, forced = (
        FineTuning(
            model, train, valid, FineTuningConfig(keep=keep), top_only=True, class_weights=WEIGHTS, seed=4
        ).least_accuracy(before)
        for keep in ("auto", "always")
    )
    assert found == least  # to the last bit: shares of so many rows are compared with it
    assert forced == 0


def test_one_that_was_interrupted_goes_on_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    options = {"epochs": 3, "dropout": 0.3, "unfreeze": 0.0}
    whole = _model(dropout=0.3)
    _fine_tune(whole, **options)

    begun = _model(dropout=0.3)
    run_epochs = fine_tuning.run_epochs
    broken = lambda *args, **kwargs: run_epochs(*args, callbacks=[AtEpoch(2, interrupt)], **kwargs)  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr(fine_tuning, "run_epochs", broken)
        history = _fine_tune(begun, **options, checkpoints=Checkpoints(tmp_path, identity="same"))
    assert history.interrupted

    resumed = _model(dropout=0.3)
    history = _fine_tune(resumed, **options, checkpoints=Checkpoints(tmp_path, identity="same", resume=True))
    assert len(history.epochs) == 4
    for weight, expected in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
