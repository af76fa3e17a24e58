"""Core ML packages of models in int8."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.rewrite import rewrite
from export.session import TorchSession
from lvt.checkpoint import identify, read_checkpoint
from lvt.data.images import packaged_photos, read_image
from lvt.data.metrics import sqnr_db
from lvt.data.preprocessing import fixed_size
from lvt.data.preprocessing_steps import Normalise
from lvt.demo import DEMO_CHECKPOINT
from lvt.models import ModelSpec, build_random
from tests.conftest import tiny
from tests.helpers.int8_model import SMALL_SPEC, in_int8, small

pytest.importorskip("coremltools", reason="coremltools is not installed")

from export.targets.coreml import target as coreml
from export.targets.coreml.loader import load, read_metadata
from export.targets.coreml.session import EvaluatorSession
from tests.helpers.models import conversion

SIZE = (16, 24)
METADATA = {"lvt.task": "backbone"}


@pytest.fixture
def image() -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((1, 3, *SIZE)).astype(np.float32)


def operators(path: Path) -> Counter[str]:
    return Counter(operation.type for operation in load(path).operations)


def test_activations_in_int8(image: NDArray[np.float32], tmp_path: Path) -> None:
    """Each convolution and what follows reads and leaves levels, which takes iOS 17."""
    module = in_int8(small(), torch.from_numpy(image))
    path = tmp_path / "a.mlpackage"
    coreml.write(conversion(module, SMALL_SPEC, SIZE, "int8", METADATA), path)
    expected = TorchSession(module, SMALL_SPEC).run(image)
    actual = EvaluatorSession(path).run(image)
    assert list(actual) == list(expected)
    for name, value in expected.items():
        level = np.diff(np.unique(value)).min()
        # float16 rounds on either side of a level's limit, once in each of five layers.
        assert np.abs(actual[name] - value).max() <= 5.1 * level, name
    assert coreml.versions(path)["minimum"] == "iOS 17, macOS 14"
    assert METADATA.items() <= read_metadata(path).items()
    program = load(path)
    producers = {name: op for op in program.operations for name in op.outputs}
    readers: dict[str, set[str]] = {}
    for operation in program.operations:
        for names in operation.arguments.values():
            for name in names:
                readers.setdefault(name, set()).add(operation.type)
    convolutions = [op for op in program.operations if op.type == "conv"]
    assert len(convolutions) == 6
    for conv in convolutions:
        assert producers[conv.arguments["x"][0]].type == "dequantize"
        assert producers[conv.arguments["weight"][0]].type == "constexpr_affine_dequantize"
        # The stem's and the block's results go through ReLU and GELU in float16 or int8.
        assert readers[conv.outputs[0]] <= {"quantize", "relu"}


def test_weights_alone(image: NDArray[np.float32], tmp_path: Path) -> None:
    """Decompressed when the package is loaded, which iOS 16 can."""
    module = in_int8(small(), torch.from_numpy(image), activations=False)
    path = tmp_path / "a.mlpackage"
    coreml.write(conversion(module, SMALL_SPEC, SIZE, "int8", METADATA), path)
    expected = TorchSession(module, SMALL_SPEC).run(image)
    actual = EvaluatorSession(path).run(image)
    for name, value in expected.items():
        # float16: 66 dB a value, and so for the scales.
        assert sqnr_db(actual[name], value) >= 55, name
    assert coreml.versions(path)["minimum"] == "iOS 16, macOS 13"
    found = operators(path)
    assert found["constexpr_affine_dequantize"] == 4  # the block is applied twice
    assert not {"quantize", "dequantize"} & found.keys()
    weights = next(path.rglob("weight.bin")).stat().st_size
    values = sum(p.numel() for p in small().parameters() if p.ndim > 1)
    assert values <= weights <= 1.25 * values  # scales and biases, and the alignment of each
    assert [file.name for file in sorted(path.rglob("*")) if file.is_file()] == [
        "model.mlmodel",
        "weight.bin",
        "Manifest.json",
    ]
    assert torch.int64 in {value.dtype for value in module.buffers()}  # zero points, as given


def test_pixels(image: NDArray[np.float32], tmp_path: Path) -> None:
    """Normalised in front of the graph."""
    normalise = Normalise(255.0, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    pixels = np.random.default_rng(1).integers(0, 256, image.shape).astype(np.float32)
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (normalise.mean, normalise.std))
    prepared = (pixels / np.float32(255) - mean) / std
    module = in_int8(small(), torch.from_numpy(prepared))
    path = tmp_path / "a.mlpackage"
    coreml.write(conversion(module, SMALL_SPEC, SIZE, "int8", METADATA, normalise), path)
    expected = TorchSession(module, SMALL_SPEC).run(prepared)
    actual = EvaluatorSession(path).run(prepared)
    for name, value in expected.items():
        assert sqnr_db(actual[name], value) >= 35, name


class Boxes(nn.Module):
    """A convolution, boxes by rank whose areas leave float16, and a head's layer after them."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 8, 3, padding=1)
        self.head = nn.Conv2d(8, 4, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        features = self.features(image)
        scores, places = torch.topk(features.mean(1).flatten(1), 4)
        sides = (places.float() + 1000).unsqueeze(2).expand(1, 4, 4)
        areas = sides * sides
        near = self.head(features * (areas[:, :1, :1, None] / areas[:, :1, :1, None]))
        return areas, scores, places.int(), near, features


def test_boxes_stay_in_float32(image: NDArray[np.float32], tmp_path: Path) -> None:
    """What an exported graph calls its operators must not hide the top-k where boxes begin."""
    spec = identify(read_checkpoint(DEMO_CHECKPOINT))
    torch.manual_seed(0)
    module = in_int8(Boxes().eval(), torch.from_numpy(image))
    path = tmp_path / "a.mlpackage"
    coreml.write(conversion(module, spec, SIZE, "int8", {}), path)
    expected = TorchSession(module, spec).run(image)
    actual = EvaluatorSession(path).run(image)
    assert actual["labels"].dtype == np.int32
    np.testing.assert_allclose(actual["boxes"], expected["boxes"], rtol=1e-6)
    assert expected["boxes"].min() > np.finfo(np.float16).max
    program = load(path)
    layers = [op for op in program.operations if op.type in ("conv", "quantize", "dequantize")]
    results = {program.types[value].dtype for op in layers for value in op.outputs}
    assert results == {"fp16", "int8"}
    products = [op for op in program.operations if op.type == "mul"]
    assert "fp32" in {program.types[value].dtype for op in products for value in op.outputs}


@pytest.mark.slow
def test_a_network_in_int8(tmp_path: Path) -> None:
    """Every kind of module there is, as good as the graph."""
    size = (64, 96)
    spec = ModelSpec("semantic", tiny(recursion=1), 4)
    model = rewrite(build_random(spec, seed=5), "neural_engine")
    photo = fixed_size("semantic", size)(read_image(packaged_photos()[1]))
    module = in_int8(model, torch.from_numpy(photo))
    path = tmp_path / "a.mlpackage"
    coreml.write(conversion(module, spec, size, "int8", METADATA), path)
    floats = TorchSession(model, spec).run(photo)["logits"]
    graph = TorchSession(module, spec).run(photo)["logits"]
    actual = EvaluatorSession(path).run(photo)["logits"]
    assert sqnr_db(actual, floats) >= sqnr_db(graph, floats) - 2
    assert coreml.placement(path).fallback == "none"
