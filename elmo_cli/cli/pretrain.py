"""elmo-pretrain: texts → an ELMo of one's own."""

import logging
import math
import shlex
import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from elmo_cli.cli import console, options
from elmo_cli.cli.startup import start_tensorflow
from elmo_cli.config import MAX_SEED
from elmo_cli.config_yaml import load_config
from elmo_cli.errors import ConfigError

logger = logging.getLogger(__name__)


class _FiniteRange(click.FloatRange):
    """A range of numbers without ``inf`` and ``nan``, which `click.FloatRange` lets pass."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType.convert`."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


_POSITIVE = _FiniteRange(min=0, min_open=True)


@click.command(
    cls=console.Command,
    examples=(
        "elmo-pretrain corpus/*.txt.gz -o my-elmo --minutes 120 --held-out heldout.txt",
        "elmo-pretrain corpus/*.txt.gz -o my-elmo --minutes 240 --resume",
        "elmo-pretrain reviews.csv --text-column review --init bundled -o reviews-elmo --minutes 20",
        "zcat dump.gz | elmo-pretrain - --tokenizer treebank --size small -o my-elmo",
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
        "--init",
        metavar="HANDLE",
        help_text="Go on with the weights of this native ELMo, such as bundled: any that elmo-train --elmo "
        "takes.",
    ),
    options.option(
        "--size",
        metavar="NAME",
        help_text="tiny, mini, small, medium, original, or an options.json.  "
        "[default: mini, or as --init is]",
    ),
    options.option(
        "--held-out",
        metavar="FILE",
        type=options.PATH,
        help_text="Text to measure perplexity on; else a small share of CORPUS is held out.",
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
    "Text",
    *options.READING,
    options.setting("--format", "data.format", "Format of tables; else told from them.", metavar="KIND"),
    options.option(
        "--tokenizer",
        type=click.Choice(["treebank", "whitespace"]),
        help_text="How texts are split into tokens.  [default: whitespace; treebank for tables]",
    ),
)
@options.section(
    "Words that are predicted",
    options.option(
        "--vocabulary",
        metavar="FILE",
        type=options.PATH,
        help_text="A list of words, one a line, such as a vocab.txt; else the most frequent ones are taken.",
    ),
    options.option(
        "--vocabulary-size",
        metavar="N",
        type=click.IntRange(4),
        default=30_000,
        help_text="How many words, <S>, </S> and <UNK> included, where no list is given.",
    ),
    options.option(
        "--cased/--lower-cased",
        default=None,
        help_text="Whether The and the are two words to predict; what is read keeps its case.  "
        "[default: lower-cased, or as the list or --init is]",
    ),
)
@options.section(
    "How long",
    options.option(
        "--minutes",
        metavar="N",
        type=_POSITIVE,
        help_text="Most training time.  [default: 60, without --tokens; with --resume as before]",
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
        "--learning-rate",
        metavar="X",
        type=_POSITIVE,
        help_text="Highest step size.  [default: 0.005; 0.001 with --init]",
    ),
    options.option(
        "--optimizer",
        type=click.Choice(["muon", "adam"]),
        default="muon",
        help_text="Muon learns more per token.",
    ),
    options.option(
        "--dropout",
        metavar="X",
        type=_FiniteRange(0, 1, max_open=True),
        default=0.0,
        help_text="Share of what each layer reads that is dropped in training.",
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
    **flags: Any,
) -> None:
    """Train an ELMo on CORPUS: text files, plain or .gz; tables with a column of texts; - for standard input.

    A text file has one sentence a line, tokenised: tokens separated by blanks, punctuation and clitics
    apart, as in "It is n't over , she said ." For other text give --tokenizer treebank. Tables (CSV, TSV,
    JSONL, Parquet) have a text per row, which is tokenised as elmo-train does it.

    Writes options.json and weights.hdf5, which elmo-train --elmo DIR reads, with vocab.txt, softmax.npz and
    MODEL_CARD.md. A checkpoint is written every few minutes, and when you interrupt with Ctrl-C; --resume
    goes on from it, with the same text and settings, for as long as was told last, or is told now.

    With --init the ELMo is adapted to the text: a softmax is learned for it first, then everything, until
    held-out perplexity rises. The best weights are kept; perplexity is said before and after. The first
    softmax has at most a quarter of the time: where that is too little, a part of the gain is the
    softmax's. The weights are chosen on the held-out text, which flatters them a little. Reading the text,
    and with --init a first look at it, come on top of --minutes.
    """
    console.start_messages(quiet=quiet, verbose=verbose)
    if minutes is None and max_tokens is None and not resume:
        minutes = 60.0
    size_source = click.get_current_context().get_parameter_source("vocabulary_size")
    if flags["vocabulary"] is not None and size_source is not ParameterSource.DEFAULT:
        raise ConfigError(
            "--vocabulary-size does not go with --vocabulary: all words of the list are predicted. Leave out "
            "one of the two."
        )
    settings = {name: value for name, value in flags.items() if "__" not in name}
    of_tables = {name: value for name, value in flags.items() if "__" in name}
    data = load_config(None, options.given(of_tables)).data
    start_tensorflow(verbose=verbose)
    from elmo_cli.workflows.pretrain import PretrainConfig, pretrain

    config = PretrainConfig(
        corpus=corpus, output=output, data=data, minutes=minutes, max_tokens=max_tokens, **settings
    )
    result = pretrain(config, resume=resume, command=shlex.join(["elmo-pretrain", *sys.argv[1:]]))
    logger.info("Done: %s. Use it with: elmo-train --elmo %s", result.perplexity, shlex.quote(str(output)))
