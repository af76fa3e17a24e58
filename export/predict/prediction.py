"""What a model's outputs say of a picture, by task."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.session import Outputs
from lvt.config import Size
from lvt.data.preprocessing import Preprocessing
from lvt.models import ModelSpec
from lvt.panoptic.fusion import PanopticMap
from lvt.panoptic.postprocess import panoptic_map
from lvt.postprocessing import ClassScore, label_map, ranked_classes

Answer = list[ClassScore] | NDArray[np.int64] | PanopticMap
"""Classes, best first; labels (H, W); or a panoptic map."""


def answer(
    spec: ModelSpec,
    preprocessing: Preprocessing,
    outputs: Outputs,
    network_size: Size,
    original_size: Size,
) -> Answer | None:
    """The answer at the picture's size; None for a bare backbone.

    Args:
        spec: the model.
        preprocessing: how the picture became the network's input.
        outputs: of a session.
        network_size: (height, width) of the network's input.
        original_size: of the picture.
    """
    if spec.task == "classification":
        return ranked_classes(outputs["logits"])
    if spec.task == "backbone":
        return None
    content = preprocessing.content_size(original_size)
    if spec.panoptic is not None:
        return panoptic_map(outputs, spec.panoptic, network_size, content, original_size)
    return label_map(outputs["logits"], network_size, original_size, content)
