"""A check that the int8 layers of an ONNX file give the same results on every processor.

x86 processors without VNNI multiply uint8 activations and int8 weights with an instruction that
adds the products of two neighbouring inputs in 16 bits and saturates. ONNX Runtime uses it in
convolutions and matrix products, for the pairs (0, 1), (2, 3), ... of a layer's inputs. Inputs of a
convolution have the order row, column, channel. Depthwise convolutions have another kernel. Other
processors (x86 with VNNI, Arm, WebAssembly) add in 32 bits.

A sum cannot saturate, for any activations, if the two weights add up to at most 128:
255 * 128 = 32640, and 16 bits hold 32767. Two weights of different signs never saturate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from export.targets.onnx.convert import part_paths

PAIR_LIMIT = 128
"""Largest magnitude of the sum of two neighbouring int8 weights that cannot saturate."""


@dataclass(frozen=True)
class PairSums:
    """Sums of neighbouring weights in a file.

    Attributes:
        layers: number of layers with int8 weights and uint8 activations whose kernels add in pairs.
        largest: largest magnitude of a sum of two neighbouring weights.
        saturating: {name of the layer's node: number of its pairs beyond `PAIR_LIMIT`}.
    """

    layers: int
    largest: int
    saturating: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """The entry in manifests."""
        return {"layers": self.layers, "largest": self.largest, "limit": PAIR_LIMIT}


def kernel_order(weight: NDArray[Any], axis: int) -> NDArray[Any]:
    """One row per output channel, with its inputs in the order in which the kernels add them.

    Args:
        weight: (out, in, kh, kw) of a convolution, or a matrix.
        axis: axis of the output channels.
    """
    rows = np.moveaxis(weight, axis, 0)
    if rows.ndim == 4:
        rows = rows.transpose(0, 2, 3, 1)
    return rows.reshape(len(rows), -1)


def pair_sums(rows: NDArray[Any]) -> NDArray[Any]:
    """Sums of neighbouring weights, (out, ceil(in / 2)); an odd last weight alone.

    Args:
        rows: from `kernel_order`.
    """
    if rows.shape[1] % 2:
        rows = np.pad(rows, ((0, 0), (0, 1)))
    return rows[:, 0::2] + rows[:, 1::2]


def is_depthwise(shape: tuple[int, ...], groups: int) -> bool:
    """Whether a convolution with a weight (out, in / groups, kh, kw) is depthwise."""
    return len(shape) == 4 and groups == shape[0] and shape[1] == 1


def find_pair_sums(path: Path) -> PairSums:
    """Finds the sums that can saturate in any ONNX file, or in all files of a folder."""
    layers, largest, saturating = 0, 0, dict[str, int]()
    for file in part_paths(path):
        part = f"{file.stem}: " if path.is_dir() else ""  # names are unique in one file only
        for name, rows in _int8_layers(onnx.load(file).graph):
            sums = np.abs(pair_sums(rows.astype(np.int32)))
            layers += 1
            largest = max(largest, int(sums.max()))
            beyond = int((sums > PAIR_LIMIT).sum())
            if beyond:
                saturating[part + name] = beyond
    return PairSums(layers, largest, saturating)


def _int8_layers(graph: onnx.GraphProto) -> Iterator[tuple[str, NDArray[Any]]]:
    """Node name and weights, in `kernel_order`, of each layer whose kernel adds in pairs."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    producers = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        rows = _int8_rows(node, producers, constants)
        if rows is not None:
            yield node.name, rows


def _int8_rows(
    node: onnx.NodeProto,
    producers: dict[str, onnx.NodeProto],
    constants: dict[str, onnx.TensorProto],
) -> NDArray[Any] | None:
    """The weights, in `kernel_order`, of a layer whose kernel adds in pairs; None for others."""
    if node.op_type not in ("Conv", "MatMul", "Gemm"):
        return None
    activation, source = producers.get(node.input[0]), producers.get(node.input[1])
    transposed = node.op_type == "Gemm" and _attribute(node, "transB", 0) == 1
    if source is not None and source.op_type == "Transpose":
        transposed = not transposed
        source = producers.get(source.input[0])
    if activation is None or activation.op_type != "DequantizeLinear":
        return None
    if source is None or source.op_type != "DequantizeLinear" or source.input[0] not in constants:
        return None
    values = numpy_helper.to_array(constants[source.input[0]])
    if values.dtype != np.int8:
        return None
    if node.op_type == "Conv" and is_depthwise(values.shape, _attribute(node, "group", 1)):
        return None
    return kernel_order(values, 0 if node.op_type == "Conv" or transposed else values.ndim - 1)


def _attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == name), default)
