"""Configuration: reading, overriding, refusing and writing."""

from pathlib import Path

import pytest

from elmo_cli.config import ClassifierConfig, DataConfig, RunConfig, TextConfig, TrainingConfig
from elmo_cli.config_yaml import load_config, parse_override, to_yaml
from elmo_cli.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_file_and_overrides_it_is_the_defaults() -> None:
    assert load_config() == RunConfig()


def test_file_then_overrides_win_over_defaults(tmp_path: Path) -> None:
    path = write(tmp_path, "seed: 7\ntraining:\n  epochs: 3\n  batch_size: 8\n")
    config = load_config(path, {"training.epochs": "5"})
    assert config == RunConfig(seed=7, training=TrainingConfig(epochs=5, batch_size=8))


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "training:\n", "training:\n  # epochs: 3\n", "\ufeffseed: 13\n"]
)
def test_a_file_that_sets_nothing_is_the_defaults(tmp_path: Path, text: str) -> None:
    assert load_config(write(tmp_path, text)) == RunConfig()


@pytest.mark.parametrize("number", ["1e-3", "1E-3", "0.001", ".001", "1.0e-3", '"1e-3"'])
def test_every_spelling_of_a_number_is_a_number(tmp_path: Path, number: str) -> None:
    path = write(tmp_path, f"training:\n  learning_rate: {number}\n")
    assert load_config(path).training.learning_rate == 0.001
    assert load_config(overrides={"training.learning_rate": number}).training.learning_rate == 0.001


def test_a_whole_number_serves_as_a_number() -> None:
    rate = load_config(overrides={"training.learning_rate": "1"}).training.learning_rate
    assert rate == 1.0
    assert isinstance(rate, float)


@pytest.mark.parametrize("value", ["256,128", "[256, 128]", "256, 128", [256, 128], (256, 128)])
def test_lists_are_also_read_from_comma_text(value: object) -> None:
    assert load_config(overrides={"classifier.hidden": value}).classifier.hidden == (256, 128)


@pytest.mark.parametrize("text", ["256,128", "[256, 128]", "\n  - 256\n  - 128"])
def test_lists_in_a_file(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, f"classifier:\n  hidden: {text}\n  pool: mean,max\n")
    assert load_config(path).classifier == ClassifierConfig(hidden=(256, 128), pool=("mean", "max"))


def test_one_value_and_no_value_are_lists() -> None:
    assert load_config(overrides={"classifier.hidden": 64}).classifier.hidden == (64,)
    assert load_config(overrides={"classifier.hidden": "64"}).classifier.hidden == (64,)
    assert load_config(overrides={"classifier.hidden": ""}).classifier.hidden == ()
    assert load_config(overrides={"classifier.hidden": "none"}).classifier.hidden == ()
    assert load_config(overrides={"classifier.hidden": "auto"}).classifier.hidden == "auto"
    assert load_config(overrides={"classifier.pool": "max"}).classifier.pool == ("max",)
    joined = load_config(overrides={"classifier.pool": "mean,attention"})
    assert joined.classifier.pool == ("mean", "attention")


@pytest.mark.parametrize(
    ("text", "expected"), [("40", 40), ("longest", "longest"), ("p99.5", "p99.5"), ("p100", "p100")]
)
def test_max_length_is_a_number_or_a_policy(tmp_path: Path, text: str, expected: object) -> None:
    assert load_config(overrides={"text.max_length": text}).text.max_length == expected
    assert load_config(write(tmp_path, f"text:\n  max_length: {text}\n")).text.max_length == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (",", ","),
        (";", ";"),
        ("\t", "\t"),
        ("\\t", "\t"),
        ('"\\t"', "\t"),
        ("|", "|"),
        (" ", " "),
        ("#", "#"),
        ("~", "~"),
        ("null", None),
        ("", None),
    ],
)
def test_delimiters_need_no_quoting_on_the_command_line(text: str, expected: str | None) -> None:
    assert load_config(overrides={"data.delimiter": text}).data.delimiter == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", "2"),
        ("007", "007"),
        ("no", "no"),
        ("a: b", "a: b"),
        ("1e-3", "1e-3"),
        ("'null'", "null"),
        (2, "2"),
    ],
)
def test_column_names_are_taken_as_they_stand(text: object, expected: str) -> None:
    assert load_config(overrides={"data.text_column": text}).data.text_column == expected


@pytest.mark.parametrize(("text", "expected"), [("2", "2"), ("no", "no"), ("007", "007"), ("12:30", "12:30")])
def test_column_names_in_a_file_meet_no_yaml_trap(tmp_path: Path, text: str, expected: str) -> None:
    assert load_config(write(tmp_path, f"data:\n  text_column: {text}\n")).data.text_column == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("true", True), ("yes", True), ("off", False), ("null", None)]
)
def test_booleans_in_the_usual_words(tmp_path: Path, text: str, expected: bool | None) -> None:
    assert load_config(overrides={"data.header": text}).data.header is expected
    assert load_config(write(tmp_path, f"data:\n  header: {text}\n")).data.header is expected


def test_a_path_object_serves_as_text(tmp_path: Path) -> None:
    assert load_config(overrides={"data.train": tmp_path}).data.train == str(tmp_path)


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("training:\n  epoch: 3\n", "unknown key training.epoch; did you mean training.epochs?"),
        ("epochs: 3\n", "unknown key epochs; did you mean training.epochs?"),
        ("sed: 3\n", "unknown key sed; did you mean seed?"),
        ("trainning:\n  epochs: 3\n", "unknown key trainning; did you mean training?"),
        ("classifier:\n  lr: 3\n", "unknown key classifier.lr; did you mean "),
        ("1: 3\n", "unknown key 1; did you mean "),
    ],
)
def test_unknown_keys_name_file_key_and_nearest_valid_one(tmp_path: Path, text: str, nearest: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: {nearest}")


def test_unknown_override_names_the_nearest_key() -> None:
    with pytest.raises(ConfigError, match=r"unknown key elmo\.trainible; did you mean elmo\.trainable\?"):
        load_config(overrides={"elmo.trainible": "mix"})


def test_a_section_is_no_value(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"training is a section; give one of its keys: training\.epochs, "):
        load_config(overrides={"training": "3"})
    with pytest.raises(
        ConfigError, match=r"training is a section and must hold lines such as \"epochs: \.\.\.\""
    ):
        load_config(write(tmp_path, "training: 3\n"))
    with pytest.raises(ConfigError, match=r"run\.yaml: a configuration must hold lines such as \"seed: "):
        load_config(write(tmp_path, "- 3\n"))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("training.epochs", "many", "training.epochs must be a whole number; received 'many'."),
        ("training.epochs", "2.5", "training.epochs must be a whole number; received '2.5'."),
        ("training.epochs", True, "training.epochs must be a whole number; received True."),
        ("training.epochs", None, "training.epochs must be a whole number; received None."),
        ("training.epochs", "0", "training.epochs must be at least 1; received 0."),
        ("training.batch_size", "0", "training.batch_size must be at least 1; received 0."),
        ("training.patience", "-1", "training.patience must be at least 0; received -1."),
        ("training.learning_rate", "fast", "training.learning_rate must be a number; received 'fast'."),
        ("training.learning_rate", "nan", "training.learning_rate must be a positive number; received nan."),
        ("training.learning_rate", "inf", "training.learning_rate must be a positive number; received inf."),
        ("training.device", "tpu", "training.device must be one of auto, cpu, gpu; received 'tpu'."),
        (
            "data.validation_fraction",
            "1",
            "data.validation_fraction must be above 0 and below 1; received 1.0.",
        ),
        (
            "data.format",
            "xls",
            "data.format must be one of csv, tsv, jsonl, parquet, lines or null; received 'xls'.",
        ),
        ("data.header", "maybe", "data.header must be true or false or null; received 'maybe'."),
        ("data.delimiter", ";;", "data.delimiter must be one character"),
        ("data.delimiter", '"', "data.delimiter must be one character"),
        ("data.encoding", "utf-9", "data.encoding must be an encoding Python knows"),
        (
            "text.max_length",
            "0",
            "text.max_length must be a number from 1, longest, or a percentile such as p99; ",
        ),
        ("text.max_length", "p0", "text.max_length must be"),
        ("text.max_length", "p100.5", "text.max_length must be"),
        ("text.max_length", "p99x", "text.max_length must be"),
        ("text.max_length", "long", "text.max_length must be"),
        ("text.max_length", "1.5", "text.max_length must be"),
        ("elmo.handle", " ", "elmo.handle must be bundled, a URL or a path; received ' '."),
        ("elmo.batch_tokens", "0", "elmo.batch_tokens must be at least 1"),
        (
            "classifier.pool",
            "mean,median",
            "classifier.pool must be one or more of mean, max, attention, each once; received",
        ),
        (
            "classifier.pool",
            "max,max",
            "classifier.pool must be one or more of mean, max, attention, each once; received",
        ),
        (
            "classifier.pool",
            "",
            "classifier.pool must be one or more of mean, max, attention, each once; received ().",
        ),
        (
            "classifier.hidden",
            "256,big",
            "classifier.hidden must be a list, each a whole number or auto; received '256,big'.",
        ),
        ("classifier.hidden", "0", "classifier.hidden must be auto or widths of at least 1; received (0,)."),
        ("classifier.dropout", "1", "classifier.dropout must be at least 0 and below 1; received 1.0."),
        ("classifier.mix_l2", "-1", "classifier.mix_l2 must be 0 or a positive number; received -1.0."),
        ("seed", "-1", "seed must be from 0 to 4294967295; received -1."),
        ("data.text_column", "'a\"'b'", "is not well quoted"),
    ],
)
def test_wrong_values_name_key_value_and_what_is_allowed(key: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides={key: value})
    assert message in str(caught.value)


def test_a_wrong_range_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "classifier:\n  dropout: 1.5\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == (f"{path}: classifier.dropout must be at least 0 and below 1; received 1.5.")


def test_text_and_label_cannot_be_the_same_column() -> None:
    with pytest.raises(ConfigError, match="must be two columns; both are 'a'"):
        DataConfig(text_column="a", label_column="a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training:\n  epochs: [3\nseed: 4\n", "line 3: not valid YAML: "),
        ("seed: 3\nseed: 4\n", "line 2: not valid YAML: the key 'seed' stands here twice."),
        ("seed: !!python/name:os.system\n", "line 1: not valid YAML: "),
        ("seed: 3\x00\n", "not a YAML text file: "),
    ],
)
def test_broken_yaml_names_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}")
    assert message in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml cannot be read: No such file"):
        load_config(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="cannot be read: "):
        load_config(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("seed: 3 # caf\xe9\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml: not a YAML text file"):
        load_config(tmp_path / "latin.yaml")


def test_overrides_are_key_and_value() -> None:
    assert parse_override("training.epochs=5") == ("training.epochs", "5")
    assert parse_override("data.delimiter==") == ("data.delimiter", "=")
    assert parse_override("data.delimiter=") == ("data.delimiter", "")
    for text in ("training.epochs", "=5", ""):
        with pytest.raises(ConfigError, match="key=value"):
            parse_override(text)


@pytest.mark.parametrize(
    "config",
    [
        RunConfig(),
        RunConfig(
            data=DataConfig(
                train="a b.csv",
                text_column="1e-3",
                label_column="no",
                delimiter="\t",
                header=False,
                valid="café: 词.csv",
            ),
            text=TextConfig(max_length=40),
            classifier=ClassifierConfig(pool=("max",), hidden=(256, 128), dropout=0.0, mix_l2=1e-12),
            training=TrainingConfig(learning_rate=3e-5, class_weight="balanced"),
            seed=0,
        ),
        RunConfig(
            data=DataConfig(text_column="2", label_column="null", test="12:30", train="true", delimiter=":")
        ),
    ],
)
def test_yaml_reads_back_to_an_equal_configuration(tmp_path: Path, config: RunConfig) -> None:
    path = write(tmp_path, to_yaml(config))
    assert load_config(path) == config
    assert load_config(path, {"seed": 1}).data == config.data


def test_yaml_is_for_people() -> None:
    text = to_yaml(RunConfig())
    assert "  pool: [mean, max]\n" in text
    assert text.startswith("data:\n  train: null\n")
    assert "epochs: 50\n" in text
