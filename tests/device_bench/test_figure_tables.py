"""Tables of records, from results as the commands store them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from device_bench.cli.bench import app
from device_bench.figures.table import megabytes, milliseconds, worst_sqnr
from device_bench.figures.tables import TABLES
from device_bench.measure.statistics import Interval
from device_bench.results.stage_summary import StageSummary
from device_bench.suites.kept import keep, kept_paths
from device_bench.suites.record import StepRecord
from export.cli.verify import app as verify
from export.panoptic.parts.stages import STAGES
from tests.export.test_cli import run

SHORT = ("--runs", "4", "--min-seconds", "0")


def step_of(command: str, content: Any, rows: tuple[str, ...] = ()) -> StepRecord:
    result = keep(content, kept_paths(command.split()))
    return StepRecord("step", "Model", command, rows, "measured", None, 61.4, 2 * 10**9, result)


def cells(kind: str, step: StepRecord) -> list[list[str]]:
    table = TABLES[kind]([step])
    rows = [list(row) for row in table.rows]
    assert all(len(row) == len(table.headings) for row in rows)
    return rows


@pytest.mark.slow
def test_rewrites(tiny_checkpoint: Path, tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    arguments = ("--ckpt", tiny_checkpoint, "--size", "32x48", *SHORT, "--json", file)
    assert run(app, "rewrites", *arguments) == 0
    step = step_of("lvt-bench rewrites", json.loads(file.read_text()))
    first, *others = cells("rewrites", step)
    assert first[:2] == ["Model", "reference without rewrites\\*"]
    assert first[3:] == ["1", ""]
    assert all(row[1].startswith("+ ") and "[" in row[4] for row in others)
    (note,) = TABLES["rewrites"]([step]).notes
    assert note.startswith("\\* Model: not valid: 4 runs; preset quick requires 128; ")


@pytest.mark.slow
def test_float_and_int8(tiny_export: Any, tiny_int8: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    assert run(app, tiny_export.path, tiny_int8, *SHORT, "--json", file) == 0
    step = step_of("lvt-bench", json.loads(file.read_text()), ("float", "int8"))
    ((title, median, speedup, _, _),) = cells("pairs", step)
    assert title == "Model\\*"
    assert " → " in median
    assert "[" in speedup
    assert [row[0] for row in cells("runtimes", step)] == ["Model, float", "Model, int8"]
    assert [row[0] for row in cells("latency", step)] == [
        "Model: ONNX Runtime, float\\*",
        "Model: ONNX Runtime, int8\\*",
    ]
    assert cells("memory", step)[0][1].endswith("MB\\*")
    assert cells("stages", step) == []
    assert cells("times", step) == [["Model: `lvt-bench`", "61 s", "2000 MB"]]


def test_checks(tiny_export: Any, tiny_checkpoint: Path, capfd: Any) -> None:
    assert run(verify, tiny_export.path, "--ckpt", tiny_checkpoint, "--json") == 0
    rows = cells("checks", step_of("lvt-verify", json.loads(capfd.readouterr().out)))
    assert [row[0] for row in rows] == ["Model", *[""] * (len(rows) - 1)]
    assert {row[2] for row in rows} <= {"passed", "not checked"}


@pytest.mark.slow
def test_exports_and_quantized_files(tiny_export: Any, tiny_int8: Path) -> None:
    (row,) = cells("exports", step_of("lvt-export onnx", tiny_export.manifest))
    assert row[:2] == ["Model", "fp32"]
    assert row[3].endswith(" dB")
    assert row[5:] == ["1", "0"]
    manifest = json.loads(tiny_int8.with_name(tiny_int8.name + ".json").read_text())
    (row,) = cells("quantized", step_of("lvt-quantize onnx", manifest))
    assert row[:3] == ["Model", "int8", "-"]  # no labelled pictures
    assert row[5].endswith("%")


def test_reasons_of_one_kind_are_one_reason() -> None:
    """Nine artifacts that drifted by nine percentages hide the reason that differs."""
    median = {"median": Interval(10.0, 9.9, 10.1).to_dict()}
    entries = [
        {
            "backend": "onnxruntime",
            "latency_ms": median,
            "speedup_over_first": None,
            "reasons": list(r),
        }
        for r in (["drifted by -27%"], ["drifted by +3.5%", "busy: load 8.1"], [])
    ]
    (table,) = [TABLES["runtimes"]([step_of("lvt-bench", {"results": entries})])]
    assert table.notes == ["\\* Model: not valid: drifted by -27%; busy: load 8.1."]
    assert [row[1].endswith("\\*") for row in table.rows] == [True, True, False]


def test_stages() -> None:
    times = {stage: float(index) for index, stage in enumerate(STAGES)}
    entry = {"backend": "tflite", "stages": StageSummary(times, 50, 3).to_dict()}
    step = step_of("lvt-bench", {"results": [entry, {"backend": "tflite", "stages": None}]})
    ((name, *rest),) = cells("stages", step)
    assert name == "Model: LiteRT"
    assert rest == ["0.0 ms", "1.0 ms", "2.0 ms", "3.0 ms", "4.0 ms", "50", "3"]


def test_baselines() -> None:
    model = {
        "name": "PVTv2-B0",
        "size": [224, 224],
        "parameters": 3.4e6,
        "macs": 0.6e9,
        "paper": {"parameters": 3.4, "macs": None},
        "remark": None,
        "reasons": [],
        "latency_ms": {"median": Interval(20.04, 20.0, 20.1).to_dict()},
        "speedup_over_lvt": Interval(1.2, 1.17, 1.2).to_dict(),
    }
    (row,) = cells("baselines", step_of("lvt-bench baselines", {"models": [model]}))
    assert row == ["PVTv2-B0 224x224", "3.4 (3.4)", "0.6", "20.0 ms", "1.20 [1.17, 1.20]"]


def test_accuracy() -> None:
    step = step_of("lvt-eval demo", {"images": 100, "figures": {"PQ": 84.849, "SQ": None}})
    assert cells("accuracy", step) == [["Model", "100", "84.85", "-"]]


def test_emulated_processors() -> None:
    parity = {"outputs": [{"sqnr_db": None}, {"sqnr_db": 38.72}], "agreement": {"value": 0.99728}}
    cpu = {"cpu": "max", "kernels": "SME", "against_expected": parity, "against_reference": None}
    step = step_of("lvt-verify", {"artifacts": [{"cpus": [cpu]}]})
    assert cells("processors", step) == [["Model", "max", "SME", "38.7 dB", "99.728%", "-"]]


def test_figures_are_written_with_their_unit() -> None:
    assert [milliseconds(value) for value in (1234.5, 9.96, None)] == ["1234 ms", "10.0 ms", "-"]
    assert [megabytes(value) for value in (4.26e6, 141.2e6, None)] == ["4.3 MB", "141 MB", "-"]
    assert worst_sqnr({"outputs": [{"sqnr_db": None}]}) == "equal"
