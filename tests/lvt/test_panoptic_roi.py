"""RoIAlign and the choice of a pyramid level."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lvt.panoptic.roi_align import roi_align, sampling_matrices
from lvt.panoptic.roi_heads import as_rois, extract, roi_level
from tests.oracles import Oracle, load_oracle

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return load_oracle("panoptic_fpn_lvt")


def stored(oracle: Oracle, name: str) -> Tensor:
    return torch.from_numpy(oracle.arrays[f"unit/{name}"])


def test_roi_align(oracle: Oracle) -> None:
    """A fixed number of samples, border cells counted as zero, or the half-pixel shift lost."""
    feature, rois = stored(oracle, "roialign/feature"), stored(oracle, "roialign/rois")
    fine = roi_align(feature, rois, size=7, stride=4)
    assert oracle.difference("unit/roialign/out7_stride4", fine) < 1e-5
    coarse = roi_align(feature, rois, size=14, stride=8)
    assert oracle.difference("unit/roialign/out14_stride8", coarse[:, :1]) < 1e-5


def test_roi_level(oracle: Oracle) -> None:
    """Boxes at a level's boundary that go to the neighbouring level."""
    levels = roi_level(stored(oracle, "levels/rois")[:, 1:], finest_scale=56.0)
    assert oracle.difference("unit/levels/level", levels) == 0


def test_roi_level_just_below_a_boundary() -> None:
    """A box that rounding leaves one step short of a doubling, sent to the finer level."""
    boxes = torch.tensor([[0.0, 0.0, 111.99996, 111.99996], [0.0, 0.0, 111.99, 111.99]])
    assert roi_level(boxes, finest_scale=56.0).tolist() == [1, 0]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("size", "stride"), [(7, 4), (14, 8), (3, 16)])
def test_roi_align_equals_torchvision(seed: int, size: int, stride: int) -> None:
    """Boxes of no area, far outside or much larger than the image, which the oracle has few of."""
    ops = pytest.importorskip("torchvision.ops")
    generator = torch.Generator().manual_seed(seed)
    feature = torch.randn(2, 5, 11, 17, generator=generator)
    low = torch.rand(60, 2, generator=generator) * 400 - 150
    extent = torch.rand(60, 2, generator=generator) ** 3 * 600
    extent[::5, 0] = 0
    extent[::9] = 0
    image = torch.arange(60).remainder(2)[:, None].float()
    rois = torch.cat([image, low, low + extent], dim=1)
    expected = ops.roi_align(feature, rois, size, 1 / stride, sampling_ratio=0, aligned=True)
    torch.testing.assert_close(roi_align(feature, rois, size, stride), expected, rtol=0, atol=1e-5)


def test_weights_of_a_bin_inside_the_map_sum_to_one() -> None:
    """Bins that darken with the number of samples."""
    low = torch.tensor([2.0, 3.3, 0.1])
    weights = sampling_matrices(low, low + torch.tensor([0.5, 7.0, 9.9]), bins=7, cells=12)
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(3, 7))


def test_each_image_of_a_batch_is_looked_at_with_its_own_boxes() -> None:
    """Boxes of the second image that read the first one's features."""
    torch.manual_seed(0)
    levels = [torch.randn(2, 3, 32 >> index, 32 >> index) for index in range(4)]
    boxes = torch.tensor([[3.0, 4.0, 40.0, 50.0], [0.0, 0.0, 128.0, 128.0]])
    strides = (4, 8, 16, 32)
    second = extract(levels, as_rois(boxes, image=1), 7, strides, 56.0)
    alone = extract([level[1:] for level in levels], as_rois(boxes), 7, strides, 56.0)
    torch.testing.assert_close(second, alone, rtol=0, atol=0)


def test_no_boxes_give_no_features() -> None:
    """A picture without any proposal or detection that ends in an error."""
    levels = [torch.randn(1, 3, 8, 8) for _ in range(4)]
    assert extract(levels, torch.zeros(0, 5), 7, (4, 8, 16, 32), 56.0).shape == (0, 3, 7, 7)
