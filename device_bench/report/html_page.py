"""The report as one HTML page without scripts and without external resources."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from device_bench.measure.preset import PRESETS
from device_bench.measure.statistics import Interval, drift
from device_bench.measure.validity import is_steady
from device_bench.report.charts import (
    AccuracyPoint,
    accuracy_chart,
    histogram,
    latency_over_time,
    median_chart,
    sensor_chart,
)
from device_bench.report.html_predictions import prediction_figures
from device_bench.report.html_profile import profile_cards
from device_bench.report.markup import Markup, element, join, table
from device_bench.report.runtimes import runtime_of
from device_bench.report.tables import (
    STAGE_HEADINGS,
    cost_cells,
    decimal_places,
    format_optional,
    outlier_note,
    stage_cells,
)
from device_bench.results.bench_report import BenchReport
from device_bench.results.bench_result import TORCH, BenchResult
from device_bench.results.run_info import RunInfo

_STYLE_FILE = Path(__file__).with_name("page.css")
_NO_NETWORK = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Content security policy: the page loads nothing."""


def render(report: BenchReport) -> str:
    """The page as text. All strings from file names and manifests are escaped."""
    results = report.results
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_NO_NETWORK),
        element("title", "lvt-bench: " + ", ".join(result.label for result in results)),
        element("style", Markup(_STYLE_FILE.read_text("utf-8"))),
    )
    body = element(
        "main",
        _heading(report.run),
        element("h2", "Results"),
        _summary_table(report),
        _overview(results),
        *_command(report),
        element("h2", "Details"),
        _latency_table(results),
        _cost_table(results),
        *_stages(results),
        *_accuracy(results),
        *prediction_figures(results),
        *profile_cards(results),
        element("h2", "Every inference"),
        *(_details(number, result) for number, result in enumerate(results, start=1)),
        element("h2", "Environment"),
        _environment(report.run.environment),
    )
    page = element("html", head, element("body", body), lang="en")
    return f"<!doctype html>\n{page}\n"


def _heading(run: RunInfo) -> Markup:
    threads = f"{run.threads} thread{'s' if run.threads > 1 else ''}"
    preset = (
        f"preset {run.preset.name}: at least {run.preset.min_runs} runs and "
        f"{run.preset.min_seconds:g} s"
    )
    processor = str(run.environment.get("processor", "unknown processor"))
    return join(
        element("h1", "lvt-bench"),
        element("p", f"{processor}, {threads}; {preset}; {run.created}", class_="soft"),
    )


def _overview(results: Sequence[BenchResult]) -> Markup:
    rows = [(str(number), result.latency) for number, result in enumerate(results, start=1)]
    caption = "Bar: median. Line: up to p99. Shorter is faster. Numbers as in the table."
    return element(
        "figure",
        median_chart("Median latency of each artifact", rows),
        element("figcaption", caption),
    )


def _summary_table(report: BenchReport) -> Markup:
    """The figures on which a choice between artifacts depends, and whether they are valid."""
    headings = ["#", "artifact", "runtime", "precision", "median ms [95% CI]"]
    headings += ["speed-up [95% CI]", "memory MB", "file MB", "operators outside", "accuracy"]
    rows = [
        (
            str(number),
            result.label,
            _where(result, report.run),
            result.model.precision,
            _with_interval(result.latency.median, decimal_places(result)),
            "1" if result.speedup is None else _with_interval(result.speedup, 2),
            format_optional(result.cold_start.memory_bytes, 0, unit=1e6),
            f"{result.model.file_bytes / 1e6:.1f}",
            _operators_outside(result),
            _main_figure(result),
            _verdict(result),
        )
        for number, result in enumerate(report.results, start=1)
    ]
    return table([*headings, "valid"], rows)


def _where(result: BenchResult, run: RunInfo) -> Markup:
    """The runtime, and the device if it is not this machine."""
    if result.device is None:
        return join(runtime_of(result, run))
    return join(runtime_of(result, run), _words(str(result.device.get("processor", ""))))


def _operators_outside(result: BenchResult) -> Markup:
    placement = result.placement
    if placement is None:
        return join("-")
    details = placement.accelerator
    if placement.partitions is not None:
        details += f", {placement.partitions} partition{'s' if placement.partitions != 1 else ''}"
    outside = f"{sum(placement.outside.values())} of {placement.count}"
    return join(outside, Markup(" "), _words(details))


def _main_figure(result: BenchResult) -> Markup:
    """The first metric of the model, as manifests have it."""
    accuracy = result.accuracy
    if accuracy is None or not accuracy.figures:
        return join("-")
    name, percent = next(iter(accuracy.figures.items()))
    details = f"{accuracy.images} images, {accuracy.measured_on}"
    return join(f"{percent:.2f}% {name}", Markup(" "), _words(details))


def _verdict(result: BenchResult) -> Markup:
    """Yes, or no and the first reason."""
    if result.valid:
        return element("b", "yes", class_="good")
    reason = _words(result.validity_issues[0])
    return join(element("b", "no", class_="bad"), Markup(" "), reason)


def _words(text: str) -> Markup:
    """Small text that may wrap, other than an interval."""
    return element("small", text, class_="words")


def _command(report: BenchReport) -> Iterator[Markup]:
    """The command that measures again; nothing for devices, which it does not describe."""
    if any(result.device is not None for result in report.results):
        return
    run, artifacts = report.run, dict.fromkeys(result.model.path for result in report.results)
    command = ["lvt-bench", *artifacts, "--threads", str(run.threads)]
    backends = dict.fromkeys(result.backend for result in report.results)
    if TORCH in backends:  # each artifact ran on every backend
        for backend in backends:
            command += ["--backend", backend]
    if run.preset in PRESETS.values():
        command += ["--preset", run.preset.name]
    else:
        command += ["--runs", str(run.preset.min_runs)]
        command += ["--min-seconds", f"{run.preset.min_seconds:g}"]
    yield element("p", "Measure again:")
    yield element("pre", shlex.join(command))


def _latency_table(results: Sequence[BenchResult]) -> Markup:
    headings = ["#", "artifact", "p90 ms [95% CI]", "p99 ms", "inf/s", "GMAC/s"]
    rows = [_latency_row(number, result) for number, result in enumerate(results, start=1)]
    return table(headings, rows)


def _latency_row(number: int, result: BenchResult) -> Sequence[str]:
    latency, places = result.latency, decimal_places(result)
    return (
        str(number),
        result.label,
        _with_interval(latency.p90, places),
        f"{latency.p99:.{places}f}",
        f"{latency.per_second:.1f}",
        f"{result.gmacs_per_second:.1f}",
    )


def _with_interval(interval: Interval, places: int) -> Markup:
    """A value, and its interval below it."""
    value, low, high = (
        f"{number:.{places}f}" for number in (interval.value, interval.low, interval.high)
    )
    return join(value, Markup(" "), element("small", f"[{low}, {high}]"))


def _cost_table(results: Sequence[BenchResult]) -> Markup:
    headings = ["#", "artifact", "load ms", "first ms", "pre ms", "post ms", "memory MB"]
    headings += ["arena MB", "file MB", "GMAC", "energy mJ", "M parameters"]
    rows = [
        (
            str(number),
            result.model.name,
            *cost_cells(result),
            f"{result.model.parameters / 1e6:.2f}",
        )
        for number, result in enumerate(results, start=1)
    ]
    return table(headings, rows)


def _stages(results: Sequence[BenchResult]) -> Iterator[Markup]:
    """The stages of models in parts; nothing where all are whole."""
    rows = [
        (str(number), result.model.name, *stage_cells(result, result.stages))
        for number, result in enumerate(results, start=1)
        if result.stages is not None
    ]
    if rows:
        yield element("h2", "Stages of panoptic models in parts, median ms")
        yield table(["#", "artifact", *STAGE_HEADINGS], rows)


def _accuracy(results: Sequence[BenchResult]) -> Iterator[Markup]:
    """One chart per accuracy metric; nothing where no accuracy is known."""
    by_metric: dict[str, list[tuple[AccuracyPoint, BenchResult]]] = {}
    for number, result in enumerate(results, start=1):
        if result.accuracy is not None and result.accuracy.figures:
            metric, percent = next(iter(result.accuracy.figures.items()))
            point = AccuracyPoint(str(number), result.latency.median, percent)
            by_metric.setdefault(metric, []).append((point, result))
    if by_metric:
        yield element("h2", "Accuracy against latency")
    for metric, entries in by_metric.items():
        title = f"{metric} against median latency"
        lines = [
            element(
                "li",
                f"{point.mark}: {result.label}, {result.model.precision}: "
                f"{_accuracy_text(metric, result)}",
            )
            for point, result in entries
        ]
        yield element(
            "figure",
            accuracy_chart(title, [point for point, _ in entries]),
            element("figcaption", f"{title}; up and to the left is better."),
            element("ul", *lines),
        )


def _accuracy_text(metric: str, result: BenchResult) -> str:
    accuracy = result.accuracy
    assert accuracy is not None
    return (
        f"{accuracy.figures[metric]:.2f}% {metric} on {accuracy.images} images, measured on "
        f"{accuracy.measured_on}"
    )


def _details(number: int, result: BenchResult) -> Markup:
    model, warmup = result.model, result.warmup
    shape = " x ".join(str(side) for side in model.input_shape)
    facts = (
        f"{model.task}, {model.precision}, {result.backend}, input {shape}; warm-up of "
        f"{warmup.runs} runs in {warmup.seconds:.1f} s; SHA-256 {model.sha256[:12]}"
    )
    issues = [element("p", f"Not valid: {issue}", class_="bad") for issue in result.validity_issues]
    outliers = outlier_note(result)
    samples = result.samples_ms
    return element(
        "section",
        element("h3", f"{number}  {result.label}"),
        element("p", facts, class_="soft"),
        *(element("p", line, class_="soft") for line in _device_lines(result)),
        *issues,
        element("p", f"Note: {outliers}.") if outliers else None,
        element(
            "div",
            element(
                "figure",
                histogram(f"Distribution of {result.label}", samples, result.latency),
                element("figcaption", "Distribution. Line: median; dashed: p90."),
            ),
            element(
                "figure",
                latency_over_time(f"Latency of {result.label} over time", samples),
                _drift_caption(result),
                *_sensor_charts(result),
            ),
            class_="pair",
        ),
        class_="card",
    )


def _device_lines(result: BenchResult) -> Iterator[str]:
    """Facts about a result of another device."""
    if result.device is not None:
        yield f"Ran on {result.device.get('processor')}: {result.device.get('system')}."
        if result.device.get("falls_back"):
            yield "Some operators have no GPU kernel and ran in WebAssembly."
    if result.parity is not None:
        verdict = "within" if result.parity.get("passed") else "out of"
        reference = result.parity.get("reference")
        yield f"Its outputs on that device were {verdict} tolerance of {reference}."


def _drift_caption(result: BenchResult) -> Markup:
    ratio = drift(result.samples_ms)
    return element(
        "figcaption",
        "In order. Line: running median; dashed: first and last third, ",
        element("span", f"{ratio - 1:+.1%}", class_=None if is_steady(ratio) else "bad"),
        " from one to the other.",
    )


def _sensor_charts(result: BenchResult) -> Iterator[Markup]:
    """Temperature and frequency on the axis of the inferences, where they were measured."""
    series = {
        "Processor temperature": ("°C", [(r.run, r.celsius) for r in result.readings]),
        "Fastest core's frequency": ("MHz", [(r.run, r.mhz) for r in result.readings]),
    }
    for name, (unit, readings) in series.items():
        known = [(run, value) for run, value in readings if value is not None]
        if known:
            title = f"{name} while {result.label} ran"
            yield sensor_chart(title, known, len(result.samples_ms), unit)
            yield element("figcaption", f"{name} at the same time.")


def _environment(environment: Mapping[str, Any]) -> Markup:
    rows = []
    for name, value in environment.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{key} {entry}" for key, entry in value.items() if entry is not None)
        rows += [
            element("dt", name.replace("_", " ")),
            element("dd", "-" if value is None else str(value)),
        ]
    return element("dl", *rows)
