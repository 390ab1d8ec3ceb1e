"""Text → arrays that `train` reads on a machine which has neither TensorFlow nor the text.

    cd benchmarks; CORPUS=../../shared/corpus
    python -m gpu_pretraining.prepare $CORPUS/train-*.txt.gz $CORPUS/movie_reviews-00.txt.gz \\
        --again $CORPUS/movie_reviews-00.txt.gz $CORPUS/movie_reviews-00.txt.gz \\
        --held-out $CORPUS/heldout-00.txt.gz -o DIR

What is read, predicted and cut is as in `elmo-pretrain`.
"""

import argparse
import lzma
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from elmo_cli.bilm.corpus import pieces, read_sentences
from elmo_cli.bilm.vocabulary import UNKNOWN_ID, Vocabulary

# A type beyond the first 65,535 stands in the stream as this number, and in full in a list beside it.
RARE = 65_535
WIDTH = 50


def main() -> None:
    """Writes ``words.xz``, ``words.npz``, ``held-out.xz`` and ``text-<n>.xz``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", nargs="+", type=Path)
    parser.add_argument("--held-out", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--vocabulary-size", type=int, default=30_000)
    parser.add_argument("--max-tokens", type=int, default=128, help="longer sentences are cut into pieces")
    parser.add_argument(
        "--again",
        nargs="*",
        type=Path,
        default=[],
        help="texts of the corpus that are read once more per pass for each time they are named here",
    )
    parser.add_argument("--parts", type=int, default=2)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)

    # Types, the most frequent first; every one also in lower case.
    counts: Counter[str] = Counter()
    with ProcessPoolExecutor(2) as pool:
        for of_file in pool.map(_count, arguments.corpus):
            counts.update(of_file)
    vocabulary = Vocabulary.build(counts, arguments.vocabulary_size)
    held_out = _sentences(arguments.held_out, arguments.max_tokens)
    types = [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    known = set(types)
    extra = {token for tokens in held_out for token in tokens} - known
    extra |= {word.lower() for word in known | extra} - known
    types += sorted(extra)
    ids = {word: i for i, word in enumerate(types)}
    words = {word: i for i, word in enumerate(vocabulary.words) if i > UNKNOWN_ID}
    lower = np.array([ids[word.lower()] for word in types], np.int32)
    targets = np.array([words.get(word.lower(), UNKNOWN_ID) for word in types], np.int32)
    np.savez_compressed(arguments.output / "words.npz", lower=lower, targets=targets)
    (arguments.output / "words.xz").write_bytes(lzma.compress("\n".join(types).encode()))
    (arguments.output / "vocab.txt").write_text(vocabulary.to_text(), encoding="utf-8")

    # Text, as numbers of types.
    _write(arguments.output / "held-out.xz", _encode(held_out, ids))
    num_tokens = 0
    paths = [*arguments.corpus, *arguments.again]
    for part in range(arguments.parts):
        texts = [
            _encode(_sentences(path, arguments.max_tokens), ids) for path in paths[part :: arguments.parts]
        ]
        stream, lengths = (np.concatenate(arrays) for arrays in zip(*texts, strict=True))
        num_tokens += len(stream)
        _write(arguments.output / f"text-{part}.xz", (stream, lengths))
    print(f"{num_tokens / 1e6:.1f} M tokens, {len(types)} types, {len(vocabulary)} words to predict")


def _count(path: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    for tokens in read_sentences(path):
        counts.update(tokens)
    return counts


def _sentences(path: Path, max_tokens: int) -> list[list[str]]:
    return [piece for tokens in read_sentences(path) for piece in pieces(tokens, max_tokens)]


def _encode(
    sentences: Sequence[Sequence[str]], ids: dict[str, int]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    stream = np.fromiter((ids[token] for tokens in sentences for token in tokens), np.int32)
    return stream, np.fromiter((len(tokens) for tokens in sentences), np.int32)


def _write(path: Path, text: tuple[NDArray[np.int32], NDArray[np.int32]]) -> None:
    """Writes numbers of types as uint16, those of the rare ones behind them, and lengths."""
    stream, lengths = text
    frequent = np.minimum(stream, RARE).astype("<u2")
    rare = stream[stream >= RARE].astype("<i4")
    head = np.array([len(stream), len(rare), len(lengths)], "<i8")
    content = head.tobytes() + frequent.tobytes() + rare.tobytes() + lengths.astype("u1").tobytes()
    path.write_bytes(lzma.compress(content, preset=4))


if __name__ == "__main__":
    main()
