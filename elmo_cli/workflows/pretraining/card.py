"""MODEL_CARD.md of a pre-trained ELMo."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from elmo_cli import __version__
from elmo_cli.config import DataConfig
from elmo_cli.counts import counted
from elmo_cli.elmo.source import ElmoSource
from elmo_cli.workflows.papers import said_by
from elmo_cli.workflows.pretraining.config import PretrainConfig
from elmo_cli.workflows.pretraining.log import LogEntry, PretrainResult, log_table
from elmo_cli.workflows.pretraining.model import PretrainModel


def model_card(
    model: PretrainModel,
    *,
    policy: str,
    result: PretrainResult,
    log: Sequence[LogEntry],
    commands: Sequence[str],
    began_with: ElmoSource | None,
    num_bytes: int,
) -> str:
    """Returns the card as Markdown.

    Args:
        model: What was trained, with its text and configuration.
        policy: Name of the dtype policy it was trained in.
        result: How far it came, and the perplexity.
        log: What was measured on the way.
        commands: The command lines, the first one first.
        began_with: The ELMo whose weights were gone on with, or None.
        num_bytes: Size of weights.hdf5.
    """
    config, corpus = model.config, model.corpus
    texts = zip(corpus.texts, corpus.file_tokens, strict=True)
    licence = [config.licence] if config.licence else []
    lines = [
        f"# ELMo pre-trained with elmo-pretrain {__version__}",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in _facts(model, policy, result, began_with, num_bytes)),
        "",
        "## Command and configuration",
        "",
        *(f"    {command}" for command in commands or ["elmo_cli.workflows.pretrain.pretrain"]),
        "",
        *(f"- {name}: {value}" for name, value in _settings(config).items()),
        "",
        "## Log",
        "",
        *log_table(log),
        "",
        "## Sources and licences",
        "",
        "The weights were made from these files. The licences of the texts in them apply:",
        "see to them before you pass the weights on.",
        "",
        *(f"- {text.name}: {counted(num_tokens, 'token', form=',')}" for text, num_tokens in texts),
        *([f"- {began_with.handle}: the weights to begin with"] if began_with else []),
        "",
        *licence,
    ]
    end = said_by(began_with.path, "ELMo it began with") if began_with else []
    return "\n".join(["\n".join(lines).rstrip(), *end]) + "\n"


def _facts(
    model: PretrainModel,
    policy: str,
    result: PretrainResult,
    began_with: ElmoSource | None,
    num_bytes: int,
) -> list[tuple[str, str]]:
    config, corpus, options = model.config, model.corpus, model.bilm.options
    lstm, cnn, perplexity, progress = options.lstm, options.char_cnn, result.perplexity, result.progress
    facts = [
        (
            "network",
            f"{lstm.num_layers} x LSTM {lstm.dim}, projection {lstm.projection_dim}, two directions; "
            f"character CNN of {counted(cnn.num_filters, 'filter')}, {cnn.num_highway} highway",
        ),
        ("parameters", f"{model.bilm.count_params() / 1e6:.2f} M, half precision on disk"),
        ("weights.hdf5", f"{num_bytes:,} bytes ({num_bytes / 1e6:.1f} MB)"),
        ("layers x width", f"{options.num_layers} x {options.dim}"),
        (
            "trained on",
            f"{progress.tokens / 1e6:.1f} M tokens in {counted(round(progress.seconds / 60), 'minute')}, "
            f"{counted(progress.steps, 'step')}",
        ),
        ("precision, seed", f"{policy}, {config.seed}"),
        (
            "predicted words",
            f"{len(corpus.vocabulary)}, {'cased' if corpus.vocabulary.cased else 'lower-cased'}",
        ),
        (
            "perplexity",
            f"{perplexity.forward:.1f} forward, {perplexity.backward:.1f} backward on {perplexity.tokens} "
            f"tokens ({corpus.measured_on}), {perplexity.unknown_share:.1%} of them outside the vocabulary",
        ),
    ]
    if began_with:
        facts.append(("began with", f"`{began_with.handle}`, fingerprint `{began_with.fingerprint}`"))
    if result.before:
        facts.append(
            (
                "perplexity before",
                f"{result.before.forward:.1f} forward, {result.before.backward:.1f} backward, with the "
                "weights it began with and a softmax learned for them in at most a quarter of the budget: "
                "where that was too little, a part of the gain is the softmax's",
            )
        )
        facts.append(
            ("weights chosen", "on the text that perplexity is given for, which flatters them a little")
        )
    return facts


def _settings(config: PretrainConfig) -> dict[str, Any]:
    """Returns what the training was told, but for what stands elsewhere on the card."""
    told = {key: value for key, value in vars(config).items() if key not in ("corpus", "data", "licence")}
    usual = vars(DataConfig())
    told |= {key: value for key, value in vars(config.data).items() if value != usual[key]}
    return {
        key: value.name if isinstance(value, Path) else value
        for key, value in told.items()
        if value is not None
    }
