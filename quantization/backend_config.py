"""What each target's runtime computes in int8, and the form of the model that suits it."""

from __future__ import annotations

from dataclasses import replace

from export.capabilities import Recipe
from quantization.graph import ARITHMETIC, DATA_MOVEMENT_OPS, BackendConfig, aten

_LAYERS = frozenset({aten.conv2d.default, aten.linear.default})
_XNNPACK = BackendConfig(DATA_MOVEMENT_OPS | _LAYERS | (ARITHMETIC - {aten.silu.default}))

BACKEND_CONFIGS: dict[str, BackendConfig] = {
    # A resize of uint8 maps takes longer than that of float ones; of GELU there is no int8 form.
    "onnx": BackendConfig(
        _XNNPACK.operators - {aten.upsample_bilinear2d.vec, aten.gelu.default},
        unsigned=True,
        integer_bias=True,
        int8_data_movement=True,
        channels_last=True,
        pairs_in_16_bits=True,
    ),
    "executorch": _XNNPACK,
    # Of its int8 GELU XNNPACK takes nothing.
    "tflite": replace(_XNNPACK, operators=_XNNPACK.operators - {aten.gelu.default}),
    "coreml": BackendConfig(DATA_MOVEMENT_OPS | _LAYERS | ARITHMETIC),
}
"""By target name."""


def for_weights_only(abilities: BackendConfig) -> BackendConfig:
    """Those of a runtime that computes in float: it has every activation as it is."""
    return replace(abilities, operators=abilities.operators | ARITHMETIC)


RECIPES: dict[str, Recipe] = {
    "onnx": "onnxruntime_int8",
    "executorch": "xnnpack_int8",
    "tflite": "xnnpack_int8",
    "coreml": "neural_engine",
}
"""By target name: what the model is rewritten for before it is quantized."""

WEIGHTS_ONLY = ("coreml", "tflite")
"""Targets that take int8 weights with float activations."""
