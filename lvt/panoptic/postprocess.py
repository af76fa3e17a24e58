"""Computes the panoptic map from the fixed-size outputs of an exported model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lvt.config import Size
from lvt.panoptic.config import PanopticConfig
from lvt.panoptic.fusion import PanopticMap, fuse
from lvt.panoptic.paste import paste_masks
from lvt.postprocessing import label_map


def panoptic_map(
    outputs: Mapping[str, NDArray[Any]],
    config: PanopticConfig,
    network_size: Size,
    content_size: Size,
    original_size: Size,
) -> PanopticMap:
    """The panoptic map (H, W) at the size of the original picture.

    `Segment.detection` of the map is the index in the outputs without empty slots.

    Args:
        outputs: boxes (K, 4) in network pixels, scores (K,), 0 for an empty slot, labels (K,),
            masks (K, cells, cells) probabilities, semantic logits (1, stuff+1, H/4, W/4).
        config: numbers of classes and fusion thresholds.
        network_size: (height, width) of the network's input.
        content_size: (height, width) of the picture in it, without padding.
        original_size: (height, width) of the original picture.
    """
    filled = outputs["scores"] > 0
    scale_y, scale_x = (c / o for c, o in zip(content_size, original_size, strict=True))
    scale = np.array([scale_x, scale_y, scale_x, scale_y], np.float32)
    boxes = (outputs["boxes"][filled] / scale).astype(np.float32)
    masks = paste_masks(
        outputs["masks"][filled], boxes, original_size, config.fusion.mask_threshold
    )
    return fuse(
        masks,
        outputs["scores"][filled],
        outputs["labels"][filled].astype(np.int64),
        label_map(outputs["semantic"], network_size, original_size, content_size),
        things=config.things,
        stuff=config.stuff,
        config=config.fusion,
    )
