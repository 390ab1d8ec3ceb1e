"""The contestants of quality.py, all behind one face: a task in, test accuracy out."""

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from contestants.elmo_train import ElmoTrain
from contestants.fasttext_classifier import fasttext
from contestants.tasks import Task
from contestants.tfidf import tfidf
from contestants.untrained import write_untrained_elmo
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.elmo.cache import EmbeddingCache
from elmo_cli.elmo.source import resolve

TRAINABLE = {"frozen": "mix", "fine-tuned": "all"}


@dataclass(frozen=True)
class Classifier:
    """A way to learn from labelled rows.

    Args:
        name: What the table and --only call it.
        accuracy: From a task to the share of its test rows that it gets right.
        weights: Fingerprint of the ELMo that it begins with; empty where it begins with none.
    """

    name: str
    accuracy: Callable[[Task], float]
    weights: str = ""


def line_up(handle: str, *, place: Path, cache: EmbeddingCache | None = None) -> list[Classifier]:
    """Lists all contestants.

    Args:
        handle: The ELMo that is judged.
        place: A directory for the untrained one.
        cache: Where embeddings are kept.

    Returns:
        Those that can be had here, in the order of the table; of others it is said on stderr what is missing.
    """

    source = resolve(handle)
    found = [Classifier("TF-IDF", tfidf)]
    if importlib.util.find_spec("fasttext"):
        found.append(Classifier("fastText", fasttext))
    else:
        print("fastText is left out: its package is not installed.", file=sys.stderr)
    if source.options_path:
        folder = write_untrained_elmo(BiLMOptions.from_json(source.options_path), place / "untrained")
        untrained = ElmoTrain(str(folder), {"classifier.features": "elmo"}, cache)
        found.append(Classifier("untrained", untrained.alone, resolve(str(folder)).fingerprint))
    else:
        print("The untrained ELMo is left out: of a Hub module the shape is not known.", file=sys.stderr)
    for name, trainable in TRAINABLE.items():
        training = ElmoTrain(source.handle, {"elmo.trainable": trainable}, cache)
        found.append(Classifier(name, training.alone, source.fingerprint))
        found.append(Classifier(f"{name} + TF-IDF", training.together, source.fingerprint))
    return found
