"""Placement of ONNX files: ONNX Runtime's CPU provider runs every operator that it loads."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx

from export.placement import Placement
from export.targets.onnx.convert import part_paths


def placement(path: Path) -> Placement:
    """The operators of a file or of all files of a folder, by type; all are on the CPU."""
    operators = Counter(
        node.op_type for file in part_paths(path) for node in onnx.load(file).graph.node
    )
    return Placement("ONNX Runtime CPU kernels", 1, operators)
