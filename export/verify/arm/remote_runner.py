"""Runs inside the emulated machine: one model file on some images, outputs to an .npz file.

Called as a script by that machine's Python, which has NumPy and one runtime and nothing of ours.
The runtime is set up as `export.targets` does: one thread, LiteRT with XNNPACK.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np


def onnx(model: str) -> Callable[[Any], dict[str, Any]]:
    """ONNX Runtime's CPU kernels."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (image,) = [value.name for value in session.get_inputs()]
    names = [value.name for value in session.get_outputs()]
    return lambda value: dict(zip(names, session.run(None, {image: value}), strict=True))


def tflite(model: str) -> Callable[[Any], dict[str, Any]]:
    """LiteRT; the file takes NHWC."""
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(model_path=model, num_threads=1).get_signature_runner()
    (image,) = run.get_input_details()
    return lambda value: run(**{image: np.ascontiguousarray(value.transpose(0, 2, 3, 1))})


def main(target: str, model: str, images: str, outputs: str) -> None:
    """Writes `<number of the image>/<output name>` for every image (1, 3, H, W) of `images`."""
    run = {"onnx": onnx, "tflite": tflite}[target](model)
    values = {}
    with np.load(images) as given:  # arr_0, arr_1, ...
        for number, key in enumerate(given.files):
            for name, value in run(given[key]).items():
                values[f"{number}/{name}"] = value
    np.savez(outputs, **values)


if __name__ == "__main__":
    main(*sys.argv[1:])
