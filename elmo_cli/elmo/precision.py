"""In which precision a network's matrix products are computed."""

import logging
from pathlib import Path
from typing import Literal

from elmo_cli.config import PrecisionSetting

logger = logging.getLogger(__name__)

Precision = Literal["float32", "bfloat16"]

FAST_PROCESSORS = ("amx_bf16", "avx512_bf16")  # instructions for bfloat16 products, as Linux calls them
FAST_GPU = (8, 0)  # compute capability of the first GPUs with bfloat16 products (Ampere)


def choose_precision(asked: PrecisionSetting) -> Precision:
    """Returns the precision asked for, or the fastest that is exact enough for what is built on ELMo.

    ``auto`` is bfloat16 where the processor that computes has instructions for its products, else float32.

    Args:
        asked: What the configuration says.
    """
    if asked != "auto":
        return asked
    precision: Precision = "bfloat16" if _bfloat16_is_fast() else "float32"
    logger.debug("Precision of ELMo: %s", precision)
    return precision


def _bfloat16_is_fast() -> bool:
    import tensorflow as tf

    if gpus := tf.config.get_visible_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpus[0])
        return bool(details.get("compute_capability", (0, 0)) >= FAST_GPU)
    return bool(_processor_flags() & set(FAST_PROCESSORS))


def _processor_flags() -> set[str]:
    """Returns the instructions that Linux says the processor has; nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())
