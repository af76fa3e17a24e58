"""Each pass on small graphs; all of them on lowered models: smaller, and equal in the runtime."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

pytest.importorskip("executorch", reason="needs lvt-mobile[executorch]")

from executorch.backends.xnnpack import xnnpack_preprocess
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.serialization import xnnpack_graph_schema as xnn
from executorch.backends.xnnpack.utils.xnnpack_constants import (
    XNN_INVALID_VALUE_ID,
    XNN_VALUE_FLAG_EXTERNAL_INPUT,
    XNN_VALUE_FLAG_EXTERNAL_OUTPUT,
)

from export.targets.executorch import target as executorch
from export.targets.executorch.program import write_program
from export.targets.executorch.serializer_hook import before_serialization
from export.targets.executorch.xnnpack_passes import (
    eliminate_common_subexpressions,
    fuse_transposes_and_slices,
    keep_data_movement_in_int8,
    remove_unused,
    run_passes,
)
from lvt.data.metrics import sqnr_db
from lvt.models import ModelSpec
from quantization.backend_config import BACKEND_CONFIGS
from tests.conftest import tiny
from tests.helpers.models import calibrate_model, conversion

SPEC = ModelSpec("semantic", tiny(recursion=1), 4)
SIZE = (8, 12)
SCALE = xnn.PerTensorQuant(0.5, 3)
OTHER_SCALE = xnn.PerTensorQuant(0.25, 3)

Pass = Callable[[xnn.XNNGraph], None]


@dataclass
class Builder:
    """Builds a graph value by value; the first value is its input."""

    nodes: list[xnn.XNode] = field(default_factory=list)
    values: list[xnn.XValue] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.value(flags=XNN_VALUE_FLAG_EXTERNAL_INPUT)

    def value(self, quantization: xnn.PerTensorQuant | None = None, flags: int = 0) -> int:
        number = len(self.values)
        kind = xnn.XNNDatatype.xnn_datatype_fp32 if quantization is None else None
        tensor = xnn.XNNTensorValue(
            kind or xnn.XNNDatatype.xnn_datatype_qint8,
            num_dims=4,
            dims=[2, 2, 2, 2],
            constant_buffer_idx=0,
            external_id=number if flags else XNN_INVALID_VALUE_ID,
            flags=flags,
            id_out=number,
        )
        union = (
            tensor if quantization is None else xnn.XNNQuantizedTensorValue(tensor, quantization)
        )
        self.values.append(xnn.XValue(union))
        return number

    def add(
        self,
        kind: Callable[..., object],
        *inputs: int,
        quantization: xnn.PerTensorQuant | None = None,
        output: bool = False,
        **options: object,
    ) -> int:
        result = self.value(quantization, XNN_VALUE_FLAG_EXTERNAL_OUTPUT if output else 0)
        names = ["input_id"] if len(inputs) == 1 else ["input1_id", "input2_id"]
        operands = dict(zip(names, inputs, strict=True))
        self.nodes.append(
            xnn.XNode(kind(**operands, output_id=result, flags=0, **options), debug_handle=0)
        )
        return result

    def transposed(self, value: int, *perm: int, **options: object) -> int:
        return self.add(xnn.XNNStaticTranspose, value, num_dims=4, perm=list(perm), **options)

    def sliced(self, value: int, offsets: list[int], sizes: list[int]) -> int:
        options = {"num_dims": 4, "offsets": offsets, "sizes": sizes}
        return self.add(xnn.XNNStaticSlice, value, **options)

    def after(self, *passes: Pass) -> list[object]:
        """The operations of the graph after some passes."""
        graph = xnn.XNNGraph("0", self.nodes, self.values, 2, [], [], [])
        for graph_pass in passes:
            graph_pass(graph)
        used = {
            value
            for node in graph.xnodes
            for name, value in vars(node.xnode_union).items()
            if name.endswith("_id")
        }
        numbers = {
            getattr(value.xvalue_union, "tensor_value", value.xvalue_union).id_out
            for value in graph.xvalues
        }
        assert used <= numbers, "no operator may use a value that was removed"
        return [node.xnode_union for node in graph.xnodes]


def names(operations: list[object]) -> list[str]:
    return [type(operation).__name__ for operation in operations]


def test_transposes_that_cancel_are_removed() -> None:
    graph = Builder()
    there = graph.transposed(0, 0, 3, 1, 2)
    back = graph.transposed(there, 0, 2, 3, 1)
    graph.add(xnn.XNNAbs, back, output=True)
    first, reader = graph.after(fuse_transposes_and_slices)
    assert names([first, reader]) == ["XNNStaticTranspose", "XNNAbs"]
    assert reader.input_id == 0, "reads the value before both transposes"


def test_two_transposes_are_one() -> None:
    graph = Builder()
    graph.transposed(graph.transposed(0, 0, 2, 3, 1), 3, 0, 1, 2, output=True)
    (only,) = graph.after(fuse_transposes_and_slices, remove_unused)
    assert isinstance(only, xnn.XNNStaticTranspose)
    x = np.arange(24).reshape(1, 2, 3, 4)
    assert np.array_equal(x.transpose(only.perm), x.transpose(0, 2, 3, 1).transpose(3, 0, 1, 2))


def test_an_identity_transpose_that_is_an_output_stays() -> None:
    graph = Builder()
    result = graph.transposed(graph.transposed(0, 0, 3, 1, 2), 0, 2, 3, 1, output=True)
    (only,) = graph.after(fuse_transposes_and_slices, remove_unused)
    assert isinstance(only, xnn.XNNStaticTranspose)
    assert (only.input_id, only.output_id, only.perm) == (0, result, [0, 1, 2, 3])


def test_a_slice_of_a_slice_is_one() -> None:
    graph = Builder()
    first = graph.sliced(0, [0, 1, 2, 0], [2, 5, 5, 2])
    graph.add(xnn.XNNAbs, graph.sliced(first, [0, 3, 0, 1], [2, 2, 2, 1]), output=True)
    only, _ = graph.after(fuse_transposes_and_slices, remove_unused)
    assert isinstance(only, xnn.XNNStaticSlice)
    assert (only.offsets, only.sizes, only.input_id) == ([0, 4, 2, 1], [2, 2, 2, 1], 0)


def test_slices_are_fused_across_transposes_that_cancel() -> None:
    graph = Builder()
    first = graph.sliced(0, [0, 1, 0, 0], [2, 5, 5, 2])
    back = graph.transposed(graph.transposed(first, 0, 3, 1, 2), 0, 2, 3, 1)
    graph.add(xnn.XNNAbs, graph.sliced(back, [0, 1, 0, 0], [2, 2, 2, 1]), output=True)
    operations = graph.after(fuse_transposes_and_slices, remove_unused)
    assert names(operations) == ["XNNStaticSlice", "XNNAbs"]


def test_the_first_of_two_transposes_stays_for_its_other_readers() -> None:
    graph = Builder()
    first = graph.transposed(0, 0, 2, 3, 1)
    graph.transposed(first, 3, 0, 1, 2, output=True)
    graph.add(xnn.XNNAbs, first, output=True)
    operations = graph.after(fuse_transposes_and_slices, remove_unused)
    assert names(operations) == ["XNNStaticTranspose", "XNNStaticTranspose", "XNNAbs"]


def test_equal_nodes_are_computed_once() -> None:
    graph = Builder()
    left, right = graph.add(xnn.XNNAbs, 0), graph.add(xnn.XNNAbs, 0)
    graph.add(xnn.XNNAdd, graph.add(xnn.XNNExp, left), graph.add(xnn.XNNExp, right), output=True)
    operations = graph.after(eliminate_common_subexpressions)
    assert names(operations) == ["XNNAbs", "XNNExp", "XNNAdd"]


def test_similar_nodes_are_all_computed() -> None:
    """Other scales, another clamp, and outputs of the graph, which must all be written."""
    graph = Builder()
    scales = (SCALE, OTHER_SCALE)
    first, second = (graph.add(xnn.XNNConvert, 0, quantization=scale) for scale in scales)
    graph.add(xnn.XNNAdd, first, second, quantization=SCALE, output=True)
    clamped = []
    for least in (0.0, 1.0):
        clamped.append(graph.add(xnn.XNNAbs, 0))
        graph.nodes[-1].output_min_max = xnn.OutputMinMax(least, "+inf")
    graph.add(xnn.XNNAdd, *clamped, output=True)
    for _ in range(2):
        graph.add(xnn.XNNExp, 0, output=True)
    assert len(graph.after(eliminate_common_subexpressions)) == 8


@pytest.mark.parametrize(
    ("scale", "expected"),
    [(SCALE, ["XNNConvert", "XNNStaticTranspose"]), (OTHER_SCALE, None)],
    ids=["the same scale", "another scale"],
)
def test_data_movement_in_int8(scale: xnn.PerTensorQuant, expected: list[str] | None) -> None:
    graph = Builder()
    quantized = graph.add(xnn.XNNConvert, 0, quantization=SCALE)
    moved = graph.transposed(graph.add(xnn.XNNConvert, quantized), 0, 2, 1, 3)
    graph.add(xnn.XNNConvert, moved, quantization=scale, output=True)
    found = names(graph.after(keep_data_movement_in_int8, remove_unused))
    assert found == (expected or ["XNNConvert", "XNNConvert", "XNNStaticTranspose", "XNNConvert"])


def test_unused_nodes_and_values_are_removed() -> None:
    graph = Builder()
    graph.add(xnn.XNNExp, graph.add(xnn.XNNAbs, 0))
    graph.add(xnn.XNNAbs, 0, output=True)
    assert names(graph.after(remove_unused)) == ["XNNAbs"]


def test_data_movement_in_int8_is_fused() -> None:
    """Two transposes that are adjacent only once both are in int8: the order of the passes."""
    graph = Builder()
    value = graph.add(xnn.XNNConvert, 0, quantization=SCALE)
    for perm in ((0, 2, 3, 1), (0, 3, 2, 1)):
        moved = graph.transposed(graph.add(xnn.XNNConvert, value), *perm)
        value = graph.add(xnn.XNNConvert, moved, quantization=SCALE)
    graph.add(xnn.XNNConvert, value, output=True)
    assert names(graph.after(run_passes)) == ["XNNConvert", "XNNStaticTranspose", "XNNConvert"]


class Net(nn.Module):
    """A model that ExecuTorch lowers with every redundancy that the passes remove."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 4, 1)

    def forward(self, image: Tensor) -> Tensor:
        x = self.first(image)
        rows = x.permute(0, 2, 3, 1).reshape(1, -1, 8).reshape(1, 4, -1, 8)
        x = F.pad(rows.permute(0, 3, 1, 2)[:, :, 1:, 2:], [2, 0, 1, 0])
        x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.last(x)


@pytest.mark.slow
@pytest.mark.parametrize("int8", [False, True], ids=["float", "int8"])
def test_files_compute_the_same(
    int8: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the runtime. In int8 up to a rounding step of the resize, and with fewer conversions."""
    image = np.random.default_rng(0).standard_normal((1, 3, *SIZE)).astype(np.float32)
    model: nn.Module = Net().eval()
    if int8:
        model = calibrate_model(
            model, SIZE, BACKEND_CONFIGS["executorch"], [image], "minmax"
        ).program()
    given = conversion(model, SPEC, SIZE, "int8" if int8 else "fp32", {})
    kinds: list[Counter[str]] = []
    serialize = xnnpack_preprocess.serialize_xnnpack_binary

    def spying(graph: xnn.XNNGraph, constants: bytearray) -> bytes:
        kinds.append(Counter(type(node.xnode_union).__name__ for node in graph.xnodes))
        return serialize(graph, constants)

    monkeypatch.setattr(xnnpack_preprocess, "serialize_xnnpack_binary", spying)
    write_program(given, XnnpackPartitioner(), tmp_path / "plain.pte")
    with before_serialization(run_passes):
        write_program(given, XnnpackPartitioner(), tmp_path / "simple.pte")
    assert xnnpack_preprocess.serialize_xnnpack_binary is spying, "as it was before"

    plain, simple = kinds
    assert simple.total() < plain.total()
    assert simple["XNNStaticTranspose"] < plain["XNNStaticTranspose"]
    if int8:
        assert simple["XNNConvert"] == 2, "the image, and the result"
    expected, found = (
        executorch.open_session(tmp_path / name, threads=1).run(image)["logits"]
        for name in ("plain.pte", "simple.pte")
    )
    if int8:
        assert sqnr_db(found, expected) > 38
    else:
        np.testing.assert_array_equal(found, expected)


def test_exports_run_the_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`write` is what `lvt-export` and `lvt-quantize` call."""
    unchanged: list[bool] = []
    serialize = xnnpack_preprocess.serialize_xnnpack_binary

    def spying(graph: xnn.XNNGraph, constants: bytearray) -> bytes:
        before = len(graph.xnodes)
        run_passes(graph)
        unchanged.append(len(graph.xnodes) == before)
        return serialize(graph, constants)

    monkeypatch.setattr(xnnpack_preprocess, "serialize_xnnpack_binary", spying)
    executorch.write(conversion(Net().eval(), SPEC, SIZE, "fp32", {}), tmp_path / "net.pte")
    assert unchanged == [True], "the passes have nothing left to do"
