"""Exact, weight-preserving replacements of reference modules by export-friendly and fast ones.

A rewrite is one function, registered for a reference module type and a recipe. A recipe is the set
of rewrites for a kind of hardware: ONNX Runtime, XNNPACK and the Neural Engine need different ones.
`rewrite(model, recipe)` returns a new model in which every module with a registered function is
replaced; the other modules are copied. Nothing is approximated: outputs agree with the reference to
floating-point rounding, in any precision.
"""

# Importing these modules registers their rewrites.
from export.rewrite import (  # noqa: F401
    channels_first,
    classification,
    mlp,
    norm,
    panoptic_fpn,
    rasa,
    segformer,
    volo,
)
from export.rewrite.csa import (  # noqa: F401
    neural_engine,
    npu,
    onnxruntime,
    onnxruntime_int8,
    xnnpack,
    xnnpack_int8,
)
from export.rewrite.registry import CHANNELS_FIRST, registered, rewrite, rewrite_only
from export.rewrite.volo import fit_positions

__all__ = ["CHANNELS_FIRST", "fit_positions", "registered", "rewrite", "rewrite_only"]
