"""Bytes to text to lines to rows: the cells of a text table exactly as they stand in it."""

import codecs
import csv
import itertools
from collections.abc import Iterable, Iterator

from elmo_cli.counts import counted
from elmo_cli.errors import DataError

BLOCK_BYTES = 1 << 20
MAX_CELL_CHARACTERS = 1 << 24

# Fed to the csv module as a last line: when it does not come back as a row of its own, a quote was
# never closed. NUL cannot stand in a table, which makes it free for this and for lone CRs.
_END = "\0end\0"
_QUOTING_HINT = 'Close it, or give --no-quoting if " has no special meaning in this file.'


class _UndecodableError(Exception):
    """A byte that the encoding does not know; the text before it was yielded already."""


def decode(blocks: Iterable[bytes], encoding: str) -> Iterator[str]:
    """Yields the text of byte blocks as it arrives; a character may be cut between two blocks.

    Args:
        blocks: Bytes in order.
        encoding: A text encoding known to Python.

    Yields:
        Non-empty pieces of text. Before an undecodable byte everything in front of it is yielded.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    position = 0
    for block, final in itertools.chain(((block, False) for block in blocks), [(b"", True)]):
        position += len(block)
        try:
            text = decoder.decode(block, final)
        except UnicodeDecodeError as error:
            # The byte order mark is gone from error.object; its byte order is in error.encoding.
            exact = error.encoding if error.encoding.startswith("utf") else encoding
            yield error.object[: error.start].decode(exact, "replace")
            offset = position - len(error.object) + error.start
            other = "shift_jis, gb18030 or cp1251" if codecs.lookup(encoding).name == "cp1252" else "cp1252"
            raise _UndecodableError(
                f"byte {offset + 1} (0x{error.object[error.start]:02x}) is not valid {encoding}. "
                f"Give the encoding of the file with --encoding, for example {other}."
            ) from error
        except UnicodeError as error:  # such as a lack of what every file of this encoding begins with
            raise _UndecodableError(
                f"this is not {encoding} ({error}). Give the encoding of the file with --encoding."
            ) from error
        if text:
            yield text


def split_lines(texts: Iterable[str]) -> Iterator[str]:
    r"""Yields lines with their ends, ``\n`` or ``\r\n``; a lone ``\r`` is part of its line.

    Only where the first megabyte has no ``\n`` at all, ``\r`` ends a line.
    """
    end = ""
    pending: list[str] = []
    for text in texts:
        pending.append(text)
        if not end:
            sample = "".join(pending)
            if "\n" in sample:
                end = "\n"
            elif len(sample) >= BLOCK_BYTES and "\r" in sample:
                end = "\r"
        if end and end in text:
            *lines, last = "".join(pending).split(end)
            yield from (line + end for line in lines)
            pending = [last]
    rest = "".join(pending)
    if not end and "\r" in rest:
        *lines, rest = rest.split("\r")
        yield from (line + "\r" for line in lines)
    if rest:
        yield rest


def without_end(line: str) -> str:
    """Returns the line without its line end."""
    return line.removesuffix("\n").removesuffix("\r")


def numbered(lines: Iterable[str], name: str) -> Iterator[tuple[int, str]]:
    """Yields number, from 1, and line without its end; raises DataError as `rows` does."""
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            _refuse_nul(line, name, number)
            yield number, without_end(line)
    except _UndecodableError as error:
        raise DataError(f"{name}, row {number + 1}, {error}") from error


def rows(
    lines: Iterable[str], *, delimiter: str, quoting: bool, name: str, quotes_seen: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """Yields row number and cells; blank lines are counted but not yielded.

    Args:
        lines: Lines with their ends.
        delimiter: Character between cells. A blank is special: it ends the first cell, and the rest of
            the line is the second, as in files that put a label before each text.
        quoting: Whether ``"`` quotes cells, which may then hold delimiters and line breaks.
        name: Name of the file, for messages.
        quotes_seen: Whether that is sure. Otherwise a quote that would join lines is not taken for one.

    Yields:
        Number of the row, from 1, as a spreadsheet counts them, and its cells.

    Raises:
        DataError: For an undecodable byte, a NUL byte, a quote that is never closed, or that is not closed in
            its line though quoting is not sure.
    """
    if not quoting or delimiter == " ":
        limit = 1 if delimiter == " " else -1
        for number, line in numbered(lines, name):
            if line:
                yield number, line.split(delimiter, limit)
        return
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    state = _Progress()
    reader = csv.reader(_for_csv(lines, name, state), delimiter=delimiter)
    before = 0
    try:
        for cells in reader:
            if cells == [_END]:
                return
            state.row += 1
            num_lines, before = reader.line_num - before, reader.line_num
            if cells and cells[-1].endswith(_END):
                raise DataError(
                    f'{name}, row {state.row}, column {len(cells)}: a quote (") opens here and is never '
                    f"closed. {_QUOTING_HINT}"
                )
            if num_lines > 1 and not quotes_seen:
                raise DataError(
                    f'{name}, row {state.row}: a quote (") opens here and closes '
                    f"{counted(num_lines - 1, 'line')} further down, but no cell of the first megabyte is "
                    'quoted. Give --no-quoting if " has no special meaning in this file, or --quoting if it '
                    "quotes cells."
                )
            if cells:
                if state.lone_returns:
                    cells = [cell.replace("\0", "\r") for cell in cells]
                yield state.row, cells
    except _UndecodableError as error:
        raise DataError(f"{name}, row {state.row + 1}, {error}") from error
    except csv.Error as error:
        raise DataError(
            f"{name}, row {state.row + 1}: a cell has more than {MAX_CELL_CHARACTERS} characters; usually a "
            f'quote (") was opened and never closed. {_QUOTING_HINT}'
        ) from error


class _Progress:
    """What the lines and the rows of one table tell each other."""

    def __init__(self) -> None:
        self.row = 0
        self.lone_returns = False


def _for_csv(lines: Iterable[str], name: str, state: _Progress) -> Iterator[str]:
    """Hides lone CRs, at which the csv module would end a row, and adds the end mark."""
    for line in lines:
        _refuse_nul(line, name, state.row + 1)
        if "\r" in line:
            body = without_end(line)
            if "\r" in body:
                state.lone_returns = True
                line = body.replace("\r", "\0") + line[len(body) :]
        yield line
    yield _END


def _refuse_nul(line: str, name: str, row: int) -> None:
    if "\0" in line:
        raise DataError(
            f"{name}, row {row}, character {line.index(chr(0)) + 1}: there is a NUL byte, so this is not "
            "plain text. Remove such bytes, or give the encoding, for example --encoding utf-16."
        )
