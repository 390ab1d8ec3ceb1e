"""The shape of a biLM: AllenNLP's and bilm-tf's options.json as frozen dataclasses."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from elmo_cli.errors import SourceError


@dataclass(frozen=True)
class CharacterCNNOptions:
    """The shape of the network that turns the characters of a token into a vector.

    Args:
        embedding_dim: Width of a character's vector.
        filters: (width in characters, number of filters) of each convolution.
        num_highway: Number of highway layers after the convolutions.
        max_characters_per_token: Characters looked at per token, its two word marks included.
        activation: Applied to each filter's maximum over the token.
    """

    embedding_dim: int
    filters: tuple[tuple[int, int], ...]
    num_highway: int
    max_characters_per_token: int = 50
    activation: Literal["relu", "tanh"] = "relu"

    def __post_init__(self) -> None:
        _at_least(1, embedding_dim=self.embedding_dim)
        _at_least(0, num_highway=self.num_highway)
        if not self.filters:
            raise ValueError("filters is empty; at least one (width, number) is needed")
        for width, number in self.filters:
            _at_least(1, filter_width=width, number_of_filters=number)
        # A token of one character has its two marks, and the widest window must fit.
        _at_least(max(3, self.max_filter_width), max_characters_per_token=self.max_characters_per_token)
        if self.activation not in ("relu", "tanh"):
            raise ValueError(f"activation is {self.activation!r}; known are 'relu' and 'tanh'")

    @property
    def max_filter_width(self) -> int:
        """Width of the widest convolution, in characters."""
        return max(width for width, _ in self.filters)

    @property
    def num_filters(self) -> int:
        """Number of filters of all widths together."""
        return sum(number for _, number in self.filters)


@dataclass(frozen=True)
class LSTMOptions:
    """The shape of the two stacks of LSTMs.

    Args:
        dim: Width of an LSTM's memory.
        projection_dim: Width of its output, and of a context-free token vector.
        num_layers: LSTM layers per direction.
        cell_clip: Bound on the memory's absolute values, or None.
        projection_clip: Bound on the output's absolute values, or None.
        use_skip_connections: Whether a layer above the first adds its input to its output.
    """

    dim: int
    projection_dim: int
    num_layers: int = 2
    cell_clip: float | None = 3.0
    projection_clip: float | None = 3.0
    use_skip_connections: bool = True

    def __post_init__(self) -> None:
        _at_least(1, dim=self.dim, projection_dim=self.projection_dim, num_layers=self.num_layers)


@dataclass(frozen=True)
class BiLMOptions:
    """The shape of a whole biLM.

    Args:
        char_cnn: Of the network that reads characters.
        lstm: Of the two stacks of LSTMs.
        sentence_marks: Whether a mark is read before each sentence and after it. AllenNLP's reader always
            reads them; some TensorFlow Hub modules never do.

    Reference: `options.json` of https://github.com/allenai/bilm-tf and of AllenNLP's ELMo models.
    """

    char_cnn: CharacterCNNOptions
    lstm: LSTMOptions
    sentence_marks: bool = True

    @property
    def num_layers(self) -> int:
        """Layers an ELMo of this shape offers: the token layer and one per LSTM layer."""
        return self.lstm.num_layers + 1

    @property
    def dim(self) -> int:
        """Width of a layer's token vector, both directions side by side."""
        return 2 * self.lstm.projection_dim

    @classmethod
    def from_dict(cls, options: Mapping[str, Any]) -> "BiLMOptions":
        """Reads the nested dictionary of an options.json.

        Args:
            options: With ``char_cnn`` and ``lstm``; other keys (training settings) are ignored.

        Raises:
            KeyError, TypeError, ValueError: If a value is missing or of the wrong kind.
        """
        cnn, lstm = options["char_cnn"], options["lstm"]
        # 261 is bilm-tf's count while training, 262 its count with a row for masked tokens.
        if cnn.get("n_characters", 262) not in (261, 262):
            raise ValueError(f"n_characters is {cnn['n_characters']}; ELMo's characters are 261 or 262")
        return cls(
            CharacterCNNOptions(
                embedding_dim=int(cnn["embedding"]["dim"]),
                filters=tuple((int(width), int(number)) for width, number in cnn["filters"]),
                num_highway=int(cnn.get("n_highway") or 0),
                max_characters_per_token=int(cnn.get("max_characters_per_token", 50)),
                activation=cnn.get("activation", "relu"),
            ),
            LSTMOptions(
                dim=int(lstm["dim"]),
                projection_dim=int(lstm["projection_dim"]),
                num_layers=int(lstm.get("n_layers", 2)),
                cell_clip=_optional_float(lstm.get("cell_clip")),
                projection_clip=_optional_float(lstm.get("proj_clip")),
                use_skip_connections=bool(lstm.get("use_skip_connections", False)),
            ),
            sentence_marks=bool(options.get("sentence_marks", True)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns the nested dictionary that `from_dict`, AllenNLP and bilm-tf read.

        Without sentence marks there is a key ``sentence_marks`` that those two pass over: they read marks
        in any case, and get other vectors. With marks there is none, as in published files.
        """
        marks = {} if self.sentence_marks else {"sentence_marks": False}
        return marks | {
            "lstm": {
                "use_skip_connections": self.lstm.use_skip_connections,
                "projection_dim": self.lstm.projection_dim,
                "cell_clip": self.lstm.cell_clip,
                "proj_clip": self.lstm.projection_clip,
                "dim": self.lstm.dim,
                "n_layers": self.lstm.num_layers,
            },
            "char_cnn": {
                "activation": self.char_cnn.activation,
                "filters": [list(pair) for pair in self.char_cnn.filters],
                "n_highway": self.char_cnn.num_highway,
                "embedding": {"dim": self.char_cnn.embedding_dim},
                "n_characters": 262,
                "max_characters_per_token": self.char_cnn.max_characters_per_token,
            },
        }

    @classmethod
    def from_json(cls, path: Path) -> "BiLMOptions":
        """Reads an options.json file.

        Raises:
            SourceError: If the file cannot be read or does not describe a biLM.
        """
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise SourceError(
                f"{path}: not the options.json of an ELMo ({type(error).__name__}: {error}). It must be "
                'AllenNLP\'s file, with the keys "lstm" and "char_cnn".'
            ) from error

    def to_json(self) -> str:
        """Returns the text of an options.json."""
        return json.dumps(self.to_dict(), indent=2) + "\n"


def _at_least(least: int, **values: int) -> None:
    for name, value in values.items():
        if value < least:
            raise ValueError(f"{name} is {value}; it must be at least {least}")


def _optional_float(value: Any) -> float | None:
    return None if value is None else float(value)
