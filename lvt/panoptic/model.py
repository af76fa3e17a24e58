"""Panoptic FPN on LVT.

The stages are: image -> maps (`forward`: pyramid, RPN maps, semantic logits) -> proposals ->
detections -> masks -> panoptic map. Training and export call single stages; `predict` runs all.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lvt.backbone import LVT
from lvt.config import LVTConfig
from lvt.panoptic.config import PADDING_MULTIPLE, PanopticConfig
from lvt.panoptic.detections import Detections, detect
from lvt.panoptic.fpn import FPN
from lvt.panoptic.fusion import PanopticMap, fuse
from lvt.panoptic.paste import paste_masks
from lvt.panoptic.roi_heads import RoIHead, as_rois
from lvt.panoptic.rpn import Proposals, RPNHead, RPNMaps, propose
from lvt.panoptic.semantic_head import SEMANTIC_LEVELS, SemanticHead
from lvt.semantic import logits_at_original_size


@dataclass(frozen=True)
class PanopticMaps:
    """The maps that are computed for the whole image, before any box.

    Attributes:
        levels: P2 to P6, each (B, channels, H, W).
        rpn: objectness and deltas on the same levels.
        semantic: logits (B, stuff+1, H/4, W/4).
    """

    levels: tuple[Tensor, ...]
    rpn: RPNMaps
    semantic: Tensor


@dataclass(frozen=True)
class PanopticResult:
    """The prediction for one image.

    Attributes:
        detections: boxes, scores and labels, best first, in pixels of the original image.
        panoptic: panoptic map at the size of the original image.
    """

    detections: Detections
    panoptic: PanopticMap


class LVTPanoptic(nn.Module):
    """Panoptic segmentation (section 4.3): instances and stuff in one map.

    Args:
        backbone: configuration of the LVT.
        config: configuration of everything after it.
    """

    def __init__(self, backbone: LVTConfig, config: PanopticConfig):
        super().__init__()
        self.config = config
        self.backbone = LVT(backbone)
        self.neck = FPN(backbone.dims, config.channels)
        self.rpn_head = RPNHead(config.channels, len(config.anchors.ratios))
        self.roi_head = RoIHead(config)
        self.semantic_head = SemanticHead(config)

    def forward(self, image: Tensor) -> PanopticMaps:
        """The maps of a batch (B, 3, H, W).

        Raises:
            ValueError: a side is not a multiple of 32.
        """
        height, width = image.shape[-2:]
        if height % PADDING_MULTIPLE or width % PADDING_MULTIPLE:
            raise ValueError(
                f"image is {height}x{width}; pad it on the right and at the bottom, with zeros "
                f"after normalising, to multiples of {PADDING_MULTIPLE}"
            )
        levels = self.neck(self.backbone(image))
        return PanopticMaps(
            levels=levels,
            rpn=self.rpn_head(levels),
            semantic=self.semantic_head(levels[:SEMANTIC_LEVELS]),
        )

    def proposals(
        self, maps: PanopticMaps, image_size: tuple[int, int], *, image: int = 0
    ) -> Proposals:
        """Boxes that may contain a thing, for one image of the batch.

        Args:
            maps: from `forward`.
            image_size: (height, width) of the unpadded network image.
            image: index in the batch.
        """
        config = self.config
        return propose(maps.rpn, image_size, config.anchors, config.proposals, image=image)

    def detections(
        self,
        maps: PanopticMaps,
        proposals: Tensor,
        image_size: tuple[int, int],
        scale_factor: tuple[float, float],
        *,
        image: int = 0,
    ) -> Detections:
        """Detections from the proposals of one image, in pixels of the original image.

        Args:
            maps: from `forward`.
            proposals: (N, 4), network pixels.
            image_size: (height, width) of the unpadded network image.
            scale_factor: network pixels per original pixel, (x, y).
            image: index in the batch.
        """
        logits, deltas = self.roi_head.classify(maps.levels, as_rois(proposals, image))
        return detect(proposals, logits, deltas, image_size, scale_factor, self.config.detection)

    def masks(
        self,
        maps: PanopticMaps,
        detections: Detections,
        scale_factor: tuple[float, float],
        *,
        image: int = 0,
    ) -> Tensor:
        """Mask logits of the detections, each for its class: (K, cells, cells).

        Args:
            maps: from `forward`.
            detections: boxes in pixels of the original image, and labels.
            scale_factor: network pixels per original pixel, (x, y).
            image: index in the batch.
        """
        boxes = detections.boxes * detections.boxes.new_tensor([*scale_factor, *scale_factor])
        logits = self.roi_head.masks(maps.levels, as_rois(boxes, image))
        labels = detections.labels
        return logits[torch.arange(len(labels), device=labels.device), labels]

    def semantic_labels(
        self,
        maps: PanopticMaps,
        padded_size: tuple[int, int],
        image_size: tuple[int, int],
        original_size: tuple[int, int],
    ) -> Tensor:
        """The best channel of the semantic head, int64 (B, H, W), at the original size.

        Args:
            maps: from `forward`.
            padded_size: (height, width) of the network's input.
            image_size: (height, width) of the image in it, without padding.
            original_size: (height, width) of the original image.
        """
        logits = logits_at_original_size(maps.semantic, padded_size, image_size, original_size)
        return logits.argmax(dim=1)

    @torch.inference_mode()
    def predict(
        self,
        image: Tensor,
        *,
        image_size: tuple[int, int],
        original_size: tuple[int, int],
        scale_factor: tuple[float, float],
    ) -> PanopticResult:
        """Predicts the detections and the panoptic map of one image.

        Args:
            image: (1, 3, H, W), normalised, then padded with zeros on the right and at the bottom
                to multiples of 32.
            image_size: (height, width) without the padding.
            original_size: (height, width) of the original picture.
            scale_factor: network pixels per original pixel, (x, y).

        Raises:
            ValueError: there is not one image, it is not padded, or `image_size` is larger.
        """
        padded_size = (image.shape[-2], image.shape[-1])
        if len(image) != 1:
            raise ValueError(f"predict takes one image, not {len(image)}; call it for each")
        if image_size[0] > padded_size[0] or image_size[1] > padded_size[1]:
            raise ValueError(
                f"image_size {image_size} exceeds the image {padded_size}; "
                "both are (height, width), image_size without the padding"
            )
        maps = self(image)
        proposals = self.proposals(maps, image_size)
        detections = self.detections(maps, proposals.boxes, image_size, scale_factor)
        probabilities = self.masks(maps, detections, scale_factor).sigmoid()
        semantic = self.semantic_labels(maps, padded_size, image_size, original_size)[0]
        panoptic = self.fuse(detections, probabilities, semantic)
        return PanopticResult(detections, panoptic)

    def fuse(self, detections: Detections, probabilities: Tensor, semantic: Tensor) -> PanopticMap:
        """Pastes the masks into the image and fuses them with the semantic labels, with NumPy.

        Args:
            detections: K boxes in pixels of the original image, scores and labels.
            probabilities: (K, cells, cells), mask probabilities.
            semantic: (H, W), from `semantic_labels`.
        """
        config = self.config
        masks = paste_masks(
            probabilities.cpu().numpy(),
            detections.boxes.cpu().numpy(),
            (semantic.shape[0], semantic.shape[1]),
            config.fusion.mask_threshold,
        )
        return fuse(
            masks,
            detections.scores.cpu().numpy(),
            detections.labels.cpu().numpy(),
            semantic.cpu().numpy(),
            things=config.things,
            stuff=config.stuff,
            config=config.fusion,
        )
