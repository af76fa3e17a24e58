"""The paper's models: the figures it prints, and the figures that we count.

`lvt-export models`, `docs/models.md` and tests are generated from this table.
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
        preset: name of the backbone for `--preset`.
        task: task of the model.
        size: height and width of the counted image.
        table: number of the paper's table.
        parameters: parameters of the whole model, in millions.
        gmacs: multiply-accumulates in 1e9; the paper calls them FLOPs.
        encoder: parameters of the backbone alone, in millions; None if the paper gives none.
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
class CountedModel:
    """Parameters and multiply-accumulates of our model."""

    paper: PaperModel
    parameters: int
    encoder: int
    macs: int


def count(paper: PaperModel) -> CountedModel:
    """Builds the model without memory for its weights, and counts."""
    spec = default_spec(paper.task, paper.preset)
    with torch.device("meta"):
        model, backbone = build(spec), LVT(preset(paper.preset))
    macs = reference_macs(model, spec, paper.size)
    return CountedModel(paper, count_parameters(model), count_parameters(backbone), macs)


def to_dict(counted: CountedModel) -> dict[str, Any]:
    """Plain data, with the paper's figures as numbers, or None."""
    paper = counted.paper
    return {
        "preset": paper.preset,
        "task": paper.task,
        "size": list(paper.size),
        "parameters": counted.parameters,
        "encoder_parameters": counted.encoder,
        "macs": counted.macs,
        "paper": {
            "table": paper.table,
            "parameters_m": float(paper.parameters),
            "encoder_parameters_m": float(paper.encoder) if paper.encoder else None,
            "gmacs": float(paper.gmacs),
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


def row(counted: CountedModel) -> tuple[str, ...]:
    """Cells for `COLUMNS`: our figure, and the paper's in brackets."""
    paper = counted.paper
    encoder = f"{counted.encoder / 1e6:.3f}" + (f" ({paper.encoder})" if paper.encoder else "")
    return (
        paper.preset,
        paper.task,
        "x".join(map(str, paper.size)),
        f"{counted.parameters / 1e6:.3f} ({paper.parameters})",
        encoder,
        f"{counted.macs / 1e9:.3f} ({paper.gmacs})",
        str(paper.table),
    )


def markdown_table(counted: list[CountedModel]) -> str:
    """The table of the documentation."""
    rules = ["---:" if justify == "right" else "---" for justify in COLUMNS.values()]
    lines = [tuple(COLUMNS), tuple(rules), *(row(entry) for entry in counted)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
