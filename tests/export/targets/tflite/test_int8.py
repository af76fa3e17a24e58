"""TFLite files of models in int8, in LiteRT and in TensorFlow Lite 2.14."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import fx

from export.rewrite import rewrite
from export.session import Outputs, TorchSession
from lvt.data.images import packaged_photos, read_image
from lvt.data.metrics import sqnr_db
from lvt.data.preprocessing import fixed_size
from lvt.models import ModelSpec, build_random
from tests.conftest import tiny
from tests.export.targets.tflite.conftest import METADATA, SIZE, RunOld
from tests.helpers.int8_model import SMALL_SPEC, in_int8, small

pytest.importorskip("litert_torch", reason="needs the extra lvt-mobile[tflite]")

from ai_edge_litert import schema_py_generated as schema

from export.targets.tflite import flatbuffer
from export.targets.tflite import target as tflite
from tests.helpers.models import conversion

SMALL_SIZE = (16, 24)


class Written(NamedTuple):
    """A model in int8 and its file."""

    spec: ModelSpec
    image: NDArray[np.float32]
    module: fx.GraphModule
    path: Path

    def expected(self) -> Outputs:
        """What the graph computes."""
        return TorchSession(self.module, self.spec).run(self.image)

    def actual(self) -> Outputs:
        """What the file computes."""
        return tflite.open_session(self.path, threads=1).run(self.image)

    def graph(self) -> tuple[Any, Any]:
        """The file and its one graph."""
        file = flatbuffer.read(self.path)
        return file, file.subgraphs[0]


def written(
    spec: ModelSpec, image: NDArray[np.float32], module: fx.GraphModule, folder: Path
) -> Written:
    path = folder / "int8.tflite"
    height, width = image.shape[2:]
    tflite.write(conversion(module, spec, (height, width), "int8", METADATA), path)
    return Written(spec, image, module, path)


def noise() -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((1, 3, *SMALL_SIZE)).astype(np.float32)


@pytest.fixture(scope="module")
def small_int8(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """`Small`, activations in int8 too."""
    image = noise()
    module = in_int8(small(), torch.from_numpy(image))
    return written(SMALL_SPEC, image, module, tmp_path_factory.mktemp("int8"))


@pytest.fixture(scope="module")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """`Small`, weights alone in int8."""
    image = noise()
    module = in_int8(small(), torch.from_numpy(image), activations=False)
    return written(SMALL_SPEC, image, module, tmp_path_factory.mktemp("weights"))


def ends(outputs: Outputs) -> dict[str, Any]:
    return {name: (value.dtype, value.shape) for name, value in outputs.items()}


def test_file_computes_the_graph(small_int8: Written, run_old: RunOld) -> None:
    """To a level or two, where runtimes round another way; outputs in order and in float32."""
    expected = small_int8.expected()
    old = run_old(small_int8.path, small_int8.image)
    for actual in (small_int8.actual(), {name: old[name] for name in expected}):
        assert ends(actual) == ends(expected)
        assert list(actual) == list(expected)
        for name, value in expected.items():
            level = np.diff(np.unique(value)).min()
            assert np.abs(actual[name] - value).max() <= 2.1 * level, name


def test_it_computes_in_int8(small_int8: Written) -> None:
    """All of it but the ends, which are float32 and known by name."""
    file, graph = small_int8.graph()
    types = {
        (
            flatbuffer.operator_name(file, operator),
            graph.tensors[operator.inputs[0]].type,
            graph.tensors[operator.outputs[0]].type,
        )
        for operator in graph.operators
    }
    real, whole = schema.TensorType.FLOAT32, schema.TensorType.INT8
    assert {kind for kind in types if kind[1:] != (whole, whole)} == {
        ("QUANTIZE", real, whole),
        ("DEQUANTIZE", whole, real),
    }
    assert {"CONV_2D", "LOGISTIC", "ADD", "RESIZE_BILINEAR"} <= {name for name, *_ in types}
    (signature,) = file.signatureDefs
    (image,) = signature.inputs
    assert image.name == b"image"
    assert list(graph.inputs) == [image.tensorIndex]
    assert list(graph.tensors[image.tensorIndex].shape) == [1, *SMALL_SIZE, 3]
    assert {entry.tensorIndex for entry in signature.outputs} == set(graph.outputs)
    assert METADATA.items() <= flatbuffer.get_metadata(flatbuffer.read(small_int8.path)).items()


@pytest.mark.slow
@pytest.mark.parametrize("which", ["small_int8", "small_weights"])
def test_weights_are_those_of_the_graph(which: str, request: pytest.FixtureRequest) -> None:
    case: Written = request.getfixturevalue(which)
    file, graph = case.graph()
    stored = [
        np.asarray(file.buffers[tensor.buffer].data, np.uint8).view(np.int8).reshape(tensor.shape)
        for tensor in graph.tensors
        if tensor.type == schema.TensorType.INT8 and file.buffers[tensor.buffer].data is not None
    ]
    buffers = dict(case.module.named_buffers())
    weights = [value for name, value in buffers.items() if value.dtype == torch.int8]
    assert len(weights) == 4
    for weight in weights:
        assert weight.dtype == torch.int8  # as it was given
        wanted = weight.numpy().transpose(0, 2, 3, 1)
        assert any(np.array_equal(wanted, found) for found in stored)


def test_weights_alone(small_weights: Written, run_old: RunOld, tmp_path: Path) -> None:
    """A quarter of the bytes; the arithmetic is float32, from the image on."""
    expected, old = small_weights.expected(), run_old(small_weights.path, small_weights.image)
    for actual in (small_weights.actual(), old):
        for name, value in expected.items():
            assert sqnr_db(actual[name], value) >= 100, name
    file, _ = small_weights.graph()
    names = {name for name, _ in flatbuffer.operator_versions(file)}
    assert "QUANTIZE" not in names
    assert "GELU" in names, "as the model has it: nothing has to be approximated in float"
    placement = tflite.placement(small_weights.path)
    assert (placement.partitions, placement.outside) == (1, {})
    floats = tmp_path / "fp32.tflite"
    tflite.write(conversion(small(), SMALL_SPEC, SMALL_SIZE, "fp32", METADATA), floats)
    values = sum(p.numel() for p in small().parameters() if p.ndim > 1)
    saved = floats.stat().st_size - small_weights.path.stat().st_size
    # Of 4 bytes 1 stays; scales, new tensors and operators take a few hundred for each layer.
    assert 3 * values - 4 * 1000 <= saved <= 3 * values


@pytest.mark.slow
def test_a_network_in_int8(tmp_path: Path, run_old: RunOld) -> None:
    """Every kind of module there is: as good as the graph, in both runtimes, and named."""
    spec = ModelSpec("semantic", tiny(recursion=1), 4)
    model = rewrite(build_random(spec, seed=5), "xnnpack_int8")
    image = fixed_size("semantic", SIZE)(read_image(packaged_photos()[1]))
    case = written(spec, image, in_int8(model, torch.from_numpy(image)), tmp_path)
    floats = TorchSession(model, spec).run(image)["logits"]
    graph = sqnr_db(case.expected()["logits"], floats)
    for actual in (case.actual(), run_old(case.path, image)):
        # Levels that are rounded another way add to the error here and take from it there.
        assert sqnr_db(actual["logits"], floats) >= graph - 2
    placement = tflite.placement(case.path)
    assert (placement.partitions, placement.outside) == (1, {})
    names = [tensor.name.decode() for tensor in case.graph()[1].tensors]
    assert any(name.startswith("backbone.backbone.0.1.0.attn;") for name in names)
    assert any(name.startswith("decode_head.linear_pred;") for name in names)
    content = case.path.read_bytes()
    assert not [text for text in (b"torch.nn", b"ChannelsLast", b"/lvt/") if text in content]
