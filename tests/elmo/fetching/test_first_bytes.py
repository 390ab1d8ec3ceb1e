import pytest

from elmo_cli.elmo.fetching.first_bytes import looks_like


@pytest.mark.parametrize(
    ("head", "looks"),
    [
        (b"", "empty"),
        (b" \n<!DOCTYPE html>", "a web page (HTML or XML)"),
        (b"0123456789abcdefg", "something that starts with b'0123456789abcdef'"),
    ],
)
def test_what_came_is_described(head, looks):
    assert looks_like(head) == looks
