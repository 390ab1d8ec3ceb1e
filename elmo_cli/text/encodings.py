"""Which text encoding a file has."""

import codecs
from collections.abc import Iterable

from elmo_cli.errors import ConfigError, DataError

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# The encodings whose mark each one is; they would take it for a part of the first word.
_MARKED_BY = {
    codecs.BOM_UTF8: ("utf-8",),
    codecs.BOM_UTF32_LE: ("utf-32-le",),
    codecs.BOM_UTF32_BE: ("utf-32-be",),
    codecs.BOM_UTF16_LE: ("utf-16-le",),
    codecs.BOM_UTF16_BE: ("utf-16-be",),
}


def checked_encoding(encoding: str) -> str:
    """Returns the encoding; raises ConfigError when Python has no text encoding of that name."""
    try:
        codecs.getincrementaldecoder(encoding)("replace").decode("a".encode(encoding), True)
    except (LookupError, UnicodeError) as error:
        raise ConfigError(
            f'There is no text encoding "{encoding}". Common ones: utf-8, utf-16, cp1252, latin-1, gb18030.'
        ) from error
    return encoding


def is_encodable(text: str) -> bool:
    """Whether UTF-8 can hold a text: it has no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def without_mark(encoding: str, head: bytes, name: str) -> str:
    """Returns the encoding that reads the same bytes but consumes a byte order mark, where there is one.

    Where one is wanted and there is none, the bytes tell their order.

    Args:
        encoding: A text encoding known to Python.
        head: The first bytes.
        name: Of the file, for messages.

    Raises:
        DataError: When UTF-16 or UTF-32 is wanted and the bytes are UTF-8.
    """
    plain = codecs.lookup(encoding).name
    if plain in ("utf-16", "utf-32") and not head.startswith(_marks_of(plain)):
        if b"\0" not in head and sniff_encoding([head]) in ("utf-8", "utf-8-sig"):
            raise DataError(
                f"{name}: it is not {encoding}: its characters are single bytes. Give its encoding with "
                "--encoding, for example --encoding utf-8."
            )
        width = 2 if plain == "utf-16" else 4
        # Most characters, line ends among them, have zeros at their high end.
        first, last = (head[place::width].count(0) for place in (0, width - 1))
        return f"{plain}-be" if first > last else f"{plain}-le"
    for mark, consuming in _BYTE_ORDER_MARKS:
        if head.startswith(mark) and plain in _MARKED_BY[mark]:
            return consuming
    return encoding


def _marks_of(consuming: str) -> tuple[bytes, ...]:
    return tuple(mark for mark, encoding in _BYTE_ORDER_MARKS if encoding == consuming)


def sniff_encoding(blocks: Iterable[bytes]) -> str:
    """Tells the encoding: by its byte order mark, else UTF-8, else cp1252 (Western European Windows).

    Text that is UTF-8 but for a few damaged bytes counts as UTF-8, so that reading names the damage.

    Args:
        blocks: The bytes in order, all of them or the first ones.

    Returns:
        The name of the encoding; it consumes a byte order mark.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    right = wrong = 0
    first = True
    for block in blocks:
        if first:
            for mark, encoding in _BYTE_ORDER_MARKS:
                if block.startswith(mark):
                    return encoding
            first = False
        if block.isascii() and not decoder.getstate()[0]:
            continue
        text = decoder.decode(block)
        replaced = text.count("\ufffd")
        wrong += max(0, replaced - block.count("\ufffd".encode()))
        right += len(text) - len(text.encode("ascii", "ignore")) - replaced
    return "utf-8" if right >= 10 * wrong else "cp1252"
