"""A profile read back from a result file: what pages are made from. Imports no runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from device_bench.measure.statistics import finite


@dataclass(frozen=True)
class StoredOperator:
    """One operator of the graph that ran; see `device_bench.profile.trace.Operator`."""

    name: str
    type: str
    module: str | None
    ms: float


@dataclass(frozen=True)
class StoredProfile:
    """What `Profile.to_dict` wrote; times in milliseconds of one profiled inference.

    Attributes:
        inference_ms: the whole of it.
        slowdown: profiled over timed inference.
        between_ms: what no operator accounts for.
        outside_ms: operators that the accelerator does not take.
        accelerator: what takes the others.
        families: those there are.
        operators: slowest first.
        remarks: what to know of these figures, a phrase each.
    """

    inference_ms: float
    slowdown: float
    between_ms: float
    outside_ms: float
    accelerator: str
    families: Mapping[str, float]
    operators: tuple[StoredOperator, ...]
    remarks: tuple[str, ...]

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """What `Profile.to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: it is damaged.
        """
        whole = finite(stored["inference_ms"])
        if whole <= 0:
            raise ValueError(f"an inference of {whole} ms")
        families = {str(name): finite(ms) for name, ms in stored["families"].items()}
        return cls(
            inference_ms=whole,
            slowdown=finite(stored["slowdown"]),
            between_ms=finite(stored["between_ms"]),
            outside_ms=finite(stored["outside_ms"]),
            accelerator=str(stored["placement"]["accelerator"]),
            families=families,
            operators=tuple(_operator(entry) for entry in stored["operators"]),
            remarks=tuple(str(remark) for remark in stored["remarks"]),
        )


def _operator(entry: Mapping[str, Any]) -> StoredOperator:
    module = entry["module"]
    return StoredOperator(
        name=str(entry["name"]),
        type=str(entry["type"]),
        module=None if module is None else str(module),
        ms=finite(entry["ms"]),
    )
