"""Probe nodes: where a quantized model is compared with the float model.

Boxes and what depends on them cannot be compared value by value: one box that is gained or lost
shifts all boxes after it. So a panoptic model is compared in the last layers before the arithmetic
of boxes and in its semantic logits. A block that comes after the boxes is compared in the last
layers after them, with the boxes of the float model.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from export.session import Outputs
from quantization.fake_quant import fake_quantize
from quantization.graph import (
    NOT_COMPARED,
    WEIGHTED_OPS,
    aten,
    box_dependent_nodes,
    is_output_head,
)
from quantization.inputs import Inputs, as_tensors


@dataclass(frozen=True)
class ProbeNodes:
    """Names of the nodes that are compared.

    Attributes:
        before_boxes: outputs and output heads that depend on no box; all of them, where the model
            has no boxes.
        after_boxes: output heads that depend on boxes.
        rectified: those of both that only a ReLU reads. Negative values are compared as zeros,
            because runtimes compute the ReLU with the layer and round after it.
    """

    before_boxes: tuple[str, ...]
    after_boxes: tuple[str, ...]
    rectified: frozenset[str]

    def values(self, module: fx.GraphModule, inputs: Inputs, names: Collection[str]) -> Outputs:
        """The values of some of the nodes for one run of the float or a quantized model."""
        values = probe_values(module, inputs, names)
        return {
            name: np.maximum(value, 0) if name in self.rectified else value
            for name, value in values.items()
        }


def find_probe_nodes(graph: fx.Graph) -> ProbeNodes:
    """The probe nodes of a traced graph."""
    box_nodes = box_dependent_nodes(graph)
    (output,) = (node for node in graph.nodes if node.op == "output")
    outputs = [node for node in output.all_input_nodes if not node.meta.get(NOT_COMPARED)]
    heads = [node for node in graph.nodes if node.target in WEIGHTED_OPS and is_output_head(node)]
    return ProbeNodes(
        tuple(n.name for n in [*outputs, *heads] if n not in box_nodes),
        tuple(n.name for n in heads if n in box_nodes),
        frozenset(n.name for n in heads if {u.target for u in n.users} == {aten.relu.default}),
    )


def probe_values(module: fx.GraphModule, inputs: Inputs, names: Collection[str]) -> Outputs:
    """The values of some nodes for one run, by name."""
    interpreter = _ProbeInterpreter(module, names)
    with torch.inference_mode():
        interpreter.run(*as_tensors(inputs))
    return interpreter.values


class _ProbeInterpreter(fx.Interpreter):
    """Computes a graph and keeps the values of some nodes, rounded, as their readers get them."""

    def __init__(self, module: fx.GraphModule, names: Collection[str]):
        super().__init__(module)
        self.values: dict[str, NDArray[np.float32]] = {}
        self._names = {_rounded(n): n.name for n in module.graph.nodes if n.name in names}

    def run_node(self, n: fx.Node) -> object:
        result = super().run_node(n)
        if n in self._names:
            self.values[self._names[n]] = result.numpy()
        return result


def _rounded(node: fx.Node) -> fx.Node:
    """The node that rounds a node's value where int8 is simulated; otherwise the node itself."""
    return next((user for user in node.users if user.target is fake_quantize), node)
