"""A model in int8 as `quantization` makes it, without its calibration: for tests of targets."""

from __future__ import annotations

from typing import Any

import torch
import torch.ao.quantization.fx._decomposed  # registers the operators
import torch.nn.functional as F
from torch import Tensor, fx, nn

from lvt.models import ModelSpec
from tests.conftest import TINY

aten = torch.ops.aten
levels = torch.ops.quantized_decomposed

COMPUTED = {
    aten.conv2d.default,
    aten.add.Tensor,
    aten.gelu.default,
    aten.relu.default,
    aten.upsample_bilinear2d.vec,
    aten.avg_pool2d.default,
}
MOVED = {
    aten.reshape.default,
    aten.view.default,
    aten.permute.default,
    aten.transpose.int,
    aten.slice.Tensor,
    aten.cat.default,
    aten.pad.default,
}
"""What moves values alone is in int8 beside what computes in it."""
SHARING = MOVED | {aten.upsample_bilinear2d.vec, aten.avg_pool2d.default}
"""Their operands and results share one scale. TFLite's resize and pooling know no other, and the
converter would round, and cut off, the operand to the result's."""

Ranges = dict[fx.Node, tuple[float, float]]


class Small(nn.Module):
    """Four maps of everything that is computed in int8; the first two serve inside as well."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.block = nn.Sequential(
            nn.Conv2d(8, 64, 3, padding=1), nn.GELU(), nn.Conv2d(64, 8, 3, padding=1)
        )
        self.tail = nn.Conv2d(16, 4, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        first = F.relu(self.stem(image))
        second = first + self.block(first)
        second = second + self.block(second)
        larger = F.interpolate(second, scale_factor=2.0, mode="bilinear", align_corners=False)
        return first, second, larger, self.tail(torch.cat([first, second], 1))


SMALL_SPEC = ModelSpec("backbone", TINY)
"""A backbone has four outputs too."""


def small() -> Small:
    """Reproducible weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Small().eval()


class _Observer(fx.Interpreter):
    """Least and greatest value of everything that is computed, with 0 between."""

    def __init__(self, module: fx.GraphModule):
        super().__init__(module)
        self.ranges: Ranges = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor) and result.is_floating_point() and n.op != "get_attr":
            self.ranges[n] = (min(float(result.min()), 0.0), max(float(result.max()), 0.0))
        return result


def in_int8(model: nn.Module, image: Tensor, *, activations: bool = True) -> fx.GraphModule:
    """The model with int8 weights and, unless they are left out, int8 activations.

    Args:
        image: what the ranges of the activations are taken from.
    """
    module = torch.export.export(model, (image,)).module()
    assert isinstance(module, fx.GraphModule)
    observer = _Observer(module)
    with torch.no_grad():
        observer.run(image)
    _store_weights(module)
    if activations:
        _round_activations(module, observer.ranges)
    module.recompile()
    return module


def _store_weights(module: fx.GraphModule) -> None:
    tensors = dict([*module.named_parameters(), *module.named_buffers()])
    numbers: dict[str, int] = {}
    for node in module.graph.find_nodes(op="call_function", target=aten.conv2d.default):
        name = node.args[1].target
        if name not in numbers:  # layers may share a weight
            number = numbers[name] = len(numbers)
            weight = tensors[name].detach()
            scales = (weight.flatten(1).abs().amax(1) / 127).clamp(min=2**-30)
            stored = (weight / scales.view(-1, 1, 1, 1)).round().to(torch.int8)
            module.register_buffer(f"int8_w{number}", stored)
            module.register_buffer(f"int8_s{number}", scales)
            module.register_buffer(f"int8_z{number}", torch.zeros(len(scales), dtype=torch.int64))
        with module.graph.inserting_before(node):
            given = [module.graph.get_attr(f"int8_{kind}{numbers[name]}") for kind in "wsz"]
            arguments = (*given, 0, -127, 127, torch.int8)
            restored = module.graph.call_function(levels.dequantize_per_channel.default, arguments)
        node.update_arg(1, restored)


def _chosen(ranges: Ranges) -> list[fx.Node]:
    """Operators to compute in int8."""

    def suits(node: fx.Node) -> bool:
        if node.target == aten.add.Tensor:
            shapes = [operand.meta["val"].shape for operand in node.all_input_nodes]
            return shapes == [node.meta["val"].shape] * 2 and shapes[0][1] > 1
        # A convolution with one result is a mean of the LayerNorm's.
        return node.target in COMPUTED and node.meta["val"].shape[1] > 1

    found = [node for node in ranges if suits(node)]
    for node in ranges:
        if node.target in MOVED and any(operand in found for operand in node.all_input_nodes):
            found.append(node)
    return found


def _round_activations(module: fx.GraphModule, ranges: Ranges) -> None:
    operators = _chosen(ranges)
    shared: dict[fx.Node, fx.Node] = {}

    def leader(node: fx.Node) -> fx.Node:
        while node in shared:
            node = shared[node]
        return node

    for node in operators:
        for operand in node.all_input_nodes if node.target in SHARING else ():
            if leader(operand) is not leader(node):
                shared[leader(operand)] = leader(node)
    extent: Ranges = {}
    for node, (low, high) in ranges.items():
        known = extent.get(leader(node), (0.0, 0.0))
        extent[leader(node)] = min(low, known[0]), max(high, known[1])
    for node in ranges:
        users = [user for user in node.users if user in operators or node in operators]
        if users:
            low, high = extent[leader(node)]
            scale = max((high - low) / 255, 2**-30)
            given = (scale, round(-128 - low / scale), -128, 127, torch.int8)
            with module.graph.inserting_after(node):
                held = module.graph.call_function(
                    levels.quantize_per_tensor.default, (node, *given)
                )
            for user in users:
                with module.graph.inserting_before(user):
                    restored = module.graph.call_function(
                        levels.dequantize_per_tensor.default, (held, *given)
                    )
                user.replace_input_with(node, restored)
