"""A static check of a Core AI asset for operators that the Neural Engine does not run, or slowly.

Only a device shows what Core AI really does; this check reports known obstacles. The engine
computes in float16 on up to five axes of known length, and pads the last axis to 64 bytes. It is
fast at softmax over channels, linear layers as 1x1 convolutions, and small dilations. As in
`export.targets.coreml.placement`, some obstacles keep an operator off the engine, others only slow
it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from export.placement import Placement
from export.targets.coreai.asset import ENTRY, function_names, open_asset
from export.targets.neural_engine import static_placement
from lvt.errors import UserError

ObstacleKind = Literal[
    "rank", "dynamic", "float32", "int32", "indexing", "narrow", "softmax", "linear", "dilation"
]

MAX_RANK = 5
PADDED_BYTES = 64

LARGE = 2**16
"""Number of elements from which padding is reported, as for Core ML's copies."""

_INDEXING_OPS = {
    "argsort",
    "gather",
    "gather_along_axis",
    "gather_nd",
    "scatter_nd",
    "sort",
    "topk",
}
"""Operators whose memory addresses depend on values."""

_PREFIXES = ("coreai.", "decomposable.")
_TRANSFER_OPS = {"cast", "output"}
"""Operators that only move values onto the engine and off it."""

_SLOW_REMARKS: dict[ObstacleKind, str] = {
    "narrow": f"values of {LARGE} elements or more whose last axis is below {PADDED_BYTES} bytes",
    "softmax": "softmax over an axis other than the channels",
    "linear": "matrix products with weights, which are faster as 1x1 convolutions",
    "dilation": "dilated convolutions, which are faster factorised if the dilation is large",
}
"""Obstacles that only slow the engine; the other kinds keep an operator off it."""


def placement(path: Path) -> Placement:
    """The result of the check for an asset. Operators that are only slow count as delegated.

    Raises:
        UserError: the asset cannot be read.
    """
    return static_placement(check_operators(path), _SLOW_REMARKS)


def check_operators(path: Path) -> Iterator[tuple[str, set[ObstacleKind]]]:
    """The short name and the obstacles of each operator that computes, in the order of the asset.

    Raises:
        UserError: the asset cannot be read.
    """
    asset = open_asset(path)
    names = function_names(asset)
    if not names:
        raise UserError(f"{path.name} has no function {ENTRY}; export it again")
    program = asset.program  # owns the operations
    graphs: list[Any] = [program._get_graph(name) for name in names]
    views = (view for graph in graphs for view in graph.bodyRegion.blocks[0].operations)
    for view in views:
        operation: Any = view.operation
        name = operation.name
        for prefix in _PREFIXES:
            name = name.removeprefix(prefix)
        if name in ("constant", "output") or all(_is_constant(v) for v in operation.operands):
            continue
        yield name, _obstacles_of(name, operation)


def _obstacles_of(name: str, operation: Any) -> set[ObstacleKind]:
    """The obstacles of an operator, from its short name and its MLIR operation."""
    operands, results = list(operation.operands), [value.type for value in operation.results]
    values = [value.type for value in operands if not _is_constant(value)] + results
    obstacles: set[ObstacleKind] = set()
    for value in values:
        if value.rank > MAX_RANK:
            obstacles.add("rank")
        if not value.has_static_shape:
            obstacles.add("dynamic")
        elif _elements(value) >= LARGE and _last_bytes(value) < PADDED_BYTES:
            obstacles.add("narrow")
        if str(value.element_type) == "f32" and name not in _TRANSFER_OPS:
            obstacles.add("float32")
        if str(value.element_type) in ("si32", "ui32") and name not in _TRANSFER_OPS:
            obstacles.add("int32")
    if name in _INDEXING_OPS:
        obstacles.add("indexing")
    if name == "softmax" and int(_integers(operands[1])) != 1:
        obstacles.add("softmax")
    if name == "broadcasting_batch_matmul" and any(_is_constant(v) for v in operands):
        obstacles.add("linear")
    if name == "conv2d" and int(np.max(_integers(operands[3]))) > 1:
        obstacles.add("dilation")
    return obstacles


def _constant(value: Any) -> Any | None:
    """The content of a constant; None for any other value."""
    owner = value.owner
    if getattr(owner, "name", None) != "coreai.constant":
        return None
    return owner.attributes["value"]


def _is_constant(value: Any) -> bool:
    """Whether the value is a constant, or computed from constants when the asset is loaded."""
    if _constant(value) is not None:
        return True
    operands = list(getattr(value.owner, "operands", ()))  # the owner of an argument has none
    return bool(operands) and all(_is_constant(v) for v in operands)


def _integers(value: Any) -> Any:
    """The integers of a constant operand; 1, which is no obstacle, for any other operand."""
    constant = _constant(value)
    return np.array(1 if constant is None else constant)


def _elements(value: Any) -> int:
    sizes: Sequence[int] = value.shape
    return math.prod(sizes)


def _last_bytes(value: Any) -> int:
    """Bytes of the last axis. Element types such as f16 and si32 end in their width."""
    bits = int("".join(c for c in str(value.element_type) if c.isdigit()))
    return int(value.shape[-1]) * bits // 8 if value.rank else PADDED_BYTES
