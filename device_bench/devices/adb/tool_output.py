"""Parses the output of the runtimes' own benchmark tools. Pure functions.

Two of the three tools report every inference. `benchmark_model` reports statistics only, and no
samples are invented for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = r"(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)"


@dataclass(frozen=True)
class ToolOutput:
    """Times that a tool reported, in milliseconds.

    Attributes:
        load_ms: opening the model; None: not reported.
        first_ms: the first inference; None: not reported.
        samples_ms: every inference after it, in order; empty: not reported.
        statistics_ms: name and milliseconds of each statistic.
        runs: number of inferences behind the statistics.
    """

    load_ms: float | None
    first_ms: float | None
    samples_ms: Sequence[float]
    statistics_ms: dict[str, float]
    runs: int


def parse_perf_test(text: str) -> ToolOutput | None:
    """Parse `onnxruntime_perf_test`: its output, then its result file; None for other text.

    The file has a row per inference: model, seconds, memory, load, number. Newer versions insert
    the seconds until the result is available as the third column. The warm-up is the first
    inference alone.
    """
    rows = re.findall(rf"^[^,\n]*,{_NUMBER},(?:{_NUMBER},)?\d+,-?\d+,\d+\s*$", text, re.MULTILINE)
    samples = [1e3 * float(total or submitted) for submitted, total in rows]
    load = re.search(rf"Session creation time cost: ?{_NUMBER} s", text)
    first = re.search(rf"First inference time cost: ?{_NUMBER} ms", text)
    average = re.search(rf"Average inference time cost(?: total)?: ?{_NUMBER} ms", text)
    if average is None:
        return None
    statistics = {"mean": float(average[1])}
    for name, label in (("min", "Min"), ("median", "P50"), ("p90", "P90"), ("p99", "P99")):
        match = re.search(rf"{label} Latency(?: is|:) ?{_NUMBER} ?s", text)
        if match:
            statistics[name] = 1e3 * float(match[1])
    requests = re.search(r"Total inference requests: ?(\d+)", text)
    return ToolOutput(
        load_ms=1e3 * float(load[1]) if load else None,
        first_ms=float(first[1]) if first else None,
        samples_ms=samples,
        statistics_ms=statistics,
        runs=int(requests[1]) if requests else len(samples),
    )


def parse_executor_runner(text: str) -> ToolOutput | None:
    """Parse `executor_runner --num_executions N`; None if it reports no time.

    Newer versions report every inference, older ones the total time. The lines can come from the
    tool's own output or from Android's log.
    """
    samples = [float(ms) for ms in re.findall(rf"Iteration \d+ of \d+: {_NUMBER} ms", text)]
    load = re.search(rf"Model loaded in {_NUMBER} ms", text)
    total = re.search(rf"Model executed successfully (\d+) time\(s\) in {_NUMBER} ms", text)
    if total is None:
        return None
    runs = int(total[1])
    return ToolOutput(
        load_ms=float(load[1]) if load else None,
        first_ms=samples[0] if samples else None,
        samples_ms=samples[1:],
        statistics_ms={"mean": float(total[2]) / runs} if runs else {},
        runs=runs,
    )


def parse_benchmark_model(text: str) -> ToolOutput | None:
    """Parse TFLite's `benchmark_model`; None if it did not finish."""
    end = re.search(
        rf"Inference timings in us: Init: {_NUMBER}, First inference: {_NUMBER}, "
        rf"Warmup \(avg\): {_NUMBER}, Inference \(avg\): {_NUMBER}",
        text,
    )
    rows = re.findall(r"^.*\bcount=(\d+) (.*\bavg=.*)$", text, re.MULTILINE)
    if end is None or not rows:
        return None
    count, fields = rows[-1]  # the previous row is of the warm-up
    reported = {key: 1e-3 * float(value) for key, value in re.findall(rf"(\w+)={_NUMBER}", fields)}
    names = {
        "avg": "mean",
        "std": "std",
        "min": "min",
        "median": "median",
        "p95": "p95",
        "max": "max",
    }
    return ToolOutput(
        load_ms=1e-3 * float(end[1]),
        first_ms=1e-3 * float(end[2]),
        samples_ms=(),
        statistics_ms={name: reported[key] for key, name in names.items() if key in reported},
        runs=int(count),
    )
