"""Quantization-aware fine-tuning: the weights learn to compensate for the rounding of int8.

The float model is the teacher. With int8 simulated, the student learns to give the same values in
the probe nodes. That needs images only, no labels, and works for every task. The simulation rounds
at the same places as the written file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, fx

from lvt.data.metrics import power
from quantization.calibrated_model import CalibratedModel
from quantization.graph import WEIGHTED_OPS, aten, attr_tensor, constant
from quantization.inputs import Inputs, as_tensors
from quantization.weights import WEIGHT_LIMIT, adds_in_pairs, channel_axis, quantize_weight

LEARNING_RATE = 1e-5
"""Of Adam, at the start; it falls to zero along a cosine. Ten times as much did harm."""

_SEED = 20220619


def finetune(
    calibrated: CalibratedModel,
    images: Sequence[Inputs],
    steps: int,
    keep_float: Collection[str] = (),
    on_step: Callable[[int, float], None] = lambda _step, _loss: None,
) -> CalibratedModel:
    """A calibrated model with fine-tuned weights and the same ranges.

    Args:
        calibrated: left as it is.
        images: the inputs of each image; each step draws one.
        steps: of the optimiser.
        keep_float: blocks that will stay float.
        on_step: called after each step with its number, from 1, and its loss: the mean ratio of
            noise to signal in the probe nodes.
    """
    tuned = calibrated.clone()
    _correct_biases(tuned, keep_float)
    # Training now compensates for the rounding of the weights, so biases need no other correction.
    tuned = replace(tuned, statistics=replace(tuned.statistics, means={}))
    names = tuned.probe_nodes.before_boxes
    teacher = _truncated(calibrated.module, names)
    student = _truncated(_trainable(tuned, keep_float), names)
    weights = [tensor.requires_grad_(True) for tensor in _layer_tensors(tuned)]
    optimiser = torch.optim.Adam(weights, lr=LEARNING_RATE)
    for step, inputs in enumerate(_drawn(images, steps), start=1):
        with torch.no_grad():
            expected = teacher(*inputs)
        loss = _noise_to_signal(student(*inputs), expected)
        optimiser.param_groups[0]["lr"] = _learning_rate(step, steps)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        on_step(step, float(loss.detach()))
    for tensor in weights:
        tensor.requires_grad_(False)
    return tuned


def _drawn(images: Sequence[Inputs], steps: int) -> Iterator[tuple[Tensor, ...]]:
    """The inputs of an image for each step, in a fixed random order.

    Every image comes once before any comes again.
    """
    generator = np.random.default_rng(_SEED)
    indices = np.concatenate([generator.permutation(len(images)) for _ in range(steps)])
    return (as_tensors(images[index]) for index in indices[:steps])


def _learning_rate(step: int, steps: int) -> float:
    return LEARNING_RATE * (1 + math.cos(math.pi * (step - 1) / steps)) / 2


def _noise_to_signal(actual: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> Tensor:
    """The mean ratio over the probe nodes; each counts the same, whatever its magnitude."""
    ratios = [
        (a - e).square().sum() / max(power(e.numpy()), torch.finfo().tiny)
        for a, e in zip(actual, expected, strict=True)
    ]
    return torch.stack(ratios).mean()


@torch.no_grad()
def _correct_biases(calibrated: CalibratedModel, keep_float: Collection[str]) -> None:
    """Stores the bias corrections in the module itself, as the start of the training.

    A bias that recursion uses several times, with a correction for each use, stays as it is.
    """
    corrected = calibrated.simulated(keep_float)
    copies = {node.name: node for node in corrected.graph.nodes}
    for node in calibrated.plan(keep_float).integer_nodes:
        bias = node.args[2] if node.target in WEIGHTED_OPS and len(node.args) > 2 else None
        if isinstance(bias, fx.Node) and len(bias.users) == 1:
            corrected_bias = copies[node.name].args[2]
            assert isinstance(corrected_bias, fx.Node)
            attr_tensor(calibrated.module, bias).copy_(constant(corrected, corrected_bias))


def _layer_tensors(calibrated: CalibratedModel) -> list[Tensor]:
    """Weights and biases of all int8 layers: the module's own tensors, not copies."""
    tensors = {}
    for node in calibrated.full_plan.integer_nodes:
        if node.target in WEIGHTED_OPS and node.target is not aten.matmul.default:
            for source in node.args[1:3]:
                if isinstance(source, fx.Node):
                    tensors[str(source.target)] = attr_tensor(calibrated.module, source)
    return [tensors[name] for name in sorted(tensors)]


def _trainable(calibrated: CalibratedModel, keep_float: Collection[str]) -> fx.GraphModule:
    """The simulated model, which rounds the module's own weights and has gradients to them."""
    module = calibrated.simulated(keep_float)
    copies = {node.name: node for node in module.graph.nodes}
    for node in calibrated.plan(keep_float).integer_nodes:
        if node.target not in WEIGHTED_OPS or node.target is aten.matmul.default:
            continue
        layer, axis = copies[node.name], channel_axis(node)
        weight = node.args[1]
        assert isinstance(weight, fx.Node)
        value = constant(calibrated.module, weight)
        in_pairs = adds_in_pairs(node, value, calibrated.backend_config)
        _, scales = quantize_weight(value, axis, in_pairs=in_pairs)
        module.register_buffer(f"{node.name}_scales", scales)
        module.register_buffer(f"{node.name}_zeros", torch.zeros_like(scales))
        with module.graph.inserting_before(layer):
            names = (str(weight.target), f"{node.name}_scales", f"{node.name}_zeros")
            tensors = [module.graph.get_attr(name) for name in names]
            rounded = module.graph.call_function(
                aten.fake_quantize_per_channel_affine.default,
                (*tensors, axis, -WEIGHT_LIMIT, WEIGHT_LIMIT),
            )
        layer.update_arg(1, rounded)
    return module


def _truncated(module: fx.GraphModule, names: Collection[str]) -> Callable[..., tuple[Tensor, ...]]:
    """A function from a run's inputs to the values of some nodes; it computes nothing else."""
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in module.graph.nodes:
        if node.op != "output":
            copies[node] = graph.node_copy(node, lambda source: copies[source])
    by_name = {node.name: node_copy for node, node_copy in copies.items()}
    graph.output(tuple(by_name[name] for name in names))
    truncated = fx.GraphModule(module, graph)
    truncated.graph.eliminate_dead_code()
    truncated.recompile()
    return truncated
