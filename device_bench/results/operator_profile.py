"""Where the time of an inference goes: the profile that is printed, drawn and stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from device_bench.measure.statistics import finite_number, read_optional
from export.placement import Placement


@dataclass(frozen=True)
class OperatorTime:
    """Time of one operator of the graph that ran.

    Attributes:
        type: name of the operator type in the runtime.
        name: unique name in the graph.
        module: dotted name of the PyTorch module that it computes for; None: unknown.
        delegated: whether the accelerator of the file's placement ran it.
        ms: time in one inference.
    """

    type: str
    name: str
    module: str | None
    delegated: bool
    ms: float

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read the form that `OperatorProfile.to_dict` writes.

        Raises:
            KeyError, TypeError, ValueError: the data is damaged.
        """
        return cls(
            type=str(stored["type"]),
            name=str(stored["name"]),
            module=read_optional(str, stored["module"]),
            delegated=bool(stored["delegated"]),
            ms=finite_number(stored["ms"]),
        )


@dataclass(frozen=True)
class TypeTime:
    """Time of all operators of one type.

    Attributes:
        type: name of the operator type in the runtime.
        family: one of `device_bench.profile.families.FAMILIES`.
        count: number of operators.
        ms: their total time in one inference.
    """

    type: str
    family: str
    count: int
    ms: float

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read the form that `OperatorProfile.to_dict` writes.

        Raises:
            KeyError, TypeError, ValueError: the data is damaged.
        """
        return cls(
            type=str(stored["type"]),
            family=str(stored["family"]),
            count=int(stored["count"]),
            ms=finite_number(stored["ms"]),
        )


@dataclass(frozen=True)
class OperatorProfile:
    """Profile of one model; times are milliseconds of one profiled inference.

    Attributes:
        inferences: number of profiled inferences.
        inference_ms: the whole inference.
        slowdown: time of a profiled inference divided by that of a timed one.
        between_ms: time outside all operators: dispatch, copies, the profiler itself.
        layout_ms: operators that only rearrange or convert values.
        outside_ms: operators outside the accelerator.
        placement: which operators the accelerator takes.
        remarks: limits of the measurement, one phrase each.
        families: time of each operator family, slowest first.
        types: time of each operator type, slowest first.
        operators: slowest first.
    """

    inferences: int
    inference_ms: float
    slowdown: float
    between_ms: float
    layout_ms: float
    outside_ms: float
    placement: Placement
    remarks: tuple[str, ...]
    families: Mapping[str, float]
    types: tuple[TypeTime, ...]
    operators: tuple[OperatorTime, ...]

    def to_dict(self) -> dict[str, Any]:
        """The form stored in result files."""
        return {
            "inferences": self.inferences,
            "inference_ms": self.inference_ms,
            "slowdown": self.slowdown,
            "between_ms": self.between_ms,
            "layout_ms": self.layout_ms,
            "outside_ms": self.outside_ms,
            "placement": self.placement.to_dict(),
            "remarks": list(self.remarks),
            "families": dict(self.families),
            "types": [asdict(entry) for entry in self.types],
            "operators": [asdict(operator) for operator in self.operators],
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            LookupError, TypeError, ValueError, AttributeError: the data is damaged.
        """
        inference_ms = finite_number(stored["inference_ms"])
        if inference_ms <= 0:
            raise ValueError(f"an inference of {inference_ms} ms")
        families = {str(name): finite_number(ms) for name, ms in stored["families"].items()}
        return cls(
            inferences=int(stored["inferences"]),
            inference_ms=inference_ms,
            slowdown=finite_number(stored["slowdown"]),
            between_ms=finite_number(stored["between_ms"]),
            layout_ms=finite_number(stored["layout_ms"]),
            outside_ms=finite_number(stored["outside_ms"]),
            placement=Placement.from_dict(stored["placement"]),
            remarks=tuple(str(remark) for remark in stored["remarks"]),
            families=families,
            types=tuple(map(TypeTime.from_dict, stored["types"])),
            operators=tuple(map(OperatorTime.from_dict, stored["operators"])),
        )
