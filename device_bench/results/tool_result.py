"""The result of a runtime's own benchmark tool that reports no single inference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from device_bench.measure.statistics import finite_number, read_optional


@dataclass(frozen=True)
class ToolResult:
    """Statistics that a tool reported. Never valid: they cannot show drift.

    Attributes:
        path: of the model file.
        backend: the runtime and the device.
        sha256: of the model file.
        tool: name of the tool.
        runs: number of inferences behind the statistics.
        load_ms: opening the model; None: not reported.
        first_ms: the first inference; None: not reported.
        statistics_ms: name and milliseconds of each statistic.
        validity_issues: reasons why the result is not valid.
        device: description of the device, JSON values.
    """

    path: str
    backend: str
    sha256: str
    tool: str
    runs: int
    load_ms: float | None
    first_ms: float | None
    statistics_ms: Mapping[str, float]
    validity_issues: tuple[str, ...]
    device: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The form stored in result files."""
        return {
            "artifact": self.path,
            "backend": self.backend,
            "sha256": self.sha256,
            "tool": self.tool,
            "runs": self.runs,
            "load_ms": self.load_ms,
            "first_ms": self.first_ms,
            "figures_ms": dict(self.statistics_ms),
            "valid": False,
            "reasons": list(self.validity_issues),
            "device": dict(self.device),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            LookupError, TypeError, ValueError, AttributeError: the data is damaged.
        """
        statistics = stored["figures_ms"].items()
        return cls(
            path=str(stored["artifact"]),
            backend=str(stored["backend"]),
            sha256=str(stored["sha256"]),
            tool=str(stored["tool"]),
            runs=int(stored["runs"]),
            load_ms=read_optional(finite_number, stored["load_ms"]),
            first_ms=read_optional(finite_number, stored["first_ms"]),
            statistics_ms={str(name): finite_number(value) for name, value in statistics},
            validity_issues=tuple(str(issue) for issue in stored["reasons"]),
            device=dict(stored["device"]),
        )
