"""The contestants of quality.py, all behind one face: a task in, test accuracy out."""

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from contestants.elmo_train import elmo_train
from contestants.fasttext_classifier import fasttext
from contestants.tasks import Task
from contestants.tfidf import tfidf
from contestants.untrained import write_untrained_elmo
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.elmo.cache import EmbeddingCache
from elmo_cli.elmo.source import ElmoSource, resolve

ELMO_ALONE = {"classifier.features": "elmo"}
BOTH = {"classifier.features": "elmo+tfidf"}


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

    def elmo(name: str, source: ElmoSource, settings: Mapping[str, str]) -> Classifier:
        return Classifier(
            name,
            lambda task: elmo_train(task, source.handle, settings=settings, cache=cache),
            source.fingerprint,
        )

    source = resolve(handle)
    found = [Classifier("TF-IDF", tfidf)]
    if importlib.util.find_spec("fasttext"):
        found.append(Classifier("fastText", fasttext))
    else:
        print("fastText is left out: its package is not installed.", file=sys.stderr)
    if source.options_path:
        folder = write_untrained_elmo(BiLMOptions.from_json(source.options_path), place / "untrained")
        found.append(elmo("untrained", resolve(str(folder)), ELMO_ALONE))
    else:
        print("The untrained ELMo is left out: of a Hub module the shape is not known.", file=sys.stderr)
    return [*found, elmo("frozen", source, ELMO_ALONE), elmo("frozen + TF-IDF", source, BOTH)]
