"""Selects detections, in pixels of the original image, from the outputs of the box head."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lvt.panoptic.boxes import ROI_CODER, clip_boxes
from lvt.panoptic.config import DetectionConfig
from lvt.panoptic.nms import nms


@dataclass(frozen=True)
class Detections:
    """The detected instances of one image, best first.

    Attributes:
        boxes: (K, 4), pixels of the original image.
        scores: (K,), probabilities.
        labels: (K,), int64, from 0 to things-1.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


def decode_detections(
    proposals: Tensor,
    deltas: Tensor,
    image_size: tuple[int, int],
    scale_factor: tuple[float, float],
) -> Tensor:
    """The box of each proposal for each class, (N, things, 4), in pixels of the original image.

    Args:
        proposals: (N, 4), network pixels.
        deltas: (N, things, 4), from the box head.
        image_size: (height, width) of the unpadded network image; boxes are clipped to it.
        scale_factor: network pixels per original pixel, (x, y); the two differ slightly.
    """
    boxes = clip_boxes(ROI_CODER.decode(proposals[:, None], deltas), image_size)
    return boxes / boxes.new_tensor([*scale_factor, *scale_factor])


def select_detections(boxes: Tensor, scores: Tensor, config: DetectionConfig) -> Tensor:
    """Indices box * things + class of the (box, class) pairs that are detections, best first.

    One NMS over all classes is applied to the pairs above the score threshold.

    Args:
        boxes: (N, things, 4).
        scores: (N, things), probabilities, without background.
        config: thresholds and limit.
    """
    candidates = (scores.flatten() > config.score_threshold).nonzero().squeeze(1)
    kept = nms(boxes.reshape(-1, 4)[candidates], scores.flatten()[candidates], config.iou_threshold)
    return candidates[kept[: config.count]]


def detect(
    proposals: Tensor,
    logits: Tensor,
    deltas: Tensor,
    image_size: tuple[int, int],
    scale_factor: tuple[float, float],
    config: DetectionConfig,
) -> Detections:
    """Detections of one image from the box head's outputs on its proposals.

    Args:
        proposals: (N, 4), network pixels.
        logits: (N, things+1), background last.
        deltas: (N, things, 4).
        image_size: (height, width) of the unpadded network image.
        scale_factor: network pixels per original pixel, (x, y).
        config: thresholds and limit.
    """
    scores = logits.softmax(dim=1)[:, :-1]
    boxes = decode_detections(proposals, deltas, image_size, scale_factor)
    pairs = select_detections(boxes, scores, config)
    return Detections(
        boxes=boxes.reshape(-1, 4)[pairs],
        scores=scores.flatten()[pairs],
        labels=pairs % scores.shape[1],
    )
