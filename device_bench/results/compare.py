"""Compares two reports: which models became slower, beyond the noise of the runs."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from device_bench.measure.statistics import Interval, latency_ratio
from device_bench.results.bench_report import BenchReport
from device_bench.results.bench_result import BenchResult
from lvt.errors import UserError

ResultKey = tuple[str, str]
"""File name and backend, which identify a result in both reports."""

Verdict = Literal["slower", "faster", "not significant"]


@dataclass(frozen=True)
class ResultPair:
    """One model in both reports.

    Attributes:
        ratio: median after divided by median before; above 1 is slower.
    """

    before: BenchResult
    after: BenchResult
    ratio: Interval

    @property
    def same_file(self) -> bool:
        """Whether both runs timed the same model file."""
        return self.before.model.sha256 == self.after.model.sha256

    @property
    def verdict(self) -> Verdict:
        """The meaning of the interval."""
        if self.exceeds(1):
            return "slower"
        return "faster" if self.ratio.high < 1 else "not significant"

    def exceeds(self, limit: float) -> bool:
        """Whether the whole interval of the ratio is above `limit`."""
        return self.ratio.low > limit


@dataclass(frozen=True)
class Comparison:
    """The models that two reports have in common.

    Attributes:
        notes: circumstances that limit the comparison, one sentence each.
    """

    pairs: tuple[ResultPair, ...]
    notes: tuple[str, ...]


def compare_reports(before: BenchReport, after: BenchReport) -> Comparison:
    """Pair the results of two reports by file name and backend.

    Results that are not valid are compared too, with a note. Otherwise a regression gate would
    always pass on a busy machine.

    Raises:
        UserError: different presets or threads, no common result, or an ambiguous name.
    """
    _check_same_config(before, after)
    first, second = _by_key(before), _by_key(after)
    shared = [key for key in first if key in second]
    if not shared:
        raise UserError(
            f"nothing in common: {_list_keys(first)} before, {_list_keys(second)} after; results "
            "are paired by file name and backend"
        )
    ambiguous = [key for key in shared if len(first[key]) > 1 or len(second[key]) > 1]
    if ambiguous:
        raise UserError(
            f"one file has {_list_keys(ambiguous)} twice: results are paired by file name and "
            "backend, so give the files different names"
        )
    pairs = tuple(_make_pair(first[key][0], second[key][0]) for key in shared)
    notes = [
        *_environment_notes(before.run.environment, after.run.environment),
        *_unpaired_notes("first", first, second),
        *_unpaired_notes("second", second, first),
        *_validity_notes("first", [pair.before for pair in pairs]),
        *_validity_notes("second", [pair.after for pair in pairs]),
    ]
    return Comparison(pairs, tuple(notes))


def _check_same_config(before: BenchReport, after: BenchReport) -> None:
    """Check that both reports were measured with the same preset and threads.

    Raises:
        UserError: names the difference.
    """
    first, second = before.run, after.run
    if first.preset != second.preset:
        raise UserError(
            f"the files have different presets: {first.preset.name} before, {second.preset.name} "
            "after; measure both with the same --preset"
        )
    if first.threads != second.threads:
        raise UserError(
            f"the files have different numbers of threads: {first.threads} threads before, "
            f"{second.threads} after; measure both with the same --threads"
        )


def _by_key(report: BenchReport) -> dict[ResultKey, list[BenchResult]]:
    results: dict[ResultKey, list[BenchResult]] = {}
    for result in report.results:
        results.setdefault((result.model.name, result.backend), []).append(result)
    return results


def _make_pair(before: BenchResult, after: BenchResult) -> ResultPair:
    return ResultPair(before, after, latency_ratio(before.samples_ms, after.samples_ms))


def _list_keys(keys: Iterable[ResultKey]) -> str:
    return ", ".join(f"{name} on {backend}" for name, backend in keys) or "nothing"


def _environment_notes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """One note with all differences between machines and versions; none if they are equal."""
    old, new = _flatten(before), _flatten(after)
    differences = [
        f"{name} {old.get(name)} before, {new.get(name)} after"
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]
    return ["the environments differ: " + "; ".join(differences)] if differences else []


def _flatten(environment: Mapping[str, Any]) -> dict[str, Any]:
    """The environment with its package versions on the same level."""
    packages = environment.get("packages")
    rest = {name: value for name, value in environment.items() if name != "packages"}
    return rest | dict(packages) if isinstance(packages, Mapping) else rest


def _unpaired_notes(
    position: str, keys: Iterable[ResultKey], other_keys: Container[ResultKey]
) -> list[str]:
    return [
        f"{name} on {backend} is in the {position} file only"
        for name, backend in keys
        if (name, backend) not in other_keys
    ]


def _validity_notes(position: str, results: Iterable[BenchResult]) -> list[str]:
    return [
        f"{result.label} is not valid in the {position} file: {'; '.join(result.validity_issues)}"
        for result in results
        if not result.valid
    ]
