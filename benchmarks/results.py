"""Results that outlive the process: one JSON line for each, written when it is there."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cell:
    """What was measured.

    Args:
        dataset: Name of the set.
        data: Fingerprint of its tables.
        rows: Training rows: a number, or ``all``.
        seed: Of draw and training.
        contestant: Who.
        weights: Fingerprint of the ELMo that it began with, if any.
    """

    dataset: str
    data: str
    rows: str
    seed: int
    contestant: str
    weights: str


class ResultsFile:
    """Test accuracy by cell, in a file of JSON lines that a later process goes on with.

    Args:
        path: The file; it is made when the first result comes. A last line that a killed process did not
            finish is cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.accuracies: dict[Cell, float] = {}
        if not path.exists():
            return
        with open(path, "r+b") as file:
            whole = file.read()
            file.truncate(whole.rfind(b"\n") + 1)
        for line in whole[: whole.rfind(b"\n") + 1].decode("utf-8").splitlines():
            fields = json.loads(line)
            accuracy = fields.pop("accuracy")
            del fields["seconds"]
            self.accuracies[Cell(**fields)] = accuracy

    def add(self, cell: Cell, accuracy: float, *, seconds: float) -> None:
        """Keeps a result.

        Args:
            cell: What was measured.
            accuracy: Share of the test rows predicted right.
            seconds: What it took.
        """
        self.accuracies[cell] = accuracy
        line = json.dumps(asdict(cell) | {"accuracy": accuracy, "seconds": round(seconds, 1)})
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
