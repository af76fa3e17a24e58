"""Stages of panoptic models in parts, in results, tables and pages."""

from __future__ import annotations

from typing import Any

import pytest

from device_bench.devices.adb.app_run import parse_reply
from device_bench.report.html_page import render
from device_bench.report.tables import NO_DETECTIONS, note_lines, report_text
from device_bench.results.bench_report import BenchReport
from device_bench.results.stage_summary import StageSummary
from export.panoptic.parts.stages import STAGES, StageTimes
from lvt.errors import UserError
from lvt.support.validation import json_text
from tests.device_bench.result_files import result, result_file

STAGE_MS = {"core": 12.5, "proposals": 2.25, "boxes": 0.5, "detections": 1.5, "masks": 3.0}


def summary(detections: int = 7) -> StageSummary:
    return StageSummary(STAGE_MS, 50, detections)


def report(*stages: StageSummary | None) -> BenchReport:
    """A report with a result for each of the stages."""
    results = [
        result(
            [20.0] * 20, f"model{number}.onnx", stages=None if entry is None else entry.to_dict()
        )
        for number, entry in enumerate(stages)
    ]
    return BenchReport.from_dict(result_file(*results))


def staged(detections: int = 7) -> BenchReport:
    return report(summary(detections), None)


def test_medians_of_the_runs() -> None:
    runs = [StageTimes(dict.fromkeys(STAGES, float(ms)), 50, 7) for ms in (3, 1, 2, 9, 4)]
    found = StageSummary.of_runs(runs)
    assert found == StageSummary(dict.fromkeys(STAGES, 3.0), 50, 7)
    assert StageSummary.of_runs([]) is None, "a whole model"


def test_tables_and_page_show_them() -> None:
    text = report_text(staged())
    row = next(line for line in text.splitlines() if "12.5" in line and "2.2" in line)
    assert [word in row for word in ("50", "7")] == [True, True]
    assert "host: proposals" in text
    assert "Stages of panoptic models in parts" in render(staged())
    whole = report(None)
    assert "host: proposals" not in report_text(whole)
    assert "Stages of panoptic" not in render(whole)


def test_a_picture_without_detections_is_told() -> None:
    """Otherwise the latency of a model that detects nothing would look good."""
    assert any(NO_DETECTIONS in line for line in note_lines(staged(detections=0)))
    assert not any(NO_DETECTIONS in line for line in note_lines(staged()))


def test_result_files_keep_them() -> None:
    stored = staged().to_dict()
    assert BenchReport.from_dict(stored).results[0].stages == summary()
    assert BenchReport.from_dict(stored).results[1].stages is None


@pytest.mark.parametrize(
    "damage",
    [
        {"proposals": -1},
        {"detections": 2.5},
        {"proposals": True},
        {"milliseconds": STAGE_MS | {"core": -1.0}},
        {"milliseconds": STAGE_MS | {"core": float("nan")}},
        {"milliseconds": {k: v for k, v in STAGE_MS.items() if k != "masks"}},
        {"milliseconds": STAGE_MS | {"more": 1.0}},
        {"more": 1},
    ],
    ids=str,
)
def test_damaged_stages_are_refused(damage: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        StageSummary.from_dict(summary().to_dict() | damage)


def reply(**entries: Any) -> str:
    samples = [10.0] * 20
    return json_text(
        {
            "schema": 1,
            "load_ms": 100.0,
            "first_ms": 20.0,
            "warmup": {"runs": 10, "seconds": 1.0, "settled": True},
            "samples_ms": samples,
            "runtime_version": "1.29",
            "accelerator": "cpu",
            **entries,
        }
    )


def test_the_app_s_reply_has_them_or_not() -> None:
    assert parse_reply(reply(), "serial").stages is None
    found = parse_reply(reply(stages=summary().to_dict()), "serial").stages
    assert found == summary()
    with pytest.raises(UserError, match="damaged reply"):
        parse_reply(reply(stages={"milliseconds": {}}), "serial")
