"""The page's profiles: operator families as bars, the slowest operators as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from device_bench.profile.families import BETWEEN
from device_bench.profile.tables import slowdown_note
from device_bench.report.charts import bar_chart
from device_bench.report.markup import Markup, element, join, table
from device_bench.results.bench_result import BenchResult
from device_bench.results.operator_profile import OperatorProfile, OperatorTime

_MAX_OPERATORS = 10
"""Rows of the table of slowest operators; the result file holds all."""


def profile_cards(results: Sequence[BenchResult]) -> Iterator[Markup]:
    """One card per profiled result, with bars on a common scale; nothing where none has one."""
    profiled = [
        (f"{number}  {result.label}", result.profile)
        for number, result in enumerate(results, start=1)
        if result.profile is not None
    ]
    if not profiled:
        return
    yield element("h2", "Where the time goes")
    yield element(
        "p",
        "Milliseconds of one inference under the runtime's profiler, by family of operators. The "
        "bars of all artifacts have the same scale.",
        class_="soft",
    )
    all_times = [_family_times(profile) for _, profile in profiled]
    names = {name for times in all_times for name in times}
    order = sorted(names, key=lambda name: -sum(times.get(name, 0.0) for times in all_times))
    longest = max(ms for times in all_times for ms in times.values())
    cards = (_card(title, profile, order, longest) for title, profile in profiled)
    yield element("div", *cards, class_="pair")


def _family_times(profile: OperatorProfile) -> dict[str, float]:
    """Milliseconds of all parts of an inference, including the time between operators."""
    return {**profile.families, BETWEEN: profile.between_ms}


def _card(title: str, profile: OperatorProfile, order: Sequence[str], longest: float) -> Markup:
    times, inference_ms = _family_times(profile), profile.inference_ms
    rows = [
        (name, ms, f"{ms:.2f} ms, {ms / inference_ms:.0%}")
        for name, ms in ((name, times.get(name, 0.0)) for name in order)
    ]
    summary = (
        f"{inference_ms:.2f} ms, {profile.slowdown:.2f} times the timed inference; outside "
        f"{profile.placement.accelerator}: {profile.outside_ms:.2f} ms"
    )
    notes = (slowdown_note(profile.slowdown), *profile.remarks)
    slowest = [
        (
            str(rank),
            join(operator.name, Markup(" "), element("small", _description(operator))),
            f"{operator.ms:.2f}",
            f"{operator.ms / inference_ms:.0%}",
        )
        for rank, operator in enumerate(profile.operators[:_MAX_OPERATORS], start=1)
    ]
    return element(
        "section",
        element("h3", title),
        element("p", summary, class_="soft"),
        bar_chart(f"Families of operators of {title}", rows, longest),
        *(element("p", f"Note: {note}.") for note in notes if note),
        element(
            "details",
            element("summary", "Slowest operators"),
            table(["#", "operator", "ms", "share"], slowest),
        ),
        class_="card",
    )


def _description(operator: OperatorTime) -> str:
    return operator.type if operator.module is None else f"{operator.type}, {operator.module}"
