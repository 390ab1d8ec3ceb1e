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
from elmo_cli.errors import RunError, SourceError
from elmo_cli.workflows.export_card import ExportedElmo, elmo_card, serving_card
from elmo_cli.workflows.new_directory import is_of_writing, new_directory
from elmo_cli.workflows.papers import CARD_FILE, LICENCE_FILE
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
        SourceError: When its ELMo is not available, or cannot become part of a graph; when its licence cannot
            be read.
    """
    predictor = Predictor(run, elmo=elmo, precision="float32")
    classifier, preprocessor = predictor.classifier, predictor.preprocessor
    others = {CARD_FILE: serving_card(predictor).encode()}
    others |= _beside_weights(classifier.embedder.source, LICENCE_FILE)
    with tempfile.TemporaryDirectory() as between:
        served = ServedClassifier(
            classifier,
            _servable(classifier.embedder, Path(between)),
            tokenizer=preprocessor.tokenizer_name,
            max_tokens=preprocessor.max_tokens,
            label_names=predictor.labels.names,
            tfidf=predictor.tfidf,
        )
        with new_directory(output) as beside, _as_os_errors(beside):
            write_saved_model(served, beside)
            extra = beside / "assets.extra"  # what servers pass over
            extra.mkdir()
            for name, content in others.items():
                (extra / name).write_bytes(content)
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
        SourceError: When AllenNLP's layout cannot say what the network computes, or a file beside the
            weights of the source cannot be read.
    """
    if form == "hdf5" and not elmo.bilm.options.sentence_marks:
        raise SourceError(
            f"ELMo {elmo.source.handle}: this module reads no marks at the begin and end of a sentence, but "
            "every reader of AllenNLP's layout adds them, so its vectors would be others. Use --to hub."
        )
    others = {CARD_FILE: elmo_card(elmo, form).encode()}
    others |= _beside_weights(elmo.source, LICENCE_FILE, *([VOCABULARY_FILE] if form == "hdf5" else []))
    weights = elmo.source.weights_path if form == "hdf5" else None
    dtype = "float16" if weights is not None and is_half_precision(weights) else "float32"
    with new_directory(output) as beside, _as_os_errors(beside):
        if form == "hub":
            write_hub_module(elmo.bilm, elmo.aggregation, beside)
        else:
            (beside / "options.json").write_text(elmo.bilm.options.to_json(), encoding="utf-8")
            write_weights(elmo.bilm, beside / "weights.hdf5", dtype=dtype)
        for name, content in others.items():
            (beside / name).write_bytes(content)
    logger.info("%s is written", output)


def _beside_weights(source: ElmoSource, *names: str) -> dict[str, bytes]:
    """Reads those of the files that stand beside the source's weights; name to content."""
    paths = [source.path / name for name in names]
    try:
        return {path.name: path.read_bytes() for path in paths if path.is_file()}
    except OSError as error:
        raise SourceError(
            f"ELMo {source.handle}: {error.filename} cannot be read ({error.strerror}). Make it readable, or "
            "move it away."
        ) from error


def _servable(embedder: Embedder, folder: Path) -> Embedder:
    """`servable`, with a module written into a temporary folder."""
    try:
        with _as_os_errors(folder):
            return servable(embedder, folder / "module")
    except OSError as error:
        if not is_of_writing(error, folder):
            raise
        raise RunError(
            f"{folder} cannot be written: {error.strerror}. Make room there, or set TMPDIR to another "
            "directory."
        ) from error


def _native(embedder: Embedder) -> BiLMEmbedder:
    """The embedder, if it is our own network."""
    if isinstance(embedder, BiLMEmbedder):
        return embedder
    raise SourceError(
        f"ELMo {embedder.source.handle}: this TensorFlow Hub module works through its own graph, so it "
        f"cannot be written in another format. The module itself is in {embedder.source.path}."
    )


@contextmanager
def _as_os_errors(directory: Path) -> Iterator[None]:
    """Makes TensorFlow's complaints about files in a directory those of the operating system; others pass."""
    try:
        yield
    except tf.errors.OpError as error:
        # "... PATH; No space left on device [Op:SaveV2]"
        said = error.message.partition("\n")[0]
        if str(directory) not in said:
            raise
        reason = re.sub(r" \[Op:\w+\]$", "", said).rsplit("; ", 1)[-1]
        raise OSError(errno.EIO, reason, str(directory)) from error
