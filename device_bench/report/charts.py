"""Charts as inline SVG: latency samples, accuracy against latency, bars, sensors over time.

Horizontal positions are percentages and text is never scaled, so that charts fit narrow and wide
screens. Colours come from the page's style sheet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from device_bench.measure.statistics import Interval, LatencySamples, LatencySummary
from device_bench.report.markup import Markup, element, join

_BINS = 40
_MAX_COLUMNS = 512
"""Maximum positions on the time axis; with more samples, neighbours share one position."""
_MAX_MEDIANS = 24
"""Maximum points of the running median."""
_LEFT, _RIGHT = 12.0, 97.0
"""Horizontal limits of the plot area, in percent of the width."""


@dataclass(frozen=True)
class AccuracyPoint:
    """One model in the chart of accuracy against latency.

    Attributes:
        mark: the text at the point.
        latency: median with its interval.
        percent: the accuracy.
    """

    mark: str
    latency: Interval
    percent: float


def histogram(title: str, samples: LatencySamples, summary: LatencySummary) -> Markup:
    """Distribution of the latencies, with lines at median and p90."""
    low, high = _span(samples)
    counts, edges = np.histogram(samples[samples <= high], bins=_BINS, range=(low, high))
    width = 100 / _BINS
    bars = "".join(
        f"M{index * width:.2f} 100v{-100 * count / counts.max():.1f}h{0.88 * width:.2f}V100z"
        for index, count in enumerate(counts)
        if count
    )
    marks = []
    for name, value in (("median", summary.median.value), ("p90", summary.p90.value)):
        x = f"{100 * (value - low) / (edges[-1] - low):.2f}%"
        marks.append(element("line", x1=x, x2=x, y1=18, y2=112, class_=f"mark {name}"))
    return _chart(
        title,
        132,
        _beyond_note(samples, high),
        _plot(20, 90, element("path", d=bars, class_="bar")),
        *marks,
        element("line", x1="0", x2="100%", y1=111, y2=111, class_="rule"),
        _axis(low, high, "127"),
    )


def latency_over_time(title: str, samples: LatencySamples) -> Markup:
    """Every inference in order, a running median, and the medians of the first and last third.

    The distance between the last two is the drift.
    """
    low, high = _span(samples)

    def y(value: float) -> float:
        return 100 - 100 * (min(value, high) - low) / (high - low)

    count = len(samples)
    dots = "".join(
        # A line of length zero would be invisible.
        f"M{x:.2f} {y(chunk.max()):.1f}V{y(chunk.min()) + 0.01:.2f}"
        for x, chunk in _chunks(samples, _MAX_COLUMNS)
    )
    line = " ".join(
        f"{x:.2f},{y(float(np.median(chunk))):.1f}" for x, chunk in _chunks(samples, _MAX_MEDIANS)
    )
    third = max(1, count // 3)
    steps = "".join(
        f"M{start:.2f} {y(float(np.median(chunk))):.1f}H{start + 100 * third / count:.2f}"
        for start, chunk in (
            (0.0, samples[:third]),
            (100 - 100 * third / count, samples[-third:]),
        )
    )
    return _chart(
        title,
        132,
        _beyond_note(samples, high),
        element("text", _milliseconds(high, high - low), x="0", y="12", class_="axis"),
        _plot(
            20,
            90,
            element("path", d=dots, class_="dots"),
            element("polyline", points=line, class_="line"),
            element("path", d=steps, class_="thirds"),
        ),
        element("line", x1="0", x2="100%", y1=111, y2=111, class_="rule"),
        element("text", _milliseconds(low, high - low), x="0", y="127", class_="axis"),
        element("text", f"{count} runs", x="100%", y="127", text_anchor="end", class_="axis"),
    )


def sensor_chart(title: str, points: Sequence[tuple[int, float]], runs: int, unit: str) -> Markup:
    """Readings of one sensor on the axis of `latency_over_time`.

    Args:
        title: of the chart.
        points: number of inferences before the reading, and the reading.
        runs: total number of inferences.
        unit: of the readings.
    """
    readings = [value for _, value in points]
    low, high = min(readings), max(readings)
    span = high - low or 1.0  # a constant reading becomes a line in the middle
    middle = (high + low) / 2
    positions = " ".join(
        f"{100 * min(run / runs, 1.0):.2f},{50 - 90 * (value - middle) / span:.1f}"
        for run, value in points
    )
    label = f"{low:.0f} {unit}" if high - low < 0.5 else f"{low:.0f} to {high:.0f} {unit}"
    return _chart(
        title,
        64,
        element("text", label, x="0", y="12", class_="axis"),
        _plot(20, 40, element("polyline", points=positions, class_="reading")),
        element("line", x1="0", x2="100%", y1=63, y2=63, class_="rule"),
    )


def bar_chart(title: str, rows: Sequence[tuple[str, float, str]], longest: float) -> Markup:
    """Horizontal bars from zero, each below its name and its value.

    Args:
        title: of the chart.
        rows: name, value and formatted value of each bar; at least one.
        longest: the value that fills the width; equal in charts that are compared.
    """
    parts = []
    for index, (name, value, formatted) in enumerate(rows):
        top = 34 * index
        width = f"{max(0.0, 100 * value / longest):.2f}%"
        parts += [
            element("text", name, x="0", y=top + 13),
            element("text", formatted, x="100%", y=top + 13, text_anchor="end", class_="number"),
            element("rect", x="0", y=top + 18, width="100%", height=8, class_="track"),
            element("rect", x="0", y=top + 18, width=width, height=8, class_="bar"),
        ]
    return _chart(title, 34 * len(rows), *parts)


def median_chart(title: str, rows: Sequence[tuple[str, LatencySummary]]) -> Markup:
    """One bar from zero per median, with a whisker up to p99."""
    highest = max(summary.p99 for _, summary in rows)
    parts = []
    for index, (mark, summary) in enumerate(rows):
        top = 30 * index
        end = {
            name: f"{_LEFT + (_RIGHT - _LEFT) * value / highest:.2f}%"
            for name, value in (("median", summary.median.value), ("p99", summary.p99))
        }
        width = f"{(_RIGHT - _LEFT) * summary.median.value / highest:.2f}%"
        start = f"{_LEFT}%"
        parts += [
            element("text", mark, x="0", y=top + 17, class_="number"),
            element("rect", x=start, width=width, y=top + 4, height=18, class_="bar"),
            element(
                "line", x1=end["median"], x2=end["p99"], y1=top + 13, y2=top + 13, class_="whisker"
            ),
            element(
                "line", x1=end["p99"], x2=end["p99"], y1=top + 8, y2=top + 18, class_="whisker"
            ),
        ]
    bottom = 30 * len(rows)
    parts += [
        element("text", "0", x=f"{_LEFT}%", y=bottom + 14, class_="axis"),
        element(
            "text",
            f"{highest:.1f} ms",
            x=f"{_RIGHT}%",
            y=bottom + 14,
            text_anchor="end",
            class_="axis",
        ),
    ]
    return _chart(title, bottom + 20, *parts)


def accuracy_chart(title: str, points: Sequence[AccuracyPoint]) -> Markup:
    """Accuracy on the vertical axis, latency on the horizontal one: top left is best."""
    height, top, bottom = 260, 20, 222
    fastest = min(point.latency.low for point in points)
    slowest = max(point.latency.high for point in points)
    margin = max(0.15 * (slowest - fastest), 0.02 * slowest)
    fastest, slowest = max(fastest - margin, 0.0), slowest + margin
    lowest = min(point.percent for point in points)
    highest = max(point.percent for point in points)
    margin = max(0.1 * (highest - lowest), 0.05)  # percentage points
    lowest, highest = lowest - margin, highest + margin

    def x(milliseconds: float) -> str:
        return f"{_LEFT + (100 - _LEFT) * (milliseconds - fastest) / (slowest - fastest):.2f}%"

    def y(percent: float) -> float:
        return round(bottom - (bottom - top) * (percent - lowest) / (highest - lowest), 1)

    marks = []
    for point in points:
        center_x, center_y = x(point.latency.value), y(point.percent)
        low, high = x(point.latency.low), x(point.latency.high)
        tip = f"{point.mark}: {point.latency.value:.1f} ms, {point.percent:.2f}%"
        marks += [
            element("line", x1=low, x2=high, y1=center_y, y2=center_y, class_="whisker"),
            element("circle", element("title", tip), cx=center_x, cy=center_y, r=6, class_="point"),
            element(
                "text",
                point.mark,
                x=center_x,
                y=center_y - 10,
                text_anchor="middle",
                class_="number",
            ),
        ]
    return _chart(
        title,
        height,
        element("line", x1=f"{_LEFT}%", x2=f"{_LEFT}%", y1=top, y2=bottom, class_="rule"),
        element("line", x1=f"{_LEFT}%", x2="100%", y1=bottom, y2=bottom, class_="rule"),
        element("text", f"{highest:.1f}%", x="0", y=top + 10, class_="axis"),
        element("text", f"{lowest:.1f}%", x="0", y=bottom, class_="axis"),
        element("text", f"{fastest:.1f} ms", x=f"{_LEFT}%", y=bottom + 18, class_="axis"),
        element(
            "text", f"{slowest:.1f} ms", x="100%", y=bottom + 18, text_anchor="end", class_="axis"
        ),
        *marks,
    )


def _span(samples: LatencySamples) -> tuple[float, float]:
    """Range of milliseconds that the charts of a series show: up to p99, plus a margin."""
    low, high = float(samples.min()), float(np.percentile(samples, 99))
    margin = max(0.05 * (high - low), 0.005 * high)
    return max(low - margin, 0.0), min(high + margin, float(samples.max()) + margin)


def _beyond_note(samples: LatencySamples, high: float) -> Markup | None:
    """A note about the samples above the range of the chart; None if there are none."""
    count = int(np.count_nonzero(samples > high))
    if not count:
        return None
    text = f"{count} beyond, up to {samples.max():.1f} ms"
    return element("text", text, x="100%", y="12", text_anchor="end", class_="warn")


def _milliseconds(value: float, span: float) -> str:
    """Format with enough decimals to distinguish both ends of an axis."""
    return f"{value:.{2 if span < 2 else 1 if span < 20 else 0}f} ms"


def _axis(low: float, high: float, y: str) -> Markup:
    """Labels at both ends of a horizontal axis of milliseconds."""
    start, end = _milliseconds(low, high - low), _milliseconds(high, high - low)
    return join(
        element("text", start, x="0", y=y, class_="axis"),
        element("text", end, x="100%", y=y, text_anchor="end", class_="axis"),
    )


def _chart(title: str, height: int, *parts: str | None) -> Markup:
    return element(
        "svg",
        element("title", title),
        *parts,
        width="100%",
        height=height,
        role="img",
        aria_label=title,
    )


def _plot(top: int, height: int, *parts: str) -> Markup:
    """A part of a chart that is stretched to the full width: x and y run from 0 to 100."""
    return element(
        "svg",
        *parts,
        y=top,
        width="100%",
        height=height,
        viewBox="0 0 100 100",
        preserveAspectRatio="none",
        overflow="visible",
    )


def _chunks(samples: LatencySamples, count: int) -> Iterator[tuple[float, LatencySamples]]:
    """At most `count` chunks of neighbouring samples, each with its position in percent."""
    size = -(-len(samples) // count)
    for start in range(0, len(samples), size):
        chunk = samples[start : start + size]
        yield 100 * (start + len(chunk) / 2) / len(samples), chunk
