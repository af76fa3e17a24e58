"""Panoptic maps from fixed-size outputs: scale, padding and empty slots."""

from __future__ import annotations

import numpy as np
import pytest

from lvt.data.preprocessing import Preprocessing, fixed_size, official
from lvt.data.preprocessing_steps import FitInto, FitWithin, PadTo
from lvt.panoptic.config import FusionConfig, PanopticConfig
from lvt.panoptic.postprocess import panoptic_map
from tests.oracles import load_oracle

CONFIG = PanopticConfig(things=2, stuff=2, fusion=FusionConfig(min_stuff_area=1))


def slots(boxes: list[list[float]], scores: list[float]) -> dict[str, np.ndarray]:
    semantic = np.zeros((1, 3, 16, 16), np.float32)
    semantic[:, 0] = 1.0
    return {
        "boxes": np.array(boxes, np.float32),
        "scores": np.array(scores, np.float32),
        "labels": np.ones(len(boxes), np.int32),
        "masks": np.ones((len(boxes), 28, 28), np.float32),
        "semantic": semantic,
    }


def test_boxes_are_scaled_to_the_picture() -> None:
    """Network 64x64, picture 32x128 shown in its upper quarter: y doubles, x doubles."""
    outputs = slots([[10, 4, 20, 8], [0, 0, 0, 0]], [0.9, 0.0])
    result = panoptic_map(outputs, CONFIG, (64, 64), (16, 64), (32, 128))
    rows, columns = np.nonzero(result.ids == 1001)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (8, 16, 20, 40)
    assert [segment.id for segment in result.segments] == [1001, 2]


def test_padding_is_cut_off_before_the_semantics_are_enlarged() -> None:
    outputs = slots([[0, 0, 0, 0]], [0.0])
    outputs["semantic"][:, 1, 8:] = 5.0  # the lower half of the network image is padding
    result = panoptic_map(outputs, CONFIG, (64, 64), (28, 64), (56, 128))
    assert (result.ids == 2).mean() > 0.9


def test_content_size() -> None:
    spec = fixed_size("panoptic", (256, 320))
    assert spec.content_size((480, 640)) == (240, 320)
    assert spec.content_size((640, 480)) == (256, 192)
    assert fixed_size("semantic", (64, 96)).content_size((480, 640)) == (64, 96)


def test_letterbox_pads_with_zeros_after_normalising() -> None:
    image = fixed_size("panoptic", (64, 64))(np.full((20, 40, 3), 255, np.uint8))
    assert image.shape == (1, 3, 64, 64)
    assert (image[:, :, :32] > 1).all()
    assert (image[:, :, 32:] == 0).all()


def test_official_preprocessing_is_the_oracle_s() -> None:
    """Detection limits, rounding, normalisation and padding, to the bit."""
    oracle = load_oracle("panoptic_fpn_lvt")
    # The oracle's scale is (320, 240) instead of (1333, 800), to keep the case quick.
    scale = FitWithin(320, 240, "opencv_bilinear")
    preprocessing = Preprocessing((scale, *official("panoptic").steps[1:]))
    actual = preprocessing(oracle.arrays["synth/original_rgb"])
    assert oracle.difference("synth/net_input", actual) == pytest.approx(0, abs=1e-6)


def test_steps_survive_the_manifest() -> None:
    spec = Preprocessing((FitInto((40, 50), "pillow_bilinear"), PadTo((64, 64))))
    assert Preprocessing.from_dict(spec.to_dict()) == spec
