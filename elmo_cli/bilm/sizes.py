"""Shapes of a biLM that have a name."""

from pathlib import Path

from elmo_cli.bilm.options import BiLMOptions, CharacterCNNOptions, LSTMOptions
from elmo_cli.errors import ConfigError

SIZES = {
    "tiny": BiLMOptions(
        CharacterCNNOptions(8, ((1, 8), (2, 8), (3, 16), (4, 32)), num_highway=1), LSTMOptions(128, 32)
    ),
    "mini": BiLMOptions(
        CharacterCNNOptions(
            16, ((1, 16), (2, 16), (3, 32), (4, 64), (5, 96), (6, 128), (7, 160)), num_highway=1
        ),
        LSTMOptions(768, 192),
    ),
    "small": BiLMOptions(
        CharacterCNNOptions(
            16, ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024)), num_highway=1
        ),
        LSTMOptions(1024, 128),
    ),
}


def options_of_size(size: str) -> BiLMOptions:
    """Returns the shape that a name in `SIZES`, or the path of an options.json, stands for.

    Raises:
        ConfigError: For anything else.
        SourceError: If the file is no options.json.
    """
    if size in SIZES:
        return SIZES[size]
    try:
        is_file = Path(size).is_file()
    except OSError as error:
        raise ConfigError(f"--size {size}: cannot be read ({error.strerror}).") from error
    if is_file:
        return BiLMOptions.from_json(Path(size))
    raise ConfigError(
        f"--size {size}: neither a known size ({', '.join(SIZES)}) nor the path of an options.json."
    )
