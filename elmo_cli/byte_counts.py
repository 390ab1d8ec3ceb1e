"""Numbers of bytes as people write and read them."""

import re
from fractions import Fraction

from elmo_cli.errors import ConfigError

_PREFIXES = "kMGTP"
_PATTERN = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+) *(?:([kmgtp])(i)?)?(?:b|bytes?)?", re.IGNORECASE)


def parse_bytes(text: str) -> int:
    """Reads a number of bytes.

    Args:
        text: A number, maybe with a unit: ``0``, ``500MB``, ``1.5 GiB``, ``2g``. kB, MB, GB, TB and
            PB are in steps of 1000, KiB, MiB and so on of 1024. Case does not matter; the B may be left out.

    Returns:
        The number, at least 0; a fraction of a byte is dropped.

    Raises:
        ConfigError: When the text is nothing of the kind.
    """
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"A number of bytes is written as 500MB, 1.5 GiB or 0; received {text!r}.")
    number, prefix, binary = match.groups()
    power = _PREFIXES.lower().index(prefix.lower()) + 1 if prefix else 0
    return int(Fraction(number) * (1024 if binary else 1000) ** power)


def format_bytes(num_bytes: int) -> str:
    """Writes a number of bytes in the unit that leaves one to three digits before the point.

    Args:
        num_bytes: At least 0.

    Returns:
        Text such as ``512 bytes``, ``4.3 GB`` or ``25 MB``, in units of 1000, rounded to two or three digits;
        `parse_bytes` reads it.
    """
    if num_bytes < 1000:
        return f"{num_bytes} byte{'s' * (num_bytes != 1)}"
    value, unit = float(num_bytes), ""
    for prefix in _PREFIXES:
        if value < 999.5:  # what would be rounded to 1000 belongs to the next unit
            break
        value, unit = value / 1000, f"{prefix}B"
    digits = f"{value:.1f}" if value < 9.95 else f"{value:.0f}"
    return f"{digits.removesuffix('.0')} {unit}"
