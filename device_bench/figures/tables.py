"""The kinds of tables: each makes a table of a suite's steps. Knows no pages and no files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from device_bench.figures.table import (
    NOTHING,
    PageTable,
    arrow,
    interval,
    megabytes,
    milliseconds,
    percent,
    seconds,
    worst_sqnr,
)
from device_bench.report.runtimes import RUNTIME_NAMES
from device_bench.suites.record import StepRecord

Steps = Sequence[StepRecord]

_NUMBER = re.compile(r"[-+]?[\d.]+")
"""Reasons that differ in their figures only are one kind of reason."""


class Marks:
    """Asterisks after figures that do not meet the preset's rules, and the notes that say why."""

    def __init__(self) -> None:
        self._reasons: dict[str, dict[str, str]] = {}  # the first of each kind
        self._other: list[str] = []

    def of(self, step: StepRecord, *entries: Mapping[str, Any]) -> str:
        """The mark of results of a step: an asterisk, or nothing if all are valid."""
        reasons = [reason for entry in entries for reason in entry["reasons"]]
        found = self._reasons.setdefault(step.title, {})
        for reason in reasons:
            found.setdefault(_NUMBER.sub("", reason), reason)
        return "\\*" if reasons else ""

    def add(self, note: str) -> None:
        """Add another sentence below the table."""
        self._other.append(note)

    @property
    def notes(self) -> list[str]:
        """One sentence for each step with marked figures, then the other sentences."""
        marked = [
            f"\\* {title}: not valid: {'; '.join(reasons.values())}."
            for title, reasons in self._reasons.items()
            if reasons
        ]
        return marked + self._other


_STAGES = {
    "core": "`core`",
    "proposals": "host: proposals",
    "boxes": "`boxes`",
    "detections": "host: detections",
    "masks": "`masks`",
}


def exports(steps: Steps) -> PageTable:
    """Files of `lvt-export` and their parity with the reference."""
    rows = []
    for step, manifest in _manifests(steps):
        parity, placement = manifest["parity"], manifest["placement"]
        partitions = placement["partitions"]
        rows.append(
            [
                step.title,
                manifest["precision"],
                megabytes(manifest["file"]["bytes"]),
                worst_sqnr(parity),
                percent(parity["agreement"]["value"], 3),
                NOTHING if partitions is None else str(partitions),
                str(sum(placement["outside"].values())),
            ]
        )
    headings = ["", "precision", "file", "SQNR", "equal predictions", "partitions"]
    return PageTable([*headings, "operators outside"], rows)


def quantized(steps: Steps) -> PageTable:
    """Files of `lvt-quantize` and their accuracy."""
    rows = []
    for step, manifest in _manifests(steps):
        parity, details = manifest["parity"], manifest["quantization"]
        blocks = details.get("kept_float_by_sensitivity", details.get("16_bit_blocks", ()))
        rows.append(
            [
                step.title,
                manifest["precision"],
                _metric(manifest["accuracy"]),
                worst_sqnr(parity),
                percent(parity["agreement"]["value"]),
                percent(details["int8_share_of_macs"], 0),
                str(len(blocks)),
                megabytes(manifest["file"]["bytes"]),
            ]
        )
    headings = ["", "precision", "float → quantized", "SQNR", "equal predictions", "int8 share"]
    return PageTable([*headings, "blocks not in 8 bits", "file"], rows)


def _metric(accuracy: Mapping[str, Any] | None) -> str:
    """The main metric before and after quantization."""
    if accuracy is None:
        return NOTHING
    before, after = (accuracy[key]["figures"] for key in ("float", "quantized"))
    name = next(iter(after))
    return f"{name} {before[name]:.2f} → {after[name]:.2f}"


def accuracy(steps: Steps) -> PageTable:
    """Figures of `lvt-eval`, in percent."""
    measured = list(_results(steps))
    names = list(dict.fromkeys(name for _, result in measured for name in result["figures"]))
    rows = [
        [
            step.title,
            str(result["images"]),
            *(_two_digits(result["figures"].get(name)) for name in names),
        ]
        for step, result in measured
    ]
    return PageTable(["", "pictures", *names], rows)


def _two_digits(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def latency(steps: Steps) -> PageTable:
    """All figures of `lvt-bench`, a row for each artifact."""
    rows, marks = [], Marks()
    for step, result in _results(steps):
        for index, entry in enumerate(result["results"]):
            label = f"{step.title}: {_row_name(step, result, index)}"
            rows.append(
                [
                    label + marks.of(step, entry),
                    interval(entry["latency_ms"]["median"], 1),
                    milliseconds(entry["latency_ms"]["p90"]["value"]),
                    _speedup(entry["speedup_over_first"]),
                    megabytes(entry["cold_start"]["memory_bytes"]),
                    megabytes(entry["file_bytes"]),
                ]
            )
    headings = ["", "median, ms [95% CI]", "p90", "speed-up over the first [95% CI]"]
    return PageTable([*headings, "memory", "file"], rows, marks.notes)


def _row_name(step: StepRecord, result: Mapping[str, Any], index: int) -> str:
    row = _row_of(result, index)
    title = f", {step.rows[row]}" if row < len(step.rows) else ""
    return f"{_backend(result['results'][index])}{title}"


def _row_of(result: Mapping[str, Any], index: int) -> int:
    """How many artifacts of the same runtime come before."""
    *before, entry = result["results"][: index + 1]
    return sum(_backend(other) == _backend(entry) for other in before)


def runtimes(steps: Steps) -> PageTable:
    """Medians of `lvt-bench`, a column for each runtime; speed-ups are over each step's first."""
    return _by_runtime(
        steps,
        lambda entry: ", ".join(
            [
                milliseconds(entry["latency_ms"]["median"]["value"]),
                _speedup(entry["speedup_over_first"]),
            ]
        ),
    )


def memory(steps: Steps) -> PageTable:
    """Memory and file size of `lvt-bench`, a column for each runtime."""
    return _by_runtime(
        steps,
        lambda entry: ", ".join(
            [
                megabytes(entry["cold_start"]["memory_bytes"]),
                f"file {megabytes(entry['file_bytes'])}",
            ]
        ),
    )


def _by_runtime(steps: Steps, cell: Callable[[Mapping[str, Any]], str]) -> PageTable:
    measured = list(_results(steps))
    columns = list(
        dict.fromkeys(_backend(entry) for _, result in measured for entry in result["results"])
    )
    rows, marks = [], Marks()
    for step, result in measured:
        cells: dict[tuple[int, str], str] = {}
        for index, entry in enumerate(result["results"]):
            cells[_row_of(result, index), _backend(entry)] = cell(entry) + marks.of(step, entry)
        for row in range(max(row for row, _ in cells) + 1):
            title = f"{step.title}, {step.rows[row]}" if row < len(step.rows) else step.title
            rows.append([title, *(cells.get((row, name), NOTHING) for name in columns)])
    return PageTable(["", *columns], rows, marks.notes)


def pairs(steps: Steps) -> PageTable:
    """Steps that time two artifacts: before and after, such as float and int8."""
    rows, marks = [], Marks()
    for step, result in _results(steps):
        before, after = result["results"]
        medians = [
            milliseconds(entry["latency_ms"]["median"]["value"]) for entry in (before, after)
        ]
        sizes = [megabytes(entry["file_bytes"]) for entry in (before, after)]
        used = [megabytes(entry["cold_start"]["memory_bytes"]) for entry in (before, after)]
        rows.append(
            [
                step.title + marks.of(step, before, after),
                arrow(*medians),
                interval(after["speedup_over_first"]),
                arrow(*used),
                arrow(*sizes),
            ]
        )
    return PageTable(["", "median", "speed-up [95% CI]", "memory", "file"], rows, marks.notes)


def stages(steps: Steps) -> PageTable:
    """Where the time of panoptic models in parts goes."""
    rows = []
    for step, result in _results(steps):
        for index, entry in enumerate(result["results"]):
            if entry["stages"] is None:
                continue
            times = entry["stages"]["milliseconds"]
            rows.append(
                [
                    f"{step.title}: {_row_name(step, result, index)}",
                    *(milliseconds(times[stage]) for stage in _STAGES),
                    str(entry["stages"]["proposals"]),
                    str(entry["stages"]["detections"]),
                ]
            )
    return PageTable(["", *_STAGES.values(), "boxes in", "instances"], rows)


def rewrites(steps: Steps) -> PageTable:
    """`lvt-bench rewrites`: what each rewrite brings."""
    rows, marks = [], Marks()
    for step, result in _results(steps):
        for index, entry in enumerate(result["steps"]):
            name = f"+ {entry['name']}" if index else entry["name"]
            rows.append(
                [
                    step.title if not index else "",
                    name + marks.of(step, entry),
                    milliseconds(entry["latency_ms"]["median"]["value"]),
                    _speedup(entry["speedup_over_first"]),
                    interval(entry["speedup_over_last"]) if index else "",
                ]
            )
    headings = ["", "rewritten so far", "median", "speed-up [95% CI]", "this step [95% CI]"]
    return PageTable(headings, rows, marks.notes)


def baselines(steps: Steps) -> PageTable:
    """`lvt-bench baselines`: other models; the paper's figures in brackets."""
    rows, marks = [], Marks()
    for step, result in _results(steps):
        for model in result["models"]:
            height, width = model["size"]
            paper = model["paper"]
            if model["remark"]:
                marks.add(f"{model['name']}: {model['remark']}.")
            rows.append(
                [
                    f"{model['name']} {height}x{width}" + marks.of(step, model),
                    f"{model['parameters'] / 1e6:.1f}{_bracket(paper['parameters'])}",
                    f"{model['macs'] / 1e9:.1f}{_bracket(paper['macs'])}",
                    milliseconds(model["latency_ms"]["median"]["value"]),
                    _speedup(model["speedup_over_lvt"]),
                ]
            )
    headings = ["", "M parameters", "GMAC", "median", "speed-up over LVT [95% CI]"]
    return PageTable(headings, rows, marks.notes)


def _bracket(value: float | None) -> str:
    return "" if value is None else f" ({value:g})"


def checks(steps: Steps) -> PageTable:
    """`lvt-verify`: each check of each file."""
    rows = [
        [step.title if not index else "", check["name"], check["status"], check["detail"]]
        for step, result in _results(steps)
        for file in result["files"]
        for index, check in enumerate(file["checks"])
    ]
    return PageTable(["", "check", "result", "detail"], rows)


def processors(steps: Steps) -> PageTable:
    """`lvt-verify --on arm`: each file on each emulated processor."""
    rows = []
    for step, result in _results(steps):
        for file in result["artifacts"]:
            for index, entry in enumerate(file["cpus"]):
                expected, reference = entry["against_expected"], entry["against_reference"]
                rows.append(
                    [
                        step.title if not index else "",
                        entry["cpu"],
                        entry["kernels"],
                        worst_sqnr(expected),
                        percent(expected["agreement"]["value"], 3),
                        NOTHING if reference is None else worst_sqnr(reference),
                    ]
                )
    headings = ["", "processor", "kernels", "SQNR to expected", "equal predictions"]
    return PageTable([*headings, "SQNR to float"], rows)


def times(steps: Steps) -> PageTable:
    """Wall time and peak memory of each command."""
    rows = [
        [
            f"{step.title}: `{step.command.split()[0]}`",
            seconds(step.seconds),
            megabytes(step.peak_memory_bytes),
        ]
        for step in steps
        if step.status == "measured"
    ]
    return PageTable(["", "time", "memory"], rows)


TABLES: Mapping[str, Callable[[Steps], PageTable]] = {
    function.__name__: function
    for function in (
        accuracy,
        baselines,
        checks,
        exports,
        latency,
        memory,
        pairs,
        processors,
        quantized,
        rewrites,
        runtimes,
        stages,
        times,
    )
}
"""Kind of a block to the function that makes its table."""


def _results(steps: Steps) -> Iterator[tuple[StepRecord, Any]]:
    """Steps with a result, also those whose check failed."""
    for step in steps:
        if step.result is not None:
            yield step, step.result


def _manifests(steps: Steps) -> Iterator[tuple[StepRecord, Mapping[str, Any]]]:
    for step, result in _results(steps):
        for manifest in result if isinstance(result, list) else [result]:
            yield step, manifest


def _backend(entry: Mapping[str, Any]) -> str:
    return RUNTIME_NAMES.get(entry["backend"], entry["backend"])


def _speedup(stored: Mapping[str, float] | None) -> str:
    return "1" if stored is None else interval(stored)
