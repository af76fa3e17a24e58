"""`lvt-bench compare`: a regression gate that fires on regressions and on nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_bench.cli import bench as cli
from device_bench.results.bench_report import parse_report
from device_bench.results.compare import compare_reports
from tests.device_bench.result_files import result, result_file, write
from tests.export.test_cli import one_line_error, run

STEADY = [8.0] * 40
SLOWER = [10.0] * 60


def compared(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any], *options: object
) -> int:
    """Exit code of the comparison of two contents."""
    files = (write(tmp_path / "a.json", before), write(tmp_path / "b.json", after))
    return run(cli.app, "compare", *files, *options)


@pytest.mark.parametrize(("limit", "code"), [("1.2", 1), ("1.25", 0), ("1.3", 0)])
def test_the_limit_is_what_the_ratio_may_not_exceed(
    limit: str, code: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without noise the ratio is exactly 1.25, and its lower bound too."""
    before, after = result_file(result(STEADY)), result_file(result(SLOWER))
    assert compared(tmp_path, before, after, "--fail-above", limit) == code
    output = capfd.readouterr()
    assert "1.250 [1.250, 1.250]" in output.out
    assert "slower" in output.out
    assert ("failed: model.onnx takes 1.25 times as long" in output.err) == bool(code)


def test_without_a_limit_it_only_tells(tmp_path: Path) -> None:
    assert compared(tmp_path, result_file(result(STEADY)), result_file(result(SLOWER))) == 0


def test_noise_does_not_fail_the_gate(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The ratio of medians is above the limit, but it could as well be below."""
    generator = np.random.default_rng(0)
    before = generator.lognormal(2.0, 0.5, 20)
    after = 1.15 * before[generator.permutation(20)]
    files = result_file(result(list(before))), result_file(result(list(after)))
    assert compared(tmp_path, *files, "--fail-above", "1.1") == 0
    output = capfd.readouterr()
    assert "1.150 [" in output.out
    assert "not significant" in output.out
    assert output.err == ""


def test_one_regression_among_several_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = result_file(result(STEADY, "a.onnx"), result(SLOWER, "b.onnx"))
    after = result_file(result(SLOWER, "b.onnx"), result(SLOWER, "a.onnx"))  # another order
    assert compared(tmp_path, before, after, "--fail-above", "1.1") == 1
    failed = [line for line in capfd.readouterr().err.splitlines() if "failed" in line]
    assert len(failed) == 1
    assert "a.onnx" in failed[0]


def test_what_cannot_be_compared_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A file that has vanished, another machine, and a busy one all change what a ratio means."""
    before = result_file(result(STEADY), result(STEADY, "gone.onnx"))
    after = result_file(
        result(STEADY, reasons=["the machine was busy"], sha256="f" * 64),
        result(STEADY, "new.onnx"),
        environment={"processor": "Another", "cores": 2, "packages": {"onnxruntime": "1.32.0"}},
    )
    assert compared(tmp_path, before, after) == 0
    output = capfd.readouterr()
    assert "different" in output.out
    notes = output.err
    assert "gone.onnx on onnxruntime is in the first file only" in notes
    assert "new.onnx on onnxruntime is in the second file only" in notes
    assert "processor Test processor before, Another after" in notes
    assert "onnxruntime 1.31.1 before, 1.32.0 after" in notes
    assert "cores" not in notes
    assert "model.onnx is not valid in the second file: the machine was busy" in notes


def test_a_result_that_is_not_valid_can_still_fail(tmp_path: Path) -> None:
    """Else a gate on a busy machine would pass for ever."""
    after = result_file(result(SLOWER, reasons=["the machine was busy"]))
    assert compared(tmp_path, result_file(result(STEADY)), after, "--fail-above", "1.1") == 1


def test_the_same_file_on_two_backends_is_two_pairs() -> None:
    entries = [result(STEADY), result(SLOWER, backend="torch")]
    file = parse_report(result_file(*entries), "x")
    assert [pair.ratio.value for pair in compare_reports(file, file).pairs] == [1.0, 1.0]


GOOD = result_file(result(STEADY))
BROKEN = result(STEADY)
del BROKEN["latency_ms"]
OTHER_PRESET = {"name": "submission", "runs": 1024, "seconds": 60.0, "threads": 1}
TWO_THREADS = GOOD["protocol"] | {"threads": 2}


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        (GOOD | {"schema": 1}, "has schema 1; this version reads 2"),
        (["not", "ours"], "not a result file"),
        (result_file(), "no results"),
        (result_file(BROKEN), "damaged: KeyError('latency_ms')"),
        (result_file(result(STEADY) | {"samples_ms": [1.0, -1.0]}), "not a list of latencies"),
        (result_file(result(STEADY) | {"samples_ms": []}), "not a list of latencies"),
        (result_file(result(STEADY) | {"preprocess_ms": float("nan")}), "not a finite number"),
        (result_file(result(STEADY, "other.onnx")), "nothing in common: model.onnx on onnxruntime"),
        (result_file(result(STEADY), protocol=OTHER_PRESET), "quick before, submission after"),
        (result_file(result(STEADY), protocol=TWO_THREADS), "1 threads before, 2 after"),
        (result_file(result(STEADY), result(SLOWER)), "model.onnx on onnxruntime twice"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_errors_are_one_line(
    content: Any, phrase: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert compared(tmp_path, GOOD, content) == 2
    assert phrase in one_line_error(capfd)


def test_unreadable_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good = write(tmp_path / "good.json", GOOD)
    assert run(cli.app, "compare", good, tmp_path / "absent.json") == 2
    assert "cannot read" in one_line_error(capfd)
    damaged = tmp_path / "damaged.json"
    damaged.write_bytes(b"\xff{")
    assert run(cli.app, "compare", damaged, good) == 2
    assert "is not a result file" in one_line_error(capfd)
