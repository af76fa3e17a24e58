"""Static checks for the Neural Engine: what Core ML and Core AI files have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from typing import TypeVar

from export.placement import Placement

K = TypeVar("K", bound=str)


def static_placement(
    operators: Iterable[tuple[str, Set[K]]], slow_remarks: Mapping[K, str]
) -> Placement:
    """The placement that known obstacles imply.

    Args:
        operators: type and obstacles of each operator that computes.
        slow_remarks: text for each obstacle that only slows the engine. Operators with no other
            obstacle count as delegated.
    """
    delegated: Counter[str] = Counter()
    outside: Counter[str] = Counter()
    slow: Counter[K] = Counter()
    for name, obstacles in operators:
        (outside if obstacles - slow_remarks.keys() else delegated)[name] += 1
        slow.update(obstacles & slow_remarks.keys())
    remarks = [f"{text}: {slow[kind]}" for kind, text in slow_remarks.items() if slow[kind]]
    return Placement(
        accelerator="Neural Engine (static check)",
        partitions=None,
        delegated=delegated,
        outside=outside,
        remarks=tuple(remarks),
    )
