"""Statistics of the calibration images, on small graphs."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from export.rewrite.norm import ConvLayerNorm
from quantization.graph import aten
from quantization.observer import collect_stats
from quantization.plan import plan_quantization
from quantization.ranges import UNIT_RANGE
from tests.helpers.models import single_inputs, trace_model
from tests.quantization.small_nets import ONNX, SIZE, Middle, Net, calibrated, images, nodes


def test_the_spread_of_softmax_rows_is_observed() -> None:
    model = Net(lambda x: x.softmax(-1))
    module = trace_model(model.eval(), SIZE)
    statistics = collect_stats(
        module, plan_quantization(module.graph, ONNX), single_inputs(images())
    )
    with torch.no_grad():
        maps = [model.first(torch.from_numpy(image)) for image in images()]
    expected = max(float((m.amax(-1) - m.amin(-1)).max()) for m in maps)
    assert list(statistics.softmax_spreads.values()) == pytest.approx([expected])


def test_a_sigmoid_has_the_range_that_kernels_insist_on() -> None:
    module, statistics, plan = calibrated(Net(F.silu), "executorch")
    (gate,) = nodes(module, aten.sigmoid.default)
    assert statistics.ranges("mse")[gate] == UNIT_RANGE
    assert gate in plan.integer_nodes


def test_a_transpose_into_8_bits_of_a_value_of_16_is_observed() -> None:
    """The two have scales of their own."""
    model = Net(lambda x: x)
    norm, move = ConvLayerNorm(nn.LayerNorm(8)), Middle(lambda x: x.flatten(2).reshape(1, 8, 8, 12))
    model.middle = nn.Sequential(norm, move)  # type: ignore[assignment]
    module, statistics, plan = calibrated(model, "qnn")
    first, second = nodes(module, aten.flatten.using_ints) + nodes(module, aten.reshape.default)
    assert plan.bits[first] == plan.bits[second] == 8
    assert plan.bits[first.all_input_nodes[0]] == 16
    low, high = statistics.ranges("minmax")[first]
    assert low < -0.1
    assert high > 0.1


def test_a_resize_that_stays_float_is_observed_where_int8_reads_it() -> None:
    module, statistics, plan = calibrated(
        Net(lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear"))
    )
    (resize,) = nodes(module, aten.upsample_bilinear2d.vec)
    assert resize not in plan.integer_nodes
    low, high = statistics.ranges("minmax")[resize]
    assert low < -0.1
    assert high > 0.1
