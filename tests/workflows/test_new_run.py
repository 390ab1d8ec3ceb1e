"""NewRun: a run directory is whole, plainly marked, or not there."""

import json
import logging
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from elmo_cli.config import DataConfig, ElmoConfig, RunConfig
from elmo_cli.config_yaml import load_config
from elmo_cli.errors import DataError, RunError
from elmo_cli.workflows import new_run
from elmo_cli.workflows.new_run import NewRun

logger = logging.getLogger("elmo_cli.somewhere")


@pytest.fixture(autouse=True)
def _every_message() -> None:
    logging.getLogger("elmo_cli").setLevel(logging.INFO)


def record(path: Path) -> dict[str, Any]:
    return dict(json.loads((path / "run.json").read_text()))


def make_unfinished(path: Path) -> None:
    """Leaves what a killed training leaves."""
    make(path, content="unfinished")
    (path / "run.json").write_text(json.dumps({**record(path), "status": "running"}))


def make(
    path: Path, *, force: bool = False, content: str = "old", error: BaseException | None = None
) -> None:
    with NewRun(path, RunConfig(), force=force) as run:
        directory = run.begin()
        (directory.path / "content").write_text(content)
        if error is not None:
            raise error


def test_nothing_is_written_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(DataError), NewRun(tmp_path / "deep" / "run", RunConfig()):
        raise DataError("no such table")
    assert list(tmp_path.iterdir()) == []


def test_it_says_that_it_runs_and_then_that_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run"
    with NewRun(path, RunConfig(seed=5), command="elmo-train a.csv") as run:
        run.record["early"] = 1
        run.begin()
        assert record(path)["status"] == "running"
        run.record["late"] = 2
    found = record(path)
    assert (found["status"], found["seed"], found["early"], found["late"]) == ("complete", 5, 1, 2)
    assert found["command"] == "elmo-train a.csv"
    assert load_config(path / "config.yaml") == RunConfig(seed=5)


def test_the_log_holds_messages_from_before_the_directory_was_there(tmp_path: Path) -> None:
    logger.info("too early")
    handlers = [*logging.getLogger("elmo_cli").handlers]
    with NewRun(tmp_path / "run", RunConfig()) as run:
        logger.info("reading %s", "train.csv")
        run.begin()
        logger.warning("training")
    logger.info("too late")
    lines = (tmp_path / "run" / "log.txt").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["INFO reading train.csv", "WARNING training"]
    assert logging.getLogger("elmo_cli").handlers == handlers


def test_stages_add_up(tmp_path: Path) -> None:
    with NewRun(tmp_path / "run", RunConfig()) as run:
        for name in ("reading", "training", "reading"):
            with run.stage(name):
                pass
        run.begin()
    assert list(record(tmp_path / "run")["seconds"]) == ["reading", "training", "total"]


def test_a_failed_run_is_marked_and_says_why(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        make(tmp_path / "run", error=DataError("a.csv, row 3: broken"))
    found = record(tmp_path / "run")
    assert (found["status"], found["error"]) == ("failed", "DataError: a.csv, row 3: broken")
    assert "ERROR a.csv, row 3: broken" in (tmp_path / "run" / "log.txt").read_text()


def test_a_run_is_replaced_only_with_force(tmp_path: Path) -> None:
    path = tmp_path / "run"
    make(path)
    with pytest.raises(RunError, match="holds a run already"):
        make(path)
    make(path, force=True, content="new")
    assert (path / "content").read_text() == "new"
    assert sorted(file.name for file in tmp_path.iterdir()) == [".run.lock", "run"]
    assert {file.name for file in path.iterdir()} == {"config.yaml", "content", "log.txt", "run.json"}


def test_an_empty_directory_is_free(tmp_path: Path) -> None:
    make(tmp_path)
    assert record(tmp_path)["status"] == "complete"


def test_the_old_run_waits_beside_the_new_one_until_that_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "run"
    make(path)
    with NewRun(path, RunConfig(), force=True) as run:
        run.begin()
        assert (tmp_path / "run.replaced" / "content").read_text() == "old"
        assert not (path / "content").exists()


def test_a_killed_replacement_keeps_the_old_run_through_the_next_failure(tmp_path: Path) -> None:
    path, aside = tmp_path / "run", tmp_path / "run.replaced"
    make(aside)  # what a killed replacement leaves: the old run aside, and an unfinished one
    make_unfinished(path)
    with pytest.raises(ZeroDivisionError):
        make(path, force=True, error=ZeroDivisionError())
    assert (path / "content").read_text() == "old"
    assert not aside.exists()
    make(aside)
    make(path, force=True, content="new")
    assert (path / "content").read_text() == "new"
    assert not aside.exists()


def test_a_complete_run_is_not_given_up_for_an_older_one_that_was_set_aside(tmp_path: Path) -> None:
    path, aside = tmp_path / "run", tmp_path / "run.replaced"
    make(aside, content="ancient")
    make(path)
    with pytest.raises(ZeroDivisionError):
        make(path, force=True, error=ZeroDivisionError())
    assert (path / "content").read_text() == "old"
    assert not aside.exists()


def begin_anew(path: Path, status: str, *, checkpoint: str | None, error: BaseException | None) -> None:
    """Replaces a run by one that comes to this end."""
    with NewRun(path, RunConfig(), force=True) as run:
        directory = run.begin()
        (directory.path / "content").write_text("new")
        if checkpoint:
            (directory.path / checkpoint).parent.mkdir(parents=True)
            (directory.path / checkpoint).write_text("hours of work")
        run.status = status  # type: ignore[assignment]
        if error is not None:
            raise error


def test_a_run_that_was_interrupted_does_not_take_the_place_of_a_complete_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, aside = tmp_path / "run", tmp_path / "run.replaced"
    make(path)
    for _ in range(2):  # the second time the interrupted one is given up, not the complete one
        begin_anew(path, "interrupted", checkpoint=None, error=None)
        assert (path / "content").read_text() == "new"
        assert (aside / "content").read_text() == "old"
        assert f"the run that it replaces is kept in {aside} until it is complete" in caplog.text
    with NewRun(path, RunConfig(), resume=True) as run:
        run.begin()
    assert not aside.exists()


@pytest.mark.parametrize("checkpoint", ["checkpoints/state.npz", "elmo/checkpoint/state.npz"])
@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt()])
def test_a_replacement_that_fails_with_work_done_is_kept_to_be_gone_on_with(
    tmp_path: Path, checkpoint: str, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    path, aside = tmp_path / "run", tmp_path / "run.replaced"
    make(path)
    with pytest.raises(type(error)):
        begin_anew(path, "complete", checkpoint=checkpoint, error=error)
    assert (path / checkpoint).read_text() == "hours of work"
    assert record(path)["status"] == "failed"
    assert (aside / "content").read_text() == "old"
    assert (
        f"--resume, without --force, goes on with it. The run that it was to replace is {aside}"
        in caplog.text
    )
    with NewRun(path, RunConfig(), resume=True) as run:
        run.begin()
    assert record(path)["status"] == "complete"
    assert not aside.exists()


def needing(place: Path, kind: str) -> RunConfig:
    """A configuration with a file of this kind at a place."""
    if kind == "elmo":
        return RunConfig(elmo=ElmoConfig(handle=str(place)))
    return RunConfig(data=DataConfig(**{kind: str(place)}))


@pytest.mark.parametrize("kind", ["train", "valid", "test", "elmo"])
@pytest.mark.parametrize("holder", ["run", "link", "run.replaced"])
def test_what_the_new_run_needs_must_not_be_removed_with_the_old_one(
    tmp_path: Path, kind: str, holder: str
) -> None:
    make(tmp_path / "run")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    if holder == "run.replaced":
        make(tmp_path / holder)
    needed = tmp_path / holder / "content"
    message = r"content lies in .*run.*, a run that is removed when the new one is complete\. Copy it"
    with (
        pytest.raises(RunError, match=message),
        NewRun(tmp_path / "run", needing(needed, kind), force=True),
    ):
        pass
    if holder == "run.replaced":
        with (
            pytest.raises(RunError, match=message),
            NewRun(tmp_path / "run", needing(needed, kind), resume=True),
        ):
            pass
    assert needed.read_text() == "old"


def test_what_is_found_to_be_needed_later_is_not_removed_either(tmp_path: Path) -> None:
    make(tmp_path / "run")
    (tmp_path / "weights").symlink_to(tmp_path / "run" / "content")
    message = r"weights lies in .*run, a run that is removed"
    with pytest.raises(RunError, match=message), NewRun(tmp_path / "run", RunConfig(), force=True) as run:
        run.begin(tmp_path / "weights")
    assert (tmp_path / "weights").read_text() == "old"
    assert record(tmp_path / "run")["status"] == "complete"
    assert not (tmp_path / "run.replaced").exists()


def test_a_run_that_is_gone_on_with_may_hold_what_it_needs(tmp_path: Path) -> None:
    make(tmp_path / "run")
    with NewRun(tmp_path / "run", needing(tmp_path / "run" / "content", "train"), resume=True) as run:
        run.begin(tmp_path / "run" / "content")
    assert (tmp_path / "run" / "content").read_text() == "old"


def test_without_force_a_run_that_was_set_aside_stays(tmp_path: Path) -> None:
    make(tmp_path / "run.replaced")
    make(tmp_path / "run", content="new")
    assert (tmp_path / "run.replaced" / "content").read_text() == "old"


def test_what_is_in_the_way_and_not_a_run_is_not_touched(tmp_path: Path) -> None:
    make(tmp_path / "run")
    (tmp_path / "run.replaced").mkdir()
    with pytest.raises(RunError, match=r"run\.replaced is in the way"):
        make(tmp_path / "run", force=True)
    assert (tmp_path / "run" / "content").read_text() == "old"


@pytest.mark.parametrize("error", [None, ZeroDivisionError()])
def test_what_only_has_the_name_of_a_run_set_aside_is_not_touched(
    tmp_path: Path, error: BaseException | None
) -> None:
    (tmp_path / "run.replaced").mkdir()
    (tmp_path / "run.replaced" / "mine").write_text("precious")
    with suppress(ZeroDivisionError):
        make(tmp_path / "run", force=True, error=error)
    assert (tmp_path / "run.replaced" / "mine").read_text() == "precious"
    assert record(tmp_path / "run")["status"] == ("failed" if error else "complete")


def test_a_link_to_a_run_is_followed(tmp_path: Path) -> None:
    make(tmp_path / "run")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    make(tmp_path / "link", force=True, content="new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "run" / "content").read_text() == "new"


def test_the_current_directory_can_be_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    make(Path("."))
    make(Path("."), force=True, content="new")
    assert (tmp_path / "here" / "content").read_text() == "new"


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"Choose another -o"):
        make(tmp_path / "file" / "run")


@pytest.mark.parametrize("force", [False, True])
def test_the_loser_of_a_race_touches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    path, really = tmp_path / "run", new_run.lock
    with ExitStack() as rivals:

        def rival_is_faster(*arguments: Any, **named: Any) -> Any:
            monkeypatch.setattr(new_run, "lock", really)
            rival = rivals.enter_context(NewRun(path, RunConfig(), force=force))
            (rival.begin().path / "content").write_text("the rival's")
            return really(*arguments, **named)

        monkeypatch.setattr(new_run, "lock", rival_is_faster)
        with pytest.raises(RunError, match="another process is training this run"):
            make(path, force=force)
        assert record(path)["status"] == "running"
        assert (path / "content").read_text() == "the rival's"
    assert record(path)["status"] == "complete"


def test_the_lock_is_held_while_the_old_run_waits_beside(tmp_path: Path) -> None:
    path = tmp_path / "run"
    make(path)
    with NewRun(path, RunConfig(), force=True) as run:
        run.begin()
        for flags in ({"force": True}, {"resume": True}):
            with pytest.raises(RunError, match="another process"), NewRun(path, RunConfig(), **flags) as late:
                late.begin()
        assert record(path)["status"] == "running"
    assert record(path)["status"] == "complete"


def test_a_directory_with_nothing_but_a_lock_is_free(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").write_bytes(b"")
    make(tmp_path / "run")
    assert record(tmp_path / "run")["status"] == "complete"
    assert not (tmp_path / "run.replaced").exists()


def test_where_nothing_can_be_written_beside_it_an_empty_directory_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    (tmp_path / "run").mkdir()
    make(tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert record(tmp_path / "run")["status"] == "complete"


def test_a_run_that_cannot_be_moved_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    make(tmp_path / "run")
    monkeypatch.setattr(Path, "rename", denied)
    with pytest.raises(RunError, match="Permission denied"):
        make(tmp_path / "run", force=True)
    assert record(tmp_path / "run")["status"] == "complete"


def resume(path: Path, *, rewrite: bool) -> None:
    with NewRun(path, RunConfig(seed=7), resume=True) as run:
        run.begin()
        if rewrite:
            run.point_of_no_return()
            (path / "content").write_text("new")
        raise DataError("broken")


def test_a_resumption_that_fails_early_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    make(tmp_path / "run")
    before = record(tmp_path / "run")
    with pytest.raises(DataError):
        resume(tmp_path / "run", rewrite=False)
    assert record(tmp_path / "run") == before
    assert load_config(tmp_path / "run" / "config.yaml") == RunConfig()


def test_a_resumption_that_fails_with_files_replaced_is_marked(tmp_path: Path) -> None:
    make(tmp_path / "run")
    with pytest.raises(DataError):
        resume(tmp_path / "run", rewrite=True)
    assert (record(tmp_path / "run")["status"], record(tmp_path / "run")["seed"]) == ("failed", 7)
    assert load_config(tmp_path / "run" / "config.yaml").seed == 7


@pytest.mark.parametrize(("adapted", "was", "now"), [(True, "with", "without"), (False, "without", "with")])
def test_a_run_is_not_resumed_as_one_that_adapts_when_it_did_not_nor_the_other_way_round(
    tmp_path: Path, adapted: bool, was: str, now: str
) -> None:
    path, other = tmp_path / "run", RunConfig(elmo=ElmoConfig(adapt=not adapted))
    with NewRun(path, RunConfig(elmo=ElmoConfig(adapt=adapted))) as run:
        run.begin()
    before = record(path)
    message = f"begun {was} --adapt, so it cannot be gone on with {now} it. Resume it {was} --adapt"
    with pytest.raises(RunError, match=message), NewRun(path, other, resume=True):
        pass
    assert record(path) == before
    assert load_config(path / "config.yaml").elmo.adapt == adapted
