"""MODEL_CARD.md of what is exported."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from elmo_cli import __version__
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.counts import counted
from elmo_cli.elmo.hub.module import Aggregation
from elmo_cli.elmo.source import ElmoSource
from elmo_cli.errors import RunError
from elmo_cli.workflows.papers import said_by

if TYPE_CHECKING:
    from elmo_cli.workflows.predict import Predictor

# `ELMoCharacterMapper.max_word_length` of AllenNLP.
_ALLENNLP_CHARACTERS = 50

_USE_OF_HUB = """
    import tensorflow as tf, tensorflow_hub as hub
    elmo = hub.load(DIRECTORY)
    elmo.signatures["default"](tf.constant(["the cat sat"]))["elmo"]

`default` takes `strings` (B,), tokens joined by single spaces; `tokens` takes `tokens` (B, T) and
`sequence_len` (B,). Both give `word_emb` (B, T, P), `lstm_outputs1` and so on (B, T, 2P), their mix `elmo`
(B, T, 2P), and `default` (B, 2P), the mean of `elmo` over the tokens. Names and shapes are
those of google/elmo. A mix that a run learned is of layers that its classifier standardises first; here it
weighs them as they are."""

_USE_OF_HDF5 = """
    elmo-train train.csv --elmo DIRECTORY

`options.json` and `weights.hdf5` have the layout of AllenNLP and bilm-tf, whose readers read them,
too{but}."""

_USE_OF_SERVING = """
The signature `serving_default` takes `texts`, string (B,), raw, and gives for each

- `label`: string (B,), the likeliest class;
- `probability`: float32 (B,), its probability;
- `probabilities`: float32 (B, C), those of all classes;
- `classes`: string (B, C), the names of the classes in that order, the same in every row.

Tokens, characters, ELMo and classifier are all inside; nothing has to be installed but TensorFlow or a model
server. The probabilities are those of `elmo-predict --precision float32`. A request may have any number of
texts: so many are worked on at once as do not take much memory."""


@dataclass(frozen=True)
class ExportedElmo:
    """An ELMo on its way out.

    Args:
        bilm: The network, in float32.
        source: Where it came from.
        aggregation: How its layers are mixed.
    """

    bilm: BiLM
    source: ElmoSource
    aggregation: Aggregation


def elmo_card(elmo: ExportedElmo, form: Literal["hub", "hdf5"]) -> str:
    """Returns the card of an exported ELMo as Markdown, that of its source included.

    Raises:
        SourceError: When that one cannot be read.
    """
    options, source = elmo.bilm.options, elmo.source
    shares = np.exp(elmo.aggregation.weights - elmo.aggregation.weights.max())
    shares /= shares.sum()
    mix = f"{', '.join(f'{share:.3f}' for share in shares)}; times {elmo.aggregation.scaling:.3f}"
    lines = [
        f"# ELMo exported by elmo-export {__version__}",
        "",
        "| | |",
        "|---|---|",
        f"| source | `{source.handle}`, fingerprint `{source.fingerprint}` |",
        f"| network | {counted(options.lstm.num_layers, 'layer')} of LSTM {options.lstm.dim} projected to "
        f"{options.lstm.projection_dim}, both ways; {options.char_cnn.num_filters} character filters |",
        f"| parameters | {elmo.bilm.count_params():,} |",
        f"| vectors | {options.num_layers} layers of width {options.dim} |",
        *([f"| mix of the layers | {mix} |"] if form == "hub" else []),
        "",
        "## Use",
        _USE_OF_HUB if form == "hub" else _USE_OF_HDF5.format(but=_unread_by_allennlp(options)),
        "",
        "## Licence",
        "",
        "That of the source: another format changes nothing about it.",
        *said_by(source.path, "source"),
    ]
    return "\n".join(lines) + "\n"


def _unread_by_allennlp(options: BiLMOptions) -> str:
    """Returns what AllenNLP's `Elmo` does not read about a network, as the end of a sentence."""
    reasons = []
    if not options.lstm.use_skip_connections:
        reasons.append("without skip connections between its layers")
    if (width := options.char_cnn.max_characters_per_token) != _ALLENNLP_CHARACTERS:
        reasons.append(f"with {width} characters a token, not {_ALLENNLP_CHARACTERS}")
    return f"; but AllenNLP's `Elmo` refuses a network {' and '.join(reasons)}" if reasons else ""


def serving_card(predictor: "Predictor") -> str:
    """Returns the card of an exported classifier as Markdown, that of the run included.

    Raises:
        RunError: When that one cannot be read.
    """
    preprocessor, source = predictor.preprocessor, predictor.classifier.embedder.source
    lines = [
        f"# Text classifier exported by elmo-export {__version__}",
        "",
        f"Made of the run `{predictor.run.path.name}` on the ELMo `{source.handle}`, fingerprint "
        f"`{source.fingerprint}`. It reads at most {counted(preprocessor.max_tokens, 'token')} of a text "
        f"({preprocessor.tokenizer_name} tokenizer).",
        "",
        "## Use",
        _USE_OF_SERVING,
        *said_by(predictor.run.path, "run", RunError),
    ]
    return "\n".join(lines) + "\n"
