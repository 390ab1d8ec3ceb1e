"""How right is elmo-train with the bundled ELMo, and what of that is owed to ELMo's pre-training?

    python benchmarks/quality.py ../shared/datasets/{trec,subj,sst2} data/requests data/senses
    python benchmarks/quality.py ../shared/datasets/trec --rows 100 500 --only frozen --elmo CHECKPOINT

Each folder holds train.csv and test.csv with the columns text and label. All contestants
(contestants/classifiers.py) are given the same rows, drawn anew for each seed with every class in proportion:
TF-IDF with logistic regression; fastText, where it is installed; an ELMo of the same shape that was never
trained; the ELMo itself, frozen and fine-tuned (`--trainable all`), each alone and together with TF-IDF. With
an ELMo it is elmo-train with its default settings, which splits off a tenth of the rows for validation. The
table shows mean and sample standard deviation of the test accuracy over the seeds, in per cent.

Each result is appended to --output as soon as it is there: a benchmark that was killed goes on where it
stopped. The file tells data and weights apart, but not versions of the code: where that has changed what is
learned, begin another file.
"""

import argparse
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from contestants.classifiers import Classifier, line_up
from contestants.tasks import ALL, Dataset
from documents import Part
from results import Cell, ResultsFile

from elmo_cli.elmo.cache import EmbeddingCache
from elmo_cli.elmo.source import resolve

README = Path(__file__).with_name("README.md")


@dataclass(frozen=True)
class Grid:
    """What is compared.

    Args:
        datasets: The sets.
        contestants: Those that learn; one column of the table each.
        sizes: Numbers of training rows, or ``all``; a set leaves out what it has not.
        num_seeds: How many draws of each size.
    """

    datasets: Sequence[Dataset]
    contestants: Sequence[Classifier]
    sizes: Sequence[str]
    num_seeds: int

    def measure(self, results: ResultsFile) -> None:
        """Adds the results that are missing, those of few rows first."""
        for dataset, size in self._tasks():
            for seed in range(self.num_seeds):
                task = dataset.task(size, seed)  # one for all: some are trained once for two figures
                for contestant in self.contestants:
                    cell = cell_of(dataset, size, seed, contestant)
                    if cell in results.accuracies:
                        continue
                    start = time.perf_counter()
                    accuracy = contestant.accuracy(task)
                    seconds = time.perf_counter() - start
                    results.add(cell, accuracy, seconds=seconds)
                    where = f"{dataset.name}, {size} rows, seed {seed}, {contestant.name}"
                    print(f"{where}: {accuracy:.1%} in {seconds:.1f} s", file=sys.stderr)

    def table(self, results: ResultsFile) -> str:
        """Returns the results as a Markdown table, one column for each contestant."""
        names = " | ".join(contestant.name for contestant in self.contestants)
        lines = [f"| set | rows | {names} |", "|---|---|" + "---|" * len(self.contestants)]
        for dataset, size in self._tasks():
            spreads = [
                spread(
                    [results.accuracies[cell_of(dataset, size, seed, each)] for seed in range(self.num_seeds)]
                )
                for each in self.contestants
            ]
            rows = f"all {len(dataset.train):,}" if size == ALL else size
            lines.append(f"| {dataset.name} | {rows} | {' | '.join(spreads)} |")
        return "\n".join(lines)

    def _tasks(self) -> Iterator[tuple[Dataset, str]]:
        for dataset in self.datasets:
            for size in dataset.sizes(self.sizes):
                yield dataset, size


def cell_of(dataset: Dataset, size: str, seed: int, contestant: Classifier) -> Cell:
    """Names a result."""
    return Cell(dataset.name, dataset.fingerprint, size, seed, contestant.name, contestant.weights)


def spread(accuracies: Sequence[float]) -> str:
    """Returns mean and sample standard deviation in per cent."""
    mean = f"{100 * statistics.mean(accuracies):.1f}"
    return f"{mean} ± {100 * statistics.stdev(accuracies):.1f}" if len(accuracies) > 1 else mean


def number_of_rows(text: str) -> str:
    """Reads one of --rows."""
    if text != ALL and int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text} rows are too few to learn from")
    return text


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--rows", nargs="+", type=number_of_rows, default=["100", "500", ALL])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--elmo", default="bundled", help="the ELMo to judge")
    parser.add_argument("--only", nargs="+", metavar="CONTESTANT", help="names as in the table")
    parser.add_argument("--output", type=Path, default=Path("runs/quality.jsonl"), help="results, one a line")
    parser.add_argument(
        "--write", action="store_true", help="write the table into README.md and the model card, too"
    )
    chosen = parser.parse_args(arguments)
    if chosen.write and chosen.elmo != "bundled":
        parser.error("--write is for the bundled ELMo, whose model card it changes")
    documents = [README, resolve("bundled").path / "MODEL_CARD.md"] if chosen.write else []
    parts = [Part(document, "quality.py") for document in documents]
    for part in parts:  # better now than when all is measured
        part.check()
    # TensorFlow warns of many graphs; they are as many as the results, each of which has its own.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, EmbeddingCache() as cache:
        contestants = line_up(chosen.elmo, place=Path(place), cache=cache)
        if chosen.only:
            names = [contestant.name for contestant in contestants]
            if unknown := set(chosen.only) - set(names):
                parser.error(f"--only {', '.join(sorted(unknown))}: there is {', '.join(names)}")
            contestants = [contestant for contestant in contestants if contestant.name in chosen.only]
        grid = Grid([Dataset(folder) for folder in chosen.folders], contestants, chosen.rows, chosen.seeds)
        results = ResultsFile(chosen.output)
        grid.measure(results)
    table = grid.table(results)
    print(table)
    for part in parts:
        part.write(table)


if __name__ == "__main__":
    main()
