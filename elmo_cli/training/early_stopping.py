"""Training on a stream that keeps its best values, slows down on a plateau, and then stops."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras

from elmo_cli.training.stream import Budget, Progress, Schedule

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoppingState:
    """What a killed training needs to go on, next to the best values themselves.

    Args:
        best: The lowest measure so far; None before the first.
        tokens: Tokens since the last measure.
        slowdowns: How often training went back to the best values and slowed down.
    """

    best: float | None = None
    tokens: int = 0
    slowdowns: int = 0


class EarlyStopping:
    """Measures a model every so many tokens and never loses the best values.

    Where a measure is hardly better than the best one, or worse, training goes back to the best values and
    goes on with a smaller learning rate; where that happens once more after `max_slowdowns`, it is over. So
    it fits texts of every size: a small one is over after a few passes, a large one with the budget.

    Args:
        variables: What is kept and brought back.
        measure: Gives a number that is lower the better the model is.
        every_tokens: Tokens between two measures, at least 1.
        least_gain: By how much a measure must be better than the best one, at least 0.
        max_slowdowns: Slowdowns before training is over, at least 0.
        slowdown: What the learning rate is multiplied by each time, in (0, 1).
        state: Where an earlier process stopped; the values of `kept` must be loaded, too.

    Attributes:
        state: Where it stands.
        kept: Variables with the best values, for a checkpoint.

    Reference:
        Prechelt 1998, Early stopping - but when?
    """

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        measure: Callable[[], float],
        *,
        every_tokens: int,
        least_gain: float = 0.0,
        max_slowdowns: int = 2,
        slowdown: float = 0.3,
        state: StoppingState | None = None,
    ) -> None:
        self.variables = list(variables)
        self.measure = measure
        self.every_tokens = every_tokens
        self.least_gain = least_gain
        self.max_slowdowns = max_slowdowns
        self.slowdown = slowdown
        self.state = state or StoppingState()
        self.kept = [
            keras.Variable(
                keras.ops.convert_to_numpy(variable), dtype=variable.dtype, trainable=False, name=f"best_{i}"
            )
            for i, variable in enumerate(self.variables)
        ]

    @property
    def over(self) -> bool:
        """Whether nothing better is to be expected."""
        return self.state.slowdowns > self.max_slowdowns

    @property
    def rate(self) -> float:
        """What the learning rate is to be multiplied by, in (0, 1]."""
        return float(self.slowdown**self.state.slowdowns)

    def check(self) -> None:
        """Measures now; keeps the values, or goes back to the best ones."""
        best, value = self.state.best, self._measure_and_keep()
        if best is None or value < best - self.least_gain:
            return
        self.state = replace(self.state, slowdowns=self.state.slowdowns + 1)
        self.restore()
        logger.info(
            "No better any more: back to the best weights, %s.",
            "training ends" if self.over else f"the learning rate falls to {self.rate:.0%}",
        )

    def finish(self) -> None:
        """Measures what came after the last measure, and leaves the best values."""
        if self.state.tokens:
            self._measure_and_keep()
        self.restore()

    def _measure_and_keep(self) -> float:
        """Measures, and keeps the values if they are the best ones."""
        value = self.measure()
        self.state = replace(self.state, tokens=0)
        if self.state.best is None or value < self.state.best:
            self.state = replace(self.state, best=value)
            _copy(self.variables, self.kept)
        return value

    def restore(self) -> None:
        """Brings the best values back."""
        _copy(self.kept, self.variables)

    def watch(self, step: Callable[[Any], Any], num_tokens: Callable[[Any], int]) -> Callable[[Any], Any]:
        """Returns a training step that measures after every so many tokens.

        Args:
            step: Takes a batch, returns losses.
            num_tokens: Tells the tokens of a batch.
        """

        def watched(batch: Any) -> Any:
            losses = step(batch)
            self.state = replace(self.state, tokens=self.state.tokens + num_tokens(batch))
            if self.state.tokens >= self.every_tokens:
                self.check()
            return losses

        return watched


@dataclass(frozen=True)
class StoppingBudget(Budget):
    """A budget that is spent when training is over, too; see `Budget`.

    Args:
        stopping: Says when.
    """

    stopping: EarlyStopping | None = None

    def spent(self, progress: Progress) -> float:
        """See `Budget.spent`."""
        return 1.0 if self.stopping and self.stopping.over else super().spent(progress)


@dataclass(frozen=True)
class SlowingSchedule(Schedule):
    """A schedule whose rate falls with each slowdown; see `Schedule`.

    Args:
        stopping: Says how far.
    """

    stopping: EarlyStopping | None = None

    def __call__(self, steps: int, spent: float) -> float:
        """See `Schedule`."""
        return super().__call__(steps, spent) * (self.stopping.rate if self.stopping else 1.0)


def _copy(sources: Sequence[keras.Variable], targets: Sequence[keras.Variable]) -> None:
    for source, target in zip(sources, targets, strict=True):
        target.assign(source)
