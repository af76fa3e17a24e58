"""Runs a traced model over calibration images and notes what its values look like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from quantization.graph import DATA_MOVEMENT_OPS, WEIGHTED, QuantizationPlan, aten, inputs
from quantization.insert_qdq import Range
from quantization.methods import Method
from quantization.ranges import Histogram, MinMax, choose_range

_SAMPLE = 1 << 16
"""Values of one tensor and image that go into its histogram, evenly spread; extremes see all."""

SIGMOID_RANGE: Range = (0.0, 255 / 256)
"""What runtimes with an int8 sigmoid insist on: a step of 1/256."""

Tick = Callable[[], None]


@dataclass(frozen=True)
class CalibrationStats:
    """What calibration found.

    Attributes:
        histograms: by representative of `QuantizationPlan.scales`.
        groups: value to representative.
        means: mean of each input channel, of the nodes with a weight.
        spreads: of each softmax, the greatest distance between two values of a row.
    """

    histograms: Mapping[fx.Node, Histogram]
    groups: Mapping[fx.Node, fx.Node]
    means: Mapping[fx.Node, Tensor]
    spreads: Mapping[fx.Node, float]

    def ranges(self, method: Method) -> dict[fx.Node, Range]:
        """The range of every int8 value."""
        chosen = {node: choose_range(h, method) for node, h in self.histograms.items()}
        origins: dict[fx.Node, set[object]] = {}
        for node, representative in self.groups.items():
            moved = node.target in DATA_MOVEMENT_OPS and all(
                self.groups.get(source) is representative for source in inputs(node)
            )
            if not moved:
                origins.setdefault(representative, set()).add(node.target)
        for representative, targets in origins.items():
            if targets == {aten.sigmoid.default}:
                chosen[representative] = SIGMOID_RANGE
        return {node: chosen[representative] for node, representative in self.groups.items()}


def observe(
    module: fx.GraphModule,
    plan: QuantizationPlan,
    images: Callable[[], Iterable[NDArray[np.float32]]],
    tick: Tick = lambda: None,
) -> CalibrationStats:
    """Extremes first, then histograms between them: two passes over the images.

    Args:
        module: traced, in float.
        plan: the largest that will be wanted; those with fewer int8 values share its statistics.
        images: gives them, (1, 3, H, W) each, from the start at each call.
        tick: told of every image of either pass.
    """
    extremes = {node: MinMax() for node in set(plan.scales.values())}
    sums: dict[fx.Node, Tensor] = {}
    spreads: dict[fx.Node, float] = {}
    count = 0

    def first(node: fx.Node, value: Tensor) -> None:
        low, high = value.aminmax()
        extremes[plan.scales[node]].add(float(low), float(high))

    def operand_of(node: fx.Node, operand: Tensor) -> None:
        if node.target is aten.softmax.int:
            axis = node.args[1]
            assert isinstance(axis, int)
            spread = float((operand.amax(axis) - operand.amin(axis)).max())
            spreads[node] = max(spread, spreads.get(node, 0.0))
            return
        channels = operand.transpose(1, -1) if node.target is aten.conv2d.default else operand
        mean = channels.reshape(-1, channels.shape[-1]).mean(0, dtype=torch.float64)
        sums[node] = sums[node] + mean if node in sums else mean

    for image in images():
        ActivationObserver(module, plan, first, operand_of).run(torch.from_numpy(image))
        count += 1
        tick()
    histograms = {node: Histogram(e.low, e.high) for node, e in extremes.items()}

    def second(node: fx.Node, value: Tensor) -> None:
        flat = value.flatten()
        # An odd stride: an even one would keep to a few columns of the map.
        stride = max(1, len(flat) // _SAMPLE) | 1
        histograms[plan.scales[node]].add(flat[::stride].numpy())

    for image in images():
        ActivationObserver(module, plan, second, lambda _node, _operand: None).run(
            torch.from_numpy(image)
        )
        tick()
    means = {node: total / count for node, total in sums.items()}
    return CalibrationStats(histograms, plan.scales, means, spreads)


class ActivationObserver(fx.Interpreter):
    """Computes the graph; shows int8 values and the operands of weighted nodes and softmaxes."""

    def __init__(
        self,
        module: fx.GraphModule,
        plan: QuantizationPlan,
        value_seen: Callable[[fx.Node, Tensor], None],
        operand_seen: Callable[[fx.Node, Tensor], None],
    ):
        super().__init__(module)
        self._plan, self._value_seen, self._operand_seen = plan, value_seen, operand_seen

    def run(self, image: Tensor) -> Any:  # type: ignore[override]
        with torch.inference_mode():
            return super().run(image)

    def run_node(self, n: fx.Node) -> Any:
        weighted = n in self._plan.nodes and n.target in WEIGHTED
        if weighted or n.target is aten.softmax.int:
            self._operand_seen(n, self.env[inputs(n)[0]])
        result = super().run_node(n)
        # What moves int8 values shows none that have not been seen.
        moved = n in self._plan.nodes and n.target in DATA_MOVEMENT_OPS
        if n in self._plan.scales and not moved:
            self._value_seen(n, result)
        return result
