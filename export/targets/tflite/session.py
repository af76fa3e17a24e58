"""TFLite files in LiteRT's interpreter: sessions, inner values, and where operators run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from export.placement import Placement
from export.session import Outputs
from export.targets.tflite import flatbuffer
from lvt.errors import UserError

_DELEGATE = "DELEGATE"
"""What the interpreter calls a node that stands for what a delegate took."""


def _interpreter(model: bytes | Path, threads: int) -> Interpreter:
    """An interpreter with its default delegate, XNNPACK, ready to run.

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
    """LiteRT on the CPU. Takes NCHW like every session; the file itself takes NHWC.

    Args:
        path: a file with one signature, of one image.
        threads: 0 for the runtime's choice.

    Raises:
        UserError: the runtime refuses the file, or the file names no outputs.
    """

    def __init__(self, path: Path, *, threads: int = 0):
        self._interpreter = _interpreter(path, threads)
        try:
            runner = self._interpreter.get_signature_runner()
        except ValueError as error:
            raise UserError(
                f"{path.name} has no signature that names its outputs; export it again"
            ) from error
        names = {detail["index"]: name for name, detail in runner.get_output_details().items()}
        # A signature lists its outputs by alphabet, the graph in the model's order.
        self._outputs = {
            names[detail["index"]]: detail["index"]
            for detail in self._interpreter.get_output_details()
        }
        self._input = self._interpreter.get_input_details()[0]["index"]

    def run(self, image: NDArray[np.float32]) -> Outputs:
        self._interpreter.set_tensor(self._input, nhwc(image))
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(index) for name, index in self._outputs.items()}


def nhwc(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """(1, 3, H, W) to (1, H, W, 3)."""
    return np.ascontiguousarray(image.transpose(0, 2, 3, 1))


def module_outputs(path: Path, image: NDArray[np.float32], names: Sequence[str]) -> Outputs:
    """See `export.targets.tflite.target.module_outputs`."""
    file = flatbuffer.read(path)
    graph = file.subgraphs[0]
    last: dict[str, int] = {}
    for operator in graph.operators:
        index = int(operator.outputs[0])
        module = graph.tensors[index].name.decode().rpartition(";")[0]
        for name in names:
            if module == name or module.startswith(f"{name}."):
                last[name] = index
    # As outputs of the graph they are kept, and the kernels stay those of a session.
    graph.outputs = np.array(sorted(set(last.values())), np.int32)
    file.signatureDefs = None
    interpreter = _interpreter(flatbuffer.pack(file), 0)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], nhwc(image))
    interpreter.invoke()
    return {name: interpreter.get_tensor(index) for name, index in last.items()}


def placement(path: Path) -> Placement:
    """What XNNPACK takes of a file, as the interpreter divides it on this machine.

    Raises:
        UserError: the runtime refuses the file.
    """
    nodes = _interpreter(path, 1)._get_ops_details()
    pieces = [node for node in nodes if node["op_name"] == _DELEGATE]
    operators = [node for node in nodes if node["op_name"] != _DELEGATE]
    taken = {index for piece in pieces for index in _covered(piece, operators)}
    delegated = Counter(node["op_name"] for node in operators if node["index"] in taken)
    outside = Counter(node["op_name"] for node in operators if node["index"] not in taken)
    return Placement("XNNPACK", len(pieces), dict(delegated), dict(outside))


def _covered(piece: dict[str, Any], operators: Sequence[dict[str, Any]]) -> set[int]:
    """The operators a delegate's node stands for: all on the way from its inputs to its outputs.

    The interpreter keeps the original operators beside the nodes that replace them, but does not
    say which replaces which.
    """
    producers = {tensor: node for node in operators for tensor in node["outputs"]}
    covered: set[int] = set()
    given = set(piece["inputs"])
    pending = list(piece["outputs"])
    while pending:
        tensor = pending.pop()
        node = producers.get(tensor)
        if tensor in given or node is None or node["index"] in covered:
            continue
        covered.add(node["index"])
        pending.extend(node["inputs"])
    return covered
