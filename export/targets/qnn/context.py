"""Compiled contexts: what ONNX Runtime's QNN provider opens on a phone without compiling.

An artifact is a folder:

    main.onnx                       the graph; core.onnx, boxes.onnx and masks.onnx of a panoptic
                                    model in parts
    sm8650/main.onnx                for each chip: an ONNX file that stands for the graph and names
    sm8650/main_qnn.bin             the compiled context; one context for all graphs
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from export.artifact.files import content_bytes, content_sha256
from export.chips import CHIPS, Chip
from export.errors import ConversionError
from export.targets.onnx.convert import part_paths
from export.targets.qnn.provider import OPTIMIZATION_MODE, PROVIDER, open_on_npu
from lvt.errors import UserError

_COMPATIBILITY = f"ep_compatibility_info.{PROVIDER}"
"""Metadata of a compiled file: versions, then architecture, SoC number and VTCM of its chip."""


@dataclass(frozen=True)
class ContextInfo:
    """What a compiled file says about itself.

    Attributes:
        qairt: version of Qualcomm's compiler.
        htp_arch: architecture of the NPU.
        soc_model: number of the chip.
        vtcm_mb: memory of the NPU.
    """

    qairt: str
    htp_arch: int
    soc_model: int
    vtcm_mb: int


def compile_graphs(folder: Path, chip: Chip) -> None:
    """Compiles the graphs of an artifact for a chip into one context, and writes it.

    Raises:
        ConversionError: the NPU does not take every operator.
    """
    out = folder / chip.folder
    out.mkdir()
    graphs = part_paths(folder)
    sessions = []  # that share a context must live until the last one writes it
    for index, graph in enumerate(graphs):
        entries = {
            "ep.context_enable": "1",
            "ep.context_file_path": str(out / graph.name),
            "ep.context_embed_mode": "0",
        }
        if len(graphs) > 1:
            entries["ep.share_ep_contexts"] = "1"
            if index == len(graphs) - 1:
                entries["ep.stop_share_ep_contexts"] = "1"  # writes the context
        sessions.append(open_on_npu(graph, chip, entries))
    check_context(folder, chip)


def chips_of(folder: Path) -> list[Chip]:
    """The chips that an artifact was compiled for, oldest first."""
    return [chip for chip in CHIPS.values() if (folder / chip.folder).is_dir()]


def check_context(folder: Path, chip: Chip) -> ContextInfo:
    """Checks that every graph of an artifact is one compiled node, for this very chip.

    On Linux any context runs, whatever chip it is for; a phone refuses another chip's.

    Raises:
        UserError: the artifact has no context for the chip.
        ConversionError: a graph is not compiled whole, or for another chip.
    """
    if not (folder / chip.folder).is_dir():
        found = ", ".join(other.soc for other in chips_of(folder))
        raise UserError(f"{folder.name} has no context for {chip.soc}, only for {found}")
    infos = set()
    for graph in part_paths(folder):
        compiled = onnx.load(folder / chip.folder / graph.name)
        outside = [node.op_type for node in compiled.graph.node if node.op_type != "EPContext"]
        if outside or len(compiled.graph.node) != 1:
            raise ConversionError(
                f"qnn: {graph.name} on {chip.soc} is not one compiled graph: "
                f"{len(compiled.graph.node)} nodes, outside the NPU: {', '.join(outside) or 'none'}"
            )
        infos.add(_context_info(compiled))
    (info, *others) = infos
    if others or (info.htp_arch, info.soc_model) != (chip.htp_arch, chip.soc_model):
        raise ConversionError(
            f"qnn: the context for {chip.soc} (chip {chip.soc_model}, v{chip.htp_arch}) says that "
            f"it is for chip {info.soc_model}, v{info.htp_arch}"
        )
    return info


def _context_info(compiled: onnx.ModelProto) -> ContextInfo:
    entries = {entry.key: entry.value for entry in compiled.metadata_props}
    *_, qairt, _backend, arch, soc, vtcm, _flags = entries[_COMPATIBILITY].split(":")
    return ContextInfo(qairt, int(arch), int(soc), int(vtcm))


def context_entries(folder: Path) -> list[dict[str, Any]]:
    """The manifest's entry for each chip of an artifact."""
    entries = []
    for chip in chips_of(folder):
        info = check_context(folder, chip)
        entries.append(
            {
                **chip.to_dict(),
                "vtcm_mb": info.vtcm_mb,
                "qairt": info.qairt,
                "optimization_mode": int(OPTIMIZATION_MODE),
                "bytes": content_bytes(folder / chip.folder),
                "sha256": content_sha256(folder / chip.folder),
            }
        )
    return entries
