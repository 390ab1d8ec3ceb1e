"""What elmo-pretrain is given to read becomes files of tokenised sentences."""

import errno
import gzip
import io
import json
import logging
import os
import re
import threading
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from elmo_cli.bilm.corpus import read_sentences
from elmo_cli.config import DataConfig
from elmo_cli.errors import ConfigError, DataError, RunError
from elmo_cli.text.tokens import tokenizer
from elmo_cli.workflows.pretraining import text as text_module
from elmo_cli.workflows.pretraining.config import PretrainConfig
from elmo_cli.workflows.pretraining.text import TextFile, check_apart, open_texts

REVIEWS = ["It's dull, isn't it?", "", 'She said: "never\nagain"!', "Naïve & long..."]
TREEBANK = [text.split() for text in tokenizer("treebank").join_all(REVIEWS) if text]


def opened(*given: Path, kept: Path, resume: bool = False, **settings) -> list[TextFile]:
    tables = {key: settings.pop(key) for key in list(settings) if key in DataConfig.__dataclass_fields__}
    config = PretrainConfig(given, kept, data=DataConfig(**tables), **settings)
    return open_texts(given, config, kept, "text", resume=resume)


def sentences(text: TextFile) -> list[list[str]]:
    return list(read_sentences(text.path))


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    pd.DataFrame({"stars": [1, 2, 3, 4], "review": REVIEWS}).to_csv(path, index=False)
    return path


def test_tokenised_text_is_read_where_it_is(tmp_path: Path, kept: Path) -> None:
    plain, packed = tmp_path / "a.txt", tmp_path / "b.txt.gz"
    plain.write_text("It 's dull .\n")
    packed.write_bytes(gzip.compress(b"So is this .\n"))
    assert opened(plain, packed, kept=kept) == [
        TextFile("a.txt", plain, plain),
        TextFile("b.txt.gz", packed, packed),
    ]
    assert opened(plain, kept=kept, tokenizer="whitespace")[0].path == plain
    assert not kept.exists()


def test_patterns_that_no_shell_expanded_are(tmp_path: Path, kept: Path) -> None:
    for name in ("b.txt", "a.txt", "deep/c.txt", "[x].txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x\n")
    assert [text.name for text in opened(tmp_path / "?.txt", kept=kept)] == ["a.txt", "b.txt"]
    assert [text.name for text in opened(tmp_path / "**" / "c.txt", kept=kept)] == ["c.txt"]
    # A file may be called like a pattern.
    assert [text.name for text in opened(tmp_path / "[x].txt", kept=kept)] == ["[x].txt"]


def test_directories_and_patterns_without_match_say_how(tmp_path: Path, kept: Path) -> None:
    with pytest.raises(DataError, match=rf"{re.escape(str(tmp_path))} is a directory\. Name the files .*/\*"):
        opened(tmp_path, kept=kept)
    with pytest.raises(DataError, match=r"\*\.gz: no file matches this pattern"):
        opened(tmp_path / "*.gz", kept=kept)


def test_what_is_measured_on_is_not_trained_on(tmp_path: Path) -> None:
    for name in ("train.txt", "held-out.txt"):
        (tmp_path / name).write_text("x\n")
    held_out = tmp_path / "held-out.txt"
    check_apart([tmp_path / "train.txt", Path("-")], held_out)
    with pytest.raises(
        DataError, match=r"--held-out .*held-out\.txt is a file of the corpus, too.*Move it out"
    ):
        check_apart([tmp_path / "*.txt"], held_out)
    link = tmp_path / "link"
    link.symlink_to(held_out)
    with pytest.raises(DataError, match=r"--held-out .*link is a file of the corpus"):
        check_apart([held_out], link)
    with pytest.raises(ConfigError, match=r"Standard input \(-\) is given twice"):
        check_apart([Path("-")], Path("-"))


def test_a_path_that_the_system_does_not_let_us_look_at_is_said(
    tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match=r"xx: cannot be read \(File name too long\)\. Check the path"):
        opened(tmp_path / ("x" * 300), kept=kept)

    def denied(self: Path) -> bool:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "is_dir", denied)
    with pytest.raises(DataError, match=r"mine\.txt: cannot be read \(Permission denied\)\. Check the path"):
        opened(tmp_path / "mine.txt", kept=kept)


def test_a_missing_file_is_said_before_another_is_read(table: Path, kept: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.csv: there is no such file\. Check the path\."):
        opened(table, table.with_name("absent.csv"), kept=kept, text_column="review")
    assert not kept.exists()


def test_a_column_is_tokenised_as_for_training_a_classifier(table: Path, kept: Path) -> None:
    (text,) = opened(table, kept=kept, text_column="review")
    assert text == TextFile("reviews.csv", kept / "text-0.txt", table)
    assert sentences(text) == TREEBANK
    (plain,) = opened(table, kept=kept, text_column="review", tokenizer="whitespace")
    assert sentences(plain)[0] == ["It's", "dull,", "isn't", "it?"]


@pytest.mark.parametrize("ending", ["tsv", "jsonl", "parquet"])
def test_tables_of_every_kind_are_read(tmp_path: Path, kept: Path, ending: str) -> None:
    path = tmp_path / f"reviews.{ending}"
    rows = pd.DataFrame({"stars": [1, 2, 3, 4], "text": REVIEWS})
    if ending == "tsv":
        rows.to_csv(path, sep="\t", index=False)
    elif ending == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in [{"stars": 5}, *rows.to_dict("records")]))
    else:
        rows.to_parquet(path)
    # The column is found by its obvious name, too.
    for settings in ({}, {"text_column": "text"}) if ending != "jsonl" else ({"text_column": "text"},):
        assert sentences(opened(path, kept=kept, **settings)[0]) == TREEBANK


def test_jsonl_is_read_by_an_obvious_name_in_its_first_row(tmp_path: Path, kept: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    path.write_text('{"stars": 1, "text": "one"}\n{"stars": 2}\n{"text": "two words"}\n')
    assert sentences(opened(path, kept=kept)[0]) == [["one"], ["two", "words"]]


def test_a_table_without_an_ending_is_one_when_a_column_is_named(tmp_path: Path, kept: Path) -> None:
    path = tmp_path / "data.txt"
    path.write_text("stars\treview\n1\tIt's dull.\n2\tIt's not.\n")
    assert sentences(opened(path, kept=kept, text_column="review")[0])[0] == ["It", "'s", "dull", "."]
    packed = tmp_path / "more.txt.gz"
    packed.write_bytes(gzip.compress(b"plain text stays\n"))
    plain = tmp_path / "plain.txt"
    plain.write_text("Plain text stays , too .\nAlso this , of course , my review .\n")
    texts = opened(path, packed, plain, kept=kept, text_column="review")
    assert [text.path for text in texts[1:]] == [packed, plain]


def test_what_tells_how_cells_are_parted_makes_a_table_of_any_file(tmp_path: Path, kept: Path) -> None:
    path = tmp_path / "reviews.txt"
    path.write_text("stars;review\n1;It's dull.\n2;It's not.\n")
    (text,) = opened(path, kept=kept, delimiter=";")
    assert sentences(text)[0] == ["It", "'s", "dull", "."]
    # Where a column is named, too, it decides.
    plain = tmp_path / "plain.txt"
    plain.write_text("Plain text .\n")
    assert opened(path, plain, kept=kept, header=True, text_column="review")[1].path == plain


def test_a_compressed_table_is_one_by_what_is_in_it_or_said_of_it(tmp_path: Path, kept: Path) -> None:
    packed = tmp_path / "reviews.gz"
    packed.write_bytes(gzip.compress(b"stars,review\n1,It's dull\n"))
    for told in ({"text_column": "review"}, {"format": "csv"}, {"delimiter": ","}, {"header": False}):
        with pytest.raises(DataError, match=r"reviews\.gz is a compressed table.*gunzip -c"):
            opened(packed, kept=kept, **told)
    with pytest.raises(DataError, match=r"reviews\.gz: compressed text must be UTF-8.*gunzip -c.*cp1252"):
        opened(packed, kept=kept, encoding="cp1252")
    assert opened(packed, kept=kept, encoding="UTF8")[0].path == packed
    (tmp_path / "empty.gz").write_bytes(gzip.compress(b""))
    opened(tmp_path / "empty.gz", kept=kept, text_column="review")


def test_plain_text_may_have_the_name_of_a_compressed_table(tmp_path: Path, kept: Path) -> None:
    packed = tmp_path / "talk.csv.gz"
    packed.write_bytes(gzip.compress(b"Plain text , as said .\n"))
    assert opened(packed, kept=kept, format="lines")[0].path == packed


@pytest.mark.parametrize("name", ["data.txt", "data.txt.gz"])
def test_a_column_that_is_not_found_is_said(
    tmp_path: Path, kept: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    text = b"stars,review\n1,It's dull\n"
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    opened(tmp_path / name, kept=kept, text_column="reviw")
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert f'{name}: no column "reviw" is found in it, so it is read as plain text.' in warning


def test_objects_are_no_sentences(tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b'{"text": "one"}\n{"text": "two"}\n'
    (tmp_path / "a.txt").write_bytes(content)
    (tmp_path / "b.gz").write_bytes(gzip.compress(content))
    for name in ("a.txt", "b.gz"):
        for settings in ({}, {"tokenizer": "treebank"}):
            with pytest.raises(DataError, match=rf"{name}: its first line is a JSON object.*--format jsonl"):
                opened(tmp_path / name, kept=kept, **settings)
    stdin(monkeypatch, content)
    with pytest.raises(DataError, match="standard input: its first line is a JSON object"):
        opened(Path("-"), kept=kept)
    assert opened(tmp_path / "b.gz", kept=kept, format="lines")
    assert sentences(opened(tmp_path / "a.txt", kept=kept, format="lines")[0])[0] == ['{"text":', '"one"}']
    (tmp_path / "c.txt").write_text("{ curly } words\n")
    assert opened(tmp_path / "c.txt", kept=kept)


def test_plain_text_is_tokenised_when_that_is_asked_for(tmp_path: Path, kept: Path) -> None:
    packed = tmp_path / "a.txt.gz"
    packed.write_bytes(gzip.compress(b"It's dull.\n\nDon't!\n"))
    (text,) = opened(packed, kept=kept, tokenizer="treebank")
    assert sentences(text) == [["It", "'s", "dull", "."], ["Do", "n't", "!"]]
    assert text.source == packed


def test_plain_text_in_another_encoding_is_read(tmp_path: Path, kept: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("Señor , no .\n".encode("cp1252"))
    (text,) = opened(path, kept=kept, encoding="cp1252")
    assert sentences(text) == [["Señor", ",", "no", "."]]
    table = tmp_path / "b.csv"
    table.write_bytes("stars,review\n1,Sí\n".encode("cp1252"))
    texts = opened(path, table, kept=kept, encoding="cp1252", text_column="review")
    assert [sentences(text) for text in texts] == [[["Señor", ",", "no", "."]], [["Sí"]]]


def stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(text_module.sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))


def test_standard_input_is_kept_so_that_it_can_be_read_again(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin(monkeypatch, b"One sentence .\n\nTwo .\n")
    (text,) = opened(Path("-"), kept=kept)
    assert text == TextFile("standard input", kept / "text-0.txt", kept / "text-0.txt")
    assert sentences(text) == [["One", "sentence", "."], ["Two", "."]]
    stdin(monkeypatch, b"not read again\n")
    assert opened(Path("-"), kept=kept, resume=True) == [text]
    assert sentences(text)[0] == ["One", "sentence", "."]
    text.path.unlink()
    with pytest.raises(RunError, match=r"text-0\.txt is missing"):
        opened(Path("-"), kept=kept, resume=True)


def test_standard_input_may_be_a_table(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, b"stars,review\n1,It's dull\n")
    (text,) = opened(Path("-"), kept=kept, text_column="review")
    assert sentences(text) == [["It", "'s", "dull"]]


def test_a_pipe_is_kept_like_standard_input(tmp_path: Path, kept: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text("one sentence\n"))
    writer.start()
    (text,) = opened(pipe, kept=kept)
    writer.join()
    assert sentences(text) == [["one", "sentence"]]
    assert text.source == text.path


def test_what_is_wrong_with_a_table_is_said(tmp_path: Path, table: Path, kept: Path, monkeypatch) -> None:
    with pytest.raises(DataError, match=r'reviews\.csv: there is no column "revue"\. Did you mean review\?'):
        opened(table, kept=kept, text_column="revue")
    packed = tmp_path / "reviews.csv.gz"
    packed.write_bytes(gzip.compress(table.read_bytes()))
    with pytest.raises(DataError, match=r"reviews\.csv\.gz is a compressed table.*gunzip -c"):
        opened(packed, kept=kept, text_column="review")
    broken = tmp_path / "broken.csv"
    broken.write_text("stars,review\n1,fine\n2,not, fine\n")
    with pytest.raises(DataError, match=r"broken\.csv, row 3: expected 2 cells"):
        opened(broken, kept=kept, text_column="review")
    records = tmp_path / "a.jsonl"
    records.write_text('{"stars": 1}\n')
    with pytest.raises(DataError, match=r'a\.jsonl: no row has the column "review"'):
        opened(records, kept=kept, text_column="review")
    with pytest.raises(DataError, match=r"a\.jsonl: which column holds the texts\?.*--text-column"):
        opened(records, kept=kept)
    with pytest.raises(ConfigError, match=r"Standard input \(-\) is given twice"):
        opened(Path("-"), Path("-"), kept=kept)
    stdin(monkeypatch, b"fine\n\xff\n")
    with pytest.raises(DataError, match=r"standard input, line 2: not UTF-8"):
        opened(Path("-"), kept=kept)
    assert not list(kept.glob("*"))
