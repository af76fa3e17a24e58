"""Panoptic FPN as one graph of fixed shapes: image in, boxes, scores, labels, masks, semantics out.

The reference works on lists of varying length, the graph on fixed numbers of slots: top-k in place
of sorting and truncating, Cluster-NMS in place of a loop, and RoIAlign on all levels, with empty
boxes on the levels that a box does not belong to. A slot without a detection has score 0, an empty
box and label 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.panoptic.branchless import not_negative, one_hot, positive, take
from export.panoptic.nms import ClusterNMS
from export.panoptic.roi_align import separable_roi_align
from lvt.config import Size
from lvt.panoptic.anchors import grid_anchors
from lvt.panoptic.boxes import ROI_CODER, RPN_CODER, clip_boxes
from lvt.panoptic.config import PanopticConfig
from lvt.panoptic.model import LVTPanoptic
from lvt.panoptic.roi_heads import ROI_LEVELS

RoIAlign = Callable[[Tensor, Tensor, int, int], Tensor]
"""(feature (1, C, H, W), boxes (N, 4), size, stride) -> (N, C, size, size)."""


class PanopticGraph(nn.Module):
    """`LVTPanoptic` with static shapes, the same weights and the same module names.

    Input: (1, 3, *size). Outputs for K slots, in order of falling score: boxes (K, 4) in network
    pixels, scores (K,) with 0 for an empty slot, labels (K,) int32, masks (K, 2S, 2S)
    probabilities; and semantic logits (1, stuff+1, H/4, W/4).

    Boxes are clipped to the network image including its padding, because a static graph does not
    know where the picture ends.

    Args:
        reference: the model; its submodules are used as they are.
        config: from `with_limits`.
        size: height and width of the network image.
        roi_align: computes the features of boxes, in the form that suits the target.
    """

    def __init__(
        self,
        reference: LVTPanoptic,
        config: PanopticConfig,
        size: Size,
        roi_align: RoIAlign = separable_roi_align,
    ):
        super().__init__()
        self.config = config
        self.size = size
        self.roi_align = roi_align
        self.backbone = reference.backbone
        self.neck = reference.neck
        self.rpn_head = reference.rpn_head
        self.roi_head = reference.roi_head
        self.semantic_head = reference.semantic_head
        height, width = size
        for index, stride in enumerate(config.anchors.strides):
            cells = (-(-height // stride), -(-width // stride))
            anchors = grid_anchors(cells, stride, config.anchors)
            self.register_buffer(f"anchors{index}", anchors, persistent=False)
        per_level = [
            min(config.proposals.per_level, len(anchors)) for anchors in self.buffers(recurse=False)
        ]
        self.level_nms = nn.ModuleList(
            ClusterNMS(count, config.proposals.iou_threshold) for count in per_level
        )
        count = min(config.proposals.count, sum(per_level))
        self.final_nms = ClusterNMS(count, config.detection.iou_threshold)
        self.eval()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        levels = self.neck(self.backbone(image))
        semantic = self.semantic_head(levels)
        proposals, valid = self.proposals(levels)
        boxes, scores, labels = self.detections(levels, proposals, valid)
        masks = self.masks(levels, boxes, labels)
        return boxes, scores, labels.to(torch.int32), masks, semantic

    def proposals(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The best boxes of all levels (P, 4), and 1.0 for those that exist, else 0.0 (P,)."""
        config = self.config.proposals
        maps = self.rpn_head(levels)
        boxes, scores = [], []
        for index, (logits, deltas) in enumerate(maps.flat(0)):
            anchors = self.get_buffer(f"anchors{index}")
            count = min(config.per_level, anchors.shape[0])
            score, best = logits.sigmoid().topk(count)
            decoded = RPN_CODER.decode(take(anchors, best), take(deltas, best))
            decoded = clip_boxes(decoded, self.size)
            sides = decoded[:, 2:] - decoded[:, :2]
            exists = positive(torch.minimum(sides[:, 0:1], sides[:, 1:2])).reshape(-1)
            alive = self.level_nms[index](decoded, exists)
            boxes.append(decoded)
            scores.append(score * alive - (1.0 - alive))  # -1 if suppressed
        all_scores = torch.cat(scores)
        score, best = all_scores.topk(min(config.count, all_scores.shape[0]))
        valid = not_negative(score)
        return take(torch.cat(boxes), best) * valid.reshape(-1, 1), valid

    def detections(
        self, levels: Sequence[Tensor], proposals: Tensor, valid: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (K, 4), scores (K,) and labels (K,) as floats, in order of falling score."""
        config = self.config.detection
        features = self._extract(levels, proposals, self.config.roi.box_size)
        logits, deltas = self.roi_head.bbox_head(features)
        score, label = logits.softmax(dim=1)[:, :-1].max(dim=1)
        score = score * valid * positive(score - config.score_threshold)
        kind = label.to(score.dtype)  # as whole floats
        own = one_hot(kind, deltas.shape[1])
        delta = torch.bmm(own.reshape(-1, 1, deltas.shape[1]), deltas).reshape(-1, 4)
        boxes = clip_boxes(ROI_CODER.decode(proposals, delta), self.size)
        score, order = score.topk(score.shape[0])
        boxes = take(boxes, order)
        score = score * self.final_nms(boxes, positive(score))
        score, kept = score.topk(min(config.count, score.shape[0]))
        filled = positive(score)
        kind = take(take(kind, order), kept) * filled
        return take(boxes, kept) * filled.reshape(-1, 1), score, kind

    def masks(self, levels: Sequence[Tensor], boxes: Tensor, labels: Tensor) -> Tensor:
        """Mask probabilities of each box for its class, (K, 2S, 2S)."""
        head = self.roi_head.mask_head
        x = self._extract(levels, boxes, self.config.roi.mask_size)
        for conv in head.convs:
            x = F.relu(conv(x))
        x = F.relu(head.upsample(x))
        # The last 1x1 convolution, only with the row of the weights that belongs to the class.
        own = one_hot(labels, self.config.things)
        assert head.conv_logits.bias is not None
        weight = F.linear(own, head.conv_logits.weight.flatten(1).T).reshape(len(own), 1, -1)
        bias = F.linear(own, head.conv_logits.bias.reshape(1, -1)).reshape(len(own), 1, 1)
        cells = x.shape[-1]
        logits = torch.bmm(weight, x.flatten(2)) + bias  # (K, 1, cells^2)
        return logits.sigmoid().reshape(-1, cells, cells)

    def _extract(self, levels: Sequence[Tensor], boxes: Tensor, size: int) -> Tensor:
        """RoIAlign of each box on the level of its size; on the other levels the box is empty."""
        sides = boxes[:, 2:] - boxes[:, :2]
        side = (sides[:, 0:1] * sides[:, 1:2]).sqrt() / self.config.roi.finest_scale + 1e-6
        total: Tensor | None = None
        for index in range(ROI_LEVELS):
            # floor(log2(side)), clamped to the levels that exist
            reached, next_reached = 2.0**index, 2.0 ** (index + 1)
            member = not_negative(side - reached) if index else None
            if index < ROI_LEVELS - 1:
                below = positive(next_reached - side)
                member = below if member is None else member * below
            assert member is not None
            stride = self.config.anchors.strides[index]
            part = self.roi_align(levels[index], boxes * member, size, stride)
            total = part if total is None else total + part
        assert total is not None
        return total
