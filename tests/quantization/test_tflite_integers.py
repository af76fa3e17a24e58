"""TFLite files without float operators, in LiteRT."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.errors import ConversionError
from export.rewrite.norm import ConvLayerNorm
from lvt.data.metrics import sqnr_db
from lvt.models import ModelSpec
from quantization.backend_config import TFLITE_INTEGERS
from quantization.calibrated_model import CalibratedModel, calibrate
from quantization.graph_passes import refine_rsqrt
from quantization.ranges import UNIT_RANGE
from tests.conftest import TINY
from tests.helpers.models import conversion, single_inputs, trace_model
from tests.quantization.small_nets import SIZE, Net, attention, images, nodes

pytest.importorskip("litert_torch", reason="needs the extra lvt-mobile[tflite]")

from ai_edge_litert import schema_py_generated as schema

from export.targets.tflite import flatbuffer
from export.targets.tflite import target as tflite
from export.targets.tflite.integers import float_operators, make_integers

SPEC = ModelSpec("semantic", TINY, 4)


class Everything(nn.Module):
    """An activation, a normalisation, a strided window, a resize and an attention."""

    def __init__(self) -> None:
        super().__init__()
        self.start = Net(F.gelu)
        self.norm = ConvLayerNorm(nn.LayerNorm(4))
        self.window = nn.Conv2d(4, 8, 3, stride=2, padding=1)
        self.end = Net(attention)
        self.end.first = nn.Conv2d(8, 8, 1)

    def forward(self, image: Tensor) -> Tensor:
        small = F.relu(self.window(self.norm(self.start(image))))
        return self.end(F.interpolate(small, SIZE, mode="bilinear"))


@pytest.fixture(scope="module")
def calibrated() -> CalibratedModel:
    module = trace_model(Everything().eval(), SIZE)
    return calibrate(module, TFLITE_INTEGERS, single_inputs(images()), "minmax")


@pytest.mark.slow
@pytest.mark.parametrize("wide", [False, True], ids=["8 bits", "16 bits"])
def test_file_computes_the_simulation_in_integers(
    calibrated: CalibratedModel, tmp_path: Path, wide: bool
) -> None:
    blocks = calibrated.blocks if wide else []
    path = tmp_path / "w8a8.tflite"
    program = calibrated.program(blocks)
    tflite.write(conversion(program, SPEC, SIZE, "w8a8", {"key": "value"}), path)
    simulation, session = calibrated.simulated(blocks), tflite.open_session(path, threads=1)
    for image in images():
        with torch.no_grad():
            expected = simulation(torch.from_numpy(image)).numpy()
        (actual,) = session.run(image).values()
        assert sqnr_db(actual, expected) >= (60 if wide else 30)

    file = flatbuffer.read(path)
    assert float_operators(file) == {}
    assert flatbuffer.get_metadata(file)["key"] == "value"
    (graph,) = file.subgraphs
    kinds = {tensor.type for tensor in graph.tensors}
    assert {schema.TensorType.INT8, schema.TensorType.INT16} <= kinds
    ends = [graph.tensors[index] for index in (*graph.inputs, *graph.outputs)]
    assert [tensor.type for tensor in graph.tensors].count(schema.TensorType.FLOAT32) == len(ends)
    names = {name for name, _ in flatbuffer.operator_versions(file)}
    assert {"CONV_2D", "BATCH_MATMUL", "SOFTMAX", "RSQRT", "RESIZE_BILINEAR"} <= names
    transposes = [o for o in graph.operators if flatbuffer.operator_name(file, o) == "TRANSPOSE"]
    assert not {o.inputs[0] for o in transposes} & {o.outputs[0] for o in transposes}
    for operator in graph.operators:
        result = graph.tensors[operator.outputs[0]]
        if flatbuffer.operator_name(file, operator) in ("SOFTMAX", "LOGISTIC"):
            assert result.quantization.scale[0] == (2**-15 if wide else 2**-8)
            assert result.quantization.zeroPoint[0] == (0 if wide else -128)
        if result.type == schema.TensorType.INT16:
            assert result.quantization.zeroPoint[0] == 0


@pytest.mark.slow
def test_int8_at_both_ends(calibrated: CalibratedModel, tmp_path: Path) -> None:
    """The session rounds as the file's own QUANTIZE does, so both files give the same values."""
    files = [tmp_path / "float.tflite", tmp_path / "int8.tflite"]
    for path, ends in zip(files, (False, True), strict=True):
        data = conversion(calibrated.program([]), SPEC, SIZE, "w8a8", {})
        tflite.write(replace(data, integer_io=ends), path)
    with_float, with_int8 = (tflite.open_session(path, threads=1) for path in files)
    for image in images():
        (expected,), (actual,) = (s.run(image).values() for s in (with_float, with_int8))
        np.testing.assert_array_equal(actual, expected)
    (graph,) = flatbuffer.read(files[1]).subgraphs
    types = {tensor.type for tensor in graph.tensors}
    assert schema.TensorType.FLOAT32 not in types
    ends = [graph.tensors[index] for index in (*graph.inputs, *graph.outputs)]
    assert {tensor.type for tensor in ends} == {schema.TensorType.INT8}


def test_softmax_has_the_scale_that_kernels_require(calibrated: CalibratedModel) -> None:
    (softmax,) = nodes(calibrated.module, torch.ops.aten.softmax.int)
    assert calibrated.ranges[softmax] == calibrated.wide_ranges[softmax] == UNIT_RANGE


def test_newton_steps_change_nothing_in_float() -> None:
    """Nor do they need an exact start."""
    model = nn.Sequential(Net(lambda x: (x * x + 0.01).rsqrt()))
    module, image = trace_model(model, SIZE), torch.from_numpy(images()[0])
    expected = module(image).detach().numpy()
    refine_rsqrt(module)
    assert sqnr_db(module(image).detach().numpy(), expected) > 100
    (rsqrt,) = nodes(module, torch.ops.aten.rsqrt.default)
    with module.graph.inserting_after(rsqrt):
        rough = module.graph.call_function(torch.ops.aten.mul.Tensor, (rsqrt, 1.1))
    rsqrt.replace_all_uses_with(rough, delete_user_cb=lambda user: user is not rough)
    module.recompile()
    assert sqnr_db(module(image).detach().numpy(), expected) > 50


@pytest.mark.slow
def test_a_float_operator_is_an_error() -> None:
    """Here all of them: nothing in the file says which integers to compute with."""
    from export.targets.tflite.convert import convert

    file = convert(conversion(Net(F.relu).eval(), SPEC, SIZE, "fp32", {}).entry_points)
    assert float_operators(file)["CONV_2D"] == 2
    with pytest.raises(ConversionError, match=r"compute in float remain: CONV_2D \(2\)"):
        make_integers(file)
