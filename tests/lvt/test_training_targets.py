"""Matching, sampling, batches and RoIAlign for training, on cases computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lvt.data.datasets.samples import PanopticSample
from lvt.panoptic.quality import PanopticTruth, TrueSegment
from lvt.panoptic.roi_heads import as_rois, extract
from lvt.training.augment import crop, flip
from lvt.training.batch import IGNORED_PIXEL, collate
from lvt.training.batched_roi_align import align_boxes, crop_masks, extract_boxes
from lvt.training.matcher import (
    IGNORED,
    NEGATIVE,
    ROI_MATCHER,
    RPN_MATCHER,
    match_boxes,
    sample_boxes,
)

TRUTH = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]])


def test_thresholds() -> None:
    """Overlaps with the first box: 1, 0.7, 0.5 and 0.1."""
    boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 7], [0, 0, 10, 5], [0, 0, 10, 1]]).float()
    assert match_boxes(boxes, TRUTH, ROI_MATCHER).tolist() == [0, 0, 0, NEGATIVE]
    assert match_boxes(boxes, TRUTH[:1], RPN_MATCHER).tolist() == [0, 0, IGNORED, NEGATIVE]


def test_every_truth_keeps_its_closest_anchors() -> None:
    """No anchor reaches 0.7, so the best ones, here two alike, are positive all the same."""
    boxes = torch.tensor([[0, 0, 10, 5], [0, 5, 10, 10], [0, 0, 10, 4]]).float()
    assert match_boxes(boxes, TRUTH, RPN_MATCHER).tolist() == [0, 0, IGNORED]


def test_a_truth_too_far_from_any_anchor_gets_none() -> None:
    boxes = torch.tensor([[0, 0, 10, 2.9]])
    assert match_boxes(boxes, TRUTH, RPN_MATCHER).tolist() == [NEGATIVE]


def test_picture_without_things_is_all_background() -> None:
    assert match_boxes(TRUTH, TRUTH[:0], RPN_MATCHER).tolist() == [NEGATIVE, NEGATIVE]


def test_sampler_fills_up_with_negatives() -> None:
    matches = torch.tensor([0, NEGATIVE, IGNORED, 1, NEGATIVE, NEGATIVE, 0, 1])
    generator = torch.Generator().manual_seed(0)
    positive, negative = sample_boxes(matches, 4, 0.25, generator)
    assert len(positive) == 1
    assert matches[positive] >= 0
    assert negative.tolist() == [1, 4, 5]
    positive, negative = sample_boxes(matches, 100, 0.5, generator)
    assert positive.tolist() == [0, 3, 6, 7]
    assert negative.tolist() == [1, 4, 5]


def test_sampler_depends_on_the_generator_alone() -> None:
    matches = torch.zeros(1000, dtype=torch.int64)
    first = sample_boxes(matches, 32, 1.0, torch.Generator().manual_seed(3))[0]
    torch.manual_seed(99)
    assert torch.equal(first, sample_boxes(matches, 32, 1.0, torch.Generator().manual_seed(3))[0])


def test_fast_roi_align_is_the_reference_one() -> None:
    generator = torch.Generator().manual_seed(0)
    sides = [(32, 40), (16, 20), (8, 10), (4, 5)]
    levels = [torch.randn(2, 6, *side, generator=generator) for side in sides]
    corner = torch.rand(30, 2, generator=generator) * 100
    side = torch.rand(30, 2, generator=generator) ** 2 * 90
    boxes = torch.cat([corner - 10, corner + side], dim=1)
    halves = [boxes[:17], boxes[17:]]
    strides = (4, 8, 16, 32)
    fast = extract_boxes(levels, halves, 7, strides, 14.0)
    rois = torch.cat([as_rois(halves[0], 0), as_rois(halves[1], 1)])
    assert torch.allclose(fast, extract(levels, rois, 7, strides, 14.0), atol=1e-5)


def test_fast_roi_align_without_boxes() -> None:
    levels = [torch.zeros(1, 6, 8, 8)] * 4
    assert extract_boxes(levels, [torch.zeros(0, 4)], 7, (4, 8, 16, 32), 14.0).shape == (0, 6, 7, 7)
    assert align_boxes(levels[0][0], torch.zeros(0, 4), 7, 4).shape == (0, 6, 7, 7)


def test_mask_target_is_the_part_in_the_box() -> None:
    """A 4x4 instance at (2, 2); a box around its left half and as much to the left of it."""
    ids = torch.zeros(8, 8, dtype=torch.int64)
    ids[2:6, 2:6] = 5
    boxes = torch.tensor([[0.0, 2.0, 4.0, 6.0], [2.0, 2.0, 6.0, 6.0]])
    masks = crop_masks(ids, torch.tensor([5, 5]), boxes, 4)
    assert masks[0].tolist() == [[False, False, True, True]] * 4
    assert masks[1].all()


def sample() -> PanopticSample:
    """32x32: sky (stuff label 2) above, road (3) below, a thing of class 1, a crowd, a void row."""
    ids = np.full((32, 32), 1, np.int32)
    ids[16:] = 2
    ids[8:20, 4:10] = 3
    ids[24:28, 20:28] = 4
    ids[31] = 77
    segments = (
        TrueSegment(1, 2),
        TrueSegment(2, 3),
        TrueSegment(3, 1),
        TrueSegment(4, 0, crowd=True),
    )
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    return PanopticSample(image, PanopticTruth(ids, segments))


def test_batch_holds_boxes_and_labels() -> None:
    batch = collate([sample()], (32, 64), (2, 2))
    assert batch.sizes == ((32, 32),)
    assert batch.images.shape == (1, 3, 32, 64)
    assert not batch.images[..., 32:].any()  # padding is zero after normalising
    assert batch.instances[0].boxes.tolist() == [[4, 8, 10, 20]]  # the crowd is none
    assert batch.instances[0].labels.tolist() == [1]
    semantic = batch.semantic[0]
    assert semantic.shape == (8, 16)
    assert semantic[0, 0] == 0  # sky: stuff label 2 is channel 0
    assert semantic[5, 0] == 1
    assert semantic[3, 1] == 2  # some thing
    assert semantic[6, 5] == 2  # a crowd is a thing, too
    assert (semantic[:, 8:] == IGNORED_PIXEL).all()
    assert not batch.ids[0, 31].any()  # an id of no segment is void


def test_flip_moves_picture_and_truth_alike() -> None:
    flipped = flip(sample())
    batch = collate([flipped], (32, 32), (2, 2))
    assert batch.instances[0].boxes.tolist() == [[22, 8, 28, 20]]
    assert np.array_equal(flipped.image[:, 0], sample().image[:, 31])


@pytest.mark.parametrize("size", [(16, 16), (64, 64)])
def test_crop_cuts_boxes(size: tuple[int, int]) -> None:
    part = crop(sample(), size, np.random.default_rng(1))
    height, width = min(size[0], 32), min(size[1], 32)
    assert part.image.shape == (height, width, 3)
    for box in collate([part], (64, 64), (2, 2)).instances[0].boxes.tolist():
        assert 0 <= box[0] < box[2] <= width
        assert 0 <= box[1] < box[3] <= height
