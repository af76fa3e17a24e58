"""What the TFLite target writes, and how its runtime takes it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from export.parity.compare import TOLERANCES, compare
from export.parity.localize import _record, comparison_points, first_deviation
from export.session import TorchSession
from lvt.data.metrics import sqnr_db
from lvt.errors import UserError
from lvt.models import ModelSpec
from tests.conftest import tiny
from tests.export.targets.tflite.conftest import METADATA, SIZE, TinyFiles

pytest.importorskip("litert_torch", reason="needs the extra lvt-mobile[tflite]")

from ai_edge_litert import schema_py_generated as schema

from export.targets.tflite import flatbuffer
from export.targets.tflite import target as tflite
from export.targets.tflite.module_names import module_name, record_calls
from tests.helpers.models import conversion


def producers(graph: Any) -> dict[int, Any]:
    return {int(index): operator for operator in graph.operators for index in operator.outputs}


def constants(file: Any, kind: int) -> list[int]:
    """Constant tensors of a type."""
    return [
        index
        for index, tensor in enumerate(file.subgraphs[0].tensors)
        if tensor.type == kind and file.buffers[tensor.buffer].data is not None
    ]


def test_file_equals_the_reference(tiny_files: TinyFiles) -> None:
    """In values, names and order, from an NCHW image."""
    expected = TorchSession(tiny_files.reference, tiny_files.spec).run(tiny_files.image)
    session = tflite.open_session(tiny_files.fp32, threads=1)
    assert list(session.run(tiny_files.image)) == list(expected)
    report = compare(
        TorchSession(tiny_files.reference, tiny_files.spec),
        session,
        [tiny_files.image],
        tiny_files.spec,
        TOLERANCES["fp32"],
    )
    assert report.passed, report.failures


def test_results_outlive_the_next_run(tiny_files: TinyFiles) -> None:
    """A session must not hand out the runtime's own memory."""
    session = tflite.open_session(tiny_files.fp32)
    first = session.run(tiny_files.image)["stride4"]
    kept = first.copy()
    session.run(tiny_files.image * 2)
    np.testing.assert_array_equal(first, kept)


def test_phone_feeds_nhwc_without_a_transpose(tiny_files: TinyFiles) -> None:
    file = flatbuffer.read(tiny_files.fp32)
    graph = file.subgraphs[0]
    (image,) = graph.inputs
    assert list(graph.tensors[image].shape) == [1, *SIZE, 3]
    readers = [o for o in graph.operators if image in o.inputs]
    assert {flatbuffer.operator_name(file, o) for o in readers} <= {"PAD", "CONV_2D"}
    (signature,) = file.signatureDefs
    assert signature.signatureKey == b"serving_default"
    assert [entry.name for entry in signature.inputs] == [b"image"]
    assert {entry.name.decode() for entry in signature.outputs} == set(tiny_files.spec.outputs)


def test_metadata_returns(tiny_files: TinyFiles) -> None:
    for path in (tiny_files.fp32, tiny_files.fp16):
        assert METADATA.items() <= flatbuffer.get_metadata(flatbuffer.read(path)).items()


def test_file_is_built_in_operators_with_short_names(tiny_files: TinyFiles) -> None:
    file = flatbuffer.read(tiny_files.fp32)
    assert not {name for name, _ in flatbuffer.operator_versions(file)} & {"CUSTOM", "FLEX"}
    assert not [name for name, _ in flatbuffer.operator_versions(file) if "STABLEHLO" in name]
    content = tiny_files.fp32.read_bytes()
    assert b"torch.nn" not in content
    assert b"/lvt/" not in content
    names = [tensor.name.decode() for tensor in file.subgraphs[0].tensors]
    assert any(name.startswith("backbone.0.1.0.attn") for name in names)


def test_constants_are_aligned(tiny_files: TinyFiles) -> None:
    """32-bit ARM reads them where they lie."""
    for path in (tiny_files.fp32, tiny_files.fp16):
        content = np.fromfile(path, np.uint8)
        model = schema.Model.GetRootAs(content)
        start = content.__array_interface__["data"][0]
        vectors = [model.Buffers(i).DataAsNumpy() for i in range(model.BuffersLength())]
        offsets = [
            v.__array_interface__["data"][0] - start for v in vectors if isinstance(v, np.ndarray)
        ]
        assert len(offsets) > 50
        assert not [offset for offset in offsets if offset % 16]


def test_half_precision_halves_the_weights(tiny_files: TinyFiles) -> None:
    full, half = flatbuffer.read(tiny_files.fp32), flatbuffer.read(tiny_files.fp16)
    graph = half.subgraphs[0]
    halved = constants(half, schema.TensorType.FLOAT16)
    values = sum(int(np.prod(graph.tensors[index].shape)) for index in halved)
    parameters = sum(p.numel() for p in tiny_files.rewritten.parameters())
    assert values >= 0.9 * parameters
    saved = tiny_files.fp32.stat().st_size - tiny_files.fp16.stat().st_size
    # What is saved, less the new tensors and operators, about 200 bytes each.
    assert 2 * values - 250 * len(halved) <= saved <= 2 * values
    assert len(constants(full, schema.TensorType.FLOAT16)) == 0
    expected = tflite.open_session(tiny_files.fp32).run(tiny_files.image)
    actual = tflite.open_session(tiny_files.fp16).run(tiny_files.image)
    for name, value in expected.items():
        # float16 rounds to 11 bits; 66 dB below each weight.
        assert 50 <= sqnr_db(actual[name], value) <= 80, name
    assert "DEQUANTIZE" not in tflite.placement(tiny_files.fp16).outside


def test_half_precision_spares_what_is_no_weight(broken_files: tuple[Path, Path]) -> None:
    """Anchors in pixels, for one, do not fit into float16."""
    image = np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float32)
    full, half = (tflite.open_session(path).run(image)["logits"] for path in broken_files)
    np.testing.assert_array_equal(half, full)
    assert len(constants(flatbuffer.read(broken_files[1]), schema.TensorType.FLOAT16)) == 2


def test_placement_tells_what_xnnpack_leaves(broken_files: tuple[Path, Path]) -> None:
    placement = tflite.placement(broken_files[0])
    assert placement.accelerator == "XNNPACK"
    assert placement.partitions == 2
    assert placement.outside == {"STRIDED_SLICE": 1}
    assert placement.delegated["CONV_2D"] == 2
    assert placement.fallback == "partial"


def test_placement_counts_every_operator(tiny_files: TinyFiles) -> None:
    file = flatbuffer.read(tiny_files.fp32)
    placement = tflite.placement(tiny_files.fp32)
    counted = Counter(placement.delegated) + Counter(placement.outside)
    assert counted == Counter(
        flatbuffer.operator_name(file, operator) for operator in file.subgraphs[0].operators
    )


def nchw(value: np.ndarray, like: np.ndarray) -> np.ndarray:
    return value if value.shape == like.shape else value.transpose(0, 3, 1, 2)


def test_values_of_inner_modules(tiny_files: TinyFiles) -> None:
    names = comparison_points(tiny_files.reference, "xnnpack")
    expected = _record(tiny_files.reference, names, tiny_files.image)
    actual = tflite.module_outputs(tiny_files.fp32, tiny_files.image, names)
    assert actual.keys() <= expected.keys()
    assert len(actual) >= 0.8 * len(names)
    for name, value in actual.items():
        assert sqnr_db(nchw(value, expected[name]), expected[name]) >= 90, name
    assert tflite.module_outputs(tiny_files.fp32, tiny_files.image, ["nothing"]) == {}


def test_deviation_in_the_file_alone_is_located(tiny_files: TinyFiles, tmp_path: Path) -> None:
    """A converter's fault: the PyTorch rewrite is right, a weight in the written file is not."""
    file = flatbuffer.read(tiny_files.fp32)
    graph = file.subgraphs[0]
    operator = next(
        o
        for o in graph.operators
        if flatbuffer.operator_name(file, o) == "DEPTHWISE_CONV_2D"
        and graph.tensors[o.outputs[0]].name.startswith(b"backbone.2.1.0.attn")
    )
    buffer = file.buffers[graph.tensors[operator.inputs[1]].buffer]
    values = np.asarray(buffer.data, np.uint8).view(np.float32) * np.float32(1.05)
    buffer.data = values.view(np.uint8)
    path = tmp_path / "wrong.tflite"
    path.write_bytes(flatbuffer.pack(file))

    def located(path: Path) -> Any:
        return first_deviation(
            tiny_files.reference,
            tiny_files.rewritten,
            "xnnpack",
            lambda names: tflite.module_outputs(path, tiny_files.image, names),
            tiny_files.image,
            90.0,
        )

    found = located(path)
    assert found is not None
    assert (found.module, found.side) == ("backbone.2.1.0.attn", "runtime")
    assert located(tiny_files.fp32) is None


class Shortcut(nn.Module):
    """Calls grandchildren past their parent, two of them by the same last name."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Sequential(nn.ReLU(), nn.Sequential(nn.GELU()))
        self.right = nn.Sequential(nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.left[1](self.left[0](self.right[0](x)))


def test_modules_called_past_their_parent() -> None:
    calls = record_calls(Shortcut(), (torch.zeros(1),))
    top = "w.ChannelsLast/t.Shortcut_model"
    gelu = "torch.nn.modules.activation.GELU_0"
    assert module_name(f"{top}/torch.nn.modules.container.Sequential_1/{gelu}", calls) == "left.1.0"
    # Nobody can tell left.0 from right.0: better no name than a wrong one.
    assert module_name(f"{top}/torch.nn.modules.activation.ReLU_0", calls) == ""


@pytest.mark.parametrize("content", [b"", b"not a model at all", "truncated", "no signature"])
def test_files_the_runtime_refuses(
    content: bytes | str, tiny_files: TinyFiles, tmp_path: Path
) -> None:
    path = tmp_path / "bad.tflite"
    if content == "truncated":
        whole = tiny_files.fp32.read_bytes()
        content = whole[: len(whole) // 2]
    elif content == "no signature":
        file = flatbuffer.read(tiny_files.fp32)
        file.signatureDefs = None
        content = flatbuffer.pack(file)
    assert isinstance(content, bytes)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.tflite"):
        tflite.open_session(path)


def test_metadata_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"something else")
    with pytest.raises(UserError, match="not a TFLite file"):
        flatbuffer.get_metadata(flatbuffer.read(tmp_path / "m.onnx"))
    with pytest.raises(UserError, match="cannot read"):
        flatbuffer.get_metadata(flatbuffer.read(tmp_path / "absent.tflite"))


def test_conversion_keeps_off_stdout(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """stdout is for results; what the converter says belongs to stderr, which commands hold."""
    spec = ModelSpec("semantic", tiny(), 2)
    model = nn.Conv2d(3, 2, 1).eval()
    tflite.write(conversion(model, spec, (8, 8), "fp32", {}), tmp_path / "m.tflite")
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err != ""


def test_versions(tiny_files: TinyFiles) -> None:
    versions = tflite.versions(tiny_files.fp32)
    assert versions.keys() == {"torch", "litert-torch", "ai-edge-litert"}
    assert all(re.match(r"\d+\.\d+", version) for version in versions.values())
