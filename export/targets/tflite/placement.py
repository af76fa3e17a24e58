"""Which operators of a TFLite file XNNPACK runs, and which LiteRT's plain kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from export.placement import Placement
from export.targets.tflite.session import open_interpreter

_DELEGATE = "DELEGATE"
"""The interpreter's name of a node that stands for the operators that a delegate runs."""


def placement(path: Path) -> Placement:
    """Which operators of a file XNNPACK runs, as LiteRT partitions it on this machine.

    Raises:
        UserError: the runtime refuses the file.
    """
    nodes = open_interpreter(path, 1)._get_ops_details()
    partitions = [node for node in nodes if node["op_name"] == _DELEGATE]
    operators = [node for node in nodes if node["op_name"] != _DELEGATE]
    replaced = {index for node in partitions for index in _replaced_by(node, operators)}
    delegated = Counter(node["op_name"] for node in operators if node["index"] in replaced)
    outside = Counter(node["op_name"] for node in operators if node["index"] not in replaced)
    return Placement("XNNPACK", len(partitions), dict(delegated), dict(outside))


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
