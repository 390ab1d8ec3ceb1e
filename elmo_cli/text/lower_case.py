"""Python's lower case as plain data, for a graph that runs where Python does not."""

import itertools
import sys
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

_CAPITAL_SIGMA = "\N{GREEK CAPITAL LETTER SIGMA}"
_SIGMA = "\N{GREEK SMALL LETTER SIGMA}"
_FINAL_SIGMA = "\N{GREEK SMALL LETTER FINAL SIGMA}"
_WITHOUT_CASE = ("Cn", "Co", "Cs")  # not assigned, private, half surrogate pairs


@dataclass(frozen=True)
class LowerCase:
    r"""What ``str.lower`` of this Python does: substitutions, then a table of single characters.

    Other libraries know other versions of Unicode, and some ask the server for its language (a Turkish one
    makes another letter of I); so that the words of a text are the same everywhere, the rules are taken from
    the Python that trained the classifier.

    Args:
        substitutions: Pattern and replacement pairs in what RE2 understands, applied in order: letters that
            become two, and the capital sigma, whose small form depends on its neighbours.
        capitals: Code points of the characters that change, ascending.
        small: What each of them becomes.

    Reference:
        The Unicode Standard 14.0, section 3.13, "Default Case Conversion"; ``Final_Sigma`` of table 3-17.
    """

    substitutions: tuple[tuple[str, str], ...]
    capitals: tuple[int, ...]
    small: tuple[int, ...]

    @classmethod
    def of_this_python(cls) -> Self:
        """Asks Python about every character there is, which takes some tenths of a second."""
        characters = [
            each
            for each in map(chr, range(sys.maxunicode + 1))
            if unicodedata.category(each) not in _WITHOUT_CASE
        ]
        changed = {each: each.lower() for each in characters if each.lower() != each}
        longer = tuple((each, low) for each, low in changed.items() if len(low) > 1)
        single = {ord(each): ord(low) for each, low in changed.items() if len(low) == 1}
        # A sigma ends a word where a cased letter stands before it, and none behind it; characters without
        # meaning for case, such as apostrophes and accents, may stand in between.
        cased = [each for each in characters if (each + _CAPITAL_SIGMA).lower().endswith(_FINAL_SIGMA)]
        known = set(cased)
        passed_over = [
            each
            for each in characters
            if each not in known and ("a" + each + _CAPITAL_SIGMA).lower().endswith(_FINAL_SIGMA)
        ]
        letter, between = _character_class(cased), _character_class(passed_over) + "*"
        inside = (f"{_CAPITAL_SIGMA}({between}{letter})", f"{_SIGMA}\\1")
        at_the_end = (f"({letter}{between}){_CAPITAL_SIGMA}", f"\\1{_FINAL_SIGMA}")
        # Of neighbours that overlap the second pass finds every other one.
        return cls((inside, inside, at_the_end, *longer), tuple(single), tuple(single.values()))


def _character_class(characters: Iterable[str]) -> str:
    """Returns a class of RE2 that matches these characters, given in ascending order."""
    codes = [ord(each) for each in characters]
    # Neighbours have the same distance between their code and their place.
    runs = itertools.groupby(enumerate(codes), key=lambda pair: pair[1] - pair[0])
    ranges = []
    for _, run in runs:
        found = [code for _, code in run]
        ranges.append(f"\\x{{{found[0]:x}}}-\\x{{{found[-1]:x}}}")
    return f"[{''.join(ranges)}]"
