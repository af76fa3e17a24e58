"""Box arithmetic in NumPy against the reference in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from export.panoptic.parts.boxes import best, clip, decode, nms, sigmoid
from lvt.panoptic.boxes import MAX_LOG_SCALE, ROI_CODER, clip_boxes
from lvt.panoptic.nms import nms as reference_nms


def some_boxes(count: int, seed: int = 0) -> np.ndarray:
    """Boxes of all sizes that overlap a lot."""
    generator = np.random.default_rng(seed)
    centre = generator.uniform(0, 40, (count, 2))
    half = np.exp(generator.uniform(2, 3, (count, 2)))
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


def test_decoded_boxes_are_the_reference_s() -> None:
    generator = np.random.default_rng(1)
    references = some_boxes(500)
    deltas = generator.normal(0, 20, (500, 4)).astype(np.float32)  # some scales reach the limit
    found = decode(references, deltas, ROI_CODER.stds, MAX_LOG_SCALE)
    expected = ROI_CODER.decode(torch.from_numpy(references), torch.from_numpy(deltas)).numpy()
    # One step of exp(), which differs between libraries.
    np.testing.assert_allclose(found, expected, rtol=3e-7, atol=1e-4)
    clipped = clip_boxes(torch.from_numpy(found), (60, 80)).numpy()
    np.testing.assert_array_equal(clip(found, (60, 80)), clipped)


def test_sigmoid_is_that_of_torch_up_to_its_last_bit() -> None:
    logits = np.linspace(-90, 20, 20_001, dtype=np.float32)
    found = sigmoid(logits)
    np.testing.assert_allclose(found, torch.from_numpy(logits).sigmoid(), rtol=3e-7, atol=1e-38)
    assert (np.diff(found) >= 0).all(), "a greater logit has no lower score"


@pytest.mark.parametrize("count", [1, 7, 60, 100, 150])
def test_best_is_a_stable_sort(count: int) -> None:
    scores = np.random.default_rng(2).integers(0, 12, 100).astype(np.float32)  # many are equal
    expected = torch.from_numpy(scores).argsort(descending=True, stable=True)[:count]
    assert best(scores, count).tolist() == expected.tolist()


@pytest.mark.parametrize("threshold", [0.3, 0.7])
@pytest.mark.parametrize("count", [2, 127, 128, 129, 700])
def test_nms_keeps_what_the_reference_keeps(count: int, threshold: float) -> None:
    """At the borders of blocks too."""
    boxes = some_boxes(count, seed=count)
    scores = torch.arange(count, 0, -1).float()
    expected = reference_nms(torch.from_numpy(boxes), scores, threshold).tolist()
    assert nms(boxes, threshold, count).tolist() == expected
    assert len(expected) < count or count == 2, "nothing was suppressed"
    for limit in (1, len(expected) // 2, len(expected)):
        assert nms(boxes, threshold, limit).tolist() == expected[:limit]


def test_boxes_without_area_suppress_nothing() -> None:
    boxes = np.array([[5, 5, 5, 5], [5, 5, 5, 5], [0, 0, 10, 10]], np.float32)
    assert nms(boxes, 0.5, 3).tolist() == [0, 1, 2]
    assert nms(boxes[:0], 0.5, 3).tolist() == []


def test_nan_is_the_lowest_score() -> None:
    scores = np.array([np.nan, 0.9, 0.1, 0.5, np.nan], np.float32)
    assert best(scores, 2).tolist() == [1, 3]
    assert best(scores, 4).tolist() == [1, 3, 2, 0]


@pytest.mark.filterwarnings("error")
def test_logits_beyond_all_bounds_warn_of_nothing() -> None:
    assert sigmoid(np.array([-3e38, -800, 800], np.float32)).tolist() == [0, 0, 1]
