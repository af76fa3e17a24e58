"""One model for one recipe, traced and calibrated: whatever plans are tried start from here."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn

from export.session import Outputs
from lvt.config import Size
from lvt.data.metrics import ChannelNoise
from quantization.fake_quant import fake_quantize
from quantization.graph import (
    WEIGHTED,
    BackendConfig,
    QuantizationPlan,
    behind_boxes,
    block_name,
    blocks,
    is_head,
    plan_quantization,
    trace,
)
from quantization.insert_qdq import Range, insert
from quantization.methods import METHODS, Method
from quantization.observer import CalibrationStats, observe
from quantization.passes import prepare, refine

CHECKED_IMAGES = 4
"""Pictures that methods are compared on."""
_BLOCK_IMAGES = 2
"""Pictures that blocks are compared on: there are many blocks, and their order is what counts."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class CalibratedModel:
    """A calibrated model.

    Attributes:
        module: the traced float model, in the form that is quantized.
        abilities: of the runtime it is for.
        statistics: of the calibration images.
        method: how ranges are chosen.
        ranges: of every value that can be int8.
        methods: SQNR in dB of each method that was compared; all of the model in int8.
        images: those on which methods and blocks are compared.
    """

    module: fx.GraphModule
    abilities: BackendConfig
    statistics: CalibrationStats
    method: Method
    ranges: dict[fx.Node, Range]
    methods: dict[Method, float]
    images: list[NDArray[np.float32]]

    def plan(self, keep_float: Collection[str] = ()) -> QuantizationPlan:
        """Everything in int8 that can be, but for some blocks."""
        return plan_quantization(self.module.graph, self.abilities, keep_float=keep_float)

    @cached_property
    def full_plan(self) -> QuantizationPlan:
        """Everything in int8 that can be."""
        return self.plan()

    @cached_property
    def blocks(self) -> list[str]:
        """All blocks of which something can be int8, in the order of execution."""
        return blocks(self.module.graph, self.full_plan.nodes)

    @property
    def taps(self) -> list[str]:
        """Names of the nodes that are compared, as far as no box has been chosen before."""
        return self._taps[False]

    def copied(self) -> CalibratedModel:
        """The same with a module, and weights, of its own."""
        module = copy.deepcopy(self.module)
        own = dict(zip(self.module.graph.nodes, module.graph.nodes, strict=True))
        statistics = replace(
            self.statistics,
            means={own[node]: mean for node, mean in self.statistics.means.items()},
        )
        ranges = {own[node]: limits for node, limits in self.ranges.items() if node in own}
        return replace(self, module=module, statistics=statistics, ranges=ranges)

    def simulated(self, keep_float: Collection[str] = ()) -> fx.GraphModule:
        """The model with int8's roundings, computed in float."""
        return self._insert(keep_float, simulate=True)

    def program(self, keep_float: Collection[str] = ()) -> fx.GraphModule:
        """The model with its integers, for a converter."""
        return self._insert(keep_float, simulate=False)

    def weights_only(self) -> fx.GraphModule:
        """The float model with int8 weights."""
        abilities = replace(self.abilities, integer_bias=False)
        means = self.statistics.means
        return insert(self.module, self.full_plan, {}, abilities, means=means)

    def _insert(self, keep_float: Collection[str], *, simulate: bool) -> fx.GraphModule:
        return insert(
            self.module,
            self.plan(keep_float),
            self.ranges,
            self.abilities,
            means=self.statistics.means,
            simulate=simulate,
        )

    def sqnr(self, keep_float: Collection[str] = (), *, of: str | None = None) -> float:
        """Least SQNR in dB, over what is compared, with some blocks in float.

        Boxes and what follows them are not compared: one that is won or lost moves all after it.
        For panoptic models it is the last layers before the arithmetic of boxes, and the semantic
        logits; for a block that comes after boxes, which are then those of the float model, it is
        the last layers after them.

        Args:
            keep_float: the blocks.
            of: the only block in int8, where that is so.
        """
        count = len(self.images) if of is None else _BLOCK_IMAGES
        names = self._taps[of in self._blocks_after_boxes]
        candidate = self.simulated(keep_float)
        ratios = {name: ChannelNoise() for name in names}
        for image, expected in list(zip(self.images, self._expected, strict=True))[:count]:
            actual = _tap_values(candidate, image, names)
            for name, ratio in ratios.items():
                ratio.add(actual[name], expected[name])
        return min(ratio.db for ratio in ratios.values())

    @cached_property
    def _taps(self) -> dict[bool, list[str]]:
        """Names of the nodes that are compared, before and after boxes."""
        graph = self.module.graph
        after = behind_boxes(graph)
        (output,) = (node for node in graph.nodes if node.op == "output")
        outputs = [node for node in output.all_input_nodes if node not in after]
        heads = [n for n in graph.nodes if n.target in WEIGHTED and is_head(n)]
        return {
            False: [node.name for node in [*outputs, *heads] if node not in after],
            True: [node.name for node in heads if node in after],
        }

    @cached_property
    def _expected(self) -> list[Outputs]:
        names = [name for taps in self._taps.values() for name in taps]
        return [_tap_values(self.module, image, names) for image in self.images]

    @cached_property
    def _blocks_after_boxes(self) -> set[str | None]:
        return {block_name(node) for node in behind_boxes(self.module.graph) & self.full_plan.nodes}


class _Taps(fx.Interpreter):
    """Computes the graph, and keeps some nodes' values as their readers get them: rounded."""

    def __init__(self, module: fx.GraphModule, names: Collection[str]):
        super().__init__(module)
        self.found = dict[str, NDArray[np.float32]]()
        nodes = {node.name: node for node in module.graph.nodes if node.name in names}
        self._names = {_rounded(node): name for name, node in nodes.items()}

    def run_node(self, n: fx.Node) -> object:
        result = super().run_node(n)
        if n in self._names:
            self.found[self._names[n]] = result.numpy()
        return result


def _rounded(node: fx.Node) -> fx.Node:
    """The node that rounds another one's value, where int8 is simulated; else that itself."""
    return next((user for user in node.users if user.target is fake_quantize), node)


def _tap_values(module: fx.GraphModule, image: NDArray[np.float32], names: list[str]) -> Outputs:
    interpreter = _Taps(module, names)
    with torch.inference_mode():
        interpreter.run(torch.from_numpy(image))
    return interpreter.found


def calibrate(
    model: nn.Module,
    size: Size,
    abilities: BackendConfig,
    images: list[NDArray[np.float32]],
    method: Method | None,
    progress: Progress = lambda _step: None,
) -> CalibratedModel:
    """Traces and calibrates a model.

    Args:
        model: rewritten; a panoptic one as its static graph.
        size: of the images.
        abilities: of the runtime.
        images: to calibrate on, (1, 3, *size) each.
        method: how ranges are chosen; None for whatever method does best on a few of the images.
        progress: told each step.
    """
    module = trace(model, size)
    prepare(module, abilities)
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        whole, number = divmod(done - 1, len(images))
        progress(f"calibrating: pass {whole + 1} of 2, picture {number + 1} of {len(images)}")

    statistics = observe(module, plan_quantization(module.graph, abilities), lambda: images, tick)
    study = CalibratedModel(
        module, abilities, statistics, method or "minmax", {}, {}, images[:CHECKED_IMAGES]
    )
    found: dict[Method, tuple[float, dict[fx.Node, Range]]] = {}
    for name in METHODS if method is None else (method,):
        progress(f"trying ranges by {name}")
        ranges = statistics.ranges(name)
        found[name] = replace(study, ranges=ranges).sqnr(), ranges
    best = max(found, key=lambda name: found[name][0])
    # The widest ranges hold whatever is chosen.
    refine(module, statistics, abilities)
    sqnrs = {name: sqnr for name, (sqnr, _) in found.items()}
    return replace(study, method=best, ranges=found[best][1], methods=sqnrs)
