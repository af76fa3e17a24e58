"""What the manifest of an int8 artifact says about its quantization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from export.artifact.files import PAIR_SUMS
from export.evaluation.result import Evaluation
from quantization.accuracy import AccuracyDrop
from quantization.calibrated_model import CalibratedModel
from quantization.calibration import Calibration
from quantization.candidate import Candidate
from quantization.search import BlockSensitivity

MANIFEST_SECTIONS = ("figures", "per_size", "per_class")
"""Parts of an evaluation that the manifest contains."""


def quantization_entry(
    calibration: Calibration,
    calibrated: CalibratedModel,
    candidate: Candidate,
    *,
    weights_only: bool,
) -> dict[str, Any]:
    """Calibration pictures, range method, budget, and the file against its simulation."""
    sums, drop = candidate.pair_sums, candidate.drop
    return {
        **({} if sums is None else {PAIR_SUMS: sums.to_dict()}),
        "weights": "int8, symmetric, a scale for each output channel",
        "activations": "float" if weights_only else "int8, a scale for each map",
        "calibration": {
            "images": len(calibration.images),
            "kept_out": len(calibration.held_out),
            "method": calibrated.method,
            "sqnr_db_of_methods": calibrated.method_sqnrs,
        },
        "budget": {
            "measure": drop.metric,
            "float": drop.float_value,
            "value": drop.value,
            "allowed": drop.allowed,
        },
        "sqnr_db_against_program": candidate.simulation_sqnr_db,
    }


def search_entry(
    sensitivities: Sequence[BlockSensitivity], float_blocks: Sequence[str]
) -> dict[str, Any]:
    """The blocks that stay in float, and the SQNR with each block alone in int8."""
    return {
        "kept_float_by_sensitivity": list(float_blocks),
        "sensitivity_db": {entry.block: round(entry.sqnr_db, 2) for entry in sensitivities},
    }


def accuracy_entry(drop: AccuracyDrop) -> dict[str, Any]:
    """Metrics of the float and the int8 model; nothing without labelled pictures."""
    if drop.evaluations is None:
        return {}
    float_model, quantized = drop.evaluations
    entry = {
        "images": quantized.images,
        "float": _sections(float_model),
        "quantized": _sections(quantized),
    }
    return {"accuracy": entry}


def _sections(evaluation: Evaluation) -> dict[str, Any]:
    return {key: value for key, value in evaluation.to_dict().items() if key in MANIFEST_SECTIONS}
