"""The host steps against the stages of the reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from export.panoptic.parts.host import HostSteps, batches
from export.panoptic.parts.layout import HostConstants
from lvt.errors import UserError
from lvt.panoptic.config import DetectionConfig, PanopticConfig, ProposalConfig
from lvt.panoptic.detections import detect
from lvt.panoptic.roi_heads import as_rois, extract
from lvt.panoptic.rpn import RPNMaps, propose

SIZE = (96, 160)
CONFIG = PanopticConfig(
    things=5,
    stuff=2,
    channels=16,
    proposals=ProposalConfig(per_level=300, count=200),
    detection=DetectionConfig(score_threshold=0.2, iou_threshold=0.5, count=40),
)
HOST = HostConstants.for_model(CONFIG, SIZE)


def made_up_core() -> dict[str, np.ndarray]:
    """Outputs of `core`: many boxes that overlap, and equal scores."""
    generator = np.random.default_rng(0)
    core = {}
    for level in HOST.levels:
        shape = (1, *level.cells)
        core[level.name] = generator.standard_normal((*shape, 16)).astype(np.float32)
        logits = generator.normal(0, 4, (*shape, 3)).round(1)  # rounded: some are equal
        core[f"objectness_{level.name}"] = logits.astype(np.float32)
        deltas = generator.normal(0, 0.5, (*shape, 12))
        core[f"deltas_{level.name}"] = deltas.astype(np.float32)
    return core


def reference_maps(core: dict[str, np.ndarray]) -> RPNMaps:
    def maps(prefix: str) -> tuple[torch.Tensor, ...]:
        arrays = (core[f"{prefix}_{level.name}"] for level in HOST.levels)
        return tuple(torch.from_numpy(array).permute(0, 3, 1, 2) for array in arrays)

    return RPNMaps(maps("objectness"), maps("deltas"))


def test_proposals_are_the_reference_s() -> None:
    core = made_up_core()
    found = HostSteps(HOST).proposals(core)
    expected = propose(reference_maps(core), SIZE, CONFIG.anchors, CONFIG.proposals).boxes
    assert len(found) == CONFIG.proposals.count
    np.testing.assert_allclose(found, expected, atol=1e-4)  # a step of exp()


def test_features_are_read_from_the_level_of_each_box() -> None:
    core = made_up_core()
    boxes = HostSteps(HOST).proposals(core)
    boxes = np.concatenate([boxes, [[0, 0, 160, 96]]]).astype(np.float32)
    found = HostSteps(HOST).features(core, boxes, 7)
    levels = [torch.from_numpy(core[level.name]).permute(0, 3, 1, 2) for level in HOST.levels]
    rois = as_rois(torch.from_numpy(boxes))
    expected = extract(levels, rois, 7, CONFIG.anchors.strides, CONFIG.roi.finest_scale)
    np.testing.assert_allclose(found, expected.flatten(2).transpose(1, 2), atol=2e-6)


def test_boxes_that_are_not_numbers_have_no_features() -> None:
    """A model that diverged gives NaN, not a traceback."""
    boxes = np.array([[np.nan] * 4, [10, 10, 50, 50]], np.float32)
    features = HostSteps(HOST).features(made_up_core(), boxes, 7)
    assert not features[0].any()
    assert features[1].any()


def test_a_model_that_diverged_detects_nothing() -> None:
    """NaN everywhere: no proposals, no detections, no error."""
    core = {name: np.full_like(value, np.nan) for name, value in made_up_core().items()}
    steps = HostSteps(HOST)
    proposals = steps.proposals(core)
    assert proposals.shape == (0, 4)
    assert not steps.box_inputs(core, proposals)["features"].any()
    found = steps.detections(proposals, np.empty((0, 6), np.float32), np.empty((0, 20), np.float32))
    assert [len(values) for values in found] == [0, 0, 0]
    assert not steps.mask_inputs(core, found.boxes, found.labels)["features"].any()


def test_detections_are_the_reference_s_with_several_classes_for_a_box() -> None:
    generator = np.random.default_rng(1)
    proposals = HostSteps(HOST).proposals(made_up_core())
    logits = torch.from_numpy(generator.normal(0, 2, (len(proposals), 6)).astype(np.float32))
    deltas = torch.from_numpy(generator.normal(0, 1, (len(proposals), 5, 4)).astype(np.float32))
    unscaled = (1.0, 1.0)
    expected = detect(torch.from_numpy(proposals), logits, deltas, SIZE, unscaled, CONFIG.detection)
    scores = logits.softmax(dim=1).numpy()
    found = HostSteps(HOST).detections(proposals, scores, deltas.reshape(len(deltas), -1).numpy())
    assert ((scores[:, :-1] > 0.2).sum(axis=1) > 1).any(), "two classes of a box pass"
    assert len(found.scores) == CONFIG.detection.count
    assert found.labels.tolist() == expected.labels.tolist()
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-4)


def test_missing_boxes_of_a_batch_are_zero() -> None:
    steps, core = HostSteps(HOST), made_up_core()
    boxes = steps.proposals(core)[:3]
    inputs = steps.mask_inputs(core, boxes, np.array([4, 0, 2], np.int32))
    assert inputs["features"].shape == (HOST.mask_batch, 14, 14, 16)
    assert not inputs["features"][3:].any()
    assert inputs["classes"].argmax(axis=1)[:3].tolist() == [4, 0, 2]
    assert inputs["classes"].sum(axis=1).tolist() == [1, 1, 1, 0]
    features = steps.box_inputs(core, boxes)["features"]
    assert features.shape == (HOST.box_batch, 49 * 16)
    assert not features[3:].any()


def test_batches_cover_everything_and_share_it_evenly() -> None:
    assert [(b.start, b.stop) for b in batches(10, 4)] == [(0, 4), (4, 8), (8, 10)]
    assert list(batches(0, 4)) == []
    assert (HOST.box_batch, HOST.mask_batch) == (100, 4)  # 200 boxes in 2 calls, 40 in 10
    assert HOST.calls("core") == 1
    assert HOST.calls("boxes") == 2
    assert HOST.calls("masks") == 10


def test_constants_survive_a_manifest_and_damage_does_not() -> None:
    data = HOST.to_dict()
    assert HostConstants.from_dict(data) == HOST
    for name, value in (("box_batch", 0), ("mask_batch", "4"), ("proposal_iou", 2e9)):
        with pytest.raises(UserError, match=name):
            HostConstants.from_dict(data | {name: value})
    with pytest.raises(ValueError, match="feature levels"):
        HostConstants.from_dict(data | {"feature_levels": 6})
    with pytest.raises(KeyError):
        HostConstants.from_dict({k: v for k, v in data.items() if k != "image"})
    assert replace(HOST, proposals=7) != HOST
