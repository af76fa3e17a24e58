"""Panoptic FPN as one graph of fixed shapes: image in, boxes, scores, labels, masks, semantics out.

What the reference does with lists of changing length is done here with fixed numbers of slots:
top-k instead of sorting and cutting, Cluster-NMS instead of a loop, RoIAlign on all levels with
empty boxes where a box does not belong. A slot without a detection has score 0, an empty box and
label 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.panoptic.branchless import not_negative, one_hot, positive, take
from export.panoptic.nms import ClusterNMS
from export.panoptic.roi_align import separable_roi_align
from lvt.config import Size
from lvt.errors import UserError
from lvt.panoptic.anchors import grid_anchors
from lvt.panoptic.boxes import ROI_CODER, RPN_CODER, clip_boxes
from lvt.panoptic.config import PADDING_MULTIPLE, PanopticConfig
from lvt.panoptic.model import LVTPanoptic
from lvt.panoptic.roi_heads import ROI_LEVELS

RoIAlign = Callable[[Tensor, Tensor, int, int], Tensor]
"""(feature (1, C, H, W), boxes (N, 4), size, stride) -> (N, C, size, size)."""


def with_limits(
    config: PanopticConfig, proposals: int | None, detections: int | None
) -> PanopticConfig:
    """The configuration with the work bounded: at most so many proposals and detections.

    Raises:
        UserError: a bound below 1, or a score threshold the graph cannot honour.
    """
    for name, bound in (("--proposals", proposals), ("--detections", detections)):
        if bound is not None and bound < 1:
            raise UserError(f"{name} {bound} is not possible; give at least 1")
    if config.detection.score_threshold < 0.5:
        # Above one half at most one class of a box can pass, so its best class is all of it.
        raise UserError(
            f"a score threshold of {config.detection.score_threshold} lets a box be several "
            "classes at once, which the exported graph does not do; use 0.5 or more"
        )
    count = min(config.proposals.count, proposals or config.proposals.count)
    kept = min(config.detection.count, detections or config.detection.count, count)
    per_level = min(config.proposals.per_level, 2 * count)
    return replace(
        config,
        proposals=replace(config.proposals, count=count, per_level=per_level),
        detection=replace(config.detection, count=kept),
    )


def check_size(size: Size, who: str = "a panoptic model") -> None:
    """Refuses sizes the pyramid does not meet at.

    Args:
        size: of the network image.
        who: needs a size that it meets at, as the error says.

    Raises:
        UserError: a side is not a multiple of 32.
    """
    if size[0] % PADDING_MULTIPLE or size[1] % PADDING_MULTIPLE:
        suggestion = "x".join(str(-(-side // PADDING_MULTIPLE) * PADDING_MULTIPLE) for side in size)
        raise UserError(
            f"--size {size[0]}x{size[1]}: {who} needs multiples of "
            f"{PADDING_MULTIPLE}, such as {suggestion}"
        )


class PanopticGraph(nn.Module):
    """The static form of `LVTPanoptic`, with its weights and its module names.

    Input: (1, 3, *size). Outputs, for K slots, best first: boxes (K, 4) in network pixels, scores
    (K,) with 0 for an empty slot, labels (K,) int32, masks (K, 2S, 2S) probabilities, semantic
    logits (1, stuff+1, H/4, W/4).

    Boxes are clipped to the whole network image, padding included: a graph of fixed shapes does
    not know where the picture ends.

    Args:
        reference: the model; its submodules are used as they are.
        config: from `with_limits`.
        size: height and width of the network image.
        roi_align: how features under a box are taken.
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
        proposing, detecting = config.proposals, config.detection
        per_level = [
            min(proposing.per_level, len(anchors)) for anchors in self.buffers(recurse=False)
        ]
        self.level_nms = nn.ModuleList(
            ClusterNMS(count, proposing.iou_threshold) for count in per_level
        )
        kept = min(proposing.count, sum(per_level))
        self.final_nms = ClusterNMS(kept, detecting.iou_threshold)
        self.eval()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        levels = self.neck(self.backbone(image))
        semantic = self.semantic_head(levels)
        proposals, valid = self.proposals(levels)
        boxes, scores, labels = self.detections(levels, proposals, valid)
        masks = self.masks(levels, boxes, labels)
        return boxes, scores, labels.to(torch.int32), masks, semantic

    def proposals(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The best boxes of all levels (P, 4), and which of them exist (P,) as 0.0 and 1.0."""
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
            scores.append(score * alive - (1.0 - alive))  # -1 for what is gone
        all_scores = torch.cat(scores)
        score, best = all_scores.topk(min(config.count, all_scores.shape[0]))
        valid = not_negative(score)
        return take(torch.cat(boxes), best) * valid.reshape(-1, 1), valid

    def detections(
        self, levels: Sequence[Tensor], proposals: Tensor, valid: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (K, 4) in network pixels, scores (K,), labels (K,) as floats, best first."""
        config = self.config.detection
        features = self._extract(levels, proposals, self.config.roi.box_size)
        logits, deltas = self.roi_head.bbox_head(features)
        score, label = logits.softmax(dim=1)[:, :-1].max(dim=1)
        score = score * valid * positive(score - config.score_threshold)
        kind = label.to(score.dtype)  # whole numbers
        own = one_hot(kind, deltas.shape[1])
        delta = torch.bmm(own.reshape(-1, 1, deltas.shape[1]), deltas).reshape(-1, 4)  # its own
        boxes = clip_boxes(ROI_CODER.decode(proposals, delta), self.size)
        score, order = score.topk(score.shape[0])
        boxes = take(boxes, order)
        score = score * self.final_nms(boxes, positive(score))
        score, kept = score.topk(min(config.count, score.shape[0]))
        filled = positive(score)
        kind = take(take(kind, order), kept) * filled
        return take(boxes, kept) * filled.reshape(-1, 1), score, kind

    def masks(self, levels: Sequence[Tensor], boxes: Tensor, labels: Tensor) -> Tensor:
        """Mask probabilities of each box for its own class, (K, 2S, 2S)."""
        head = self.roi_head.mask_head
        x = self._extract(levels, boxes, self.config.roi.mask_size)
        for conv in head.convs:
            x = F.relu(conv(x))
        x = F.relu(head.upsample(x))
        # The last 1x1 convolution only for the class that is wanted: its row of the weights.
        own = one_hot(labels, self.config.things)
        assert head.conv_logits.bias is not None
        weight = F.linear(own, head.conv_logits.weight.flatten(1).T).reshape(len(own), 1, -1)
        bias = F.linear(own, head.conv_logits.bias.reshape(1, -1)).reshape(len(own), 1, 1)
        cells = x.shape[-1]
        logits = torch.bmm(weight, x.flatten(2)) + bias  # (K, 1, cells^2)
        return logits.sigmoid().reshape(-1, cells, cells)

    def _extract(self, levels: Sequence[Tensor], boxes: Tensor, size: int) -> Tensor:
        """RoIAlign, each box on the level of its size: on the others it is an empty box."""
        sides = boxes[:, 2:] - boxes[:, :2]
        side = (sides[:, 0:1] * sides[:, 1:2]).sqrt() / self.config.roi.finest_scale + 1e-6
        total: Tensor | None = None
        for index in range(ROI_LEVELS):
            # floor(log2(side)), clamped to the levels there are
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
