"""From a picture to a prediction: the same interface for artifacts and for the reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from export.plan import ExportRequest, choose_size, load_reference
from export.predict.picture import Picture, load_picture
from export.predict.prediction import PanopticPrediction, Prediction, decode_outputs
from export.session import Session, TorchSession
from lvt.config import Size
from lvt.data.labels import Labels
from lvt.data.preprocessing import Preprocessing, fixed_size, official
from lvt.errors import UserError
from lvt.models import ModelSpec
from lvt.panoptic.model import LVTPanoptic


class Predictor(Protocol):
    """A model with everything that is needed to use it on a picture."""

    @property
    def spec(self) -> ModelSpec:
        """Describes the model."""
        ...

    @property
    def labels(self) -> Labels:
        """Names and colours of its classes."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Facts that the user of the model should know, one line each."""
        ...

    def predict(self, picture: Picture) -> Prediction:
        """The prediction for one picture."""
        ...


@dataclass(frozen=True)
class SessionPredictor:
    """A model of fixed input size in its runtime: an artifact, or a model that is not a file yet.

    Attributes:
        session: runs the model.
        size: height and width of its input.
    """

    session: Session
    spec: ModelSpec
    labels: Labels
    preprocessing: Preprocessing
    size: Size
    notes: tuple[str, ...] = ()

    def predict(self, picture: Picture) -> Prediction:
        """See `Predictor.predict`."""
        pixels = load_picture(picture)
        outputs = self.session.run(self.preprocessing(pixels))
        picture_size = pixels.shape[0], pixels.shape[1]
        return decode_outputs(
            self.spec, self.labels, self.preprocessing, outputs, self.size, picture_size
        )


@dataclass(frozen=True)
class ReferencePredictor:
    """The reference in PyTorch, at any input size. Panoptic models run without export limits."""

    model: nn.Module
    spec: ModelSpec
    labels: Labels
    preprocessing: Preprocessing
    notes: tuple[str, ...] = ()

    def predict(self, picture: Picture) -> Prediction:
        """See `Predictor.predict`."""
        pixels = load_picture(picture)
        image = self.preprocessing(pixels)
        picture_size = pixels.shape[0], pixels.shape[1]
        if isinstance(self.model, LVTPanoptic):
            content = self.preprocessing.content_size(picture_size)
            result = self.model.predict(
                torch.from_numpy(image),
                image_size=content,
                original_size=picture_size,
                scale_factor=(content[1] / picture_size[1], content[0] / picture_size[0]),
            )
            scores = result.detections.scores.numpy()
            return PanopticPrediction(result.panoptic, scores, self.labels)
        outputs = TorchSession(self.model, self.spec).run(image)
        input_size = image.shape[2], image.shape[3]
        return decode_outputs(
            self.spec, self.labels, self.preprocessing, outputs, input_size, picture_size
        )


def reference_predictor(
    checkpoint: Path,
    *,
    size: Size | None = None,
    names: Path | None = None,
    official_transform: bool = False,
) -> ReferencePredictor:
    """The reference with a checkpoint's weights.

    Args:
        checkpoint: a file, or `demo`.
        size: input size if the checkpoint has none.
        names: file with class names that replace the checkpoint's.
        official_transform: use the official transform instead of a fixed input size.

    Raises:
        UserError: see `load_reference` and `choose_size`; or a bare backbone.
    """
    request = ExportRequest("onnx", checkpoint=checkpoint, size=size, names=names)
    loaded = load_reference(request)
    labels, task, meta = loaded.labels, loaded.spec.task, loaded.meta
    if labels is None:
        raise UserError(f"{checkpoint.name} is a bare backbone: it has no classes to predict")
    if official_transform:
        preprocessing = official(task, meta.mean, meta.std)
    else:
        preprocessing = fixed_size(task, choose_size(request, loaded), meta.mean, meta.std)
    return ReferencePredictor(loaded.model, loaded.spec, labels, preprocessing, meta.notes)
