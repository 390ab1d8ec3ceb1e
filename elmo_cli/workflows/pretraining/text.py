"""What elmo-pretrain is given to read → files with one tokenised sentence a line."""

import codecs
import glob
import itertools
import json
import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from elmo_cli.bilm.corpus import decode_lines, read_lines
from elmo_cli.config import DataConfig
from elmo_cli.counts import counted
from elmo_cli.errors import ConfigError, DataError, RunError
from elmo_cli.files import atomic_write
from elmo_cli.text.cells import texts_of
from elmo_cli.text.columns import jsonl_column, obvious_jsonl_column, resolve_column, table_name
from elmo_cli.text.formats import kind_of_name
from elmo_cli.text.sniffing import sniff_format, sniff_head
from elmo_cli.text.tables import stream_table
from elmo_cli.text.tokens import tokenizer
from elmo_cli.workflows.pretraining.config import PretrainConfig

logger = logging.getLogger(__name__)

STANDARD_INPUT = Path("-")
_ROWS_AT_ONCE = 10_000
_LINES_OF_HEAD = 1_000  # of compressed text, to tell a table by
_GIVEN_TWICE = "Standard input (-) is given twice, but it can be read only once."


@dataclass(frozen=True)
class TextFile:
    """Sentences to train on or to measure on.

    Args:
        name: What the model card calls them.
        path: Tokens separated by white space, one sentence a line, UTF-8, plain or .gz.
        source: The file whose content tells whether a training goes on with the same text.
    """

    name: str
    path: Path
    source: Path


def open_texts(
    given: Iterable[Path], config: PretrainConfig, directory: Path, name: str, *, resume: bool
) -> list[TextFile]:
    """Finds the files, and tokenises those that are not tokenised yet.

    Text that is tokenised is read where it is. Columns of tables, text for which the configuration names a
    tokenizer, and what can be read only once, such as standard input, become files of tokenised text.

    Args:
        given: Paths, patterns such as ``corpus/*.gz``, or ``-`` for standard input.
        config: How to read and tokenise.
        directory: Where tokenised text is kept for as long as training may go on.
        name: Its files are called ``NAME-0.txt`` and so on.
        resume: Use what stands in the directory already.

    Returns:
        The texts, in the order given.

    Raises:
        ConfigError: If standard input is given twice.
        DataError: For a directory, a file that is not there, a pattern that matches nothing, or a table
            that cannot be read; names file, row and column.
        RunError: If a text that was tokenised before is gone, or the directory cannot be written.
    """
    paths = _expand(given)
    if paths.count(STANDARD_INPUT) > 1:
        raise ConfigError(_GIVEN_TWICE)
    texts = []
    for i, path in enumerate(paths):
        reading, once = _as_table(path, config.data), read_once(path)
        if reading is None and not once and config.data.format != "lines":
            _check_sentence(next(read_lines(path), ""), str(path))
        if not once and reading is None and config.tokenizer in (None, "whitespace"):
            texts.append(TextFile(path.name, path, path))
            continue
        target = directory / f"{name}-{i}.txt"
        if resume and not target.is_file():
            raise RunError(f"{target} is missing, without which training cannot go on. Start anew.")
        if not resume:
            _tokenise(path, reading, config.tokenizer, target)
        source_name = "standard input" if path == STANDARD_INPUT else path.name
        texts.append(TextFile(source_name, target, target if once else path))
    return texts


def check_apart(corpus: Iterable[Path], held_out: Path) -> None:
    """Looks whether what is measured on is trained on, too, as when a pattern finds it.

    Args:
        corpus: As in `open_texts`.
        held_out: The same.

    Raises:
        ConfigError: If both are standard input.
        DataError: If a file is in both, or `open_texts` would not find one.
    """
    trained_on, measured_on = _expand(corpus), _expand([held_out])
    if STANDARD_INPUT in trained_on and STANDARD_INPUT in measured_on:
        raise ConfigError(_GIVEN_TWICE)
    places = {_place(path) for path in trained_on if path != STANDARD_INPUT}
    for path in measured_on:
        if path != STANDARD_INPUT and _place(path) in places:
            raise DataError(
                f"--held-out {path} is a file of the corpus, too, but what is measured on must not be "
                "trained on. Move it out of the corpus, or leave out --held-out: a part of the corpus is "
                "held out then."
            )


def _place(path: Path) -> tuple[int, int]:
    """Returns what tells files apart by whatever name, of a file that is there."""
    found = path.stat()
    return found.st_dev, found.st_ino


def _expand(given: Iterable[Path]) -> list[Path]:
    """Replaces patterns that no shell replaced, as in quotes or in a configuration, by what they match.

    What is missing is said here, before a large text in front of it is read in vain.
    """
    paths: list[Path] = []
    for path in given:
        try:
            paths += _expand_one(path)
        except OSError as error:
            raise DataError(
                f"{path}: cannot be read ({error.strerror}). Check the path and its permissions."
            ) from error
    return paths


def _expand_one(path: Path) -> list[Path]:
    """Does that for one path or pattern; raises OSError where the system does not let it look."""
    if path.is_dir():
        raise DataError(f"{path} is a directory. Name the files in it, for example with {path / '*'}.")
    if path == STANDARD_INPUT or path.exists():
        return [path]
    if not glob.has_magic(str(path)):
        raise DataError(f"{path}: there is no such file. Check the path.")
    matches = [match for match in map(Path, sorted(glob.glob(str(path), recursive=True))) if match.is_file()]
    if not matches:
        raise DataError(f"{path}: no file matches this pattern. Check the path.")
    return matches


def read_once(path: Path) -> bool:
    """Returns whether it is standard input or another pipe, which gives its text a single time."""
    return path == STANDARD_INPUT or (path.exists() and not path.is_file())


def _as_table(path: Path, data: DataConfig) -> DataConfig | None:
    """Returns how to read a table; None for plain text in UTF-8."""
    if path.suffix == ".gz":
        _check_compressed(path, data)
        return None
    if kind_of_name(path) is not None or _is_told_table(data):
        return data
    if data.text_column is not None and _has_columns(path, data):
        return data
    _warn_of_column(path, data)
    return replace(data, format="lines", text_column=None) if data.encoding is not None else None


def _is_told_table(data: DataConfig) -> bool:
    """Whether files of any name are tables by what is said of cells; a named column must be looked for."""
    if data.format is not None or data.delimiter is not None:
        return True
    return data.text_column is None and (data.quoting is not None or data.header is not None)


def _has_columns(path: Path, data: DataConfig) -> bool:
    """Whether a file whose name does not tell is a table; a pipe is one where a column was named."""
    return (
        read_once(path) or sniff_format(path, data, expected_columns=[str(data.text_column)]).kind != "lines"
    )


def _warn_of_column(path: Path, data: DataConfig) -> None:
    if data.text_column is not None:
        logger.warning(
            '%s: no column "%s" is found in it, so it is read as plain text. If it is a table, say of which '
            "kind with --format.",
            path,
            data.text_column,
        )


def _check_compressed(path: Path, data: DataConfig) -> None:
    """Refuses a table, and text in another encoding than UTF-8: neither is read from a .gz."""
    if data.encoding is not None and codecs.lookup(data.encoding).name not in ("utf-8", "utf-8-sig"):
        raise DataError(
            f"{path}: compressed text must be UTF-8, but --encoding is {data.encoding}. Unpack it, or pipe "
            f"it in: gunzip -c {path} | elmo-pretrain - --encoding {data.encoding} …"
        )
    if data.format != "lines" and (
        kind_of_name(path.stem) is not None or _is_told_table(data) or _has_columns_inside(path, data)
    ):
        raise DataError(
            f"{path} is a compressed table. Unpack it, or pipe it in: "
            f"gunzip -c {path} | elmo-pretrain - --text-column NAME …"
        )
    _warn_of_column(path, data)


def _has_columns_inside(path: Path, data: DataConfig) -> bool:
    """Whether compressed text has the column that was named, if one was."""
    if data.text_column is None or read_once(path):
        return False
    head = "".join(itertools.islice(read_lines(path), _LINES_OF_HEAD)).encode()
    if not head:
        return False
    expected = [data.text_column]
    return sniff_head(head, data, name=str(path), complete=True, expected_columns=expected).kind != "lines"


def _tokenise(path: Path, reading: DataConfig | None, tokenizer_name: str | None, target: Path) -> None:
    plain = reading is None or reading.format == "lines"
    chosen = tokenizer(tokenizer_name or ("whitespace" if plain else "treebank"))
    count = 0
    with atomic_write(target) as file:
        for texts in _plain_texts(path) if reading is None else _column(path, reading):
            joined = [text for text in chosen.join_all(texts) if text]
            file.writelines(f"{text}\n" for text in joined)
            count += len(joined)
    logger.info("%s: %s, split into tokens by the %s tokenizer", path, counted(count, "text"), chosen.name)


def _plain_texts(path: Path) -> Iterator[Sequence[str]]:
    """Yields lines, some at a time."""
    is_standard_input = path == STANDARD_INPUT
    lines = decode_lines(sys.stdin.buffer, "standard input") if is_standard_input else read_lines(path)
    if read_once(path):  # of any other text that was done before
        first = next(lines, "")
        _check_sentence(first, "standard input" if is_standard_input else str(path))
        lines = itertools.chain([first], lines)
    while some := list(itertools.islice(lines, _ROWS_AT_ONCE)):
        yield some


def _check_sentence(line: str, name: str) -> None:
    """Refuses text whose first line shows that it is JSONL."""
    if not line.startswith("{"):
        return
    try:
        json.loads(line)
    except ValueError:
        return
    raise DataError(
        f"{name}: its first line is a JSON object, not a sentence. Give --format jsonl with --text-column "
        "NAME; or --format lines, if it is to be read as it is."
    )


def _column(path: Path, data: DataConfig) -> Iterator[Sequence[str]]:
    """Yields the texts of a table, some at a time."""
    source = sys.stdin.buffer if path == STANDARD_INPUT else path
    expected = [data.text_column] if data.text_column else []
    column, found, table = data.text_column, False, pd.DataFrame()
    for table in stream_table(source, data, chunk_rows=_ROWS_AT_ONCE, expected_columns=expected):
        # Each row of JSONL may have other columns than the row before.
        is_jsonl = table.attrs["format"].kind == "jsonl"
        if column is None:
            column = obvious_jsonl_column(table) if is_jsonl else resolve_column(table, None, "text")
        name = jsonl_column(table, column) if is_jsonl else resolve_column(table, column, "text")
        if name is not None:
            found = True
            yield texts_of(table, name)
    if not found:
        raise DataError(f'{table_name(table)}: no row has the column "{column}". Name it with --text-column.')
