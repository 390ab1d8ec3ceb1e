"""What elmo-train makes of the same rows, in this process so that TensorFlow is started once."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contestants.tasks import Task
from elmo_cli.config_yaml import load_config
from elmo_cli.elmo.cache import EmbeddingCache
from elmo_cli.workflows.new_run import NewRun
from elmo_cli.workflows.train import train
from elmo_cli.workflows.training_tables import read_training_tables

# The tables are written here, so nothing about them needs to be found out.
READING = {
    "data.format": "csv",
    "data.delimiter": ",",
    "data.encoding": "utf-8",
    "data.quoting": True,
    "data.header": True,
    "data.text_column": "text",
    "data.label_column": "label",
}


def elmo_train(
    task: Task, handle: str, *, settings: Mapping[str, Any], cache: EmbeddingCache | None = None
) -> float:
    """Trains as ``elmo-train train.csv --test test.csv --seed SEED`` does and returns the test accuracy.

    Args:
        task: A tenth of its training rows is split off for validation, as by default.
        handle: The ELMo.
        settings: What differs from the defaults, by dotted key.
        cache: Where embeddings are kept, so that each text is embedded once.
    """
    with tempfile.TemporaryDirectory() as place:
        tables = {"data.train": task.train, "data.test": task.test}
        paths = {key: str(Path(place) / f"{key}.csv") for key in tables}
        for key, table in tables.items():
            table.to_csv(paths[key], index=False)
        config = load_config(None, {**READING, **paths, "elmo.handle": handle, "seed": task.seed, **settings})
        with NewRun(Path(place) / "run", config) as run:
            return train(run, read_training_tables(config), cache).reports["test"].accuracy
