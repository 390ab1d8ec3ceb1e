"""elmo-train --adapt: a run's ELMo goes on with the training texts before the classifier is trained on it."""

import dataclasses
import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elmo_cli.config import RunConfig
from elmo_cli.counts import counted
from elmo_cli.errors import ConfigError, DataError, RunError
from elmo_cli.files import write_text
from elmo_cli.training.stream import LossError
from elmo_cli.workflows.new_run import NewRun
from elmo_cli.workflows.pretrain import PretrainResult, pretrain
from elmo_cli.workflows.pretraining.config import PretrainConfig
from elmo_cli.workflows.pretraining.initial_elmo import InitialElmo
from elmo_cli.workflows.pretraining.output import checkpoint_directory
from elmo_cli.workflows.run_directory import RunDirectory
from elmo_cli.workflows.training_tables import TrainingTables

logger = logging.getLogger(__name__)

_TEXTS, _RECORD = "adaptation.txt", "adaptation.json"


def adapt(run: NewRun, tables: TrainingTables, handle: str) -> str:
    """Adapts an ELMo to the training texts; it lives in the run directory from then on.

    Labels are not used, and neither are the texts that are only scored. When a run is resumed, what a killed
    adaptation had learned is gone on with, and a finished one is kept.

    Args:
        run: The run, not yet begun.
        tables: Its tables.
        handle: The ELMo to begin with.

    Returns:
        The handle of the adapted ELMo.

    Raises:
        ConfigError: If it is not a native ELMo, or the loss is not a number any more.
        SourceError: If it is not available.
        DataError: If the texts are too few to hold some out.
        RunError: If the run directory cannot be written, or its adaptation began with another ELMo or other
            texts.
        KeyboardInterrupt: On Ctrl-C; the run can be resumed.
    """
    # What cannot be adapted is said before anything is written.
    source = InitialElmo.find(handle).source
    text = "".join(f"{text}\n" for text in tables.train.examples.sentences.texts)
    made_from = {
        "began_with_fingerprint": source.fingerprint,
        "texts_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    directory = run.begin(*source.files())
    record = directory.elmo / _RECORD
    if record.is_file():
        _check_made_from(record, made_from)
    else:
        result = _pretrain(run.config, directory, handle, text)
        found = {
            "before": dataclasses.asdict(result.before) if result.before else None,
            "after": dataclasses.asdict(result.perplexity),
            "tokens_seen": result.progress.tokens,
            "seconds": round(result.progress.seconds, 1),
        }
        write_text(record, json.dumps(made_from | found, indent=2) + "\n")
    shutil.rmtree(checkpoint_directory(directory.elmo), ignore_errors=True)
    run.record["adaptation"] = {"began_with": handle, **_read(record)}
    return str(directory.elmo)


def _check_made_from(record: Path, made_from: Mapping[str, str]) -> None:
    """Refuses a finished adaptation that began with something else."""
    found = _read(record)
    others = {"began_with_fingerprint": "from another ELMo", "texts_sha256": "to other training texts"}
    for name, what in others.items():
        if found.get(name) != made_from[name]:
            raise RunError(
                f"{record.parent} was adapted {what}. Go on with the ELMo, the table and the settings that "
                "the run began with, or begin again with --force."
            )


def _pretrain(config: RunConfig, directory: RunDirectory, handle: str, text: str) -> PretrainResult:
    """Begins to adapt, or goes on where there is a checkpoint; ``text`` has one sentence a line."""
    output = directory.elmo
    resume = (checkpoint_directory(output) / "state.npz").is_file()
    if output.exists() and not resume:
        shutil.rmtree(output)
    texts = directory.checkpoints / _TEXTS
    write_text(texts, text)
    logger.info(
        "Adapting %s to the training texts, for %g minutes at most.", handle, config.elmo.adapt_minutes
    )
    try:
        return pretrain(_pretrain_config(config, handle, texts, output), resume=resume)
    except LossError as error:
        raise ConfigError(
            f"Adapting {handle} failed: its loss is not a number any more. Leave out --adapt, or adapt it "
            "with elmo-pretrain --init and a low --learning-rate, and give that to --elmo."
        ) from error
    except DataError as error:
        num_rows = counted(text.count("\n"), "row")
        raise DataError(
            f"{config.data.train}: its texts are too few, or too much alike, to adapt an ELMo to them: of "
            f"{num_rows} none can be held out to measure on. Give more rows, or leave "
            "out --adapt."
        ) from error


def _pretrain_config(config: RunConfig, handle: str, texts: Path, output: Path) -> PretrainConfig:
    return PretrainConfig(
        (texts,),
        output,
        tokenizer="whitespace",  # they are tokenised already
        init=handle,
        minutes=config.elmo.adapt_minutes,
        precision=config.elmo.precision,
        checkpoint_minutes=1.0,
        seed=config.seed,
        licence="The texts are those of the training table of the run that this directory belongs to.",
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{path}: cannot be read ({error}). Train the run again with --force.") from error
