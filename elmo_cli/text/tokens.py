"""One definition of tokens: substitutions that Python's re and RE2 understand alike, then a split."""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from elmo_cli.errors import ConfigError

# Texts are tokenised together, this many characters at a time: one pass of a substitution over a
# long string is much faster than many passes over short ones, and memory stays small.
CHUNK_CHARACTERS = 1_000_000

# Control characters and everything that Python calls white space, plus zero-width space and byte
# order mark; the line feed has its own substitution, which stands first.
_BLANKS = (
    "[\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f"
    "\N{NO-BREAK SPACE}\N{OGHAM SPACE MARK}\N{EN QUAD}-\N{ZERO WIDTH SPACE}"
    "\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}\N{NARROW NO-BREAK SPACE}"
    "\N{MEDIUM MATHEMATICAL SPACE}\N{IDEOGRAPHIC SPACE}\N{ZERO WIDTH NO-BREAK SPACE}]"
)
_TO_BLANKS = (("\\n", " "), (_BLANKS, " "))
_TRIM = (("  +", " "), ("(?m)^ ", ""), ("(?m) $", ""))

# While the rules run, these control characters (none is left after _TO_BLANKS) stand for what must
# stay in its word: apostrophe, period, question mark, comma; and for the tokens "..." and "..".
_APOSTROPHE, _PERIOD, _QUESTION, _COMMA, _THREE_DOTS, _TWO_DOTS = (
    "\x01",
    "\x02",
    "\x03",
    "\x04",
    "\x05",
    "\x06",
)

_TITLES = (
    "Mr Mrs Ms Messrs Mme Mlle Dr Prof Rev Hon St Mt Ft Jr Sr Gen Col Lt Sgt Capt Maj Cpl CPL Adm Gov Sen "
    "Rep Pres Inc Ltd Corp Bros Co Ave Blvd Rd Dept Univ Assn Vol Jan Feb Aug Sept Oct Nov Dec"
).replace(" ", "|")
_ABBREVIATIONS = "etc|vs|al|cf|viz|ca|approx|vol|pp|eds"
# Abbreviations only before a number, for they are words too.
_BEFORE_NUMBERS = "No|no|Nos|nos|Fig|fig|Art|Sec|ch|Ch|Mar|Apr|Jun|Jul"
_CLITICS = "s|S|m|M|d|D|ll|LL|Ll|re|RE|Re|ve|VE|Ve"
# Words that begin with an apostrophe.
_ELIDED = (
    "em|Em|EM|tis|Tis|twas|Twas|twill|Twill|twere|cause|Cause|bout|Bout|round|til|Til|till|n|[0-9][0-9]s?"
)

_TREEBANK = (
    # A blank at both ends, so that every word stands between blanks.
    ("(?m)^", " "),
    ("(?m)$", " "),
    # Typewriter quotes and dashes.
    (
        "[\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}\N{DOUBLE LOW-9 QUOTATION MARK}"
        "\N{DOUBLE HIGH-REVERSED-9 QUOTATION MARK}\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}"
        "\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}]",
        '"',
    ),
    (
        "[\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}\N{SINGLE LOW-9 QUOTATION MARK}"
        "\N{SINGLE HIGH-REVERSED-9 QUOTATION MARK}\N{ACUTE ACCENT}`]",
        "'",
    ),
    ("''", '"'),
    ("[\N{EN DASH}\N{EM DASH}\N{HORIZONTAL BAR}]", " -- "),
    ("--+", " -- "),
    # Runs of dots are tokens.
    ("\\.\\.\\.|\N{HORIZONTAL ELLIPSIS}", " " + _THREE_DOTS + " "),
    ("\\.\\.", " " + _TWO_DOTS + " "),
    # Signs that always stand alone; a question mark before name= belongs to an address.
    ("\\?([A-Za-z0-9_]+=)", _QUESTION + "\\1"),
    (
        '(["!?;()\\[\\]{}<>$%*+|\\\\\N{POUND SIGN}\N{EURO SIGN}\N{YEN SIGN}\N{BULLET}'
        "\N{INVERTED EXCLAMATION MARK}\N{INVERTED QUESTION MARK}\N{DEGREE SIGN}\N{SECTION SIGN}"
        "\N{MULTIPLICATION SIGN}\N{IDEOGRAPHIC COMMA}-\N{RIGHT TORTOISE SHELL BRACKET}"
        "\N{FULLWIDTH EXCLAMATION MARK}-\N{FULLWIDTH SOLIDUS}\N{FULLWIDTH COLON}-\N{FULLWIDTH QUESTION MARK}"
        # Scripts without blanks between words: each Chinese or Japanese character stands alone.
        "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff])",
        " \\1 ",
    ),
    # Commas and colons, but not those of 1,000 and 6:30 and http://.
    ("([0-9]),([0-9])", "\\1" + _COMMA + "\\2"),
    ("([0-9]),([0-9])", "\\1" + _COMMA + "\\2"),  # every second one of 1,2,3
    (",", " , "),
    (":([^0-9/\\n])", " : \\1"),
    # and/or, but not the slashes of 1/2 and of addresses.
    (" ([A-Za-z]+)/([A-Za-z])", " \\1 / \\2"),
    # Contractions: do n't, 's; and words written together.
    ("'(" + _CLITICS + ")([^A-Za-z0-9'\\n-])", " " + _APOSTROPHE + "\\1\\2"),
    ("([nN])'([tT])\\b", " \\1" + _APOSTROPHE + "\\2"),
    (" ([Cc]an|CAN)(not|NOT)\\b", " \\1 \\2"),
    (" ([GgWw][oa]n|GON|WAN)(na|NA)\\b", " \\1 \\2"),
    (" ([Gg]ot)(ta)\\b", " \\1 \\2"),
    (" ([Gg]im|[Ll]em)(me)\\b", " \\1 \\2"),
    # Apostrophes that open an elided word stay, others at the edge of a word do not.
    (" '(" + _ELIDED + ")\\b", " " + _APOSTROPHE + "\\1"),
    (" '", " ' "),
    ("' ", " ' "),
    # Periods: of clitics apart; of initials and abbreviations not; then apart at the end of a word.
    ("(" + _APOSTROPHE + "[A-Za-z]+)\\.", "\\1 ."),
    ("\\b([A-Za-z])\\.", "\\1" + _PERIOD),
    ("(" + _TITLES + ")\\.", "\\1" + _PERIOD),
    (" (" + _ABBREVIATIONS + ")\\.", " \\1" + _PERIOD),
    (" (" + _BEFORE_NUMBERS + ")\\. *([0-9])", " \\1" + _PERIOD + " \\2"),
    ("(?m) ([A-Za-z])" + _PERIOD + " +$", " \\1 . "),
    ("\\. ", " . "),
    (_APOSTROPHE, "'"),
    (_PERIOD, "."),
    (_QUESTION, "?"),
    (_COMMA, ","),
    (_THREE_DOTS, "..."),
    (_TWO_DOTS, ".."),
)


@dataclass(frozen=True)
class Tokenizer:
    r"""Turns a text into tokens by substitutions, then a split on spaces.

    The substitutions are written in what Python's ``re`` (with ``re.ASCII``) and RE2 (and so
    ``tf.strings.regex_replace``) understand alike: no look-around, no back-references in
    patterns, ``\1`` in replacements, classes and ``\b`` of ASCII only. After the last one the
    text has single spaces between tokens and no other white space.

    Args:
        name: ``treebank`` or ``whitespace``.
        substitutions: Pattern and replacement pairs, applied in order, each to the whole text.
            The first replaces the line feed, and no other matches one, so that several texts
            joined by line feeds can be treated at once.
    """

    name: str
    substitutions: tuple[tuple[str, str], ...]

    def join(self, text: str) -> str:
        """Returns the tokens of the text joined by single spaces; ``""`` when there is none."""
        return self.join_all([text])[0]

    def tokens(self, text: str) -> list[str]:
        """Returns the tokens of the text."""
        joined = self.join(text)
        return joined.split(" ") if joined else []

    def join_all(self, texts: Sequence[str]) -> list[str]:
        """Returns ``[join(text) for text in texts]``, several times faster.

        Args:
            texts: N texts; half surrogate pairs, which UTF-8 cannot hold, become ``?``.

        Returns:
            N texts with their tokens joined by single spaces.
        """
        pattern, replacement = self.substitutions[0]
        first = _compiled(pattern)
        joined: list[str] = []
        chunk: list[str] = []
        size = 0
        for text in texts:
            chunk.append(first.sub(replacement, text) if "\n" in text else text)
            size += len(text) + 1
            if size >= CHUNK_CHARACTERS:
                joined += self._join_chunk(chunk)
                chunk, size = [], 0
        if chunk:
            joined += self._join_chunk(chunk)
        return joined

    def _join_chunk(self, texts: list[str]) -> list[str]:
        text = "\n".join(texts)
        if not text.isascii():
            text = text.encode("utf-8", "replace").decode("utf-8")
        for pattern, replacement in self.substitutions[1:]:
            text = _compiled(pattern).sub(replacement, text)
        return text.split("\n")


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


_TOKENIZERS = {
    "treebank": Tokenizer("treebank", _TO_BLANKS + _TREEBANK + _TRIM),
    "whitespace": Tokenizer("whitespace", _TO_BLANKS + _TRIM),
}


def tokenizer(name: str) -> Tokenizer:
    """Returns a tokenizer by its name.

    Args:
        name: ``treebank`` splits in the manner of the Penn Treebank (``do n't``, ``'s``, punctuation
            apart, straight quotes, ``--`` for dashes; case is kept), as ELMo's training text was;
            ``whitespace`` only splits at white space of any kind.

    Returns:
        The tokenizer.

    Raises:
        ConfigError: When there is none of that name.

    Reference:
        R. MacIntyre, Treebank tokenization (a sed script), University of Pennsylvania, 1995.
    """
    if name not in _TOKENIZERS:
        names = ", ".join(sorted(_TOKENIZERS))
        raise ConfigError(f'There is no tokenizer "{name}". Choose one of: {names}.')
    return _TOKENIZERS[name]
