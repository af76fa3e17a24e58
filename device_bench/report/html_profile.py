"""The page's profiles: families of operators as bars, the slowest operators as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from device_bench.profile.families import BETWEEN
from device_bench.profile.report import slowdown_note
from device_bench.profile.stored import StoredOperator, StoredProfile
from device_bench.report.charts import bars
from device_bench.report.markup import Markup, element, join, table
from device_bench.results.read import Result

_OPERATORS = 10
"""How many of the slowest the table has; the result file has all."""


def profiles(results: Sequence[Result]) -> Iterator[Markup]:
    """One card for each result that was profiled, bars on one scale; nothing where none was."""
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
        "Milliseconds of one inference under the runtime's profiler, by family of operators; bars "
        "of all artifacts have one scale.",
        class_="soft",
    )
    every = [_times(profile) for _, profile in profiled]
    names = {name for times in every for name in times}
    order = sorted(names, key=lambda name: -sum(times.get(name, 0.0) for times in every))
    longest = max(ms for times in every for ms in times.values())
    cards = (_card(title, profile, order, longest) for title, profile in profiled)
    yield element("div", *cards, class_="pair")


def _times(profile: StoredProfile) -> dict[str, float]:
    """Every part of an inference; together they are the whole."""
    return {**profile.families, BETWEEN: profile.between_ms}


def _card(title: str, profile: StoredProfile, order: Sequence[str], longest: float) -> Markup:
    times, whole = _times(profile), profile.inference_ms
    rows = [
        (name, ms, f"{ms:.2f} ms, {ms / whole:.0%}")
        for name, ms in ((name, times.get(name, 0.0)) for name in order)
    ]
    rough = slowdown_note(profile.slowdown)
    facts = (
        f"{whole:.2f} ms, {profile.slowdown:.2f} times the timed inference; outside "
        f"{profile.accelerator}: {profile.outside_ms:.2f} ms"
    )
    slowest = [
        (
            str(place),
            join(operator.name, Markup(" "), element("small", _described(operator))),
            f"{operator.ms:.2f}",
            f"{operator.ms / whole:.0%}",
        )
        for place, operator in enumerate(profile.operators[:_OPERATORS], start=1)
    ]
    return element(
        "section",
        element("h3", title),
        element("p", facts, class_="soft"),
        bars(f"Families of operators of {title}", rows, longest),
        *(element("p", f"Note: {note}.") for note in (rough, *profile.remarks) if note),
        element(
            "details",
            element("summary", "Slowest operators"),
            table(["#", "operator", "ms", "share"], slowest),
        ),
        class_="card",
    )


def _described(operator: StoredOperator) -> str:
    return operator.type if operator.module is None else f"{operator.type}, {operator.module}"
