"""Quantization-aware fine-tuning: weights learn to make up for int8's roundings.

The traced model is its own teacher: with int8's roundings simulated, it is to give what it gives
in float. That needs pictures only, no labels, and is the same for every task; where the roundings
are in the file, there they are here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from lvt.data.metrics import power
from quantization.calibrated_model import CalibratedModel
from quantization.graph import WEIGHTED, aten, constant, held
from quantization.weights import WEIGHT_LIMIT, adds_in_pairs, channel_axis, quantize_weight

LEARNING_RATE = 1e-5
"""At the start, of Adam; it falls to zero along a cosine. Ten times as much did harm."""

_SEED = 20220619


def finetune(
    study: CalibratedModel,
    images: list[NDArray[np.float32]],
    steps: int,
    keep_float: Collection[str] = (),
    tick: Callable[[int, float], None] = lambda _step, _loss: None,
) -> CalibratedModel:
    """A study of the same model with other weights.

    Args:
        study: calibrated; left as it is.
        images: (1, 3, H, W) each; one is drawn for each step.
        steps: of the optimiser.
        keep_float: blocks that are not going to be int8.
        tick: told each step, counted from 1, and its loss: noise over signal of what is compared.
    """
    tuned = study.copied()
    _correct_biases(tuned, keep_float)
    # From here on training makes up for the rounding of weights.
    tuned = replace(tuned, statistics=replace(tuned.statistics, means={}))
    names = tuned.taps
    teacher = _up_to(study.module, names)
    student = _up_to(_trainable(tuned, keep_float), names)
    weights = [tensor.requires_grad_(True) for tensor in _weights(tuned)]
    optimiser = torch.optim.Adam(weights, lr=LEARNING_RATE)
    generator = np.random.default_rng(_SEED)
    drawn = np.concatenate([generator.permutation(len(images)) for _ in range(steps)])[:steps]
    for step, index in enumerate(drawn, start=1):
        image = torch.from_numpy(images[index])
        with torch.no_grad():
            wanted = teacher(image)
        loss = _noise_to_signal(student(image), wanted)
        optimiser.param_groups[0]["lr"] = _rate(step, steps)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        tick(step, float(loss.detach()))
    for tensor in weights:
        tensor.requires_grad_(False)
    return tuned


@torch.no_grad()
def _correct_biases(study: CalibratedModel, keep_float: Collection[str]) -> None:
    """Puts what makes up for the rounding of weights into the module itself, to start from.

    Where recursion uses one bias several times, each with its own correction, there is none.
    """
    corrected = study.simulated(keep_float)
    copies = {node.name: node for node in corrected.graph.nodes}
    for node in study.plan(keep_float).nodes:
        bias = node.args[2] if node.target in WEIGHTED and len(node.args) > 2 else None
        if isinstance(bias, fx.Node) and len(bias.users) == 1:
            held(study.module, bias).copy_(constant(corrected, copies[node.name].args[2]))


def _rate(step: int, steps: int) -> float:
    return LEARNING_RATE * (1 + math.cos(math.pi * (step - 1) / steps)) / 2


def _noise_to_signal(found: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> Tensor:
    """Mean over the values that are compared; each counts the same, whatever its size."""
    ratios = [
        (ours - theirs).square().sum() / max(power(theirs.numpy()), torch.finfo().tiny)
        for ours, theirs in zip(found, wanted, strict=True)
    ]
    return torch.stack(ratios).mean()


def _weights(study: CalibratedModel) -> list[Tensor]:
    """Weights and biases of all layers in int8: those of the module, not copies."""
    found = {}
    for node in study.full_plan.nodes:
        if node.target in WEIGHTED:
            for source in node.args[1:3]:
                if isinstance(source, fx.Node) and node.target is not aten.matmul.default:
                    found[str(source.target)] = held(study.module, source)
    return [found[name] for name in sorted(found)]


def _trainable(study: CalibratedModel, keep_float: Collection[str]) -> fx.GraphModule:
    """The simulated model, computed from the module's own weights, with gradients to them."""
    module = study.simulated(keep_float)
    copies = {node.name: node for node in module.graph.nodes}
    for node in study.plan(keep_float).nodes:
        if node.target not in WEIGHTED or node.target is aten.matmul.default:
            continue
        own, axis = copies[node.name], channel_axis(node)
        weight = node.args[1]
        assert isinstance(weight, fx.Node)
        value = constant(study.module, weight)
        in_pairs = adds_in_pairs(node, value, study.abilities)
        _, scales = quantize_weight(value, axis, in_pairs=in_pairs)
        with module.graph.inserting_before(own):
            own_weight = module.graph.get_attr(str(weight.target))
            module.register_buffer(f"{node.name}_scales", scales)
            module.register_buffer(f"{node.name}_zeros", torch.zeros_like(scales))
            rounded = module.graph.call_function(
                aten.fake_quantize_per_channel_affine.default,
                (
                    own_weight,
                    module.graph.get_attr(f"{node.name}_scales"),
                    module.graph.get_attr(f"{node.name}_zeros"),
                    axis,
                    -WEIGHT_LIMIT,
                    WEIGHT_LIMIT,
                ),
            )
        own.update_arg(1, rounded)
    return module


def _up_to(module: fx.GraphModule, names: list[str]) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """What computes some of a graph's nodes, and nothing that they do not need."""
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in module.graph.nodes:
        if node.op != "output":
            copies[node] = graph.node_copy(node, lambda source: copies[source])
    by_name = {node.name: copy for node, copy in copies.items()}
    graph.output(tuple(by_name[name] for name in names))
    shortened = fx.GraphModule(module, graph)
    shortened.graph.eliminate_dead_code()
    shortened.recompile()
    return shortened
