"""Which operators of a TFLite file XNNPACK runs, and which LiteRT's plain kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from export.placement import Placement
from export.targets.tflite import flatbuffer
from export.targets.tflite.session import open_interpreter

_DELEGATE = "DELEGATE"
"""The interpreter's name of a node that stands for the operators that a delegate runs."""


def placement(path: Path) -> Placement:
    """Which operators of a file XNNPACK runs, as LiteRT partitions it on this machine.

    Raises:
        UserError: the runtime refuses the file.
    """
    partition_count, delegated, outside = 0, Counter[str](), Counter[str]()
    for model in _single_graphs(path):
        nodes = open_interpreter(model, 1)._get_ops_details()
        partitions = [node for node in nodes if node["op_name"] == _DELEGATE]
        operators = [node for node in nodes if node["op_name"] != _DELEGATE]
        replaced = {index for node in partitions for index in _replaced_by(node, operators)}
        partition_count += len(partitions)
        for node in operators:
            (delegated if node["index"] in replaced else outside)[node["op_name"]] += 1
    return Placement("XNNPACK", partition_count, dict(delegated), dict(outside))


def _single_graphs(path: Path) -> Iterator[bytes | Path]:
    """The file, or a model for each of its graphs: the interpreter reports only the first."""
    file = flatbuffer.read(path)
    graphs, file.signatureDefs = file.subgraphs, None
    if len(graphs) == 1:
        yield path
        return
    for graph in graphs:
        file.subgraphs = [graph]
        yield flatbuffer.pack(file)


def _replaced_by(partition: dict[str, Any], operators: Sequence[dict[str, Any]]) -> set[int]:
    """Indices of the operators that a delegate's node replaces: all between its inputs and outputs.

    The interpreter keeps the original operators beside the nodes that replace them, without saying
    which node replaces which operator.
    """
    producers = {tensor: node for node in operators for tensor in node["outputs"]}
    replaced: set[int] = set()
    inputs = set(partition["inputs"])
    pending = list(partition["outputs"])
    while pending:
        tensor = pending.pop()
        node = producers.get(tensor)
        if tensor in inputs or node is None or node["index"] in replaced:
            continue
        replaced.add(node["index"])
        pending.extend(node["inputs"])
    return replaced
