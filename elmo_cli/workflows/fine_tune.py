"""elmo-train --trainable top|all: ELMo's own weights learn the task; the run then contains them."""

import logging
import shutil

import numpy as np
from numpy.typing import NDArray

from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.weights import read_weights
from elmo_cli.classifier.calibration import calibrate
from elmo_cli.classifier.encoding import Encoded
from elmo_cli.classifier.fine_tuning import ENOUGH_ROWS, FineTuning, LabelledTexts, fine_tune
from elmo_cli.classifier.text_classifier import TextClassifier
from elmo_cli.classifier.trainable_classifier import TrainableClassifier
from elmo_cli.counts import counted
from elmo_cli.elmo.bilm_embedder import BiLMEmbedder
from elmo_cli.elmo.embedder import Embedder, load_embedder
from elmo_cli.elmo.source import resolve
from elmo_cli.errors import ConfigError, SourceError
from elmo_cli.training.arrays import class_weights
from elmo_cli.training.checkpoints import Checkpoints
from elmo_cli.training.history import History
from elmo_cli.workflows.new_run import NewRun
from elmo_cli.workflows.own_elmo import write_elmo
from elmo_cli.workflows.training_tables import LabelledTable, TrainingTables

logger = logging.getLogger(__name__)

_CHECKPOINTS = "fine_tuning"  # folder in that of the checkpoints


def check_can_be_fine_tuned(embedder: Embedder) -> BiLMEmbedder:
    """Returns an embedder that has a gradient.

    Raises:
        ConfigError: If it runs in a TensorFlow Hub module's own graph.
    """
    if not isinstance(embedder, BiLMEmbedder):
        raise ConfigError(
            f"elmo.trainable must be none or mix with {embedder.source.handle}: this TensorFlow Hub module "
            "runs in its own graph, which has no gradient in TensorFlow 2. Give a native ELMo with --elmo, "
            "or use --trainable mix."
        )
    return embedder


def fine_tune_run(
    run: NewRun, classifier: TextClassifier, tables: TrainingTables, history: History, *, identity: str
) -> tuple[TextClassifier | None, History]:
    """Goes on with a classifier that was trained on a frozen ELMo; the ELMo learns, too.

    What it becomes is written into the run directory and read from there, as elmo-predict will. Where it is
    not kept, the classifier is as it was before.

    Args:
        run: The run, begun; past its point of no return where a new ELMo is kept.
        classifier: Trained on the frozen ELMo.
        tables: What is learned from.
        history: Of that training.
        identity: What the training is made of; see `Checkpoints`.

    Returns:
        The classifier on the new ELMo, or None where that was not kept; and what happened, the training
        before included.

    Raises:
        ConfigError: When a loss is no longer a number, or memory does not suffice.
        RunError: When the run directory cannot be written, or a checkpoint is of another training.
        SourceError: When the weights cannot be read again.
    """
    config, source = run.config, classifier.embedder.source
    bilm = _trainable(classifier.embedder)
    model = TrainableClassifier(
        bilm, classifier.pooling, classifier.classifier, dropout=config.fine_tuning.dropout, seed=config.seed
    )
    model.build()
    train = _labelled(tables.train)
    if len(train.targets) < ENOUGH_ROWS:
        logger.warning(
            "%s are few to fine-tune an ELMo on: frozen it is often as accurate, and always faster "
            "(--trainable mix).",
            counted(len(train.targets), "row"),
        )
    tuning = FineTuning(
        model,
        train,
        _labelled(tables.valid),
        config.fine_tuning,
        top_only=config.elmo.trainable == "top",
        class_weights=_class_weights(run, tables),
        seed=config.seed,
    )
    logger.info(
        "Fine-tuning %s of ELMo: %s",
        "the upper layer" if config.elmo.trainable == "top" else "all layers",
        counted(tuning.num_epochs, "epoch"),
    )
    # Where the training before it went on, it begins anew.
    place = run.directory.checkpoints / _CHECKPOINTS / f"after_epoch_{len(history.epochs)}"
    for other in place.parent.glob("after_epoch_*"):
        if other != place:
            shutil.rmtree(other, ignore_errors=True)
    checkpoints = Checkpoints(place, identity=identity, resume=run.resume)
    before, history = history, fine_tune(tuning, history, checkpoints=checkpoints)
    if history.best_epoch <= len(before.epochs):
        if history.interrupted and len(history.epochs) == len(before.epochs):
            logger.info(
                "Fine-tuning was interrupted before its first epoch ended, so the ELMo stays as it was; "
                "--resume goes on"
            )
            return None, history
        enough = len(train.targets) >= ENOUGH_ROWS
        logger.info(
            "The ELMo stays as it was, with an accuracy of %.3f on valid: what it learned is %s there "
            "(--set fine_tuning.keep=always keeps it all the same)",
            before.best.val_accuracy,
            "less accurate" if enough else "not more accurate, by more than chance,",
        )
        return None, history
    run.point_of_no_return()
    write_elmo(bilm, run.directory, source)
    logger.debug("What %s became is in %s", source.handle, run.directory.own_elmo)
    embedder = load_embedder(resolve(str(run.directory.own_elmo)), config.elmo.precision)
    return classifier.on(embedder), history


def calibrate_run(run: NewRun, classifier: TextClassifier, encoded: Encoded, tables: TrainingTables) -> None:
    """Makes a fine-tuned classifier as sure as it is right on the validation rows.

    Args:
        run: Its record then has the ``temperature``.
        classifier: From `fine_tune_run`.
        encoded: What it makes of the validation rows.
        tables: Those of the run.
    """
    targets = tables.valid.targets
    known = targets >= 0  # a label that training never saw has no class
    weights = _class_weights(run, tables)[targets[known]]
    probabilities = classifier.probabilities(encoded)[known]
    temperature = calibrate(classifier.classifier, probabilities, targets[known], weights)
    run.record["temperature"] = round(temperature, 4)
    logger.info("Its logits are divided by %.2f, which suits the validation rows best", temperature)


def _class_weights(run: NewRun, tables: TrainingTables) -> NDArray[np.float32]:
    """Returns what a row of each class counts, float32 (C,)."""
    num_classes = tables.preprocessor.label_set.num_classes
    return class_weights(run.config.training.class_weight, tables.train.targets, num_classes)


def _trainable(embedder: Embedder) -> BiLM:
    """Returns the network with weights of its own, float32, for gradients to be taken."""
    native = check_can_be_fine_tuned(embedder)
    weights = native.source.weights_path
    if weights is None:
        raise SourceError(f"{native.source.handle}: the weights of the biLM are missing.")
    policy = "mixed_bfloat16" if native.precision == "bfloat16" else "float32"
    bilm = BiLM(native.bilm.options, "zeros", name="bilm", dtype=policy)
    bilm.build()
    # From the file: the embedder's own are rounded to its precision.
    read_weights(bilm, weights)
    return bilm


def _labelled(table: LabelledTable) -> LabelledTexts:
    """Leaves out rows whose label training never saw: they have no target."""
    known = table.targets >= 0
    return LabelledTexts(table.examples.sentences.texts[known], table.targets[known])
