"""What keeps a Core AI asset off the Neural Engine, or slows it there: a check of the file.

Only a device knows what Core AI really does; this names what is known to go wrong. The engine
computes in float16 on up to five axes of known length and pads the last one to 64 bytes; it takes
softmax over channels, linear layers as 1x1 convolutions, and small dilations best. As in
`export.targets.coreml.placement`, some kinds rule an operator out, others only slow the engine.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from export.placement import Placement
from export.targets.coreai.asset import ENTRY, open_asset
from lvt.errors import UserError

Kind = Literal[
    "rank", "dynamic", "float32", "int32", "indexing", "narrow", "softmax", "linear", "dilation"
]

MAX_RANK = 5
PADDED_BYTES = 64

LARGE = 2**16
"""Elements from which padding counts, as for Core ML's copies."""

# Addresses that depend on values.
_INDEXING = {"argsort", "gather", "gather_along_axis", "gather_nd", "scatter_nd", "sort", "topk"}
_PREFIXES = ("coreai.", "decomposable.")
_NOT_COMPUTING = {"cast", "output"}
"""A cast is how values get onto the engine and off it."""

_PHRASES: dict[Kind, str] = {
    "narrow": f"values of {LARGE} elements or more with a last axis below {PADDED_BYTES} bytes",
    "softmax": "softmax over another axis than the channels",
    "linear": "matrix products with weights, which 1x1 convolutions do better",
    "dilation": "dilated convolutions, better factored where the dilation is large",
}
"""Of the kinds that only slow the engine."""


def placement(path: Path) -> Placement:
    """What the check says about an asset. Operators that are only slow count as delegated.

    Raises:
        UserError: the asset cannot be read.
    """
    delegated: Counter[str] = Counter()
    outside: Counter[str] = Counter()
    slow: Counter[Kind] = Counter()
    for name, against in examined(path):
        (outside if against - _PHRASES.keys() else delegated)[name] += 1
        slow.update(against & _PHRASES.keys())
    return Placement(
        accelerator="Neural Engine (static check)",
        partitions=None,
        delegated=delegated,
        outside=outside,
        remarks=tuple(f"{phrase}: {slow[k]}" for k, phrase in _PHRASES.items() if slow[k]),
    )


def examined(path: Path) -> Iterator[tuple[str, set[Kind]]]:
    """Each operator that computes, in the order of the asset, and what stands against it.

    Raises:
        UserError: the asset cannot be read.
    """
    program = open_asset(path).program
    graph = program._get_graph(ENTRY)
    if graph is None:
        raise UserError(f"{path.name} has no function {ENTRY}; export it again")
    for view in graph.bodyRegion.blocks[0].operations:
        operation: Any = view.operation
        name = operation.name
        for prefix in _PREFIXES:
            name = name.removeprefix(prefix)
        if name not in ("constant", "output") and not all(_fixed(v) for v in operation.operands):
            yield name, against(name, operation)


def against(name: str, operation: Any) -> set[Kind]:
    """What stands against one operator of the asset, by its bare name and its MLIR operation."""
    operands, results = list(operation.operands), [value.type for value in operation.results]
    values = [value.type for value in operands if not _fixed(value)] + results
    found: set[Kind] = set()
    for value in values:
        if value.rank > MAX_RANK:
            found.add("rank")
        if not value.has_static_shape:
            found.add("dynamic")
        elif _elements(value) >= LARGE and _last_bytes(value) < PADDED_BYTES:
            found.add("narrow")
        if str(value.element_type) == "f32" and name not in _NOT_COMPUTING:
            found.add("float32")
        if str(value.element_type) in ("si32", "ui32") and name not in _NOT_COMPUTING:
            found.add("int32")
    if name in _INDEXING:
        found.add("indexing")
    if name == "softmax" and int(_known(operands[1])) != 1:
        found.add("softmax")
    if name == "broadcasting_batch_matmul" and any(_fixed(v) for v in operands):
        found.add("linear")
    if name == "conv2d" and int(np.max(_known(operands[3]))) > 1:
        found.add("dilation")
    return found


def _constant(value: Any) -> Any | None:
    """What the value is, where that stands in the file."""
    owner = value.owner
    if getattr(owner, "name", None) != "coreai.constant":
        return None
    return owner.attributes["value"]


def _fixed(value: Any) -> bool:
    """Whether the value is computed of constants alone, when the asset is loaded."""
    if _constant(value) is not None:
        return True
    operands = list(getattr(value.owner, "operands", ()))  # an argument's owner has none
    return bool(operands) and all(_fixed(v) for v in operands)


def _known(value: Any) -> Any:
    """The integers of a constant operand; 1, which is never an obstacle, for any other."""
    constant = _constant(value)
    return np.array(1 if constant is None else constant)


def _elements(value: Any) -> int:
    sizes: Sequence[int] = value.shape
    return math.prod(sizes)


def _last_bytes(value: Any) -> int:
    """Of the last axis; f16, si32 and so on end in their width."""
    bits = int("".join(c for c in str(value.element_type) if c.isdigit()))
    return int(value.shape[-1]) * bits // 8 if value.rank else PADDED_BYTES
