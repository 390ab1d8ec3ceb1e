"""elmo-pretrain: text files → an ELMo of one's own."""

from pathlib import Path
from typing import Any

import click

from elmo_cli.cli import console, options
from elmo_cli.cli.startup import start_tensorflow
from elmo_cli.config import MAX_SEED

_POSITIVE = click.FloatRange(min=0, min_open=True)


@click.command(
    cls=console.Command,
    examples=(
        "elmo-pretrain corpus/*.txt.gz -o my-elmo --minutes 120 --held-out heldout.txt",
        "elmo-pretrain corpus/*.txt.gz -o my-elmo --minutes 240 --resume",
        "elmo-train train.csv --elmo my-elmo -o runs/mine",
    ),
)
@click.argument("corpus", nargs=-1, required=True, type=options.PATH)
@options.section(
    "What to train",
    options.option(
        "-o", "--output", required=True, metavar="DIR", type=options.PATH, help_text="Directory to make."
    ),
    options.option(
        "--held-out", metavar="FILE", type=options.PATH, help_text="Text to measure perplexity on."
    ),
    options.option(
        "--size", metavar="NAME", default="mini", help_text="tiny, mini, small, or an options.json."
    ),
    options.option(
        "--vocabulary-size",
        metavar="N",
        type=click.IntRange(10),
        default=30_000,
        help_text="Words that are predicted.",
    ),
    options.option(
        "--licence", metavar="TEXT", help_text="What the model card says about the texts' licences."
    ),
    options.option(
        "--seed",
        metavar="N",
        type=click.IntRange(0, MAX_SEED),
        default=13,
        help_text="Seed of every random choice.",
    ),
)
@options.section(
    "How long",
    options.option(
        "--minutes",
        metavar="N",
        type=_POSITIVE,
        help_text="Most training time.  [default: 60, without --tokens]",
    ),
    options.option(
        "--tokens", "max_tokens", metavar="N", type=click.IntRange(1), help_text="Most tokens to train on."
    ),
    options.option(
        "--checkpoint-minutes",
        metavar="N",
        type=_POSITIVE,
        default=10.0,
        help_text="Minutes between checkpoints.",
    ),
    options.option("--resume", is_flag=True, help_text="Go on from the last checkpoint in -o."),
)
@options.section(
    "How",
    options.option(
        "--batch-tokens", metavar="N", type=click.IntRange(1), default=2560, help_text="Tokens per batch."
    ),
    options.option(
        "--learning-rate", metavar="X", type=_POSITIVE, default=4e-3, help_text="Adam's highest step size."
    ),
    options.option(
        "--precision",
        type=click.Choice(["auto", "float32", "bfloat16"]),
        default="auto",
        help_text="Precision of the matrix products.",
    ),
)
@options.messages
def main(
    corpus: tuple[Path, ...],
    output: Path,
    minutes: float | None,
    max_tokens: int | None,
    resume: bool,
    quiet: bool,
    verbose: bool,
    **settings: Any,
) -> None:
    """Train a small ELMo on CORPUS: text files, plain or .gz, one tokenised sentence a line.

    Writes options.json and weights.hdf5, which elmo-train --elmo DIR reads, with vocab.txt and
    MODEL_CARD.md. A checkpoint is written every few minutes, and when you interrupt with Ctrl-C;
    --resume goes on from it, with the same text and settings.
    """
    console.start_messages(quiet=quiet, verbose=verbose)
    if minutes is None and max_tokens is None:
        minutes = 60.0
    start_tensorflow(verbose=verbose)
    from elmo_cli.workflows.pretrain import PretrainConfig, pretrain

    config = PretrainConfig(corpus=corpus, output=output, minutes=minutes, max_tokens=max_tokens, **settings)
    pretrain(config, resume=resume)
