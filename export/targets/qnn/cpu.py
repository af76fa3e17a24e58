"""ONNX Runtime's CPU on an artifact's graphs, for sets of pictures too large for the NPU's model.

It rounds where the graphs do and computes in float32 between: a guide to the NPU's results. Needs
no extra.
"""

from __future__ import annotations

from pathlib import Path

from export.targets.onnx.convert import part_paths
from export.targets.onnx.session import OnnxEntryPoints, OnnxSession


def open_session(path: Path) -> OnnxSession:
    """A whole model."""
    (graph,) = part_paths(path)
    return OnnxSession(graph, exact=True)


def open_entry_points(path: Path) -> OnnxEntryPoints:
    """A model in parts."""
    return OnnxEntryPoints(path, exact=True)
