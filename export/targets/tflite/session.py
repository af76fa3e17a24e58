"""LiteRT on the CPU behind the session protocol."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from export.session import Outputs
from lvt.errors import UserError


def open_interpreter(model: bytes | Path, threads: int) -> Interpreter:
    """An interpreter with its default delegate, XNNPACK, ready to run.

    Args:
        model: the file, or its bytes.
        threads: 0 leaves the number to the runtime.

    Raises:
        UserError: the runtime refuses the file.
    """
    source = {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
    try:
        interpreter = Interpreter(**source, num_threads=threads or None)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        name = "the model" if isinstance(model, bytes) else model.name
        raise UserError(f"LiteRT cannot load {name}: {error}") from error
    return interpreter


class TfliteSession:
    """LiteRT on the CPU. Takes NCHW like every session, although the file takes NHWC.

    Args:
        path: a file with one signature of one image.
        threads: 0 leaves the number to the runtime.

    Raises:
        UserError: the runtime refuses the file, or the file names no outputs.
    """

    def __init__(self, path: Path, *, threads: int = 0):
        self._interpreter = open_interpreter(path, threads)
        try:
            runner = self._interpreter.get_signature_runner()
        except ValueError as error:
            raise UserError(
                f"{path.name} has no signature that names its outputs; export it again"
            ) from error
        names = {detail["index"]: name for name, detail in runner.get_output_details().items()}
        # A signature lists its outputs alphabetically, the graph in the order of the model.
        self._outputs = {
            names[detail["index"]]: detail for detail in self._interpreter.get_output_details()
        }
        (self._input,) = self._interpreter.get_input_details()

    def run(self, image: NDArray[np.float32]) -> Outputs:
        """See `export.session.Session.run`."""
        self._interpreter.set_tensor(self._input["index"], _quantized(nhwc(image), self._input))
        self._interpreter.invoke()
        return {
            name: _dequantized(self._interpreter.get_tensor(detail["index"]), detail)
            for name, detail in self._outputs.items()
        }


class TfliteEntryPoints:
    """LiteRT on the CPU for a file in parts. Takes NCHW images, although the file takes NHWC.

    Args:
        path: a file with one signature for each entry point.
        threads: 0 leaves the number to the runtime.

    Raises:
        UserError: the runtime refuses the file.
    """

    def __init__(self, path: Path, *, threads: int = 0):
        self._interpreter = open_interpreter(path, threads)
        signatures = self._interpreter.get_signature_list()
        self._runners = {name: self._interpreter.get_signature_runner(name) for name in signatures}

    def call(self, name: str, inputs: Mapping[str, NDArray[np.float32]]) -> Outputs:
        """See `export.session.EntryPointSession.call`."""
        arrays = {
            key: nhwc(value) if key == "image" else np.ascontiguousarray(value)
            for key, value in inputs.items()
        }
        runner = self._runners[name]
        inputs_of_file, outputs_of_file = runner.get_input_details(), runner.get_output_details()
        arrays = {key: _quantized(value, inputs_of_file[key]) for key, value in arrays.items()}
        outputs = runner(**arrays)
        return {key: _dequantized(value, outputs_of_file[key]) for key, value in outputs.items()}


def nhwc(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """(1, 3, H, W) to (1, H, W, 3)."""
    return np.ascontiguousarray(image.transpose(0, 2, 3, 1))


def _quantized(values: NDArray[np.float32], detail: Mapping[str, Any]) -> NDArray[Any]:
    """The values as an input of a file takes them: unchanged, or int8 if it takes integers."""
    if detail["dtype"] == np.float32:
        return values
    scale, zero_point = detail["quantization"]
    limits = np.iinfo(detail["dtype"])
    levels = np.rint(values / np.float32(scale)) + zero_point
    return levels.clip(limits.min, limits.max).astype(detail["dtype"])


def _dequantized(values: NDArray[Any], detail: Mapping[str, Any]) -> NDArray[Any]:
    """An output of a file in float: unchanged, unless the file gives int8."""
    scale, zero_point = detail["quantization"]
    if not scale:
        return values
    return (values.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
