"""Which processor the work is done on."""

import contextlib
import os
from typing import Literal

import tensorflow as tf

from elmo_cli.errors import ConfigError


def use_device(device: Literal["auto", "cpu", "gpu"] = "auto") -> str:
    """Makes TensorFlow work on the device asked for, and says which one that is.

    It must run before TensorFlow's first operation, for then the devices are fixed. On a GPU, memory is
    taken as it is needed, so that others can use the same one. float32 means float32 there, too, not TF32.

    Two processor cores each work on an operation of their own, unless TF_NUM_INTRAOP_THREADS says otherwise:
    the two reading directions of a biLM keep both busy, and none waits for its half of a small product. That
    takes an eighth off the time of fine-tuning (`benchmarks/fine_tune.py`).

    Args:
        device: ``auto`` takes a GPU where TensorFlow finds one; ``cpu`` hides GPUs; ``gpu`` insists.

    Returns:
        A description for people, for example ``"CPU (2 cores)"`` or ``"GPU (NVIDIA H200)"``.

    Raises:
        ConfigError: When ``gpu`` is asked for and TensorFlow finds none.
        ValueError: When the name is none of the three.
        RuntimeError: When TensorFlow has started already and its devices can no longer be chosen.
    """
    if device not in ("auto", "cpu", "gpu"):
        raise ValueError(f'device must be "auto", "cpu" or "gpu", not {device!r}')
    # A GPU would otherwise round what is called float32 to 10 bits before it multiplies.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    gpus = tf.config.list_physical_devices("GPU")
    if device == "gpu" and not gpus:
        raise ConfigError(
            "--device gpu: TensorFlow finds no GPU on this machine. Use --device auto or --device cpu, or "
            'install the GPU build of TensorFlow: pip install "tensorflow[and-cuda]>=2.21,<2.22".'
        )
    try:
        if device == "cpu" or not gpus:
            if gpus:
                tf.config.set_visible_devices([], "GPU")
            if _num_cores() == 2 and "TF_NUM_INTRAOP_THREADS" not in os.environ:
                _one_thread_for_an_operation()
            return f"CPU ({_num_cores()} cores)"
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError as error:
        raise RuntimeError(
            f"use_device({device!r}) came too late: TensorFlow has started and its devices are fixed. "
            "Call it before the first operation."
        ) from error
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name)
    more = f" and {len(gpus) - 1} more" if len(gpus) > 1 else ""
    return f"GPU ({name}{more})"


def _num_cores() -> int:
    """Counts the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _one_thread_for_an_operation() -> None:
    with contextlib.suppress(RuntimeError):  # TensorFlow has started: it goes on as it does
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(2)
