"""A run or an ELMo → files that other programs read."""

import errno
import logging
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import tensorflow as tf

from elmo_cli.bilm.weights import is_half_precision, write_weights
from elmo_cli.classifier.served_classifier import ServedClassifier, write_saved_model
from elmo_cli.elmo.bilm_embedder import BiLMEmbedder
from elmo_cli.elmo.embedder import Embedder, load_embedder
from elmo_cli.elmo.hub.module import Aggregation, write_hub_module
from elmo_cli.elmo.servable import servable
from elmo_cli.elmo.source import ElmoSource
from elmo_cli.errors import SourceError
from elmo_cli.workflows.export_card import ExportedElmo, elmo_card, serving_card
from elmo_cli.workflows.new_directory import new_directory
from elmo_cli.workflows.papers import CARD_FILE, LICENCE_FILE, copy_beside
from elmo_cli.workflows.predict import Predictor

logger = logging.getLogger(__name__)

# Beside the weights of an ELMo: the words its language model predicts, for those who go on training it.
VOCABULARY_FILE = "vocab.txt"


def export_serving(run: Path, output: Path, *, elmo: str | None = None) -> None:
    """Writes a SavedModel that takes raw texts and gives labels and probabilities; see `ServedClassifier`.

    Args:
        run: The run directory.
        output: The directory to make.
        elmo: Where the run's ELMo is now, if it was moved.

    Raises:
        RunError: When the run cannot be used, or the directory cannot be written.
        SourceError: When its ELMo is not available, or cannot become part of a graph.
    """
    predictor = Predictor(run, elmo=elmo, precision="float32")
    classifier, preprocessor = predictor.classifier, predictor.preprocessor
    with tempfile.TemporaryDirectory() as between, _whole(output) as beside:
        served = ServedClassifier(
            classifier,
            servable(classifier.embedder, Path(between) / "module"),
            tokenizer=preprocessor.tokenizer_name,
            max_tokens=preprocessor.max_tokens,
            label_names=predictor.labels.names,
            tfidf=predictor.tfidf,
        )
        write_saved_model(served, beside)
        extra = beside / "assets.extra"  # what servers pass over
        extra.mkdir()
        (extra / CARD_FILE).write_text(serving_card(predictor), encoding="utf-8")
    logger.info(
        "%s is written. It computes in float32: its probabilities are those of elmo-predict --precision "
        "float32.",
        output,
    )


def run_elmo(run: Path, *, elmo: str | None = None) -> ExportedElmo:
    """Takes the ELMo of a run, with the mix that its classifier has learned.

    Args:
        run: The run directory.
        elmo: Where the run's ELMo is now, if it was moved.

    Raises:
        RunError: When the run cannot be used.
        SourceError: When its ELMo is not available, or no native network.
    """
    predictor = Predictor(run, elmo=elmo, precision="float32")
    classifier = predictor.classifier
    embedder = _native(classifier.embedder)
    return ExportedElmo(embedder.bilm, embedder.source, Aggregation.of_mix(classifier.classifier.mix))


def handle_elmo(source: ElmoSource) -> ExportedElmo:
    """Takes the ELMo of a source; its layers are mixed as it says, or all alike.

    Raises:
        SourceError: When it cannot be read, or is no native network.
    """
    embedder = _native(load_embedder(source, "float32"))
    return ExportedElmo(embedder.bilm, source, Aggregation.of_module(source.path, embedder.num_layers))


def export_elmo(elmo: ExportedElmo, form: Literal["hub", "hdf5"], output: Path) -> None:
    """Writes an ELMo as a TensorFlow Hub module, or as options.json with weights.hdf5.

    Args:
        elmo: The ELMo.
        form: ``hub`` or ``hdf5``.
        output: The directory to make.

    Raises:
        RunError: When the directory cannot be written.
        SourceError: When AllenNLP's layout cannot say what the network computes.
    """
    if form == "hdf5" and not elmo.bilm.options.sentence_marks:
        raise SourceError(
            f"ELMo {elmo.source.handle}: this module reads no marks at the begin and end of a sentence, but "
            "every reader of AllenNLP's layout adds them, so its vectors would be others. Use --to hub."
        )
    with _whole(output) as beside:
        if form == "hub":
            write_hub_module(elmo.bilm, elmo.aggregation, beside)
        else:
            _write_hdf5(elmo, beside)
        (beside / CARD_FILE).write_text(elmo_card(elmo, form), encoding="utf-8")
        copy_beside(LICENCE_FILE, elmo.source, beside)
    logger.info("%s is written", output)


def _write_hdf5(elmo: ExportedElmo, directory: Path) -> None:
    """Writes options and weights, and the vocabulary where there is one beside the source's weights."""
    weights = elmo.source.weights_path
    half = weights is not None and is_half_precision(weights)
    (directory / "options.json").write_text(elmo.bilm.options.to_json(), encoding="utf-8")
    write_weights(elmo.bilm, directory / "weights.hdf5", dtype="float16" if half else "float32")
    copy_beside(VOCABULARY_FILE, elmo.source, directory)


def _native(embedder: Embedder) -> BiLMEmbedder:
    """The embedder, if it is our own network."""
    if isinstance(embedder, BiLMEmbedder):
        return embedder
    raise SourceError(
        f"ELMo {embedder.source.handle}: this TensorFlow Hub module works through its own graph, so it "
        f"cannot be written in another format. The module itself is in {embedder.source.path}."
    )


@contextmanager
def _whole(output: Path) -> Iterator[Path]:
    """`new_directory`, in which TensorFlow's complaints about files are those of the operating system."""
    with new_directory(output) as beside:
        try:
            yield beside
        except tf.errors.OpError as error:
            # "... PATH; No space left on device [Op:SaveV2]"
            reason = re.sub(r" \[Op:\w+\]$", "", error.message.splitlines()[0]).rsplit("; ", 1)[-1]
            raise OSError(errno.EIO, reason) from error
