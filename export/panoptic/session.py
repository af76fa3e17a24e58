"""The panoptic reference behind the session protocol, with the outputs of the exported graph."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray

from export.panoptic.fill_slots import fill_slots
from export.session import Outputs
from lvt.models import PANOPTIC_OUTPUTS
from lvt.panoptic.config import PanopticConfig
from lvt.panoptic.model import LVTPanoptic


class PanopticReferenceSession:
    """Runs the stages of the reference, with lists, loops and sorting, and then fills the slots.

    Args:
        model: the reference.
        config: the limits of the export, from `with_limits`; the reference gets the same.
    """

    def __init__(self, model: LVTPanoptic, config: PanopticConfig):
        self._model = copy.copy(model)
        self._model.config = config

    def run(self, image: NDArray[np.float32]) -> Outputs:
        """See `export.session.Session.run`."""
        model, size = self._model, (image.shape[2], image.shape[3])
        unscaled = (1.0, 1.0)
        with torch.inference_mode():
            maps = model(torch.from_numpy(image))
            proposals = model.proposals(maps, size)
            detections = model.detections(maps, proposals.boxes, size, unscaled)
            masks = model.masks(maps, detections, unscaled).sigmoid()
        config = model.config
        slots = min(config.detection.count, config.proposals.count)
        labels = detections.labels.to(torch.int32)
        values = (detections.boxes, detections.scores, labels, masks)
        filled = [fill_slots(value.numpy(), slots) for value in values]
        return dict(zip(PANOPTIC_OUTPUTS, (*filled, maps.semantic.numpy()), strict=True))
