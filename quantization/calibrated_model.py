"""A traced and calibrated model, from which the int8 forms of different plans are made."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from torch import fx

from export.session import Outputs
from lvt.data.metrics import ChannelNoise
from lvt.support.progress import Progress, no_progress
from quantization.backend_config import BackendConfig
from quantization.graph import (
    block_name,
    block_names,
    box_dependent_nodes,
    is_attention_product,
)
from quantization.graph_passes import post_calibration_passes, pre_calibration_passes
from quantization.inputs import Inputs
from quantization.insert_qdq import insert_qdq
from quantization.methods import METHODS, Method
from quantization.observer import CalibrationStats, collect_stats
from quantization.plan import QuantizationPlan, plan_quantization
from quantization.probes import ProbeNodes, find_probe_nodes
from quantization.ranges import Range

CHECKED_IMAGES = 4
"""Images on which range methods are compared."""

_BLOCK_IMAGES = 2
"""Images on which blocks are compared: there are many blocks, and only their order matters."""


@dataclass(frozen=True)
class CalibratedModel:
    """A model whose ranges are known.

    Attributes:
        module: the traced float model, after the graph passes.
        backend_config: of the runtime that it is for.
        statistics: of the calibration images.
        method: the method that chose the ranges.
        ranges: of every value that can be int8.
        method_sqnrs: SQNR in dB with all of the model in int8, by method that was compared.
        images: inputs of the images on which methods and blocks are compared.
    """

    module: fx.GraphModule
    backend_config: BackendConfig
    statistics: CalibrationStats
    method: Method
    ranges: dict[fx.Node, Range]
    method_sqnrs: dict[Method, float]
    images: list[Inputs]

    def plan(self, keep_float: Collection[str] = ()) -> QuantizationPlan:
        """The plan with everything in int8 that can be, except some blocks."""
        return plan_quantization(self.module.graph, self.backend_config, keep_float=keep_float)

    @cached_property
    def full_plan(self) -> QuantizationPlan:
        """The plan with everything in int8 that can be."""
        return self.plan()

    @cached_property
    def wide_ranges(self) -> dict[fx.Node, Range]:
        """The ranges of 16 bits, which have levels enough for the rarest values."""
        return self.statistics.wide_ranges()

    @cached_property
    def blocks(self) -> list[str]:
        """All blocks of which something can be int8, in execution order."""
        return block_names(self.module.graph, self.full_plan.integer_nodes)

    @cached_property
    def fixed_blocks(self) -> set[str]:
        """Blocks that the search leaves in 8 bits; see `BackendConfig.fixed_attention`."""
        if not self.backend_config.fixed_attention:
            return set()
        nodes = self.full_plan.integer_nodes
        return {block_name(n) for n in nodes if is_attention_product(n)}

    @cached_property
    def probe_nodes(self) -> ProbeNodes:
        """The nodes in which int8 is compared with float."""
        return find_probe_nodes(self.module.graph)

    def simulated(self, keep_float: Collection[str] = ()) -> fx.GraphModule:
        """The model with fake quantization, except in some blocks."""
        return self._insert_qdq(keep_float, simulate=True)

    def program(self, keep_float: Collection[str] = ()) -> fx.GraphModule:
        """The model with quantize and dequantize operators, for a converter."""
        return self._insert_qdq(keep_float, simulate=False)

    def weights_only(self) -> fx.GraphModule:
        """The model with int8 weights and float activations, for a converter."""
        float_biases = replace(self.backend_config, integer_bias=False)
        means = self.statistics.means
        return insert_qdq(self.module, self.full_plan, {}, float_biases, means=means)

    def _insert_qdq(self, keep_float: Collection[str], *, simulate: bool) -> fx.GraphModule:
        return insert_qdq(
            self.module,
            self.plan(keep_float),
            self.ranges,
            self.backend_config,
            means=self.statistics.means,
            wide_ranges=self.wide_ranges,
            simulate=simulate,
        )

    def clone(self) -> CalibratedModel:
        """A copy with a module of its own, and so with weights of its own."""
        module = copy.deepcopy(self.module)
        copies = dict(zip(self.module.graph.nodes, module.graph.nodes, strict=True))
        statistics = replace(
            self.statistics,
            means={copies[node]: mean for node, mean in self.statistics.means.items()},
        )
        # Graph passes removed some of the nodes that have a range.
        ranges = {copies[node]: r for node, r in self.ranges.items() if node in copies}
        return replace(self, module=module, statistics=statistics, ranges=ranges)

    def sqnr(self) -> float:
        """SQNR in dB with everything in int8 that can be; that of the worst probe node."""
        return self._sqnr(self.simulated(), self.probe_nodes.before_boxes, len(self.images))

    def block_sqnr(self, block: str) -> float:
        """SQNR in dB with a single block in int8; that of the worst probe node."""
        others = [name for name in self.blocks if name != block]
        probes = self.probe_nodes
        names = probes.after_boxes if block in self._blocks_after_boxes else probes.before_boxes
        return self._sqnr(self.simulated(others), names, _BLOCK_IMAGES)

    def _sqnr(self, candidate: fx.GraphModule, names: Sequence[str], count: int) -> float:
        """Least SQNR in dB of some nodes over the first `count` images."""
        ratios = {name: ChannelNoise() for name in names}
        for inputs, expected in zip(self.images[:count], self._float_values[:count], strict=True):
            actual = self.probe_nodes.values(candidate, inputs, names)
            for name, ratio in ratios.items():
                ratio.add(actual[name], expected[name])
        return min(ratio.db for ratio in ratios.values())

    @cached_property
    def _float_values(self) -> list[Outputs]:
        """The float model's values of all probe nodes, by image."""
        names = [*self.probe_nodes.before_boxes, *self.probe_nodes.after_boxes]
        return [self.probe_nodes.values(self.module, inputs, names) for inputs in self.images]

    @cached_property
    def _blocks_after_boxes(self) -> set[str]:
        box_nodes = box_dependent_nodes(self.module.graph)
        return {block_name(node) for node in box_nodes & self.full_plan.integer_nodes}


def calibrate(
    module: fx.GraphModule,
    backend_config: BackendConfig,
    images: list[Inputs],
    method: Method | None,
    progress: Progress = no_progress,
) -> CalibratedModel:
    """Chooses the ranges of a model's values.

    Args:
        module: the rewritten model, traced. The graph passes change it.
        backend_config: of the runtime.
        images: inputs of the images to calibrate on.
        method: how ranges are chosen; None for the method with the best SQNR.
        progress: called with a description of each step.
    """
    pre_calibration_passes(module, backend_config)
    statistics = _collect_stats(module, backend_config, images, progress)
    draft = CalibratedModel(
        module, backend_config, statistics, method or "minmax", {}, {}, images[:CHECKED_IMAGES]
    )
    ranges: dict[Method, dict[fx.Node, Range]] = {}
    sqnrs: dict[Method, float] = {}
    if backend_config.activation_bits == 16:
        method = "minmax"  # `wide_ranges` apply
    for name in METHODS if method is None else (method,):
        progress(f"trying ranges by {name}")
        ranges[name] = statistics.ranges(name)
        sqnrs[name] = replace(draft, ranges=ranges[name]).sqnr()
    best = max(sqnrs, key=lambda name: sqnrs[name])
    # These passes rely on the extremes, which contain the ranges of every method.
    post_calibration_passes(module, statistics, backend_config)
    return replace(draft, method=best, ranges=ranges[best], method_sqnrs=sqnrs)


def _collect_stats(
    module: fx.GraphModule,
    backend_config: BackendConfig,
    images: list[Inputs],
    progress: Progress,
) -> CalibrationStats:
    done = 0

    def on_image() -> None:
        nonlocal done
        done += 1
        progress(f"calibrating: picture {done} of {len(images)}")

    plan = plan_quantization(module.graph, backend_config)
    unit_softmax = backend_config.unit_softmax
    return collect_stats(module, plan, images, on_image, unit_softmax=unit_softmax)
