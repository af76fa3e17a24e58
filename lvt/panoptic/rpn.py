"""Region proposal network: boxes that may contain a thing of any class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lvt.panoptic.anchors import grid_anchors
from lvt.panoptic.boxes import RPN_CODER, clip_boxes
from lvt.panoptic.config import AnchorConfig, ProposalConfig
from lvt.panoptic.nms import grouped_nms


@dataclass(frozen=True)
class RPNMaps:
    """Outputs of the RPN for every anchor, one tensor for each level (P2 to P6).

    Attributes:
        objectness: logits (B, ratios, H, W).
        deltas: (B, ratios*4, H, W), channel = ratio*4 + coordinate, for `RPN_CODER`.
    """

    objectness: tuple[Tensor, ...]
    deltas: tuple[Tensor, ...]

    def flat(self, image: int) -> list[tuple[Tensor, Tensor]]:
        """Logits (A,) and deltas (A, 4) of one image, for each level; ordered as `grid_anchors`."""
        return [
            (
                logits[image].permute(1, 2, 0).flatten(),
                deltas[image].permute(1, 2, 0).reshape(-1, 4),
            )
            for logits, deltas in zip(self.objectness, self.deltas, strict=True)
        ]


@dataclass(frozen=True)
class Proposals:
    """Class-agnostic boxes of one image, best first.

    Attributes:
        boxes: (K, 4), network pixels, inside the unpadded image.
        scores: (K,), probabilities.
    """

    boxes: Tensor
    scores: Tensor


class RPNHead(nn.Module):
    """Applies the same three convolutions to every level (B, channels, H, W)."""

    def __init__(self, channels: int, ratios: int):
        super().__init__()
        self.rpn_conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.rpn_cls = nn.Conv2d(channels, ratios, 1)
        self.rpn_reg = nn.Conv2d(channels, 4 * ratios, 1)

    def forward(self, levels: Sequence[Tensor]) -> RPNMaps:
        hidden = [F.relu(self.rpn_conv(level)) for level in levels]
        return RPNMaps(
            objectness=tuple(self.rpn_cls(x) for x in hidden),
            deltas=tuple(self.rpn_reg(x) for x in hidden),
        )


def propose(
    maps: RPNMaps,
    image_size: tuple[int, int],
    anchors: AnchorConfig,
    config: ProposalConfig,
    *,
    image: int = 0,
) -> Proposals:
    """Decodes the best anchors of each level and applies NMS within each level.

    Args:
        maps: outputs of the RPN for a batch.
        image_size: (height, width) of the unpadded network image; boxes are clipped to it.
        anchors: the anchors of the RPN.
        config: limits and threshold.
        image: index in the batch.

    Returns:
        At most `config.count` proposals of all levels, best first, without boxes of no width or
        height.
    """
    boxes, scores, groups = [], [], []
    for index, (logits, deltas) in enumerate(maps.flat(image)):
        height, width = maps.objectness[index].shape[-2:]
        references = grid_anchors((height, width), anchors.strides[index], anchors).to(deltas)
        score = logits.sigmoid()
        best = score.argsort(descending=True, stable=True)[: config.per_level]
        decoded = clip_boxes(RPN_CODER.decode(references[best], deltas[best]), image_size)
        valid = (decoded[:, 2:] > decoded[:, :2]).all(dim=1)
        boxes.append(decoded[valid])
        scores.append(score[best][valid])
        groups.append(torch.full_like(best[valid], index))
    all_boxes, all_scores = torch.cat(boxes), torch.cat(scores)
    kept = grouped_nms(all_boxes, all_scores, torch.cat(groups), config.iou_threshold)
    kept = kept[: config.count]
    return Proposals(all_boxes[kept], all_scores[kept])
