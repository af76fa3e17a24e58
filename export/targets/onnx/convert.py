"""PyTorch to ONNX through torch's exporter. Standard operators only."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch

from export.converter_speed import faster_conversion
from export.entry_point import EntryPoint
from export.targets import ConversionInput
from export.targets.onnx.rewrite_rules import linear_rewrite_rules
from export.targets.onnx.roi_align import TRANSLATIONS
from lvt.support.files import new_folder


@dataclass(frozen=True)
class Format:
    """Versions of a file.

    Attributes:
        opset: of the operators.
        ir_version: of the file itself; an opset goes with one.
    """

    opset: int
    ir_version: int


FORMAT = Format(opset=20, ir_version=9)
"""Opset 20 is the first with Gelu, which runtimes execute as one kernel; ONNX Runtime 1.17 has it.
torch writes IR version 10, which ONNX Runtime before 1.18 refuses."""

INPUT = "image"

MODULE_KEY = "lvt.module"
"""Node metadata: dotted name of the innermost module that a node belongs to."""

_SCOPE_KEY = "pkg.torch.onnx.name_scopes"


def write(conversion: ConversionInput, path: Path) -> None:
    """Writes an ONNX file; for a model in parts a folder with a file for each entry point.

    Every file passes `onnx.checker` with full shape inference.
    """
    if not conversion.in_parts:
        (entry,) = conversion.entry_points
        convert(entry, conversion.metadata, path)
        return
    write_folder(conversion, path)


def write_folder(conversion: ConversionInput, path: Path, versions: Format = FORMAT) -> None:
    """Writes a folder with a file for each entry point."""
    new_folder(path)
    for entry in conversion.entry_points:
        convert(entry, conversion.metadata, part_path(path, entry.name), versions)


def part_path(folder: Path, entry_point: str) -> Path:
    """The ONNX file of an entry point in the folder of a model in parts."""
    return folder / f"{entry_point}.onnx"


def part_paths(path: Path) -> list[Path]:
    """The ONNX files of an artifact: the file itself, or those in its folder."""
    return sorted(path.glob("*.onnx")) if path.is_dir() else [path]


@faster_conversion()
def convert(
    entry: EntryPoint, metadata: dict[str, str], path: Path, versions: Format = FORMAT
) -> None:
    """Writes one entry point as an ONNX file that passes `onnx.checker`."""
    with linear_rewrite_rules():
        program = torch.onnx.export(
            entry.module,
            entry.example_inputs(),
            input_names=[info.name for info in entry.inputs],
            output_names=entry.output_names,
            opset_version=versions.opset,
            dynamo=True,
            custom_translation_table=TRANSLATIONS,
            optimize=True,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    proto.ir_version = versions.ir_version
    keep_only_module_names(proto)
    proto.producer_name = "lvt-mobile"
    onnx.helper.set_model_props(proto, metadata)
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)


def keep_only_module_names(proto: onnx.ModelProto) -> None:
    """Replaces the exporter's metadata by the module name of each node.

    The exporter's metadata include stack traces, which contain paths of this machine.
    """
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

    The last scope is the operator itself and is left out.
    """
    return [scope for scope in ast.literal_eval(text or "[]")[:-1] if scope]
