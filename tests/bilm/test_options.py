"""options.json: AllenNLP's file in, AllenNLP's file out."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from elmo_cli.bilm.options import BiLMOptions, CharacterCNNOptions, LSTMOptions
from elmo_cli.errors import SourceError

PUBLISHED = {
    "lstm": {
        "use_skip_connections": True,
        "projection_dim": 512,
        "cell_clip": 3,
        "proj_clip": 3,
        "dim": 4096,
        "n_layers": 2,
    },
    "char_cnn": {
        "activation": "relu",
        "filters": [[1, 32], [2, 32], [3, 64], [4, 128], [5, 256], [6, 512], [7, 1024]],
        "n_highway": 2,
        "embedding": {"dim": 16},
        "n_characters": 262,
        "max_characters_per_token": 50,
    },
}


def changed(part: str, **values: object) -> dict:
    options = json.loads(json.dumps(PUBLISHED))
    options[part] |= values
    return options


def test_the_published_options_are_read() -> None:
    options = BiLMOptions.from_dict(PUBLISHED)
    assert options == BiLMOptions(
        CharacterCNNOptions(
            16, ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024)), num_highway=2
        ),
        LSTMOptions(4096, 512),
    )
    assert (options.num_layers, options.dim, options.char_cnn.num_filters) == (3, 1024, 2048)


def test_options_come_back_through_their_file(tmp_path: Path) -> None:
    for source in (PUBLISHED, changed("lstm", cell_clip=None, proj_clip=None, use_skip_connections=False)):
        options = BiLMOptions.from_dict(source)
        path = tmp_path / "options.json"
        path.write_text(options.to_json())
        assert BiLMOptions.from_json(path) == options
        assert json.loads(path.read_text()) == source


def test_sentence_marks_are_spoken_of_only_where_there_are_none(tmp_path: Path) -> None:
    options = replace(BiLMOptions.from_dict(PUBLISHED), sentence_marks=False)
    path = tmp_path / "options.json"
    path.write_text(options.to_json())
    assert BiLMOptions.from_json(path) == options
    assert json.loads(path.read_text()) == PUBLISHED | {"sentence_marks": False}


def test_training_options_of_bilm_tf_are_ignored() -> None:
    options = changed("char_cnn", n_characters=261) | {"dropout": 0.1, "bidirectional": True}
    assert BiLMOptions.from_dict(options) == BiLMOptions.from_dict(PUBLISHED)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "JSONDecodeError"),
        ("[1, 2]", "TypeError"),
        ("{}", "KeyError: 'char_cnn'"),
        (json.dumps(changed("char_cnn", n_characters=300)), "n_characters is 300"),
        (json.dumps(changed("char_cnn", activation="gelu")), "activation is 'gelu'"),
        (json.dumps(changed("char_cnn", filters=[[1]])), "ValueError"),
        (json.dumps(changed("char_cnn", embedding=None)), "TypeError"),
        (json.dumps(changed("char_cnn", filters=[])), "filters"),
        (json.dumps(changed("lstm", dim=0)), "dim is 0"),
        (json.dumps(changed("lstm", projection_dim=-5)), "projection_dim is -5"),
        (json.dumps(changed("lstm", n_layers=0)), "num_layers is 0"),
        (json.dumps(changed("char_cnn", max_characters_per_token=6)), "max_characters_per_token is 6"),
    ],
)
def test_what_describes_no_bilm_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "options.json"
    path.write_text(content)
    with pytest.raises(SourceError, match=message) as caught:
        BiLMOptions.from_json(path)
    assert str(path) in str(caught.value)


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"options\.json"):
        BiLMOptions.from_json(tmp_path / "options.json")
