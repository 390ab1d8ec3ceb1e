"""The best values are kept, training slows down where it gets worse, and ends."""

from collections.abc import Sequence
from dataclasses import asdict

import keras
import numpy as np
import pytest

from elmo_cli.training.early_stopping import EarlyStopping, SlowingSchedule, StoppingBudget, StoppingState
from elmo_cli.training.stream import Budget, Progress, Schedule


def stopping(measures: Sequence[float], **changes) -> tuple[EarlyStopping, keras.Variable]:
    variable = keras.Variable(np.zeros(2, np.float32))
    following = iter(measures)
    settings = {"every_tokens": 10, "max_slowdowns": 1, **changes}
    return EarlyStopping([variable], lambda: next(following), **settings), variable


def test_the_best_values_come_back_when_it_gets_worse() -> None:
    early, variable = stopping([5.0, 4.0, 4.5, 3.0])
    early.check()
    variable.assign([1.0, 1.0])
    early.check()
    variable.assign([2.0, 2.0])
    early.check()
    np.testing.assert_array_equal(variable, [1.0, 1.0])
    assert (early.state.best, early.rate, early.over) == (4.0, 0.3, False)
    variable.assign([3.0, 3.0])
    early.check()
    np.testing.assert_array_equal(early.kept[0], [3.0, 3.0])


def test_it_is_over_when_slowing_down_does_not_help_any_more() -> None:
    early, variable = stopping([5.0, 6.0, 4.0, 5.0])
    rates = []
    for value in (1.0, 2.0, 3.0, 4.0):
        variable.assign([value, value])
        early.check()
        rates.append(early.rate)
    assert rates == pytest.approx([1.0, 0.3, 0.3, 0.09])
    assert early.over
    np.testing.assert_array_equal(variable, [3.0, 3.0])


def test_a_gain_too_small_is_kept_and_slows_down() -> None:
    early, variable = stopping([5.0, 4.99], least_gain=0.1)
    early.check()
    variable.assign([1.0, 1.0])
    early.check()
    assert early.rate == 0.3
    np.testing.assert_array_equal(variable, [1.0, 1.0])


def test_what_is_no_number_is_no_better() -> None:
    early, variable = stopping([5.0, float("nan")])
    early.check()
    variable.assign([np.nan, np.nan])
    early.check()
    np.testing.assert_array_equal(variable, [0.0, 0.0])


def test_it_measures_after_so_many_tokens_and_goes_on_there() -> None:
    early, _ = stopping([9.0, 8.0, 7.0])
    step = early.watch(lambda batch: batch * 2, lambda batch: batch)
    assert step(6) == 12
    assert early.state == StoppingState(None, 6, 0)
    step(6)
    assert early.state == StoppingState(9.0, 0, 0)
    step(3)
    again, _ = stopping([1.0], state=StoppingState(**asdict(early.state)))
    again.watch(lambda batch: batch, lambda batch: batch)(7)
    assert again.state == StoppingState(1.0, 0, 0)


def test_budget_and_schedule_listen_to_it() -> None:
    early, _ = stopping([5.0, 6.0, 7.0])
    budget = StoppingBudget(max_tokens=100, stopping=early)
    schedule = SlowingSchedule(0.1, stopping=early)
    half = Progress(steps=500, tokens=50)
    early.check()
    assert budget.spent(half) == Budget(max_tokens=100).spent(half) == 0.5
    assert schedule(500, 0.5) == Schedule(0.1)(500, 0.5)
    early.check()
    assert schedule(500, 0.5) == pytest.approx(0.3 * Schedule(0.1)(500, 0.5))
    assert budget.spent(half) == 0.5
    early.check()
    assert budget.spent(half) == 1.0
