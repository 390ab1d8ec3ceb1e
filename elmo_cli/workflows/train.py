"""Tables → a trained classifier in a run directory."""

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from elmo_cli.classifier.encoding import Encoded
from elmo_cli.classifier.head_choice import choose_head
from elmo_cli.classifier.linear_head import cross_fitted, solve_linear_head
from elmo_cli.classifier.saving import save, weights_checksum
from elmo_cli.classifier.text_classifier import TextClassifier
from elmo_cli.classifier.tfidf_part import NUM_FOLDS, TfidfPart
from elmo_cli.config import RunConfig
from elmo_cli.elmo.cache import EmbeddingCache
from elmo_cli.elmo.embedder import load_embedder
from elmo_cli.elmo.handles import local_files
from elmo_cli.elmo.source import resolve
from elmo_cli.evaluation.metrics import evaluate
from elmo_cli.evaluation.report import Report
from elmo_cli.files import write_text
from elmo_cli.text.formats import TableFormat
from elmo_cli.text.table_writer import TableWriter
from elmo_cli.training.arrays import LabelledArrays
from elmo_cli.training.checkpoints import Checkpoints
from elmo_cli.training.determinism import make_deterministic
from elmo_cli.training.device import use_device
from elmo_cli.training.history import History
from elmo_cli.training.loop import fit
from elmo_cli.workflows.adapt import adapt
from elmo_cli.workflows.evaluate import write_report
from elmo_cli.workflows.fine_tune import calibrate_run, check_can_be_fine_tuned, fine_tune_run
from elmo_cli.workflows.model_card import model_card
from elmo_cli.workflows.new_run import NewRun
from elmo_cli.workflows.own_elmo import copy_elmo, remove_elmo
from elmo_cli.workflows.prediction_columns import PredictionColumns
from elmo_cli.workflows.run_directory import RunDirectory
from elmo_cli.workflows.run_record import describe, identity, layer_mix
from elmo_cli.workflows.run_report import write_run_report
from elmo_cli.workflows.tfidf import fit_tfidf
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


@dataclass(frozen=True)
class _Trained:
    """What answers: ELMo's classifier, alone or with a TF-IDF part."""

    classifier: TextClassifier
    tfidf: TfidfPart | None = None

    def probabilities(self, table: LabelledTable, encoded: Encoded) -> NDArray[np.float32]:
        """Returns the probability of each class, float32 (N, C), for a table and its vectors."""
        found = self.classifier.probabilities(encoded)
        return found if self.tfidf is None else self.tfidf.join(found, table.examples.sentences.texts)

    def refitted(self, tables: TrainingTables, *, balanced: bool) -> "_Trained":
        """Returns the same with a TF-IDF part that has learned from the validation rows, too."""
        if self.tfidf is None:
            return self
        texts = np.concatenate([part.examples.sentences.texts for part in (tables.train, tables.valid)])
        targets = np.concatenate([tables.train.targets, tables.valid.targets])
        known = targets >= 0
        return replace(self, tfidf=self.tfidf.refitted(texts[known], targets[known], balanced=balanced))


def train(run: NewRun, tables: TrainingTables, cache: EmbeddingCache | None = None) -> TrainResult:
    """Embeds the texts once, trains the mix of layers and the dense head, and writes the run.

    A linear head for few rows (see `choose_head`) begins at its solution. Once validation rows that were
    split off have chosen the epoch and been scored, it learns from them, too: few rows are too few to waste.
    So does a TF-IDF part of any number of rows.
    With ``elmo.trainable: top`` or ``all`` the ELMo then learns, too, together with the head; where what came
    out is not kept, all is as with a frozen one.

    Args:
        run: The run to make, inside its ``with`` block.
        tables: From `read_training_tables` with the configuration of the run.
        cache: Where embeddings are looked for first and kept afterwards.

    Returns:
        History and reports.

    Raises:
        SourceError: If the ELMo is not available.
        ConfigError: If the device is not there, the loss is not a number any more, or the ELMo cannot be
            fine-tuned.
        DataError: If the texts are too few to adapt the ELMo to.
        RunError: If something stands in the way, or an adaptation that is there began with something else.
        KeyboardInterrupt: On Ctrl-C before there is anything worth keeping; later Ctrl-C ends the
            training early and the best epoch is kept.
    """
    config = run.config
    logger.info("Working on %s", use_device(config.training.device))
    handle = _absolute(config.elmo.handle)
    if config.elmo.adapt:
        with run.stage("adapting"):
            handle = adapt(run, tables, handle)
    make_deterministic(config.seed)
    with run.stage("loading"):
        classifier = _assemble(config, tables, handle)
    directory = run.directory if config.elmo.adapt else run.begin(*classifier.embedder.source.files())
    describe(run, classifier, tables)

    # Training and validation vectors have one shape, also where those of all tokens are kept.
    learned_from = (tables.train, tables.valid)
    longest = max(int(table.examples.sentences.lengths.max(initial=1)) for table in learned_from)

    def encode(table: LabelledTable) -> Encoded:
        return classifier.encode(
            table.examples.sentences,
            batch_tokens=config.elmo.batch_tokens,
            cache=cache,
            memory_bytes=config.elmo.memory_bytes,
            max_tokens=None if table is tables.test else longest,
        )

    with run.stage("embedding"):
        train_part = encode(tables.train)
        valid_part = encode(tables.valid)
    with run.stage("training"):
        classifier.classifier.adapt(train_part.vectors, train_part.rows)
        rows = (_arrays(train_part, tables.train), _arrays(valid_part, tables.valid))
        balanced = config.training.class_weight == "balanced"
        solve_linear_head(classifier.classifier, rows[:1], balanced=balanced)
        made_of = identity(run, tables)
        history = fit(
            classifier.classifier,
            *rows,
            config.training,
            seed=config.seed,
            checkpoints=Checkpoints(directory.checkpoints, identity=made_of, resume=run.resume),
        )
    fine_tuned = None
    if config.elmo.fine_tuned and not history.interrupted:
        with run.stage("fine-tuning"):
            fine_tuned, history = fine_tune_run(run, classifier, tables, history, identity=made_of)
    if config.elmo.fine_tuned:
        run.record["fine_tuned"] = fine_tuned is not None
    if fine_tuned:
        classifier = fine_tuned
        with run.stage("embedding"):
            valid_part = encode(tables.valid)
        calibrate_run(run, classifier, valid_part, tables)
    with run.stage("training"):
        trained = _Trained(classifier)
        # Fine-tuned vectors of the training rows are too sure of them for a head to be solved on.
        few_rows = bool(classifier.classifier.l2) and not fine_tuned
        if config.classifier.features == "elmo+tfidf":
            elmo = classifier.probabilities(valid_part)
            others = (
                cross_fitted(classifier.classifier, rows[0], NUM_FOLDS, balanced=balanced)
                if few_rows
                else None
            )
            tfidf, run.record["tfidf"] = fit_tfidf(tables, elmo, others, balanced=balanced)
            trained = _Trained(classifier, tfidf)
        # Said by what has not learned from these rows.
        valid_probabilities = trained.probabilities(tables.valid, valid_part)
        run.record["learned_valid"] = tables.valid_is_split and few_rows
        if run.record["learned_valid"]:
            solve_linear_head(classifier.classifier, rows, balanced=balanced)
        if tables.valid_is_split:
            trained = trained.refitted(tables, balanced=balanced)
    del train_part, valid_part, rows  # the largest things in memory
    run.point_of_no_return()
    write_text(directory.path / "preprocessor.json", tables.preprocessor.to_json())
    if config.elmo.bundle and not (fine_tuned or config.elmo.adapt):
        # As the user gave it: what a Hub module became in the cache is not what its fingerprint is of.
        copy_elmo(resolve(handle), directory)
    elif not fine_tuned:
        remove_elmo(directory, unless=classifier.embedder.source)
    before = weights_checksum(directory.model) if run.resume else None
    save(classifier, directory.model, trained.tfidf)
    if before not in (None, weights_checksum(directory.model)):
        directory.forget_reports()
    write_text(directory.path / "history.csv", history.to_csv())
    run.record |= {
        "best_epoch": history.best_epoch,
        "epochs": len(history.epochs),
        "layer_mix": layer_mix(classifier.classifier.mix),
    }

    reports = {"valid": _evaluate(valid_probabilities, run, "valid", tables.valid, tables)}
    if tables.test:
        with run.stage("embedding"):
            test_part = encode(tables.test)
        with run.stage("evaluating"):
            probabilities = trained.probabilities(tables.test, test_part)
        reports["test"] = _evaluate(probabilities, run, "test", tables.test, tables)
    if history.interrupted:
        run.status = "interrupted"
    card = model_card(config, tables.preprocessor, run.record, reports)
    write_text(directory.path / "MODEL_CARD.md", card)
    write_run_report(directory, run.record, history, reports)
    return TrainResult(directory, history, reports)


def _assemble(config: RunConfig, tables: TrainingTables, handle: str) -> TextClassifier:
    """Builds the classifier and says what it consists of."""
    source = resolve(handle)
    embedder = load_embedder(source, config.elmo.precision)
    if config.elmo.fine_tuned:
        check_can_be_fine_tuned(embedder)
    head = choose_head(config.classifier, len(tables.train.labels))
    classifier = TextClassifier(
        embedder,
        tables.preprocessor.label_set.num_classes,
        poolings=config.classifier.pool,
        hidden=head.hidden,
        dropout=head.dropout,
        l2=head.l2,
        joined=config.classifier.layers == "joined",
        mix_l2=config.classifier.mix_l2,
        mix_trainable=config.elmo.trainable != "none",
    )
    logger.info("ELMo: %s (fingerprint %s)", source.handle, source.fingerprint[:12])
    if not embedder.token_level:
        logger.info("The module gives one vector per text; there is nothing to pool.")
    logger.info(
        "Initialised %d ELMo variables; %s parameters are trained, %s frozen",
        embedder.num_variables,
        f"{classifier.num_trainable:,}",
        f"{classifier.num_frozen:,}",
    )
    return classifier


def _absolute(handle: str) -> str:
    """Returns a handle that means the same from every working directory."""
    return ",".join(map(str, local_files(handle))) or handle.strip()


def _arrays(encoded: Encoded, table: LabelledTable) -> LabelledArrays:
    """Leaves out rows whose label training never saw: they have no target."""
    known = table.targets >= 0
    return LabelledArrays(encoded.vectors, table.targets[known], encoded.rows[known])


def _evaluate(
    probabilities: NDArray[np.float32], run: NewRun, name: str, table: LabelledTable, tables: TrainingTables
) -> Report:
    """Scores what was said of a table, and writes report, picture and the table with predictions."""
    labels = tables.preprocessor.label_set
    with run.stage("evaluating"):
        report = evaluate(probabilities, table.targets, label_names=labels.names, true_labels=table.labels)
        write_report(run.directory, report, metrics_name=name, plot_name=name)
        place = run.directory.predictions / f"{name}.csv"
        # A half surrogate pair, as JSONL may have, is no reason to lose a training.
        with TableWriter(place, TableFormat("csv", ","), errors="backslashreplace") as writer:
            columns = PredictionColumns().free_in(table.rows, labels)
            writer.write(columns.add(table.rows, probabilities, labels))
    logger.info("%s: accuracy %.4f, macro F1 %.4f", name, report.accuracy, report.macro_f1)
    return report
