"""One phase of a pre-training: what learns in it, how fast, for how long and in which order of the text."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from elmo_cli.bilm.batches import CorpusBatches, Place
from elmo_cli.training.adam import FusedAdam
from elmo_cli.training.early_stopping import EarlyStopping, SlowingSchedule, StoppingBudget, StoppingState
from elmo_cli.training.muon import Muon
from elmo_cli.training.stream import Progress, fit_stream, make_step
from elmo_cli.workflows.pretraining.checkpoint import Checkpoint
from elmo_cli.workflows.pretraining.config import GENTLE_LEARNING_RATE, LEARNING_RATE, PretrainConfig
from elmo_cli.workflows.pretraining.model import PretrainModel, signature

# Share of the budget after which batches are doubled: small ones learn faster at first.
_DOUBLE_FROM = 1 / 20
# Early stopping measures so rarely that it costs about a twentieth of the time: once in so many times the
# tokens that it measures, and not before so many batches; but after each pass over a small text, which a
# second and a third pass begin to overfit. Of fewer tokens than the least a measure says too little.
_TOKENS_PER_MEASURED = 20
_LEAST_BATCHES = 20
_LEAST_MEASURED = 1_000
# A softmax alone learns so many times as fast as a network that is gone on with.
_SOFTMAX_TIMES = LEARNING_RATE / GENTLE_LEARNING_RATE
# Nats per token that are worth going on for.
_LEAST_GAIN = 0.002


@dataclass(frozen=True)
class PhasePlan:
    """What learns in a phase, how fast and for how long.

    Args:
        name: What messages call it.
        learning_rate: The optimizer's highest step size.
        share: Share of the whole budget, in (0, 1]; the last phase has what is left.
        trains_network: Whether the network learns, or the softmax alone.
        stops_early: Whether the best weights are kept, and training ends when nothing gets better.
    """

    name: str
    learning_rate: float
    share: float = 1.0
    trains_network: bool = True
    stops_early: bool = False

    @property
    def told_rate(self) -> float:
        """The ``--learning-rate`` from which on downwards its own one falls, too."""
        return self.learning_rate if self.trains_network else self.learning_rate / _SOFTMAX_TIMES


def plans_of(config: PretrainConfig, *, adapts: bool) -> tuple[PhasePlan, ...]:
    """Returns the phases of a training.

    From scratch there is one. A network that comes without a softmax first has one learned for it, alone, so
    that its weights are not spoiled by what a wrong one asks of them; then everything learns, gently.

    Args:
        config: What the training is told.
        adapts: Whether it begins with the weights of another ELMo.
    """
    if not adapts:
        return (PhasePlan("whole model", config.highest_rate),)
    softmax_alone = PhasePlan(
        "softmax alone",
        min(LEARNING_RATE, _SOFTMAX_TIMES * config.highest_rate),
        share=0.25,
        trains_network=False,
        stops_early=True,
    )
    return softmax_alone, PhasePlan("whole model", config.highest_rate, stops_early=True)


def _optimizer(plan: PhasePlan, model: PretrainModel) -> FusedAdam:
    if model.config.optimizer == "adam":
        return FusedAdam(plan.learning_rate, beta_2=0.99, clip_norm=1.0)
    return Muon(
        plan.learning_rate,
        model.language_model.matrices,
        dtype=model.language_model.bilm.compute_dtype,
        beta_2=0.99,
        clip_norm=1.0,
    )


class Phase:
    """A phase under way.

    Args:
        plan: What learns, how fast and for how long.
        number: Which phase it is, from 0.
        model: What is trained.
        earlier: How far the phases before it came.
        saved: Where an earlier process stopped in it; its variables must be loaded, too.

    Attributes:
        variables: All that a checkpoint must hold.
        stopping: Keeps the best weights, in phases that stop early.
    """

    def __init__(
        self,
        plan: PhasePlan,
        number: int,
        model: PretrainModel,
        *,
        earlier: Progress,
        saved: Checkpoint | None = None,
    ) -> None:
        config, language_model = model.config, model.language_model
        self.plan = plan
        self.number = number
        self.model = model
        self.earlier = earlier
        self.start = saved.progress if saved else Progress()
        language_model.bilm.trainable = plan.trains_network
        self.optimizer = _optimizer(plan, model)
        self.step = make_step(language_model, self.optimizer, signature(sampled=True))
        self.stopping = self._early_stopping(saved.stopping if saved else None) if plan.stops_early else None
        self.variables = [*language_model.variables, *self.optimizer.variables]
        if self.stopping:
            self.variables += self.stopping.kept
            self.step = self.stopping.watch(self.step, lambda batch: _num_tokens(batch["targets"]))
        self.budget = self._budget()
        self.batches = CorpusBatches(
            model.corpus.paths,
            batch_tokens=config.batch_tokens,
            max_tokens=config.max_sentence_tokens,
            lower_share=config.lower_share,
            # Far enough apart that no pass of one phase is in the order of a pass of another.
            seed=config.seed + 1_000_003 * number,
            num_batches=self.start.steps,
            place=saved.place if saved else Place(),
            read=model.corpus.held_out.training_sentences,
        )

    def train(self, pause: "Callable[[Phase, Progress], None]") -> Progress:
        """Spends the budget; leaves the best weights where the phase stops early.

        Args:
            pause: Called with the phase and the progress in it every few minutes, at the end and on Ctrl-C.

        Returns:
            How far the phase came.
        """
        if self.stopping and self.stopping.state.best is None:
            self.stopping.check()  # never worse than what it began with
        progress = fit_stream(
            self.step,
            self.optimizer,
            self.next_batch,
            budget=self.budget,
            schedule=SlowingSchedule(self.plan.learning_rate, stopping=self.stopping),
            start=self.start,
            pause=lambda progress: pause(self, progress),
            pause_every_s=self.model.config.checkpoint_minutes * 60,
        )
        if self.stopping:
            self.stopping.finish()
        return progress

    def next_batch(self, progress: Progress) -> tuple[int, dict[str, Any]]:
        """Returns the number of tokens in the next batch and the batch."""
        sentences = self.batches.next(double=self.budget.spent(progress) >= _DOUBLE_FROM)
        batch = self.model.training_batch(sentences, progress.steps)
        return _num_tokens(batch["targets"]), batch

    def seconds_left(self, progress: Progress) -> float:
        """Estimates how long the phase still takes."""
        spent = self.budget.spent(progress)
        return progress.seconds * (1.0 - spent) / spent if 0.0 < spent < 1.0 else 0.0

    def _early_stopping(self, state: StoppingState | None) -> EarlyStopping:
        config, corpus = self.model.config, self.model.corpus
        num_held_out = sum(len(tokens) + 1 for tokens in corpus.measured)
        one_pass = sum(corpus.file_tokens)
        most_measured = min(config.held_out_tokens, max(one_pass // _TOKENS_PER_MEASURED, _LEAST_MEASURED))
        between = max(
            _TOKENS_PER_MEASURED * min(num_held_out, most_measured), _LEAST_BATCHES * config.batch_tokens
        )
        return EarlyStopping(
            self.model.language_model.trainable_variables,
            lambda: self.model.perplexity(most_measured).nats,
            every_tokens=min(between, one_pass),
            least_gain=_LEAST_GAIN,
            state=state,
        )

    def _budget(self) -> StoppingBudget:
        """Returns what this phase may spend of the whole budget."""
        minutes, tokens = self.model.config.minutes, self.model.config.max_tokens
        if self.plan.share < 1.0:
            seconds_left = None if minutes is None else 60 * minutes * self.plan.share
            tokens_left = None if tokens is None else math.ceil(tokens * self.plan.share)
        else:
            # Something is always left, so that shares of it can be told.
            seconds_left = None if minutes is None else max(60 * minutes - self.earlier.seconds, 1e-3)
            tokens_left = None if tokens is None else max(tokens - self.earlier.tokens, 1)
        return StoppingBudget(seconds_left, tokens_left, self.stopping)


def total(earlier: Progress, present: Progress) -> Progress:
    """Returns how far a training is whose present phase, and those before it, are so far."""
    return Progress(
        earlier.steps + present.steps, earlier.tokens + present.tokens, earlier.seconds + present.seconds
    )


def _num_tokens(targets: Any) -> int:
    """Counts the tokens of a batch, one mark per sentence included, from targets int32 (B, T + 2)."""
    rows, length = targets.shape
    return int(rows * (length - 1))
