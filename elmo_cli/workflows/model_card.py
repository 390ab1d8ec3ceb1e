"""What a reader should know about a trained classifier, on one page."""

from collections.abc import Mapping
from typing import Any

from elmo_cli.config import RunConfig
from elmo_cli.counts import counted
from elmo_cli.evaluation.report import Report
from elmo_cli.evaluation.text_table import decimal
from elmo_cli.text.preprocessor import Preprocessor
from elmo_cli.workflows.tfidf import describe_tfidf

_MOST_CLASSES = 50
_LEARNED = {
    "none": "all its layers count the same",
    "mix": "the mix of its layers was learned",
    "top": "its upper layer and the mix of its layers were fine-tuned",
    "all": "it was fine-tuned as a whole",
}


def model_card(
    config: RunConfig, preprocessor: Preprocessor, record: Mapping[str, Any], reports: Mapping[str, Report]
) -> str:
    """Writes MODEL_CARD.md of a run.

    Args:
        config: The whole run.
        preprocessor: Classes, tokenizer and maximum length.
        record: What stands in run.json: ``data``, ``elmo``, ``hidden``, ``best_epoch``, ``learned_valid``,
            ``versions``, ``started``, ``tfidf`` where there is such a part, and ``fine_tuned`` where that was
            wanted.
        reports: Report per evaluated table.

    Returns:
        Markdown.
    """
    names = preprocessor.label_set.names
    shown = ", ".join(f"`{name}`" for name in names[:_MOST_CLASSES])
    more = f" and {len(names) - _MOST_CLASSES} more" if len(names) > _MOST_CLASSES else ""
    scores = [
        f"| {name} | {report.num_rows} | {report.accuracy:.4f} | {report.macro_f1:.4f} "
        f"| {report.weighted_f1:.4f} | {decimal(report.log_loss)} |"
        for name, report in reports.items()
    ]
    rows, elmo = record["data"]["rows"], record["elmo"]
    split = ", split off the training table" if record["data"]["valid_is_split"] else ""
    hashes = [f"- `{path}`: SHA-256 `{digest}`" for path, digest in record["data"]["sha256"].items()]
    hidden = ", ".join(map(str, record["hidden"])) or "none"
    most_epochs = config.training.epochs
    if config.elmo.fine_tuned:
        most_epochs += config.fine_tuning.num_epochs(rows["train"])
    lines = [
        "# Text classifier",
        "",
        f"Tells {len(names)} classes apart: {shown}{more}.",
        "",
        f"It reads at most {counted(preprocessor.max_tokens, 'token')} of a text "
        f"({preprocessor.tokenizer_name} tokenizer) and knows texts like those it was trained on; "
        "on others its probabilities mean little.",
        "",
        "## Scores",
        "",
        "| table | rows | accuracy | macro F1 | weighted F1 | log loss |",
        "|---|---|---|---|---|---|",
        *scores,
        "",
        f"The rows of `valid` ({rows['valid']}{split}) chose the epoch that was kept; only `test` was never "
        "looked at in training." + _learned_valid(record),
        "",
        "## Training",
        "",
        f"- {rows['train']} training rows, seed {config.seed}, epoch {record['best_epoch']} of at most "
        f"{most_epochs}; elmo-cli {record['versions']['elmo-cli']}, {record['started']}",
        f"- ELMo `{elmo['handle']}`, fingerprint `{elmo['fingerprint']}`; " + _learned(config, record),
        f"- pooling {' and '.join(config.classifier.pool)}, hidden layers {hidden}",
        *([_adaptation(record["adaptation"])] if "adaptation" in record else []),
        *([f"- {describe_tfidf(record['tfidf'])}"] if "tfidf" in record else []),
        *hashes,
        "",
        "`elmo-train --config config.yaml -o ANOTHER` with the config.yaml beside this card repeats it.",
        "",
        "## Use",
        "",
        "    elmo-predict RUN new.csv -o predicted.csv",
        "",
        "    from elmo_cli import Predictor",
        '    table_with_predictions = Predictor("RUN")(table)',
        "",
        "RUN is this directory.",
    ]
    return "\n".join(lines) + "\n"


def _learned(config: RunConfig, record: Mapping[str, Any]) -> str:
    """Says what of the ELMo learned the task."""
    if record.get("fine_tuned", True):
        return _LEARNED[config.elmo.trainable]
    return f"{_LEARNED['mix']}; fine-tuned weights were not kept"


def _learned_valid(record: Mapping[str, Any]) -> str:
    """Says which parts learned from the validation rows once they were scored; nothing where none did."""
    parts = ["the classifier on ELMo's vectors"] if record["learned_valid"] else []
    if "tfidf" in record and record["data"]["valid_is_split"]:
        parts.append("the TF-IDF part")
    return f" After `valid` was scored, {' and '.join(parts)} learned from its rows, too." if parts else ""


def _adaptation(record: Mapping[str, Any]) -> str:
    """Says what adapting the ELMo to the training texts brought."""
    before, after = (
        f"{found['forward']:.1f} forward, {found['backward']:.1f} backward"
        for found in (record["before"], record["after"])
    )
    return (
        f"- this ELMo is `{record['began_with']}` adapted to the training texts; held-out perplexity before: "
        f"{before}; after: {after}"
    )
