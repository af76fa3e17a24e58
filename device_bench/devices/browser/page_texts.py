"""Results and comparisons in the form that the page shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from device_bench.report.tables import decimal_places, format_interval
from device_bench.results.bench_result import BenchResult
from device_bench.results.stage_summary import StageSummary
from export.parity.compare import ParityReport


def describe_parity(parity: ParityReport, reference: str) -> dict[str, Any]:
    """Verdict of a comparison, with its failures or its figures as lines."""
    figures = [
        f"{output.name}: max error {output.max_abs_error:.2g} of {output.range:.3g}, "
        f"SQNR {output.sqnr_db:.1f} dB"
        for output in parity.outputs
    ]
    if parity.agreement is not None:
        figures.append(f"same {parity.agreement_measure}: {parity.agreement:.3%}")
    return {"passed": parity.passed, "reference": reference, "lines": parity.failures or figures}


def describe_results(results: Sequence[BenchResult]) -> list[dict[str, Any]]:
    """Name, median, further figures and validity issues of each result."""
    return [
        {
            "name": result.model.name,
            "median": f"{format_interval(result.latency.median, decimal_places(result))} ms",
            "facts": _facts(result),
            "reasons": list(result.validity_issues),
        }
        for result in results
    ]


def _facts(result: BenchResult) -> list[list[str]]:
    latency, cold_start = result.latency, result.cold_start
    facts = [
        ["p90", f"{format_interval(latency.p90, decimal_places(result))} ms"],
        ["inferences/s", f"{latency.per_second:.1f}"],
        ["runs", str(latency.runs)],
        ["load, first", f"{cold_start.load_ms:.0f} ms, {cold_start.first_ms:.0f} ms"],
    ]
    if result.speedup is not None:
        facts.append(["speed-up", format_interval(result.speedup, 2)])
    if result.stages is not None:
        facts += [[name, value] for name, value in _stages(result, result.stages)]
    falls_back = (result.device or {}).get("falls_back")
    if falls_back is not None:
        facts.append(["operators", "some in WebAssembly" if falls_back else "all on the GPU"])
    return facts


def _stages(result: BenchResult, stages: StageSummary) -> Iterator[tuple[str, str]]:
    places = decimal_places(result)
    for name, milliseconds in stages.milliseconds.items():
        yield name, f"{milliseconds:.{places}f} ms"
    yield "boxes, masks of", f"{stages.proposals} proposals, {stages.detections} detections"
