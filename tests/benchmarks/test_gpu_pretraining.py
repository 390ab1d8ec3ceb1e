"""What benchmarks/gpu_pretraining trains is the network of `elmo-pretrain`, on the same text."""

import gzip
import lzma
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from elmo_cli.bilm.batches import Speller, language_model_batch
from elmo_cli.bilm.softmax import Softmax
from elmo_cli.bilm.vocabulary import Vocabulary
from elmo_cli.bilm.weights import hdf5_names

LINES = ["The cat sat .", "the dog did not sit on a mat", "naïve", "a " * 130 + "end"]


@pytest.fixture(autouse=True)
def benchmarks(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(project / "benchmarks")


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lines in two files, one of them to be read twice."""
    from gpu_pretraining import prepare

    for name, lines in (("one", LINES[:2]), ("two", LINES[2:]), ("held-out", ["the unseen dog"])):
        with gzip.open(tmp_path / f"{name}.txt.gz", "wt") as file:
            file.write("\n".join(lines) + "\n")
    one, two, held_out = (str(tmp_path / f"{name}.txt.gz") for name in ("one", "two", "held-out"))
    output = tmp_path / "arrays"
    arguments = ["prepare", one, two, "--again", one, "--held-out", held_out, "-o", str(output)]
    monkeypatch.setattr(sys, "argv", arguments)
    prepare.main()
    return output


def arrays_of(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Decodes a text by the layout that `prepare` documents; there are no rare types here."""
    content = lzma.decompress(path.read_bytes())
    num_tokens, num_rare, num_sentences = np.frombuffer(content, "<i8", 3)
    assert num_rare == 0
    lengths = np.frombuffer(content, "u1", num_sentences, 24 + 2 * num_tokens)
    return np.frombuffer(content, "<u2", num_tokens, 24), lengths


def test_prepared_text_is_the_text(prepared: Path) -> None:
    words = lzma.decompress((prepared / "words.xz").read_bytes()).decode().split("\n")
    facts = np.load(prepared / "words.npz")
    vocabulary = Vocabulary.from_text((prepared / "vocab.txt").read_text(encoding="utf-8"), cased=False)
    sentences = []
    for part in range(2):
        stream, lengths = arrays_of(prepared / f"text-{part}.xz")
        ends = lengths.cumsum(dtype=int)
        sentences += [
            " ".join(words[i] for i in stream[end - length : end])
            for end, length in zip(ends, lengths, strict=True)
        ]
    # The longest one is cut, the first file stands twice.
    cut = [("a " * 128).strip(), "a a end"]
    assert sorted(sentences) == sorted([*LINES[:2], *LINES[:2], LINES[2], *cut])
    assert [words[i] for i in facts["lower"]] == [word.lower() for word in words]
    assert facts["targets"].tolist() == [vocabulary.ids([word])[1] for word in words]
    held_out, _ = arrays_of(prepared / "held-out.xz")
    assert [words[i] for i in held_out] == ["the", "unseen", "dog"]
    assert facts["targets"][held_out[1]] == 2  # unknown


def test_weights_become_an_elmo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepared: Path) -> None:
    from gpu_pretraining import finish

    rng = np.random.default_rng(0)
    words = len((prepared / "vocab.txt").read_text(encoding="utf-8").split("\n")) - 1
    arrays = random_arrays(rng, dim=8, width=4, words=words)
    trained, elmo = tmp_path / "trained", tmp_path / "elmo"
    trained.mkdir()
    (trained / "facts.json").write_text("{}")
    names = list(arrays)
    for number, some in enumerate((names[:7], names[7:])):
        np.savez(trained / f"weights-{number}.npz", **{name: arrays[name] for name in some})
    vocabulary = str(prepared / "vocab.txt")
    monkeypatch.setattr(sys, "argv", ["finish", str(trained), "--vocabulary", vocabulary, "-o", str(elmo)])
    finish.main()
    softmax = Softmax.read(elmo / "softmax.npz", 4)
    np.testing.assert_array_equal(softmax.kernel, arrays["softmax_kernel"].astype(np.float16))
    model = finish.language_model(arrays)
    values = {name: variable.numpy() for name, variable in hdf5_names(model.bilm).items()}
    cell = "RNN_1/RNN/MultiRNNCell/Cell0/LSTMCell/W_P_0"
    np.testing.assert_array_equal(values[cell], arrays["W_P_0"][1])


def random_arrays(rng: np.random.Generator, *, dim: int, width: int, words: int) -> dict[str, np.ndarray]:
    from gpu_pretraining.network_shape import EMBEDDING_DIM, FILTERS

    num_filters = sum(number for _, number in FILTERS)
    shapes: dict[str, tuple[int, ...]] = {"char_embed": (261, EMBEDDING_DIM)}
    for i, (filter_width, number) in enumerate(FILTERS):
        shapes |= {f"W_cnn_{i}": (filter_width, EMBEDDING_DIM, number), f"b_cnn_{i}": (number,)}
    for name in ("transform", "carry"):
        shapes |= {f"W_{name}": (num_filters, num_filters), f"b_{name}": (num_filters,)}
    shapes |= {"W_proj": (num_filters, width), "b_proj": (width,)}
    for layer in range(2):
        shapes |= {f"W_{layer}": (2, 2 * width, 4 * dim), f"B_{layer}": (2, 4 * dim)}
        shapes[f"W_P_{layer}"] = (2, dim, width)
    shapes |= {"softmax_kernel": (words, width), "softmax_bias": (words,)}
    return {name: rng.normal(scale=0.2, size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_losses_and_gradients_are_ours() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is needed for the GPU's side; elmo-cli does not")
    from gpu_pretraining.finish import language_model
    from gpu_pretraining.network import Batch, Network, State

    rng = np.random.default_rng(1)
    words = [f"w{'x' * int(rng.integers(1, 60))}{i}" for i in range(30)]
    vocabulary = Vocabulary(("<S>", "</S>", "<UNK>", *words))
    arrays = random_arrays(rng, dim=12, width=6, words=len(vocabulary))
    model = language_model(arrays)
    sentences = [[words[j] for j in rng.integers(0, len(words), 7)] for _ in range(5)]
    speller = Speller(50, 7)
    batch = language_model_batch(sentences, vocabulary, speller)
    with tf.GradientTape() as tape:
        losses = model({name: tf.constant(values) for name, values in batch.items()})
        loss = tf.reduce_mean(losses)
    variables = {variable.path: variable for variable in model.trainable_variables}
    gradients = dict(zip(variables, tape.gradient(loss, list(variables.values())), strict=True))

    # The same sentences in lanes, each twice, one behind the other, after a state that must be forgotten.
    characters, _ = speller.spell([words])
    characters = np.concatenate([characters[2:], characters[:2]])
    characters = np.pad(characters, ((0, 0), (0, 50 - characters.shape[1])), constant_values=260)
    ids = np.array([[words.index(token) for token in tokens] for tokens in sentences])
    forward, backward = ids.T, ids[:, ::-1].T
    begin, end = (np.full((1, 5), len(words) + i) for i in range(2))
    inputs = np.stack([np.concatenate([begin, forward]), np.concatenate([end, backward])])
    ends = np.ones((1, 5), int), np.zeros((1, 5), int)
    targets = np.stack([np.concatenate([forward + 3, ends[0]]), np.concatenate([backward + 3, ends[1]])])
    inputs, targets = (np.concatenate([values, values], axis=1) for values in (inputs, targets))
    goes_on = np.ones(inputs.shape, np.float32)
    goes_on[:, [0, 8]] = 0.0
    parameters = {name: torch.tensor(value, requires_grad=True) for name, value in arrays.items()}
    network = Network(torch.tensor(characters), max_types=40, dtype=torch.float32, dropout=0.0, rows=32)
    state = State(torch.randn(2, 2, 5, 6), torch.randn(2, 2, 5, 12))
    theirs, _ = network.losses(
        parameters, Batch(*map(torch.tensor, (inputs, targets, goes_on))), state, training=True
    )
    np.testing.assert_allclose(theirs.detach().numpy(), losses.numpy(), rtol=1e-5)
    found = dict(zip(parameters, torch.autograd.grad(theirs.mean(), list(parameters.values())), strict=True))
    for name, variable in hdf5_names(model.bilm).items():
        last = name.split("/")[-1]
        if name.startswith("RNN_"):
            ours = {"W_0": "W", "B": "B", "W_P_0": "W_P"}[last]
            values = found[f"{ours}_{name[name.index('/Cell') + 5]}"][int(name[4])]
        else:
            values = found[last]
        expected = tf.convert_to_tensor(gradients[variable.path]).numpy()
        scale = np.abs(expected).max()
        np.testing.assert_allclose(values.numpy() / scale, expected / scale, atol=1e-4, err_msg=name)
