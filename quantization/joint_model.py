"""Entry points of a model as one module to trace and quantize, and back again.

A model in parts is quantized like any other: one traced graph, one plan, one search. Its entry
points stand side by side in the graph, which takes all their inputs and returns all their outputs.
The inputs of the later parts are features of real boxes, from the float model's own pyramid.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from export.entry_point import EntryPoint
from export.panoptic.parts.boxes import Floats
from export.panoptic.parts.layout import HostConstants
from export.panoptic.parts.session import PartsProgram, PartsSession, StageClock, make_calls
from export.session import Session, TorchEntryPoints, TorchSession
from lvt.models import ModelSpec
from quantization.graph import CALLS, NOT_COMPARED, SAME_SCALE_OPS, float_inputs, trace
from quantization.inputs import Inputs
from quantization.plan import FLOAT_REASON, OUTPUT_HEAD

_BOX_OUTPUTS = ("objectness", "deltas")
"""Outputs of which boxes are made begin with these names."""

_PROBABILITIES = ("scores", "masks")
"""Outputs that are compared before the softmax or sigmoid: rows near zero would decide."""

_MODULE_STACK = "nn_module_stack"


class JointModel:
    """The entry points of one model.

    Attributes:
        entry_points: in float.
    """

    def __init__(
        self, entry_points: tuple[EntryPoint, ...], spec: ModelSpec, host: HostConstants | None
    ):
        """See `make_entry_points`; `host` is None if there is one entry point."""
        self.entry_points = entry_points
        self._spec, self._host = spec, host
        self._program = None if host is None else PartsProgram(host)

    def trace(self, inputs: Inputs) -> fx.GraphModule:
        """One graph of ATen operators.

        Args:
            inputs: of the shapes that the graph takes.
        """
        if self._host is None:
            return trace(self.entry_points[0].module, inputs)
        module = trace(_SideBySide(self.entry_points), inputs)
        for node in module.graph.nodes:
            _forget_part(node)
        for entry, values in self._outputs_of(module):
            _mark_outputs(entry, values, {level.name for level in self._host.levels})
            for node in _ancestors(values):
                node.meta[CALLS] = self._host.calls(entry.name)
        return module

    def inputs(self, image: NDArray[np.float32]) -> Inputs:
        """The inputs of the joint graph for an image.

        For a model in parts: one batch of the image's proposals, spread evenly over their ranks,
        and one batch of its detections, or of its proposals if it has none.
        """
        if self._program is None:
            return (image,)
        runtime, steps = TorchEntryPoints(self.entry_points), self._program.host
        core = runtime.call("core", {"image": image})
        proposals = steps.proposals(core)
        found = make_calls(self._program.detect(core, proposals, StageClock()), runtime)
        boxes, labels = found.boxes, found.labels
        if not len(boxes):
            boxes, labels = proposals, np.zeros(len(proposals), np.int32)
        rows = np.arange(steps.constants.mask_batch if len(boxes) else 0) % max(1, len(boxes))
        box_inputs = steps.box_inputs(core, _spread(proposals, steps.constants.box_batch))
        mask_inputs = steps.mask_inputs(core, boxes[rows], labels[rows])
        return (image, *box_inputs.values(), *mask_inputs.values())

    def lazy_inputs(self, images: Sequence[NDArray[np.float32]]) -> Sequence[Inputs]:
        """The inputs of each image, computed when they are read: together they are large."""
        return _LazyInputs(self, images)

    def split(self, program: fx.GraphModule) -> tuple[EntryPoint, ...]:
        """The entry points of a form of the joint graph."""
        if self._host is None:
            return (replace(self.entry_points[0], module=program),)
        return tuple(
            replace(entry, module=_only(program, values))
            for entry, values in self._outputs_of(program)
        )

    def _outputs_of(
        self, program: fx.GraphModule
    ) -> Iterator[tuple[EntryPoint, Sequence[fx.Node]]]:
        """The entry points with the nodes that compute their outputs."""
        (output,) = program.graph.find_nodes(op="output")
        values = iter(output.args[0])
        for entry in self.entry_points:
            yield entry, list(islice(values, len(entry.outputs)))

    def session(self, program: nn.Module | None = None) -> Session:
        """Runs a form of the joint graph in PyTorch; None runs the float entry points."""
        entry_points = self.entry_points
        if program is not None:
            assert isinstance(program, fx.GraphModule)
            entry_points = self.split(program)
        if self._host is None:
            return TorchSession(entry_points[0].module, self._spec)
        return PartsSession(TorchEntryPoints(entry_points), self._host)


class _LazyInputs(Sequence[Inputs]):
    """See `JointModel.lazy_inputs`."""

    def __init__(self, joint: JointModel, images: Sequence[NDArray[np.float32]]):
        self._joint, self._images = joint, images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: Any) -> Any:
        return self._joint.inputs(self._images[index])


class _SideBySide(nn.Module):
    """Takes the inputs of all entry points, and returns all their outputs."""

    def __init__(self, entry_points: Sequence[EntryPoint]):
        super().__init__()
        self._inputs = [(entry.name, len(entry.inputs)) for entry in entry_points]
        for entry in entry_points:
            self.add_module(entry.name, entry.module)
        self.eval()

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        rest, results = iter(inputs), list[Tensor]()
        for name, count in self._inputs:
            outputs = self.get_submodule(name)(*islice(rest, count))
            results.extend((outputs,) if isinstance(outputs, Tensor) else outputs)
        return tuple(results)


def _forget_part(node: fx.Node) -> None:
    """Names the modules of a node as in the entry point, without the part's own name."""
    stack = node.meta.get(_MODULE_STACK)
    if stack:
        node.meta[_MODULE_STACK] = {
            key: (path.partition(".")[2], kind) for key, (path, kind) in stack.items()
        }


def _mark_outputs(entry: EntryPoint, values: Sequence[fx.Node], levels: Collection[str]) -> None:
    """Marks the layers of which boxes are made, and the outputs that no probe compares."""
    for info, value in zip(entry.outputs, values, strict=True):
        if info.name.startswith(_BOX_OUTPUTS):
            layer = value
            while layer.target in SAME_SCALE_OPS:
                (layer,) = float_inputs(layer)
            layer.meta[FLOAT_REASON] = OUTPUT_HEAD
        value.meta[NOT_COMPARED] = info.name in levels or info.name in _PROBABILITIES


def _ancestors(values: Sequence[fx.Node]) -> set[fx.Node]:
    """The nodes that some values are computed from, and these values."""
    found, pending = set[fx.Node](), list(values)
    while pending:
        node = pending.pop()
        if node not in found:
            found.add(node)
            pending.extend(node.all_input_nodes)
    return found


def _only(program: fx.GraphModule, values: Sequence[fx.Node]) -> fx.GraphModule:
    """The part of a graph that computes some of its values; shares tensors with the program."""
    needed = _ancestors(values)
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in program.graph.nodes:
        if node in needed:
            copies[node] = graph.node_copy(node, lambda source: copies[source])
    graph.output(tuple(copies[value] for value in values))
    part = fx.GraphModule(program, graph)
    part.training = False  # modules that torch.export traced refuse `eval()`
    return part


def _spread(boxes: Floats, count: int) -> Floats:
    """`count` of the boxes, evenly spaced; some repeat if there are fewer. None of none."""
    if not len(boxes):
        return boxes
    rows: Floats = boxes[np.linspace(0, len(boxes) - 1, count).round().astype(np.int64)]
    return rows
