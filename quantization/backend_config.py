"""What each target's runtime computes in int8, and the recipe that prepares a model for it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch._ops import OpOverload

from export.capabilities import IntegerPrecision, Recipe, StoredPrecision
from export.chips import WIDE_PRODUCTS_ARCH
from export.plan import ExportPlan
from quantization.graph import ARITHMETIC_OPS, SAME_SCALE_OPS, aten
from quantization.quant_params import Bits


@dataclass(frozen=True)
class BackendConfig:
    """The integer support of one runtime.

    Attributes:
        operators: those of `SAME_SCALE_OPS`, `WEIGHTED_OPS` and `ARITHMETIC_OPS` with an int8 form.
        unsigned: activations are uint8 (with int8 weights) instead of int8.
        integer_bias: biases are stored as int32; otherwise the runtime quantizes float ones.
        int8_data_movement: runs `DATA_MOVEMENT_OPS` directly on integers; dequantizing before and
            quantizing after each of them is slow.
        channels_last: int8 maps lie in memory with their channels last.
        pairs_in_16_bits: on some processors the kernels add the products of two neighbouring
            inputs in 16 bits.
        integers_only: every value is an integer, whatever `operators` says. Where 8 bits are not
            enough, values get 16 bits instead of float.
        activation_bits: bits of the integers, unless a block gets 16.
        wide_products: products of two activations have a form of 16 by 16 bits; otherwise the right
            operand keeps 8 bits.
        fixed_attention: the search leaves attentions by products in 8 bits.
        wide_symmetric: integers of 16 bits have no zero point.
        unit_softmax: softmax has the fixed scale of sigmoids.
        tabulated_rsqrt: rsqrt of 16 bits is interpolated between 512 points.
    """

    operators: frozenset[OpOverload]
    unsigned: bool = False
    integer_bias: bool = False
    int8_data_movement: bool = False
    channels_last: bool = False
    pairs_in_16_bits: bool = False
    integers_only: bool = False
    activation_bits: Bits = 8
    wide_products: bool = True
    fixed_attention: bool = False
    wide_symmetric: bool = False
    unit_softmax: bool = False
    tabulated_rsqrt: bool = False


_LAYERS = frozenset({aten.conv2d.default, aten.linear.default})
_SAME_SCALE = SAME_SCALE_OPS - {
    aten.upsample_nearest2d.vec,
    aten.max_pool2d.default,
    aten.expand.default,
}
_XNNPACK = BackendConfig(_SAME_SCALE | _LAYERS | (ARITHMETIC_OPS - {aten.silu.default}))

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
    "coreml": BackendConfig(_SAME_SCALE | _LAYERS | ARITHMETIC_OPS),
    # The HTP has GELU, but SiLU only as a sigmoid and a product. Its compiler goes wrong with some
    # attentions in 16 bits between blocks in 8: SegFormer at 352x480 with its last one in 16 bits
    # has 20 dB against its simulation, 35 without. With 16 bits everywhere it has 66.
    "qnn": BackendConfig(
        SAME_SCALE_OPS | _LAYERS | (ARITHMETIC_OPS - {aten.silu.default}),
        unsigned=True,
        integer_bias=True,
        integers_only=True,
        fixed_attention=True,
    ),
}
"""By target name."""

TFLITE_INTEGERS = replace(
    BACKEND_CONFIGS["tflite"],
    integers_only=True,
    wide_symmetric=True,
    unit_softmax=True,
    tabulated_rsqrt=True,
)
"""TFLite without any float operator. The GELU of its kernels has no form of 16 bits."""

_BY_PRECISION: dict[tuple[str, StoredPrecision], BackendConfig] = {
    ("tflite", "w8a8"): TFLITE_INTEGERS,
}
"""By target name and precision, where the precision decides what the runtime computes."""


def for_weights_only(config: BackendConfig) -> BackendConfig:
    """The same runtime with int8 weights and float arithmetic, which supports every activation."""
    return replace(config, operators=config.operators | ARITHMETIC_OPS)


def backend_config(plan: ExportPlan) -> BackendConfig:
    """What the runtime of an artifact computes on integers."""
    name, precision = plan.target.name, plan.precision
    config = _BY_PRECISION.get((name, precision), BACKEND_CONFIGS[name])
    if precision == "int8-weights":
        return for_weights_only(config)
    if plan.chips:
        wide = all(chip.htp_arch >= WIDE_PRODUCTS_ARCH for chip in plan.chips)
        bits: Bits = 16 if precision == "w8a16" else 8
        return replace(config, activation_bits=bits, wide_products=wide)
    return config


SEARCHED: tuple[IntegerPrecision, ...] = ("int8", "w8a8")
"""Precisions of which the search takes blocks out: to float, or to 16 bits."""


RECIPES: dict[str, Recipe] = {
    "onnx": "onnxruntime_int8",
    "executorch": "xnnpack_int8",
    "tflite": "xnnpack_int8",
    "coreml": "neural_engine",
    "qnn": "npu",
}
"""By target name: the rewrite recipe that runs before quantization."""
