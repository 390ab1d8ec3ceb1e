"""elmo-predict: what comes in goes out with columns added, whatever its format."""

import io
import json
import os
import threading
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest
from tiny_run import invoke, write_csv

pytestmark = pytest.mark.usefixtures("loaded")

TEXTS = ["Rain fell on the hills.", "", "She baked bread.", 'He said "soup, please".', "Frost", "Salt, éh?"]


@pytest.fixture
def table() -> pd.DataFrame:
    """Six rows with more columns than are needed; one text is empty."""
    columns = {"id": [f"{n:03}" for n in range(6)], "text": TEXTS, "note": ["a", "", "b,c", "d", "", "é"]}
    return pd.DataFrame(columns, dtype=object)


def write(table: pd.DataFrame, path: Path) -> Path:
    kind = path.suffix
    if kind in (".csv", ".tsv"):
        table.to_csv(path, sep="\t" if kind == ".tsv" else ",", index=False)
    elif kind == ".jsonl":
        table.to_json(path, orient="records", lines=True, force_ascii=False)
    elif kind == ".parquet":
        table.to_parquet(path)
    else:
        path.write_text("".join(f"{text}\n" for text in table["text"]), encoding="utf-8")
    return path


def read(path: Path | io.BytesIO, kind: str) -> pd.DataFrame:
    if kind in (".csv", ".tsv"):
        return pd.read_csv(path, sep="\t" if kind == ".tsv" else ",", dtype=str, keep_default_na=False)
    return pd.read_json(path, lines=True, dtype=False) if kind == ".jsonl" else pd.read_parquet(path)


@pytest.mark.parametrize("source", [".csv", ".tsv", ".jsonl", ".parquet", ".txt"])
def test_every_format_in_and_every_format_out(
    tiny: Path, tmp_path: Path, table: pd.DataFrame, source: str, loaded: None
) -> None:
    path = write(table, tmp_path / f"in{source}")
    labels = {}
    for target in (".csv", ".tsv", ".jsonl", ".parquet", ".txt"):
        output = tmp_path / f"out{target}"
        options = ["--format", "lines"] if target == ".txt" else []
        result = invoke("predict", tiny / "run", path, "-o", output, *options)
        assert result.exit_code == 0, result.output
        assert "6 rows written" in result.stderr
        if target == ".txt":
            labels[target] = output.read_text().splitlines()
            continue
        back = read(output, target)
        kept = ["text"] if source == ".txt" else list(table.columns)
        assert list(back.columns) == [*kept, "predicted", "probability"]
        for column in kept:
            assert back[column].tolist() == table[column].tolist()
        assert back["probability"].astype(float).between(0.5, 1).all()
        labels[target] = back["predicted"].tolist()
    assert all(found == labels[".csv"] for found in labels.values())
    assert set(labels[".csv"]) <= {"kitchen", "sky"}


def test_stdout_has_the_format_of_the_input(
    tiny: Path, tmp_path: Path, table: pd.DataFrame, loaded: None
) -> None:
    for kind in (".csv", ".tsv", ".jsonl"):
        result = invoke("predict", tiny / "run", write(table, tmp_path / f"in{kind}"))
        assert result.exit_code == 0, result.output
        back = read(io.BytesIO(result.stdout_bytes), kind)
        assert back["text"].tolist() == TEXTS
        assert list(back.columns)[-2:] == ["predicted", "probability"]


def test_proba_and_top_k_add_columns(tiny: Path, tmp_path: Path, table: pd.DataFrame) -> None:
    path = write(table, tmp_path / "in.csv")
    result = invoke("predict", tiny / "run", path, "--proba", "--top-k", "2", "--prefix", "elmo_")
    assert result.exit_code == 0, result.output
    back = pd.read_csv(io.BytesIO(result.stdout_bytes))
    assert list(back.columns)[3:] == [
        "elmo_predicted",
        "elmo_probability",
        "elmo_predicted_2",
        "elmo_probability_2",
        "elmo_probability_of_kitchen",
        "elmo_probability_of_sky",
    ]
    both = back[["elmo_probability_of_kitchen", "elmo_probability_of_sky"]].to_numpy()
    np.testing.assert_allclose(both.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(back["elmo_probability"], both.max(axis=1))
    assert (back["elmo_predicted"] != back["elmo_predicted_2"]).all()
    best = np.array(["kitchen", "sky"])[both.argmax(axis=1)]
    assert back["elmo_predicted"].tolist() == best.tolist()


@pytest.mark.parametrize("top_k", [0, 3])
def test_top_k_beyond_the_classes_ends_with_2(tiny: Path, top_k: int) -> None:
    result = invoke("predict", tiny / "run", "a rainy day", "--top-k", top_k)
    assert result.exit_code == 2
    assert f"--top-k must be between 1 and the number of classes, 2; received {top_k}" in result.stderr


def test_a_column_of_the_same_name_ends_with_2(tiny: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "in.csv", [("rain", "yes")], header=("text", "predicted"))
    output = tmp_path / "out.csv"
    result = invoke("predict", tiny / "run", path, "-o", output)
    assert result.exit_code == 2
    assert 'in.csv has a column "predicted" already' in result.stderr
    assert "--prefix elmo_" in result.stderr
    assert not output.exists()
    result = invoke("predict", tiny / "run", path, "-o", output, "--prefix", "elmo_")
    assert list(pd.read_csv(output).columns) == ["text", "predicted", "elmo_predicted", "elmo_probability"]


def test_small_chunks_give_what_one_chunk_gives(tiny: Path, tmp_path: Path) -> None:
    whole = invoke("predict", tiny / "run", tiny / "train.csv", "--proba")
    pieces = invoke("predict", tiny / "run", tiny / "train.csv", "--proba", "--chunk-rows", "3")
    first, second = (pd.read_csv(io.BytesIO(result.stdout_bytes)) for result in (whole, pieces))
    assert len(first) == 42
    numbers = list(first.select_dtypes("number").columns)
    assert first.drop(columns=numbers).equals(second.drop(columns=numbers))
    np.testing.assert_allclose(first[numbers], second[numbers], atol=1e-6)


def test_texts_on_the_command_line(tiny: Path) -> None:
    result = invoke("predict", tiny / "run", "Rain fell on the hills.", "She baked bread.")
    assert result.exit_code == 0
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert rows[0] == ["text", "predicted", "probability"]
    assert [row[0] for row in rows[1:]] == ["Rain fell on the hills.", "She baked bread."]
    assert result.stderr == ""


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_lines_on_standard_input(tiny: Path, arguments: list[str]) -> None:
    result = invoke("predict", tiny / "run", *arguments, "-q", stdin="Rain fell.\n\nShe baked bread.\n")
    assert result.exit_code == 0, result.output
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row[0] for row in rows] == ["text", "Rain fell.", "", "She baked bread."]
    assert result.stderr == ""


def test_csv_and_jsonl_on_standard_input(tiny: Path) -> None:
    result = invoke("predict", tiny / "run", "-", stdin="id,text\n7,Rain fell.\n")
    assert result.stdout.startswith("id,text,predicted,probability\n7,Rain fell.,")
    result = invoke("predict", tiny / "run", "-", stdin='{"id": 7, "text": "Rain fell."}\n')
    row = json.loads(result.stdout)
    assert (row["id"], row["text"]) == (7, "Rain fell.")
    assert row["predicted"] in ("kitchen", "sky")


@pytest.mark.parametrize("chunk_rows", [1, 2, 9])
def test_rows_of_jsonl_without_a_text_are_empty_ones(tiny: Path, tmp_path: Path, chunk_rows: int) -> None:
    rows = '{"text": "hi there"}\n{"id": 7}\n{"id": 8}\n'
    (tmp_path / "in.jsonl").write_text(rows)
    empty = json.loads(invoke("predict", tiny / "run", "-", stdin='{"text": ""}\n').stdout)
    options = ["--chunk-rows", chunk_rows]
    for result in (
        invoke("predict", tiny / "run", tmp_path / "in.jsonl", *options),
        invoke("predict", tiny / "run", "-", *options, stdin=rows),
    ):
        assert result.exit_code == 0, result.output
        found = [json.loads(line) for line in result.stdout.splitlines()]
        assert [row.get("id") for row in found] == [None, 7, 8]
        for row in found[1:]:
            assert row["probability"] == pytest.approx(empty["probability"], abs=1e-6)


def test_jsonl_that_never_has_a_text_ends_with_3(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"id": 7}\n' * 3)
    for source, stdin in ((tmp_path / "in.jsonl", None), ("-", '{"id": 7}\n')):
        result = invoke("predict", tiny / "run", source, "--chunk-rows", 2, stdin=stdin)
        assert result.exit_code == 3
        assert 'there is no column "text"' in result.stderr


def test_another_text_column_by_name_and_by_number(tiny: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "in.csv", [("1", "rain"), ("2", "bread")], header=("id", "said"))
    by_name = invoke("predict", tiny / "run", path, "--text-column", "said")
    assert by_name.exit_code == 0, by_name.output
    assert invoke("predict", tiny / "run", path, "--text-column", "2").stdout == by_name.stdout
    result = invoke("predict", tiny / "run", path)
    assert result.exit_code == 3
    assert 'in.csv: there is no column "text"' in result.stderr
    assert "--text-column" in result.stderr


def test_writing_over_the_input_is_refused(tiny: Path) -> None:
    before = (tiny / "test.csv").read_bytes()
    result = invoke("predict", tiny / "run", tiny / "test.csv", "-o", tiny / "run" / ".." / "test.csv")
    assert result.exit_code == 2
    assert "would replace the input itself" in result.stderr
    assert (tiny / "test.csv").read_bytes() == before


@pytest.mark.parametrize("name", ["nowhere.csv", "nowhere.txt", "nowhere/new.data", "nowhere.csv.gz"])
def test_a_missing_file_ends_with_3(tiny: Path, name: str) -> None:
    result = invoke("predict", tiny / "run", name)
    assert result.exit_code == 3
    assert f"{name}: there is no such file" in result.stderr


@pytest.mark.parametrize("text", ["either/or", "Version 2.0", "e.g.", "Wait...", "x" * 5000, "3.14"])
def test_what_is_no_file_name_is_a_text(tiny: Path, text: str) -> None:
    result = invoke("predict", tiny / "run", text, "--format", "jsonl")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["text"] == text


def test_an_empty_text_and_dots_within_one_are_texts(tiny: Path) -> None:
    for texts in ([""], ["Wow...great", "bad"]):
        result = invoke("predict", tiny / "run", *texts)
        assert result.exit_code == 0, result.output
        assert len(result.stdout.splitlines()) == 1 + len(texts)


def test_writing_over_a_file_of_the_run_is_refused(run: Path, tiny: Path) -> None:
    before = (run / "predictions" / "test.csv").read_bytes()
    result = invoke("predict", run, tiny / "test.csv", "-o", run / "predictions" / "test.csv")
    assert result.exit_code == 2
    assert "would replace a file of the run" in result.output
    assert (run / "predictions" / "test.csv").read_bytes() == before


def test_two_files_end_with_2(tiny: Path) -> None:
    result = invoke("predict", tiny / "run", tiny / "train.csv", tiny / "test.csv")
    assert result.exit_code == 2
    assert "One file at a time" in result.stderr


def test_a_failure_half_way_leaves_the_finished_rows_and_no_file(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,text\n" + "1,rain\n" * 9 + "1,rain,too many\n")
    output = tmp_path / "out.csv"
    result = invoke("predict", tiny / "run", tmp_path / "in.csv", "-o", output, "--chunk-rows", "4")
    assert result.exit_code == 3
    assert "in.csv, row 11: expected 2 cells" in result.stderr
    assert f"the first 8 rows are in {output}.part" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv.part"]
    assert len(pd.read_csv(tmp_path / "out.csv.part")) == 8


@pytest.mark.parametrize("kind", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_what_was_finished_before_ctrl_c_is_kept(
    tiny: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from elmo_cli.workflows.predict import Predictor

    really, pieces = Predictor.__call__, []

    def third_time_interrupted(self: Predictor, table: pd.DataFrame) -> pd.DataFrame:
        pieces.append(table)
        if len(pieces) == 3:
            raise KeyboardInterrupt
        return really(self, table)

    whole, output = tmp_path / f"whole{kind}", tmp_path / f"out{kind}"
    assert invoke("predict", tiny / "run", tiny / "train.csv", "-o", whole, "--chunk-rows", 5).exit_code == 0
    monkeypatch.setattr(Predictor, "__call__", third_time_interrupted)
    result = invoke("predict", tiny / "run", tiny / "train.csv", "-o", output, "--chunk-rows", 5)
    assert result.exit_code == 130
    part = tmp_path / f"out{kind}.part"
    left = [path.name for path in tmp_path.iterdir() if path != whole]
    if kind == ".parquet":
        assert left == []
        return
    assert left == [part.name]
    assert f"the first 10 rows are in {part}" in result.stderr
    assert part.read_bytes() == b"".join(whole.read_bytes().splitlines(True)[: 10 + (kind != ".jsonl")])


def test_a_longer_part_of_an_earlier_try_stays(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from elmo_cli.workflows.predict import Predictor

    really, pieces = Predictor.__call__, []

    def interrupted(self: Predictor, table: pd.DataFrame) -> pd.DataFrame:
        pieces.append(table)
        if len(pieces) in (4, 6):
            raise KeyboardInterrupt
        return really(self, table)

    monkeypatch.setattr(Predictor, "__call__", interrupted)
    for _ in range(2):
        command = ("predict", tiny / "run", tiny / "train.csv", "-o", tmp_path / "out.csv", "--chunk-rows", 5)
        result = invoke(*command)
        assert result.exit_code == 130
    assert "out.csv.part, of an earlier try, holds more and stays" in result.stderr
    assert len(pd.read_csv(tmp_path / "out.csv.part")) == 15


def test_a_named_pipe_whose_reader_goes_away_is_an_error(tiny: Path, tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: os.close(os.open(pipe, os.O_RDONLY)))
    reader.start()
    result = invoke("predict", tiny / "run", tiny / "train.csv", "-o", pipe, "--chunk-rows", 1)
    reader.join()
    assert result.exit_code == 2
    assert "its reader went away before everything was written" in result.stderr


def test_blank_lines_of_a_table_of_one_column_are_rows(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text\n\nRain fell.\n\n\nShe baked bread.\n\n")
    result = invoke("predict", tiny / "run", tmp_path / "in.csv")
    assert result.exit_code == 0, result.output
    found = pd.read_csv(io.StringIO(result.stdout), keep_default_na=False)
    assert found["text"].tolist() == ["", "Rain fell.", "", "", "She baked bread."]
    assert "3 rows without text: what is predicted for it says nothing" in result.stderr
    result = invoke("predict", tiny / "run", tmp_path / "in.csv", "-o", "-")
    assert len(pd.read_csv(io.StringIO(result.stdout), keep_default_na=False)) == 5
    assert found["predicted"].isin(["kitchen", "sky"]).all()


def test_numbers_of_parquet_are_texts_and_missing_ones_are_empty(tiny: Path, tmp_path: Path) -> None:
    pd.DataFrame({"text": pd.array([7, None, 8], "Int64")}).to_parquet(tmp_path / "in.parquet")
    result = invoke("predict", tiny / "run", tmp_path / "in.parquet", "-o", tmp_path / "out.csv")
    assert result.exit_code == 0, result.output
    assert "1 row without text" in result.stderr
    assert len(pd.read_csv(tmp_path / "out.csv")) == 3


@pytest.mark.parametrize("column", ["reveiw", "2"])
def test_a_column_that_a_pipe_does_not_have_is_said(tiny: Path, column: str) -> None:
    table = "id;review\n7;Rain fell.\n"
    result = invoke("predict", tiny / "run", "-", "--text-column", column, stdin=table)
    assert result.exit_code == 3
    assert f"no column \"{column}\" can be made out; the first line is 'id;review'" in result.stderr
    result = invoke("predict", tiny / "run", "-", "--text-column", column, "--delimiter", ";", stdin=table)
    assert result.exit_code == (0 if column == "2" else 3)


def test_standard_input_may_be_closed(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from elmo_cli.cli import options

    monkeypatch.setattr(options.sys, "stdin", None)
    with pytest.raises(click.UsageError, match="Standard input is closed"):
        options.standard_input()


@pytest.mark.parametrize("command", ["predict", "embed"])
def test_a_name_too_long_for_a_file_is_said(tiny: Path, tmp_path: Path, command: str) -> None:
    run = [tiny / "run"] if command == "predict" else []
    result = invoke(command, *run, tiny / "test.csv", "-o", tmp_path / f"{'x' * 300}.npz")
    assert result.exit_code == 2, result.output
    assert "File name too long" in result.stderr


def test_a_part_is_not_written_over_the_input(tiny: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "out.csv.part", [("rain", "1")], header=("text", "n"))
    result = invoke("predict", tiny / "run", path, "-o", tmp_path / "out.csv")
    assert result.exit_code == 2
    assert "would replace the input itself" in result.stderr


@pytest.mark.parametrize(
    ("name", "kind"), [("out.pq", ".parquet"), ("out.tab", ".tsv"), ("out.json", ".jsonl"), ("o.CSV", ".csv")]
)
def test_the_ending_of_the_output_tells_its_format(tiny: Path, tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / "in.txt").write_text("Rain fell.\nShe baked bread.\n")
    result = invoke("predict", tiny / "run", tmp_path / "in.txt", "-o", tmp_path / name)
    assert result.exit_code == 0, result.output
    assert read(tmp_path / name, kind)["text"].tolist() == ["Rain fell.", "She baked bread."]


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "in.csv is empty"), ("id,text\n", "only a header"), ("id,text\n1,a\0b\n", "row 2")],
)
def test_bad_data_ends_with_3(tiny: Path, tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "in.csv").write_text(content)
    result = invoke("predict", tiny / "run", tmp_path / "in.csv")
    assert (result.exit_code, result.stdout) == (3, "")
    assert message in result.stderr


def test_empty_standard_input_ends_with_3(tiny: Path) -> None:
    result = invoke("predict", tiny / "run", stdin="")
    assert result.exit_code == 3
    assert "standard input is empty" in result.stderr


def test_a_directory_ends_with_3(tiny: Path) -> None:
    result = invoke("predict", tiny / "run", tiny)
    assert result.exit_code == 3
    assert "is a directory" in result.stderr


def test_parquet_on_a_terminal_ends_with_2(tiny: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    result = invoke("predict", tiny / "run", write(table, tmp_path / "in.parquet"))
    assert result.exit_code == 2
    assert "Parquet cannot be written to standard output" in result.stderr


def test_how_the_training_table_was_read_is_kept_in_mind(tiny: Path, tmp_path: Path) -> None:
    rows = (tiny / "train.csv").read_text(encoding="utf-8").splitlines()[1:]
    # No header, labels first, the text being all that follows.
    lines = [f"{label} {text}".replace('"', "") for text, _, label in (row.rpartition(",") for row in rows)]
    (tmp_path / "train.txt").write_text("\n".join(lines))
    (tmp_path / "new.txt").write_text("sky It rained.\nkitchen We ate.\n")
    result = invoke(
        "train", tmp_path / "train.txt", "--delimiter", " ", "--no-header", "-o", tmp_path / "run",
        "--elmo", tiny / "elmo", "--epochs", "1",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    result = invoke("predict", tmp_path / "run", tmp_path / "new.txt")
    assert result.exit_code == 0, result.output
    assert [line.split("\t")[:2] for line in result.stdout.splitlines()] == [
        ["label", "text"],
        ["sky", "It rained."],
        ["kitchen", "We ate."],
    ]
