"""What the runtimes' own benchmark tools print, as figures. Pure functions; no device.

Two of the three tell every inference. `benchmark_model` tells figures of all of them only, and
nothing is made up to hide that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = r"(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)"


@dataclass(frozen=True)
class Printed:
    """Times in milliseconds.

    Attributes:
        load_ms: opening the model; None where the tool does not tell.
        first_ms: the first inference; None where the tool does not tell.
        samples_ms: every inference after it, in order; empty where the tool does not tell.
        figures: what the tool says of all of them: a name and a time each.
        runs: how many `figures` are made of.
    """

    load_ms: float | None
    first_ms: float | None
    samples_ms: Sequence[float]
    figures: dict[str, float]
    runs: int


def parse_perf_test(text: str) -> Printed | None:
    """`onnxruntime_perf_test`, with the result file it writes below; None if it is something else.

    The file has a row for each inference: model, seconds, memory, load, number; newer ones have the
    seconds until the result is there as a third column. Warming up is the first inference alone.
    """
    rows = re.findall(rf"^[^,\n]*,{_NUMBER},(?:{_NUMBER},)?\d+,-?\d+,\d+\s*$", text, re.MULTILINE)
    samples = [1e3 * float(total or submitted) for submitted, total in rows]
    load = re.search(rf"Session creation time cost: ?{_NUMBER} s", text)
    first = re.search(rf"First inference time cost: ?{_NUMBER} ms", text)
    average = re.search(rf"Average inference time cost(?: total)?: ?{_NUMBER} ms", text)
    if average is None:
        return None
    figures = {"mean": float(average[1])}
    for name, label in (("min", "Min"), ("median", "P50"), ("p90", "P90"), ("p99", "P99")):
        found = re.search(rf"{label} Latency(?: is|:) ?{_NUMBER} ?s", text)
        if found:
            figures[name] = 1e3 * float(found[1])
    requests = re.search(r"Total inference requests: ?(\d+)", text)
    return Printed(
        load_ms=1e3 * float(load[1]) if load else None,
        first_ms=float(first[1]) if first else None,
        samples_ms=samples,
        figures=figures,
        runs=int(requests[1]) if requests else len(samples),
    )


def parse_executor_runner(text: str) -> Printed | None:
    """`executor_runner --num_executions N`; None if it tells no time.

    Newer ones tell every inference, older ones how long all took together. The lines can come from
    its own output or from Android's log.
    """
    samples = [float(ms) for ms in re.findall(rf"Iteration \d+ of \d+: {_NUMBER} ms", text)]
    load = re.search(rf"Model loaded in {_NUMBER} ms", text)
    total = re.search(rf"Model executed successfully (\d+) time\(s\) in {_NUMBER} ms", text)
    if total is None:
        return None
    runs = int(total[1])
    return Printed(
        load_ms=float(load[1]) if load else None,
        first_ms=samples[0] if samples else None,
        samples_ms=samples[1:],
        figures={"mean": float(total[2]) / runs} if runs else {},
        runs=runs,
    )


def parse_benchmark_model(text: str) -> Printed | None:
    """TFLite's `benchmark_model`; None if it has not come to its end."""
    end = re.search(
        rf"Inference timings in us: Init: {_NUMBER}, First inference: {_NUMBER}, "
        rf"Warmup \(avg\): {_NUMBER}, Inference \(avg\): {_NUMBER}",
        text,
    )
    rows = re.findall(r"^.*\bcount=(\d+) (.*\bavg=.*)$", text, re.MULTILINE)
    if end is None or not rows:
        return None
    count, fields = rows[-1]  # the one before it is of the warm-up
    told = {key: 1e-3 * float(value) for key, value in re.findall(rf"(\w+)={_NUMBER}", fields)}
    names = {
        "avg": "mean",
        "std": "std",
        "min": "min",
        "median": "median",
        "p95": "p95",
        "max": "max",
    }
    return Printed(
        load_ms=1e-3 * float(end[1]),
        first_ms=1e-3 * float(end[2]),
        samples_ms=(),
        figures={name: told[key] for key, name in names.items() if key in told},
        runs=int(count),
    )
