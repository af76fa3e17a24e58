"""Anchors, delta coder, NMS and selection: single operations of the official code, and theory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lvt.panoptic.anchors import base_anchors, grid_anchors
from lvt.panoptic.boxes import ROI_CODER, RPN_CODER, DeltaCoder, clip_boxes, pairwise_iou
from lvt.panoptic.config import AnchorConfig, DetectionConfig, ProposalConfig
from lvt.panoptic.detections import select_detections
from lvt.panoptic.nms import grouped_nms, nms
from lvt.panoptic.rpn import RPNMaps, propose
from tests.oracles import Oracle, load_oracle

pytestmark = pytest.mark.usefixtures("one_thread")

GRID_SIZES = ((5, 7), (3, 4), (2, 2), (1, 2), (1, 1))
CODER_IMAGE = (200, 300)


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return load_oracle("panoptic_fpn_lvt")


def stored(oracle: Oracle, name: str) -> Tensor:
    return torch.from_numpy(oracle.arrays[f"unit/{name}"])


def random_boxes(count: int, seed: int) -> Tensor:
    """Boxes of all shapes: some leave the image, some have no width or no area at all."""
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(count, 2, generator=generator) * 120 - 20
    size = torch.rand(count, 2, generator=generator) ** 2 * 100
    size[::7, 0] = 0
    size[::11] = 0
    return torch.cat([low, low + size], dim=1)


@pytest.mark.parametrize("level", range(5))
def test_anchors(oracle: Oracle, level: int) -> None:
    """Anchors rounded, shifted by half a cell, or in another order than the RPN's channels."""
    config = AnchorConfig()
    stride = config.strides[level]
    base = base_anchors(stride, config)
    assert oracle.difference(f"unit/base_anchors{level}", base) < 1e-4
    anchors = grid_anchors(GRID_SIZES[level], stride, config)
    assert oracle.difference(f"unit/grid_anchors{level}", anchors) < 1e-4


@pytest.mark.parametrize(
    ("name", "coder", "factor"),
    # The stored row "roi" was made with three times the deltas, so that some reach the bound.
    [("rpn", RPN_CODER, 1), ("roi", ROI_CODER, 3)],
)
def test_decode(oracle: Oracle, name: str, coder: DeltaCoder, factor: int) -> None:
    """Deltas not scaled, scale not bounded, or boxes not clipped."""
    boxes, deltas = stored(oracle, "coder/boxes"), stored(oracle, "coder/deltas")
    decoded = coder.decode(boxes, factor * deltas)
    assert oracle.difference(f"unit/coder/{name}", clip_boxes(decoded, CODER_IMAGE)) < 5e-4


def test_decode_clips_nothing(oracle: Oracle) -> None:
    """Boxes clipped to an image that the coder was never told of."""
    boxes, deltas = stored(oracle, "coder/boxes"), stored(oracle, "coder/deltas")
    assert oracle.difference("unit/coder/roi_unclipped", ROI_CODER.decode(boxes, deltas)) < 5e-4


def test_decode_for_every_class(oracle: Oracle) -> None:
    """Classes and coordinates exchanged in the box head's output."""
    boxes, deltas = stored(oracle, "coder/boxes"), stored(oracle, "coder/deltas_3_classes")
    decoded = ROI_CODER.decode(boxes[:, None], deltas.reshape(len(boxes), 3, 4))
    clipped = clip_boxes(decoded, CODER_IMAGE)
    assert oracle.difference("unit/coder/roi_3_classes", clipped.flatten(1)) < 5e-4


@given(seed=st.integers(0, 2**31 - 1))
@settings(max_examples=20, deadline=None)
def test_encode_is_the_inverse_of_decode(seed: int) -> None:
    """Regression targets of training that inference decodes to other boxes."""
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(2, 16, 2, generator=generator) * 100
    size = 5 + torch.rand(2, 16, 2, generator=generator) * 100
    references, boxes = torch.cat([low, low + size], dim=-1)
    decoded = ROI_CODER.decode(references, ROI_CODER.encode(references, boxes))
    torch.testing.assert_close(decoded, boxes, rtol=0, atol=1e-3)


@pytest.mark.parametrize("threshold", [0.5, 0.7])
def test_nms(oracle: Oracle, threshold: float) -> None:
    """Boxes kept that the official suppression drops, or the other way round."""
    boxes, scores = stored(oracle, "nms/boxes"), stored(oracle, "nms/scores")
    assert oracle.difference(f"unit/nms/keep_{threshold}", nms(boxes, scores, threshold)) == 0
    groups = stored(oracle, "nms/group")
    kept = grouped_nms(boxes, scores, groups, threshold)
    assert oracle.difference(f"unit/nms/batched_keep_{threshold}", kept) == 0
    dets = torch.cat([boxes[kept], scores[kept, None]], dim=1)
    assert oracle.difference(f"unit/nms/batched_dets_{threshold}", dets) == 0


def test_nms_over_all_classes(oracle: Oracle) -> None:
    """A class-agnostic suppression that looks at classes."""
    boxes, scores = stored(oracle, "nms/boxes"), stored(oracle, "nms/scores")
    assert oracle.difference("unit/nms/agnostic_keep_0.5", nms(boxes, scores, 0.5)) == 0


@given(seed=st.integers(0, 2**31 - 1), count=st.integers(0, 40))
@settings(max_examples=30, deadline=None)
def test_nms_drops_exactly_what_a_better_survivor_overlaps(seed: int, count: int) -> None:
    """A survivor that overlaps a better one, or a box dropped by one that was itself dropped."""
    boxes = random_boxes(count, seed)
    scores = torch.rand(count, generator=torch.Generator().manual_seed(seed)).round(decimals=1)
    kept = nms(boxes, scores, 0.5).tolist()
    order = sorted(range(count), key=lambda index: (-scores[index].item(), index))
    overlaps = pairwise_iou(boxes, boxes) > 0.5
    expected: list[int] = []
    for index in order:
        if not any(overlaps[index, better] for better in expected):
            expected.append(index)
    assert kept == expected


def test_one_group_is_plain_nms() -> None:
    """The two variants disagreeing, also in the order of equal scores."""
    boxes = random_boxes(60, seed=3)
    scores = torch.arange(60).remainder(5).float()
    groups = torch.zeros(60, dtype=torch.int64)
    assert grouped_nms(boxes, scores, groups, 0.5).tolist() == nms(boxes, scores, 0.5).tolist()
    alone = grouped_nms(boxes, scores, torch.arange(60), 0.5).tolist()
    assert alone == scores.argsort(descending=True, stable=True).tolist()


def test_limits_themselves() -> None:
    """`>=` for `>`: an overlap equal to the limit is allowed, a score equal to it is too low."""
    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 2.0]])  # IoU 0.5
    assert nms(boxes, torch.tensor([0.9, 0.8]), 0.5).tolist() == [0, 1]
    config = DetectionConfig(score_threshold=0.5)
    scores = torch.tensor([[0.5], [0.75]])
    assert select_detections(boxes[:, None], scores, config).tolist() == [1]


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("seed", range(5))
def test_nms_equals_torchvision(seed: int, threshold: float) -> None:
    """A mistake that the oracle's boxes, all of them ordinary, do not show."""
    ops = pytest.importorskip("torchvision.ops")
    boxes = random_boxes(300, seed)
    scores = torch.rand(300, generator=torch.Generator().manual_seed(seed))
    expected = ops.nms(boxes, scores, threshold)
    assert nms(boxes, scores, threshold).tolist() == expected.tolist()


def test_selection_of_box_and_class(oracle: Oracle) -> None:
    """Pairs of box and class numbered, ordered or limited differently."""
    boxes = stored(oracle, "multiclass/boxes").reshape(40, 6, 4)
    scores = stored(oracle, "multiclass/scores")[:, :-1]  # without the background
    config = DetectionConfig(score_threshold=0.05, iou_threshold=0.5, count=25)
    pairs = select_detections(boxes, scores, config)
    assert oracle.difference("unit/multiclass/agnostic_index", pairs) == 0
    assert oracle.difference("unit/multiclass/agnostic_labels", pairs % 6) == 0
    dets = torch.cat([boxes.reshape(-1, 4)[pairs], scores.flatten()[pairs, None]], dim=1)
    assert oracle.difference("unit/multiclass/agnostic_dets", dets) == 0


def test_suppression_within_a_class(oracle: Oracle) -> None:
    """The grouped variant dropping a box for the sake of another class's."""
    boxes = stored(oracle, "multiclass/boxes").reshape(-1, 4)
    scores = stored(oracle, "multiclass/scores")[:, :-1].flatten()
    candidates = (scores > 0.05).nonzero().squeeze(1)
    kept = grouped_nms(boxes[candidates], scores[candidates], candidates % 6, 0.5)
    pairs = candidates[kept[:25]]
    assert oracle.difference("unit/multiclass/per_class_index", pairs) == 0
    assert oracle.difference("unit/multiclass/per_class_labels", pairs % 6) == 0
    dets = torch.cat([boxes[pairs], scores[pairs, None]], dim=1)
    assert oracle.difference("unit/multiclass/per_class_dets", dets) == 0


def test_proposals_with_a_limit_on_every_level(oracle: Oracle) -> None:
    """A limit on all levels together, or one that counts after suppression."""
    maps = RPNMaps(
        objectness=tuple(stored(oracle, f"rpn/cls{level}") for level in range(5)),
        deltas=tuple(stored(oracle, f"rpn/reg{level}") for level in range(5)),
    )
    result = propose(maps, (38, 53), AnchorConfig(), ProposalConfig(per_level=40, count=45))
    proposals = torch.cat([result.boxes, result.scores[:, None]], dim=1)
    assert oracle.difference("unit/rpn/proposals", proposals) < 1e-4


def test_boxes_without_width_or_height_are_not_proposed() -> None:
    """An anchor clipped to nothing at the border that goes on as a proposal of zero size."""
    anchors = AnchorConfig(scale=1.0, ratios=(1.0,), strides=(4, 8, 16, 32, 64))
    maps = RPNMaps(
        objectness=tuple(torch.zeros(1, 1, 3, 3) for _ in range(5)),
        deltas=tuple(torch.zeros(1, 4, 3, 3) for _ in range(5)),
    )
    result = propose(maps, (6, 6), anchors, ProposalConfig())
    assert len(result.boxes) > 0
    assert (result.boxes[:, 2:] > result.boxes[:, :2]).all()
    assert result.boxes.max() <= 6
    assert np.all(np.diff(result.scores.numpy()) <= 0)
