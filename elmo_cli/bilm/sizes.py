"""Shapes of a biLM that have a name."""

from pathlib import Path

from elmo_cli.bilm.options import BiLMOptions, CharacterCNNOptions, LSTMOptions
from elmo_cli.errors import ConfigError

# The 2048 filters of all published ELMos.
_PUBLISHED_FILTERS = ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024))

# ``small``, ``medium`` and ``original`` are AllenNLP's, with 13.6, 28.0 and 93.6 million parameters:
# 2x1024_128_2048cnn_1xhighway, 2x2048_256_2048cnn_1xhighway and 2x4096_512_2048cnn_2xhighway.
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
    "small": BiLMOptions(CharacterCNNOptions(16, _PUBLISHED_FILTERS, num_highway=1), LSTMOptions(1024, 128)),
    "medium": BiLMOptions(CharacterCNNOptions(16, _PUBLISHED_FILTERS, num_highway=1), LSTMOptions(2048, 256)),
    "original": BiLMOptions(
        CharacterCNNOptions(16, _PUBLISHED_FILTERS, num_highway=2), LSTMOptions(4096, 512)
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
