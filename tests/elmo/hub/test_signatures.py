from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from elmo_cli.elmo.hub.signatures import choose_reading, split
from elmo_cli.errors import SourceError

STRINGS = tf.TensorSpec([None], tf.string, name="text")
TOKENS = tf.TensorSpec([None, None], tf.string, name="tokens")
LENGTHS = tf.TensorSpec([None], tf.int32, name="sequence_len")


def by_strings(**ranks: int | tuple[int, int]):
    """A signature from strings to zeros; for each output its rank, or its rank and width."""

    def outputs(text):
        tokens = split(text)[0]
        made = {}
        for name, rank in ranks.items():
            rank, width = rank if isinstance(rank, tuple) else (rank, 4)
            shape = tf.shape(tokens)[: rank - 1] if rank > 1 else tf.shape(tokens)[:1]
            value = tf.zeros(tf.concat([shape, [width]], 0) if rank > 1 else shape)
            made[name] = tf.ensure_shape(value, [None] * (rank - 1) + ([width] if rank > 1 else [None]))
        return made

    return tf.function(outputs).get_concrete_function(STRINGS)


def by_tokens(*names: str):
    def outputs(tokens, sequence_len):
        lengths = tf.cast(sequence_len, tf.float32)[:, tf.newaxis, tf.newaxis]
        return {name: tf.zeros(tf.concat([tf.shape(tokens), [4]], 0)) + lengths for name in names}

    return tf.function(outputs).get_concrete_function(TOKENS, LENGTHS)


def choose(**signatures):
    return choose_reading(SimpleNamespace(signatures=signatures), "it")


def test_tokens_come_before_default():
    reading = choose(
        default=by_strings(elmo=3), tokens=by_tokens("word_emb", "lstm_outputs2", "lstm_outputs1")
    )
    assert reading.names == ("word_emb", "lstm_outputs1", "lstm_outputs2")
    outputs = reading.run(tf.constant(["a b c", ""]))
    assert outputs["word_emb"][:, 0, 0].numpy().tolist() == [3.0, 1.0]


def test_layers_are_read_by_the_default_signature_too():
    reading = choose(default=by_strings(word_emb=3, lstm_outputs1=(3, 8), lstm_outputs2=(3, 8), default=2))
    assert reading.names == ("word_emb", "lstm_outputs1", "lstm_outputs2")
    assert reading.token_level


def test_word_vectors_of_a_width_that_does_not_fit_are_left_out():
    assert choose(default=by_strings(word_emb=(3, 5), lstm_outputs1=(3, 8), elmo=3)).names == ("elmo",)


def test_the_only_output_with_tokens_is_one_layer():
    reading = choose(serving_default=by_strings(encoded=3, pooled=2))
    assert (reading.names, reading.token_level) == (("encoded",), True)


@pytest.mark.parametrize("sentences", [["", ""], ["a b", ""], ["a"]])
def test_a_module_that_splits_by_itself_always_has_a_place(sentences):
    encoded = choose(default=by_strings(encoded=3)).run(tf.constant(sentences))["encoded"]
    assert encoded.shape == (len(sentences), max(len(text.split(" ")) for text in sentences), 4)


@pytest.mark.parametrize(
    ("outputs", "chosen"),
    [({"x": 2}, "x"), ({"x": 2, "default": 2}, "default"), ({"outputs": 2, "y": 2, "scores": 1}, "outputs")],
)
def test_one_vector_for_each_text(outputs, chosen):
    reading = choose(default=by_strings(**outputs))
    assert (reading.names, reading.token_level) == ((chosen,), False)


def test_any_other_signature_name_serves():
    assert choose(embed=by_strings(x=2)).names == ("x",)


def test_a_function_without_signatures_serves():
    class Module:
        signatures: dict = {}  # noqa: RUF012, as TensorFlow has it

        __call__ = SimpleNamespace(
            concrete_functions=[tf.function(lambda text: tf.zeros([1, 4])).get_concrete_function(STRINGS)]
        )

    module = Module()
    assert callable(module)
    assert choose_reading(module, "it").names == ("output_0",)


@pytest.mark.parametrize(
    "signatures",
    [
        {},
        {"default": by_strings(a=2, b=2)},
        {"default": by_strings(scores=1)},
        {"tokens": by_tokens("a", "b")},
    ],
)
def test_what_cannot_be_read_is_listed(signatures):
    with pytest.raises(SourceError) as caught:
        choose(**signatures)
    message = str(caught.value)
    assert "can be read:" in message
    for name in signatures:
        assert f"  {name} (" in message
    if not signatures:
        assert "  none" in message


def test_splitting_pads_with_empty_tokens_and_never_gives_length_zero():
    tokens, lengths = split(tf.constant(["a b", "", "c"]))
    np.testing.assert_array_equal(tokens, [[b"a", b"b"], [b"", b""], [b"c", b""]])
    assert lengths.numpy().tolist() == [2, 1, 1]
