"""ONNX: written by torch's exporter, run by ONNX Runtime on the CPU. Standard operators only."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxscript import opset20 as op
from torch import Tensor

from export.panoptic.roi_align import separable_roi_align
from export.placement import Placement
from export.session import Outputs
from export.targets import ConversionInput
from lvt.errors import UserError

OPSET = 20
"""The first with Gelu, which runtimes execute as one kernel; ONNX Runtime has it since 1.17."""

IR_VERSION = 9
"""What opset 20 needs. torch writes 10, which ONNX Runtime refuses until 1.18."""

INPUT = "image"
_SCOPE_KEY = "pkg.torch.onnx.name_scopes"
MODULE_KEY = "lvt.module"
"""Node metadata: dotted name of the innermost module that a node computes for."""


def write(conversion: ConversionInput, path: Path) -> None:
    """See `Target.write`. The file passes `onnx.checker` with full shape inference."""
    program = torch.onnx.export(
        conversion.model,
        (torch.zeros(1, 3, *conversion.size),),
        input_names=[INPUT],
        output_names=list(conversion.spec.outputs),
        opset_version=OPSET,
        dynamo=True,
        custom_translation_table=TRANSLATIONS,
        optimize=True,
        verbose=False,
    )
    assert program is not None
    proto = program.model_proto
    proto.ir_version = IR_VERSION
    _tidy_metadata(proto)
    proto.producer_name = "lvt-mobile"
    onnx.helper.set_model_props(proto, conversion.metadata)
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)


@torch.library.custom_op("lvt::roi_align", mutates_args=())
def roi_align(feature: Tensor, boxes: Tensor, size: int, stride: int) -> Tensor:
    """RoIAlign that becomes ONNX's own operator, which is faster than matrix products.

    Outside of a file it is the separable form, which computes the same.
    """
    return separable_roi_align(feature, boxes, size, stride)


@roi_align.register_fake
def _like_roi_align(feature: Tensor, boxes: Tensor, size: int, stride: int) -> Tensor:
    return feature.new_empty(boxes.shape[0], feature.shape[1], size, size)


def _onnx_roi_align(feature: Any, boxes: Any, size: int, stride: int) -> Any:
    """ONNX's operator, of pictures of which there is one."""
    zero = onnx.helper.make_tensor("zero", onnx.TensorProto.INT64, [1], [0])
    pictures = op.ConstantOfShape(op.Shape(boxes, end=1), value=zero)
    return op.RoiAlign(
        feature,
        boxes,
        pictures,  # type: ignore[arg-type]
        coordinate_transformation_mode="half_pixel",
        mode="avg",
        output_height=size,
        output_width=size,
        sampling_ratio=0,
        spatial_scale=1 / stride,
    )


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.lvt.roi_align.default: _onnx_roi_align
}
"""What torch's exporter is to make of our own operators."""


def _tidy_metadata(proto: onnx.ModelProto) -> None:
    """Keeps each node's module name; drops stack traces, which hold paths of this machine."""
    for node in proto.graph.node:
        entries = {entry.key: entry.value for entry in node.metadata_props}
        del node.metadata_props[:]
        node.ClearField("doc_string")
        scopes = _parse_scopes(entries.get(_SCOPE_KEY, ""))
        if scopes:
            node.metadata_props.add(key=MODULE_KEY, value=scopes[-1])
    for value in [*proto.graph.value_info, *proto.graph.input, *proto.graph.output]:
        del value.metadata_props[:]
    del proto.graph.metadata_props[:]


def _parse_scopes(text: str) -> list[str]:
    """Dotted module names, outermost first, from the exporter's list of scopes.

    The last scope is the operator itself; it is left out.
    """
    return [scope for scope in ast.literal_eval(text or "[]")[:-1] if scope]


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """How every session of ours is opened; 0 threads leaves the choice to the runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A plan made ahead holds more memory than it takes to allocate on the way: half as much again
    # for these models, and not faster. docs/performance.md has the figures.
    options.enable_mem_pattern = False
    # Nor does what is free again stay reserved for a later tensor of the very same shape.
    options.enable_mem_reuse = False
    # Threads that go on spinning after a run would slow whatever is timed in turn with it.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


class OnnxSession:
    """ONNX Runtime on the CPU.

    Args:
        model: the file, or its bytes.
        threads: 0 leaves the choice to the runtime.
        exact: without int8 kernels: each value is rounded where the file says so, and everything
            between is computed in float32. The results do not depend on the processor's kernels.
    """

    def __init__(self, model: bytes | Path, *, threads: int = 0, exact: bool = False):
        source = model if isinstance(model, bytes) else str(model)
        options = session_options(threads)
        if exact:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self._session = onnxruntime.InferenceSession(
                source, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime has no common exception type
            name = "the model" if isinstance(model, bytes) else model.name
            raise UserError(f"ONNX Runtime cannot load {name}: {error}") from error
        self._names = [output.name for output in self._session.get_outputs()]

    def run(self, image: NDArray[np.float32]) -> Outputs:
        return dict(zip(self._names, self._session.run(None, {INPUT: image}), strict=True))


def open_session(path: Path, *, threads: int = 0) -> OnnxSession:
    """See `Target.open_session`."""
    return OnnxSession(path, threads=threads)


def placement(path: Path) -> Placement:
    """See `Target.placement`: the CPU provider has a kernel for every operator it loads."""
    operators = Counter(node.op_type for node in onnx.load(path).graph.node)
    return Placement("ONNX Runtime CPU kernels", 1, operators)


def module_outputs(path: Path, image: NDArray[np.float32], names: list[str]) -> Outputs:
    """See `Target.module_outputs`: the last value each module computed becomes an output."""
    proto = onnx.load(path)
    last: dict[str, str] = {}
    for node in proto.graph.node:
        module = next((e.value for e in node.metadata_props if e.key == MODULE_KEY), "")
        for name in names:
            if module == name or module.startswith(f"{name}."):
                last[name] = node.output[0]
    del proto.graph.output[:]
    proto.graph.output.extend(onnx.ValueInfoProto(name=value) for value in set(last.values()))
    outputs = OnnxSession(proto.SerializeToString()).run(image)
    return {name: outputs[value] for name, value in last.items()}


def versions(path: Path) -> dict[str, str]:
    """See `Target.versions`."""
    return {
        "torch": torch.__version__,
        "onnx": onnx.__version__,
        "onnxruntime": onnxruntime.__version__,
        "opset": str(OPSET),
    }


def runtime_name() -> str:
    """See `Target.runtime_name`."""
    return f"ONNX Runtime {onnxruntime.__version__}"
