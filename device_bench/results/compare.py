"""Two result files side by side: what became slower, and whether that is more than noise."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from device_bench.measure.statistics import Interval, latency_ratio
from device_bench.report.tables import with_interval
from device_bench.results.read import Result, ResultFile
from lvt.errors import UserError

if TYPE_CHECKING:
    from rich.table import Table

Key = tuple[str, str]
"""File name and backend, which a result keeps from one run to the next."""

Verdict = Literal["slower", "faster", "no difference shown"]


@dataclass(frozen=True)
class Pair:
    """One artifact in both files.

    Attributes:
        ratio: median after over median before; above 1 is slower.
    """

    before: Result
    after: Result
    ratio: Interval

    @property
    def label(self) -> str:
        """How it is called in tables."""
        return self.after.label

    @property
    def same_file(self) -> bool:
        """Whether both runs timed the same bytes."""
        return self.before.sha256 == self.after.sha256

    def above(self, limit: float) -> bool:
        """Whether the whole interval lies above `limit`: slower than it beyond the noise."""
        return self.ratio.low > limit

    @property
    def verdict(self) -> Verdict:
        """What the interval says."""
        if self.above(1):
            return "slower"
        return "faster" if self.ratio.high < 1 else "no difference shown"


@dataclass(frozen=True)
class Comparison:
    """What two result files have in common.

    Attributes:
        notes: what a reader should know before believing it, a sentence each.
    """

    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]


def compare_files(before: ResultFile, after: ResultFile) -> Comparison:
    """Pairs the results of two files by file name and backend.

    Results that are not valid are compared all the same, with a note: a gate that passes because
    the machine was busy would never fail.

    Raises:
        UserError: they were measured under different protocols, share nothing, or have a name
            twice that both know.
    """
    _check_protocols(before, after)
    first, second = _by_key(before), _by_key(after)
    shared = [key for key in first if key in second]
    if not shared:
        raise UserError(
            f"nothing in common: {_listed(first)} before, {_listed(second)} after; results are "
            "paired by file name and backend"
        )
    twice = [key for key in shared if len(first[key]) > 1 or len(second[key]) > 1]
    if twice:
        raise UserError(
            f"one file has {_listed(twice)} twice: results are paired by file name and backend, so "
            "give the files different names"
        )
    pairs = tuple(_pair(first[key][0], second[key][0]) for key in shared)
    notes = [
        *_environment_notes(before.environment, after.environment),
        *_unpaired_notes("first", first, second),
        *_unpaired_notes("second", second, first),
        *_validity_notes("first", [pair.before for pair in pairs]),
        *_validity_notes("second", [pair.after for pair in pairs]),
    ]
    return Comparison(pairs, tuple(notes))


def _check_protocols(before: ResultFile, after: ResultFile) -> None:
    """Refuses runs that were not measured alike.

    Raises:
        UserError: says how they differ.
    """
    if before.protocol != after.protocol:
        raise UserError(
            f"the files have other protocols: {before.protocol.name} before, "
            f"{after.protocol.name} after; measure both with the same --preset"
        )
    if before.threads != after.threads:
        raise UserError(
            f"the files have other protocols: {before.threads} threads before, {after.threads} "
            "after; measure both with the same --threads"
        )


def _by_key(file: ResultFile) -> dict[Key, list[Result]]:
    results: dict[Key, list[Result]] = {}
    for result in file.results:
        results.setdefault((result.artifact, result.backend), []).append(result)
    return results


def _pair(before: Result, after: Result) -> Pair:
    return Pair(before, after, latency_ratio(before.samples_ms, after.samples_ms))


def _listed(keys: Iterable[Key]) -> str:
    return ", ".join(f"{name} on {backend}" for name, backend in keys) or "nothing"


def _environment_notes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What differs between the machines and versions, in one sentence; nothing if nothing does."""
    old, new = _flat(before), _flat(after)
    differences = [
        f"{name} {old.get(name)} before, {new.get(name)} after"
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]
    return ["the environments differ: " + "; ".join(differences)] if differences else []


def _flat(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Machine and versions on one level."""
    packages = environment.get("packages")
    rest = {name: value for name, value in environment.items() if name != "packages"}
    return rest | dict(packages) if isinstance(packages, Mapping) else rest


def _unpaired_notes(which: str, own: Iterable[Key], other: Container[Key]) -> list[str]:
    return [
        f"{name} on {backend} is in the {which} file only"
        for name, backend in own
        if (name, backend) not in other
    ]


def _validity_notes(which: str, results: Iterable[Result]) -> list[str]:
    return [
        f"{result.label} is not valid in the {which} file: {'; '.join(result.reasons)}"
        for result in results
        if not result.valid
    ]


def comparison_table(comparison: Comparison, *, limit: float | None) -> Table:
    """One row a pair, with the gate's answer where there is a `limit`."""
    from rich.table import Table
    from rich.text import Text

    title = "median latency, ms; a ratio above 1 is slower"
    table = Table(title=title, title_justify="left")
    table.add_column("artifact", overflow="fold")
    for heading in ("backend", "file"):
        table.add_column(heading)
    for heading in ("before", "after", "ratio [95% CI]"):
        table.add_column(heading, justify="right")
    table.add_column("")
    if limit is not None:
        table.add_column(f"limit {limit:g}")
    for pair in comparison.pairs:
        row: list[str | Text] = [
            Text(pair.after.artifact),  # a name may hold what rich would take for markup
            pair.after.backend,
            "same" if pair.same_file else "another",
            f"{pair.before.latency.median.value:.2f}",
            f"{pair.after.latency.median.value:.2f}",
            with_interval(pair.ratio, 3),
            pair.verdict,
        ]
        if limit is not None:
            row.append("above" if pair.above(limit) else "kept")
        table.add_row(*row)
    return table
