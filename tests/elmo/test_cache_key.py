import hashlib

from elmo_cli.elmo.cache_key import KeySpace


def test_a_key_is_the_hash_of_all_parts() -> None:
    keys = KeySpace(fingerprint="ab", stored="mean", dtype="float16")
    parts = b"\2\0\0\0\0\0\0\0ab" + b"\4\0\0\0\0\0\0\0mean" + b"\7\0\0\0\0\0\0\0float16" + "a café".encode()
    assert keys("a café") == hashlib.sha256(parts).digest()
    assert keys("a café") == keys("a café")


def test_every_part_and_where_it_ends_matters() -> None:
    keys = {
        KeySpace(fingerprint=fingerprint, stored=stored, dtype=dtype)(sentence)
        for fingerprint, stored, dtype, sentence in [
            ("ab", "c", "d", "e"),
            ("a", "bc", "d", "e"),
            ("ab", "cd", "", "e"),
            ("ab", "c", "de", ""),
            ("ab", "c", "", "de"),
            ("ab", "c", "d", "E"),
        ]
    }
    assert len(keys) == 6


def test_a_sentence_that_is_no_unicode_text_has_a_key() -> None:
    keys = KeySpace(fingerprint="", stored="", dtype="")
    assert keys("\ud800") != keys("\ud801")
