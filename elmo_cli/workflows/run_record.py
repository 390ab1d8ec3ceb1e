"""What run.json says about a training, and what two trainings must have in common to be one."""

import hashlib
import logging
from dataclasses import replace
from typing import Any

import keras

from elmo_cli import __version__
from elmo_cli.classifier.text_classifier import TextClassifier
from elmo_cli.config_yaml import to_yaml
from elmo_cli.elmo.scalar_mix import ScalarMix
from elmo_cli.workflows.new_run import NewRun
from elmo_cli.workflows.training_tables import LabelledTable, TrainingTables

logger = logging.getLogger(__name__)


def describe(run: NewRun, classifier: TextClassifier, tables: TrainingTables) -> None:
    """Adds to the record of a run what it is made of."""
    source = classifier.embedder.source
    parts = {"train": tables.train, "valid": tables.valid, "test": tables.test}
    run.record |= {
        "elmo": {"handle": source.handle, "kind": source.kind, "fingerprint": source.fingerprint},
        "data": {
            "sha256": tables.hashes,
            "rows": {name: len(part.labels) for name, part in parts.items() if part is not None},
            "valid_is_split": tables.valid_is_split,
        },
        "precision": classifier.embedder.precision,
        "hidden": list(classifier.classifier.hidden),
        "parameters": {"trained": classifier.num_trainable, "frozen": classifier.num_frozen},
    }


def identity(run: NewRun, tables: TrainingTables) -> str:
    """Returns all that decides how training goes, a line each; the number of epochs may grow.

    The record of the run must have what `describe` adds.
    """
    config = run.config
    decides = replace(
        config,
        data=replace(config.data, test=None),
        elmo=replace(config.elmo, memory_bytes=0),
        training=replace(config.training, epochs=1, device="auto"),
    )
    learned_from = (("train", tables.train), ("valid", tables.valid))
    facts = [
        f"elmo-cli: {__version__}",
        f"elmo fingerprint: {run.record['elmo']['fingerprint']} in {run.record['precision']}",
        *(f"texts and labels of {name}: {_digest(part)}" for name, part in learned_from),
        *(
            f"{path} sha256: {tables.hashes.get(path)}"
            for path in (config.data.train, config.data.valid)
            if path
        ),
    ]
    return to_yaml(decides) + "\n".join(facts)


def _digest(table: LabelledTable) -> str:
    """Returns the SHA-256 of what is learned from a table: that of a pipe is not known, and texts are cut."""
    digest = hashlib.sha256()
    for text in table.examples.sentences.texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\n")
    digest.update(table.targets.tobytes())
    return digest.hexdigest()


def layer_mix(mix: ScalarMix) -> dict[str, Any]:
    """Returns what the layers count, and their scale, for the record; says so where they were learned."""
    shares = [round(float(share), 6) for share in keras.ops.convert_to_numpy(mix.shares())]
    gamma = round(float(mix.gamma), 6)
    if mix.trainable:
        logger.info("layer mix: %s, gamma %.2f", " ".join(f"{share:.2f}" for share in shares), gamma)
    return {"weights": shares, "gamma": gamma}
