"""Aggregates a trace to a profile: times by operator, type and family."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device_bench.measure.statistics import LatencySamples
from device_bench.profile.families import CONVERSION, LAYOUT, family
from device_bench.profile.trace import Operator, Trace
from device_bench.results.operator_profile import OperatorProfile, OperatorTime, TypeTime
from export.placement import Placement

_DECIMALS = 4
"""Times are kept to 0.1 microseconds; profilers count whole ones."""


def summarise_trace(
    trace: Trace, placement: Placement, timed_ms: LatencySamples
) -> OperatorProfile:
    """Aggregate a trace.

    All times are means over the faster half of the profiled inferences, which the machine disturbed
    least. Every figure uses the same inferences, so that the parts add up to the whole.

    Args:
        trace: the records of the profiler.
        placement: which operators the accelerator takes.
        timed_ms: samples of the timing without a profiler.
    """
    operators = trace.operators
    operator_ms = trace.operator_ms[_faster_half(trace.inference_ms)].mean(axis=0)  # (operators,)
    inference_ms = _mean_of_faster_half(trace.inference_ms)
    delegated = np.array([operator.delegated for operator in operators])
    types = _times_by_type(operators, operator_ms)
    families = _times_by_family(types)
    slowest_first = np.argsort(-operator_ms, kind="stable")
    return OperatorProfile(
        inferences=len(trace.inference_ms),
        inference_ms=_round(inference_ms),
        slowdown=_round(inference_ms / _mean_of_faster_half(timed_ms)),
        between_ms=_round(inference_ms - float(operator_ms.sum())),
        layout_ms=_round(families.get(LAYOUT, 0.0) + families.get(CONVERSION, 0.0)),
        outside_ms=_round(float(operator_ms[~delegated].sum())),
        placement=placement,
        remarks=trace.remarks,
        families={name: _round(ms) for name, ms in families.items()},
        types=tuple(
            TypeTime(entry.type, entry.family, entry.count, _round(entry.ms)) for entry in types
        ),
        operators=tuple(
            _operator_time(operators[index], float(operator_ms[index])) for index in slowest_first
        ),
    )


def _operator_time(operator: Operator, ms: float) -> OperatorTime:
    return OperatorTime(
        operator.type, operator.name, operator.module, operator.delegated, _round(ms)
    )


def _times_by_type(
    operators: tuple[Operator, ...], operator_ms: NDArray[np.float64]
) -> list[TypeTime]:
    """All types, slowest first."""
    times: dict[str, list[float]] = {}
    for operator, ms in zip(operators, operator_ms, strict=True):
        times.setdefault(operator.type, []).append(float(ms))
    types = [TypeTime(name, family(name), len(ms), sum(ms)) for name, ms in times.items()]
    return sorted(types, key=lambda entry: -entry.ms)


def _times_by_family(types: list[TypeTime]) -> dict[str, float]:
    """Milliseconds of each family that occurs, slowest first."""
    times: dict[str, float] = {}
    for entry in types:
        times[entry.family] = times.get(entry.family, 0.0) + entry.ms
    return dict(sorted(times.items(), key=lambda item: -item[1]))


def _faster_half(milliseconds: LatencySamples) -> NDArray[np.intp]:
    """Indices of the faster half of the inferences."""
    return np.argsort(milliseconds, kind="stable")[: (len(milliseconds) + 1) // 2]


def _mean_of_faster_half(milliseconds: LatencySamples) -> float:
    return float(milliseconds[_faster_half(milliseconds)].mean())


def _round(value: float) -> float:
    return round(value, _DECIMALS)
