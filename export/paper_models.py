"""The paper's systems as one table: the figures it prints, and what ours count.

The command `lvt-export models`, `docs/models.md` and the tests are made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch

from export.artifact.manifest import reference_macs
from lvt.backbone import LVT
from lvt.complexity import count_parameters
from lvt.config import Size, Task, preset
from lvt.models import build, default_spec


@dataclass(frozen=True)
class PaperModel:
    """A row of one of the paper's tables, with its figures as printed.

    Attributes:
        preset: the backbone, as `--preset` calls it.
        size: height and width of the images that are counted for.
        table: of the paper.
        parameters: millions of the whole model.
        gmacs: thousand millions of multiply-accumulates, which the paper calls FLOPs.
        encoder: millions of the backbone alone; None where the paper gives none.
    """

    preset: str
    task: Task
    size: Size
    table: int
    parameters: str
    gmacs: str
    encoder: str | None = None


_IMAGENET, _ADE20K, _COCO = (224, 224), (512, 512), (800, 1216)
"""COCO's 800x1200 padded to multiples of 32."""

PAPER_MODELS: tuple[PaperModel, ...] = (
    PaperModel("lvt", "classification", _IMAGENET, 3, "5.5", "0.9", encoder="3.4"),
    PaperModel("lvt_scaled", "classification", _IMAGENET, 3, "32.2", "5.2", encoder="24.8"),
    PaperModel("lvt", "semantic", _ADE20K, 4, "3.9", "10.6"),
    PaperModel("lvt", "panoptic", _COCO, 5, "5.4", "56.4"),
    PaperModel("volo_d0", "classification", _IMAGENET, 6, "3.9", "1.9"),
    PaperModel("volo_d0_csa", "classification", _IMAGENET, 6, "4.0", "1.9"),
    PaperModel("volo_d0_csa_rasa", "classification", _IMAGENET, 6, "4.0", "2.2"),
    PaperModel("volo_d0", "semantic", _ADE20K, 6, "3.24", "12.28"),
    PaperModel("volo_d0_csa", "semantic", _ADE20K, 6, "3.39", "12.38"),
    PaperModel("volo_d0_csa_rasa", "semantic", _ADE20K, 6, "3.40", "15.70"),
    *(
        PaperModel(f"lvt_r{depth}", "classification", _IMAGENET, 7, "5.5", gmacs, encoder="3.4")
        for depth, gmacs in enumerate(("0.8", "0.9", "1.0", "1.1"), start=1)
    ),
)


@dataclass(frozen=True)
class Measured:
    """What our model of a system counts."""

    system: PaperModel
    parameters: int
    encoder: int
    macs: int


def measure(system: PaperModel) -> Measured:
    """Builds the model, without memory for its weights, and counts."""
    spec = default_spec(system.task, system.preset)
    with torch.device("meta"):
        model, backbone = build(spec), LVT(preset(system.preset))
    macs = reference_macs(model, spec, system.size)
    return Measured(system, count_parameters(model), count_parameters(backbone), macs)


def to_dict(measured: Measured) -> dict[str, Any]:
    """Plain data; the paper's figures as numbers, None where it gives none."""
    system = measured.system
    return {
        "preset": system.preset,
        "task": system.task,
        "size": list(system.size),
        "parameters": measured.parameters,
        "encoder_parameters": measured.encoder,
        "macs": measured.macs,
        "paper": {
            "table": system.table,
            "parameters_m": float(system.parameters),
            "encoder_parameters_m": float(system.encoder) if system.encoder else None,
            "gmacs": float(system.gmacs),
        },
    }


COLUMNS: dict[str, Literal["left", "right"]] = {
    "preset": "left",
    "task": "left",
    "size": "left",
    "M parameters": "right",
    "of these, encoder": "right",
    "GMAC": "right",
    "table": "right",
}


def row(measured: Measured) -> tuple[str, ...]:
    """Cells under `COLUMNS`: ours, with the paper's figure in brackets."""
    system = measured.system
    encoder = f"{measured.encoder / 1e6:.3f}" + (f" ({system.encoder})" if system.encoder else "")
    return (
        system.preset,
        system.task,
        "x".join(map(str, system.size)),
        f"{measured.parameters / 1e6:.3f} ({system.parameters})",
        encoder,
        f"{measured.macs / 1e9:.3f} ({system.gmacs})",
        str(system.table),
    )


def markdown_table(measured: list[Measured]) -> str:
    """The table as it stands in the documentation."""
    rules = ["---:" if justify == "right" else "---" for justify in COLUMNS.values()]
    lines = [tuple(COLUMNS), tuple(rules), *(row(entry) for entry in measured)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
