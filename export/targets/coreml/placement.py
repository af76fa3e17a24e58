"""What keeps an ML Program off the Apple Neural Engine, or slows it there: a check of the file.

Only a device knows what Core ML really does; this names what is known to go wrong. Sources: Apple's
"Deploying Transformers on the Apple Neural Engine" and "Deploying Attention-Based Vision
Transformers to Apple Neural Engine" (four axes, channels first, batch and channel in place; few
reshapes and transpositions, since each may copy memory), coremltools' guide to typed execution (the
engine computes in float16), and the community's notes in the "neural-engine" repository (operators
that fall back, the largest extent of an axis).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from export.placement import Placement
from export.targets.coreml.loader import load
from export.targets.coreml.program import Operation, Program, TensorType

Kind = Literal["rank", "dynamic", "float32", "int32", "indexing", "extent", "transpose", "reshape"]

MAX_RANK = 4
MAX_EXTENT = 16384

LARGE = 2**16
"""Elements from which a copy counts.

In float16 these are 128 KiB, which take some 5 microseconds to read and write at 50 GB/s; copies of
less disappear beside the convolutions around them.
"""

# Addresses that depend on values.
_INDEXING = {
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

_PHRASES: dict[Kind, str] = {
    "rank": f"operators on more than {MAX_RANK} axes",
    "dynamic": "operators on shapes known only at run time",
    "float32": "operators in float32",
    "int32": "operators in int32",
    "indexing": "gathers, scatters and sorts",
    "extent": f"operators on an axis longer than {MAX_EXTENT}",
    "transpose": f"transpositions of {LARGE} elements or more",
    "reshape": f"reshapes across channels of {LARGE} elements or more",
}

# The engine does these, at the price of a copy.
_SLOW: frozenset[Kind] = frozenset({"transpose", "reshape"})


@dataclass(frozen=True)
class Obstacle:
    """One reason against one operation.

    Attributes:
        kind: what is wrong; `transpose` and `reshape` only slow the engine.
        op: MIL's type of the operation.
        name: the file's name of it.
        detail: the type or shapes in question.
    """

    kind: Kind
    op: str
    name: str
    detail: str


def obstacles(program: Program) -> list[Obstacle]:
    """Every obstacle, in the order of execution; an operation may have several."""
    return [
        Obstacle(kind, operation.type, operation.name, detail)
        for operation, against in _examined(program)
        for kind, detail in against.items()
    ]


def summarise(found: Sequence[Obstacle]) -> tuple[str, ...]:
    """One phrase for each kind that occurs, with the number of operations."""
    counts = Counter(obstacle.kind for obstacle in found)
    return tuple(f"{phrase}: {counts[kind]}" for kind, phrase in _PHRASES.items() if counts[kind])


def placement(path: Path) -> Placement:
    """What the check says about a package.

    Operations that are only slow count as delegated, and as remarks.

    Raises:
        UserError: the package cannot be read.
    """
    program = load(path)
    delegated: Counter[str] = Counter()
    outside: Counter[str] = Counter()
    for operation, against in _examined(program):
        (outside if against.keys() - _SLOW else delegated)[operation.type] += 1
    return Placement(
        accelerator="Neural Engine (static check)",
        partitions=None,
        delegated=delegated,
        outside=outside,
        remarks=summarise([o for o in obstacles(program) if o.kind in _SLOW]),
    )


def _examined(program: Program) -> Iterator[tuple[Operation, dict[Kind, str]]]:
    """Each operation that runs, with {kind: detail} of what stands against it."""
    fixed = set(program.constants)
    for operation in program.operations:
        if operation.type.startswith("constexpr_"):
            fixed.update(operation.outputs)  # a weight, decompressed when the model is loaded
        else:
            yield operation, _against(operation, program, fixed)


def _against(operation: Operation, program: Program, fixed: Set[str]) -> dict[Kind, str]:
    names = [name for several in operation.arguments.values() for name in several]
    operands = [program.types[name] for name in names if name not in fixed]
    results = [program.types[name] for name in operation.outputs]
    found: dict[Kind, str] = {}
    for value in operands + results:
        if value.rank > MAX_RANK:
            found["rank"] = _shown(value)
        if value.elements is None:
            found["dynamic"] = _shown(value)
        if any(size is not None and size > MAX_EXTENT for size in value.shape):
            found["extent"] = _shown(value)
        # A cast is how values get onto the engine and off it; it is not computing.
        if value.dtype == "fp32" and operation.type != "cast":
            found["float32"] = _shown(value)
        if value.dtype == "int32" and operation.type != "cast":
            found["int32"] = _shown(value)
    if operation.type in _INDEXING:
        found["indexing"] = _shown(results[0])
    if operation.type in ("transpose", "reshape") and (results[0].elements or 0) >= LARGE:
        before, after = operands[0], results[0]
        move = f"{_shown(before)} to {_shown(after)}"
        if operation.type == "transpose" and _reorders(operation, program, before):
            found["transpose"] = move
        if operation.type == "reshape" and before.shape[:2] != after.shape[:2]:
            found["reshape"] = move
    return found


def _reorders(operation: Operation, program: Program, before: TensorType) -> bool:
    """Whether a transposition moves elements; axes of length 1 move none."""
    perm = program.constants[operation.arguments["perm"][0]]
    assert not isinstance(perm, str)
    moved = [int(axis) % before.rank for axis in perm if before.shape[int(axis)] != 1]
    return moved != sorted(moved)


def _shown(value: TensorType) -> str:
    sizes = ", ".join("?" if size is None else str(size) for size in value.shape)
    return f"{value.dtype} ({sizes})"
