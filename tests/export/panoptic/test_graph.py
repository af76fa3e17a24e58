"""The graph of fixed shapes says what the reference says with its lists and loops."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export.panoptic.branchless import not_negative, one_hot, positive, take
from export.panoptic.graph import PanopticGraph
from export.panoptic.limits import check_size, check_whole, with_limits
from export.panoptic.session import PanopticReferenceSession
from export.parity.compare import TOLERANCES, compare
from export.parity.match_detections import match_detections, same_segments
from export.rewrite import rewrite
from export.session import Outputs, TorchSession
from export.targets.onnx import target as onnx_target
from lvt.config import LVT
from lvt.data.images import packaged_photos, read_image
from lvt.data.preprocessing import fixed_size
from lvt.demo import DEMO_SIZE
from lvt.demo.scenes import make_scene
from lvt.errors import UserError
from lvt.models import ModelSpec, build_random, default_spec
from lvt.panoptic.config import PanopticConfig, ProposalConfig
from lvt.panoptic.fusion import PanopticMap, Segment
from lvt.panoptic.model import LVTPanoptic
from tests.helpers.models import conversion


@pytest.mark.parametrize(
    ("proposals", "detections", "found"), [(None, None, 23), (100, 5, 5)], ids=str
)
def test_graph_equals_the_reference(
    oracle_model: LVTPanoptic,
    oracle_image: np.ndarray,
    proposals: int | None,
    detections: int | None,
    found: int,
) -> None:
    """Every slot in order: no swap, no box more or less, with the official thousand proposals."""
    config = with_limits(oracle_model.config, proposals, detections)
    graph = PanopticGraph(oracle_model, config, (256, 320))
    spec = ModelSpec.for_panoptic(LVT, config)
    actual = TorchSession(graph, spec).run(oracle_image)
    expected = PanopticReferenceSession(oracle_model, config).run(oracle_image)
    assert (expected["scores"] > 0).sum() == found
    assert np.array_equal(actual["scores"] > 0, expected["scores"] > 0)
    assert np.array_equal(actual["labels"], expected["labels"])
    filled = expected["scores"] > 0
    for name, tolerance in (("boxes", 1e-3), ("scores", 1e-5), ("masks", 1e-4)):
        difference = np.abs(actual[name][filled] - expected[name][filled]).max()
        assert difference < tolerance, (name, difference)
    np.testing.assert_allclose(actual["semantic"], expected["semantic"], atol=1e-3)
    empty = ~filled
    if empty.any():
        assert actual["boxes"][empty].any() == actual["labels"][empty].any() == False  # noqa: E712


@pytest.mark.slow
def test_onnx_runtime_equals_the_reference(
    oracle_model: LVTPanoptic, oracle_image: np.ndarray, tmp_path: Path
) -> None:
    """The written file, rewritten backbone and ONNX's RoiAlign included, in its runtime."""
    config = with_limits(oracle_model.config, 200, 40)
    spec = ModelSpec.for_panoptic(LVT, config)
    rewritten = rewrite(oracle_model, "onnxruntime")
    graph = PanopticGraph(rewritten, config, (256, 320), onnx_target.roi_align)
    path = tmp_path / "panoptic.onnx"
    onnx_target.write(conversion(graph, spec, (256, 320), "fp32", {}), path)
    domains = {node.domain for node in onnx.load(path).graph.node}
    assert domains == {""}, "the file needs a custom operator"
    report = compare(
        PanopticReferenceSession(oracle_model, config),
        onnx_target.open_session(path),
        [oracle_image],
        spec,
        TOLERANCES["fp32"],
    )
    assert report.passed, report.failures
    assert report.unpaired_detections == 0
    assert {output.name for output in report.outputs} == {"boxes", "scores", "masks", "semantic"}


def test_bounds() -> None:
    config = PanopticConfig()
    assert with_limits(config, None, None).proposals == ProposalConfig(1000, 1000, 0.7)
    small = with_limits(config, 50, 80)
    assert (small.proposals.count, small.proposals.per_level) == (50, 100)
    assert small.detection.count == 50  # there are no more boxes than proposals
    assert with_limits(config, 5000, None).proposals.count == 1000
    with pytest.raises(UserError, match="--proposals 0"):
        with_limits(config, 0, None)
    low = replace(config, detection=replace(config.detection, score_threshold=0.3))
    with pytest.raises(UserError, match=r"score threshold of 0\.3 .* use --parts"):
        check_whole(with_limits(low, None, None))
    check_whole(config)


def test_sizes_that_do_not_meet_are_refused_with_one_that_does() -> None:
    check_size((256, 320))
    with pytest.raises(UserError, match="such as 256x352"):
        check_size((250, 321))


def outputs(boxes: list[list[float]], scores: list[float], labels: list[int]) -> Outputs:
    return {
        "boxes": np.array(boxes, np.float32),
        "scores": np.array(scores, np.float32),
        "labels": np.array(labels, np.int32),
        "masks": np.arange(len(boxes) * 4, dtype=np.float32).reshape(-1, 2, 2),
        "semantic": np.zeros((1, 2, 4, 4), np.float32),
    }


A, B, NONE = [0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 40.0, 30.0], [0.0, 0.0, 0.0, 0.0]


def test_swapped_slots_are_paired() -> None:
    """Equal scores may come in either order; that is no deviation."""
    actual, expected, alone = match_detections(
        outputs([B, A, NONE], [0.9, 0.9, 0], [2, 1, 0]),
        outputs([A, B, NONE], [0.9, 0.9, 0], [1, 2, 0]),
    )
    assert alone == 0
    assert np.array_equal(actual["boxes"], expected["boxes"])
    assert actual["masks"][0].tolist() == [[4, 5], [6, 7]]


def test_another_class_or_place_is_not_paired() -> None:
    """Pairing must not excuse a wrong answer."""
    reference = outputs([A], [0.9], [1])
    for other in (outputs([A], [0.9], [2]), outputs([B], [0.9], [1]), outputs([NONE], [0], [0])):
        actual, expected, alone = match_detections(other, reference)
        assert len(actual["boxes"]) == len(expected["boxes"]) == 0
        assert alone == (2 if other["scores"][0] > 0 else 1)


def make_map(ids: list[list[int]], segments: list[Segment]) -> PanopticMap:
    return PanopticMap(np.array(ids, np.int32), tuple(segments), void=9)


def test_instance_numbers_do_not_count_but_segments_do() -> None:
    first = make_map(
        [[1001, 1001, 2001, 5]],
        [Segment(1001, 1, 2, 0), Segment(2001, 1, 1, 1), Segment(5, 5, 1)],
    )
    renumbered = make_map(
        [[2001, 2001, 1001, 5]],
        [Segment(1001, 1, 1, 0), Segment(2001, 1, 2, 1), Segment(5, 5, 1)],
    )
    assert same_segments(renumbered, first) == 1.0
    other_class = make_map(
        [[1002, 1002, 1001, 5]], [Segment(1002, 2, 2, 0), Segment(1001, 1, 1, 1)]
    )
    assert same_segments(other_class, first) == 0.5  # the small car and the stuff


def test_split_instance_is_not_the_same() -> None:
    """Over-segmentation must cost agreement: only one part can be the instance."""
    whole = make_map([[1001, 1001, 1001, 1001]], [Segment(1001, 1, 4, 0)])
    split = make_map([[1001, 1001, 1001, 2001]], [Segment(1001, 1, 3, 0), Segment(2001, 1, 1, 1)])
    assert same_segments(split, whole) == 0.75
    assert same_segments(whole, split) == 0.75


@pytest.mark.slow
def test_coco_shaped_model_at_800x1216(tmp_path: Path) -> None:
    """133 classes at the official resolution: the graph must export, check and run."""
    size = (800, 1216)
    spec = default_spec("panoptic")
    assert spec.panoptic is not None
    config = with_limits(spec.panoptic, 100, 30)
    spec = replace(spec, panoptic=config)
    model = build_random(spec)
    assert isinstance(model, LVTPanoptic)
    graph = PanopticGraph(rewrite(model, "onnxruntime"), config, size, onnx_target.roi_align)
    path = tmp_path / "coco.onnx"
    onnx_target.write(conversion(graph, spec, size, "fp32", {}), path)
    image = fixed_size("panoptic", size)(read_image(packaged_photos()[0]))
    report = compare(
        PanopticReferenceSession(model, config),
        onnx_target.open_session(path),
        [image],
        spec,
        TOLERANCES["fp32"],
    )
    assert report.passed, report.failures


def test_scene_fills_the_demo_input_without_padding() -> None:
    image = fixed_size("panoptic", DEMO_SIZE)(make_scene(0, DEMO_SIZE).image)
    assert image.shape == (1, 3, *DEMO_SIZE)


def test_reference_keeps_its_own_bounds(oracle_model: LVTPanoptic) -> None:
    """A session bounds a copy; the model others hold must stay as it was."""
    before = copy.deepcopy(oracle_model.config)
    PanopticReferenceSession(oracle_model, with_limits(oracle_model.config, 10, 5))
    assert oracle_model.config == before
    assert isinstance(oracle_model.roi_head.bbox_head.fc_cls, torch.nn.Linear)


def test_arithmetic_decides_as_comparisons_do() -> None:
    """Down to the smallest numbers, and at the thresholds themselves."""
    tiny, huge = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
    above_half = float(np.nextafter(np.float32(0.5), np.float32(1)))
    x = torch.tensor([-huge, -1.5, -tiny, -0.0, 0.0, tiny, 1e-7, 0.5, 1.0, 1.5, huge])
    assert positive(x).tolist() == (x > 0).float().tolist()
    assert not_negative(x).tolist() == (x >= 0).float().tolist()
    near = torch.tensor([0.5, above_half])
    assert positive(near - 0.5).tolist() == [0.0, 1.0]
    assert one_hot(torch.tensor([2.0, 0.0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    table = torch.arange(12.0).reshape(4, 3)
    index = torch.tensor([3, 0, 3])
    assert torch.equal(take(table, index), table[index])
    assert torch.equal(take(table[:, 0], index), table[index, 0])


def test_scores_are_not_rounded() -> None:
    """An untrained RPN gives scores far below rounding at one; their order still decides."""
    spec = default_spec("panoptic")
    assert spec.panoptic is not None
    config = with_limits(spec.panoptic, 20, 5)
    model = build_random(spec, seed=1)
    assert isinstance(model, LVTPanoptic)
    model.rpn_head.rpn_cls.bias.data -= 18  # sigmoid about 1e-8
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    graph = PanopticGraph(model, config, (64, 64))
    with torch.no_grad():
        boxes, valid = graph.proposals(graph.neck(graph.backbone(image)))
        limited = copy.copy(model)
        limited.config = config
        expected = limited.proposals(limited(image), (64, 64)).boxes
    assert int(valid.sum()) == len(expected) == 20
    torch.testing.assert_close(boxes, expected, rtol=0, atol=1e-4)


def test_too_many_detections_without_partner_fail() -> None:
    """Boxes that rounding cannot explain are not compared; so they must not be many."""

    class Fixed:
        def __init__(self, shift: float):
            low = np.stack([np.arange(5) * 60.0, np.zeros(5)], axis=1).astype(np.float32)
            self.outputs: Outputs = {
                "boxes": np.concatenate([low + shift, low + 50 + shift], axis=1),
                "scores": np.full(5, 0.9, np.float32),
                "labels": np.zeros(5, np.int32),
                "masks": np.ones((5, 28, 28), np.float32),
                "semantic": np.ones((1, 54, 64, 80), np.float32),
            }

        def run(self, image: np.ndarray) -> Outputs:
            return self.outputs

    spec = default_spec("panoptic")
    image = np.zeros((1, 3, 256, 320), np.float32)
    same = compare(Fixed(0), Fixed(0.001), [image], spec, TOLERANCES["fp32"])
    assert (same.detections, same.unpaired_detections) == (10, 0)
    assert same.passed
    moved = compare(Fixed(0), Fixed(2), [image], spec, TOLERANCES["fp16"])
    assert moved.unpaired_detections == 10
    assert any("10 of 10 detections have no partner" in failure for failure in moved.failures)
