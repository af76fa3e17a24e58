"""Models in parts are quantized as one graph, and written as parts again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export.artifact.reader import open_artifact
from export.panoptic.parts.session import PartsSession
from export.pipeline import make_entry_points
from export.plan import ExportRequest, plan_export, resolve_model
from export.targets import load_target
from lvt.demo import DEMO_SIZE, HELD_OUT_SEEDS
from lvt.demo.scenes import make_scene
from quantization.backend_config import BACKEND_CONFIGS
from quantization.calibrated_model import calibrate
from quantization.graph import block_names
from quantization.graph_report import graph_report
from quantization.inputs import Inputs, as_tensors
from quantization.joint_model import JointModel
from quantization.pipeline import quantize
from quantization.plan import OUTPUT_HEAD, plan_quantization
from quantization.request import QuantizeRequest

REQUEST = ExportRequest("onnx", checkpoint="demo", size=(128, 160), form="parts")


@pytest.fixture(scope="module")
def joint() -> JointModel:
    model = resolve_model(REQUEST)
    plan = plan_export(REQUEST, model, recipe="onnxruntime_int8", precision="int8")
    return JointModel(make_entry_points(plan, load_target("onnx")), model.spec, plan.host)


@pytest.fixture(scope="module")
def inputs(joint: JointModel) -> list[Inputs]:
    preprocessing = resolve_model(REQUEST).preprocessing
    scenes = (make_scene(seed, DEMO_SIZE).image for seed in HELD_OUT_SEEDS[:2])
    return [joint.inputs(preprocessing(scene)) for scene in scenes]


def test_inputs_of_later_parts_are_features_of_real_boxes(
    joint: JointModel, inputs: list[Inputs]
) -> None:
    _core, boxes, masks = joint.entry_points
    for image, box_features, mask_features, classes in inputs:
        assert image.shape == (1, 3, 128, 160)
        assert box_features.shape == boxes.inputs[0].shape
        assert mask_features.shape == masks.inputs[0].shape
        assert (np.abs(box_features).max(axis=1) > 0).all(), "no empty place"
        assert (np.abs(mask_features).max(axis=(1, 2, 3)) > 0).all()
        assert classes.sum(axis=1).tolist() == [1.0] * len(classes)
    assert not np.array_equal(inputs[0][1], inputs[1][1])


def test_the_graph_splits_into_the_parts_it_was_made_of(
    joint: JointModel, inputs: list[Inputs]
) -> None:
    parts = joint.split(joint.trace(inputs[0]))
    assert [part.name for part in parts] == ["core", "boxes", "masks"]
    first = 0
    for part, original in zip(parts, joint.entry_points, strict=True):
        tensors = as_tensors(inputs[0][first : first + len(original.inputs)])
        first += len(original.inputs)
        with torch.inference_mode():
            found, expected = part.module(*tensors), original.module(*tensors)
        expected = (expected,) if isinstance(expected, torch.Tensor) else expected
        for value, other in zip(found, expected, strict=True):
            torch.testing.assert_close(value, other, atol=1e-5, rtol=1e-5)
    weights = {name for name, _ in parts[0].module.named_parameters()}
    assert not any("bbox_head" in name for name in weights), "a part holds what it needs only"


def test_blocks_and_heads_have_the_names_of_the_modules(
    joint: JointModel, inputs: list[Inputs]
) -> None:
    graph = joint.trace(inputs[0]).graph
    plan = plan_quantization(graph, BACKEND_CONFIGS["onnx"])
    names = block_names(graph, plan.integer_nodes)
    assert {"backbone.backbone.0.0", "neck.fpn_convs", "rpn_head.rpn_conv"} <= set(names)
    assert {"bbox_head.shared_fcs", "mask_head.convs"} <= set(names)
    heads = {layer for layer, reason in plan.float_reasons.items() if reason == OUTPUT_HEAD}
    assert heads == {
        "rpn_head.rpn_cls",
        "rpn_head.rpn_reg",
        "bbox_head.fc_cls",
        "bbox_head.fc_reg",
        "mask_head.upsample",
        "class_weights",
        "class_biases",
    }


@pytest.mark.slow
def test_every_call_of_a_part_counts(joint: JointModel, inputs: list[Inputs]) -> None:
    """16 detections in batches of 4: the mask head runs four times for a full picture."""
    module = joint.trace(inputs[0])
    calibrated = calibrate(module, BACKEND_CONFIGS["onnx"], inputs, "minmax")
    whole = graph_report(calibrated.module, calibrated.plan())
    without = graph_report(calibrated.module, calibrated.plan(["mask_head.convs"]))
    mask_macs = 4 * 4 * 14 * 14 * 9 * 48 * 48 * 4  # calls, batch, cells, kernel, channels, layers
    total = mask_macs / (whole.int8_mac_share - without.int8_mac_share)
    manifest_macs = 0.35e9  # at 128x160; all parts, all calls
    assert total == pytest.approx(manifest_macs, rel=0.5)


def test_in_integers_only_the_values_of_boxes_reach_the_output_in_16_bits(
    joint: JointModel, inputs: list[Inputs]
) -> None:
    """With 8 bits in the transposes behind the layers, and no range, all proposals were zero."""
    calibrated = calibrate(joint.trace(inputs[0]), BACKEND_CONFIGS["qnn"], inputs, "minmax")
    (output,) = (node for node in calibrated.module.graph.nodes if node.op == "output")
    levels = 5  # of the pyramid, each with objectness and deltas
    values = [node for node in output.all_input_nodes if calibrated.plan().bits[node] == 16]
    assert len(values) >= 2 * levels
    assert all(low < high for low, high in calibrated.ranges.values())
    assert calibrated.sqnr() > 15
    assert calibrated.fixed_blocks == {b for b in calibrated.blocks if b.endswith("attn")}


@pytest.mark.slow
def test_an_int8_artifact_in_parts(tmp_path: Path) -> None:
    from dataclasses import replace

    request = QuantizeRequest(replace(REQUEST, out=tmp_path), calib="demo", method="minmax")
    result = quantize(request)
    assert result.path.suffix == ".onnx-parts"
    assert result.manifest["precision"] == "int8"
    assert result.manifest["quantization"]["int8_share_of_macs"] > 0.8
    for name in ("core", "boxes", "masks"):
        nodes = onnx.load(result.path / f"{name}.onnx").graph.node
        assert any(node.op_type == "DequantizeLinear" for node in nodes), name
    assert isinstance(open_artifact(result.path).open_session(threads=1), PartsSession)
    assert result.parity.agreement is not None
    assert result.parity.agreement > 0.98
