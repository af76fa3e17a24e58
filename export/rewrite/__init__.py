"""Exact, weight-preserving replacements of reference modules by export-friendly and fast ones.

A rewrite is one function, registered for a reference module type and a recipe: what suits ONNX
Runtime is not what suits XNNPACK or the Neural Engine. `rewrite(model, recipe)` returns a new
model in which every module with a registered function is replaced; the rest is copied. Nothing is
approximated: outputs agree with the reference to floating-point rounding, in any precision.
"""

from export.rewrite import (  # noqa: F401  (they register)
    channels_first,
    classification,
    mlp,
    norm,
    panoptic_fpn,
    rasa,
    segformer,
    volo,
)
from export.rewrite.csa import channels_first as csa_channels_first  # noqa: F401
from export.rewrite.csa import onnxruntime, onnxruntime_int8  # noqa: F401
from export.rewrite.registry import CHANNELS_FIRST, registered, rewrite, rewrite_only
from export.rewrite.volo import fit_positions

__all__ = ["CHANNELS_FIRST", "fit_positions", "registered", "rewrite", "rewrite_only"]
