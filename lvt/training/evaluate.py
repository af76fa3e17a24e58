"""Panoptic quality of the reference model on a source of examples."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from lvt.panoptic.config import PADDING_MULTIPLE
from lvt.panoptic.model import LVTPanoptic, PanopticResult
from lvt.panoptic.quality import PanopticQuality, QualityReport
from lvt.training.batch import Example, collate


def predict(model: LVTPanoptic, example: Example) -> PanopticResult:
    """The model's answer for one example, at the example's own size."""
    height, width = example.image.shape[:2]
    multiple = PADDING_MULTIPLE
    padded = (-(-height // multiple) * multiple, -(-width // multiple) * multiple)
    batch = collate([example], padded, (model.config.things, model.config.stuff))
    size = (height, width)
    return model.predict(batch.images, image_size=size, original_size=size, scale_factor=(1.0, 1.0))


def evaluate(model: LVTPanoptic, examples: Iterable[Example]) -> QualityReport:
    """Panoptic quality over examples, in evaluation mode; the mode is left as it was."""
    quality = PanopticQuality(model.config.things, model.config.stuff)
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for example in examples:
                quality.add(predict(model, example).panoptic, example.truth)
    finally:
        model.train(training)
    return quality.report()
