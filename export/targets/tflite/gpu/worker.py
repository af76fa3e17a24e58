"""Runs in a process of its own: one .tflite on LiteRT's GPU accelerator.

Called as a script by this environment's Python. Requests and answers are pickles on the standard
streams; the libraries' log goes to the standard error stream.
"""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any, BinaryIO

import numpy as np

_TOO_SLOW = "Failed to lock"
"""Part of LiteRT's error if results do not come in time, as while software compiles shaders."""

_RUNS = 5


def main(path: str, precision: str) -> None:
    """Compiles a file, says `ready`, and answers each (signature, inputs) with the outputs.

    An answer is (`ready` | `outputs` | `error`, value). The process ends with the requests.

    Args:
        path: the file.
        precision: `fp32` or `fp16`, of the arithmetic.
    """
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print there, too
    requests = os.fdopen(os.dup(0), "rb")
    try:
        model = _compile(path, precision)
    except RuntimeError as error:
        _answer(answers, "error", str(error))
        return
    _answer(answers, "ready", bool(model.is_fully_accelerated()))
    while True:
        try:
            signature, inputs = pickle.load(requests)
        except EOFError:
            return
        try:
            _answer(answers, "outputs", _run(model, signature, inputs))
        except RuntimeError as error:
            _answer(answers, "error", str(error))


def _compile(path: str, precision: str) -> Any:
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.hardware_accelerator import HardwareAccelerator
    from ai_edge_litert.options import GpuOptions, Options

    # Without the CPU among the accelerators, compiling fails if an operator remains for it.
    gpu = GpuOptions(enforce_f32=precision == "fp32")
    return CompiledModel.from_file(path, options=Options(HardwareAccelerator.GPU, gpu_options=gpu))


def _run(model: Any, signature: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """Outputs by name; all are float32.

    LiteRT gives up on results that do not come in time. Then the shaders are compiled meanwhile,
    and another run is fast.
    """
    for _attempt in range(_RUNS - 1):
        try:
            return _run_once(model, signature, inputs)
        except RuntimeError as error:
            if _TOO_SLOW not in str(error):
                raise
    return _run_once(model, signature, inputs)


def _run_once(model: Any, signature: str, inputs: dict[str, Any]) -> dict[str, Any]:
    shapes = {
        name: detail["shape"] for name, detail in model.get_output_tensor_details(signature).items()
    }
    given = {name: model.create_input_buffer_by_name(signature, name) for name in inputs}
    results = {name: model.create_output_buffer_by_name(signature, name) for name in shapes}
    for name, values in inputs.items():
        given[name].write(np.ascontiguousarray(values, np.float32))
    model.run_by_name(signature, given, results)
    return {
        name: np.array(results[name].read(int(np.prod(shape)), np.float32)).reshape(shape)
        for name, shape in shapes.items()
    }


def _answer(stream: BinaryIO, kind: str, value: Any) -> None:
    pickle.dump((kind, value), stream)
    stream.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
