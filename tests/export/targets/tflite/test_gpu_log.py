"""The log of LiteRT's GPU accelerator: lines of LiteRT 2.3, as it wrote them."""

from __future__ import annotations

import pytest

pytest.importorskip("ai_edge_litert", reason="needs the extra lvt-mobile[tflite]")

from export.targets.tflite.gpu.log import read_log

ADAPTER = (
    "I0000 00:00:1795789283.027050   10841 environment.cc:532] Selected adapter: SwiftShader "
    "Device (Subzero), arch=swiftshader, vendor=google, backend=Vulkan, adapterType=CPU / Software"
)
REFUSED = """\
INFO: [delegate_webgpu.cc:363] Created a WebGPU environment.
ERROR: Following operations are not supported by GPU delegate:
CONV_2D: Tensor type(INT16) is not supported. backbone.backbone.0.0.norm;10
CONV_2D: Tensor type(INT16) is not supported. ;101
TRANSPOSE_CONV: Max version supported: 3. Requested version 4.
8 operations will run on the GPU, and the remaining 6 operations will run on the CPU.
ERROR: Following operations are not supported by GPU delegate:
ADD: Can't parse inputs with const tensors.
2 operations will run on the GPU, and the remaining 1 operations will run on the CPU.
"""
MISMATCH = (
    "W0000 00:00:1795789303.423042   11094 gpu_model_builder.cc:3901] Shape mismatch in "
    "GpuModelBuilder::UpdateOutputTensors(output of convolution1x1(conv_generic)). Requested "
    "shape:{bhwdc, {1, 33, 41, 1, 32}} vs reference shape: {bhwdc, {1, 66, 82, 1, 32}}"
)


def test_device() -> None:
    """A program on the CPU must not pass for a GPU."""
    log = read_log(ADAPTER)
    assert (log.adapter, log.software) == ("SwiftShader Device (Subzero)", True)
    assert log.problems == []
    real = ADAPTER.replace("CPU / Software", "Discrete GPU")
    assert not read_log(real).software
    assert read_log("").adapter is None
    assert not read_log("").software


def test_refused_operators_with_their_reasons_each_once() -> None:
    log = read_log(f"{ADAPTER}\n{REFUSED}")
    assert log.outside == 7
    assert log.refusals == (
        "CONV_2D: Tensor type(INT16) is not supported",
        "TRANSPOSE_CONV: Max version supported: 3. Requested version 4",
        "ADD: Can't parse inputs with const tensors",
    )
    first, second = log.problems
    assert first == "7 operators not on the GPU"
    assert second.startswith("refused: CONV_2D: Tensor type")


def test_wrong_shapes_are_a_problem() -> None:
    """The accelerator warns, goes on, and computes something else: 11.6 dB in one model."""
    log = read_log(f"{ADAPTER}\n{MISMATCH}\n{MISMATCH}")
    assert log.mismatches == 2
    assert log.problems == ["2 operators computed in another shape than the file's"]


def test_a_message_lists_five_reasons() -> None:
    reasons = "\n".join(f"OP_{number}: is not supported." for number in range(9))
    log = read_log(f"ERROR: Following operations are not supported by GPU delegate:\n{reasons}\n")
    assert len(log.refusals) == 9
    (problem,) = log.problems
    assert problem.endswith("OP_4: is not supported, 4 more reasons")
