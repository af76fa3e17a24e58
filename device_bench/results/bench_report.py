"""The report of a benchmark: all its results, as printed, drawn and stored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from device_bench.results.bench_result import BenchResult
from device_bench.results.run_info import RunInfo
from device_bench.results.tool_result import ToolResult
from lvt.errors import UserError
from lvt.support.files import write_text
from lvt.support.validation import parse_json

RESULT_SCHEMA = 2
"""Schema of result files. Raised when an older reader would misread a new file.

2: p90 has an interval. Energy, sensor readings, sample predictions and profiles were added without
a new schema, and may be absent."""


@dataclass(frozen=True)
class BenchReport:
    """The results of one benchmark. `str(report)` is its table.

    Attributes:
        run: when, where and under which preset the results were measured.
        results: in the order of the artifacts; speed-ups are over the first.
        tools: results of tools that report no single inference.
    """

    run: RunInfo
    results: tuple[BenchResult, ...]
    tools: tuple[ToolResult, ...] = ()

    def __str__(self) -> str:
        return self.table()

    def table(self) -> str:
        """The tables that `lvt-bench` prints, and why results are not valid."""
        from device_bench.report.tables import report_text

        return report_text(self)

    def save(self, path: Path | str) -> None:
        """Write a result file: complete, or not at all.

        Raises:
            UserError: the file cannot be written.
        """
        write_json(Path(path), self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """The form stored in result files."""
        report = {
            **self.run.to_dict(RESULT_SCHEMA),
            "results": [result.to_dict() for result in self.results],
        }
        return report | {"tools": [tool.to_dict() for tool in self.tools]} if self.tools else report

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            LookupError, TypeError, ValueError, AttributeError, OverflowError: the data is damaged.
        """
        return cls(
            run=RunInfo.from_dict(stored),
            results=tuple(map(BenchResult.from_dict, stored["results"])),
            tools=tuple(map(ToolResult.from_dict, stored.get("tools", ()))),
        )


def read_report(path: Path) -> BenchReport:
    """Read a file that `lvt-bench --json` wrote.

    Raises:
        UserError: the file is missing, damaged, of another kind or of another schema.
    """
    try:
        content = parse_json(path.read_text("utf-8-sig"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is not a result file of lvt-bench: {error}") from error
    return parse_report(content, str(path))


def parse_report(content: Any, name: str) -> BenchReport:
    """Check and convert the content of a result file; `name` is used in messages.

    Raises:
        UserError: the content is incomplete, of another kind or of another schema.
    """
    if not isinstance(content, dict) or not {"schema", "results"} <= content.keys():
        raise UserError(f"{name} is not a result file: create one with lvt-bench --json")
    if content.get("tools") and not content["results"]:
        raise UserError(
            f"{name} holds only statistics of benchmark tools, without the samples that tables need"
        )
    if content["schema"] != RESULT_SCHEMA:
        raise UserError(
            f"{name} has schema {content['schema']}; this version reads {RESULT_SCHEMA}: measure "
            "again"
        )
    try:
        report = BenchReport.from_dict(content)
        if not report.results:
            raise ValueError("no results")
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError(f"{name} is incomplete or damaged: {error!r}") from error
    return report


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file of measurements: complete, or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    write_text(path, json.dumps(content, indent=1) + "\n")
