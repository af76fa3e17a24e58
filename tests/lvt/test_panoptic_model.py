"""The panoptic model, stage by stage, against numbers computed by the official code.

Stages after the maps are fed with the stored outputs of the stage before, so that a failure points
at one stage; the last tests run the whole road.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lvt.config import LVT
from lvt.panoptic.config import PanopticConfig
from lvt.panoptic.detections import Detections, decode_detections, select_detections
from lvt.panoptic.model import LVTPanoptic, PanopticMaps
from lvt.panoptic.paste import paste_mask
from lvt.panoptic.roi_heads import as_rois, extract
from lvt.semantic import logits_at_original_size
from tests.oracles import Oracle, load_oracle

pytestmark = pytest.mark.usefixtures("one_thread")

IMAGE_SIZE = (234, 320)
PADDED_SIZE = (256, 320)
ORIGINAL_SIZE = (300, 410)


@dataclass(frozen=True)
class Run:
    """The official model's weights, its picture, and our maps of it."""

    oracle: Oracle
    model: LVTPanoptic
    image: Tensor
    maps: PanopticMaps

    @property
    def scale_factor(self) -> tuple[float, float]:
        x, y = self.oracle.spec["images"]["synth"]["scale_factor"][:2]
        return x, y

    def stored(self, name: str) -> Tensor:
        return torch.from_numpy(self.oracle.arrays[f"synth/{name}"])

    def difference(self, name: str, actual: Tensor | np.ndarray) -> float:
        return self.oracle.difference(f"synth/{name}", actual)

    def roi_features(self, boxes: Tensor, size: int) -> Tensor:
        config = self.model.config
        return extract(
            self.maps.levels, as_rois(boxes), size, config.anchors.strides, config.roi.finest_scale
        )


def network_input(rgb: np.ndarray) -> Tensor:
    """The resized picture, normalised and padded as FACTS section 5 says."""
    mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    normalised = ((torch.from_numpy(rgb).float() - mean) / std).permute(2, 0, 1)[None]
    bottom, right = (pad - side for pad, side in zip(PADDED_SIZE, rgb.shape[:2], strict=True))
    return F.pad(normalised, (0, right, 0, bottom))


@pytest.fixture(scope="module")
def run() -> Run:
    oracle = load_oracle("panoptic_fpn_lvt")
    model = LVTPanoptic(LVT, PanopticConfig()).eval().requires_grad_(False)
    model.load_state_dict(oracle.state_dict(), strict=True)
    image = network_input(oracle.arrays["synth/resized_rgb"])
    return Run(oracle, model, image, model(image))


@pytest.fixture(scope="module")
def box_outputs(run: Run) -> tuple[Tensor, Tensor]:
    """Class logits and deltas of the stored proposals."""
    return run.model.roi_head.classify(run.maps.levels, as_rois(run.stored("proposals")[:, :4]))


@pytest.fixture(scope="module")
def stored_detections(run: Run) -> Detections:
    dets = run.stored("dets")
    return Detections(dets[:, :4], dets[:, 4], run.stored("det_labels"))


def test_state_dict_has_the_official_names_and_shapes(run: Run) -> None:
    """An official checkpoint that no longer loads strictly."""
    ours = {key: list(value.shape) for key, value in run.model.state_dict().items()}
    assert ours == {key: shape for key, shape, _ in run.oracle.spec["state_dict"]}
    assert sum(p.numel() for p in run.model.parameters()) == 5_349_770


def test_official_settings_are_the_defaults(run: Run) -> None:
    """A default that drifts from `test_cfg` without any picture showing it."""
    config, official = run.model.config, run.oracle.spec["test_cfg"]
    rpn, panoptic = official["rpn"], official["panoptic"]
    assert config.proposals.per_level == rpn["nms_pre"]
    assert config.proposals.count == rpn["max_per_img"]
    assert config.proposals.iou_threshold == rpn["nms"]["iou_threshold"]
    assert config.detection.score_threshold == panoptic["score_thr"]
    assert config.detection.count == panoptic["max_per_img"]
    assert config.detection.iou_threshold == panoptic["nms"]["iou_threshold"]
    assert config.fusion.mask_threshold == panoptic["mask_thr_binary"]
    assert config.fusion.max_overlap == panoptic["mask_overlap"]
    assert config.fusion.min_stuff_area == panoptic["stuff_area_limit"]


def test_network_input(run: Run) -> None:
    """A test input that differs from the official one, which would blame the model."""
    assert run.difference("net_input", run.image) < 1e-6


def test_backbone(run: Run) -> None:
    """Downstream output norms or a wrong stage order sneaking into the backbone."""
    for index, feature in enumerate(run.model.backbone(run.image)):
        assert run.difference(f"backbone{index}", feature) < 1e-4


def test_pyramid_and_rpn_maps(run: Run) -> None:
    """A wrong top-down path, P6, or channel order in the RPN."""
    for index, level in enumerate(run.maps.levels):
        assert run.difference(f"fpn{index}", level) < 1e-4
        assert run.difference(f"rpn_cls{index}", run.maps.rpn.objectness[index]) < 1e-4
        assert run.difference(f"rpn_reg{index}", run.maps.rpn.deltas[index]) < 1e-4


def test_proposals(run: Run) -> None:
    """Wrong anchors, clipping, suppression or limits between RPN maps and proposals."""
    found = run.model.proposals(run.maps, IMAGE_SIZE)
    ours = torch.cat([found.boxes, found.scores[:, None]], dim=1)
    stored = run.stored("proposals")
    assert ours.shape == stored.shape
    safe = run.oracle.spec["images"]["synth"]["margins"]["proposal_order_safe_until"]
    assert (ours[:safe] - stored[:safe]).abs().max() < 5e-3
    # Further down, neighbours in score (gaps of one float32 step) may change places.
    distance = torch.cdist(ours, stored, p=torch.inf)
    assert distance.amin(dim=0).max() < 5e-3
    assert distance.amin(dim=1).max() < 5e-3


def test_roi_features(run: Run) -> None:
    """RoIAlign on the wrong level, grid or half-pixel shift."""
    features = run.roi_features(run.stored("proposals")[:, :4], size=7)
    assert run.difference("roi_feats", features) < 1e-4


def test_box_head(run: Run, box_outputs: tuple[Tensor, Tensor]) -> None:
    """Features flattened in another order, or a background that is not the last class."""
    logits, deltas = box_outputs
    assert run.difference("cls_score", logits) < 1e-3
    assert run.difference("cls_score_first100", logits[:100]) < 1e-3
    assert run.difference("bbox_pred", deltas.flatten(1)) < 1e-3
    assert run.difference("bbox_pred_first40", deltas[:40].flatten(1)) < 1e-3
    scores, classes = logits.softmax(dim=1)[:, :-1].max(dim=1)
    assert run.difference("max_score", scores) < 1e-4
    assert run.difference("max_class", classes) == 0


def test_boxes_and_selection(run: Run, box_outputs: tuple[Tensor, Tensor]) -> None:
    """Boxes scaled by one factor for both axes, or another pair of box and class selected."""
    logits, deltas = box_outputs
    proposals = run.stored("proposals")[:, :4]
    boxes = decode_detections(proposals, deltas, IMAGE_SIZE, run.scale_factor)
    assert run.difference("boxes", boxes.flatten(1)) < 5e-3
    scores = logits.softmax(dim=1)[:, :-1]
    pairs = select_detections(boxes, scores, run.model.config.detection)
    assert run.difference("det_index", pairs) == 0


def test_detections_from_our_own_proposals(run: Run) -> None:
    """Stages that agree one by one and not in a row."""
    proposals = run.model.proposals(run.maps, IMAGE_SIZE)
    found = run.model.detections(run.maps, proposals.boxes, IMAGE_SIZE, run.scale_factor)
    dets = torch.cat([found.boxes, found.scores[:, None]], dim=1)
    assert run.difference("dets", dets) < 5e-3
    assert run.difference("det_labels", found.labels) == 0


def test_masks(run: Run, stored_detections: Detections) -> None:
    """Boxes not brought back to network scale, or another class's mask taken."""
    scale = torch.tensor(run.scale_factor).repeat(2)
    boxes = stored_detections.boxes * scale
    assert run.difference("mask_roi_feats", run.roi_features(boxes, size=14)) < 1e-3
    every_class = run.model.roi_head.masks(run.maps.levels, as_rois(boxes))
    assert run.difference("mask_logits", every_class) < 1e-3
    own_class = run.model.masks(run.maps, stored_detections, run.scale_factor)
    assert run.difference("mask_logits_own_class", own_class) < 1e-3


def test_pasting(run: Run, stored_detections: Detections) -> None:
    """Masks shifted by half a pixel, or cut at the box, in the original image."""
    masks = run.stored("mask_logits_own_class").sigmoid().numpy()
    boxes = stored_detections.boxes.numpy()
    pasted = np.stack(
        [paste_mask(mask, box, ORIGINAL_SIZE) for mask, box in zip(masks, boxes, strict=True)]
    )
    assert run.difference("mask_probability_pasted", pasted) < 1e-4
    ours = (pasted >= 0.5).reshape(len(pasted), -1)
    stored = np.unpackbits(run.oracle.arrays["synth/masks_packed"], axis=1)[:, : ours.shape[1]]
    assert (ours != stored).sum() <= 10  # 108 pixels lie within 1e-4 of the threshold
    assert run.difference("mask_area", ours.sum(axis=1)) <= 5


def test_semantic_head(run: Run) -> None:
    """A level upsampled too often, or GroupNorm groups that differ."""
    features = run.model.semantic_head.features(run.maps.levels[:4])
    assert run.difference("sem_feats", features) < 1e-3
    assert run.difference("sem_logits", run.maps.semantic) < 1e-3
    assert run.difference("sem_argmax_quarter", run.maps.semantic[0].argmax(dim=0)) == 0


def test_semantic_logits_at_original_size(run: Run) -> None:
    """The two resizes merged into one, or the padding not cut off between them."""
    logits = logits_at_original_size(run.maps.semantic, PADDED_SIZE, IMAGE_SIZE, ORIGINAL_SIZE)
    assert run.difference("sem_original_size", logits) < 1e-3
    labels = run.model.semantic_labels(run.maps, PADDED_SIZE, IMAGE_SIZE, ORIGINAL_SIZE)
    stored = run.oracle.arrays["synth/sem_argmax_original_size"]
    assert (labels[0].numpy() != stored).sum() <= 10


def test_predict_draws_the_official_panoptic_map(run: Run) -> None:
    """Anything at all between the image and the panoptic map."""
    result = run.model.predict(
        run.image,
        image_size=IMAGE_SIZE,
        original_size=ORIGINAL_SIZE,
        scale_factor=run.scale_factor,
    )
    panoptic = result.panoptic
    assert panoptic.ids.dtype == np.int32
    assert (panoptic.ids != run.oracle.arrays["synth/panoptic"]).sum() <= 30  # of 123000
    official = run.oracle.spec["images"]["synth"]["segments"]
    segments = {str(segment.id): segment.area for segment in panoptic.segments}
    assert set(segments) == set(official) - {str(panoptic.void)}
    assert all(abs(area - official[key]) <= 30 for key, area in segments.items())
    for segment in panoptic.segments:
        if segment.detection is not None:
            assert segment.label == result.detections.labels[segment.detection]
