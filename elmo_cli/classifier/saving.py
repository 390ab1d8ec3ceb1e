"""A trained classifier on disk: its weights, what it is made of, and which ELMo it belongs to."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elmo_cli.classifier.text_classifier import TextClassifier
from elmo_cli.elmo.embedder import Embedder
from elmo_cli.errors import RunError
from elmo_cli.files import atomic_path, sha256, write_text

if TYPE_CHECKING:
    from elmo_cli.classifier.tfidf_part import TfidfPart

# What is written has the least version that can say it, so that older versions of elmo-cli read it, too:
# 2 has attention; 3 a TF-IDF part, layers side by side, or a penalty on a linear head.
FORMAT_VERSION = 3
CONFIG_FILE = "model.json"
WEIGHTS_FILE = "classifier.weights.h5"
TFIDF_FILE = "tfidf.npz"
_SINCE_3 = ("l2", "joined")  # arguments that are left out where they say nothing


@dataclass(frozen=True)
class SavedElmo:
    """The ELMo a saved classifier was trained on.

    Args:
        handle: What the user had written.
        fingerprint: SHA-256 over its weights and options, 64 hexadecimal digits.
    """

    handle: str
    fingerprint: str


def save(classifier: TextClassifier, directory: str | Path, tfidf: "TfidfPart | None" = None) -> None:
    """Writes ``model.json`` and ``classifier.weights.h5``; ELMo's own weights are named, not copied.

    Each file is written beside its place and moved into it, ``model.json`` last: it holds the checksums of
    the others, so that files of two savings are never taken for one.

    Args:
        classifier: The classifier, trained.
        directory: Made where it is missing.
        tfidf: The TF-IDF part that was trained with it, written as ``tfidf.npz``; none for ELMo alone.

    Raises:
        RunError: When the directory cannot be written or the disk is full.
    """
    directory = Path(directory)
    weights = directory / WEIGHTS_FILE
    with atomic_path(weights) as beside:
        classifier.classifier.save_weights(beside)
    source = classifier.embedder.source
    arguments = {
        key: value
        for key, value in classifier.get_config().items()
        if key not in ("name", "embedder") and (value or key not in _SINCE_3)
    }
    attention, new = None in classifier.encoder.shape, any(key in arguments for key in _SINCE_3)
    config = {
        "format_version": 3 if new else 2 if attention else 1,
        "elmo": asdict(SavedElmo(source.handle, source.fingerprint)),
        "pooled_shape": list(classifier.encoder.shape),
        "classifier": arguments,
        "weights_sha256": sha256(weights),
    }
    if tfidf is not None:
        from elmo_cli.classifier.tfidf_file import write_tfidf

        write_tfidf(tfidf, directory / TFIDF_FILE)
        config |= {"format_version": 3, "tfidf_sha256": sha256(directory / TFIDF_FILE)}
    write_text(directory / CONFIG_FILE, json.dumps(config, indent=2) + "\n")


def saved_elmo(directory: str | Path) -> SavedElmo:
    """Says which ELMo to load for a saved classifier, so that it can be given to `load`.

    Raises:
        RunError: When ``model.json`` is missing, damaged or of a later format.
    """
    return SavedElmo(**_read_config(Path(directory))["elmo"])


def weights_checksum(directory: str | Path) -> str | None:
    """Returns what tells the weights of a saved classifier from others; None where none is saved."""
    try:
        config = _read_config(Path(directory))
    except RunError:
        return None
    return f"{config['weights_sha256']} {config.get('tfidf_sha256')}"


def load(directory: str | Path, embedder: Embedder) -> TextClassifier:
    """Reads a classifier back; its logits are the same to the last bit.

    Args:
        directory: What was given to `save`.
        embedder: The ELMo it was trained on; its fingerprint is compared.

    Returns:
        The classifier.

    Raises:
        RunError: When a file is missing, damaged or of a later format, or the ELMo is another one.
    """
    directory = Path(directory)
    config = _read_config(directory)
    _check_fingerprint(directory, SavedElmo(**config["elmo"]), embedder)
    classifier = TextClassifier(embedder, **config["classifier"])
    if list(classifier.encoder.shape) != config["pooled_shape"]:
        raise RunError(
            f"{directory}: the classifier expects vectors of {config['pooled_shape']} (layers, numbers), but "
            f"this version makes {list(classifier.encoder.shape)} of the same ELMo. Train it again."
        )
    weights = directory / WEIGHTS_FILE
    try:
        _check_content(weights, config["weights_sha256"])
        classifier.classifier.load_weights(weights)
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{weights} cannot be read ({error}). Train it again.") from error
    return classifier


def load_tfidf(directory: str | Path) -> "TfidfPart | None":
    """Reads the TF-IDF part of a saved classifier; None where it has none.

    Raises:
        RunError: When a file is missing, damaged or of a later format.
    """
    directory = Path(directory)
    digest = _read_config(directory).get("tfidf_sha256")
    if digest is None:
        return None
    from elmo_cli.classifier.tfidf_file import read_tfidf

    path = directory / TFIDF_FILE
    try:
        _check_content(path, digest)
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error}). Train it again.") from error
    return read_tfidf(path)


def _read_config(directory: Path) -> dict[str, Any]:
    path = directory / CONFIG_FILE
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        version = int(config["format_version"])
        if version <= FORMAT_VERSION:
            SavedElmo(**config["elmo"])
            for key in ("pooled_shape", "classifier", "weights_sha256"):
                config[key]
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing: this directory holds no saved classifier.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} cannot be read ({error}). Train the classifier again.") from error
    if version > FORMAT_VERSION:
        raise RunError(
            f"{path} has format version {version}; this elmo-cli reads up to {FORMAT_VERSION}. "
            "Install the elmo-cli that wrote it, or a later one."
        )
    return dict(config)


def _check_content(path: Path, digest: str) -> None:
    if sha256(path) != digest:
        raise RunError(
            f"{path} is not the file that {CONFIG_FILE} describes: it is damaged, or left by a saving "
            "that did not finish. Train it again."
        )


def _check_fingerprint(directory: Path, saved: SavedElmo, embedder: Embedder) -> None:
    source = embedder.source
    if source.fingerprint != saved.fingerprint:
        raise RunError(
            f"{directory}: the classifier was trained on the ELMo {saved.handle} with fingerprint "
            f"{saved.fingerprint}, but {source.handle} now has {source.fingerprint}. The weights behind it "
            "have changed: give the former ones, or train again."
        )
