"""The reference panoptic model behind the session protocol, in the slots of the exported graph."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray

from export.session import Outputs
from lvt.models import PANOPTIC_OUTPUTS
from lvt.panoptic.config import PanopticConfig
from lvt.panoptic.model import LVTPanoptic


class PanopticReferenceSession:
    """Runs the reference's own stages, with its lists, loops and sorting; only then fills slots.

    Args:
        model: the reference.
        config: what an export was bounded to; the reference is held to the same bounds.
    """

    def __init__(self, model: LVTPanoptic, config: PanopticConfig):
        self._model = copy.copy(model)
        self._model.config = config

    def run(self, image: NDArray[np.float32]) -> Outputs:
        model, size = self._model, (image.shape[2], image.shape[3])
        unscaled = (1.0, 1.0)
        with torch.inference_mode():
            maps = model(torch.from_numpy(image))
            proposals = model.proposals(maps, size)
            found = model.detections(maps, proposals.boxes, size, unscaled)
            masks = model.masks(maps, found, unscaled).sigmoid()
        config = model.config
        slots = min(config.detection.count, config.proposals.count)
        cells = 2 * config.roi.mask_size
        values = (
            _filled(found.boxes, (slots, 4)),
            _filled(found.scores, (slots,)),
            _filled(found.labels.to(torch.int32), (slots,)),
            _filled(masks, (slots, cells, cells)),
            maps.semantic.numpy(),
        )
        return dict(zip(PANOPTIC_OUTPUTS, values, strict=True))


def _filled(values: torch.Tensor, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """`values` in the first slots, zeros in the others."""
    slots = np.zeros(shape, values.numpy().dtype)
    slots[: len(values)] = values.numpy()
    return slots
