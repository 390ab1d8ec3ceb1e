"""Texts → a small ELMo: options.json, weights.hdf5, vocab.txt, softmax.npz, MODEL_CARD.md."""

import dataclasses
import logging
from collections.abc import Sequence

from elmo_cli import files
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.bilm.perplexity import Perplexity
from elmo_cli.bilm.softmax import Softmax
from elmo_cli.elmo.precision import choose_precision
from elmo_cli.errors import ConfigError
from elmo_cli.training.stream import Budget, LossError, Progress, load_checkpoint
from elmo_cli.workflows.papers import CARD_FILE, LICENCE_FILE, copy_beside
from elmo_cli.workflows.pretraining.card import model_card
from elmo_cli.workflows.pretraining.checkpoint import Checkpoint, Identity, identity_of
from elmo_cli.workflows.pretraining.config import PretrainConfig
from elmo_cli.workflows.pretraining.corpus import PretrainCorpus
from elmo_cli.workflows.pretraining.initial_elmo import InitialElmo, options_of
from elmo_cli.workflows.pretraining.log import LogEntry, PretrainResult
from elmo_cli.workflows.pretraining.model import PretrainModel
from elmo_cli.workflows.pretraining.output import alone_in, check_output, checkpoint_directory
from elmo_cli.workflows.pretraining.phase import Phase, plans_of, total
from elmo_cli.workflows.pretraining.text import TextFile, open_texts

__all__ = ["PretrainConfig", "PretrainResult", "pretrain"]

logger = logging.getLogger(__name__)

_AS_GIVEN, _AT_THE_END = "as given", "at the end"


def pretrain(config: PretrainConfig, *, resume: bool = False, command: str = "") -> PretrainResult:
    """Trains a biLM on text and writes it where `--elmo DIR` finds it.

    Args:
        config: What to train on, how large and how long.
        resume: Go on from the last checkpoint in `config.output`.
        command: The command line, for the model card.

    Returns:
        The perplexity on the held-out text, and how far it came.

    Raises:
        ConfigError: For an unknown size, or no budget where no earlier process was told one.
        LossError: If the loss is not a number any more.
        DataError: If a text cannot be read or the corpus is empty.
        SourceError: If the ELMo to begin with is not available.
        RunError: If the output exists already or cannot be written, another process trains there, there
            is nothing to resume, or what is to be resumed began with another text or other settings.
        KeyboardInterrupt: If the user interrupts; a checkpoint is saved first.
    """
    initial = InitialElmo.find(config.init) if config.init is not None else None
    options = options_of(config, initial)
    if config.minutes is None and config.max_tokens is None and not resume:
        raise ConfigError("Say how long to train: --minutes or --tokens.")
    check_output(config.output, resume=resume)
    with alone_in(config.output):
        check_output(config.output, resume=resume)  # another process may have trained meanwhile
        return _Pretraining(config, options, initial, command, resume=resume).complete()


class _Pretraining:
    """One run: a model, the phases of its training, and its directory.

    Args:
        config: What to train on, how large and how long.
        options: The shape of the network.
        initial: The ELMo to begin with, or None.
        command: The command line.
        resume: Whether to begin where the checkpoint stands.
    """

    def __init__(
        self,
        config: PretrainConfig,
        options: BiLMOptions,
        initial: InitialElmo | None,
        command: str,
        *,
        resume: bool,
    ) -> None:
        self.initial = initial
        self.resume = resume
        directory = checkpoint_directory(config.output)
        self.state_path = directory / "state.npz"
        self.given_softmax_path = directory / "softmax-as-given.npz"
        precision = choose_precision(config.precision)
        self.policy = "mixed_bfloat16" if precision == "bfloat16" else precision
        if resume:
            self.saved = Checkpoint.read(self.state_path)
            config = self.saved.with_budget(self.state_path, config)
        self.config = config
        if resume:
            # A text that changed is said before anything is made of it.
            texts = tuple(open_texts(config.corpus, config, directory, "text", resume=True))
            self.saved.check_identity(self.state_path, self._identity(options, texts))
            corpus = PretrainCorpus.again(
                config,
                directory,
                texts,
                file_tokens=self.saved.file_tokens,
                held_out=self.saved.held_out,
                cased=self.saved.cased,
            )
            if initial:
                self.saved.check_measured(self.state_path, corpus)
            self.model = PretrainModel(config, options, corpus, self.policy)
        else:
            cased = initial is not None and initial.cased
            corpus, counts = PretrainCorpus.begin(config, directory, cased=cased)
            self.saved = Checkpoint.at_start(self._identity(options, corpus.texts), corpus)
            self.model = PretrainModel(config, options, corpus, self.policy)
            if initial:
                initial.begin(self.model, counts)
        self.commands = (*self.saved.commands, command) if command else self.saved.commands
        self.earlier = self.saved.earlier
        self.log = list(self.saved.log)

    def complete(self) -> PretrainResult:
        """Trains, measures and writes; the whole run."""
        try:
            self.train()
            perplexity = self.model.perplexity()
        except KeyboardInterrupt:
            if self.state_path.is_file():
                logger.warning(
                    "Interrupted. A checkpoint stands in %s; go on with --resume.", self.state_path
                )
            raise
        return self.finish(perplexity)

    def train(self) -> None:
        """Goes through the phases that are left."""
        plans = plans_of(self.config, adapts=self.initial is not None)
        for number in range(self.saved.phase, len(plans)):
            if number and not self.before:
                self.model.softmax.write(self.given_softmax_path)
                self.note(_AS_GIVEN, self.model.perplexity(), self.earlier)
            goes_on = self.resume and number == self.saved.phase
            saved = self.saved if goes_on else None
            phase = Phase(plans[number], number, self.model, earlier=self.earlier, saved=saved)
            if saved:
                load_checkpoint(self.state_path, phase.variables)
                so_far = total(self.earlier, saved.progress)
                logger.info(
                    "Going on after %.1f min, %.2f M tokens.", so_far.seconds / 60, so_far.tokens / 1e6
                )
                # The checkpoint was saved before this was measured, so that a kill meanwhile loses nothing.
                self.measure(phase, so_far)
                # More would not help where training ended since nothing got better.
                if number == len(plans) - 1 and Budget.spent(phase.budget, saved.progress) >= 1.0:
                    logger.info("That is all of its budget; to go on learning, give it more.")
            try:
                progress = phase.train(self.pause)
            except LossError as error:
                elsewhere = " and another -o" if self.state_path.is_file() else ""
                raise LossError(
                    f'Phase "{phase.plan.name}": {error} Begin again with a --learning-rate below '
                    f"{phase.plan.told_rate:g}{elsewhere}."
                ) from error
            self.earlier = total(self.earlier, progress)

    def pause(self, phase: Phase, progress: Progress) -> None:
        """Saves a checkpoint, and the ELMo as it is; measures."""
        checkpoint = dataclasses.replace(
            self.saved,
            progress=progress,
            place=phase.batches.place,
            phase=phase.number,
            earlier=self.earlier,
            stopping=phase.stopping.state if phase.stopping else None,
            log=tuple(self.log),
            commands=self.commands,
            minutes=self.config.minutes,
            max_tokens=self.config.max_tokens,
        )
        checkpoint.save(self.state_path, phase.variables)
        if not phase.stopping:  # what stops early has its best weights at the end
            self.model.write_elmo(self.config.output)
        so_far = total(self.earlier, progress)
        perplexity = self.measure(phase, so_far)
        logger.info(
            "Checkpoint after %.1f min: %s; about %.0f min left.",
            so_far.seconds / 60,
            perplexity,
            phase.seconds_left(progress) / 60,
        )

    def measure(self, phase: Phase, so_far: Progress) -> Perplexity:
        """Measures on a part of the held-out text, and remembers it."""
        perplexity = self.model.perplexity(self.config.held_out_tokens)
        self.note(phase.plan.name, perplexity, so_far)
        return perplexity

    def note(self, point: str, perplexity: Perplexity, so_far: Progress) -> None:
        """Remembers what was measured, for the model card."""
        self.log.append(LogEntry(point, so_far.seconds, so_far.tokens, perplexity))

    @property
    def before(self) -> Perplexity | None:
        """What was measured with the weights that were given."""
        return next((entry.perplexity for entry in self.log if entry.point == _AS_GIVEN), None)

    def go_back(self, initial: InitialElmo) -> Perplexity:
        """Brings back the weights that were given, and the softmax that was learned for them; measures."""
        initial.read_network(self.model)
        if self.given_softmax_path.is_file():  # a checkpoint may be older than this file
            width = self.model.bilm.options.lstm.projection_dim
            Softmax.read(self.given_softmax_path, width).assign_to(self.model.language_model)
        return self.model.perplexity()

    def finish(self, perplexity: Perplexity) -> PretrainResult:
        """Writes the ELMo and what describes it."""
        before, output = self.before, self.config.output
        if before and self.initial:
            logger.info("Before: %s. After: %s.", before, perplexity)
            if perplexity.nats >= before.nats:
                logger.warning("Nothing better was found; what is written are the weights that were given.")
                perplexity = self.go_back(self.initial)
        self.note(_AT_THE_END, perplexity, self.earlier)
        self.model.write_elmo(output)
        self.model.write_softmax(output)
        result = PretrainResult(perplexity, before, self.earlier)
        card = model_card(
            self.model,
            policy=self.policy,
            result=result,
            log=self.log,
            commands=self.commands,
            began_with=self.initial.source if self.initial else None,
            num_bytes=(output / "weights.hdf5").stat().st_size,
        )
        files.write_text(output / CARD_FILE, card)
        if self.initial:
            with files.writing(output / LICENCE_FILE):
                copy_beside(LICENCE_FILE, self.initial.source, output)
        return result

    def _identity(self, options: BiLMOptions, texts: Sequence[TextFile]) -> Identity:
        fingerprint = self.initial.source.fingerprint if self.initial else None
        return identity_of(self.config, options, self.policy, texts, fingerprint)
