"""A small panoptic model: what must hold for every configuration, at a fraction of the cost."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from lvt.config import LVTConfig, StageConfig
from lvt.errors import UserError
from lvt.panoptic.config import (
    AnchorConfig,
    DetectionConfig,
    PanopticConfig,
    ProposalConfig,
    RoIConfig,
)
from lvt.panoptic.model import LVTPanoptic
from lvt.panoptic.roi_heads import as_rois

pytestmark = pytest.mark.usefixtures("one_thread")

BACKBONE = LVTConfig(
    stages=(
        StageConfig("csa", dim=16, heads=2, mlp_hidden=32, layers=1),
        StageConfig("rasa", dim=16, heads=2, mlp_hidden=32, layers=1, sr_ratio=4),
        StageConfig("rasa", dim=24, heads=2, mlp_hidden=32, layers=1, sr_ratio=2),
        StageConfig("rasa", dim=32, heads=2, mlp_hidden=32, layers=1),
    )
)
CONFIG = PanopticConfig(
    things=8,
    stuff=8,
    channels=48,
    semantic_channels=24,
    anchors=AnchorConfig(scale=4.0),
    proposals=ProposalConfig(per_level=100, count=60),
    roi=RoIConfig(box_channels=32, mask_convs=2),
    detection=DetectionConfig(score_threshold=0.1, count=10),
)


def small_model(config: PanopticConfig = CONFIG) -> LVTPanoptic:
    torch.manual_seed(0)
    return LVTPanoptic(BACKBONE, config).eval()


def test_predict_at_any_size() -> None:
    """COCO's class counts or sizes written into the code somewhere."""
    result = small_model().predict(
        torch.randn(1, 3, 96, 128),
        image_size=(90, 121),
        original_size=(180, 241),
        scale_factor=(121 / 241, 0.5),
    )
    detections = result.detections
    assert 0 < len(detections.boxes) <= 10
    assert (detections.labels < 8).all()
    assert (detections.boxes[:, 2] <= 241.01).all()
    assert (detections.boxes[:, 3] <= 180.01).all()
    assert result.panoptic.ids.shape == (180, 241)
    assert result.panoptic.void == 16
    assert set(np.unique(result.panoptic.ids) % 1000) <= set(range(17))


def test_a_picture_without_detections() -> None:
    """An error where nothing scores high enough."""
    config = replace(CONFIG, detection=DetectionConfig(score_threshold=1.0))
    result = small_model(config).predict(
        torch.randn(1, 3, 64, 64),
        image_size=(64, 64),
        original_size=(64, 64),
        scale_factor=(1.0, 1.0),
    )
    assert len(result.detections.boxes) == 0
    assert all(segment.detection is None for segment in result.panoptic.segments)


@torch.no_grad()
def test_an_image_of_a_batch_gets_what_it_gets_alone() -> None:
    """Stages that look at the first image of a batch whatever they are asked for."""
    model = small_model()
    images = torch.randn(2, 3, 64, 96)
    batch, alone = model(images), model(images[1:])
    together = model.proposals(batch, (64, 96), image=1)
    single = model.proposals(alone, (64, 96))
    torch.testing.assert_close(together.boxes, single.boxes, rtol=0, atol=1e-3)
    found = model.detections(batch, single.boxes, (64, 96), (1.0, 1.0), image=1)
    expected = model.detections(alone, single.boxes, (64, 96), (1.0, 1.0))
    torch.testing.assert_close(found.boxes, expected.boxes, rtol=0, atol=1e-3)
    torch.testing.assert_close(
        model.masks(batch, found, (1.0, 1.0), image=1),
        model.masks(alone, found, (1.0, 1.0)),
        rtol=0,
        atol=1e-4,
    )


def test_a_training_step_reaches_every_parameter() -> None:
    """A stage that is cut off from the gradient, or cannot take boxes from labels."""
    model = small_model().train()
    maps = model(torch.randn(2, 3, 64, 64))
    rois = torch.cat([as_rois(torch.tensor([[4.0, 4.0, 40.0, 60.0]]), image=i) for i in (0, 1)])
    logits, deltas = model.roi_head.classify(maps.levels, rois)
    masks = model.roi_head.masks(maps.levels, rois)
    outputs = (*maps.rpn.objectness, *maps.rpn.deltas, maps.semantic, logits, deltas, masks)
    loss = torch.stack([output.square().mean() for output in outputs]).sum()
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_config_survives_json() -> None:
    """A checkpoint whose architecture cannot be read back."""
    assert PanopticConfig.from_dict(json.loads(json.dumps(CONFIG.to_dict()))) == CONFIG


def test_damaged_configurations_are_an_error() -> None:
    """A damaged checkpoint that fails far away with a message about tensors."""
    data = CONFIG.to_dict()
    for key in data:
        with pytest.raises(UserError, match="not a panoptic configuration"):
            PanopticConfig.from_dict({k: v for k, v in data.items() if k != key})
    with pytest.raises(UserError, match="not a panoptic configuration"):
        PanopticConfig.from_dict({**data, "colour": 1})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"things": 0}, "at least one thing"),
        ({"stuff": 992}, "below 1000"),
        ({"semantic_channels": 50}, "12 groups"),
        ({"anchors": AnchorConfig(strides=(4, 8, 16, 32))}, "five levels"),
    ],
)
def test_config_refuses_a_model_that_cannot_be_built(
    changes: dict[str, object], message: str
) -> None:
    """Ids of stuff that read as instances, and errors from deep inside torch."""
    with pytest.raises(UserError, match=message):
        replace(CONFIG, **changes)


@pytest.mark.parametrize(
    ("shape", "image_size", "message"),
    [
        ((1, 3, 60, 64), (60, 64), "multiples of 32"),
        ((2, 3, 64, 64), (64, 64), "one image, not 2"),
        ((1, 3, 64, 96), (96, 64), "exceeds the image"),
    ],
)
def test_predict_checks_its_input(
    shape: tuple[int, ...], image_size: tuple[int, int], message: str
) -> None:
    """Unpadded images, batches, and height and width exchanged."""
    with pytest.raises(ValueError, match=message):
        small_model().predict(
            torch.zeros(shape),
            image_size=image_size,
            original_size=image_size,
            scale_factor=(1.0, 1.0),
        )
