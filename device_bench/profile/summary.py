"""What a trace adds up to: times by type and family, and what lies between operators."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_bench.measure.statistics import Samples
from device_bench.profile.families import CONVERSION, LAYOUT, family
from device_bench.profile.trace import Trace
from export.placement import Placement


@dataclass(frozen=True)
class TypeTime:
    """All operators of one type.

    Attributes:
        type: as the runtime calls it.
        family: see `families`.
        count: how many there are.
        ms: what they take together, of one inference.
    """

    type: str
    family: str
    count: int
    ms: float


def _quicker_half(milliseconds: Samples) -> NDArray[np.intp]:
    """Indices of the quicker half of inferences: those that the machine disturbed least."""
    return np.argsort(milliseconds, kind="stable")[: (len(milliseconds) + 1) // 2]


@dataclass(frozen=True)
class Profile:
    """Where one file's time goes.

    Times are means over the quicker half of the profiled inferences. The same inferences stand
    behind every figure, so that the parts add up to the whole.

    Attributes:
        trace: what it was read from.
        placement: which operators the accelerator takes, and in how many pieces.
        timed_ms: samples of the timing without a profiler.
    """

    trace: Trace
    placement: Placement
    timed_ms: Samples

    @property
    def operator_ms(self) -> NDArray[np.float64]:
        """(operators,), in the trace's order."""
        return self.trace.operator_ms[_quicker_half(self.trace.inference_ms)].mean(axis=0)

    @property
    def inference_ms(self) -> float:
        """One profiled inference."""
        return _typical(self.trace.inference_ms)

    @property
    def slowdown(self) -> float:
        """Profiled over timed inference, each the mean of its quicker half."""
        return self.inference_ms / _typical(self.timed_ms)

    @property
    def between_ms(self) -> float:
        """What no operator accounts for: dispatch, copies in and out, the profiler itself."""
        return self.inference_ms - float(self.operator_ms.sum())

    @property
    def outside_ms(self) -> float:
        """Operators that the accelerator does not take."""
        delegated = np.array([operator.delegated for operator in self.trace.operators])
        return float(self.operator_ms[~delegated].sum())

    @property
    def layout_ms(self) -> float:
        """What only rearranges or converts values: both families together."""
        times = self.by_family()
        return times.get(LAYOUT, 0.0) + times.get(CONVERSION, 0.0)

    def by_type(self) -> list[TypeTime]:
        """Every type, slowest first."""
        times: dict[str, list[float]] = {}
        for operator, ms in zip(self.trace.operators, self.operator_ms, strict=True):
            times.setdefault(operator.type, []).append(float(ms))
        types = [TypeTime(t, family(t), len(ms), sum(ms)) for t, ms in times.items()]
        return sorted(types, key=lambda entry: -entry.ms)

    def by_family(self) -> dict[str, float]:
        """Milliseconds of each family there is, slowest first."""
        times: dict[str, float] = {}
        for entry in self.by_type():
            times[entry.family] = times.get(entry.family, 0.0) + entry.ms
        return dict(sorted(times.items(), key=lambda item: -item[1]))

    def slowest(self) -> list[int]:
        """Indices of the operators, slowest first."""
        return [int(index) for index in np.argsort(-self.operator_ms, kind="stable")]

    def to_dict(self) -> dict[str, Any]:
        """As it stands in result files; operators slowest first."""
        operators, ms = self.trace.operators, self.operator_ms
        return {
            "inferences": len(self.trace.inference_ms),
            "inference_ms": _rounded(self.inference_ms),
            "slowdown": _rounded(self.slowdown),
            "between_ms": _rounded(self.between_ms),
            "layout_ms": _rounded(self.layout_ms),
            "outside_ms": _rounded(self.outside_ms),
            "placement": self.placement.to_dict(),
            "remarks": list(self.trace.remarks),
            "families": {name: _rounded(ms) for name, ms in self.by_family().items()},
            "types": [{**asdict(entry), "ms": _rounded(entry.ms)} for entry in self.by_type()],
            "operators": [
                {**asdict(operators[index]), "ms": _rounded(float(ms[index]))}
                for index in self.slowest()
            ],
        }


def _typical(milliseconds: Samples) -> float:
    return float(milliseconds[_quicker_half(milliseconds)].mean())


def _rounded(value: float) -> float:
    """To a tenth of a microsecond: profilers count in whole ones."""
    return round(value, 4)
