"""TensorFlow started without noise, and without work that no command needs."""

import atexit
import contextlib
import faulthandler
import gc
import importlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from typing import Literal

from elmo_cli.errors import ElmoCliError

# Keras imports these wherever they are installed, for wrappers and pictures that we never use; neither Keras
# nor TensorFlow depends on them. Together they take a quarter of the time of `import tensorflow`.
UNUSED_BY_TENSORFLOW = ("sklearn", "matplotlib", "scipy")


def start_tensorflow(device: Literal["auto", "cpu", "gpu"] = "auto", *, verbose: bool = False) -> None:
    """Imports TensorFlow, chooses the device and runs a first operation, all without noise.

    Most of what TensorFlow's native code says comes while it is imported, finds its devices and starts its
    runtime. When that fails unexpectedly, what was held back is shown.

    Args:
        device: See `elmo_cli.training.device.use_device`.
        verbose: Show everything.

    Raises:
        ConfigError: When there is no GPU but one is asked for.
    """
    if not verbose:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with contextlib.nullcontext() if verbose else _native_messages_held_back():
        _import_tensorflow()
        import tensorflow as tf

        from elmo_cli.training.device import use_device

        use_device(device)
        if not verbose:
            for name in ("tensorflow", "absl"):
                logging.getLogger(name).setLevel(logging.ERROR)
            warnings.filterwarnings("ignore", module=r"(tensorflow|tensorflow_hub|tf_keras|keras)\.")
        square = tf.ones((4, 4))
        tf.function(lambda: square @ square, autograph=False)()


def _import_tensorflow() -> None:
    if "tensorflow" not in sys.modules:
        with _hidden(*UNUSED_BY_TENSORFLOW), _garbage_left_alone():
            importlib.import_module("tensorflow")


@contextlib.contextmanager
def _hidden(*packages: str) -> Iterator[None]:
    """Meanwhile these packages cannot be imported, as if they were not installed.

    Packages that are loaded already stay as they are.

    Reference: "The module cache" in Python's description of its import system, on None in `sys.modules`.
    """
    absent = [name for name in packages if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)


@contextlib.contextmanager
def _garbage_left_alone() -> Iterator[None]:
    """Meanwhile no garbage is collected, and nothing that is there afterwards is ever looked at again.

    Importing TensorFlow makes a million objects that stay. To go through them while they grow, later, and
    once more when the interpreter ends takes more than two seconds and finds nothing. What a command leaves
    at its end is not gone through either: the process's memory is given back as a whole, and files are closed
    by their with blocks.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
        atexit.register(gc.freeze)


@contextlib.contextmanager
def _native_messages_held_back() -> Iterator[None]:
    """Keeps file descriptor 2 off the terminal; Python's own sys.stderr is not to be used meanwhile."""
    sys.stderr.flush()
    terminal = os.dup(2)
    # A crash of native code cannot be caught; at least it says where it happened.
    reports_crashes = not faulthandler.is_enabled()
    if reports_crashes:
        faulthandler.enable(terminal)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except Exception as error:
            if not isinstance(error, ElmoCliError):
                held_back.seek(0)
                os.write(terminal, held_back.read())
            raise
        finally:
            os.dup2(terminal, 2)
            if reports_crashes:
                faulthandler.disable()
            os.close(terminal)
