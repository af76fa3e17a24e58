"""Panoptic quality of the reference model on samples."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from lvt.data.datasets.samples import PanopticSample
from lvt.panoptic.config import PADDING_MULTIPLE
from lvt.panoptic.model import LVTPanoptic, PanopticResult
from lvt.panoptic.quality import PanopticQuality, QualityReport
from lvt.training.batch import collate


def predict(model: LVTPanoptic, sample: PanopticSample) -> PanopticResult:
    """The model's prediction for one sample, at the sample's own size."""
    height, width = sample.image.shape[:2]
    multiple = PADDING_MULTIPLE
    padded = (-(-height // multiple) * multiple, -(-width // multiple) * multiple)
    batch = collate([sample], padded, (model.config.things, model.config.stuff))
    size = (height, width)
    return model.predict(batch.images, image_size=size, original_size=size, scale_factor=(1.0, 1.0))


def evaluate(model: LVTPanoptic, samples: Iterable[PanopticSample]) -> QualityReport:
    """Panoptic quality over the samples, in evaluation mode; the model's mode is restored."""
    quality = PanopticQuality(model.config.things, model.config.stuff)
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for sample in samples:
                quality.add(predict(model, sample).panoptic, sample.truth)
    finally:
        model.train(training)
    return quality.report()
