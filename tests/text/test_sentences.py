import numpy as np
import pytest

from elmo_cli.errors import ConfigError
from elmo_cli.text.sentences import NO_LIMIT, CutReport, choose_max_tokens, cut, cut_report, token_counts

JOINED = ["a b c", "", "a", "a b c d e"]


def test_an_empty_text_counts_as_one_token() -> None:
    counts = token_counts(JOINED)
    assert counts.tolist() == [3, 1, 1, 5]
    assert counts.dtype == np.int32


@pytest.mark.parametrize(
    ("policy", "expected"),
    [(7, 7), ("7", 7), ("longest", 100), ("p99", 99), ("p100", 100), ("p50", 50), ("p98.5", 99), ("p0.5", 1)],
)
def test_the_maximum_length_follows_its_policy(policy: int | str, expected: int) -> None:
    assert choose_max_tokens(np.arange(1, 101, dtype=np.int32), policy) == expected


@pytest.mark.parametrize("policy", [0, -1, "p0", "p101", "pp", "short", "", "1.5"])
def test_another_policy_is_refused(policy: int | str) -> None:
    with pytest.raises(ConfigError, match="maximum length must be"):
        choose_max_tokens(np.ones(3, dtype=np.int32), policy)


def test_sentences_keep_their_first_tokens() -> None:
    sentences = cut(JOINED, 2)
    assert sentences.texts.tolist() == ["a b", "", "a", "a b"]
    assert sentences.lengths.tolist() == [2, 1, 1, 2]
    assert sentences.texts.dtype == object
    assert sentences.lengths.dtype == np.int32
    assert len(sentences) == 4
    assert len(cut([], 2)) == 0


def test_what_is_cut_is_counted_and_said() -> None:
    report = cut_report(token_counts(JOINED), 2)
    assert report == CutReport(num_rows=4, num_rows_cut=2, num_tokens=10, num_tokens_cut=4)
    assert str(report) == "2 of 4 rows were cut and lost 4 of 10 tokens (40.00%)"
    assert str(cut_report(token_counts(JOINED), 5)) == "none of 4 rows was cut"
    assert str(cut_report(token_counts(["a"]), 5)) == "none of 1 row was cut"
    assert str(cut_report(token_counts(["a b"]), 1)) == "1 of 1 row was cut and lost 1 of 2 tokens (50.00%)"


def test_what_is_cut_of_two_pieces_adds_up() -> None:
    counts = token_counts(JOINED)
    assert cut_report(counts[:2], 2) + cut_report(counts[2:], 2) == cut_report(counts, 2)
    assert cut(JOINED, NO_LIMIT).texts.tolist() == JOINED


def test_a_limit_beyond_all_lengths_cuts_nothing() -> None:
    for most in (2**31, 2**40, 2**70):
        sentences = cut(["a b"], most)
        assert (sentences.texts.tolist(), sentences.lengths.tolist()) == (["a b"], [2])
        assert sentences.lengths.dtype == np.int32
        assert cut_report(token_counts(["a b"]), most) == CutReport(1, 0, 2, 0)
        assert choose_max_tokens(np.ones(3, dtype=np.int32), most) == NO_LIMIT
