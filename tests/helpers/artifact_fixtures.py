"""A tiny segmentation checkpoint and its artifact, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.pipeline import ExportResult, export_artifact
from export.plan import ExportRequest
from lvt.checkpoint import CheckpointMeta, write_checkpoint
from lvt.data.images import packaged_photos
from lvt.models import ModelSpec, build_random
from tests.conftest import TINY

TINY_SEMANTIC = ModelSpec("semantic", TINY, 3, decoder_dim=24)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors"
    colours = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
    meta = CheckpointMeta(("red", "green", "blue"), colours, input_size=(64, 96))
    write_checkpoint(path, build_random(TINY_SEMANTIC, seed=5), TINY_SEMANTIC, meta)
    return path


@pytest.fixture(scope="session")
def tiny_export(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    folder = tmp_path_factory.mktemp("artifact")
    return export_artifact(ExportRequest("onnx", out=folder, checkpoint=tiny_checkpoint))


@pytest.fixture(scope="session")
def demo_export(tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    """The demonstration model as an artifact; the export takes half a minute."""
    folder = tmp_path_factory.mktemp("demo")
    return export_artifact(ExportRequest("onnx", out=folder, checkpoint=Path("demo")))


@pytest.fixture(scope="session")
def tiny_int8(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as an int8 ONNX artifact."""
    from quantization.pipeline import Quantizer
    from quantization.request import QuantizeRequest

    folder = tmp_path_factory.mktemp("int8")
    export = ExportRequest("onnx", out=folder, checkpoint=tiny_checkpoint)
    photos = packaged_photos()[0].parent
    request = QuantizeRequest(export, calib=photos, method="minmax")
    return Quantizer(request).quantize("onnx").path
