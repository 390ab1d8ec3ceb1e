"""elmo-pretrain: its options and every way it can end; what it trains is tested in tests/workflows."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tiny_run import KITCHEN, SKY, invoke

from elmo_cli.bilm.perplexity import Perplexity
from elmo_cli.cli.pretrain import main
from elmo_cli.config import DataConfig
from elmo_cli.training.stream import Progress
from elmo_cli.workflows import pretrain as workflow
from elmo_cli.workflows.pretrain import PretrainConfig, PretrainResult


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text(KITCHEN + "\n" + SKY + "\n")
    return path


def test_options_are_those_of_the_workflow_with_its_defaults() -> None:
    fields = {field.name: field.default for field in dataclasses.fields(PretrainConfig)}
    ours = {parameter.name: parameter for parameter in main.params}
    of_tables = {name for name in ours if name.startswith("data__")}
    assert set(ours) - {"resume", "offline", "quiet", "verbose", "version"} - of_tables <= set(fields)
    assert {name.removeprefix("data__") for name in of_tables} <= set(DataConfig.__dataclass_fields__)
    for name in (
        "vocabulary_size",
        "batch_tokens",
        "precision",
        "checkpoint_minutes",
    ):
        assert ours[name].default == fields[name]
    assert ours["seed"].default == fields["seed"]


def test_what_is_given_arrives(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def trained(config: PretrainConfig, *, resume: bool, command: str) -> PretrainResult:
        seen.append((config, resume))
        return PretrainResult(Perplexity(2.0, 3.0, 0.0, 9), None, Progress())

    monkeypatch.setattr(workflow, "pretrain", trained)
    paths = {"corpus": (corpus, corpus), "output": tmp_path / "out"}
    result = invoke("pretrain", corpus, corpus, "-o", tmp_path / "out")
    assert "Done: held-out perplexity 2.0 forward, 3.0 backward (9 tokens" in result.stderr
    assert f"Use it with: elmo-train --elmo {tmp_path / 'out'}" in result.stderr
    invoke(
        "pretrain",
        corpus,
        corpus,
        "-o",
        tmp_path / "out",
        "--tokens",
        "300",
        "--seed",
        "5",
        "--resume",
        "--licence",
        "CC0",
    )
    given = "--text-column review --no-header --tokenizer whitespace --cased --init bundled"
    invoke("pretrain", corpus, corpus, "-o", tmp_path / "out", *given.split(), "--vocabulary", "words.txt")
    invoke("pretrain", corpus, corpus, "-o", tmp_path / "out", "--resume")
    assert seen == [
        (PretrainConfig(**paths), False),
        (PretrainConfig(**paths, minutes=None, max_tokens=300, seed=5, licence="CC0"), True),
        (
            PretrainConfig(
                **paths,
                data=DataConfig(text_column="review", header=False),
                tokenizer="whitespace",
                cased=True,
                vocabulary=Path("words.txt"),
                init="bundled",
            ),
            False,
        ),
        (PretrainConfig(**paths, minutes=None), True),
    ]


@pytest.mark.slow
def test_what_it_trains_serves_elmo_train(tiny: Path, tmp_path: Path, corpus: Path) -> None:
    output = tmp_path / "mine"
    shape = ["--size", tiny / "elmo" / "options.json", "--vocabulary-size", "50", "--batch-tokens", "50"]
    result = invoke("pretrain", corpus, "-o", output, *shape, "--tokens", "300")
    assert (result.exit_code, result.stdout) == (0, ""), result.output
    assert {"options.json", "weights.hdf5", "MODEL_CARD.md"} <= {path.name for path in output.iterdir()}
    result = invoke("pretrain", corpus, "-o", output, *shape, "--tokens", "300")
    assert result.exit_code == 2
    assert "--resume" in result.stderr
    result = invoke(
        "train", tiny / "train.csv", "--elmo", output, "-o", tmp_path / "run", "--epochs", "1", "-q"
    )
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-o", "out"], 2, "Missing argument"),
        (["corpus.txt"], 2, "Missing option '-o'"),
        (["nowhere.txt", "-o", "out"], 3, "nowhere.txt"),
        (["corpus.txt", "-o", "out", "--size", "huge"], 2, "huge"),
        ([".", "-o", "out"], 3, "Name the files in it"),
        (["*.gz", "-o", "out"], 3, "no file matches"),
        (["corpus.txt", "-o", "out", "--vocabulary", "nowhere.txt"], 3, "nowhere.txt: cannot be read"),
        (["corpus.txt", "-o", "out", "--init", "nowhere"], 4, "no such file or directory"),
        (["corpus.txt", "-o", "out", "--init", "bundled", "--size", "tiny"], 2, "Leave out --size"),
        (["corpus.txt", "-o", "out", "--delimiter", "ab"], 2, "one character"),
        (["corpus.txt", "-o", "out", "--minutes", "0"], 2, "x>0"),
        (["corpus.txt", "-o", "out", "--learning-rate", "-1"], 2, "x>0"),
        (["corpus.txt", "-o", "out", "--minutes", "nan"], 2, "nan is not a finite number"),
        (["corpus.txt", "-o", "out", "--learning-rate", "inf"], 2, "inf is not a finite number"),
        (["corpus.txt", "-o", "out", "--dropout", "nan"], 2, "nan is not a finite number"),
        (
            ["corpus.txt", "-o", "out", "--vocabulary", "corpus.txt", "--vocabulary-size", "30000"],
            2,
            "--vocabulary-size does not go with --vocabulary",
        ),
        (["corpus.txt", "-o", "out", "--resume"], 2, "no checkpoint to go on from"),
    ],
)
def test_ways_to_go_wrong(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(corpus.parent)
    result = invoke("pretrain", *arguments)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_an_interrupt_ends_with_130(tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(workflow, "pretrain", interrupted)
    result = invoke("pretrain", corpus, "-o", tmp_path / "out")
    assert result.exit_code == 130
    assert "Interrupted" in result.stderr
