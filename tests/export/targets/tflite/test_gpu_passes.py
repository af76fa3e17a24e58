"""Passes that make files ones that GPUs take and compute well; CPUs compute the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lvt.data.metrics import sqnr_db
from lvt.models import ModelSpec
from tests.conftest import TINY
from tests.export.targets.tflite.conftest import write_both
from tests.helpers.int8_model import in_int8
from tests.helpers.models import conversion

pytest.importorskip("litert_torch", reason="needs the extra lvt-mobile[tflite]")

from ai_edge_litert import schema_py_generated as schema

from export.targets.tflite import flatbuffer
from export.targets.tflite import target as tflite
from export.targets.tflite.long_sums import LONGEST_SUM

SIZE = (12, 20)
SPEC = ModelSpec("semantic", TINY, 4)
NONE = schema.ActivationFunctionType.NONE


class Upsample(nn.Module):
    """A transposed convolution with a ReLU, as in the mask head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.ConvTranspose2d(3, 4, 2, stride=2)

    def forward(self, image: Tensor) -> Tensor:
        return torch.relu(self.conv(image))


class LongSum(nn.Module):
    """A linear layer with 720 products for each sum, as in the box head, and a short one."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.long = nn.Linear(3 * SIZE[0] * SIZE[1], 6)
        self.short = nn.Linear(6, 4)

    def forward(self, image: Tensor) -> Tensor:
        return self.short(torch.relu(self.long(image.flatten(1))))


class Strided(nn.Module):
    """A convolution that reads every second pixel, as in CSA, on even and odd sides."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 1, stride=2)

    def forward(self, image: Tensor) -> Tensor:
        return self.conv(image)


def operators(path: Path, name: str) -> list[Any]:
    file = flatbuffer.read(path)
    found = file.subgraphs[0].operators
    return [operator for operator in found if flatbuffer.operator_name(file, operator) == name]


def image(size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1, 3, *size)).astype(np.float32)


def check_result(module: nn.Module, path: Path, least_db: float) -> None:
    with torch.no_grad():
        expected = module(torch.from_numpy(image())).numpy()
    (actual,) = tflite.open_session(path, threads=1).run(image()).values()
    assert sqnr_db(actual.reshape(expected.shape), expected) > least_db


def test_no_transposed_convolution_of_a_version_that_gpus_refuse(tmp_path: Path) -> None:
    """LiteRT's GPU accelerator takes versions up to 3; a fused ReLU asks for 4."""
    module = Upsample().eval()
    full, half = write_both(module, SPEC, SIZE, tmp_path)
    for path, least_db in ((full, 120), (half, 50)):
        versions = dict(flatbuffer.operator_versions(flatbuffer.read(path)))
        assert versions["TRANSPOSE_CONV"] == 3
        (operator,) = operators(path, "TRANSPOSE_CONV")
        assert operator.builtinOptions.fusedActivationFunction == NONE
        assert len(operators(path, "RELU")) == 1
        assert tflite.placement(path).fallback == "none"
        check_result(module, path, least_db)


def test_long_sums_are_split(tmp_path: Path) -> None:
    """A sum of 2352 products in float16 cost the box deltas 9 dB."""
    module = LongSum().eval()
    full, half = write_both(module, SPEC, SIZE, tmp_path)
    for path, least_db in ((full, 120), (half, 50)):
        file = flatbuffer.read(path)
        tensors = file.subgraphs[0].tensors
        layers = operators(path, "FULLY_CONNECTED")
        lengths = [int(tensors[layer.inputs[1]].shape[1]) for layer in layers]
        assert sorted(lengths) == [6, 360, 360]
        assert max(lengths) <= LONGEST_SUM
        biased = [layer for layer in layers if layer.inputs[2] >= 0]
        assert len(biased) == 2  # one part of the long layer, and the short one
        activations = {layer.builtinOptions.fusedActivationFunction for layer in layers}
        assert activations == {NONE}  # the ReLU follows the sum of the parts
        assert tflite.placement(path).fallback == "none"
        check_result(module, path, least_db)
    # Nothing is stored twice.
    assert full.stat().st_size < 4 * 6 * 720 + 8000


@pytest.mark.slow
@pytest.mark.parametrize("size", [(12, 20), (13, 21)])
def test_int8_convolutions_with_a_stride_have_no_1x1_kernel(
    size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The GPU ignores their stride. The integers on CPUs stay the same, also at odd borders."""
    module = in_int8(Strided().eval(), torch.from_numpy(image(size)))
    written = conversion(module, SPEC, size, "int8", {})
    wide, narrow = tmp_path / "wide.tflite", tmp_path / "narrow.tflite"
    tflite.write(written, wide)
    monkeypatch.setattr(tflite, "widen_strided_kernels", lambda _model: None)
    tflite.write(written, narrow)
    shapes = []
    for path in (wide, narrow):
        (operator,) = operators(path, "CONV_2D")
        weight = flatbuffer.read(path).subgraphs[0].tensors[operator.inputs[1]]
        shapes.append(tuple(map(int, weight.shape)))
        assert tflite.placement(path).fallback == "none"
    assert shapes == [(4, 2, 2, 3), (4, 1, 1, 3)]
    expected, actual = (
        tflite.open_session(path, threads=1).run(image(size)) for path in (narrow, wide)
    )
    for name, value in expected.items():
        assert len(np.unique(value)) > 20
        np.testing.assert_array_equal(actual[name], value)
