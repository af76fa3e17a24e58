"""Placement of ONNX files: ONNX Runtime's CPU provider runs every operator that it loads."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx

from export.placement import Placement


def placement(path: Path) -> Placement:
    """The operators of a file, counted by type, all on the CPU."""
    operators = Counter(node.op_type for node in onnx.load(path).graph.node)
    return Placement("ONNX Runtime CPU kernels", 1, operators)
