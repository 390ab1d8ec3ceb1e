"""The choice of a device; a GPU is pretended where there is none."""

import pytest
import tensorflow as tf

from elmo_cli.errors import ConfigError
from elmo_cli.training import device
from elmo_cli.training.device import use_device

GPU = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")


@pytest.fixture
def pretend(monkeypatch):
    """Pretends that there are GPUs, and records what TensorFlow is told."""
    told: list[tuple] = []

    def gpus(number: int) -> list[tuple]:
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [GPU] * number)
        monkeypatch.setattr(tf.config, "set_visible_devices", lambda *arguments: told.append(arguments))
        monkeypatch.setattr(
            tf.config.experimental, "set_memory_growth", lambda *arguments: told.append(arguments)
        )
        details = {"device_name": "Pretended"}
        monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
        return told

    return gpus


def test_without_a_gpu_auto_is_the_cpu(pretend):
    pretend(0)
    assert use_device("auto").startswith("CPU (")
    assert use_device("cpu").startswith("CPU (")


def test_a_gpu_that_is_not_there_is_an_error_with_a_way_out(pretend):
    pretend(0)
    with pytest.raises(ConfigError, match="--device auto"):
        use_device("gpu")


@pytest.mark.parametrize("name", ["auto", "gpu"])
def test_a_gpu_is_taken_and_shares_its_memory(pretend, name):
    told = pretend(1)
    assert use_device(name) == "GPU (Pretended)"
    assert told == [(GPU, True)]


def test_more_gpus_are_counted(pretend):
    pretend(3)
    assert use_device("auto") == "GPU (Pretended and 2 more)"


def test_cpu_hides_gpus(pretend):
    told = pretend(1)
    assert use_device("cpu").startswith("CPU (")
    assert told == [([], "GPU")]


def test_too_late_is_said_so(pretend, monkeypatch):
    pretend(1)

    def refuse(*arguments: object) -> None:
        raise RuntimeError("Visible devices cannot be modified after being initialized")

    monkeypatch.setattr(device.tf.config, "set_visible_devices", refuse)
    with pytest.raises(RuntimeError, match="came too late"):
        use_device("cpu")


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="not 'tpu'"):
        use_device("tpu")


@pytest.mark.parametrize(
    ("cores", "set_by_user", "expected"), [(2, False, [1, 2]), (2, True, []), (8, False, [])]
)
def test_two_cores_work_on_an_operation_each(pretend, monkeypatch, cores, set_by_user, expected):
    pretend(0)
    threads: list[int] = []
    for kind in ("intra", "inter"):
        monkeypatch.setattr(tf.config.threading, f"set_{kind}_op_parallelism_threads", threads.append)
    monkeypatch.setattr(device, "_num_cores", lambda: cores)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    if set_by_user:
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "2")
    assert use_device("cpu") == f"CPU ({cores} cores)"
    assert threads == expected


def test_threads_stay_as_they_are_once_tensorflow_has_started(pretend, monkeypatch):
    pretend(0)
    tf.constant(0) + 1
    monkeypatch.setattr(device, "_num_cores", lambda: 2)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    before = tf.config.threading.get_intra_op_parallelism_threads()
    assert use_device("cpu") == "CPU (2 cores)"
    assert tf.config.threading.get_intra_op_parallelism_threads() == before
