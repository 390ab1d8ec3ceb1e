"""Training on an endless stream of batches until a budget of time or tokens is spent."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from elmo_cli.errors import ConfigError
from elmo_cli.files import atomic_write

logger = logging.getLogger(__name__)

Batch = dict[str, Any]


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
        decay_share: Last part of the budget, in (0, 1], over which the rate falls linearly.
    """

    peak: float
    warmup_steps: int = 200
    decay_share: float = 0.3

    def __call__(self, steps: int, spent: float) -> float:
        """Returns the rate for the next step after so many steps and that share of the budget."""
        rise = min(1.0, (steps + 1) / self.warmup_steps)
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
    step: Callable[[Batch], tf.Tensor],
    optimizer: keras.optimizers.Optimizer,
    batches: Iterable[tuple[int, Batch]],
    *,
    budget: Budget,
    schedule: Schedule,
    start: Progress,
    pause: Callable[[Progress], None],
    pause_every_s: float,
    line_every_s: float = 30.0,
) -> Progress:
    """Trains until the budget is spent or the batches end.

    Args:
        step: One training step; see `make_step`.
        optimizer: The one that `step` uses; its learning rate is set before each step.
        batches: (tokens in the batch, batch).
        budget: When to stop.
        schedule: Learning rate over time.
        start: Where an earlier process stopped.
        pause: Called every `pause_every_s` seconds and at the end, to save and to measure; its time
            counts, so that a budget in minutes is what the user waits.
        pause_every_s: Seconds between two pauses.
        line_every_s: Seconds between two log lines.

    Returns:
        How far it came.

    Raises:
        ConfigError: If the loss is not a number any more.
    """
    progress = start
    begin = time.monotonic() - start.seconds
    last_line = last_pause = time.monotonic()
    recent: list[np.ndarray] = []
    tokens_at_line = progress.tokens
    for num_tokens, batch in batches:
        optimizer.learning_rate.assign(schedule(progress.steps, budget.spent(progress)))
        recent.append(step(batch).numpy())
        if not np.isfinite(recent[-1]).all():
            raise ConfigError(
                f"The loss is not a number any more after {progress.steps} steps. Lower --learning-rate "
                f"(it is {schedule.peak:g}); the last checkpoint is from before."
            )
        now = time.monotonic()
        progress = replace(
            progress, steps=progress.steps + 1, tokens=progress.tokens + num_tokens, seconds=now - begin
        )
        if now - last_line >= line_every_s:
            losses = " / ".join(f"{loss:.3f}" for loss in np.mean(recent, axis=0))
            logger.info(
                "%.0f%% done after %.1f min: %.2f M tokens, %.0f tokens/s, loss %s, about %.0f min left",
                100 * budget.spent(progress),
                progress.seconds / 60,
                progress.tokens / 1e6,
                (progress.tokens - tokens_at_line) / (now - last_line),
                losses,
                _seconds_left(progress, budget) / 60,
            )
            last_line, tokens_at_line, recent = now, progress.tokens, []
        if budget.spent(progress) >= 1.0:
            break
        if now - last_pause >= pause_every_s:
            pause(progress)
            last_pause = time.monotonic()
    pause(progress)
    return replace(progress, seconds=time.monotonic() - begin)


def _seconds_left(progress: Progress, budget: Budget) -> float:
    spent = budget.spent(progress)
    return progress.seconds * (1.0 - spent) / spent if spent > 0 else 0.0


def save_checkpoint(path: Path, variables: list[keras.Variable]) -> None:
    """Writes the values of variables, in order, to an .npz file, whole or not at all."""
    with atomic_write(path, "wb") as file:
        np.savez(file, **{f"v{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(variables)})


def load_checkpoint(path: Path, variables: list[keras.Variable]) -> None:
    """Reads back what `save_checkpoint` wrote into variables of the same shapes and order."""
    with np.load(path) as values:
        for i, variable in enumerate(variables):
            variable.assign(values[f"v{i}"])
