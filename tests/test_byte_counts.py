import pytest

from elmo_cli.byte_counts import format_bytes, parse_bytes
from elmo_cli.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1234", 1234),
        ("12 B", 12),
        ("1 byte", 1),
        ("512 bytes", 512),
        ("500MB", 500_000_000),
        ("500 mb", 500_000_000),
        ("2G", 2_000_000_000),
        ("1.5 GiB", 3 * 2**29),
        (".5k", 500),
        ("4KiB", 4096),
        (" 1 TB ", 10**12),
        ("0.1GB", 100_000_000),
        ("1.0005kB", 1000),
    ],
)
def test_sizes_are_read(text: str, expected: int) -> None:
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "GB", "-1", "1,5 GB", "2 GBs", "1e9", "1 ib", "nan", "٣", "5 MB extra"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"500MB, 1\.5 GiB or 0; received"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("num_bytes", "expected"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (1049, "1 kB"),
        (1050, "1.1 kB"),
        (9949, "9.9 kB"),
        (9999, "10 kB"),
        (25_112_000, "25 MB"),
        (999_499, "999 kB"),
        (999_999, "1 MB"),
        (4_294_967_296, "4.3 GB"),
        (2 * 10**18, "2000 PB"),
    ],
)
def test_sizes_are_written_short(num_bytes: int, expected: str) -> None:
    assert format_bytes(num_bytes) == expected


def test_what_is_written_can_be_read() -> None:
    for num_bytes in (0, 7, 1000, 25_112_000, 4_294_967_296, 999_999_999_999):
        assert parse_bytes(format_bytes(num_bytes)) == pytest.approx(num_bytes, rel=0.06)
