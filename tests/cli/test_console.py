"""Every way a command can end has its exit code and its message."""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import click
import pytest
from click.testing import CliRunner
from tiny_run import COMMANDS, invoke

from elmo_cli.cli import console, termination
from elmo_cli.errors import ConfigError, DataError, ElmoCliError, RunError, SourceError
from elmo_cli.training.interruption import arrive, interrupted_between_steps


def ends_with(error: BaseException) -> tuple[int, str]:
    @click.command(cls=console.Command)
    def command() -> None:
        raise error

    result = CliRunner().invoke(command, [])
    assert result.stdout == ""
    return result.exit_code, result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigError, 2), (RunError, 2), (DataError, 3), (SourceError, 4)],
)
def test_what_a_user_can_repair(error: type[ElmoCliError], code: int) -> None:
    assert ends_with(error("a.csv, row 3: mend it")) == (code, "Error: a.csv, row 3: mend it\n")


def test_every_error_has_a_code() -> None:
    assert set(console._CODES) == set(ElmoCliError.__subclasses__())


def test_a_bug() -> None:
    code, message = ends_with(ZeroDivisionError("division by zero"))
    assert code == 1
    assert "Traceback" in message
    assert "ZeroDivisionError: division by zero" in message
    assert message.splitlines()[-1].endswith("Please report it with the lines above.")


def test_an_interrupt() -> None:
    assert ends_with(KeyboardInterrupt()) == (130, "Interrupted.\n")


def ends_after(end: Callable[[], None]) -> tuple[int, str]:
    @click.command(cls=console.Command)
    def command() -> None:
        end()
        raise ConfigError("not ended")

    result = CliRunner().invoke(command, [])
    return result.exit_code, result.stderr


def sigterm() -> None:
    signal.raise_signal(signal.SIGTERM)


def answer(number: signal.Signals) -> None:
    """Does what the training does that ends well when it is interrupted."""
    try:
        signal.raise_signal(number)
    except KeyboardInterrupt as error:
        arrive(error)


@pytest.mark.parametrize("times", [1, 2])
def test_sigterm_is_an_interrupt_once(times: int) -> None:
    tidied: list[str] = []

    def end() -> None:
        try:
            sigterm()
        finally:
            for _ in range(1, times):
                sigterm()
            tidied.append("all")

    assert ends_after(end) == (143, "Interrupted.\n")
    assert tidied == ["all"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_later_sigterm_is_another_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(termination, "SAME_REQUEST_S", -1.0)
    caught: list[BaseException] = []

    def end() -> None:
        try:
            sigterm()
        except KeyboardInterrupt as error:  # as in what Python calls and listens to no exception of
            caught.append(error)
        sigterm()

    assert ends_after(end) == (143, "Interrupted.\n")
    assert len(caught) == 1
    # What is gone after the end is not taken for a lost interruption of the next command.
    caught.clear()
    assert ends_with(DataError("no rows")) == (3, "Error: no rows\n")


@pytest.mark.parametrize(("cause", "code"), [(KeyboardInterrupt(), 130), (ValueError(), 1)])
def test_an_interruption_that_c_code_makes_another_error_of_is_one(cause: BaseException, code: int) -> None:
    def end() -> None:
        raise SystemError("<built-in> returned a result with an exception set") from cause

    assert ends_after(end)[0] == code


class Deaf:
    """Python drops what a destructor raises.

    Args:
        number: The signal that falls into it.
        went_on: Gets an entry when the signal raised nothing.
    """

    def __init__(self, number: signal.Signals, went_on: list[str]) -> None:
        self.number, self.went_on = number, went_on

    def __del__(self) -> None:
        signal.raise_signal(self.number)
        self.went_on.append("not raised here")


def destroy(number: signal.Signals) -> None:
    went_on: list[str] = []
    Deaf(number, went_on)
    assert went_on == []


def swallow(number: signal.Signals) -> None:
    # As C code does that asks whether there was an exception and goes on without it.
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(number)


def wait_in_vain() -> None:
    threading.Event().wait(60)
    raise AssertionError("not heard")


BOTH = pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
ANY_LOSS = pytest.mark.parametrize("lose", [destroy, swallow])


@BOTH
@ANY_LOSS
@pytest.mark.usefixtures("heeds_ctrl_c")
def test_an_interruption_that_is_lost_comes_again(
    lose: Callable[[signal.Signals], None], number: signal.Signals, code: int
) -> None:
    def end() -> None:
        lose(number)
        wait_in_vain()

    assert ends_after(end) == (code, "Interrupted.\n")


@BOTH
@ANY_LOSS
@pytest.mark.usefixtures("heeds_ctrl_c")
def test_another_error_in_its_place_is_no_bug(
    lose: Callable[[signal.Signals], None], number: signal.Signals, code: int
) -> None:
    def end() -> None:
        lose(number)
        raise RuntimeError("MISMATCH of active exception types: ORIGINAL ... REPLACED BY Interruption")

    assert ends_after(end) == (code, "Interrupted.\n")
    # It does not come again where nobody waits for it.
    time.sleep(1.5 * termination.RETRY_S)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_a_second_interruption_within_a_step_that_is_lost_comes_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def end() -> None:
        with interrupted_between_steps():
            signal.raise_signal(signal.SIGINT)
            destroy(signal.SIGINT)
            wait_in_vain()

    reported: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)
    assert ends_after(end) == (130, "Interrupted.\n")
    assert reported == []


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_tidying_up_that_fails_after_an_interruption_is_no_bug() -> None:
    def end() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            raise AssertionError("Nesting violated")

    assert ends_after(end) == (130, "Interrupted.\n")


@BOTH
@pytest.mark.usefixtures("heeds_ctrl_c")
def test_a_lock_of_tensorflow_is_not_left_held(number: signal.Signals, code: int) -> None:
    lock_util = pytest.importorskip("tensorflow.python.util.lock_util")
    left: list[bool] = []

    class Counts(list[int]):
        """What a lock reads while it holds its own lock."""

        def __iter__(self) -> Iterator[int]:
            if not left:
                signal.raise_signal(number)
                left.append(True)
            return super().__iter__()

    lock = lock_util.GroupLock(num_groups=2)
    lock._group_member_counts = Counts([0, 0])

    def end() -> None:
        with lock.group(0):
            threading.Event().wait(60)
            raise AssertionError("not heard")

    assert ends_after(end) == (code, "Interrupted.\n")
    assert left == [True]
    assert lock._ready.acquire(blocking=False)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_what_never_leaves_a_fragile_place_is_interrupted_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(termination, "FRAGILE", ("test_console.py",))
    monkeypatch.setattr(termination, "MOST_POSTPONED_S", 0.3)
    monkeypatch.setattr(termination, "SAID_AFTER_S", 0.1)

    def end() -> None:
        console.start_messages()
        signal.raise_signal(signal.SIGINT)
        wait_in_vain()

    waits = "Warning: Interrupted: stopping as soon as TensorFlow has built its graph.\n"
    assert ends_after(end) == (130, f"{waits}Interrupted.\n")


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_a_graph_is_not_left_half_built() -> None:
    tf = pytest.importorskip("tensorflow")
    built: list[Any] = []

    @tf.function(autograph=False)
    def double(number: Any) -> Any:
        if not built:
            signal.raise_signal(signal.SIGINT)
        built.append(number)
        return 2 * number

    def end() -> None:
        double(tf.constant(1))
        wait_in_vain()

    assert ends_after(end) == (130, "Interrupted.\n")
    assert len(built) == 1
    assert tf.executing_eagerly()
    assert int(double(tf.constant(2))) == 4


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_an_interruption_that_is_answered_does_not_come_again() -> None:
    def end() -> None:
        answer(signal.SIGINT)
        time.sleep(1.5 * termination.RETRY_S)

    assert ends_after(end) == (2, "Error: not ended\n")


def test_what_else_a_destructor_loses_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    class Faulty:
        def __del__(self) -> None:
            raise ValueError("in vain")

    reported: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)
    assert ends_after(Faulty) == (2, "Error: not ended\n")
    assert [str(lost.exc_value) for lost in reported] == ["in vain"]
    assert sys.unraisablehook == reported.append


def test_a_command_that_ends_well_by_sigterm_says_so() -> None:
    def end() -> None:
        answer(signal.SIGTERM)
        click.get_current_context().exit(console.INTERRUPTED)

    assert ends_after(end) == (143, "")


def test_an_error_after_sigterm_keeps_its_code() -> None:
    def end() -> None:
        answer(signal.SIGTERM)

    assert ends_after(end) == (2, "Error: not ended\n")


def test_who_handles_or_ignores_sigterm_goes_on_doing_so() -> None:
    came: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        came.append(number)

    try:
        for handler in (signal.SIG_IGN, handle):
            signal.signal(signal.SIGTERM, handler)
            assert ends_after(sigterm) == (2, "Error: not ended\n")
            assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert came == [signal.SIGTERM]


def test_a_command_runs_in_another_thread() -> None:
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(ends_with, ConfigError("mend it")).result() == (2, "Error: mend it\n")


def test_wrong_use() -> None:
    code, message = ends_with(click.UsageError("Say more."))
    assert code == 2
    assert "Error: Say more." in message


def test_the_code_for_quality_gates_is_kept_free() -> None:
    assert console.BELOW_GATE == 5
    assert 5 not in console._CODES.values()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_examples_and_every_exit_code(command: str) -> None:
    result = invoke(command, "--help")
    assert (result.exit_code, result.stderr) == (0, "")
    examples, codes = result.stdout.index("Examples:"), result.stdout.index("Exit codes:")
    assert f"  elmo-{command} " in result.stdout[examples:]
    listed = [line.split()[0] for line in result.stdout[codes:].splitlines()[1:] if line.strip()]
    assert listed == ["0", "1", "2", "3", "4", "5", "130", "143"]
    assert result.stdout == invoke(command, "-h").stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


@pytest.mark.parametrize("command", COMMANDS)
def test_version(command: str) -> None:
    result = invoke(command, "--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("elmo-cli, version ")
