"""The losses of Panoptic FPN: region proposals, boxes, masks, and semantic labels.

They follow the official configurations. No gradient flows through the coordinates of proposals.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lvt.panoptic.anchors import grid_anchors
from lvt.panoptic.boxes import ROI_CODER, RPN_CODER
from lvt.panoptic.config import AnchorConfig, ProposalConfig
from lvt.panoptic.model import LVTPanoptic, PanopticMaps
from lvt.panoptic.rpn import propose
from lvt.training.batch import IGNORED_PIXEL, Batch
from lvt.training.batched_roi_align import crop_masks, extract_boxes
from lvt.training.matcher import ROI_MATCHER, RPN_MATCHER, match_boxes, sample_boxes

TRAINING_PROPOSALS = ProposalConfig(per_level=2000, count=1000)


@dataclass(frozen=True)
class LossConfig:
    """Number of boxes that are sampled from an image, and weights of the losses.

    Attributes:
        rpn_samples: number of anchors.
        rpn_positive: highest share of positive ones among them, 0..1.
        roi_samples: number of proposals.
        roi_positive: highest share of positive ones among them, 0..1.
        proposals: how proposals are selected during training.
        rpn_box_weight: weight of the regression of anchors.
        box_weight: weight of the regression of proposals.
        semantic_weight: weight of the semantic head's loss.
    """

    rpn_samples: int = 256
    rpn_positive: float = 0.5
    roi_samples: int = 512
    roi_positive: float = 0.25
    proposals: ProposalConfig = TRAINING_PROPOSALS
    rpn_box_weight: float = 1.0
    box_weight: float = 1.0
    semantic_weight: float = 0.5


@dataclass(frozen=True)
class _SampledProposals:
    """The sampled proposals of one image, positive ones first."""

    boxes: Tensor  # (N, 4)
    matches: Tensor  # (P,), index of the true box of each positive one


def panoptic_losses(
    model: LVTPanoptic, batch: Batch, config: LossConfig, generator: torch.Generator
) -> dict[str, Tensor]:
    """The weighted losses of one batch, scalars by name. Training minimises their sum.

    Args:
        model: in training mode.
        batch: images and targets.
        config: numbers of samples, and weights.
        generator: a CPU generator, for the choice of samples.
    """
    maps = model(batch.images)
    rpn_class, rpn_box = rpn_losses(maps, batch, model.config.anchors, config, generator)
    sampled = _sample_proposals(model, maps, batch, config, generator)
    box_class, box = box_losses(model, maps, batch, sampled, config)
    return {
        "rpn_class": rpn_class,
        "rpn_box": rpn_box,
        "class": box_class,
        "box": box,
        "mask": mask_loss(model, maps, batch, sampled),
        "semantic": config.semantic_weight * semantic_loss(maps.semantic, batch.semantic),
    }


def rpn_losses(
    maps: PanopticMaps,
    batch: Batch,
    anchors: AnchorConfig,
    config: LossConfig,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Objectness (cross-entropy) and regression (L1), means over all sampled anchors."""
    references = torch.cat(
        [
            grid_anchors((logits.shape[-2], logits.shape[-1]), stride, anchors)
            for logits, stride in zip(maps.rpn.objectness, anchors.strides, strict=True)
        ]
    )
    class_loss = box_loss = maps.semantic.new_zeros(())
    count = 0
    for image, truth in enumerate(batch.instances):
        logits, deltas = (torch.cat(part) for part in zip(*maps.rpn.flat(image), strict=True))
        matches = match_boxes(references, truth.boxes, RPN_MATCHER)
        positive, negative = sample_boxes(
            matches, config.rpn_samples, config.rpn_positive, generator
        )
        chosen = logits[torch.cat([positive, negative])]
        is_positive = (torch.arange(len(chosen)) < len(positive)).to(chosen)
        class_loss = class_loss + F.binary_cross_entropy_with_logits(
            chosen, is_positive, reduction="sum"
        )
        targets = RPN_CODER.encode(references[positive], truth.boxes[matches[positive]])
        box_loss = box_loss + F.l1_loss(deltas[positive], targets, reduction="sum")
        count += len(chosen)
    return class_loss / count, config.rpn_box_weight * box_loss / count


def _sample_proposals(
    model: LVTPanoptic,
    maps: PanopticMaps,
    batch: Batch,
    config: LossConfig,
    generator: torch.Generator,
) -> list[_SampledProposals]:
    """Samples of the proposals and true boxes of each image, matched to the true boxes."""
    sampled = []
    with torch.no_grad():
        for image, truth in enumerate(batch.instances):
            proposals = propose(
                maps.rpn, batch.sizes[image], model.config.anchors, config.proposals, image=image
            )
            boxes = torch.cat([truth.boxes, proposals.boxes])
            matches = match_boxes(boxes, truth.boxes, ROI_MATCHER)
            positive, negative = sample_boxes(
                matches, config.roi_samples, config.roi_positive, generator
            )
            chosen = torch.cat([positive, negative])
            sampled.append(_SampledProposals(boxes[chosen], matches[positive]))
    return sampled


def box_losses(
    model: LVTPanoptic,
    maps: PanopticMaps,
    batch: Batch,
    sampled: list[_SampledProposals],
    config: LossConfig,
) -> tuple[Tensor, Tensor]:
    """Class (cross-entropy) and regression (L1, of the true class), means over the samples."""
    roi, things = model.roi_head.config, model.config.things
    boxes = [image.boxes for image in sampled]
    features = extract_boxes(
        maps.levels, boxes, roi.box_size, model.roi_head.strides, roi.finest_scale
    )
    logits, deltas = model.roi_head.bbox_head(features)
    labels, targets, positive, start = [], [], [], 0
    for truth, image in zip(batch.instances, sampled, strict=True):
        count = len(image.matches)
        background = truth.labels.new_full((len(image.boxes) - count,), things)
        labels += [truth.labels[image.matches], background]
        targets.append(ROI_CODER.encode(image.boxes[:count], truth.boxes[image.matches]))
        positive.append(torch.arange(start, start + count))
        start += len(image.boxes)
    label, rows = torch.cat(labels), torch.cat(positive)
    true_class_deltas = deltas[rows, label[rows]]  # (P, 4)
    regression = F.l1_loss(true_class_deltas, torch.cat(targets), reduction="sum") / start
    return F.cross_entropy(logits, label), config.box_weight * regression


def mask_loss(
    model: LVTPanoptic, maps: PanopticMaps, batch: Batch, sampled: list[_SampledProposals]
) -> Tensor:
    """Binary cross-entropy of the masks of positive proposals, on the channel of their class."""
    roi = model.roi_head.config
    boxes = [image.boxes[: len(image.matches)] for image in sampled]
    features = extract_boxes(
        maps.levels, boxes, roi.mask_size, model.roi_head.strides, roi.finest_scale
    )
    logits = model.roi_head.mask_head(features)
    labels, targets = [], []
    for index, (truth, image) in enumerate(zip(batch.instances, sampled, strict=True)):
        labels.append(truth.labels[image.matches])
        ids = truth.ids[image.matches]
        targets.append(crop_masks(batch.ids[index], ids, boxes[index], logits.shape[-1]))
    label = torch.cat(labels)
    if not len(label):
        return logits.sum()  # zero, but part of the graph of gradients
    true_class_logits = logits[torch.arange(len(label)), label]
    return F.binary_cross_entropy_with_logits(
        true_class_logits, torch.cat(targets).to(true_class_logits)
    )


def semantic_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of stuff classes and "some thing", without void pixels.

    Args:
        logits: (B, stuff+1, h, w).
        target: int64 (B, h, w).
    """
    known = (target != IGNORED_PIXEL).sum().clamp(min=1)
    total = F.cross_entropy(logits, target, ignore_index=IGNORED_PIXEL, reduction="sum")
    return total / known
