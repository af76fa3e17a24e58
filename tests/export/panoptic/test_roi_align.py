"""The graph's RoIAlign is the reference's, for any box, in PyTorch and as ONNX's operator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from export.panoptic.roi_align import sampling_matrix, separable_roi_align
from export.targets.onnx.convert import FORMAT
from export.targets.onnx.roi_align import TRANSLATIONS
from export.targets.onnx.roi_align import roi_align as onnx_roi_align
from lvt.panoptic.roi_align import roi_align, sampling_matrices

SEED = st.integers(0, 2**32 - 1)


def random_boxes(count: int, extent: float, seed: int) -> Tensor:
    """Inside, across the border, outside, tiny, huge, and without width or height."""
    generator = np.random.default_rng(seed)
    low = generator.uniform(-0.5 * extent, 1.3 * extent, (count, 2))
    side = generator.random((count, 2)) ** 3 * 1.5 * extent
    side[:: max(1, count // 5), 0] = 0
    boxes = np.concatenate([low, low + side], axis=1)
    return torch.from_numpy(boxes.astype(np.float32))


def clipped(boxes: Tensor, height: float, width: float) -> Tensor:
    """As the graph clips them: some are without width or height then."""
    return torch.minimum(boxes.clamp(min=0), boxes.new_tensor([width, height, width, height]))


@settings(max_examples=120, deadline=None)
@given(st.sampled_from([7, 14]), st.integers(1, 70), SEED)
def test_sampling_matrix(bins: int, cells: int, seed: int) -> None:
    """In float64 to rounding: a sample counted twice or not at all is an error of 1/samples."""
    boxes = clipped(random_boxes(40, float(cells), seed).double(), cells, cells) - 0.5
    expected = sampling_matrices(boxes[:, 0], boxes[:, 2], bins, cells)
    actual = sampling_matrix(boxes[:, 0], boxes[:, 2], bins, cells)
    assert float((actual - expected).abs().max()) < 1e-9


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(1, 40), st.sampled_from([4, 8, 32]), SEED)
def test_separable_form(height: int, width: int, stride: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    feature = torch.randn(1, 3, height, width, generator=generator)
    boxes = random_boxes(20, float(stride * max(height, width)), seed)
    boxes = clipped(boxes, stride * height, stride * width)
    rois = torch.cat([torch.zeros(len(boxes), 1), boxes], dim=1)
    expected = roi_align(feature, rois, 7, stride)
    actual = separable_roi_align(feature, boxes, 7, stride)
    assert float((actual - expected).abs().max()) < 2e-4  # positions in float32, up to 1300 px


def test_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve channels in one, three, six and twelve pieces: more than are joined at once.

    On some processors the library adds products of another shape up in another order: what it gives
    may differ in the last bits of sums of eleven.
    """
    feature = torch.randn(1, 12, 9, 11, generator=torch.Generator().manual_seed(0))
    boxes = clipped(random_boxes(20, 40.0, 3), 36, 44)
    whole = separable_roi_align(feature, boxes, 7, 4)
    for channels in (4, 2, 1):
        monkeypatch.setattr("export.panoptic.roi_align._MAX_INTERMEDIATE", 20 * 7 * 9 * channels)
        pieces = separable_roi_align(feature, boxes, 7, 4)
        torch.testing.assert_close(pieces, whole, rtol=0, atol=1e-6)


def test_empty_boxes_give_zeros() -> None:
    """The graph gives a box to one level only by making it empty on the others."""
    feature = torch.ones(1, 2, 9, 9)
    boxes = torch.tensor([[0.0, 0, 0, 0], [8, 8, 8, 20]])
    assert separable_roi_align(feature, boxes, 7, 4).abs().max() == 0


class Align(nn.Module):
    def forward(self, feature: Tensor, boxes: Tensor) -> Tensor:
        return onnx_roi_align(feature, boxes, 7, 4)


def test_onnx_operator(tmp_path: Path) -> None:
    """ONNX Runtime's kernel has its own idea of borders and sampling; it must be ours."""
    feature = torch.randn(1, 5, 20, 30, generator=torch.Generator().manual_seed(0))
    boxes = random_boxes(200, 120.0, 1)
    rois = torch.cat([torch.zeros(len(boxes), 1), boxes], dim=1)
    program = torch.onnx.export(
        Align().eval(),
        (feature, boxes),
        input_names=["feature", "boxes"],
        opset_version=FORMAT.opset,
        dynamo=True,
        custom_translation_table=TRANSLATIONS,
        verbose=False,
    )
    assert program is not None
    program.save(tmp_path / "align.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "align.onnx")
    actual = session.run(None, {"feature": feature.numpy(), "boxes": boxes.numpy()})[0]
    assert [node.op_type for node in program.model_proto.graph.node].count("RoiAlign") == 1
    expected = roi_align(feature, rois, 7, 4).numpy()
    np.testing.assert_allclose(actual, expected, atol=2e-4)
