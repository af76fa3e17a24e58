"""int8 ONNX files give the same results on processors whose kernels add pairs in 16 bits.

Files of other targets are put to the same test: their kernels add in 32 bits everywhere.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export.artifact.files import manifest_path, write_manifest
from export.capabilities import TARGETS, installed
from export.cli import run as run_cli
from export.session import Outputs, TorchSession
from export.targets import load_target
from export.targets.onnx.saturation import PAIR_LIMIT, find_pair_sums, kernel_order, pair_sums
from export.targets.onnx.session import OnnxSession
from lvt.data.images import packaged_photos
from lvt.data.metrics import sqnr_db
from tests.export.test_cli import run
from tests.helpers.int8_model import SMALL_SPEC, in_int8, loud
from tests.helpers.models import conversion
from tests.helpers.processors import emulated_features, run_without_vnni, x86_emulator

pytestmark = pytest.mark.slow

SIZE = (16, 24)
ARITHMETIC_DB = 40.0
"""The runtimes round halves otherwise than the program, and Core ML computes in float16 between:
one step of 255 now and then. Saturated sums leave less than 15 dB."""


@pytest.fixture(scope="module", params=["onnx", "tflite", "executorch", "coreml"])
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, NDArray[np.float32], Outputs]:
    """A file whose sums are as large as can be; the image; and what its program computes."""
    name: str = request.param
    if not installed(TARGETS[name]):
        pytest.skip(f"needs lvt-mobile[{name}]")
    model, image = loud()
    program = in_int8(model, image, target=name)
    path = tmp_path_factory.mktemp("loud") / f"loud{TARGETS[name].suffix}"
    target: ModuleType = load_target(name)  # type: ignore[assignment]
    target.write(conversion(program, SMALL_SPEC, SIZE, "int8", {}), path)
    return name, path, image.numpy(), TorchSession(program, SMALL_SPEC).run(image.numpy())


def assert_same(actual: Outputs, expected: Outputs) -> None:
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert value.max() > 2 * value.mean() / 3 > 0
        assert sqnr_db(actual[name], value) > ARITHMETIC_DB, name


def test_this_processor_computes_the_largest_sums(
    written: tuple[str, Path, NDArray[np.float32], Outputs],
) -> None:
    name, path, image, expected = written
    assert_same(load_target(name).open_session(path, threads=1).run(image), expected)


def test_a_processor_without_vnni_computes_the_largest_sums(
    written: tuple[str, Path, NDArray[np.float32], Outputs], tmp_path: Path
) -> None:
    name, path, image, expected = written
    if name == "coreml":
        pytest.skip("our evaluator computes in PyTorch's float; phones' kernels are Apple's")
    assert_same(run_without_vnni(name, path, image, tmp_path), expected)


def test_the_emulated_processor_has_no_vnni_and_its_kernels_do_saturate(tmp_path: Path) -> None:
    """Or the test above would show nothing."""
    features = emulated_features(x86_emulator())
    assert "('AVX2', True)" in features
    assert "('AVX512F', True)" not in features
    path, image = tmp_path / "unbounded.onnx", np.ones((1, 4, 16, 24), np.float32)
    onnx.save(one_layer("Conv", np.full((8, 4, 1, 1), 127, np.int8)), path)
    exact = OnnxSession(path, exact=True).run(image)["y"]
    saturated = run_without_vnni("onnx", path, image, tmp_path)["y"]
    assert saturated.max() < 0.7 * exact.max()
    assert find_pair_sums(path).saturating == {"layer": 16}


def test_pairs_of_products_of_a_written_file_fit_in_16_bits(
    written: tuple[str, Path, NDArray[np.float32], Outputs],
) -> None:
    """The instruction's own arithmetic, on the file's weights and on the maps it computes."""
    name, path, image, _ = written
    if name != "onnx":
        pytest.skip("the other targets' kernels add in 32 bits")
    checked = 0
    for weight, maps in layers_with_maps(path, image):
        assert weight.dtype == np.int8
        assert maps.dtype == np.uint8
        assert maps.max() == 255  # the map is as loud as it can be
        rows = kernel_order(weight.astype(np.int64), 0)
        columns = windows(maps, weight.shape[2], weight.shape[3])
        np.testing.assert_array_equal(in_16_bits(rows, columns), columns @ rows.T)
        unbounded = np.rint(rows * (127 / np.abs(rows).max(1, keepdims=True)))
        assert (in_16_bits(unbounded, columns) != columns @ unbounded.T).mean() > 0.5
        checked += 1
    assert checked == find_pair_sums(path).layers == 4


def layers_with_maps(
    path: Path, image: NDArray[np.float32]
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Each convolution's int8 weight, and the uint8 map (1, C, H, W) that goes in."""
    model = onnx.load(path)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    producers = {output: node for node in model.graph.node for output in node.output}
    found = {
        producers[node.input[0]].input[0]: constants[producers[node.input[1]].input[0]]
        for node in model.graph.node
        if node.op_type == "Conv"
    }
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in found)
    values = OnnxSession(model.SerializeToString(), exact=True).run(image)
    return ((weight, values[name]) for name, weight in found.items())


def windows(maps: NDArray[Any], height: int, width: int) -> NDArray[np.int64]:
    """(positions, kh * kw * C): what a convolution multiplies with, channels innermost."""
    image = maps[0].transpose(1, 2, 0).astype(np.int64)  # (H, W, C)
    view = np.lib.stride_tricks.sliding_window_view(image, (height, width), (0, 1))
    return view.transpose(0, 1, 3, 4, 2).reshape(-1, height * width * image.shape[2])


def in_16_bits(rows: NDArray[Any], columns: NDArray[Any]) -> NDArray[Any]:
    """(positions, out): sums of which each pair is added with saturation to 16 bits."""
    products = columns[:, None] * rows
    if products.shape[2] % 2:
        products = np.pad(products, ((0, 0), (0, 0), (0, 1)))
    pairs = products[..., 0::2] + products[..., 1::2]
    limits = np.iinfo(np.int16)
    return pairs.clip(limits.min, limits.max).sum(2)


def one_layer(
    kind: str, weight: NDArray[np.int8], *, groups: int = 1, strides: int = 1
) -> onnx.ModelProto:
    """uint8 map, int8 weight, uint8 result; the weight as others' tools may write it.

    Args:
        kind: Conv, MatMul, Gemm (its weight transposed by an attribute) or Transposed (by a node).
        weight: (out, in / groups, kh, kw), (in, out), (out, in), (out, in).
        groups: of a convolution.
        strides: of a convolution.
    """
    axis = 1 if kind == "MatMul" else 0
    channels = weight.shape[axis]
    constants: dict[str, NDArray[Any]] = {
        "w": weight,
        "scales": np.full(channels, 0.01, np.float32),
        "step": np.float32(1 / 255),
        "wide": np.float32(127 * 0.01 * weight.size / channels / 255),
        "zero": np.uint8(0),
        "zeros": np.zeros(channels, np.int8),
    }
    operator = "MatMul" if kind == "Transposed" else kind
    attributes: dict[str, dict[str, Any]] = {
        "Conv": {"group": groups, "strides": [strides, strides]},
        "Gemm": {"transB": 1},
    }
    given = "turned" if kind == "Transposed" else "dw"
    turn = [helper.make_node("Transpose", ["dw"], ["turned"], perm=[1, 0])]
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "step", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "step", "zero"], ["dq"]),
        helper.make_node("DequantizeLinear", ["w", "scales", "zeros"], ["dw"], axis=axis),
        *(turn if kind == "Transposed" else []),
        helper.make_node(
            operator, ["dq", given], ["sum"], name="layer", **attributes.get(kind, {})
        ),
        helper.make_node("QuantizeLinear", ["sum", "wide", "zero"], ["qy"]),
        helper.make_node("DequantizeLinear", ["qy", "wide", "zero"], ["y"]),
    ]
    sides = None if kind != "Conv" else [1, weight.shape[1] * groups, None, None]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, sides)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    tensors = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    graph = helper.make_graph(nodes, "layer", [image], [y], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [("Conv", (8, 4, 1, 1)), ("MatMul", (4, 8)), ("Gemm", (8, 4)), ("Transposed", (8, 4))],
)
@pytest.mark.parametrize("most", [64, 65])
def test_other_tools_files_are_looked_through(
    kind: str, shape: tuple[int, ...], most: int, tmp_path: Path
) -> None:
    path = tmp_path / "other.onnx"
    onnx.save(one_layer(kind, np.full(shape, most, np.int8)), path)
    found = find_pair_sums(path)
    assert (found.layers, found.largest) == (1, 2 * most)
    assert found.saturating == ({} if 2 * most <= PAIR_LIMIT else {"layer": 16})


def test_depthwise_convolutions_have_another_kernel(tmp_path: Path) -> None:
    path = tmp_path / "depthwise.onnx"
    onnx.save(one_layer("Conv", np.full((8, 1, 3, 3), 127, np.int8), groups=8), path)
    assert find_pair_sums(path).layers == 0
    onnx.save(one_layer("Conv", np.full((8, 2, 3, 3), 127, np.int8), groups=4), path)
    assert find_pair_sums(path).saturating == {"layer": 8 * 9}


def test_depthwise_sums_are_right_without_vnni(tmp_path: Path) -> None:
    path, image = tmp_path / "depthwise.onnx", np.ones((1, 8, 16, 24), np.float32)
    onnx.save(one_layer("Conv", np.full((8, 1, 3, 3), 127, np.int8), groups=8), path)
    exact = OnnxSession(path, exact=True).run(image)["y"]
    np.testing.assert_allclose(run_without_vnni("onnx", path, image, tmp_path)["y"], exact, 1e-2)


def test_files_of_before_are_told(
    tiny_int8: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """They lack the proof in their manifests; their sums may saturate."""
    manifest = json.loads(manifest_path(tiny_int8).read_text("utf-8"))
    proof = manifest["quantization"].pop("pair_sums")
    assert proof == find_pair_sums(tiny_int8).to_dict()
    assert proof["layers"] > 10
    assert proof["largest"] <= PAIR_LIMIT
    old = Path(shutil.copy(tiny_int8, tmp_path))
    write_manifest(manifest_path(old), manifest)
    photo = packaged_photos()[0]
    for model, told in ((tiny_int8, False), (old, True)):
        assert run(run_cli.app, model, photo, "-o", tmp_path / "o.png") == 0
        assert ("quantized by lvt-mobile 0.1: on x86" in capfd.readouterr().err) == told


def test_an_odd_last_weight_is_alone() -> None:
    rows = np.array([[100, 20, 90]], np.int32)
    assert pair_sums(rows).tolist() == [[120, 90]]


def test_kernels_go_through_rows_columns_and_channels() -> None:
    weight = np.arange(2 * 3 * 2 * 2).reshape(2, 3, 2, 2)
    assert kernel_order(weight, 0)[0].tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]
    assert kernel_order(np.arange(6).reshape(2, 3), 1).tolist() == [[0, 3], [1, 4], [2, 5]]
    assert torch.equal(
        torch.from_numpy(kernel_order(weight, 0)),
        torch.from_numpy(weight).permute(0, 2, 3, 1).flatten(1),
    )
