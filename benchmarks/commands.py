"""Commands as a user runs them, what they cost, and rows to give them."""

import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SENSES = Path(__file__).resolve().parents[1] / "data" / "senses"
# Units of ru_maxrss: bytes on macOS, else KiB.
_RSS_BYTES = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Cost:
    """What a process took.

    Args:
        answer_s: Seconds until the lines of its answer had come; to its end where none were asked for.
        seconds: Seconds to its end.
        processor_s: Seconds of all processor cores together; they suffer less when others use the machine.
        peak_bytes: Most memory that it had at once.
    """

    answer_s: float
    seconds: float
    processor_s: float
    peak_bytes: int


def elmo(command: str) -> str:
    """Returns the path of a command in the environment of this interpreter."""
    return str(Path(sys.executable).with_name(f"elmo-{command}"))


def split_at_dashes(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Splits a benchmark's arguments from those after ``--``, which are for the command it runs."""
    place = argv.index("--") if "--" in argv else len(argv)
    return list(argv[:place]), list(argv[place + 1 :])


def measure(command: list[str], *, cache: Path, answer_lines: int = 0) -> Cost:
    """Runs a command to its end.

    Args:
        command: Program and arguments.
        cache: Directory that it takes for elmo-cli's cache.
        answer_lines: Lines of standard output that are the answer.

    Returns:
        Its cost.

    Raises:
        SystemExit: When it fails; what it said is part of the message.
    """
    environment = os.environ | {"ELMO_CLI_CACHE": str(cache)}
    start = time.perf_counter()
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=complaints, env=environment, text=True
        ) as process,
    ):
        if process.stdout is None:
            raise RuntimeError("a pipe was asked for")
        for _ in range(answer_lines):
            process.stdout.readline()
        answer_s = time.perf_counter() - start
        process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            complaints.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{complaints.read()}")
    return Cost(
        answer_s=answer_s if answer_lines else seconds,
        seconds=seconds,
        processor_s=usage.ru_utime + usage.ru_stime,
        peak_bytes=usage.ru_maxrss * _RSS_BYTES,
    )


def train_on_senses(run: Path, *, cache: Path) -> None:
    """Trains a run with the bundled ELMo on the sample data, for one epoch."""
    command = [elmo("train"), str(SENSES / "train.csv"), "-o", str(run), "--epochs", "1", "--quiet"]
    measure(command, cache=cache)


def distinct_texts(count: int) -> Iterator[str]:
    """Makes short texts, all different, of words of the sample data: 4 to 10 of them.

    The first four words of a text spell a multiple of its number in a system of as many digits as there are
    words; the factor is a prime (Knuth's, for hashing), so that no two texts begin alike.
    """
    with open(SENSES / "train.csv", newline="", encoding="utf-8") as file:
        words = sorted({word for row in csv.DictReader(file) for word in row["text"].lower().split()})
    random = np.random.default_rng(0)
    for number in range(count):
        digits = [number * 2_654_435_761 // len(words) ** place % len(words) for place in range(4)]
        more = random.integers(len(words), size=random.integers(7))
        yield " ".join(words[digit] for digit in (*digits, *more))
