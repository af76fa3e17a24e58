"""Runs inside the emulated machine: one model file on some inputs, outputs to an .npz file.

Called as a script by that machine's Python, which has NumPy and one runtime and nothing of ours.
The runtime is set up as `export.targets` does: one thread, LiteRT with XNNPACK.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

Function = Callable[[dict[str, Any]], dict[str, Any]]
"""Outputs of a model by name, from its inputs by name."""


def onnx(model: str, _function: str) -> Function:
    """ONNX Runtime's CPU kernels."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(None, inputs), strict=True))


def tflite(model: str, function: str) -> Function:
    """LiteRT; the file takes images as NHWC."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=model, num_threads=1)
    run = interpreter.get_signature_runner(function or None)

    def call(inputs: dict[str, Any]) -> dict[str, Any]:
        if "image" in inputs:
            inputs = {"image": np.ascontiguousarray(inputs["image"].transpose(0, 2, 3, 1))}
        return dict(run(**inputs))

    return call


def main(target: str, model: str, function: str, inputs: str, outputs: str) -> None:
    """Runs a function of a model; "" is the only one.

    `inputs` holds `<number of the call>/<input name>`, `outputs` gets
    `<number of the call>/<output name>`.
    """
    run = {"onnx": onnx, "tflite": tflite}[target](model, function)
    calls: dict[str, dict[str, Any]] = {}
    with np.load(inputs) as given:
        for key in given.files:
            number, name = key.split("/")
            calls.setdefault(number, {})[name] = given[key]
    values = {}
    for number, arrays in calls.items():
        for name, value in run(arrays).items():
            values[f"{number}/{name}"] = value
    np.savez(outputs, **values)


if __name__ == "__main__":
    main(*sys.argv[1:])
