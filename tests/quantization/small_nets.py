"""Small models around a few operators, in int8: for the tests of the graph passes and the plan."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from lvt.layers import to_nchw, to_nhwc
from quantization.backend_config import BACKEND_CONFIGS
from quantization.graph_passes import post_calibration_passes, pre_calibration_passes
from quantization.insert_qdq import insert_qdq
from quantization.observer import CalibrationStats, collect_stats
from quantization.plan import QuantizationPlan, plan_quantization
from tests.helpers.models import single_inputs, trace_model

SIZE = (8, 12)
ONNX = BACKEND_CONFIGS["onnx"]


class Net(nn.Module):
    """Two convolutions and what a test puts between them; operators must belong to a module."""

    def __init__(self, between: Callable[[Tensor], Tensor], channels: int = 8):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, channels, 1)
        self.middle = Middle(between)
        self.last = nn.Conv2d(channels, 4, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.last(self.middle(self.first(image)))


class Middle(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]):
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def images() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.standard_normal((1, 3, *SIZE)).astype(np.float32) for _ in range(4)]


def calibrated(
    model: nn.Module, target: str = "onnx"
) -> tuple[fx.GraphModule, CalibrationStats, QuantizationPlan]:
    """The traced model after all graph passes, its statistics, and the plan for a target."""
    backend_config = BACKEND_CONFIGS[target]
    module = trace_model(model.eval(), SIZE)
    pre_calibration_passes(module, backend_config)
    plan = plan_quantization(module.graph, backend_config)
    statistics = collect_stats(module, plan, single_inputs(images()))
    post_calibration_passes(module, statistics, backend_config)
    return module, statistics, plan_quantization(module.graph, backend_config)


def quantized(model: nn.Module, *, simulate: bool, target: str = "onnx") -> fx.GraphModule:
    """The model with its integers, or with fake quantization."""
    module, statistics, plan = calibrated(model, target)
    ranges = statistics.ranges("minmax")
    backend_config = BACKEND_CONFIGS[target]
    return insert_qdq(
        module, plan, ranges, backend_config, means=statistics.means, simulate=simulate
    )


def targets(module: fx.GraphModule) -> list[object]:
    return [node.target for node in module.graph.nodes if node.op == "call_function"]


def nodes(module: fx.GraphModule, target: object) -> list[fx.Node]:
    return [node for node in module.graph.nodes if node.target is target]


def outputs(module: nn.Module) -> np.ndarray:
    with torch.no_grad():
        return np.stack([module(torch.from_numpy(image)).numpy() for image in images()])


def data_movement(x: Tensor) -> Tensor:
    """Every kind of rearrangement that the rewritten models have; zeros at a border among them."""
    pixels = to_nhwc(F.pad(x, [1, 1, 0, 2], value=0.0))[:, :8, 1:13]
    even, odd = pixels[:, ::2].reshape(4, 1, -1), pixels[:, 1::2].reshape(4, 1, -1)
    both = torch.cat([even, odd], dim=1).reshape(1, 2, 4, 12, 8)
    stacked = torch.stack([both[:, 0], both[:, 1].narrow(3, 0, 8)], dim=2)
    return to_nchw(stacked.reshape(1, *SIZE, 8))


def attention(x: Tensor) -> Tensor:
    rows = to_nhwc(x).reshape(-1, 2, 2, 2).softmax(-1) @ to_nhwc(x).reshape(-1, 2, 2, 2)
    return to_nchw(rows.reshape(1, *SIZE, 8))


MIDDLES = {
    "data_movement": data_movement,
    "gelu": F.gelu,
    "silu": F.silu,
    "relu": lambda x: F.relu(x + x.flip(1)),
    "attention": attention,
    "resize": lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear"),
}
