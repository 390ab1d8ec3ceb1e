"""The character CNN of `elmo_cli.bilm.sizes`'s ``mini``, for a machine without TensorFlow."""

EMBEDDING_DIM = 16
FILTERS = ((1, 16), (2, 16), (3, 32), (4, 64), (5, 96), (6, 128), (7, 160))
