"""fastText, where its package is installed: averaged vectors of words and pairs of words, learned anew."""

import tempfile
from pathlib import Path

import numpy as np

from contestants.tasks import Task
from elmo_cli.text.tokens import tokenizer

# As in fastText's own tutorial; with its defaults it is far worse on small tables.
SETTINGS = {"lr": 0.5, "wordNgrams": 2}
EPOCHS, UPDATES = 25, 50_000  # at least; 25 epochs of a few hundred rows leave it half learned
BUCKETS = 200_000  # of pairs of words; the 2,000,000 that fastText takes by default need 800 MB


def fasttext(task: Task) -> float:
    """Returns the test accuracy; the tokens are those of elmo-train, lower-cased.

    Raises:
        ImportError: Without the package.
    """
    from fasttext import train_supervised

    names, targets = np.unique(task.train["label"], return_inverse=True)
    train, test = (_lines(list(table["text"])) for table in (task.train, task.test))
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "train.txt"
        rows = (f"__label__{target} {line}\n" for target, line in zip(targets, train, strict=True))
        file.write_text("".join(rows), encoding="utf-8")
        epochs = max(EPOCHS, UPDATES // len(train))
        # One thread alone gives the same numbers each time.
        model = train_supervised(
            str(file), **SETTINGS, epoch=epochs, bucket=BUCKETS, seed=task.seed, thread=1, verbose=0
        )
    found, _ = model.predict(test)
    return task.accuracy(names[[int(labels[0].removeprefix("__label__")) for labels in found]])


def _lines(texts: list[str]) -> list[str]:
    return [text.lower() for text in tokenizer("treebank").join_all(texts)]
