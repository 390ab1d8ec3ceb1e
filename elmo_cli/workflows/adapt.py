"""elmo-train --adapt: a run's ELMo goes on with the training texts before the classifier is trained on it."""

import dataclasses
import json
import logging
import shutil
from pathlib import Path
from typing import Any

from elmo_cli.config import RunConfig
from elmo_cli.errors import RunError
from elmo_cli.files import write_text
from elmo_cli.workflows.new_run import NewRun
from elmo_cli.workflows.pretrain import pretrain
from elmo_cli.workflows.pretrain_config import PretrainConfig
from elmo_cli.workflows.pretrain_init import InitialElmo
from elmo_cli.workflows.pretrain_output import checkpoint_directory
from elmo_cli.workflows.training_tables import TrainingTables

logger = logging.getLogger(__name__)

_TEXTS, _RECORD = "adaptation.txt", "adaptation.json"


def adapt(run: NewRun, tables: TrainingTables, handle: str) -> str:
    """Adapts an ELMo to the training texts; it lives in the run directory from then on.

    Labels are not used, and neither are the texts that are only scored. What a killed run had adapted is gone
    on with when the run is resumed.

    Args:
        run: The run, not yet begun.
        tables: Its tables.
        handle: The ELMo to begin with.

    Returns:
        The handle of the adapted ELMo.

    Raises:
        ConfigError: If it is not a native ELMo.
        SourceError: If it is not available.
        DataError: If the texts are too few to hold some out.
        RunError: If the run directory cannot be written.
        KeyboardInterrupt: On Ctrl-C; the run can be resumed.
    """
    output = run.directory.elmo
    record = output / _RECORD
    finished = run.resume and record.is_file()
    if not finished:
        InitialElmo.find(handle)  # what cannot be adapted is said before anything is written
    directory = run.begin()
    if not finished:
        checkpoint = checkpoint_directory(output) / "state.npz"
        resume = run.resume and checkpoint.is_file()
        if output.exists() and not resume:
            shutil.rmtree(output)
        texts = directory.checkpoints / _TEXTS
        write_text(texts, "".join(f"{text}\n" for text in tables.train.examples.sentences.texts))
        logger.info(
            "Adapting %s to the training texts, for %g minutes at most.",
            handle,
            run.config.elmo.adapt_minutes,
        )
        result = pretrain(_pretrain_config(run.config, handle, texts, output), resume=resume)
        found = {
            "before": dataclasses.asdict(result.before) if result.before else None,
            "after": dataclasses.asdict(result.perplexity),
            "tokens_seen": result.progress.tokens,
            "seconds": round(result.progress.seconds, 1),
        }
        write_text(record, json.dumps(found, indent=2) + "\n")
        shutil.rmtree(checkpoint_directory(output), ignore_errors=True)
    run.record["adaptation"] = {"began_with": handle, **_read(record)}
    return str(output)


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
