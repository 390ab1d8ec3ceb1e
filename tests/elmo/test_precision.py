"""Which precision a machine gets."""

import pytest
import tensorflow as tf

from elmo_cli.elmo import precision
from elmo_cli.elmo.precision import choose_precision


def machine(monkeypatch, *, flags: set[str], gpu: tuple[int, int] | None = None) -> None:
    """Pretends a processor with these instructions, and maybe a GPU of this compute capability."""
    monkeypatch.setattr(precision, "_processor_flags", lambda: flags)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda _: ["gpu"] if gpu else [])
    details = {"compute_capability": gpu} if gpu else {}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda _: details)


@pytest.mark.parametrize(
    ("flags", "gpu", "expected"),
    [
        ({"avx512f"}, None, "float32"),
        ({"avx512f", "avx512_bf16"}, None, "bfloat16"),
        ({"amx_bf16"}, None, "bfloat16"),
        (set(), (9, 0), "bfloat16"),
        ({"amx_bf16"}, (7, 5), "float32"),
    ],
)
def test_auto_is_what_the_processor_does_fast(flags, gpu, expected, monkeypatch):
    machine(monkeypatch, flags=flags, gpu=gpu)
    assert choose_precision("auto") == expected


@pytest.mark.parametrize("asked", ["float32", "bfloat16"])
def test_what_is_asked_for_is_taken(asked, monkeypatch):
    machine(monkeypatch, flags=set())
    assert choose_precision(asked) == asked


def test_processor_flags_are_words_or_nothing():
    assert all(flag.isprintable() and " " not in flag for flag in precision._processor_flags())
