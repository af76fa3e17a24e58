"""What can be exported to what: target, task and precision as one table of data.

Commands, documentation and tests are made from it. Imports nothing heavy.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from lvt.config import TASKS, Task
from lvt.errors import UserError

Precision = Literal["fp32", "fp16"]
"""Of the weights and, where the runtime computes in it, of the arithmetic."""
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

StoredPrecision = Literal["fp32", "fp16", "int8", "int8-weights"]
"""What a file can be in; those that `lvt-quantize` writes too, which take calibration."""

Recipe = Literal["onnxruntime", "onnxruntime_int8", "xnnpack", "xnnpack_int8", "neural_engine"]
"""What a rewrite is made for; see `export.rewrite.registry`."""
RECIPES: tuple[Recipe, ...] = get_args(Recipe)


@dataclass(frozen=True)
class TargetInfo:
    """One row of the capability table.

    Attributes:
        name: as it is called on the command line.
        module: under `export.targets`.
        suffix: of what it writes.
        is_directory: whether that is a directory.
        runtime: what runs it, as `lvt-bench --backend` calls it.
        host_latency: whether this machine's latency in that runtime means anything.
        summary: one line of help.
        extras: of the package, that bring converter and runtime.
        required_modules: modules that the extras bring.
        recipe: how the model is rewritten for it.
        precisions: what it can be written in, for each task; the first is the default.
        layout: of the image in the written file.
        supports_image_input: whether it can be written for images of 8-bit pixels.
        unrewritten: whether it takes the reference as it is, for comparison.
        in_all: whether `lvt-export all` writes it.
        android: whether the Android app has a runtime for it.
        notes: what a user should know of it, a sentence each.
    """

    name: str
    module: str
    suffix: str
    runtime: str
    host_latency: bool
    summary: str
    extras: tuple[str, ...]
    required_modules: tuple[str, ...]
    recipe: Recipe
    precisions: dict[Task, tuple[Precision, ...]]
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    is_directory: bool = False
    supports_image_input: bool = False
    unrewritten: bool = False
    in_all: bool = True
    android: bool = False
    notes: tuple[str, ...] = ()

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What can be exported to it."""
        return tuple(self.precisions)

    def precision(self, task: Task, wanted: Precision | None) -> Precision:
        """The precision to write a task in; the default where None is wanted.

        Raises:
            UserError: the target does not take the task, or not in this precision.
        """
        known = self.precisions.get(task)
        if known is None:
            raise UserError(
                f"{self.name} does not take {task} models; only {', '.join(self.tasks)}"
            )
        if wanted is not None and wanted not in known:
            raise UserError(f"{self.name} writes {task} models in {' or '.join(known)} only")
        return wanted or known[0]


def _all_tasks(*precisions: Precision) -> dict[Task, tuple[Precision, ...]]:
    return dict.fromkeys(TASKS, precisions)


TARGETS: dict[str, TargetInfo] = {
    info.name: info
    for info in (
        TargetInfo(
            name="onnx",
            module="onnx",
            suffix=".onnx",
            runtime="onnxruntime",
            host_latency=True,
            summary="ONNX, checked in ONNX Runtime.",
            extras=(),
            required_modules=(),
            recipe="onnxruntime",
            precisions=_all_tasks("fp32"),
            unrewritten=True,
            android=True,
            notes=("Opset 20, standard operators only: ONNX Runtime 1.17 or newer.",),
        ),
        TargetInfo(
            name="coreml",
            module="coreml",
            suffix=".mlpackage",
            runtime="coreml",
            host_latency=False,
            summary="Core ML (.mlpackage), checked in our evaluator, or in Core ML on a Mac.",
            extras=("coreml",),
            required_modules=("coremltools",),
            recipe="neural_engine",
            precisions=_all_tasks("fp16", "fp32"),
            is_directory=True,
            supports_image_input=True,
            notes=(
                "For iOS 16 or macOS 13: the first whose ML Programs hold int8 weights.",
                "Elsewhere than on a Mac our own evaluator computes the written file.",
            ),
        ),
        TargetInfo(
            name="executorch",
            module="executorch",
            suffix=".pte",
            runtime="executorch",
            host_latency=True,
            summary="ExecuTorch with XNNPACK (.pte), checked in the ExecuTorch runtime.",
            extras=("executorch",),
            required_modules=("executorch",),
            recipe="xnnpack",
            precisions=_all_tasks("fp32"),
            notes=("No fp16, because XNNPACK's GELU has none.",),
        ),
        TargetInfo(
            name="tflite",
            module="tflite",
            suffix=".tflite",
            runtime="tflite",
            host_latency=True,
            summary="TFLite (.tflite), checked in LiteRT.",
            extras=("tflite",),
            required_modules=("litert_torch", "ai_edge_litert"),
            recipe="xnnpack",
            precisions=_all_tasks("fp32", "fp16"),
            layout="NHWC",
            android=True,
            notes=("fp16 is weights; the CPU computes in float32, GPUs in fp16.",),
        ),
        TargetInfo(
            name="executorch-coreml",
            module="executorch_coreml",
            suffix=".pte",
            runtime="executorch-coreml",
            host_latency=False,
            summary="ExecuTorch with the Core ML delegate (.pte), checked in our evaluator.",
            extras=("executorch", "coreml"),
            required_modules=("executorch", "coremltools"),
            recipe="neural_engine",
            precisions=dict.fromkeys(("backbone", "classification", "semantic"), ("fp16", "fp32")),
            in_all=False,
            notes=(
                "For iOS and macOS only.",
                "No panoptic: it takes several delegates, which only a Mac could prove together.",
            ),
        ),
        TargetInfo(
            name="coreai",
            module="coreai",
            suffix=".aimodel",
            runtime="coreai",
            host_latency=False,
            summary="Core AI (.aimodel), checked in its CPU runtime. Experimental.",
            extras=("coreai",),
            required_modules=("coreai_torch", "coreai"),
            recipe="neural_engine",
            precisions=_all_tasks("fp16", "fp32") | {"panoptic": ("fp32",)},
            is_directory=True,
            in_all=False,
            notes=(
                "For iOS 27 or macOS 27, and made with beta software.",
                "Run here on the CPU; not run on the Neural Engine, nor on any Apple device.",
            ),
        ),
    )
}


DEFAULT_TARGETS = tuple(info for info in TARGETS.values() if info.in_all)
"""The targets of `lvt-export all` and `lvt-quantize all`."""


def target_info(name: str) -> TargetInfo:
    """The row of the table.

    Raises:
        UserError: no such target.
    """
    try:
        return TARGETS[name]
    except KeyError:
        raise UserError(f"unknown target {name!r}; known: {', '.join(TARGETS)}") from None


def installed(info: TargetInfo) -> bool:
    """Whether the target's extra is there."""
    return all(importlib.util.find_spec(module) is not None for module in info.required_modules)


def missing_extra(infos: Sequence[TargetInfo]) -> UserError:
    """What to tell who lacks the extras of these targets."""
    names = ", ".join(info.name for info in infos)
    extras = ",".join(dict.fromkeys(extra for info in infos for extra in info.extras))
    return UserError(f"{names}: an extra is not installed: pip install 'lvt-mobile[{extras}]'")


def check_installed(infos: Sequence[TargetInfo]) -> None:
    """Looks for the extras of all of them.

    Raises:
        UserError: some are not there.
    """
    missing = [info for info in infos if not installed(info)]
    if missing:
        raise missing_extra(missing)


def markdown_table() -> str:
    """The table as it stands in the documentation."""
    lines = [
        "| target | file | classification, semantic, backbone | panoptic | extra |",
        "|---|---|---|---|---|",
    ]
    for info in TARGETS.values():
        maps, panoptic = info.precisions["semantic"], info.precisions.get("panoptic", ())
        extras = f"`[{','.join(info.extras)}]`" if info.extras else ""
        cells = (f"`{info.name}`", info.suffix, ", ".join(maps), ", ".join(panoptic) or "-", extras)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
