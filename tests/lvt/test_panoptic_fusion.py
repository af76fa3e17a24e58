"""Pasting, fusion and the COCO format; the Android app has the same steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lvt.panoptic.coco import CATEGORIES, STUFF, THINGS
from lvt.panoptic.coco_export import to_coco
from lvt.panoptic.config import INSTANCE_OFFSET, FusionConfig
from lvt.panoptic.fusion import PanopticMap, fuse
from lvt.panoptic.paste import paste_mask, paste_masks
from tests.oracles import Oracle, load_oracle

UNIT_CONFIG = FusionConfig(mask_threshold=0.5, max_overlap=0.5, min_stuff_area=150)


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return load_oracle("panoptic_fpn_lvt")


def fuse_coco(
    oracle: Oracle, masks: np.ndarray, scores: np.ndarray, labels: np.ndarray
) -> PanopticMap:
    semantic = oracle.arrays["unit/fusion/semantic_argmax"]
    return fuse(masks, scores, labels, semantic, things=80, stuff=53, config=UNIT_CONFIG)


def test_paste(oracle: Oracle) -> None:
    """Masks off by half a pixel, cut at the image's border wrongly, or lost in a thin box."""
    height, width = oracle.arrays["unit/paste/image_size"].tolist()
    masks, boxes = oracle.arrays["unit/paste/masks"], oracle.arrays["unit/paste/boxes"]
    pasted = np.stack(
        [paste_mask(mask, box, (height, width)) for mask, box in zip(masks, boxes, strict=True)]
    )
    assert pasted.dtype == np.float32
    assert oracle.difference("unit/paste/probability", pasted) < 1e-4


@given(seed=st.integers(0, 2**31 - 1))
@settings(max_examples=30, deadline=None)
def test_paste_is_bilinear_sampling_with_zeros_outside(seed: int) -> None:
    """Boxes that leave the image or lie outside it, compared with torch's `grid_sample`."""
    random = np.random.default_rng(seed)
    mask = random.random((28, 28), dtype=np.float32)
    low = random.uniform(-60, 60, 2)
    box = np.concatenate([low, low + random.uniform(0.5, 90, 2)]).astype(np.float32)
    x = (np.arange(40) + 0.5 - box[0]) / (box[2] - box[0]) * 2 - 1
    y = (np.arange(30) + 0.5 - box[1]) / (box[3] - box[1]) * 2 - 1
    grid = torch.from_numpy(np.stack(np.meshgrid(x, y), axis=-1))[None]
    sampled = F.grid_sample(
        torch.from_numpy(mask.astype(np.float64))[None, None], grid, align_corners=False
    )
    np.testing.assert_allclose(paste_mask(mask, box, (30, 40)), sampled[0, 0], atol=2e-3)


def test_a_pixel_at_the_threshold_belongs_to_the_instance() -> None:
    """`>` where the official code has `>=`."""
    box = np.array([[0, 0, 8, 8]], dtype=np.float32)
    masks = np.full((1, 4, 4), 0.5, dtype=np.float32)
    assert paste_masks(masks, box, (8, 8), 0.5)[0, 2:6, 2:6].all()


def test_fusion(oracle: Oracle) -> None:
    """Instances in another order, overlap measured otherwise, or stuff limited too early."""
    masks = oracle.arrays["unit/fusion/masks"] >= UNIT_CONFIG.mask_threshold
    scores, labels = oracle.arrays["unit/fusion/dets"][:, 4], oracle.arrays["unit/fusion/labels"]
    panoptic = fuse_coco(oracle, masks, scores, labels)
    assert oracle.difference("unit/fusion/panoptic", panoptic.ids) == 0
    instances = [s for s in panoptic.segments if s.detection is not None]
    assert [s.id // INSTANCE_OFFSET for s in instances] == [1, 2, 3, 4]
    assert all(labels[s.detection] == s.label for s in instances)


def test_fusion_without_detections(oracle: Oracle) -> None:
    """A picture without instances that fails, or keeps "some thing" as a class."""
    panoptic = fuse_coco(oracle, np.zeros((0, 40, 50), bool), np.zeros(0), np.zeros(0, np.int64))
    assert oracle.difference("unit/fusion/panoptic_without_detections", panoptic.ids) == 0
    assert [s.id for s in panoptic.segments] == [87]


def test_an_instance_that_is_half_taken_is_kept(oracle: Oracle) -> None:
    """An instance dropped that has exactly the allowed share of its pixels taken."""
    masks = np.zeros((2, 40, 50), dtype=bool)
    masks[0, :10, :10] = True
    masks[1, :10, 5:15] = True
    panoptic = fuse_coco(oracle, masks, np.array([0.9, 0.8]), np.array([17, 56]))
    assert oracle.difference("unit/fusion/half_overlap", panoptic.ids) == 0


def test_stuff_as_large_as_the_limit_is_kept() -> None:
    """`<=` where the official code has `<`, or stuff measured before instances cover it."""
    semantic = np.zeros((4, 5), dtype=np.int64)
    semantic[:2] = 1
    masks = np.zeros((1, 4, 5), dtype=bool)
    masks[0, 0, 0] = True
    panoptic = fuse(
        masks,
        np.array([0.9]),
        np.array([0]),
        semantic,
        things=1,
        stuff=2,
        config=FusionConfig(min_stuff_area=10),
    )
    assert {s.id: s.area for s in panoptic.segments} == {1000: 1, 1: 10}


@given(seed=st.integers(0, 2**31 - 1), count=st.integers(0, 6))
@settings(max_examples=30, deadline=None)
def test_segments_and_map_tell_the_same(seed: int, count: int) -> None:
    """Areas, labels or ids in the list that the map does not have, or the other way round."""
    random = np.random.default_rng(seed)
    masks = random.random((count, 12, 14)) > random.random((count, 1, 1))
    labels = random.integers(0, 3, count)
    panoptic = fuse(
        masks,
        random.random(count, dtype=np.float32),
        labels,
        random.integers(0, 5, (12, 14)),
        things=3,
        stuff=4,
        config=FusionConfig(min_stuff_area=10),
    )
    ids, areas = np.unique(panoptic.ids, return_counts=True)
    in_map = {int(i): int(a) for i, a in zip(ids, areas, strict=True) if i != panoptic.void}
    assert {s.id: s.area for s in panoptic.segments} == in_map
    for segment in panoptic.segments:
        assert segment.label == segment.id % INSTANCE_OFFSET
        assert (segment.detection is None) == (segment.label >= 3)


def test_coco_export_writes_ids_that_read_back() -> None:
    """A PNG whose colours are not the ids of its list, or void that is not 0."""
    ids = np.array([[133, 1041, 92], [27032, 92, 99016]], dtype=np.int32)
    semantic = np.array([[53, 0, 12], [0, 12, 0]])
    masks = np.zeros((1, 2, 3), dtype=bool)
    masks[0, 0, 1] = True
    panoptic = fuse(
        masks,
        np.array([0.9]),
        np.array([41]),
        semantic,
        things=80,
        stuff=53,
        config=FusionConfig(min_stuff_area=1),
    )
    category_ids = [category.id for category in CATEGORIES]
    png, segments_info = to_coco(panoptic, category_ids)
    read_back = png.astype(np.int64) @ [1, 256, 256**2]
    np.testing.assert_array_equal(read_back, [[0, 1041, 92], [80, 92, 80]])
    common = {"iscrowd": 0}
    assert segments_info == [
        {"id": 1041, "category_id": 47, "isthing": 1, "area": 1, "bbox": [1, 0, 1, 1], **common},
        {"id": 80, "category_id": 92, "isthing": 0, "area": 2, "bbox": [0, 1, 3, 1], **common},
        {"id": 92, "category_id": 130, "isthing": 0, "area": 2, "bbox": [1, 0, 2, 2], **common},
    ]
    large, _ = to_coco(PanopticMap(ids, (), 133), category_ids)  # 99016 needs the third byte
    np.testing.assert_array_equal(
        large.astype(np.int64) @ [1, 256, 256**2], np.where(ids == 133, 0, ids)
    )


def test_coco_export_refuses_the_categories_of_another_data_set() -> None:
    """Segments exported under categories of a list that does not fit the model."""
    with pytest.raises(ValueError, match="80 category ids for 133 labels"):
        to_coco(PanopticMap(np.zeros((2, 2), np.int32), (), 133), list(range(80)))


def test_coco_categories() -> None:
    """A label that means another class than in the official checkpoints, or an unclean name."""
    assert (len(THINGS), len(STUFF)) == (80, 53)
    ids = [category.id for category in CATEGORIES]
    assert ids == sorted(ids)
    assert all(category.name == category.name.strip() for category in CATEGORIES)
    assert len({category.name for category in CATEGORIES}) == 133
    assert len({category.colour for category in CATEGORIES}) == 133
    assert (THINGS[7].name, STUFF[0].name, STUFF[-1].name) == ("truck", "banner", "rug-merged")
