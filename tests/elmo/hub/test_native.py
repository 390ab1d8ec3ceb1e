"""A Hub ELMo becomes native where our network gives the module's vectors, and only there."""

import logging
import os
import random
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from bilm.oracle import Oracle
from bilm.tiny_bilm import tiny_bilm
from elmo.conftest import FOREIGN_KINDS, NATIVE_KINDS
from hub_module import write_hub_module

from elmo_cli.bilm.characters import sentence_characters
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.bilm.weights import read_weights, write_weights
from elmo_cli.classifier.encoding import Encoder
from elmo_cli.classifier.pooling import MaskedPooling
from elmo_cli.elmo.bilm_embedder import BiLMEmbedder
from elmo_cli.elmo.embedder import Embedder, load_embedder
from elmo_cli.elmo.hub import native as conversion
from elmo_cli.elmo.hub.embedder import HubEmbedder
from elmo_cli.elmo.hub.native import native_source
from elmo_cli.elmo.hub.probe import Attempt, try_out
from elmo_cli.elmo.hub.variables import read_variables
from elmo_cli.elmo.source import ElmoSource, resolve
from elmo_cli.errors import ConfigError, SourceError

SENTENCES = ["the cat sat on the river bank", "", "a dog", "Ünïcödé 中文 " + "long" * 20, "x"]
LENGTHS = [7, 1, 2, 3, 1]


class Modules:
    """The modules of the tests, each loaded and converted once.

    Args:
        folders: Where they are.
        cache: The cache directory that they are converted in.
    """

    def __init__(self, folders: list[Path], cache: Path) -> None:
        self._folders, self._cache = folders, cache
        self._graphs: dict[str, HubEmbedder] = {}
        self._probes: dict[str, tuple[BiLM | None, list[Attempt]]] = {}

    def source(self, kind: str) -> ElmoSource:
        return resolve(str(next(folder / kind for folder in self._folders if (folder / kind).is_dir())))

    def graph(self, kind: str) -> HubEmbedder:
        """The module through its own graph."""
        if kind not in self._graphs:
            self._graphs[kind] = HubEmbedder.from_source(self.source(kind))
        return self._graphs[kind]

    def probe(self, kind: str) -> tuple[BiLM | None, list[Attempt]]:
        """What the probe found out."""
        if kind not in self._probes:
            self._probes[kind] = try_out(read_variables(self.source(kind).path), self.graph(kind))
        return self._probes[kind]

    def native(self, kind: str) -> ElmoSource | None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ELMO_CLI_CACHE", str(self._cache))
            return native_source(self.source(kind), load=lambda: self.graph(kind))


@pytest.fixture
def probed(modules: "Modules", monkeypatch: pytest.MonkeyPatch) -> None:
    """The module elmo is probed but once, in those tests that are about files."""
    monkeypatch.setattr(conversion, "try_out", lambda *_: modules.probe("elmo"))


@pytest.fixture(scope="module")
def modules(tf1_modules: Path, tf2_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Modules:
    return Modules([tf1_modules, tf2_modules], tmp_path_factory.mktemp("native"))


def embed(embedder: Embedder, sentences: list[str]) -> tuple[np.ndarray, np.ndarray]:
    layers, mask = embedder(tf.constant(sentences))
    return layers.numpy(), mask.numpy()


def relative_error(found: np.ndarray, expected: np.ndarray, mask: np.ndarray) -> float:
    found, expected = (np.swapaxes(layers, 1, 2)[mask] for layers in (found, expected))
    return float(np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2)))


@pytest.mark.parametrize("kind", [*NATIVE_KINDS, "elmo-tf2"])
def test_a_module_of_the_published_kind_becomes_native(kind: str, modules: Modules) -> None:
    source, native = modules.source(kind), modules.native(kind)
    assert native is not None
    assert (native.handle, native.fingerprint, native.kind) == (source.handle, source.fingerprint, "bilm")
    assert native.path == source.path
    embedder = BiLMEmbedder(source=native)
    expected, mask = embed(modules.graph(kind), SENTENCES)
    found, found_mask = embed(embedder, SENTENCES)
    assert mask.sum(axis=1).tolist() == LENGTHS
    np.testing.assert_array_equal(found_mask, mask)
    for layer in range(expected.shape[1]):
        one = slice(layer, layer + 1)
        assert relative_error(found[:, one], expected[:, one], mask) <= 1e-5
    # What many sentences are embedded by gives the same.
    read, _ = embedder.reader(np.array(SENTENCES, object))(np.arange(5))
    assert relative_error(read.numpy(), expected, mask) <= 1e-5
    assert BiLMOptions.from_json(native.options_path).sentence_marks == ("marks" in kind or "tf2" in kind)


@pytest.mark.parametrize("kind", ["elmo", "elmo-marks"])
def test_the_converted_files_are_those_an_oracle_reads(kind: str, modules: Modules) -> None:
    native = modules.native(kind)
    oracle = Oracle(native.options_path, native.weights_path)
    layers, _ = embed(modules.graph(kind), SENTENCES)
    for row, (sentence, length) in enumerate(zip(SENTENCES, LENGTHS, strict=True)):
        expected = oracle.layers(sentence.split(" "))
        np.testing.assert_allclose(layers[row, :, :length], expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("kind", ["elmo", "elmo-marks"])
def test_vectors_do_not_depend_on_batch_mates(kind: str, modules: Modules) -> None:
    embedder = BiLMEmbedder(source=modules.native(kind))
    together, mask = embed(embedder, SENTENCES)
    turned, _ = embed(embedder, SENTENCES[::-1])
    for index, sentence in enumerate(SENTENCES):
        alone, _ = embed(embedder, [sentence])
        for batch in (together[index], turned[len(SENTENCES) - 1 - index]):
            np.testing.assert_allclose(batch[:, : mask[index].sum()], alone[0], rtol=0, atol=3e-6)


@pytest.mark.parametrize("kind", ["elmo", "elmo-marks"])
def test_the_gradient_reaches_every_weight(kind: str, modules: Modules) -> None:
    native = modules.native(kind)
    options = BiLMOptions.from_json(native.options_path)
    bilm = BiLM(options)
    read_weights(bilm, native.weights_path)
    characters = sentence_characters(tf.constant(SENTENCES), 50, 2, marks=options.sentence_marks)
    found = {}
    for training in (False, True):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(bilm(*characters, training=training) ** 2)
        gradients = tape.gradient(loss, [weight.value for weight in bilm.trainable_weights])
        found[training] = [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]
    for actual, expected in zip(found[True], found[False], strict=True):
        assert expected.any()
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_module_is_looked_at_once(modules: Modules, probed: None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "elmo_cli")
    source = modules.source("elmo")
    first = native_source(source, load=lambda: modules.graph("elmo"))
    assert caplog.messages == [
        f"ELMo {source.handle} is native from now on: our network gives the module's vectors "
        f"(relative error {caplog.messages[0].rsplit(' ', 1)[1]}"
    ]
    caplog.clear()

    def never() -> Embedder:
        raise RuntimeError("the graph was loaded again")

    assert native_source(source, load=never) == first
    assert caplog.messages == []


def test_loading_gives_the_native_network_in_either_precision(modules: Modules, probed: None) -> None:
    source = modules.source("elmo")
    native_source(source, load=lambda: modules.graph("elmo"))
    exact, rounded = load_embedder(source), load_embedder(source, "bfloat16")
    assert isinstance(exact, BiLMEmbedder)
    assert (exact.precision, rounded.precision) == ("float32", "bfloat16")
    assert exact.source.fingerprint == rounded.source.fingerprint == source.fingerprint
    found, mask = embed(rounded, SENTENCES)
    assert 1e-4 < relative_error(found, embed(exact, SENTENCES)[0], mask) < 0.02

    # What the cache keeps for the module's own graph is what it keeps for the native network in float32.
    def keys(embedder: Embedder) -> bytes:
        return Encoder(embedder, MaskedPooling(("mean",)))._key("a dog")

    assert keys(exact) == keys(modules.graph("elmo"))
    assert keys(rounded) != keys(exact)


def test_a_native_elmo_needs_no_tensorflow_hub(
    modules: Modules, probed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = modules.source("elmo")
    native_source(source, load=lambda: modules.graph("elmo"))
    monkeypatch.setitem(sys.modules, "tensorflow_hub", None)  # as when its import fails
    assert load_embedder(source).num_layers == 3


REASONS = {
    "elmo-tanh": "its layer 0 is not what our network computes from its variables (relative error ",
    "elmo-gates": "its layer 1 is not what our network computes from its variables (relative error ",
    "elmo-swapped": "its layer 0 is not what our network computes from its variables (relative error ",
    "elmo-more-layers": "it gives 3 layers of width 16, and its variables are those of 4 of width 16",
    "elmo-twin": "bilm/CNN_proj/b_proj could be any of bilm/CNN_proj/b_proj, old/bilm/CNN_proj/b_proj",
    "elmo-default": "it gives 1 layer of width 16, and its variables are those of 3 of width 16",
    "text": "it has no variable bilm/CNN/W_cnn_0",
    "text-tf2": "it has no variable bilm/CNN/W_cnn_0",
}


@pytest.mark.parametrize("kind", REASONS)
def test_a_module_that_differs_in_one_detail_runs_through_its_own_graph(
    kind: str, modules: Modules, caplog: pytest.LogCaptureFixture
) -> None:
    assert {*FOREIGN_KINDS} < {*REASONS}
    source = modules.source(kind)
    caplog.set_level(logging.INFO, "elmo_cli")
    for _ in range(2):  # what was found out is remembered, and said again
        caplog.clear()
        assert native_source(source, load=lambda: modules.graph(kind)) is None
        (message,) = caplog.messages
        start = f"ELMo {source.handle} runs through the module's own graph, slower and frozen: "
        assert message.startswith(start + REASONS[kind])


def test_numbers_are_told_to_those_who_ask(modules: Modules, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "elmo_cli.elmo.hub.native")
    modules.native("elmo-gates")
    tried = [message for message in caplog.messages if "relative error of layer 0" in message]
    assert [message.split(", ", 1)[1].split(": ")[0] for message in tried] == [
        "with sentence marks, characters from row 1",
        "with sentence marks, characters from row 0",
        "without sentence marks, characters from row 0",
    ]
    assert all(", layer 1 " in message and ", layer 2 " in message for message in tried)


def test_a_foreign_module_gives_its_own_vectors_in_its_own_precision(modules: Modules) -> None:
    source = modules.source("elmo-swapped")
    embedder = load_embedder(source, "auto")
    assert isinstance(embedder, HubEmbedder)
    np.testing.assert_array_equal(
        embed(embedder, ["a ~ b ^"])[0], embed(modules.graph("elmo-swapped"), ["a ~ b ^"])[0]
    )
    with pytest.raises(ConfigError, match=r"--precision bfloat16: the module .* Use --precision auto"):
        load_embedder(source, "bfloat16")


@pytest.fixture
def converted(modules: Modules, probed: None, cache: Path) -> tuple[Path, Callable[[], ElmoSource | None]]:
    """The folder of a converted module in the cache of one test, and what looks for it again."""

    def look() -> ElmoSource | None:
        return native_source(modules.source("elmo"), load=lambda: modules.graph("elmo"))

    native = look()
    assert native is not None
    assert native.weights_path.is_relative_to(cache)
    return native.weights_path.parent, look


@pytest.mark.parametrize(
    ("name", "damage"),
    [("native.json", "cut"), ("options.json", "lost"), ("weights.hdf5", "cut"), ("weights.hdf5", "changed")],
)
def test_damaged_files_are_made_again(name: str, damage: str, converted) -> None:
    folder, look = converted
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / ".tmp-0-weights.hdf5").write_bytes(b"left by a process that was killed")
    content = before[name]
    if damage == "lost":
        (folder / name).unlink()
    elif damage == "cut":
        (folder / name).write_bytes(content[: len(content) // 2])
    else:
        (folder / name).write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    assert look() is not None
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_kill_between_the_files_leaves_nothing_that_is_taken_for_whole(
    modules: Modules, probed: None, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    source, load = modules.source("elmo"), lambda: modules.graph("elmo")
    write_text = conversion.files.write_text
    for step in range(2):
        done = []

        def stop(path, text, step=step, done=done) -> None:
            if len(done) == step:
                raise Killed
            done.append(path)
            write_text(path, text)

        monkeypatch.setattr(conversion.files, "write_text", stop)
        with pytest.raises(Killed):
            native_source(source, load=load)
        assert not list(cache.rglob("native.json"))
    monkeypatch.setattr(conversion.files, "write_text", write_text)
    assert native_source(source, load=load) is not None


def test_a_module_that_fails_on_the_probe_runs_as_it_is(
    modules: Modules, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing:
        """Its own spelling has no room for words as long as those of the probe."""

        num_layers, dim = modules.graph("elmo").num_layers, modules.graph("elmo").dim

        def __call__(self, sentences: tf.Tensor) -> Any:
            raise tf.errors.InvalidArgumentError(None, None, "Paddings must be non-negative: 0 -110")

    caplog.set_level(logging.INFO, "elmo_cli")
    for _ in range(2):  # the second time it is remembered
        assert native_source(modules.source("elmo"), load=Failing) is None
    assert caplog.text.count("its own graph cannot compute the texts it is compared on (Paddings must") == 2


@pytest.mark.usefixtures("probed")
def test_random_numbers_are_the_same_whether_there_is_something_to_convert_or_not(modules: Modules) -> None:
    numbers = []
    for _ in range(2):
        random.seed(1)
        assert native_source(modules.source("elmo"), load=lambda: modules.graph("elmo")) is not None
        numbers.append(random.random())
    assert numbers[0] == numbers[1]


def test_of_several_at_once_one_looks_and_the_others_wait(
    modules: Modules, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, looked = modules.probe("elmo"), []
    monkeypatch.setattr(conversion, "try_out", lambda *_: looked.append(1) or found)
    source, load = modules.source("elmo"), lambda: modules.graph("elmo")
    with ThreadPoolExecutor(3) as threads:
        natives = list(threads.map(lambda _: native_source(source, load=load), range(3)))
    assert natives[0] is not None
    assert natives == [natives[0]] * 3
    assert len(looked) == 1


@pytest.mark.skipif(os.name == "nt", reason="permissions are those of POSIX")
def test_where_nothing_can_be_kept_the_module_runs_as_it_is(
    modules: Modules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "elmo_cli")
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ELMO_CLI_CACHE", str(tmp_path / "file"))
    assert native_source(modules.source("elmo"), load=lambda: modules.graph("elmo")) is None
    assert "its weights cannot be kept" in caplog.text


def test_a_damaged_module_is_an_error_and_nothing_is_remembered(
    modules: Modules, cache: Path, tmp_path: Path
) -> None:
    def damaged() -> Embedder:
        raise SourceError("the module is damaged")

    with pytest.raises(SourceError, match="the module is damaged"):
        native_source(modules.source("elmo"), load=damaged)
    assert not list(cache.rglob("native.json"))


def test_a_native_source_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "options.json").write_text(tiny_bilm().options.to_json())
    write_weights(tiny_bilm(), tmp_path / "weights.hdf5")
    source = resolve(str(tmp_path))
    assert native_source(source) is source


def test_a_module_that_we_wrote_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    """The other way: our variables under their published names, behind our graph, in a TF2 SavedModel."""
    bilm = tiny_bilm(seed=4)
    write_hub_module(bilm, tmp_path / "module")
    native = native_source(resolve(str(tmp_path / "module")))
    assert native is not None
    again = BiLM(BiLMOptions.from_json(native.options_path))
    assert again.options == bilm.options
    read_weights(again, native.weights_path)
    for one, other in zip(again.get_weights(), bilm.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
