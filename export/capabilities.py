"""The table of targets, with their tasks and precisions.

Commands, documentation and tests are generated from it. Imports nothing heavy.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from lvt.config import TASKS, Task
from lvt.errors import UserError
from lvt.support.extras import missing_extra

Precision = Literal["fp32", "fp16"]
"""Precision of the weights, and of the arithmetic if the runtime supports it."""
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

IntegerPrecision = Literal["int8", "int8-weights", "w8a8", "w8a16"]
"""Precisions that `lvt-quantize` writes. `w8a8` and `w8a16` have no float values at all: int8
weights, and activations of 8 bits (16 in sensitive blocks), or of 16 bits everywhere."""
QUANTIZED: tuple[IntegerPrecision, ...] = get_args(IntegerPrecision)

StoredPrecision = Literal["fp32", "fp16", "int8", "int8-weights", "w8a8", "w8a16"]
"""Precision of a file."""

Form = Literal["parts", "whole"]
"""Form of a panoptic file: entry points with steps on the host between them, or one graph.

The first is the default: it is the faster one on every target (docs/panoptic.md)."""
FORMS: tuple[Form, ...] = get_args(Form)

Recipe = Literal[
    "onnxruntime", "onnxruntime_int8", "xnnpack", "xnnpack_int8", "neural_engine", "npu"
]
"""A set of rewrites for one kind of runtime; see `export.rewrite.registry`."""
RECIPES: tuple[Recipe, ...] = get_args(Recipe)


@dataclass(frozen=True)
class TargetInfo:
    """One row of the capability table.

    Attributes:
        name: name on the command line.
        module: folder in `export/targets`.
        suffix: suffix of the written file.
        is_directory: whether the written file is a directory.
        parts_suffix: suffix of the directory that holds a panoptic file in parts; None if such a
            file is like the others.
        runtime: name of its runtime for `lvt-bench --backend`.
        host_latency: whether latency measured on this machine is meaningful.
        title: name and suffix of its files.
        checked_in: what runs a written file to compare it with the reference.
        extras: extras of this package that install converter and runtime.
        required_modules: modules that the extras install.
        recipe: the set of rewrites.
        precisions: precisions for each task; the first is the default.
        layout: layout of the image in the written file.
        supports_image_input: whether the file can take 8-bit pixels.
        unrewritten: whether the reference can be exported without rewrites.
        in_all: whether `lvt-export all` writes it.
        android: whether the Android app has a runtime for it.
        integers: precisions that `lvt-quantize` writes; the first is the default.
        compiled: whether the file is compiled for chips, which must be named. Its session is a
            software model of the chip: an image takes seconds to minutes.
        gpu: whether `--gpu` can check its files on a GPU accelerator.
        notes: facts for the user, one sentence each.
    """

    name: str
    module: str
    suffix: str
    runtime: str
    host_latency: bool
    title: str
    checked_in: str
    extras: tuple[str, ...]
    required_modules: tuple[str, ...]
    recipe: Recipe
    precisions: dict[Task, tuple[Precision, ...]]
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    is_directory: bool = False
    parts_suffix: str | None = None
    supports_image_input: bool = False
    unrewritten: bool = False
    in_all: bool = True
    android: bool = False
    integers: tuple[IntegerPrecision, ...] = ()
    compiled: bool = False
    gpu: bool = False
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """One line of help."""
        return f"{self.title}, checked in {self.checked_in}."

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Tasks that can be exported to it."""
        return tuple(self.precisions)

    def precision(self, task: Task, wanted: Precision | None) -> Precision:
        """The precision for a task; None selects the default.

        Raises:
            UserError: the target does not support the task or the precision.
        """
        known = self.precisions.get(task)
        if known is None:
            raise UserError(
                f"{self.name} does not support {task} models, only {', '.join(self.tasks)}"
            )
        if wanted is not None and wanted not in known:
            raise UserError(f"{self.name} writes {task} models in {' or '.join(known)} only")
        return wanted or known[0]

    def form(self, wanted: Form | None, suffix: str = "") -> Form:
        """The form of a panoptic file.

        Args:
            wanted: what the user asks for; None leaves the choice to the suffix and the default.
            suffix: of the user's output path; "" if that is a folder.
        """
        if wanted is not None:
            return wanted
        return next((form for form in FORMS if suffix == self.form_suffix(form)), FORMS[0])

    def form_suffix(self, form: Form | None) -> str:
        """Suffix of a file of a form; None for other tasks than panoptic."""
        return (self.parts_suffix if form == "parts" else None) or self.suffix

    def form_is_directory(self, form: Form | None) -> bool:
        """Whether a file of a form is a directory; None for other tasks than panoptic."""
        return self.is_directory or (form == "parts" and self.parts_suffix is not None)


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
            title="ONNX",
            checked_in="ONNX Runtime",
            extras=(),
            required_modules=(),
            recipe="onnxruntime",
            precisions=_all_tasks("fp32"),
            parts_suffix=".onnx-parts",
            unrewritten=True,
            android=True,
            integers=("int8",),
            notes=("Opset 20, standard operators only: ONNX Runtime 1.17 or newer.",),
        ),
        TargetInfo(
            name="coreml",
            module="coreml",
            suffix=".mlpackage",
            runtime="coreml",
            host_latency=False,
            title="Core ML (.mlpackage)",
            checked_in="our evaluator, or in Core ML on a Mac",
            extras=("coreml",),
            required_modules=("coremltools",),
            recipe="neural_engine",
            precisions=_all_tasks("fp16", "fp32"),
            is_directory=True,
            supports_image_input=True,
            integers=("int8", "int8-weights"),
            notes=(
                "Requires iOS 16 or macOS 13, the first with int8 weights in ML Programs; panoptic "
                "models in parts iOS 18 or macOS 15.",
                "On other systems than macOS, our evaluator runs the written file.",
            ),
        ),
        TargetInfo(
            name="executorch",
            module="executorch",
            suffix=".pte",
            runtime="executorch",
            host_latency=True,
            title="ExecuTorch with XNNPACK (.pte)",
            checked_in="the ExecuTorch runtime",
            extras=("executorch",),
            required_modules=("executorch",),
            recipe="xnnpack",
            precisions=_all_tasks("fp32"),
            android=True,
            integers=("int8",),
            notes=("No fp16, because XNNPACK's GELU has none.",),
        ),
        TargetInfo(
            name="tflite",
            module="tflite",
            suffix=".tflite",
            runtime="tflite",
            host_latency=True,
            title="TFLite (.tflite)",
            checked_in="LiteRT",
            extras=("tflite",),
            required_modules=("litert_torch", "ai_edge_litert"),
            recipe="xnnpack",
            precisions=_all_tasks("fp32", "fp16"),
            layout="NHWC",
            android=True,
            integers=("int8", "int8-weights", "w8a8"),
            gpu=True,
            notes=("fp16: half-precision weights; CPUs compute in float32, GPUs in fp16.",),
        ),
        TargetInfo(
            name="executorch-coreml",
            module="executorch_coreml",
            suffix=".pte",
            runtime="executorch-coreml",
            host_latency=False,
            title="ExecuTorch with the Core ML delegate (.pte)",
            checked_in="our evaluator",
            extras=("executorch", "coreml"),
            required_modules=("executorch", "coremltools"),
            recipe="neural_engine",
            precisions=dict.fromkeys(("backbone", "classification", "semantic"), ("fp16", "fp32")),
            in_all=False,
            notes=(
                "For iOS and macOS only.",
                "No panoptic: it needs several delegates, which only a Mac can verify together.",
            ),
        ),
        TargetInfo(
            name="qnn",
            module="qnn",
            suffix=".qnn",
            runtime="qnn",
            host_latency=False,
            title="Compiled for the NPU of Snapdragon phones (.qnn)",
            checked_in="its software model",
            extras=("qnn",),
            required_modules=("onnxruntime_qnn",),
            recipe="npu",
            precisions=_all_tasks("fp16"),
            is_directory=True,
            in_all=False,
            android=True,
            integers=("w8a8", "w8a16"),
            compiled=True,
            notes=(
                "For ONNX Runtime with Qualcomm's QNN provider; --soc names the chips.",
                "Nothing falls back to the CPU: an operator that the NPU does not take is an "
                "error.",
            ),
        ),
        TargetInfo(
            name="coreai",
            module="coreai",
            suffix=".aimodel",
            runtime="coreai",
            host_latency=False,
            title="Core AI (.aimodel), experimental",
            checked_in="its CPU runtime",
            extras=("coreai",),
            required_modules=("coreai_torch", "coreai"),
            recipe="neural_engine",
            precisions=_all_tasks("fp16", "fp32") | {"panoptic": ("fp32",)},
            is_directory=True,
            in_all=False,
            notes=(
                "Requires iOS 27 or macOS 27; the converter is beta software.",
                "Verified on the CPU only, not on the Neural Engine or any Apple device.",
            ),
        ),
    )
}


DEFAULT_TARGETS = tuple(info for info in TARGETS.values() if info.in_all)
"""The targets of `lvt-export all` and `lvt-quantize all`."""


def target_info(name: str) -> TargetInfo:
    """The row of a target.

    Raises:
        UserError: unknown target.
    """
    try:
        return TARGETS[name]
    except KeyError:
        raise UserError(f"unknown target {name!r}; known: {', '.join(TARGETS)}") from None


def installed(info: TargetInfo) -> bool:
    """Whether the target's extras are installed."""
    return all(importlib.util.find_spec(module) is not None for module in info.required_modules)


def check_installed(infos: Sequence[TargetInfo]) -> None:
    """Checks that the extras of all targets are installed.

    Raises:
        UserError: some are not.
    """
    missing = [info for info in infos if not installed(info)]
    if missing:
        names = ", ".join(info.name for info in missing)
        raise missing_extra(names, [extra for info in missing for extra in info.extras])


def markdown_table() -> str:
    """The table of the documentation."""
    headings = ("target", "file", "float", "panoptic", "quantized", "checked in", "extra")
    lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    for info in TARGETS.values():
        maps, panoptic = info.precisions["semantic"], info.precisions.get("panoptic", ())
        cells = (
            f"`{info.name}`",
            " or ".join(dict.fromkeys(info.form_suffix(form) for form in (None, *FORMS))),
            ", ".join(maps),
            "same" if panoptic == maps else ", ".join(panoptic) or "-",
            ", ".join(info.integers) or "-",
            info.checked_in,
            f"`[{','.join(info.extras)}]`" if info.extras else "",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
