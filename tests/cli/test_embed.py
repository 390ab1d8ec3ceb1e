"""elmo-embed: the texts of any table become vectors in a file, whole or not at all."""

import functools
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from bilm.oracle import Oracle
from classifier.tiny_embedder import WholeTextEmbedder
from click.testing import Result
from tiny_run import invoke, write_csv

from elmo_cli.text.tokens import tokenizer
from elmo_cli.workflows import embed, predict

TEXTS = ["Rain fell on the hills.", "", "She baked bread.", 'He said "soup, please".', "Frost", "Salt, éh?"]
Embed = Callable[..., Result]

load_once = functools.cache(embed.load_embedder)


@pytest.fixture(autouse=True)
def _graphs_are_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "load_embedder", load_once)
    monkeypatch.setattr(predict, "load_embedder", load_once)


@pytest.fixture(scope="module")
def layers(tiny: Path) -> list[np.ndarray]:
    """Of each text all layers, float64 (3, T, 16), by a network in plain NumPy."""
    oracle = Oracle(tiny / "elmo" / "options.json", tiny / "elmo" / "weights.hdf5")
    return [oracle.layers(text.split(" ")) for text in tokenizer("treebank").join_all(TEXTS)]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Six rows with more columns than are needed; one text is empty."""
    return write_csv(tmp_path / "in.csv", [(n, t, "x") for n, t in enumerate(TEXTS)], ("id", "text", "note"))


@pytest.fixture
def to(tiny: Path) -> Embed:
    """Runs the command with the tiny ELMo."""
    return lambda *arguments, **more: invoke("embed", *arguments, "--elmo", tiny / "elmo", **more)


def close(found: Any, expected: list[np.ndarray]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert np.shape(one) == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("chunk_rows", [2, 4096])
def test_hdf5_has_what_allennlp_wrote(
    to: Embed, table: Path, layers: list[np.ndarray], tmp_path: Path, chunk_rows: int
) -> None:
    for chosen, expected in (("all", layers), ("2", [each[2] for each in layers])):
        out = tmp_path / "out.hdf5"
        result = to(table, "-o", out, "--layers", chosen, "--pool", "none", "--chunk-rows", chunk_rows)
        assert result.exit_code == 0, result.output
        assert f"The vectors of 6 rows were written to {out}" in result.stderr
        with h5py.File(out) as file:
            close([file[str(row)][...] for row in range(6)], expected)
            assert {file[str(row)].dtype for row in range(6)} == {np.dtype(np.float32)}
            index = json.loads(file["sentence_to_index"][0])
            assert index["Rain fell on the hills ."] == "0"
            assert len(file) == 7


@pytest.mark.parametrize("chunk_rows", [2, 4096])
def test_npz_loads_without_pickle(
    to: Embed, table: Path, layers: list[np.ndarray], tmp_path: Path, chunk_rows: int
) -> None:
    out = tmp_path / "out.npz"
    result = to(table, "-o", out, "--chunk-rows", chunk_rows)
    assert result.exit_code == 0, result.output
    assert "The layers count 0.333, 0.333, 0.333 in the mix; gamma is 1.000" in result.stderr
    with np.load(out, allow_pickle=False) as archive:
        close(archive["vectors"], [each.mean(axis=(0, 1)) for each in layers])
        assert archive["lengths"].tolist() == [each.shape[1] for each in layers]
    result = to(table, "-o", out, "--pool", "none", "--layers", "0,2", "--chunk-rows", chunk_rows)
    assert result.exit_code == 0, result.output
    with np.load(out, allow_pickle=False) as archive:
        rows = np.split(archive["vectors"], archive["offsets"][1:-1])
        close(rows, [np.moveaxis(each[[0, 2]], 0, 1) for each in layers])


@pytest.mark.parametrize("chunk_rows", [2, 4096])
def test_parquet_keeps_the_columns(
    to: Embed, table: Path, layers: list[np.ndarray], tmp_path: Path, chunk_rows: int
) -> None:
    out = tmp_path / "out.parquet"
    options = ["--pool", "mean,max", "--layers", "all", "--prefix", "elmo_", "--chunk-rows", chunk_rows]
    result = to(table, "-o", out, *options)
    assert result.exit_code == 0, result.output
    back = pq.read_table(out)
    assert back.column_names == ["id", "text", "note", "elmo_vector"]
    assert back.column("text").to_pylist() == TEXTS
    expected = [np.concatenate([each.mean(axis=1), each.max(axis=1)], axis=1) for each in layers]
    close(back.column("elmo_vector").to_pylist(), expected)
    assert pq.ParquetFile(out).num_row_groups == (3 if chunk_rows == 2 else 1)


@pytest.mark.parametrize("kind", [".tsv", ".jsonl", ".parquet", ".txt", "pipe"])
def test_every_format_comes_in(to: Embed, layers: list[np.ndarray], tmp_path: Path, kind: str) -> None:
    frame, path, stdin = pd.DataFrame({"n": range(6), "sentence": TEXTS}), tmp_path / f"in{kind}", None
    if kind == ".tsv":
        frame.to_csv(path, sep="\t", index=False)
    elif kind == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    elif kind == ".parquet":
        frame.to_parquet(path)
    else:
        stdin = "".join(f"{text}\n" for text in TEXTS)
        path.write_text(stdin, encoding="utf-8")
    out = tmp_path / "out.npz"
    result = to("-" if kind == "pipe" else path, "-o", out, "--layers", "1", stdin=stdin)
    assert result.exit_code == 0, result.output
    close(np.load(out)["vectors"], [each[1].mean(axis=0) for each in layers])


def test_texts_that_are_split_already_and_cut(to: Embed, tiny: Path, tmp_path: Path) -> None:
    lines = ["It isn't cold .", "Frost"]
    (tmp_path / "in.txt").write_text("\n".join(lines))
    out, options = tmp_path / "out.data", ["--format", "hdf5", "--pool", "none", "--tokenizer", "whitespace"]
    result = to(tmp_path / "in.txt", "-o", out, *options, "--max-length", 3)
    assert result.exit_code == 0, result.output
    assert "At most 3 tokens of a text: 1 of 2 rows was cut and lost 1 of 5 tokens" in result.stderr
    oracle = Oracle(tiny / "elmo" / "options.json", tiny / "elmo" / "weights.hdf5")
    with h5py.File(out) as file:
        expected = [oracle.layers(tokens.split()).mean(axis=0) for tokens in ("It isn't cold", "Frost")]
        close([file["0"][...], file["1"][...]], expected)
        assert json.loads(file["sentence_to_index"][0]) == {"It isn't cold": "0", "Frost": "1"}


def test_a_maximum_length_beyond_all_texts_cuts_nothing(
    to: Embed, table: Path, layers: list[np.ndarray], tmp_path: Path
) -> None:
    result = to(table, "-o", tmp_path / "out.npz", "--max-length", 2**40)
    assert result.exit_code == 0, result.output
    close(np.load(tmp_path / "out.npz")["vectors"], [each.mean(axis=(0, 1)) for each in layers])


def test_a_run_brings_its_elmo_and_its_mix(
    tiny: Path, table: Path, layers: list[np.ndarray], tmp_path: Path
) -> None:
    out = tmp_path / "out.npz"
    result = invoke("embed", table, "-o", out, "--run", tiny / "run", "--precision", "float32")
    assert result.exit_code == 0, result.output
    with h5py.File(tiny / "run" / "model" / "classifier.weights.h5") as file:
        weights, gamma = (file[f"layers/scalar_mix/vars/{number}"][...] for number in (0, 1))
    assert weights.any(), "training changed nothing, the test would say nothing"
    shares = np.exp(weights) / np.exp(weights).sum()
    expected = [gamma * np.tensordot(shares, each.mean(axis=1), 1) for each in layers]
    close(np.load(out)["vectors"], expected)
    assert f"The layers count {shares[0]:.3f}, " in result.stderr


@pytest.mark.parametrize("kind", ["npz", "hdf5", "parquet"])
def test_a_table_without_rows_makes_a_file_without_vectors(to: Embed, tmp_path: Path, kind: str) -> None:
    (tmp_path / "in.csv").write_text("id,text\n")
    out = tmp_path / f"out.{kind}"
    result = to(tmp_path / "in.csv", "-o", out)
    assert result.exit_code == 0, result.output
    assert "The vectors of 0 rows were written" in result.stderr
    if kind == "npz":
        assert np.load(out)["vectors"].shape == (0, 16)
    elif kind == "hdf5":
        with h5py.File(out) as file:
            assert list(file) == ["sentence_to_index"]
    else:
        back = pq.read_table(out)
        assert (back.column_names, back.num_rows) == (["id", "text", "vector"], 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layers", "top"], "--layers must be mix, all, or numbers"),
        (["--layers", "5"], "there is no layer 5"),
        (["--pool", "attention"], "--pool must be none, mean, max or mean,max"),
        (["--dtype", "int8"], "'int8' is not one of"),
        (["--max-length", "0"], "--max-length"),
        (["--prefix", "elmo_"], "--prefix elmo_ is for the columns that Parquet gets, but -o "),
        (["--prefix", "elmo_", "--format", "hdf5"], "out.npz is hdf5 and has none. Leave it out"),
        (["--run", "nowhere"], "nowhere does not exist"),
        (["--delimiter", "ab"], "data.delimiter"),
    ],
)
def test_wrong_options_end_with_2(
    to: Embed, table: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    result = to(table, "-o", tmp_path / "out.npz", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("out.csv", "--format npz|hdf5|parquet"), ("-", "--format npz|hdf5|parquet"), (".", "is a directory")],
)
def test_what_cannot_be_written_ends_with_2(to: Embed, table: Path, name: str, message: str) -> None:
    result = to(table, "-o", name)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a directory that takes no files")
@pytest.mark.parametrize("kind", ["npz", "hdf5", "parquet"])
def test_a_place_that_takes_no_file_is_said_before_anything_is_embedded(
    to: Embed, table: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("texts were embedded")

    monkeypatch.setattr(embed.Embedding, "pieces", fail)
    result = to(table, "-o", f"/proc/v.{kind}")
    assert result.exit_code == 2
    assert f"/proc/v.{kind} cannot be written" in result.stderr


def test_without_output_it_ends_with_2(to: Embed, table: Path) -> None:
    result = to(table)
    assert result.exit_code == 2
    assert "Missing option '-o'" in result.stderr


def test_writing_over_the_input_is_refused(to: Embed, tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pd.DataFrame({"text": TEXTS}).to_parquet(path)
    before = path.read_bytes()
    result = to(path, "-o", tmp_path / ".." / tmp_path.name / "in.parquet")
    assert result.exit_code == 2
    assert "would replace the input itself" in result.stderr
    assert path.read_bytes() == before


def content_of(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["weights.hdf5", "options.json"])
def test_writing_over_the_elmo_is_refused(tiny: Path, table: Path, tmp_path: Path, name: str) -> None:
    elmo = Path(shutil.copytree(tiny / "elmo", tmp_path / "elmo"))
    before = content_of(tmp_path)
    options = ["--elmo", elmo, "--format", "hdf5"]
    result = invoke("embed", table, "-o", tmp_path / ".." / tmp_path.name / "elmo" / name, *options)
    assert result.exit_code == 2
    assert f"{name} would replace a file of the ELMo {elmo}. Choose another name" in result.stderr
    assert content_of(tmp_path) == before
    result = invoke("embed", table, "-o", elmo / "vectors.hdf5", *options)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", ["model/classifier.weights.h5", "run.json", "predictions/test.csv"])
def test_writing_over_a_run_is_refused(run: Path, table: Path, tmp_path: Path, name: str) -> None:
    before = content_of(tmp_path)
    result = invoke("embed", table, "-o", run / name, "--run", run, "--format", "hdf5")
    assert result.exit_code == 2
    assert f"{name} would replace a file of the run {run}. Choose another name" in result.stderr
    assert content_of(tmp_path) == before
    for _ in range(2):  # what is put beside them may be replaced
        result = invoke("embed", table, "-o", run / "vectors.hdf5", "--run", run)
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (None, [], "there is no such file"),
        ("", [], "in.csv is empty"),
        ("a,b\n1,2\n", [], "which column holds the texts"),
        ("text,b\n1,2\n", ["--text-column", "said"], 'there is no column "said"'),
        ("text,b\n1,2\n1,2\n1,2,3\n", ["--chunk-rows", "2"], "row 4: expected 2 cells"),
    ],
)
def test_bad_tables_end_with_3(
    to: Embed, tmp_path: Path, content: str | None, options: list[str], message: str
) -> None:
    out = tmp_path / "out.hdf5"
    out.write_bytes(b"before")
    if content is not None:
        (tmp_path / "in.csv").write_text(content)
    result = to(tmp_path / "in.csv", "-o", out, *options)
    assert result.exit_code == 3
    assert message in result.stderr
    assert out.read_bytes() == b"before"
    assert {path.name for path in tmp_path.iterdir()} <= {"in.csv", "out.hdf5"}


def test_an_elmo_that_is_not_there_ends_with_4(table: Path, tmp_path: Path) -> None:
    result = invoke("embed", table, "-o", tmp_path / "out.npz", "--elmo", tmp_path / "nowhere")
    assert result.exit_code == 4
    assert "nowhere" in result.stderr


@pytest.mark.parametrize("kind", ["npz", "hdf5", "parquet"])
def test_ctrl_c_leaves_nothing_and_replaces_nothing(
    to: Embed, table: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, out = embed.Embedding.pieces, tmp_path / f"out.{kind}"
    out.write_bytes(b"before")
    seen = []

    def third_time_interrupted(self: embed.Embedding, sentences: Any) -> Any:
        seen.append(sentences)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return really(self, sentences)

    with monkeypatch.context() as patch:
        patch.setattr(embed.Embedding, "pieces", third_time_interrupted)
        result = to(table, "-o", out, "--chunk-rows", 2)
    assert result.exit_code == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", out.name]
    assert out.read_bytes() == b"before"
    assert to(table, "-o", out).exit_code == 0
    assert out.read_bytes() != b"before"


def test_a_column_of_the_same_name_ends_with_2(to: Embed, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "in.csv", [("rain", "1")], header=("text", "vector"))
    result = to(path, "-o", tmp_path / "out.parquet")
    assert result.exit_code == 2
    assert 'in.csv has a column "vector" already' in result.stderr
    assert to(path, "-o", tmp_path / "out.npz").exit_code == 0


def test_one_vector_for_a_whole_text_is_pooled_by_mean_or_not_at_all(
    to: Embed, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "load_embedder", lambda *_: WholeTextEmbedder())
    result = to(table, "-o", tmp_path / "out.npz", "--pool", "none")
    assert result.exit_code == 2
    assert "gives one vector for a whole text, and none for its tokens. Use --pool mean" in result.stderr
    result = to(table, "-o", tmp_path / "out.npz", "--layers", "all")
    assert result.exit_code == 0, result.output
    assert np.load(tmp_path / "out.npz")["vectors"].shape == (6, 2, 3)


def test_quiet_says_nothing(to: Embed, table: Path, tmp_path: Path) -> None:
    result = to(table, "-o", tmp_path / "out.npz", "-q")
    assert (result.exit_code, result.output) == (0, "")


def test_rows_of_jsonl_without_a_text_are_empty_ones(to: Embed, tmp_path: Path) -> None:
    rows = '{"text": "hi there"}\n{"id": 7}\n{"id": 8, "text": ""}\n'
    for chunk_rows in (1, 9):
        out = tmp_path / f"{chunk_rows}.npz"
        result = to("-", "-o", out, "--chunk-rows", chunk_rows, stdin=rows)
        assert result.exit_code == 0, result.output
        found = np.load(io.BytesIO(out.read_bytes()))["vectors"]
        np.testing.assert_allclose(found[1], found[2], atol=1e-6)


@pytest.mark.parametrize("chunk_rows", [1, 9])
@pytest.mark.parametrize("first", ['{"id": 1}', '{"id": 1, "label": "x"}', "{}"])
def test_of_jsonl_the_text_column_stands_in_the_first_row_or_is_named(
    to: Embed, tmp_path: Path, first: str, chunk_rows: int
) -> None:
    rows = first + '\n{"id": 2, "text": "hi"}\n'
    out, options = tmp_path / "out.npz", ["--chunk-rows", chunk_rows]
    result = to("-", "-o", out, *options, stdin=rows)
    assert result.exit_code == 3
    assert "standard input: which column holds the texts? Those of the first row are: " in result.stderr
    assert "with --text-column" in result.stderr
    assert not out.exists()
    result = to("-", "-o", out, *options, "--text-column", "text", stdin=rows)
    assert result.exit_code == 0, result.output
    assert len(np.load(out)["vectors"]) == 2


def test_published_embeddings_come_out(shared: Path, tmp_path: Path) -> None:
    folder, out = shared / "elmo-fixture", tmp_path / "out.hdf5"
    if not folder.is_dir():
        pytest.skip("the published fixture is not here")
    # The reference carries its state from sentence to sentence: the first of each text begins at zero.
    sentences = [text[0] for text in json.loads((folder / "sentences.json").read_text())]
    (tmp_path / "in.txt").write_text("".join(f"{sentence}\n" for sentence in sentences))
    options = ["--tokenizer", "whitespace", "--layers", "2", "--pool", "none", "--elmo", folder]
    result = invoke("embed", tmp_path / "in.txt", "-o", out, *options)
    assert result.exit_code == 0, result.output
    with h5py.File(out) as found:
        assert json.loads(found["sentence_to_index"][0]) == {
            sentence: str(row) for row, sentence in enumerate(sentences)
        }
        for row in range(len(sentences)):
            with h5py.File(folder / f"lm_embeddings_{row}.hdf5") as file:
                expected = np.concatenate(file["0"][...], axis=-1)
            np.testing.assert_allclose(found[str(row)][...], expected, rtol=1e-6, atol=1e-6)
