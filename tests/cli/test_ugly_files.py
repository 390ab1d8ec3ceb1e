"""elmo-train on tables as people have them: the public ones of the shared folder, about 200 rows of each."""

import json
from pathlib import Path

import pytest
from tiny_run import invoke

NUM_ROWS = 200
MISSING = 6375  # the row of the hotel file that has no text, counted from 0 with the header
FILES: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "airline_tweets_13cols_crlf.csv": (
        ("--label-column", "airline_sentiment"),
        {"negative", "neutral", "positive"},
    ),
    "sms_spam_v1v2.csv": (("--text-column", "v2", "--label-column", "v1"), {"ham", "spam"}),
    "msr_paraphrase_bom.tsv": (("--text-column", "#1 String", "--label-column", "Quality"), {"0", "1"}),
    "emotion_semicolon.txt": ((), {"anger", "fear", "joy", "love", "sadness", "surprise"}),
    "rt-polarity_cp1252_labelfirst.txt": (("--delimiter", " "), {"0", "1"}),
    "zh_hotel_missing_text.csv": (("--drop-empty",), {"0", "1"}),
}


def sample(source: Path, target: Path) -> list[int]:
    """Copies the header and rows from all over the file, byte for byte; returns the numbers of the rows."""
    rows = split(source.read_bytes(), quoted=source.suffix == ".csv")
    numbers = {0, *range(1, len(rows), len(rows) // NUM_ROWS)}
    if source.name.startswith("zh"):
        numbers.add(MISSING)
    target.write_bytes(b"".join(rows[number] for number in sorted(numbers)))
    return sorted(numbers)


def split(content: bytes, *, quoted: bool) -> list[bytes]:
    """Splits a file into rows with their ends; quoted cells may hold line breaks."""
    rows = [b""]
    for line in content.split(b"\n"):
        rows[-1] += line + b"\n"
        if not quoted or rows[-1].count(b'"') % 2 == 0:
            rows.append(b"")
    return [row for row in rows if row.strip()]


@pytest.mark.parametrize("name", FILES)
def test_a_classifier_is_trained_on_it(tiny: Path, shared: Path, tmp_path: Path, name: str) -> None:
    options, labels = FILES[name]
    numbers = sample(shared / "ugly" / name, tmp_path / name)
    run = tmp_path / "run"
    result = invoke("train", tmp_path / name, *options, "--elmo", tiny / "elmo", "-o", run, "--epochs", "1")
    assert result.exit_code == 0, result.output
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    rows = record["data"]["rows"]
    without = 0 if name.startswith("rt") else 1 + name.startswith("zh")  # a header; the row without text
    assert rows["train"] + rows["valid"] == len(numbers) - without
    assert set(json.loads((run / "preprocessor.json").read_text(encoding="utf-8"))["labels"]) == labels


def test_a_missing_text_is_named_by_row_and_column(tiny: Path, shared: Path, tmp_path: Path) -> None:
    name = "zh_hotel_missing_text.csv"
    row = 1 + sample(shared / "ugly" / name, tmp_path / name).index(MISSING)
    result = invoke("train", tmp_path / name, "--elmo", tiny / "elmo", "-o", tmp_path / "run")
    assert result.exit_code == 3
    assert f'{name}, row {row}, column "review": the text is empty' in result.stderr
    assert "--drop-empty" in result.stderr
