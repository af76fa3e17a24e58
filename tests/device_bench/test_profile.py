"""lvt-bench --profile: what each runtime's profiler tells of real files."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from device_bench.cli import bench as cli
from device_bench.measure.backends import BACKENDS, open_bench_target
from device_bench.measure.statistics import LatencySamples
from device_bench.profile.chart import draw_chart
from device_bench.profile.families import CONVERSION, FAMILIES, LAYOUT, family
from device_bench.profile.run_profile import RECORDERS, record_trace, unsupported_reason
from device_bench.profile.summary import summarise_trace
from device_bench.profile.tables import profile_notes
from device_bench.profile.trace import INFERENCES, Operator, Trace
from device_bench.results.operator_profile import OperatorProfile
from export.capabilities import TARGETS, installed
from export.pipeline import ExportResult
from export.placement import Placement
from export.plan import ExportRequest
from export.targets import load_target
from lvt.models import ModelSpec
from tests.conftest import TINY
from tests.export.test_cli import one_line_error, run
from tests.helpers.int8_model import SMALL_SPEC, in_int8, small
from tests.helpers.models import conversion
from tests.helpers.shared_artifacts import SharedArtifacts

pytestmark = pytest.mark.slow

PROFILED = ("onnx", "tflite", "executorch")


@pytest.fixture(scope="module")
def artifacts(tiny_checkpoint: Path, shared_artifacts: SharedArtifacts) -> dict[str, Path]:
    """The tiny model for every target that is installed and can be profiled."""
    return {
        name: shared_artifacts.export(ExportRequest(name, checkpoint=tiny_checkpoint)).path
        for name in PROFILED
        if installed(TARGETS[name])
    }


@dataclass(frozen=True)
class Profiled:
    """A trace, and its profile beside a timing of 1 ms."""

    trace: Trace
    profile: OperatorProfile


@pytest.fixture(scope="module")
def profiles(artifacts: dict[str, Path]) -> dict[str, Profiled]:
    """Of all artifacts."""
    made = {}
    for name, path in artifacts.items():
        trace = record_trace(open_bench_target(path), threads=1)
        placement = load_target(name).placement(path)
        made[name] = Profiled(trace, summarise_trace(trace, placement, np.ones(4)))
    return made


def of(profiles: dict[str, Profiled], target: str) -> Profiled:
    if target not in profiles:
        pytest.skip(f"{target}: its extra is not installed")
    return profiles[target]


@pytest.mark.parametrize("target", PROFILED)
def test_operators_add_up_to_the_inference(profiles: dict[str, Profiled], target: str) -> None:
    """Times in another unit, of another run, or counted twice would show here."""
    profiled = of(profiles, target)
    trace, profile = profiled.trace, profiled.profile
    assert trace.operator_ms.shape == (INFERENCES, len(trace.operators))
    assert len(trace.inference_ms) == INFERENCES
    assert (trace.operator_ms.sum(axis=1) <= trace.inference_ms).all()
    total = sum(operator.ms for operator in profile.operators)
    assert total > 0  # a tiny model is mostly dispatch
    rounding = 5e-5 * (len(profile.operators) + 2)
    assert total + profile.between_ms == pytest.approx(profile.inference_ms, abs=rounding)
    assert sum(entry.ms for entry in profile.types) == pytest.approx(total, abs=rounding)
    assert sum(profile.families.values()) == pytest.approx(total, abs=rounding)
    assert profile.slowdown == pytest.approx(profile.inference_ms)  # over 1 ms


@pytest.mark.parametrize("target", PROFILED)
def test_what_the_graph_has_is_found_in_its_profile(
    profiles: dict[str, Profiled], target: str
) -> None:
    """An operator that no family knows would hide in `other`."""
    profile = of(profiles, target).profile
    families = profile.families
    assert {"convolutions", "matrix products", "softmax, norms, sums", LAYOUT} <= set(families)
    assert "other" not in families
    layout = [
        operator.ms
        for operator in profile.operators
        if family(operator.type) in (LAYOUT, CONVERSION)
    ]
    assert len(layout) > 5
    assert profile.layout_ms == pytest.approx(sum(layout), abs=5e-5 * (len(layout) + 1))
    assert profile.outside_ms == 0
    assert profile.placement.fallback == "none"


def test_onnx_operators_name_their_modules(profiles: dict[str, Profiled]) -> None:
    """Also those that ONNX Runtime made of others; without names nobody knows where to look."""
    operators = of(profiles, "onnx").trace.operators
    assert len({operator.name for operator in operators}) == len(operators)
    convolutions = [operator for operator in operators if operator.type == "Conv"]
    assert convolutions
    assert all(operator.module for operator in convolutions)
    assert any((operator.module or "").startswith("backbone.") for operator in convolutions)


def test_reorders_are_layout_changes(profiles: dict[str, Profiled]) -> None:
    """ONNX Runtime puts them into the graph itself; the file does not have them."""
    types = {entry.type: entry for entry in of(profiles, "onnx").profile.types}
    reorders = [types[name] for name in ("ReorderInput", "ReorderOutput") if name in types]
    if not reorders:
        pytest.skip("this processor has no blocked layout")
    assert all(entry.family == LAYOUT and entry.count for entry in reorders)


class Broken(nn.Module):
    """Two convolutions with a strided slice in between, which XNNPACK does not take."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.second = nn.Conv2d(4, 2, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(image)[:, :, ::2])


@pytest.mark.parametrize("target", ["tflite", "executorch"])
def test_operators_outside_the_delegates(
    target: str, tmp_path: Path, profiles: dict[str, Profiled]
) -> None:
    """They come from another source than the delegates' own, and are what one looks for first."""
    of(profiles, target)
    path = tmp_path / f"broken{TARGETS[target].suffix}"
    given = conversion(
        Broken().eval(), ModelSpec("semantic", TINY, 2), (32, 32), "fp32", {"lvt.task": "semantic"}
    )
    load_target(target).write(given, path)
    placement = load_target(target).placement(path)
    assert placement.fallback == "partial"

    module = RECORDERS[TARGETS[target].runtime]
    recorder = importlib.import_module(f"device_bench.profile.{module}")
    trace = recorder.record(path, np.ones((1, 3, 32, 32), np.float32), 1)
    outside = [operator for operator in trace.operators if not operator.delegated]
    assert len(outside) == sum(placement.outside.values())
    assert {operator.type for operator in outside} == set(placement.outside)
    inside = [operator.type for operator in trace.operators if operator.delegated]
    assert sum(family(name) == "convolutions" for name in inside) == 2
    profile = summarise_trace(trace, placement, trace.inference_ms)
    assert 0 < profile.outside_ms < profile.inference_ms
    assert profile.slowdown == 1


def test_conversions_of_int8_files_are_counted(
    tmp_path: Path, profiles: dict[str, Profiled]
) -> None:
    """Islands of float are why int8 gains little; their borders must be visible."""
    of(profiles, "tflite")
    image = np.random.default_rng(0).standard_normal((1, 3, 16, 24)).astype(np.float32)
    program = in_int8(small(), torch.from_numpy(image))
    path = tmp_path / "int8.tflite"
    given = conversion(program, SMALL_SPEC, (16, 24), "int8", {"lvt.task": "backbone"})
    load_target("tflite").write(given, path)
    trace = importlib.import_module("device_bench.profile.litert_trace").record(path, image, 1)
    families = [family(operator.type) for operator in trace.operators]
    assert families.count(CONVERSION) >= 2  # at least one into int8 and one out of it
    assert families.count("convolutions") + families.count("matrix products") == 6


def test_every_backend_is_profiled_or_says_why() -> None:
    """A backend that is added later must not fail after minutes of timing."""
    for backend in BACKENDS:
        module = RECORDERS.get(backend)
        reason = unsupported_reason(backend, in_parts=False)
        assert (module is None) == (reason is not None), backend
        if module is not None:
            assert importlib.util.find_spec(f"device_bench.profile.{module}")


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (["Conv", "QLinearConv", "TRANSPOSE_CONV", "Deconvolution (NHWC, F32) Subconv2D"], 0),
        (["FusedMatMul", "Gemm", "bmm", "FULLY_CONNECTED", "Batch Matrix Multiply (NC, F32)"], 1),
        (["Cast", "QuantizeLinear", "DEQUANTIZE", "Convert (NC, F32, QS8)"], 2),
        (["Transpose (ND, X32)", "ReorderOutput", "RESHAPE", "Unsqueeze", "permute_copy"], 3),
        (["Resize", "MaxPool", "upsample_bilinear2d"], 4),
        (["LayerNormalization", "ReduceMax", "Mean (ND) Reduce2", "_softmax"], 5),
        (["Slice", "EMBEDDING_LOOKUP", "CONCATENATION", "Expand", "Constant Pad (ND, X32)"], 6),
        (["Add", "Gelu", "Reciprocal Square Root (NC)", "LOGISTIC", "Invalid Unary Op"], 7),
        (["TOPK_V2", "ArgMax", "NonMaxSuppression", "RoiAlign", "Loop"], 8),
    ],
)
def test_families(types: list[str], expected: int) -> None:
    """Words of one family are parts of another's: convert, transpose of a convolution, max."""
    assert [family(name) for name in types] == [FAMILIES[expected]] * len(types)


QUIET = np.full(4, 4.0)


def made(outside_ms: float, timed_ms: LatencySamples = QUIET) -> OperatorProfile:
    """Two operators in four inferences, of which two were disturbed."""
    operators = (Operator("Conv", "a", None, True), Operator("TOPK_V2", "b", "head", False))
    operator_ms = np.array([[3, outside_ms], [30, 30], [5, outside_ms], [30, 30]], np.float64)
    trace = Trace(operators, operator_ms, operator_ms.sum(axis=1) + 1, ("as told",))
    placement = Placement("XNNPACK", 2, {"Conv": 1}, {"TOPK_V2": 1})
    return summarise_trace(trace, placement, timed_ms)


def test_disturbed_inferences_do_not_count() -> None:
    profile = made(outside_ms=2.0)
    assert [operator.ms for operator in profile.operators] == [4, 2]
    assert (profile.inference_ms, profile.between_ms, profile.outside_ms) == (7, 1, 2)
    assert profile.slowdown == 7 / 4
    assert [entry.type for entry in profile.types] == ["Conv", "TOPK_V2"]
    assert [operator.name for operator in made(outside_ms=9.0).operators] == ["b", "a"]


def test_a_slow_profile_says_so() -> None:
    """Shares of an inference that the profiler has bent would be taken for those of the timing."""
    assert any("the shares are approximate" in line for line in profile_notes(made(2.0)))
    calm = made(outside_ms=2.0, timed_ms=np.full(4, 7.0))
    assert list(profile_notes(calm)) == ["XNNPACK in 2 partitions; outside: TOPK_V2 x1", "as told"]


def test_bars_have_the_lengths_of_their_figures() -> None:
    """4 ms against 2 ms and 8 ms: the coloured areas are as 1 to 2."""
    pictures = [draw_chart([("a.onnx", made(ms)), ("b.tflite", made(8.0))]) for ms in (2.0, 4.0)]
    rows = []
    for picture in pictures:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
        blue = (np.abs(pixels - (0x3B, 0x6E, 0xA8)).sum(axis=2) == 0).sum(axis=1)
        rows.append(sorted(set(blue.tolist()))[-3:])
    other, conv = rows[0][-2], rows[0][-1]
    assert conv / other == pytest.approx(2, rel=0.02)


def test_command(
    artifacts: dict[str, Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Tables, result file and picture say the same, and the timing stays what it was."""
    results, chart = tmp_path / "results.json", tmp_path / "chart.png"
    paths = list(artifacts.values())
    timing = ["--runs", "6", "--min-seconds", "0"]
    arguments = [*paths, *timing, "--profile", "--profile-chart", chart, "--json", results]
    assert run(cli.app, *arguments) == 0
    output = capfd.readouterr().out
    assert "where the time goes" in output
    assert "profiled / timed" in output
    assert f"{len(paths)}: slowest types and operators" in output
    assert "outside: nothing" in output

    entries = json.loads(results.read_text())["results"]
    assert len(entries) == len(paths)
    for entry in entries:
        assert len(entry["samples_ms"]) == 6
        found = entry["profile"]
        assert found["inferences"] == INFERENCES
        assert found["slowdown"] > 0
        assert found["placement"]["fallback"] == "none"
        assert sum(found["families"].values()) + found["between_ms"] == pytest.approx(
            found["inference_ms"], abs=0.01
        )
        assert sum(t["count"] for t in found["types"]) == len(found["operators"])
        times = [operator["ms"] for operator in found["operators"]]
        assert times == sorted(times, reverse=True)
        assert {"type", "name", "module", "delegated", "ms"} == set(found["operators"][0])
    with Image.open(chart) as picture:
        assert picture.format == "PNG"
        assert picture.width > 800
        assert len(picture.getcolors(1 << 20) or []) > 3


def test_without_the_flag_nothing_is_profiled(tiny_export: ExportResult, tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    timing = ["--runs", "3", "--min-seconds", "0"]
    assert run(cli.app, tiny_export.path, *timing, "--json", results) == 0
    assert json.loads(results.read_text())["results"][0]["profile"] is None


def test_one_that_cannot_be_profiled_is_named(
    tiny_export: ExportResult, capfd: pytest.CaptureFixture[str]
) -> None:
    """The others are profiled all the same, under the numbers of the tables before."""
    backends = ["--backend", "torch", "--backend", "onnxruntime"]
    timing = ["--runs", "3", "--min-seconds", "0"]
    assert run(cli.app, tiny_export.path, *backends, *timing, "--profile") == 0
    output = capfd.readouterr()
    assert "2: slowest types" in output.out
    assert "1: slowest types" not in output.out
    assert "not profiled: " in output.err


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (["--profile", "--backend", "torch"], "nothing to profile: the PyTorch reference"),
        (["--profile", "--backend", "coreml"], "coreml latency needs"),
        (["--profile-chart", "chart.jpg"], "chart.jpg should end in .png"),
        (["--profile-chart", "FILE/chart.png"], "cannot write to"),
        (["--profile-chart", "FOLDER.png"], "is a folder"),
    ],
    ids=["torch", "coreml", "suffix", "unwritable", "folder"],
)
def test_errors_come_before_the_timing(
    arguments: list[str],
    phrase: str,
    tiny_export: ExportResult,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.png").mkdir()
    places = {"FILE": str(tmp_path / "file"), "FOLDER.png": str(tmp_path / "folder.png")}
    filled = arguments
    for word, place in places.items():
        filled = [argument.replace(word, place) for argument in filled]
    assert run(cli.app, tiny_export.path, *filled) == 2
    assert phrase in one_line_error(capfd)
