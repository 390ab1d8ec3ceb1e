"""Names of the public ELMos: where each lies, what it was trained on, under which licence.

Addresses were taken from the models' own pages and from code that uses them; where one address of a model was
seen for its sister only, it follows the pattern of that one. None of the publishers names a checksum.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from elmo_cli.errors import SourceError

Address = tuple[str, ...]  # (module,) or (options, weights)

_S3 = "https://s3-us-west-2.amazonaws.com/allennlp/models/elmo"
_S3_OF_BUCKET = "https://allennlp.s3.amazonaws.com/models/elmo"
_HUGGING_FACE = "https://huggingface.co/lysandre/elmo-2x4096_512_2048cnn_2xhighway/resolve/main"
_ONE_BILLION = "1 Billion Word Benchmark: news of 2011, 0.8 billion tokens"
_UNRESTRICTED = "no restrictions (AI2)"  # https://github.com/allenai/allennlp/issues/1462
# NLPL's numbers of these models: https://github.com/HIT-SCIR/ELMoForManyLangs, "Downloads".
_NUMBERS_OF_MANY_LANGS = range(136, 180)


@dataclass(frozen=True)
class KnownElmo:
    """A public ELMo.

    Args:
        name: The handle.
        addresses: Where it lies, in the order to try: the URL of a module, or those of options and weights.
        language: Of what it was trained on.
        text: What it was trained on.
        licence: Of the weights; as far as their publisher says.
        page: Where its publisher describes it.
        num_bytes: About how much is downloaded; None where that is not known.
        aliases: Other names.
    """

    name: str
    addresses: tuple[Address, ...]
    language: str
    text: str
    licence: str
    page: str
    num_bytes: int | None = None
    aliases: tuple[str, ...] = ()


def _google(version: int) -> KnownElmo:
    kaggle = "https://www.kaggle.com"
    return KnownElmo(
        f"google/elmo/{version}",
        (
            (f"https://tfhub.dev/google/elmo/{version}",),
            (f"{kaggle}/models/google/elmo/TensorFlow1/elmo/{version}",),
            (f"{kaggle}/models/google/elmo/frameworks/TensorFlow1/variations/elmo/versions/{version}",),
            (f"{kaggle}/api/v1/models/google/elmo/tensorFlow1/elmo/{version}/download",),
            (f"https://storage.googleapis.com/tfhub-modules/google/elmo/{version}.tar.gz",),
        ),
        "English",
        _ONE_BILLION,
        "Apache 2.0",
        f"https://tfhub.dev/google/elmo/{version}",
        aliases=("google/elmo",) if version == 3 else (),
    )


def _allennlp(
    name: str,
    options: str,
    weights: str,
    *,
    text: str = _ONE_BILLION,
    language: str = "English",
    licence: str = _UNRESTRICTED,
    num_bytes: int | None = None,
    mirrors: tuple[Address, ...] = (),
    aliases: tuple[str, ...] = (),
) -> KnownElmo:
    in_buckets = tuple((f"{base}/{options}", f"{base}/{weights}") for base in (_S3_OF_BUCKET, _S3))
    return KnownElmo(
        f"allennlp:{name}",
        (*in_buckets, *mirrors),
        language,
        text,
        licence,
        "https://allenai.org/allennlp/software/elmo",
        num_bytes,
        tuple(f"allennlp:{alias}" for alias in aliases),
    )


def _published(name: str, shape: str, num_bytes: int, **facts: object) -> KnownElmo:
    start = f"{shape}/elmo_{shape}_"
    return _allennlp(
        name,
        f"{start}options.json",
        f"{start}weights.hdf5",
        num_bytes=num_bytes,
        **facts,  # type: ignore[arg-type]
    )


def _nlpl(number: int, language: str, text: str, num_bytes: int | None = None) -> KnownElmo:
    # Version 2.0 of the repository; 11 is version 1.1, the former one, whose models are in 2.0 as well.
    return KnownElmo(
        f"nlpl:{number}",
        (
            (f"https://vectors.nlpl.eu/repository/20/{number}.zip",),
            (f"http://vectors.nlpl.eu/repository/20/{number}.zip",),
            (f"http://vectors.nlpl.eu/repository/11/{number}.zip",),
        ),
        language,
        text,
        "see meta.json in it",
        "http://vectors.nlpl.eu/repository/",
        num_bytes,
    )


# Sizes are those of downloads that were logged, or 4 bytes for each parameter that the publisher states.
KNOWN = (
    _google(3),
    _google(2),
    _google(1),
    _published("small", "2x1024_128_2048cnn_1xhighway", 54_000_000),
    _published("medium", "2x2048_256_2048cnn_1xhighway", 112_000_000),
    _published(
        "original",
        "2x4096_512_2048cnn_2xhighway",
        374_435_128,
        mirrors=((f"{_HUGGING_FACE}/options.json", f"{_HUGGING_FACE}/weights.hdf5"),),
    ),
    _published(
        "5.5B",
        "2x4096_512_2048cnn_2xhighway_5.5B",
        374_000_000,
        text="Wikipedia (1.9 billion tokens) and news of 2008 to 2012 (3.6 billion)",
        aliases=("large",),
    ),
    _allennlp(
        "pt",
        "contributed/pt/elmo_pt_options.json",
        "contributed/pt/elmo_pt_weights.hdf5",
        language="Portuguese",
        text="not stated",
        licence="not stated",
        aliases=("portuguese",),
    ),
    _allennlp(
        "pt-wikipedia",
        "contributed/pt/wikipedia/options.json",
        "contributed/pt/wikipedia/elmo_pt_weights.hdf5",
        language="Portuguese",
        text="Wikipedia",
        licence="not stated",
    ),
    _allennlp(
        "pubmed",
        "contributed/pubmed/elmo_2x4096_512_2048cnn_2xhighway_options.json",
        "contributed/pubmed/elmo_2x4096_512_2048cnn_2xhighway_weights_PubMed_only.hdf5",
        text="abstracts of PubMed, 0.8 billion tokens",
        licence="not stated",
        num_bytes=374_000_000,
    ),
    _nlpl(210, "Norwegian", "Wikipedia, lemmatised, 160 million words"),
    _nlpl(211, "Norwegian", "Wikipedia, 160 million words"),
    _nlpl(212, "Russian", "Araneum, lemmatised", 1_500_000_000),
    _nlpl(217, "Norwegian", "Wikipedia and newspapers, 30,000 words predicted"),
    _nlpl(218, "Norwegian", "Wikipedia and newspapers, 100,000 words predicted"),
)


def known_elmo(handle: str) -> KnownElmo | None:
    """Finds a public ELMo by its name, or by any of its addresses.

    Args:
        handle: Such as ``allennlp:small``, ``google/elmo/3``, ``https://tfhub.dev/google/elmo/3``, or
            ``nlpl:NUMBER`` with any number of NLPL's repository.

    Raises:
        SourceError: For a number of NLPL's that is known to be another network.
    """
    wanted = handle.rstrip("/")
    address = tuple(part.strip() for part in wanted.split(","))
    for model in KNOWN:
        if wanted.lower() in map(str.lower, (model.name, *model.aliases)) or address in model.addresses:
            return model
    number = re.fullmatch(r"nlpl:([0-9]{1,6})", wanted, re.IGNORECASE)
    if number is None:
        return None
    if int(number[1]) in _NUMBERS_OF_MANY_LANGS:
        raise another_network(handle)
    return _nlpl(int(number[1]), "", "")


def another_network(handle: str) -> SourceError:
    """Returns the error for a model of ELMoForManyLangs."""
    return SourceError(
        f"ELMo {handle}: this is a model of ELMoForManyLangs, another network (its characters are Unicode, "
        "its weights are pickles) that elmo-cli does not read. NLPL's models with model.hdf5 fit."
    )


def known_names() -> Iterator[str]:
    """Yields every name that `known_elmo` finds, numbers of NLPL that are not in the table excepted."""
    for model in KNOWN:
        yield from (model.name, *model.aliases)
