import csv
import gzip
import random
from pathlib import Path

import pytest

from elmo_cli.errors import ConfigError
from elmo_cli.text import tokens
from elmo_cli.text.tokens import Tokenizer, tokenizer

TREEBANK = [
    ("I don't know.", "I do n't know ."),
    ("It's John's, he'll say; they've gone.", "It 's John 's , he 'll say ; they 've gone ."),
    ("Can't you? You cannot!", "Ca n't you ? You can not !"),
    ("I'm gonna wait, gotta go. Gimme that.", "I 'm gon na wait , got ta go . Gim me that ."),
    ("It costs $1,000.50, or 16.9%, in the U.S.", "It costs $ 1,000.50 , or 16.9 % , in the U.S."),
    ("1,2,3 and 1,000,000", "1,2,3 and 1,000,000"),
    ("Mr. and Mrs. Smith met Dr. Jones at 6:30 p.m.", "Mr. and Mrs. Smith met Dr. Jones at 6:30 p.m."),
    ("He lives in Washington D.C.", "He lives in Washington D.C."),
    ("My wife and I. We went.", "My wife and I. We went ."),
    ("It was my wife and I.", "It was my wife and I ."),
    ("Deal No. 5 is off. I said no.", "Deal No. 5 is off . I said no ."),
    ("First one. Second one.", "First one . Second one ."),
    ("It's it. Don't.", "It 's it . Do n't ."),
    ("\u201cWell,\u201d she said \u2014 \u2018no\u2019\u2026", "\" Well , \" she said -- ' no ' ..."),
    ("``Well,'' she said--no", '" Well , " she said -- no'),
    ("well... maybe.. not....", "well ... maybe .. not ... ."),
    ("the lancers' pages; 'em and 'tis in '68", "the lancers ' pages ; 'em and 'tis in '68"),
    ("O'Brien at five o'clock, ma'am", "O'Brien at five o'clock , ma'am"),
    ("a state-of-the-art T-shirt", "a state-of-the-art T-shirt"),
    ("http://example.org/a/b?s=topics, example.org.", "http://example.org/a/b?s=topics , example.org ."),
    ("and/or 1/2 (9/11) [x] {y} <z>", "and / or 1/2 ( 9/11 ) [ x ] { y } < z >"),
    ("AT&T's C++ #1 @home a@b.org", "AT&T 's C + + #1 @home a@b.org"),
    ('Note:this: "that".', 'Note : this : " that " .'),
    ("房间大\uff0c不错\uff01", "房 间 大 \uff0c 不 错 \uff01"),
    ("caf\u00e9 nai\u0308ve \U0001f600", "caf\u00e9 nai\u0308ve \U0001f600"),
]

AWKWARD = [
    "",
    " ",
    "\n",
    "\r",
    "\0",
    "a\0b",
    "a\rb\r\nc\td\x0be\x0cf",
    "a\u00a0b\u3000c\u2003d\u2028e\u2029f\u202fg\u205fh\u1680i\x85j\x1ck",
    "\ufeffstart\u200bof it",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 family\U0001f600\U0001f600.",
    "e\u0301te\u0301 n\u0303o\u0308",
    "\u2018a\u2019 \u201cb\u201d \u201ec\u201f \u00abd\u00bb \u00b4e` \u201af\u201b",
    "'",
    "''",
    "'''",
    "' '",
    '"',
    '"""',
    ".",
    "..",
    "...",
    "....",
    ". . .",
    ",",
    ",,",
    "1,",
    ",1",
    "1,,2",
    ":",
    "::",
    "a:1:b:/c",
    "--",
    "-",
    "---",
    "'s",
    "s's's",
    "n't",
    "N'T.",
    "can't've",
    "I'd've.",
    "\x01\x02\x03\x04\x05\x06",
    "$ ^ \\ \\1 (?m) \\b",
    "a  b   c",
    " lead and trail ",
    "\u0130stanbul \u212a \u017f \u00df \u01c5",
    "\ue000\ufffd\uffff\U0010ffff",
    "x\u00adyz",
    "p. 5 No.  7 no. Fig. 3",
    "etc.",
    "A.",
    "U.S.",
    "I.",
    "rock 'n' roll 'bout '90s",
    "?a=b ?= ??c=d",
]


@pytest.fixture(scope="module", params=["treebank", "whitespace"])
def either(request: pytest.FixtureRequest) -> Tokenizer:
    return tokenizer(request.param)


@pytest.mark.parametrize(("text", "expected"), TREEBANK)
def test_treebank_splits_as_elmos_training_text_was_split(text: str, expected: str) -> None:
    assert tokenizer("treebank").join(text) == expected
    assert tokenizer("treebank").tokens(text) == expected.split(" ")


@pytest.mark.parametrize(("text", "expected"), TREEBANK)
def test_treebank_leaves_its_own_output_alone(text: str, expected: str) -> None:
    assert tokenizer("treebank").join(expected) == expected


def test_whitespace_splits_at_white_space_of_any_kind_only() -> None:
    assert tokenizer("whitespace").join("Don't\u00a0stop,\u3000now.\r\n") == "Don't stop, now."


def test_an_unknown_tokenizer_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ConfigError, match=r'no tokenizer "spacy".*treebank, whitespace'):
        tokenizer("spacy")


@pytest.mark.parametrize("text", AWKWARD)
def test_tokens_hold_no_white_space_and_join_to_the_sentence(text: str, either: Tokenizer) -> None:
    found = either.tokens(text)
    assert " ".join(found) == either.join(text)
    assert all(token and token.split() == [token] for token in found)


def test_half_surrogate_pairs_become_question_marks(either: Tokenizer) -> None:
    assert either.join_all(["a \ud83d b", "c"]) == ["a ? b", "c"]


def random_texts(count: int) -> list[str]:
    """Texts of characters that rules look at, so that rules meet in every order."""
    random_state = random.Random(5)
    alphabet = "aAsSnNtTmdoc019 .,:;'\"?/()-&$%\n\r\t\0\u00a0\u2019\u2026\u2014\u00e9\u623f\x01\x02_="
    return ["".join(random_state.choices(alphabet, k=random_state.randint(0, 24))) for _ in range(count)]


def test_many_texts_at_once_give_what_each_alone_gives(
    either: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [text for text, _ in TREEBANK] + AWKWARD + random_texts(3000)
    alone = [either.join(text) for text in texts]
    assert either.join_all(texts) == alone
    monkeypatch.setattr(tokens, "CHUNK_CHARACTERS", 50)
    assert either.join_all(texts) == alone
    assert either.join_all([]) == []


def test_patterns_stay_within_what_re2_understands(either: Tokenizer) -> None:
    for pattern, replacement in either.substitutions:
        for foreign in ("(?=", "(?!", "(?<", "(?P", "\\1", "\\w", "\\d", "\\s", "\\Z", "\\u", "\\x{"):
            assert foreign not in pattern
        assert "\\g" not in replacement


def in_graph(texts: list[str], either: Tokenizer) -> list[str]:
    tf = pytest.importorskip("tensorflow")
    found = tf.constant(texts)
    for pattern, replacement in either.substitutions:
        found = tf.strings.regex_replace(found, pattern, replacement)
    return [text.decode() for text in found.numpy().tolist()]


def test_the_same_tokens_are_obtained_inside_a_graph(either: Tokenizer) -> None:
    texts = [text for text, _ in TREEBANK] + AWKWARD + random_texts(3000)
    assert in_graph(texts, either) == either.join_all(texts)


def test_the_same_tokens_are_obtained_inside_a_graph_on_all_measuring_sets(
    either: Tokenizer, shared: Path
) -> None:
    texts: list[str] = []
    for path in sorted(shared.glob("datasets/*/test.csv")):
        with open(path, encoding="utf-8", newline="") as file:
            texts += [cell for row in csv.reader(file) for cell in row]
    assert len(texts) > 10_000
    assert in_graph(texts, either) == either.join_all(texts)


def test_treebank_leaves_text_alone_that_is_tokenised_already(shared: Path) -> None:
    with gzip.open(shared / "corpus" / "heldout-00.txt.gz", "rt", encoding="utf-8", newline="\n") as file:
        lines = [line.rstrip("\n") for line in file]
    joined = tokenizer("treebank").join_all(lines)
    assert sum(map(str.__eq__, lines, joined)) >= 0.99 * len(lines)
    assert tokenizer("treebank").join_all(joined) == joined
