"""Models that take one image, for targets and quantization."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import fx, nn

from export.capabilities import Recipe, StoredPrecision
from export.chips import Chip
from export.model_io import whole_model
from export.panoptic.graph import RoIAlign
from export.pipeline import rewrite_model, static_graph
from export.plan import ResolvedModel
from export.targets import ConversionInput
from lvt.config import Size
from lvt.data.preprocessing_steps import Normalise
from lvt.models import ModelSpec
from quantization.backend_config import BackendConfig
from quantization.calibrated_model import CalibratedModel, calibrate
from quantization.graph import trace
from quantization.inputs import Inputs
from quantization.methods import Method


def conversion(
    model: nn.Module,
    spec: ModelSpec,
    size: Size,
    precision: StoredPrecision,
    metadata: dict[str, str],
    pixels: Normalise | None = None,
    chips: tuple[Chip, ...] = (),
) -> ConversionInput:
    """What a target gets of a whole model."""
    entry_points = (whole_model(model, spec, size),)
    return ConversionInput(entry_points, spec, precision, metadata, pixels, chips)


def whole_graph(model: ResolvedModel, recipe: Recipe | None, roi_align: RoIAlign) -> nn.Module:
    """The rewritten model, a panoptic one as one graph."""
    return static_graph(rewrite_model(model, recipe), model, roi_align)


def trace_model(model: nn.Module, size: Size) -> fx.GraphModule:
    """The traced model for images (1, 3, *size)."""
    return trace(model, (np.zeros((1, 3, *size), np.float32),))


def single_inputs(images: Iterable[NDArray[np.float32]]) -> list[Inputs]:
    """The inputs of a model that takes an image, for each image."""
    return [(image,) for image in images]


def calibrate_model(
    model: nn.Module,
    size: Size,
    backend_config: BackendConfig,
    images: Sequence[NDArray[np.float32]],
    method: Method,
) -> CalibratedModel:
    """The traced model with ranges of the images."""
    return calibrate(trace_model(model, size), backend_config, single_inputs(images), method)
