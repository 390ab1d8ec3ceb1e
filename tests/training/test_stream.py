"""Training on a stream: budgets, learning rates, pauses, interruptions, checkpoints."""

import gc
import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from elmo_cli.errors import RunError
from elmo_cli.training import stream
from elmo_cli.training.interruption import Interruption
from elmo_cli.training.stream import (
    Budget,
    LossError,
    Progress,
    Schedule,
    fit_stream,
    load_checkpoint,
    make_step,
    read_facts,
    save_checkpoint,
)


class Clock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(stream, "time", clock)
    return clock


class Run:
    """A training without a model: 10 tokens and 2 seconds per step, 5 seconds per pause."""

    def __init__(self, clock: Clock, losses=lambda step: [1.0, 2.0]) -> None:
        self.clock = clock
        self.losses = losses
        self.optimizer = keras.optimizers.SGD(1.0)
        self.rates: list[float] = []
        self.pauses: list[Progress] = []
        self.seen: list[Progress] = []

    def next_batch(self, progress: Progress):
        self.seen.append(progress)
        return 10, {"step": progress.steps}

    def step(self, batch):
        self.rates.append(float(self.optimizer.learning_rate))
        self.clock.now += 2.0
        return np.asarray(self.losses(batch["step"]))

    def pause(self, progress: Progress) -> None:
        self.pauses.append(progress)
        self.clock.now += 5.0

    def fit(self, **changes) -> Progress:
        arguments = {
            "budget": Budget(max_tokens=100),
            "schedule": Schedule(1.0, warmup_steps=4, warmup_share=1.0, decay_share=0.5),
            "start": Progress(),
            "pause": self.pause,
            "pause_every_s": 1e9,
        }
        return fit_stream(self.step, self.optimizer, self.next_batch, **(arguments | changes))


def test_the_budget_is_what_is_spent_first() -> None:
    budget = Budget(max_seconds=100.0, max_tokens=50)
    assert budget.spent(Progress()) == 0
    assert budget.spent(Progress(tokens=10, seconds=50.0)) == 0.5
    assert budget.spent(Progress(tokens=40, seconds=50.0)) == 0.8
    assert Budget().spent(Progress(1, 10, 5.0)) == 0


def test_the_rate_rises_stays_and_falls_to_zero() -> None:
    schedule = Schedule(2.0, warmup_steps=4, decay_share=0.25)
    assert [schedule(steps, 0.0) for steps in range(5)] == [0.5, 1.0, 1.5, 2.0, 2.0]
    assert [schedule(100, spent) for spent in (0.5, 0.75, 0.875, 1.0, 1.2)] == [2.0, 2.0, 1.0, 0.0, 0.0]


def test_a_short_budget_has_a_short_warm_up() -> None:
    schedule = Schedule(2.0, warmup_steps=200, warmup_share=0.1)
    rates = [schedule(steps, spent) for steps, spent in ((0, 0.0), (1, 0.05), (2, 0.1), (3, 0.15))]
    np.testing.assert_allclose(rates, [0.01, 1.0, 2.0, 2.0])


def test_training_stops_when_the_tokens_are_seen(clock: Clock) -> None:
    run = Run(clock)
    progress = run.fit()
    assert progress == Progress(10, 100, 25.0)  # the last pause counts
    assert run.seen[0] == Progress()
    assert run.seen[3] == Progress(3, 30, 6.0)
    assert run.pauses == [Progress(10, 100, 20.0)]
    np.testing.assert_allclose(run.rates, [0.25, 0.5, 0.75, 1, 1, 1, 0.8, 0.6, 0.4, 0.2], rtol=1e-6)


def test_training_stops_when_the_time_is_up_pauses_included(clock: Clock) -> None:
    run = Run(clock)
    progress = run.fit(budget=Budget(max_seconds=30.0), pause_every_s=6.0)
    assert [pause.seconds for pause in run.pauses] == [6.0, 17.0, 28.0, 35.0]
    assert progress.steps == 10


def test_a_spent_budget_takes_no_step(clock: Clock) -> None:
    run = Run(clock)
    assert run.fit(start=Progress(10, 100, 20.0)).steps == 10
    assert run.seen == []
    assert len(run.pauses) == 1


def test_a_resumed_training_goes_on_counting(clock: Clock) -> None:
    run = Run(clock)
    assert run.fit(start=Progress(6, 60, 50.0)) == Progress(10, 100, 63.0)
    np.testing.assert_allclose(run.rates, [0.8, 0.6, 0.4, 0.2], rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_no_number_stops_and_saves_nothing(clock: Clock, value: float) -> None:
    run = Run(clock, losses=lambda step: [1.0, value if step == 3 else 2.0])
    with pytest.raises(LossError, match=r"The loss is not a number any more after 3 steps\."):
        run.fit()
    assert run.pauses == []


def test_an_interruption_saves_and_goes_on_up(clock: Clock) -> None:
    def interrupt(step: int) -> list[float]:
        if step == 3:
            raise KeyboardInterrupt
        return [1.0, 2.0]

    run = Run(clock, losses=interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.fit()
    assert [pause.steps for pause in run.pauses] == [3]


def test_a_line_says_how_far_and_how_fast(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Run(clock).fit(line_every_s=10.0)
    assert caplog.messages == [
        "50% done after 0.2 min: 0.00 M tokens, 5 tokens/s, loss 1.000 / 2.000, about 0 min left",
        "100% done after 0.3 min: 0.00 M tokens, 5 tokens/s, loss 1.000 / 2.000, about 0 min left",
    ]


class Lookup(keras.Model):
    """Its losses are the squares of the rows looked up."""

    def __init__(self) -> None:
        super().__init__()
        self.table = self.add_weight(shape=(4, 2), initializer="ones", name="table")

    def build(self, *_) -> None:
        self.built = True

    def call(self, inputs, training=None):
        assert training
        return tf.reduce_sum(tf.gather(self.table.value, inputs["rows"]) ** 2, axis=1)


def test_a_step_lowers_the_mean_loss_and_returns_the_losses_before_it() -> None:
    model = Lookup()
    step = make_step(model, keras.optimizers.SGD(0.25), {"rows": tf.TensorSpec([None], tf.int32)})
    # Row 1 is looked up twice: its gradient is the sum.
    np.testing.assert_allclose(step({"rows": np.asarray([1, 1, 2, 3], np.int32)}), [2, 2, 2, 2])
    np.testing.assert_allclose(model.table.numpy()[:, 0], [1, 0.75, 0.875, 0.875])


def test_clipping_sees_the_summed_gradient_of_repeated_rows() -> None:
    model = Lookup()
    step = make_step(
        model, keras.optimizers.SGD(1.0, global_clipnorm=1.0), {"rows": tf.TensorSpec([None], tf.int32)}
    )
    step({"rows": np.asarray([1, 1], np.int32)})
    np.testing.assert_allclose(np.linalg.norm(1.0 - model.table.numpy()), 1.0, rtol=1e-5)


def test_a_checkpoint_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    def trained(steps: int):
        model, optimizer = Lookup(), keras.optimizers.Adam(0.1)
        step = make_step(model, optimizer, {"rows": tf.TensorSpec([None], tf.int32)})
        return step, [*model.variables, *optimizer.variables]

    batches = [{"rows": np.asarray(rows, np.int32)} for rows in ([0, 1], [1, 1, 2], [3], [0, 2])]
    step, variables = trained(0)
    for batch in batches[:2]:
        step(batch)
    save_checkpoint(tmp_path / "state.npz", variables, {"steps": 2})
    for batch in batches[2:]:
        step(batch)

    step, again = trained(0)
    load_checkpoint(tmp_path / "state.npz", again)
    assert read_facts(tmp_path / "state.npz") == {"steps": 2}
    for batch in batches[2:]:
        step(batch)
    for one, other in zip(variables, again, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_a_checkpoint_of_another_model_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    variables = [keras.Variable(np.zeros(3, np.float32)), keras.Variable(1.0)]
    save_checkpoint(path, variables, {})
    for others in (variables[:1], [*variables, variables[0]], [keras.Variable(np.zeros(2)), variables[1]]):
        with pytest.raises(RunError, match=r"state\.npz: the checkpoint is of another model"):
            load_checkpoint(path, others)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RunError, match=r"state\.npz: not a readable checkpoint"):
        load_checkpoint(path, variables)
    with pytest.raises(RunError, match="not a readable checkpoint"):
        load_checkpoint(tmp_path / "absent.npz", variables)
    with pytest.raises(RunError, match="not a readable checkpoint"):
        read_facts(path)
    np.savez(path, v0=np.zeros(3))
    with pytest.raises(RunError, match=r"state\.npz: a checkpoint of another version"):
        read_facts(path)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_within_a_step_is_heeded_after_the_step_is_counted(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def interrupt(step: int) -> list[float]:
        if step == 3:
            signal.raise_signal(signal.SIGINT)
            # That it was heard is said before the step is done.
            assert caplog.messages == [
                "Interrupted: finishing this step and saving a checkpoint. Press Ctrl-C again to stop at "
                "once without saving."
            ]
        return [1.0, 2.0]

    run = Run(clock, losses=interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.fit()
    assert [pause.steps for pause in run.pauses] == [4]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_a_second_ctrl_c_saves_nothing(clock: Clock) -> None:
    def interrupt(step: int) -> list[float]:
        if step == 3:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return [1.0, 2.0]

    run = Run(clock, losses=interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.fit()
    assert run.pauses == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_within_the_last_step_is_heeded_too(clock: Clock) -> None:
    def interrupt(step: int) -> list[float]:
        if step == 9:
            signal.raise_signal(signal.SIGINT)
        return [1.0, 2.0]

    run = Run(clock, losses=interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.fit()
    assert [pause.steps for pause in run.pauses] == [10]


@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.parametrize(("times", "finished"), [(1, [True]), (2, [])])
def test_ctrl_c_within_the_last_pause_lets_it_finish(clock: Clock, times: int, finished: list[bool]) -> None:
    saved: list[bool] = []

    def pause(progress: Progress) -> None:
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
        saved.append(True)

    with pytest.raises(KeyboardInterrupt):
        Run(clock).fit(pause=pause)
    assert saved == finished


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_within_a_pause_needs_no_other_pause(clock: Clock) -> None:
    def pause(progress: Progress) -> None:
        run.pause(progress)
        signal.raise_signal(signal.SIGINT)

    run = Run(clock)
    with pytest.raises(KeyboardInterrupt):
        run.fit(pause=pause, pause_every_s=3.0)
    assert [progress.steps for progress in run.pauses] == [2]


def test_an_interruption_that_waited_is_not_taken_for_a_lost_one(clock: Clock) -> None:
    lost: list[str] = []

    def interrupt(*_: object) -> None:
        raise Interruption(lambda: lost.append("lost"))

    def ask(step: int) -> list[float]:
        if step == 3:
            signal.raise_signal(signal.SIGTERM)
            gc.collect()
        return [1.0, 2.0]

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        with pytest.raises(Interruption):
            Run(clock, losses=ask).fit()
    finally:
        signal.signal(signal.SIGTERM, before)
    gc.collect()
    assert lost == []


@pytest.fixture
def takes_sigterm_for_ctrl_c() -> Iterator[None]:
    """A process in the background, which ignores Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, interrupt)
    yield
    assert signal.getsignal(signal.SIGTERM) is interrupt
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("takes_sigterm_for_ctrl_c")
@pytest.mark.parametrize(("times", "pauses"), [(1, [4]), (2, [])])
def test_sigterm_within_a_step_does_what_ctrl_c_does(clock: Clock, times: int, pauses: list[int]) -> None:
    def interrupt(step: int) -> list[float]:
        if step == 3:
            signal.raise_signal(signal.SIGINT)
            for _ in range(times):
                signal.raise_signal(signal.SIGTERM)
        return [1.0, 2.0]

    run = Run(clock, losses=interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.fit()
    assert [pause.steps for pause in run.pauses] == pauses


def test_a_handler_that_goes_on_is_called_at_once(clock: Clock) -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))

    def ask(step: int) -> list[float]:
        if step == 3:
            signal.raise_signal(signal.SIGTERM)
            assert came == [signal.SIGTERM]
        return [1.0, 2.0]

    try:
        assert Run(clock, losses=ask).fit().steps == 10
    finally:
        signal.signal(signal.SIGTERM, before)
