"""Artifacts of small models, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.pipeline import ExportResult
from export.plan import ExportRequest
from lvt.checkpoint import CheckpointMeta, write_checkpoint
from lvt.data.images import packaged_photos
from lvt.models import ModelSpec, build_random
from tests.conftest import TINY
from tests.helpers.shared_artifacts import SharedArtifacts

TINY_SEMANTIC = ModelSpec("semantic", TINY, 3, decoder_dim=24)


def _write_tiny(folder: Path) -> Path:
    path = folder / "tiny.safetensors"
    colours = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
    meta = CheckpointMeta(("red", "green", "blue"), colours, input_size=(64, 96))
    write_checkpoint(path, build_random(TINY_SEMANTIC, seed=5), TINY_SEMANTIC, meta)
    return path


@pytest.fixture(scope="session")
def tiny_checkpoint(shared_artifacts: SharedArtifacts) -> Path:
    """A tiny segmentation model."""
    return shared_artifacts.once("tiny checkpoint", _write_tiny)


@pytest.fixture(scope="session")
def tiny_export(tiny_checkpoint: Path, shared_artifacts: SharedArtifacts) -> ExportResult:
    """The tiny model as an ONNX artifact."""
    return shared_artifacts.export(ExportRequest("onnx", checkpoint=tiny_checkpoint))


@pytest.fixture(scope="session")
def demo_export(shared_artifacts: SharedArtifacts) -> ExportResult:
    """The demonstration model as an ONNX artifact in parts."""
    return shared_artifacts.export(ExportRequest("onnx", checkpoint="demo"))


@pytest.fixture(scope="session")
def tiny_int8(tiny_checkpoint: Path, shared_artifacts: SharedArtifacts) -> Path:
    """The tiny model as an int8 ONNX artifact."""

    def quantized(folder: Path) -> Path:
        from quantization.pipeline import Quantizer
        from quantization.request import QuantizeRequest

        export = ExportRequest("onnx", out=folder, checkpoint=tiny_checkpoint)
        photos = packaged_photos()[0].parent
        request = QuantizeRequest(export, calib=photos, method="minmax")
        return Quantizer(request).quantize("onnx").path

    return shared_artifacts.once("tiny int8", quantized)
