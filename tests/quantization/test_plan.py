"""Which values are int8: the mean of a norm is, the arithmetic of boxes is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from export.evaluation.labelled_data import HeldOutScenes
from export.panoptic.roi_align import separable_roi_align
from export.plan import ExportRequest, resolve_model
from export.rewrite.norm import ConvLayerNorm
from export.session import TorchSession
from lvt.data.metrics import sqnr_db
from quantization.accuracy import Budget, LabelledBudgetCheck
from quantization.backend_config import BACKEND_CONFIGS, RECIPES
from quantization.calibration import read_calibration
from quantization.graph import aten, block_names
from quantization.plan import plan_quantization
from tests.helpers.models import calibrate_model, trace_model, whole_graph
from tests.quantization.small_nets import Net, calibrated, nodes, outputs, quantized


def test_of_a_norm_the_mean_is_int8_and_nothing_else() -> None:
    """A step of the mean is far smaller than one of the values; the variance is not so calm."""
    model = Net(lambda x: x)
    model.middle = ConvLayerNorm(nn.LayerNorm(8))  # type: ignore[assignment]
    module, _, plan = calibrated(model, "executorch")
    first, mean, variance, last = nodes(module, aten.conv2d.default)
    assert mean.args[0] is first
    assert {first, mean, last} <= plan.integer_nodes
    assert not plan.integer_nodes & {variance, *variance.all_input_nodes, *variance.users}
    expected = outputs(model)
    assert sqnr_db(outputs(quantized(model, simulate=False, target="executorch")), expected) > 30


@pytest.mark.slow
def test_arithmetic_of_boxes_stays_float_and_layers_before_it_do_not() -> None:
    """Boxes in int8 lose half of the panoptic quality; features lose next to nothing."""
    model = resolve_model(ExportRequest("onnx", checkpoint=Path("demo")))
    rewritten = whole_graph(model, RECIPES["onnx"], separable_roi_align)
    module = trace_model(rewritten, model.size)
    plan = plan_quantization(module.graph, BACKEND_CONFIGS["onnx"])
    names = set(block_names(module.graph, plan.integer_nodes))
    assert {"neck.fpn_convs", "rpn_head.rpn_conv", "roi_head.bbox_head"} <= names
    assert {"roi_head.mask_head", "model"} <= names, "nodes between the heads belong to a block too"
    assert not [name for name in names if "nms" in name]
    heads = {
        layer for layer, reason in plan.float_reasons.items() if reason.startswith("output head")
    }
    assert heads == {
        "rpn_head.rpn_cls",
        "rpn_head.rpn_reg",
        "roi_head.bbox_head.fc_cls",
        "roi_head.bbox_head.fc_reg",
        "roi_head.mask_head.upsample",
    }
    calibration = read_calibration(Path("demo"), model.preprocessing)
    calibrated_model = calibrate_model(
        rewritten, model.size, BACKEND_CONFIGS["onnx"], calibration.images[:4], "mse"
    )
    samples = HeldOutScenes(4, model.labels.names) if model.labels else None
    assert samples is not None
    float_session = TorchSession(rewritten, model.spec)
    check = LabelledBudgetCheck(model, samples, float_session, Budget(points=1.0))
    assert check.measure(TorchSession(calibrated_model.simulated(), model.spec)).meets_budget
