"""A result file as one page that needs nothing but itself: no network, no script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from device_bench.measure.preset import steady
from device_bench.measure.statistics import Interval, drift
from device_bench.report.charts import Point, histogram, medians, over_time, scatter, sensor
from device_bench.report.html_predictions import pictures
from device_bench.report.html_profile import profiles
from device_bench.report.markup import Markup, element, join, table
from device_bench.report.tables import cost_cells, decimals, outlier_note
from device_bench.results.read import Result, ResultFile

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --soft: #59636e; --rule: #d0d7de;
  --fill: #3b7dd8; --accent: #b35900; --bad: #b3261e; --good: #1a7f37; --panel: #f6f8fa; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #0f1318; --ink: #e6edf3; --soft: #9aa5b1; --rule: #343b44; --fill: #5b9bf0;
    --accent: #f0a04b; --bad: #ff7b72; --good: #56d364; --panel: #171c23; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 16px 48px; }
h1 { font-size: 24px; margin: 0; } h2 { font-size: 18px; margin: 36px 0 8px; }
h3 { font-size: 15px; margin: 0; } p { margin: 4px 0 12px; } .soft { color: var(--soft); }
.bad { color: var(--bad); } .good { color: var(--good); }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: 4px 0; }
th, td { padding: 6px 8px; border-bottom: 1px solid var(--rule); text-align: right;
  vertical-align: top; }
th { color: var(--soft); font-weight: 500; } thead th { vertical-align: bottom; }
tr > :nth-child(-n+2) { text-align: left; } tr > :nth-child(2) { min-width: 200px; }
td small { color: var(--soft); display: block; }
tr > :not(:nth-child(2)) { overflow-wrap: normal; } td small { white-space: nowrap; }
td:nth-child(2) small { white-space: normal; }
.card { background: var(--panel); border: 1px solid var(--rule); border-radius: 8px;
  padding: 14px 16px; margin: 12px 0; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 24px; } .pair > * { min-width: 0; }
figure { margin: 8px 0 0; } figcaption { color: var(--soft); font-size: 13px; }
figcaption + svg { margin-top: 8px; } svg { display: block; }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft); }
svg .number { fill: var(--ink); font-weight: 600; } svg .warn { fill: var(--accent); }
svg .bar, svg .point { fill: var(--fill); }
svg .rule { stroke: var(--rule); } svg .whisker { stroke: var(--soft); stroke-width: 1.5; }
svg .mark { stroke: var(--accent); stroke-width: 2; } svg .p90 { stroke-dasharray: 4 3; }
svg .dots { stroke: var(--fill); stroke-width: 3; stroke-linecap: round; opacity: .6; }
svg .line { stroke: var(--accent); stroke-width: 2; }
svg .thirds { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 5 4; }
svg .reading { stroke: var(--fill); stroke-width: 2; } svg .track { fill: var(--rule); }
svg .dots, svg .line, svg .thirds, svg .reading { fill: none; vector-effect: non-scaling-stroke; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(420px, 1fr)); gap: 16px; }
.grid > * { min-width: 0; } img { display: block; max-width: 100%; height: auto;
  border-radius: 6px; } ol { margin: 4px 0; padding-left: 24px; }
summary { cursor: pointer; color: var(--soft); margin: 8px 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; }
@media (max-width: 680px) {
  .pair, .grid { grid-template-columns: 1fr; gap: 8px; } thead { display: none; }
  table, tbody, tr, td { display: block; }
  tr { border: 1px solid var(--rule); border-radius: 8px; padding: 6px 10px; margin: 8px 0; }
  td, tr > :nth-child(-n+2) { display: flex; justify-content: space-between; gap: 16px; border: 0;
    padding: 2px 0; text-align: right; min-width: 0; }
  td small { display: inline; }
  td::before { content: attr(data-label); color: var(--soft); flex: none; }
}
"""
_NO_NETWORK = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def render(file: ResultFile) -> str:
    """The page. Every text from a file's name or manifest is escaped on its way into it."""
    results = file.results
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_NO_NETWORK),
        element("title", "lvt-bench: " + ", ".join(result.label for result in results)),
        element("style", Markup(_STYLE)),
    )
    body = element(
        "main",
        _heading(file),
        element("h2", "Latency"),
        _overview(results),
        _latency_table(results),
        element("h2", "Around it"),
        _cost_table(results),
        *_accuracy(results),
        *pictures(results),
        *profiles(results),
        element("h2", "Every inference"),
        *(_details(number, result) for number, result in enumerate(results, start=1)),
        element("h2", "Environment"),
        _environment(file.environment),
    )
    page = element("html", head, element("body", body), lang="en")
    return f"<!doctype html>\n{page}\n"


def _heading(file: ResultFile) -> Markup:
    rule = file.protocol
    threads = f"{file.threads} thread{'s' if file.threads > 1 else ''}"
    asked = f"preset {rule.name}: at least {rule.runs} runs and {rule.seconds:g} s"
    processor = str(file.environment.get("processor", "unknown processor"))
    return join(
        element("h1", "lvt-bench"),
        element("p", f"{processor}, {threads}; {asked}; {file.created}", class_="soft"),
    )


def _overview(results: Sequence[Result]) -> Markup:
    rows = [(str(number), result.latency) for number, result in enumerate(results, start=1)]
    caption = "Bar: median. Line: up to p99. Shorter is faster; the numbers are those of the table."
    return element(
        "figure",
        medians("Median latency of each artifact", rows),
        element("figcaption", caption),
    )


def _with_interval(interval: Interval, places: int) -> Markup:
    """A figure, and below it the interval it lies in."""
    value, low, high = (
        f"{number:.{places}f}" for number in (interval.value, interval.low, interval.high)
    )
    return join(value, Markup(" "), element("small", f"[{low}, {high}]"))


def _latency_table(results: Sequence[Result]) -> Markup:
    headings = ["#", "artifact", "median ms [95% CI]", "p90 ms [95% CI]", "p99 ms", "inf/s"]
    headings += ["speed-up [95% CI]", "GMAC/s", "valid"]
    rows = [
        (
            str(number),
            join(
                result.label, Markup(" "), element("small", f"{result.precision}, {result.backend}")
            ),
            _with_interval(result.latency.median, decimals(result)),
            _with_interval(result.latency.p90, decimals(result)),
            f"{result.latency.p99:.{decimals(result)}f}",
            f"{result.latency.per_second:.1f}",
            "1" if result.speedup is None else _with_interval(result.speedup, 2),
            f"{result.gmacs_per_second:.1f}",
            element("b", "yes", class_="good")
            if result.valid
            else element("b", "no", class_="bad"),
        )
        for number, result in enumerate(results, start=1)
    ]
    return table(headings, rows)


def _cost_table(results: Sequence[Result]) -> Markup:
    headings = ["#", "artifact", "load ms", "first ms", "pre ms", "post ms", "memory MB"]
    headings += ["arena MB", "file MB", "GMAC", "energy mJ", "M parameters"]
    rows = [
        (
            str(number),
            result.artifact,
            *cost_cells(result),
            f"{result.parameters / 1e6:.2f}",
        )
        for number, result in enumerate(results, start=1)
    ]
    return table(headings, rows)


def _accuracy(results: Sequence[Result]) -> Iterator[Markup]:
    """A chart for each figure that is known of some result; nothing where none is."""
    by_figure: dict[str, list[tuple[Point, Result]]] = {}
    for number, result in enumerate(results, start=1):
        if result.accuracy is not None and result.accuracy.figures:
            name, percent = next(iter(result.accuracy.figures.items()))
            point = Point(str(number), result.latency.median, percent)
            by_figure.setdefault(name, []).append((point, result))
    if by_figure:
        yield element("h2", "Accuracy against latency")
    for name, entries in by_figure.items():
        title = f"{name} against median latency"
        lines = [
            element(
                "li", f"{point.mark}: {result.label}, {result.precision}: {_figure(name, result)}"
            )
            for point, result in entries
        ]
        yield element(
            "figure",
            scatter(title, [point for point, _ in entries]),
            element("figcaption", f"{title}; up and to the left is better."),
            element("ul", *lines),
        )


def _figure(name: str, result: Result) -> str:
    accuracy = result.accuracy
    assert accuracy is not None
    return (
        f"{accuracy.figures[name]:.2f}% {name} on {accuracy.images} images, measured on "
        f"{accuracy.measured_on}"
    )


def _details(number: int, result: Result) -> Markup:
    shape = " x ".join(str(side) for side in result.input_shape)
    warmup = result.warmup
    facts = (
        f"{result.task}, {result.precision}, {result.backend}, input {shape}; {warmup.runs} "
        f"untimed runs in {warmup.seconds:.1f} s before; SHA-256 {result.sha256[:12]}"
    )
    remarks = [element("p", f"Not valid: {reason}", class_="bad") for reason in result.reasons]
    outliers = outlier_note(result)
    samples, summary = result.samples_ms, result.latency
    return element(
        "section",
        element("h3", f"{number}  {result.label}"),
        element("p", facts, class_="soft"),
        *(element("p", line, class_="soft") for line in _ran_elsewhere(result)),
        *remarks,
        element("p", f"Note: {outliers}.") if outliers else None,
        element(
            "div",
            element(
                "figure",
                histogram(f"Distribution of {result.label}", samples, summary),
                element("figcaption", "Distribution. Line: median; dashed: p90."),
            ),
            element(
                "figure",
                over_time(f"Latency of {result.label} over time", samples),
                _drift(result),
                *_sensors(result),
            ),
            class_="pair",
        ),
        class_="card",
    )


def _ran_elsewhere(result: Result) -> Iterator[str]:
    """What a result from another device adds to the facts."""
    if result.device is not None:
        yield f"Ran on {result.device.get('processor')}: {result.device.get('system')}."
        if result.device.get("falls_back"):
            yield "Some operators have no kernel for the GPU and ran in WebAssembly."
    if result.parity is not None:
        verdict = "within" if result.parity.get("passed") else "out of"
        yield f"Its outputs there were {verdict} tolerance of {result.parity.get('reference')}."


def _drift(result: Result) -> Markup:
    moved = drift(result.samples_ms)
    return element(
        "figcaption",
        "In order. Line: running median; dashed: first and last third, ",
        element("span", f"{moved - 1:+.1%}", class_=None if steady(moved) else "bad"),
        " from one to the other.",
    )


def _sensors(result: Result) -> Iterator[Markup]:
    """Temperature and frequency below the inferences they belong to, where they are known."""
    readings = {
        "Processor temperature": ("°C", [(c.run, c.celsius) for c in result.conditions]),
        "Fastest core's frequency": ("MHz", [(c.run, c.mhz) for c in result.conditions]),
    }
    for name, (unit, entries) in readings.items():
        known = [(run, value) for run, value in entries if value is not None]
        if known:
            yield sensor(f"{name} while {result.label} ran", known, len(result.samples_ms), unit)
            yield element("figcaption", f"{name} at the same moments.")


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
