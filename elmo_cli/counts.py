"""Numbers of things as people write them."""


def counted(number: int, noun: str, plural: str | None = None, *, form: str = "d") -> str:
    """Writes a number with its noun in the right number.

    Args:
        number: At least 0.
        noun: For one of them.
        plural: For any other number of them; the noun and an s when absent.
        form: How the number is written, as for `format`: ``,`` sets thousands apart.

    Returns:
        Text such as ``1 row``, ``0 rows`` or ``1,200 classes``.
    """
    return f"{number:{form}} {noun if number == 1 else plural or noun + 's'}"
