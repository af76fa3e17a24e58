"""The passes on small graphs: what is exact agrees in float64, the approximation within its bound.

And what int8 makes of them: the simulation, the quantize and dequantize operators, and the file in
ONNX Runtime compute the same.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from export.capabilities import Recipe
from export.rewrite import rewrite
from export.rewrite.norm import ConvLayerNorm
from export.targets.onnx.convert import OPSET
from export.targets.onnx.session import OnnxSession
from lvt.config import Task
from lvt.data.metrics import sqnr_db
from lvt.layers import to_nchw, to_nhwc
from lvt.models import ModelSpec, build_random
from quantization.backend_config import BACKEND_CONFIGS
from quantization.fake_quant import fake_quantize
from quantization.graph import QuantizationPlan, aten, plan_quantization, trace
from quantization.insert_qdq import decomposed, insert
from quantization.observer import CalibrationStats, observe
from quantization.passes import (
    GELU_SLOPE,
    approximate_gelu,
    decompose_silu,
    drop_probability_floors,
    prepare,
    refine,
    softmax_without_max,
)
from tests.conftest import tiny

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
    abilities = BACKEND_CONFIGS[target]
    module = trace(model.eval(), SIZE)
    prepare(module, abilities)
    statistics = observe(module, plan_quantization(module.graph, abilities), images)
    refine(module, statistics, abilities)
    return module, statistics, plan_quantization(module.graph, abilities)


def quantized(model: nn.Module, *, simulate: bool, target: str = "onnx") -> fx.GraphModule:
    module, statistics, plan = calibrated(model, target)
    ranges = statistics.ranges("minmax")
    abilities = BACKEND_CONFIGS[target]
    return insert(module, plan, ranges, abilities, means=statistics.means, simulate=simulate)


def targets(module: fx.GraphModule) -> list[object]:
    return [node.target for node in module.graph.nodes if node.op == "call_function"]


def nodes(module: fx.GraphModule, target: object) -> list[fx.Node]:
    return [node for node in module.graph.nodes if node.target is target]


def outputs(module: nn.Module) -> np.ndarray:
    with torch.no_grad():
        return np.stack([module(torch.from_numpy(image)).numpy() for image in images()])


@pytest.mark.parametrize(
    ("activation", "change", "bound"),
    [(F.silu, decompose_silu, 1e-6), (F.gelu, approximate_gelu, 0.0204)],
    ids=["silu", "gelu"],
)
def test_activations_as_products_with_a_sigmoid(
    activation: Callable[[Tensor], Tensor],
    change: Callable[[fx.GraphModule], None],
    bound: float,
) -> None:
    class Only(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return activation(x)

    module = trace(Only(), (64, 64))
    change(module)
    assert set(targets(module)) <= {aten.sigmoid.default, aten.mul.Tensor}
    x = torch.linspace(-20, 20, 3 * 64 * 64).reshape(1, 3, 64, 64)
    assert float((module(x) - activation(x)).abs().max()) <= bound


@pytest.mark.parametrize("channels_last", [False, True])
def test_softmax_without_the_greatest_value(channels_last: bool) -> None:
    """Rows of four channels, of logits at the edge of what the pass takes."""
    model = Net(lambda x: to_nchw(to_nhwc(x).reshape(-1, 2, 4).softmax(-1).reshape(1, *SIZE, 8)))
    image = torch.from_numpy(images()[0])
    with torch.no_grad():
        logits = model.first(image)
        wide = 59 / float(logits.max() - logits.min())
        model.first.weight *= wide
        model.first.bias *= wide
    module = trace(model.eval(), SIZE)
    expected = module(image)
    (first, _last) = nodes(module, aten.conv2d.default)

    softmax_without_max(module, {first: (-30.0, 31.0)}, channels_last=channels_last)
    assert aten.softmax.int in targets(module)
    softmax_without_max(module, {first: (-30.0, 29.0)}, channels_last=channels_last)
    assert aten.softmax.int not in targets(module)
    torch.testing.assert_close(module(image), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("spread", "floor", "dropped"), [(50, 1e-30, 1), (61, 1e-30, 0), (50, 1e-27, 0)]
)
def test_floors_that_nothing_comes_near_are_dropped(
    spread: float, floor: float, dropped: int
) -> None:
    def attend(x: Tensor) -> Tensor:
        return x.softmax(-1).clamp(min=floor)

    module = trace(Net(attend).eval(), SIZE)
    (softmax,) = nodes(module, aten.softmax.int)
    drop_probability_floors(module, {softmax: float(spread)})
    assert len(nodes(module, aten.clamp.default)) == 1 - dropped


@pytest.mark.parametrize(("spread", "dropped"), [(59, 1), (60, 0)])
def test_limits_before_a_softmax_that_nothing_comes_near_are_dropped(
    spread: float, dropped: int
) -> None:
    def attend(x: Tensor) -> Tensor:
        return torch.maximum(x, x.amax(-1, keepdim=True) - 60).softmax(-1)

    module = trace(Net(attend).eval(), SIZE)
    image = torch.from_numpy(images()[0])
    expected = module(image)
    (softmax,) = nodes(module, aten.softmax.int)
    drop_probability_floors(module, {softmax: float(spread)})
    assert len(nodes(module, aten.amax.default)) == 1 - dropped
    torch.testing.assert_close(module(image), expected, rtol=0, atol=0)


def test_the_spread_of_softmax_rows_is_observed() -> None:
    model = Net(lambda x: x.softmax(-1))
    module = trace(model.eval(), SIZE)
    statistics = observe(module, plan_quantization(module.graph, ONNX), images)
    with torch.no_grad():
        maps = [model.first(torch.from_numpy(image)) for image in images()]
    expected = max(float((m.amax(-1) - m.amin(-1)).max()) for m in maps)
    assert list(statistics.spreads.values()) == pytest.approx([expected])


def test_a_sigmoid_has_the_range_that_kernels_insist_on() -> None:
    module, statistics, plan = calibrated(Net(F.silu), "executorch")
    (gate,) = nodes(module, aten.sigmoid.default)
    assert statistics.ranges("mse")[gate] == (0.0, 255 / 256)
    assert gate in plan.nodes


def test_of_a_norm_the_mean_is_int8_and_nothing_else() -> None:
    """A step of the mean is far smaller than one of the values; the variance is not so calm."""
    model = Net(lambda x: x)
    model.middle = ConvLayerNorm(nn.LayerNorm(8))  # type: ignore[assignment]
    module, _, plan = calibrated(model, "executorch")
    first, mean, variance, last = nodes(module, aten.conv2d.default)
    assert mean.args[0] is first
    assert {first, mean, last} <= plan.nodes
    assert not plan.nodes & {variance, *variance.all_input_nodes, *variance.users}
    expected = outputs(model)
    assert sqnr_db(outputs(quantized(model, simulate=False, target="executorch")), expected) > 30


def test_a_resize_that_stays_float_is_observed_where_int8_reads_it() -> None:
    module, statistics, plan = calibrated(
        Net(lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear"))
    )
    (resize,) = nodes(module, aten.upsample_bilinear2d.vec)
    assert resize not in plan.nodes
    low, high = statistics.ranges("minmax")[resize]
    assert low < -0.1
    assert high > 0.1


@pytest.mark.parametrize("target", ["onnx", "executorch"])
@pytest.mark.parametrize("simulate", [False, True])
def test_relu_is_what_rounding_does(target: str, simulate: bool) -> None:
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


def moves(x: Tensor) -> Tensor:
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
    "moves": moves,
    "gelu": F.gelu,
    "silu": F.silu,
    "relu": lambda x: F.relu(x + x.flip(1)),
    "attention": attention,
    "resize": lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear"),
}


def test_moves_are_done_on_integers() -> None:
    module = quantized(Net(moves), simulate=False)
    assert len(nodes(module, decomposed.quantize_per_tensor.default)) == 3
    (pad,) = nodes(module, aten.pad.default)
    assert isinstance(pad.args[0], fx.Node)
    assert pad.args[0].target is decomposed.quantize_per_tensor.default
    assert pad.args[3] == pad.args[0].args[2], "what stands for zero"


def with_sigmoid_gelu(model: nn.Module) -> np.ndarray:
    """What a model computes whose GELUs are the approximation and nothing else is changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(F, "gelu", lambda x: x * torch.sigmoid(1.702 * x))
        return outputs(model)


def test_the_factor_of_gelu_goes_into_the_layers_beside_it() -> None:
    model = Net(lambda x: F.gelu(x)).eval()
    module = trace(model, SIZE)
    approximate_gelu(module)
    (product,) = nodes(module, aten.mul.Tensor)
    (gate,) = nodes(module, aten.sigmoid.default)
    first, last = nodes(module, aten.conv2d.default)
    assert (gate.args[0], product.args, last.args[0]) == (first, (first, gate), product)
    np.testing.assert_allclose(outputs(module), with_sigmoid_gelu(model), rtol=0, atol=1e-6)


def test_layers_that_share_weights_share_those_with_the_factor() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.block = nn.Sequential(nn.Conv2d(3, 3, 1), Middle(lambda x: F.gelu(x)))
            self.block.append(nn.Conv2d(3, 3, 1))

        def forward(self, image: Tensor) -> Tensor:
            return self.block(image + self.block(image))

    model = Twice().eval()
    module = trace(model, SIZE)
    approximate_gelu(module)
    assert len([node for node in module.graph.nodes if node.op == "get_attr"]) == 4
    np.testing.assert_allclose(outputs(module), with_sigmoid_gelu(model), rtol=0, atol=1e-6)


@pytest.mark.parametrize("recipe", ["onnxruntime_int8", "xnnpack_int8"])
@pytest.mark.parametrize("task", ["classification", "semantic"])
def test_all_gelus_of_the_models_are_between_two_layers(recipe: Recipe, task: Task) -> None:
    model = rewrite(build_random(ModelSpec(task, tiny(recursion=1), 4)), recipe)
    module = trace(model, (64, 64))
    assert nodes(module, aten.gelu.default)
    approximate_gelu(module)
    assert not [node for node in nodes(module, aten.mul.Tensor) if GELU_SLOPE in node.args]


def test_the_layer_before_keeps_its_weights_for_another_reader() -> None:
    class Skipping(Net):
        def forward(self, image: Tensor) -> Tensor:
            x = self.first(image)
            return self.last(self.middle(x)) + x[:, :4]

    model = Skipping(lambda x: F.gelu(x)).eval()
    module = trace(model, SIZE)
    approximate_gelu(module)
    np.testing.assert_allclose(outputs(module), with_sigmoid_gelu(model), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "between",
    [lambda x: F.gelu(x) + x, lambda x: F.gelu(x + 1), lambda x: F.gelu(x).exp()],
    ids=["two readers", "no layer before", "no layer after"],
)
def test_gelu_beside_something_else_keeps_its_factor(
    between: Callable[[Tensor], Tensor],
) -> None:
    model = Net(between).eval()
    module = trace(model, SIZE)
    approximate_gelu(module)
    assert len(nodes(module, aten.mul.Tensor)) == 2
    np.testing.assert_allclose(outputs(module), with_sigmoid_gelu(model), rtol=0, atol=1e-5)


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


@pytest.mark.parametrize("name", MIDDLES)
def test_onnx_runtime_computes_the_same(name: str, tmp_path: Path) -> None:
    program = quantized(Net(MIDDLES[name]), simulate=False)
    path = tmp_path / "net.onnx"
    example = torch.from_numpy(images()[0])
    exported = torch.export.export(program, (example,))
    written = torch.onnx.export(
        exported, dynamo=True, opset_version=OPSET, input_names=["image"], verbose=False
    )
    assert written is not None
    written.save(path)
    onnx.checker.check_model(str(path), full_check=True)
    session = OnnxSession(path)
    found = np.stack([next(iter(session.run(image).values())) for image in images()])
    assert sqnr_db(found, outputs(program)) > 38
