"""elmo-pretrain: text files → an ELMo of one's own."""

from pathlib import Path
from typing import Any

import click

from elmo_cli.cli import console, options


@click.command(cls=console.Command)
@click.argument("corpus", nargs=-1, required=True, type=options.PATH)
@click.option("-o", "--output", required=True, metavar="DIR", type=options.PATH, help="Directory to make.")
@click.option("--held-out", type=options.PATH, help="Text to measure perplexity on.")
@click.option(
    "--size", default="mini", show_default=True, help="tiny, mini, small, or the path of an options.json."
)
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Most training time. [60]")
@click.option("--tokens", "max_tokens", type=click.IntRange(1), help="Most tokens to train on.")
@click.option(
    "--vocabulary-size", type=click.IntRange(10), default=30_000, show_default=True, help="Predicted words."
)
@click.option(
    "--batch-tokens", type=click.IntRange(1), default=2560, show_default=True, help="Tokens per batch."
)
@click.option(
    "--learning-rate", type=float, default=4e-3, show_default=True, help="Adam's highest step size."
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    show_default=True,
    help="Of the matrix products.",
)
@click.option(
    "--checkpoint-minutes", type=float, default=10.0, show_default=True, help="Between checkpoints."
)
@click.option("--seed", type=int, default=13, show_default=True, help="Of every random choice.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in -o.")
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
    r"""Train a small ELMo on CORPUS: text files, plain or .gz, one tokenised sentence a line.

    Writes options.json and weights.hdf5, which elmo-train --elmo DIR reads, with vocab.txt and
    MODEL_CARD.md. A checkpoint is written every few minutes; --resume goes on from it.

    \b
    elmo-pretrain corpus/*.txt.gz -o my-elmo --minutes 120 --held-out heldout.txt
    """
    console.start_messages(quiet=quiet, verbose=verbose)
    if minutes is None and max_tokens is None:
        minutes = 60.0
    with console.tensorflow_quiet(verbose=verbose):
        from elmo_cli.workflows.pretrain import PretrainConfig, pretrain
    config = PretrainConfig(corpus=corpus, output=output, minutes=minutes, max_tokens=max_tokens, **settings)
    pretrain(config, resume=resume)
