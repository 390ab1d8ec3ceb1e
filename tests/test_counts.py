import pytest

from elmo_cli.counts import counted


@pytest.mark.parametrize(
    ("number", "noun", "plural", "form", "text"),
    [
        (0, "row", None, "d", "0 rows"),
        (1, "row", None, "d", "1 row"),
        (2, "row", None, "d", "2 rows"),
        (1, "class", "classes", ",", "1 class"),
        (1200, "class", "classes", ",", "1,200 classes"),
    ],
)
def test_a_noun_stands_in_the_right_number(number, noun, plural, form, text):
    assert counted(number, noun, plural, form=form) == text
