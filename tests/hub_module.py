"""A biLM as a TensorFlow Hub module with the variables and the signature of the published ones."""

from pathlib import Path

import tensorflow as tf

from elmo_cli.bilm.characters import sentence_characters
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.weights import checkpoint_names


def write_hub_module(bilm: BiLM, directory: Path) -> Path:
    """Writes a TF2 SavedModel; its graph is that of our network."""
    module = tf.Module()
    for name, variable in checkpoint_names(bilm).items():
        setattr(module, name, variable.value)
    cnn = bilm.options.char_cnn

    @tf.function(
        input_signature=[tf.TensorSpec([None, None], tf.string), tf.TensorSpec([None], tf.int32)],
        autograph=False,
    )
    def tokens(tokens: tf.Tensor, sequence_len: tf.Tensor) -> dict[str, tf.Tensor]:
        words = tf.RaggedTensor.from_tensor(tokens, sequence_len)
        characters = sentence_characters(
            tf.strings.reduce_join(words, axis=1, separator=" "),
            cnn.max_characters_per_token,
            cnn.max_filter_width,
            marks=bilm.options.sentence_marks,
        )
        layers = bilm(*characters)
        lstm = {f"lstm_outputs{number}": layers[:, number] for number in range(1, bilm.options.num_layers)}
        return {"word_emb": layers[:, 0, :, : bilm.options.lstm.projection_dim], **lstm}

    tf.saved_model.save(module, str(directory), signatures={"tokens": tokens})
    return directory
