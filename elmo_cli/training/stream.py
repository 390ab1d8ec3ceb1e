"""Training on an endless stream of batches until a budget of time or tokens is spent."""

import contextlib
import json
import logging
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from elmo_cli.counts import counted
from elmo_cli.errors import ConfigError, RunError
from elmo_cli.files import atomic_write
from elmo_cli.training.interruption import SecondInterrupt, interrupted_between_steps

logger = logging.getLogger(__name__)

Batch = dict[str, Any]


class LossError(ConfigError):
    """The loss is not a number any more: what learns learned too fast."""


@dataclass(frozen=True)
class Progress:
    """How far a training on a stream is.

    Args:
        steps: Batches seen.
        tokens: Tokens seen.
        seconds: Time spent training, pauses and earlier processes included.
    """

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Budget:
    """When to stop; whichever is spent first.

    Args:
        max_seconds: Training time, or None.
        max_tokens: Tokens seen, or None.
    """

    max_seconds: float | None = None
    max_tokens: int | None = None

    def spent(self, progress: Progress) -> float:
        """Returns the spent share of the budget, 0 at the start, at least 1 when it is used up."""
        shares = [0.0]
        if self.max_seconds is not None:
            shares.append(progress.seconds / self.max_seconds)
        if self.max_tokens is not None:
            shares.append(progress.tokens / self.max_tokens)
        return max(shares)


@dataclass(frozen=True)
class Schedule:
    """A learning rate that warms up, stays, and falls to zero at the end of the budget.

    Args:
        peak: The highest learning rate.
        warmup_steps: Steps of linear rise.
        warmup_share: First part of the budget, in (0, 1], after which the rise ends in any case.
        decay_share: Last part of the budget, in (0, 1], over which the rate falls linearly.
    """

    peak: float
    warmup_steps: int = 200
    warmup_share: float = 0.1
    decay_share: float = 0.3

    def __call__(self, steps: int, spent: float) -> float:
        """Returns the rate for the next step after so many steps and that share of the budget."""
        rise = min(1.0, max((steps + 1) / self.warmup_steps, spent / self.warmup_share))
        fall = min(1.0, max(0.0, 1.0 - spent) / self.decay_share)
        return self.peak * rise * fall


def make_step(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, signature: dict[str, tf.TensorSpec]
) -> Callable[[Batch], tf.Tensor]:
    """Compiles one training step for a model whose output is its losses.

    Args:
        model: Built; called with a batch it returns float32 losses of any shape, whose mean is minimised.
        optimizer: Built here on the model's trainable variables.
        signature: Shape and dtype of every entry of a batch, None where sizes vary.

    Returns:
        Function from batch to the losses before the step.
    """
    variables = model.trainable_variables
    optimizer.build(variables)

    @tf.function(input_signature=[signature])
    def step(batch: Batch) -> tf.Tensor:
        with tf.GradientTape() as tape:
            losses = model(batch, training=True)
            loss = tf.reduce_mean(losses)
        # A sparse gradient may name a row twice; only its dense sum has the right square.
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, [v.value for v in variables])]
        optimizer.apply(gradients, variables)
        return losses

    return step


def fit_stream(
    step: Callable[[Batch], Any],
    optimizer: keras.optimizers.Optimizer,
    next_batch: Callable[[Progress], tuple[int, Batch]],
    *,
    budget: Budget,
    schedule: Schedule,
    start: Progress,
    pause: Callable[[Progress], None],
    pause_every_s: float,
    line_every_s: float = 30.0,
) -> Progress:
    """Trains until the budget is spent.

    Args:
        step: One training step; see `make_step`.
        optimizer: The one that `step` uses; its learning rate is set before each step.
        next_batch: Given how far training is, returns the number of tokens in the next batch and the
            batch.
        budget: When to stop.
        schedule: Learning rate over time.
        start: Where an earlier process stopped.
        pause: Called every `pause_every_s` seconds, at the end, and when the user interrupts, to save and
            to measure; its time counts, so that a budget in minutes is what the user waits.
        pause_every_s: Seconds between two pauses.
        line_every_s: Seconds between two log lines.

    Returns:
        How far it came.

    Raises:
        LossError: If the loss is not a number any more; nothing is saved then.
        KeyboardInterrupt: If the user interrupts; after the step or pause under way, and with a last pause. A
            second interruption is raised at once, without a pause.
    """
    progress = start
    begin = time.monotonic() - start.seconds
    report = _Report(budget, start, line_every_s)
    last_pause = time.monotonic()
    paused_at: Progress | None = None
    with interrupted_between_steps() as check_interruption:
        try:
            while budget.spent(progress) < 1.0:
                optimizer.learning_rate.assign(schedule(progress.steps, budget.spent(progress)))
                num_tokens, batch = next_batch(progress)
                losses = np.asarray(step(batch))
                if not np.isfinite(losses).all():
                    steps = counted(progress.steps, "step")
                    raise LossError(f"The loss is not a number any more after {steps}.")
                seconds = time.monotonic() - begin
                progress = Progress(progress.steps + 1, progress.tokens + num_tokens, seconds)
                report.add(progress, losses)
                if time.monotonic() - last_pause >= pause_every_s and budget.spent(progress) < 1.0:
                    pause(progress)
                    paused_at, last_pause = progress, time.monotonic()
                check_interruption()
        except SecondInterrupt:
            raise  # it may have fallen into a step
        except KeyboardInterrupt:
            if progress is not paused_at:
                pause(progress)
            raise
        pause(progress)
        check_interruption()
    return replace(progress, seconds=time.monotonic() - begin)


class _Report:
    """Logs a line every now and then: how far, how fast, how well."""

    def __init__(self, budget: Budget, start: Progress, every_s: float) -> None:
        self.budget = budget
        self.every_s = every_s
        self.since = start
        self.last = time.monotonic()
        self.losses: list[np.ndarray] = []

    def add(self, progress: Progress, losses: np.ndarray) -> None:
        self.losses.append(losses)
        now = time.monotonic()
        if now - self.last < self.every_s:
            return
        logger.info(
            "%.0f%% done after %.1f min: %.2f M tokens, %.0f tokens/s, loss %s, about %.0f min left",
            100 * self.budget.spent(progress),
            progress.seconds / 60,
            progress.tokens / 1e6,
            (progress.tokens - self.since.tokens) / (now - self.last),
            " / ".join(f"{loss:.3f}" for loss in np.atleast_1d(np.mean(self.losses, axis=0))),
            _seconds_left(progress, self.budget) / 60,
        )
        self.since, self.last, self.losses = progress, now, []


def _seconds_left(progress: Progress, budget: Budget) -> float:
    spent = budget.spent(progress)
    return progress.seconds * (1.0 - spent) / spent if spent > 0 else 0.0


def save_checkpoint(path: Path, variables: list[keras.Variable], facts: dict[str, Any]) -> None:
    """Writes the values of variables, in order, and facts to one .npz file, whole or not at all.

    Args:
        path: The .npz file.
        variables: What `load_checkpoint` brings back.
        facts: What `read_facts` brings back, such as how far the training is; JSON can hold it.

    Raises:
        RunError: If the file cannot be written.
    """
    values = {f"v{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(variables)}
    with atomic_write(path, "wb") as file:
        np.savez(file, facts=np.asarray(json.dumps(facts)), **values)


def read_facts(path: Path) -> dict[str, Any]:
    """Reads the facts that `save_checkpoint` wrote; raises RunError if the file has none."""
    with _open_checkpoint(path) as saved:
        facts = json.loads(str(saved["facts"])) if "facts" in saved.files else None
    if not isinstance(facts, dict):
        raise RunError(f"{path}: a checkpoint of another version of elmo-cli. Start anew with another -o.")
    return facts


def load_checkpoint(path: Path, variables: list[keras.Variable]) -> None:
    """Reads back the variables that `save_checkpoint` wrote.

    Args:
        path: The .npz file.
        variables: As many as were saved, in the same order and of the same shapes.

    Raises:
        RunError: If the file cannot be read or holds other variables.
    """
    with _open_checkpoint(path) as saved:
        values = [saved[name] for name in saved.files if name != "facts"]
    shapes = [tuple(variable.shape) for variable in variables]
    if [value.shape for value in values] != shapes:
        raise RunError(f"{path}: the checkpoint is of another model. Go on with the settings it began with.")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


@contextlib.contextmanager
def _open_checkpoint(path: Path) -> Iterator[Any]:
    """Opens an .npz file; raises RunError when that, or reading from it, fails."""
    try:
        with open(path, "rb") as file, np.load(file) as saved:
            yield saved
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise RunError(f"{path}: not a readable checkpoint ({error}).") from error
