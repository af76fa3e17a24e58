"""What each target's runtime computes in int8, and the recipe that prepares a model for it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch._ops import OpOverload

from export.capabilities import Recipe
from quantization.graph import ARITHMETIC_OPS, SAME_SCALE_OPS, aten


@dataclass(frozen=True)
class BackendConfig:
    """The int8 support of one runtime.

    Attributes:
        operators: those of `SAME_SCALE_OPS`, `WEIGHTED_OPS` and `ARITHMETIC_OPS` with an int8 form.
        unsigned: activations are uint8 (with int8 weights) instead of int8.
        integer_bias: biases are stored as int32; otherwise the runtime quantizes float ones.
        int8_data_movement: runs `DATA_MOVEMENT_OPS` directly on integers; dequantizing before and
            quantizing after each of them is slow.
        channels_last: int8 maps lie in memory with their channels last.
        pairs_in_16_bits: on some processors the kernels add the products of two neighbouring
            inputs in 16 bits.
    """

    operators: frozenset[OpOverload]
    unsigned: bool = False
    integer_bias: bool = False
    int8_data_movement: bool = False
    channels_last: bool = False
    pairs_in_16_bits: bool = False


_LAYERS = frozenset({aten.conv2d.default, aten.linear.default})
_XNNPACK = BackendConfig(SAME_SCALE_OPS | _LAYERS | (ARITHMETIC_OPS - {aten.silu.default}))

BACKEND_CONFIGS: dict[str, BackendConfig] = {
    # ONNX Runtime resizes float maps faster than uint8 ones, and has no int8 GELU.
    "onnx": BackendConfig(
        _XNNPACK.operators - {aten.upsample_bilinear2d.vec, aten.gelu.default},
        unsigned=True,
        integer_bias=True,
        int8_data_movement=True,
        channels_last=True,
        pairs_in_16_bits=True,
    ),
    "executorch": _XNNPACK,
    # XNNPACK does not take TFLite's int8 GELU.
    "tflite": replace(_XNNPACK, operators=_XNNPACK.operators - {aten.gelu.default}),
    "coreml": BackendConfig(SAME_SCALE_OPS | _LAYERS | ARITHMETIC_OPS),
}
"""By target name."""


def for_weights_only(backend_config: BackendConfig) -> BackendConfig:
    """The same runtime with int8 weights and float arithmetic, which supports every activation."""
    return replace(backend_config, operators=backend_config.operators | ARITHMETIC_OPS)


RECIPES: dict[str, Recipe] = {
    "onnx": "onnxruntime_int8",
    "executorch": "xnnpack_int8",
    "tflite": "xnnpack_int8",
    "coreml": "neural_engine",
}
"""By target name: the rewrite recipe that runs before quantization."""

WEIGHTS_ONLY = ("coreml", "tflite")
"""Targets that support int8 weights with float activations."""
