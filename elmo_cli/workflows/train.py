"""Tables → a trained classifier in a run directory."""

import logging
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from elmo_cli.classifier.saving import save
from elmo_cli.classifier.text_classifier import TextClassifier
from elmo_cli.config import RunConfig
from elmo_cli.elmo.embedder import load_embedder
from elmo_cli.elmo.source import resolve
from elmo_cli.evaluation.metrics import evaluate
from elmo_cli.evaluation.plots import plot_confusion
from elmo_cli.evaluation.report import Report
from elmo_cli.files import write_text
from elmo_cli.text.formats import TableFormat
from elmo_cli.text.table_writer import TableWriter
from elmo_cli.training.arrays import LabelledArrays
from elmo_cli.training.determinism import make_deterministic
from elmo_cli.training.device import use_device
from elmo_cli.training.history import History
from elmo_cli.training.loop import fit
from elmo_cli.workflows.prediction_columns import with_predictions
from elmo_cli.workflows.run_directory import RunDirectory, new_run
from elmo_cli.workflows.training_tables import LabelledTable, TrainingTables

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainResult:
    """What came out of a training.

    Args:
        run: The run directory.
        history: Loss and accuracy per epoch.
        reports: Report per evaluated table: ``valid`` and, where there was one, ``test``.
    """

    run: RunDirectory
    history: History
    reports: dict[str, Report]


def train(
    config: RunConfig, tables: TrainingTables, output: Path, *, force: bool = False, command: str = ""
) -> TrainResult:
    """Embeds the texts once, trains the mix of layers and the dense head, and writes the run.

    Args:
        config: The whole run.
        tables: From `read_training_tables` with the same configuration.
        output: The run directory to make.
        force: Whether a run that stands there is replaced.
        command: The command line, for the record.

    Returns:
        History and reports.

    Raises:
        SourceError: If the ELMo is not available.
        ConfigError: If the device is not there, or the loss is not a number any more.
        RunError: If something stands in the way at `output`.
        KeyboardInterrupt: On Ctrl-C before there is anything worth keeping; later Ctrl-C ends the
            training early and the best epoch is kept.
    """
    logger.info("Working on %s", use_device(config.training.device))
    make_deterministic(config.seed)
    classifier = _assemble(config, tables)
    with new_run(output, config, force=force, command=command) as (run, record):
        source = classifier.embedder.source
        record["elmo"] = {"handle": source.handle, "kind": source.kind, "fingerprint": source.fingerprint}
        record["data"] = {"sha256": tables.hashes, "rows": {"train": len(tables.train.labels)}}
        record["parameters"] = {"trainable": classifier.num_trainable, "frozen": classifier.num_frozen}
        write_text(run.path / "preprocessor.json", tables.preprocessor.to_json())

        vectors = _encode(classifier, tables.train, config)
        classifier.classifier.adapt(vectors)
        held_out = {"valid": tables.valid} | ({"test": tables.test} if tables.test else {})
        encoded = {name: _encode(classifier, table, config) for name, table in held_out.items()}
        history = fit(
            classifier.classifier,
            _arrays(vectors, tables.train, "training"),
            _arrays(encoded["valid"], tables.valid, "validation"),
            config.training,
            seed=config.seed,
        )
        save(classifier, run.model)
        write_text(run.path / "history.csv", history.to_csv())
        reports = {
            name: _evaluate(classifier, run, name, table, encoded[name], tables)
            for name, table in held_out.items()
        }
        mix = classifier.classifier.mix
        record["layer_mix"] = {
            "weights": [round(float(weight), 6) for weight in keras.ops.softmax(mix.w)],
            "gamma": round(float(mix.gamma), 6),
        }
        record["best_epoch"] = history.best_epoch
        if history.interrupted:
            record["status"] = "interrupted"
    return TrainResult(run, history, reports)


def _assemble(config: RunConfig, tables: TrainingTables) -> TextClassifier:
    """Builds the classifier and says what it consists of."""
    embedder = load_embedder(resolve(config.elmo.handle))
    classifier = TextClassifier(
        embedder,
        tables.preprocessor.label_set.num_classes,
        poolings=config.classifier.pool,
        hidden=config.classifier.hidden,
        dropout=config.classifier.dropout,
        mix_l2=config.classifier.mix_l2,
        mix_trainable=config.elmo.trainable == "mix",
    )
    if not embedder.token_level:
        logger.info("The module gives one vector per text; there is nothing to pool.")
    logger.info(
        "Initialised %d ELMo variables; %s parameters are trained, %s frozen",
        embedder.num_variables,
        f"{classifier.num_trainable:,}",
        f"{classifier.num_frozen:,}",
    )
    return classifier


def _encode(classifier: TextClassifier, table: LabelledTable, config: RunConfig) -> NDArray[np.float32]:
    return classifier.encode(table.examples.sentences, batch_tokens=config.elmo.batch_tokens)


def _arrays(vectors: NDArray[np.float32], table: LabelledTable, name: str) -> LabelledArrays:
    """Leaves out rows whose label training never saw: they have no target."""
    known = table.targets >= 0
    if not known.all():
        logger.warning("%d %s rows have labels that the training rows lack", (~known).sum(), name)
    return LabelledArrays(vectors[known], table.targets[known])


def _evaluate(
    classifier: TextClassifier,
    run: RunDirectory,
    name: str,
    table: LabelledTable,
    vectors: NDArray[np.float32],
    tables: TrainingTables,
) -> Report:
    """Scores a table and writes report, picture and the table with predictions."""
    labels = tables.preprocessor.label_set
    probabilities = classifier.probabilities(vectors)
    report = evaluate(probabilities, table.targets, label_names=labels.names, true_labels=table.labels)
    run.write_metrics(name, report.to_json_dict())
    plot_confusion(report, run.plots / f"confusion_{name}.png")
    with TableWriter(run.predictions / f"{name}.csv", TableFormat("csv", ",")) as writer:
        writer.write(with_predictions(table.rows, probabilities, labels))
    return report
