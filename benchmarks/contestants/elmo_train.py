"""What elmo-train makes of the same rows, in this process so that TensorFlow is started once."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contestants.tasks import Task
from elmo_cli.config_yaml import load_config
from elmo_cli.elmo.cache import EmbeddingCache
from elmo_cli.workflows.new_run import NewRun
from elmo_cli.workflows.predict import Predictor
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


class ElmoTrain:
    """A training with `elmo-train`, judged with TF-IDF beside ELMo and without.

    Args:
        handle: The ELMo.
        settings: What differs from the defaults, by dotted key.
        cache: Where embeddings are kept, so that each text is embedded once.
    """

    def __init__(self, handle: str, settings: Mapping[str, Any], cache: EmbeddingCache | None = None) -> None:
        self._handle = handle
        self._settings = settings
        self._cache = cache
        self._last: tuple[Task, float, float] | None = None

    def alone(self, task: Task) -> float:
        """Returns the test accuracy of ELMo's classifier alone."""
        return self._judged(task)[1]

    def together(self, task: Task) -> float:
        """Returns the test accuracy of the whole run."""
        return self._judged(task)[2]

    def _judged(self, task: Task) -> tuple[Task, float, float]:
        """Trains as ``elmo-train train.csv --test test.csv --seed SEED`` does, once for both figures.

        A tenth of the training rows is split off for validation, as by default.
        """
        if self._last is None or self._last[0] is not task:
            with tempfile.TemporaryDirectory() as place:
                run = Path(place) / "run"
                together = self._train(task, run)
                predictor = Predictor(run, cache=self._cache)
                predictor.tfidf = None
                alone = task.accuracy(predictor(task.test)["predicted"].to_numpy())
            self._last = (task, alone, together)
        return self._last

    def _train(self, task: Task, place: Path) -> float:
        tables = {"data.train": task.train, "data.test": task.test}
        paths = {key: str(place.with_name(f"{key}.csv")) for key in tables}
        for key, table in tables.items():
            table.to_csv(paths[key], index=False)
        given = {**READING, **paths, "elmo.handle": self._handle, "seed": task.seed, **self._settings}
        config = load_config(None, given)
        with NewRun(place, config) as run:
            return train(run, read_training_tables(config), self._cache).reports["test"].accuracy
