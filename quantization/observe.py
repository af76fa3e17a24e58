"""Runs a traced model over calibration images and notes what its values look like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from quantization.graph import MOVES, WEIGHTED, Plan, aten, inputs
from quantization.insert import Range
from quantization.methods import Method
from quantization.ranges import Extremes, Histogram, choose_range

_SAMPLE = 1 << 16
"""Values of one tensor and image that go into its histogram, evenly spread; extremes see all."""

Tick = Callable[[], None]


@dataclass(frozen=True)
class Statistics:
    """What calibration found.

    Attributes:
        histograms: by representative of `Plan.scales`.
        groups: value to representative.
        means: mean of each input channel, of the nodes with a weight.
    """

    histograms: Mapping[fx.Node, Histogram]
    groups: Mapping[fx.Node, fx.Node]
    means: Mapping[fx.Node, Tensor]

    def ranges(self, method: Method) -> dict[fx.Node, Range]:
        """The range of every int8 value."""
        chosen = {node: choose_range(h, method) for node, h in self.histograms.items()}
        return {node: chosen[representative] for node, representative in self.groups.items()}


def observe(
    module: fx.GraphModule,
    plan: Plan,
    images: Callable[[], Iterable[NDArray[np.float32]]],
    tick: Tick = lambda: None,
) -> Statistics:
    """Extremes first, then histograms between them: two passes over the images.

    Args:
        module: traced, in float.
        plan: the largest that will be wanted; those with fewer int8 values share its statistics.
        images: gives them, (1, 3, H, W) each, from the start at each call.
        tick: told of every image of either pass.
    """
    extremes = {node: Extremes() for node in set(plan.scales.values())}
    sums: dict[fx.Node, Tensor] = {}
    count = 0

    def first(node: fx.Node, value: Tensor) -> None:
        low, high = value.aminmax()
        extremes[plan.scales[node]].add(float(low), float(high))

    def weighted(node: fx.Node, operand: Tensor) -> None:
        channels = operand.transpose(1, -1) if node.target is aten.conv2d.default else operand
        mean = channels.reshape(-1, channels.shape[-1]).mean(0, dtype=torch.float64)
        sums[node] = sums[node] + mean if node in sums else mean

    for image in images():
        _Watch(module, plan, first, weighted).run(torch.from_numpy(image))
        count += 1
        tick()
    histograms = {node: Histogram(e.low, e.high) for node, e in extremes.items()}

    def second(node: fx.Node, value: Tensor) -> None:
        flat = value.flatten()
        # An odd stride: an even one would keep to a few columns of the map.
        stride = max(1, len(flat) // _SAMPLE) | 1
        histograms[plan.scales[node]].add(flat[::stride].numpy())

    for image in images():
        _Watch(module, plan, second, lambda _node, _operand: None).run(torch.from_numpy(image))
        tick()
    means = {node: total / count for node, total in sums.items()}
    return Statistics(histograms, plan.scales, means)


class _Watch(fx.Interpreter):
    """Computes the graph and shows every int8 value and every weighted node's operand."""

    def __init__(
        self,
        module: fx.GraphModule,
        plan: Plan,
        value_seen: Callable[[fx.Node, Tensor], None],
        operand_seen: Callable[[fx.Node, Tensor], None],
    ):
        super().__init__(module)
        self._plan, self._value_seen, self._operand_seen = plan, value_seen, operand_seen

    def run(self, image: Tensor) -> Any:  # type: ignore[override]
        with torch.inference_mode():
            return super().run(image)

    def run_node(self, n: fx.Node) -> Any:
        if n in self._plan.nodes and n.target in WEIGHTED:
            self._operand_seen(n, self.env[inputs(n)[0]])
        result = super().run_node(n)
        # What moves values shows none that have not been seen.
        if n in self._plan.scales and n.target not in MOVES:
            self._value_seen(n, result)
        return result
