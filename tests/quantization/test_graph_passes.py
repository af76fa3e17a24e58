"""The graph passes on small graphs: exact ones agree in float64, the approximation in its bound."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from export.capabilities import Recipe
from export.rewrite import rewrite
from lvt.config import Task
from lvt.layers import to_nchw, to_nhwc
from lvt.models import ModelSpec, build_random
from quantization.graph import aten
from quantization.graph_passes import (
    GELU_SLOPE,
    approximate_gelu,
    decompose_silu,
    drop_probability_floors,
    softmax_without_max,
)
from tests.conftest import tiny
from tests.helpers.models import trace_model
from tests.quantization.small_nets import SIZE, Middle, Net, images, nodes, outputs, targets


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

    module = trace_model(Only(), (64, 64))
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
    module = trace_model(model.eval(), SIZE)
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

    module = trace_model(Net(attend).eval(), SIZE)
    (softmax,) = nodes(module, aten.softmax.int)
    drop_probability_floors(module, {softmax: float(spread)})
    assert len(nodes(module, aten.clamp.default)) == 1 - dropped


@pytest.mark.parametrize(("spread", "dropped"), [(59, 1), (60, 0)])
def test_limits_before_a_softmax_that_nothing_comes_near_are_dropped(
    spread: float, dropped: int
) -> None:
    def attend(x: Tensor) -> Tensor:
        return torch.maximum(x, x.amax(-1, keepdim=True) - 60).softmax(-1)

    module = trace_model(Net(attend).eval(), SIZE)
    image = torch.from_numpy(images()[0])
    expected = module(image)
    (softmax,) = nodes(module, aten.softmax.int)
    drop_probability_floors(module, {softmax: float(spread)})
    assert len(nodes(module, aten.amax.default)) == 1 - dropped
    torch.testing.assert_close(module(image), expected, rtol=0, atol=0)


def with_sigmoid_gelu(model: nn.Module) -> np.ndarray:
    """What a model computes whose GELUs are the approximation and nothing else is changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(F, "gelu", lambda x: x * torch.sigmoid(1.702 * x))
        return outputs(model)


def test_the_factor_of_gelu_goes_into_the_layers_beside_it() -> None:
    model = Net(lambda x: F.gelu(x)).eval()
    module = trace_model(model, SIZE)
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
    module = trace_model(model, SIZE)
    approximate_gelu(module)
    assert len([node for node in module.graph.nodes if node.op == "get_attr"]) == 4
    np.testing.assert_allclose(outputs(module), with_sigmoid_gelu(model), rtol=0, atol=1e-6)


@pytest.mark.parametrize("recipe", ["onnxruntime_int8", "xnnpack_int8"])
@pytest.mark.parametrize("task", ["classification", "semantic"])
def test_all_gelus_of_the_models_are_between_two_layers(recipe: Recipe, task: Task) -> None:
    model = rewrite(build_random(ModelSpec(task, tiny(recursion=1), 4)), recipe)
    module = trace_model(model, (64, 64))
    assert nodes(module, aten.gelu.default)
    approximate_gelu(module)
    assert not [node for node in nodes(module, aten.mul.Tensor) if GELU_SLOPE in node.args]


def test_the_layer_before_keeps_its_weights_for_another_reader() -> None:
    class Skipping(Net):
        def forward(self, image: Tensor) -> Tensor:
            x = self.first(image)
            return self.last(self.middle(x)) + x[:, :4]

    model = Skipping(lambda x: F.gelu(x)).eval()
    module = trace_model(model, SIZE)
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
    module = trace_model(model, SIZE)
    approximate_gelu(module)
    assert len(nodes(module, aten.mul.Tensor)) == 2
    np.testing.assert_allclose(outputs(module), with_sigmoid_gelu(model), rtol=0, atol=1e-5)
