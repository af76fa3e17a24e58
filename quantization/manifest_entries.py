"""What the manifest of an int8 artifact says about its quantization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from export.artifact.files import PAIR_SUMS
from export.capabilities import StoredPrecision
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
    precision: StoredPrecision,
) -> dict[str, Any]:
    """Calibration pictures, range method, budget, and the file against its simulation."""
    sums, drop = candidate.pair_sums, candidate.drop
    return {
        **({} if sums is None else {PAIR_SUMS: sums.to_dict()}),
        "weights": "int8, symmetric, a scale for each output channel",
        "activations": _ACTIVATIONS[precision],
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
            "measured_in": candidate.measured_in,
        },
        "sqnr_db_against_program": candidate.simulation_sqnr_db,
    }


_ACTIVATIONS: dict[StoredPrecision, str] = {
    "int8": "int8, a scale for each map",
    "int8-weights": "float",
    "w8a8": "8 bits, 16 in some blocks, a scale for each map; nothing is float",
    "w8a16": "16 bits, a scale for each map; nothing is float",
}


def search_entry(
    sensitivities: Sequence[BlockSensitivity],
    precise_blocks: Sequence[str],
    precision: StoredPrecision,
) -> dict[str, Any]:
    """The blocks that are not in 8 bits, and the SQNR with each block alone in int8."""
    key = "16_bit_blocks" if precision == "w8a8" else "kept_float_by_sensitivity"
    return {
        key: list(precise_blocks),
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
