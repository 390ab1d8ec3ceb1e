"""MODEL_CARD.md of a pre-trained ELMo."""

from collections.abc import Sequence

from elmo_cli import __version__
from elmo_cli.bilm.language_model import LanguageModel
from elmo_cli.bilm.perplexity import Perplexity
from elmo_cli.training.stream import Progress
from elmo_cli.workflows.pretrain_config import PretrainConfig


def model_card(
    config: PretrainConfig,
    model: LanguageModel,
    *,
    policy: str,
    progress: Progress,
    result: Perplexity,
    file_tokens: Sequence[int],
    num_bytes: int,
) -> str:
    """Returns the card as Markdown.

    Args:
        config: What the training was told.
        model: The trained model, built.
        policy: Name of the dtype policy it was trained in.
        progress: How long it was trained.
        result: The perplexity at the end.
        file_tokens: Number of tokens in each file of `config.corpus`.
        num_bytes: Size of weights.hdf5.
    """
    options = model.bilm.options
    lstm, cnn = options.lstm, options.char_cnn
    measured_on = config.held_out.name if config.held_out else "sentences of the training text"
    rows = {
        "network": f"{lstm.num_layers} x LSTM {lstm.dim}, projection {lstm.projection_dim}, two directions; "
        f"character CNN of {cnn.num_filters} filters, {cnn.num_highway} highway",
        "parameters": f"{model.bilm.count_params() / 1e6:.2f} M, half precision on disk",
        "weights.hdf5": f"{num_bytes:,} bytes ({num_bytes / 1e6:.1f} MB)",
        "layers x width": f"{options.num_layers} x {options.dim}",
        "trained on": f"{progress.tokens / 1e6:.1f} M tokens in {progress.seconds / 60:.0f} minutes, "
        f"{progress.steps} steps",
        "precision, seed": f"{policy}, {config.seed}",
        "predicted words": f"{model.vocabulary_size}, lower-cased",
        "perplexity": f"{result.forward:.1f} forward, {result.backward:.1f} backward on {result.tokens} "
        f"tokens ({measured_on}), {result.unknown_share:.1%} of them outside the vocabulary",
    }
    files = zip(config.corpus, file_tokens, strict=True)
    lines = [
        f"# ELMo pre-trained with elmo-pretrain {__version__}",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in rows.items()),
        "",
        "## Sources and licences",
        "",
        "The weights were made from these files. The licences of the texts in them apply:",
        "see to them before you pass the weights on.",
        "",
        *(f"- {path.name}: {num_tokens:,} tokens" for path, num_tokens in files),
        "",
        *([config.licence] if config.licence else []),
    ]
    return "\n".join(lines).rstrip() + "\n"
