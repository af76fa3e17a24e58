"""A static check of an ML Program for operators that the Neural Engine does not run, or slowly.

Only a device shows what Core ML really does; this check reports known obstacles. Sources: Apple's
"Deploying Transformers on the Apple Neural Engine" and "Deploying Attention-Based Vision
Transformers to Apple Neural Engine" (four axes, channels first, batch and channel in place; few
reshapes and transposes, since each may copy memory), coremltools' guide to typed execution (the
engine computes in float16), and the community's notes in the "neural-engine" repository (operators
that fall back, the largest length of an axis).
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from export.placement import Placement
from export.targets.coreml.loader import function_names, load
from export.targets.coreml.program import Operation, Program, TensorType
from export.targets.coreml.values import format_shape
from export.targets.neural_engine import static_placement

ObstacleKind = Literal[
    "rank", "dynamic", "float32", "int32", "indexing", "extent", "transpose", "reshape"
]

MAX_RANK = 4
MAX_EXTENT = 16384

LARGE = 2**16
"""Number of elements from which a copy is reported.

In float16 these are 128 KiB, which take about 5 microseconds to read and write at 50 GB/s; smaller
copies are negligible beside the convolutions around them.
"""

_INDEXING_OPS = {
    "argsort",
    "gather",
    "gather_along_axis",
    "gather_nd",
    "non_maximum_suppression",
    "non_zero",
    "scatter",
    "scatter_along_axis",
    "scatter_nd",
    "topk",
}
"""Operators whose memory addresses depend on values."""

_SLOW_REMARKS: dict[ObstacleKind, str] = {
    "transpose": f"transposes of {LARGE} elements or more",
    "reshape": f"reshapes across channels of {LARGE} elements or more",
}
"""Obstacles that slow the engine by a copy; the other kinds keep an operation off it."""


@dataclass(frozen=True)
class Obstacle:
    """A reason why the engine does not run an operation, or runs it slowly.

    Attributes:
        kind: `transpose` and `reshape` only slow the engine.
        op: the MIL operator.
        name: the name of the operation in the file.
        detail: the type or the shapes that cause it.
    """

    kind: ObstacleKind
    op: str
    name: str
    detail: str


def find_obstacles(program: Program) -> list[Obstacle]:
    """All obstacles, in the order of execution; an operation may have several."""
    return [
        Obstacle(kind, operation.type, operation.name, detail)
        for operation, obstacles in _check_operations(program)
        for kind, detail in obstacles.items()
    ]


def placement(path: Path) -> Placement:
    """The result of the check for a package.

    Operations that are only slow count as delegated, and are reported as remarks.

    Raises:
        UserError: the package cannot be read.
    """
    operators = (
        (operation.type, obstacles.keys())
        for function in function_names(path)
        for operation, obstacles in _check_operations(load(path, function))
    )
    return static_placement(operators, _SLOW_REMARKS)


def _check_operations(program: Program) -> Iterator[tuple[Operation, dict[ObstacleKind, str]]]:
    """Each operation that runs, with its obstacles, {kind: detail}."""
    constants = set(program.constants)
    for operation in program.operations:
        if operation.type.startswith("constexpr_"):
            constants.update(operation.outputs)  # a weight, decompressed when the model is loaded
        else:
            yield operation, _obstacles_of(operation, program, constants)


def _obstacles_of(
    operation: Operation, program: Program, constants: Set[str]
) -> dict[ObstacleKind, str]:
    names = [name for argument in operation.arguments.values() for name in argument]
    operands = [program.types[name] for name in names if name not in constants]
    results = [program.types[name] for name in operation.outputs]
    obstacles: dict[ObstacleKind, str] = {}
    for value in operands + results:
        if value.rank > MAX_RANK:
            obstacles["rank"] = _describe(value)
        if value.elements is None:
            obstacles["dynamic"] = _describe(value)
        if any(size is not None and size > MAX_EXTENT for size in value.shape):
            obstacles["extent"] = _describe(value)
        # Casts move values onto the engine and off it; they do not compute in the type.
        if value.dtype == "fp32" and operation.type != "cast":
            obstacles["float32"] = _describe(value)
        if value.dtype == "int32" and operation.type != "cast":
            obstacles["int32"] = _describe(value)
    if operation.type in _INDEXING_OPS:
        obstacles["indexing"] = _describe(results[0])
    if operation.type in ("transpose", "reshape") and (results[0].elements or 0) >= LARGE:
        before, after = operands[0], results[0]
        change = f"{_describe(before)} to {_describe(after)}"
        if operation.type == "transpose" and _reorders(operation, program, before):
            obstacles["transpose"] = change
        if operation.type == "reshape" and before.shape[:2] != after.shape[:2]:
            obstacles["reshape"] = change
    return obstacles


def _reorders(operation: Operation, program: Program, before: TensorType) -> bool:
    """Whether a transpose changes the order of elements; axes of length 1 do not."""
    perm = program.constants[operation.arguments["perm"][0]]
    assert not isinstance(perm, str)
    moved = [int(axis) % before.rank for axis in perm if before.shape[int(axis)] != 1]
    return moved != sorted(moved)


def _describe(value: TensorType) -> str:
    return f"{value.dtype} {format_shape(value)}"
