"""The `qnn` target as a user runs it: the real compiler, and the NPU's arithmetic in software."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from export.artifact.reader import open_artifact
from export.capabilities import TARGETS, IntegerPrecision, installed
from export.chips import CHIPS, Chip, find_chips
from export.cli import eval as eval_cli
from export.cli import export as export_cli
from export.cli import run as run_cli
from export.cli import verify as verify_cli
from export.errors import ConversionError
from export.parity.compare import TOLERANCES, tolerance_of
from export.pipeline import convert, make_entry_points
from export.plan import ExportRequest, plan_export, resolve_model
from export.session import TorchEntryPoints
from export.targets import load_target
from lvt.data.images import packaged_photos, read_image
from lvt.data.metrics import sqnr_db
from lvt.errors import UserError
from lvt.models import ModelSpec
from quantization.backend_config import backend_config
from quantization.calibrated_model import calibrate
from quantization.candidate import MIN_SIMULATION_SQNR_DB
from quantization.cli import quantize as quantize_cli
from quantization.joint_model import JointModel
from tests.conftest import tiny
from tests.export.test_cli import one_line_error, run
from tests.helpers.shared_artifacts import SharedArtifacts

pytestmark = pytest.mark.slow

needs_htp = pytest.mark.skipif(
    not installed(TARGETS["qnn"]), reason="needs lvt-mobile[qnn], which has wheels for Linux x86-64"
)

CHIP = CHIPS["sm8650"]


def test_chips_by_the_names_people_know() -> None:
    assert find_chips(["sm8650"]) == find_chips(["Snapdragon 8 Gen 3"]) == (CHIP,)
    assert find_chips(["SM8650", "8 gen 3", "8-elite"]) == (CHIP, CHIPS["sm8750"])
    assert find_chips(["all"]) == tuple(CHIPS.values())
    assert {69, 73, 75, 79, 81} <= {chip.htp_arch for chip in CHIPS.values()}
    with pytest.raises(UserError, match=r"--soc sm1: unknown chip; known: sm8450 .*, all"):
        find_chips(["sm1"])


def test_a_chip_must_be_named(
    tiny_checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if installed(TARGETS["qnn"]):
        assert run(export_cli.app, "qnn", "--ckpt", tiny_checkpoint, "--out", tmp_path) == 2
        assert "name them with --soc" in one_line_error(capfd)
    assert run(export_cli.app, "onnx", "--soc", "sm8650", "--out", tmp_path) == 2
    assert "--soc is for qnn only" in one_line_error(capfd)
    assert not list(tmp_path.iterdir())


def test_only_fp16_on_the_npu_has_the_wider_tolerance() -> None:
    assert tolerance_of("fp16", "coreml") == TOLERANCES["fp16"]
    npu = tolerance_of("fp16", "qnn")
    assert npu is not None
    assert npu.sqnr_db == TOLERANCES["fp16"].sqnr_db
    assert tolerance_of("w8a8", "qnn") is None


@pytest.fixture
def artifact(tiny_checkpoint: Path, shared_artifacts: SharedArtifacts) -> Path:
    def export(folder: Path) -> Path:
        chips = ("--soc", "sm8650", "--soc", "sm8550")
        assert run(export_cli.app, "qnn", "--ckpt", tiny_checkpoint, *chips, "--out", folder) == 0
        return next(folder.glob("*.qnn"))

    return shared_artifacts.once("qnn", export)


@needs_htp
def test_the_artifact(artifact: Path) -> None:
    manifest = open_artifact(artifact).manifest
    assert manifest["placement"]["fallback"] == "none"
    assert manifest["parity"]["passed"]
    assert "software HTP" in manifest["parity"]["runtime"]
    assert [chip["soc"] for chip in manifest["chips"]] == ["sm8550", "sm8650"]
    for chip in manifest["chips"]:
        assert (chip["vtcm_mb"], chip["htp_arch"]) == (8, CHIPS[chip["soc"]].htp_arch)
        assert chip["qairt"].count(".") == 2
        compiled = onnx.load(artifact / chip["soc"] / "main.onnx")
        assert [node.op_type for node in compiled.graph.node] == ["EPContext"]
    hashes = {chip["sha256"] for chip in manifest["chips"]}
    assert len(hashes) == 2  # each chip has a context of its own


@needs_htp
def test_commands_take_it(
    artifact: Path, tiny_checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    photo = packaged_photos()[0]
    overlay = tmp_path / "overlay.png"
    assert run(run_cli.app, artifact, photo, "--out", overlay, "--json") == 0
    assert json.loads(capfd.readouterr().out)["overlay"] == str(overlay)  # and nothing else

    options = ("--on", "htp", "--ckpt", tiny_checkpoint, "--pictures", 1, "--json")
    assert run(verify_cli.app, artifact, *options) == 0
    (file,) = json.loads(capfd.readouterr().out)["files"]
    names = [check["name"] for check in file["checks"]]
    assert names[:2] == ["context sm8550 (v73)", "parity sm8550 (v73)"]
    assert len(names) == 6
    assert run(verify_cli.app, artifact, "--on", "htp", "--soc", "sm8850") == 2
    assert "has no context for sm8850" in one_line_error(capfd)
    assert run(verify_cli.app, artifact, "--soc", "sm8650") == 2
    assert "add --on htp" in one_line_error(capfd)


@needs_htp
def test_an_evaluation_says_whose_figures_they_are(
    artifact: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    shutil.copy(packaged_photos()[0], tmp_path / "images" / f"a{packaged_photos()[0].suffix}")
    with Image.open(packaged_photos()[0]) as photo:
        Image.new("L", photo.size, 1).save(tmp_path / "masks" / "a.png")
    assert run(eval_cli.app, artifact, "--data", tmp_path) == 0
    note = " ".join(capfd.readouterr().err.split())
    assert "measured with ONNX Runtime's CPU on the same file; the software HTP against it" in note


@needs_htp
@pytest.mark.parametrize("damage", ["other chip", "no chip", "not compiled whole"])
def test_a_wrong_context_never_passes(artifact: Path, tmp_path: Path, damage: str) -> None:
    """On Linux every context runs, whatever chip it is for, and the CPU would run the rest."""
    from export.targets.qnn.session import HtpSession

    copy = tmp_path / artifact.name
    shutil.copytree(artifact, copy)
    if damage == "other chip":
        shutil.rmtree(copy / "sm8650")
        shutil.copytree(copy / "sm8550", copy / "sm8650")
        with pytest.raises(ConversionError, match="says that it is for chip 43, v73"):
            HtpSession(copy, CHIP)
    elif damage == "no chip":
        with pytest.raises(UserError, match="has no context for sm8850, only for sm8550, sm8650"):
            HtpSession(copy, CHIPS["sm8850"])
    else:
        shutil.copy(copy / "main.onnx", copy / "sm8650" / "main.onnx")
        with pytest.raises(ConversionError, match="is not one compiled graph"):
            HtpSession(copy, CHIP)


def _save(path: Path, nodes: list[onnx.NodeProto], shape: list[int]) -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"]
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:])
    opset = helper.make_opsetid("", 20)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)


@needs_htp
@pytest.mark.parametrize(
    "chip", [CHIP, Chip("sm0000", "no such chip", 0, 0)], ids=["chip", "unknown chip"]
)
def test_an_operator_for_the_cpu_is_an_error(tmp_path: Path, chip: Chip) -> None:
    """The provider would leave the operator, or with an unknown chip everything, to the CPU."""
    from export.targets.qnn.provider import open_on_npu

    path = tmp_path / "graph.onnx"
    relu = helper.make_node("Relu", ["x"], ["z"])
    _save(path, [relu, helper.make_node("Acosh", ["z"], ["y"])], [1, 8, 8, 4])
    with pytest.raises(ConversionError, match=r"qnn: graph.onnx on sm\d{4}: .*") as caught:
        open_on_npu(path, chip)
    assert "\n" not in str(caught.value)


PRECISIONS = ("w8a8", "w8a16")
RANDOM: dict[str, ModelSpec] = {
    "backbone": ModelSpec("backbone", tiny(1)),
    "classification": ModelSpec("classification", tiny(), 7),
}


@needs_htp
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("task", ["semantic", *RANDOM])
def test_quantized_on_the_npu(
    task: str,
    precision: str,
    tiny_checkpoint: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    random_checkpoint: Callable[[ModelSpec], Path],
) -> None:
    """Random weights are hard to quantize: the budgets say what these precisions are."""
    checkpoint = tiny_checkpoint if task == "semantic" else random_checkpoint(RANDOM[task])
    options: list[object] = ["--ckpt", checkpoint, "--size", "64x96", "--soc", "sm8650"]
    options += ["--calib", packaged_photos()[0].parent, "--precision", precision]
    options += ["--method", "minmax", "--budget", "15dB" if precision == "w8a8" else "35dB"]
    assert run(quantize_cli.app, "qnn", *options, "--out", tmp_path, "--json") == 0
    manifest = json.loads(capfd.readouterr().out)
    assert manifest["precision"] == precision
    assert manifest["placement"]["fallback"] == "none"
    quantization = manifest["quantization"]
    assert quantization["int8_share_of_macs"] == 1
    wide = quantization["share_of_16_bit_values"]
    assert wide == 1 if precision == "w8a16" else wide < 0.5
    assert "software HTP" in quantization["budget"]["measured_in"]
    graph = onnx.load(next(tmp_path.glob("*.qnn")) / "main.onnx").graph
    producers = {output: node.op_type for node in graph.node for output in node.output}
    for node in graph.node:  # every operator reads integers and writes integers
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            for name in filter(None, node.input):
                constant_shape = node.op_type in ("Reshape", "Slice", "Pad", "Resize", "Expand")
                if not constant_shape or name == node.input[0]:
                    assert producers.get(name) == "DequantizeLinear", (node.op_type, name)


@needs_htp
def test_panoptic_in_parts(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Three graphs share one context."""
    options = ("--ckpt", "demo", "--size", "128x160", "--soc", "sm8650", "--out", tmp_path)
    assert run(export_cli.app, "qnn", *options, "--json") == 0
    manifest = json.loads(capfd.readouterr().out)
    assert manifest["placement"]["fallback"] == "none"
    assert manifest["parity"]["agreement"]["value"] > 0.99
    (artifact,) = tmp_path.glob("*.qnn")
    contexts = set()
    for part in ("core", "boxes", "masks"):
        (node,) = onnx.load(artifact / "sm8650" / f"{part}.onnx").graph.node
        contexts |= {a.s for a in node.attribute if a.name == "ep_cache_context"}
    assert len(contexts) == 1


@needs_htp
@pytest.mark.parametrize("precision", PRECISIONS)
def test_panoptic_in_parts_quantized(precision: IntegerPrecision, tmp_path: Path) -> None:
    """Each part in the NPU's arithmetic, against the simulation that the budget is about."""
    request = ExportRequest(
        "qnn", out=tmp_path, checkpoint="demo", size=(128, 160), soc=("sm8650",)
    )
    model, target = resolve_model(request), load_target("qnn")
    plan = plan_export(request, model, precision=precision)
    joint = JointModel(make_entry_points(plan, target), model.spec, plan.host)
    images = [model.preprocessing(read_image(path)) for path in packaged_photos()[:2]]
    inputs = [joint.inputs(image) for image in images]
    config = backend_config(plan)
    calibrated = calibrate(joint.trace(inputs[0]), config, inputs, "minmax")
    file = tmp_path / "model.qnn"
    convert(plan, target, joint.split(calibrated.program()), file)
    on_npu = target.open_entry_points(file)
    simulated = TorchEntryPoints(joint.split(calibrated.simulated()))
    rest = list(inputs[0])
    for entry in joint.entry_points:
        values = {info.name: rest.pop(0) for info in entry.inputs}
        expected = simulated.call(entry.name, values)
        for name, actual in on_npu.call(entry.name, values).items():
            limit = 50 if precision == "w8a16" else MIN_SIMULATION_SQNR_DB
            assert sqnr_db(actual, expected[name]) > limit, (entry.name, name)


@needs_htp
def test_latency_on_linux_is_refused(artifact: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from device_bench.cli import bench

    assert run(bench.app, artifact) == 2
    assert "qnn latency needs the phone" in one_line_error(capfd)


@pytest.fixture
def random_checkpoint(tmp_path: Path) -> Callable[[ModelSpec], Path]:
    from lvt.checkpoint import CheckpointMeta, write_checkpoint
    from lvt.models import build_random

    def make(spec: ModelSpec) -> Path:
        path = tmp_path / f"{spec.task}.safetensors"
        write_checkpoint(path, build_random(spec, seed=5), spec, CheckpointMeta())
        return path

    return make


@needs_htp
def test_products_of_16_bits(tmp_path: Path) -> None:
    """The NPU rounds an unsigned right operand to 8 bits (43 dB); ours is signed and symmetric."""
    import torch
    from torch import nn

    from export.entry_point import EntryPoint, TensorInfo
    from export.targets.onnx.convert import Format, convert
    from export.targets.qnn.provider import open_on_npu
    from lvt.data.metrics import SignalToNoise
    from quantization.backend_config import BACKEND_CONFIGS
    from quantization.calibrated_model import calibrate
    from quantization.graph import trace

    class Product(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ x.flip(1).transpose(2, 3)

    generator = np.random.default_rng(0)
    inputs = [(generator.normal(size=(1, 2, 24, 32)).astype(np.float32),) for _ in range(3)]
    config = replace(BACKEND_CONFIGS["qnn"], activation_bits=16)
    calibrated = calibrate(trace(Product(), inputs[0]), config, inputs, "minmax")
    image = TensorInfo("image", (1, 2, 24, 32), "NCHW", "")
    out = TensorInfo("out", (1, 2, 24, 24), "NCHW", "")
    path = tmp_path / "main.onnx"
    convert(EntryPoint("main", calibrated.program(), (image,), (out,)), {}, path, Format(21, 10))
    session = open_on_npu(path, CHIP)
    ratio = SignalToNoise()
    for (value,) in inputs:
        ratio.add(
            session.run(None, {"image": value})[0], Product()(torch.from_numpy(value)).numpy()
        )
    assert ratio.db > 60
