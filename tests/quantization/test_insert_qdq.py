"""Inserted quantizers: simulation, program and the file in ONNX Runtime compute the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from torch import fx

from export.targets.onnx.convert import FORMAT
from export.targets.onnx.session import OnnxSession
from lvt.data.metrics import sqnr_db
from quantization.fake_quant import fake_quantize
from quantization.graph import aten
from quantization.insert_qdq import decomposed
from tests.quantization.small_nets import (
    MIDDLES,
    Net,
    data_movement,
    images,
    nodes,
    outputs,
    quantized,
)


@pytest.mark.parametrize("target", ["onnx", "executorch"])
@pytest.mark.parametrize("simulate", [False, True])
def test_quantizing_replaces_relu(target: str, simulate: bool) -> None:
    """Quantized are the image, the ReLU's result and the output; not the convolution's."""
    module = quantized(Net(F.relu), simulate=simulate, target=target)
    assert not nodes(module, aten.relu.default)
    rounds = fake_quantize if simulate else decomposed.quantize_per_tensor.default
    image, relu, result = nodes(module, rounds)
    assert isinstance(relu.args[0], fx.Node)
    assert relu.args[0].target is aten.conv2d.default
    assert relu.args[2] == relu.args[3]  # zero is the least level
    assert image.args[2] != image.args[3]
    assert result.args[2] != result.args[3]


def test_relu_beside_another_reader_stays() -> None:
    module = quantized(Net(lambda x: F.relu(x) + x), simulate=False)
    (relu,) = nodes(module, aten.relu.default)
    assert isinstance(relu.args[0], fx.Node)
    assert relu.args[0].target is decomposed.dequantize_per_tensor.default


def test_relu_that_shares_the_scale_of_negative_values_stays() -> None:
    """What is joined to its result spans more than it does."""
    module = quantized(
        Net(lambda x: torch.cat([F.relu(x[:, :4].neg()), x[:, 4:]], 1)), simulate=False
    )
    assert len(nodes(module, aten.relu.default)) == 1


def test_data_movement_runs_on_integers() -> None:
    module = quantized(Net(data_movement), simulate=False)
    assert len(nodes(module, decomposed.quantize_per_tensor.default)) == 3
    (pad,) = nodes(module, aten.pad.default)
    assert isinstance(pad.args[0], fx.Node)
    assert pad.args[0].target is decomposed.quantize_per_tensor.default
    assert pad.args[3] == pad.args[0].args[2], "what stands for zero"


@pytest.mark.parametrize("target", ["onnx", "executorch", "tflite"])
@pytest.mark.parametrize("name", MIDDLES)
def test_simulation_and_program_agree(name: str, target: str) -> None:
    """Up to rounding of biases, and values between two levels that fall to either."""
    model = Net(MIDDLES[name])
    expected = outputs(model.eval())
    simulated = outputs(quantized(model, simulate=True, target=target))
    program = outputs(quantized(model, simulate=False, target=target))
    assert sqnr_db(program, simulated) > 38
    assert sqnr_db(program, expected) > 25


@pytest.mark.slow
@pytest.mark.parametrize("name", MIDDLES)
def test_onnx_runtime_computes_the_same(name: str, tmp_path: Path) -> None:
    program = quantized(Net(MIDDLES[name]), simulate=False)
    path = tmp_path / "net.onnx"
    example = torch.from_numpy(images()[0])
    exported = torch.export.export(program, (example,))
    written = torch.onnx.export(
        exported, dynamo=True, opset_version=FORMAT.opset, input_names=["image"], verbose=False
    )
    assert written is not None
    written.save(path)
    onnx.checker.check_model(str(path), full_check=True)
    session = OnnxSession(path)
    actual = np.stack([next(iter(session.run(image).values())) for image in images()])
    assert sqnr_db(actual, outputs(program)) > 38
