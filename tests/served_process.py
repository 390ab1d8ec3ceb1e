"""A server without our package: loads SavedModels as a model server does, and answers once.

Started as ``python -I -S served_process.py SITE_PACKAGES REQUEST.json ANSWER.npz``; the request maps names to
{"model": directory, "texts": [...]}, the answer holds NAME/OUTPUT.
"""

import json
import sys

sys.path.append(sys.argv[1])

import numpy as np
import tensorflow as tf

BATCH_ROWS = 100


def answer(model: str, texts: list[str]) -> dict[str, np.ndarray]:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        signature = v1.saved_model.loader.load(session, ["serve"], model).signature_def["serving_default"]
        (place,) = (tensor.name for tensor in signature.inputs.values())
        outputs = {name: tensor.name for name, tensor in signature.outputs.items()}
        content = [text.encode() for text in texts] + [b"\xff a\xc3", "\ufffd a\ufffd".encode()]
        parts = [
            session.run(outputs, {place: np.array(content[start : start + BATCH_ROWS], object)})
            for start in range(0, len(content), BATCH_ROWS)
        ]
        parts.append(session.run(outputs, {place: np.empty(0, object)}))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in outputs}
    return {
        name: np.char.decode(value.astype(bytes), "utf-8") if value.dtype == object else value
        for name, value in joined.items()
    }


if __name__ == "__main__":
    if any(name.partition(".")[0] == "elmo_cli" for name in sys.modules):
        sys.exit("the package is here")
    # It may be installed beside TensorFlow: None keeps it from being imported, as if it were not there.
    sys.modules["elmo_cli"] = None
    with open(sys.argv[2], encoding="utf-8") as file:
        request = json.load(file)
    found = {
        f"{name}/{output}": value
        for name, one in request.items()
        for output, value in answer(one["model"], one["texts"]).items()
    }
    np.savez(sys.argv[3], **found)
