"""The models that the paper compares LVT with, as implemented in `transformers`.

They have random weights and are built from configuration classes, so that nothing is downloaded.
The latency of these models does not depend on their weights.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from export.panoptic.graph import PanopticGraph
from export.rewrite import rewrite
from export.targets import load_target
from lvt.backbone import LVT
from lvt.config import Size
from lvt.errors import UserError
from lvt.models import build_random, default_spec
from lvt.panoptic.fpn import FPN
from lvt.panoptic.model import LVTPanoptic
from lvt.support.extras import missing_extra

BaselineTask = Literal["backbone", "semantic", "panoptic"]

SIZES: dict[BaselineTask, Size] = {
    "backbone": (224, 224),
    "semantic": (512, 512),
    "panoptic": (800, 1216),
}
"""Input sizes for which the paper's Tables 3, 4 and 5 give multiply-accumulates."""
_CLASSES = 150


@dataclass(frozen=True)
class PaperFigures:
    """A model's figures in the paper's tables; None where the paper has none.

    Attributes:
        parameters: in 1e6.
        macs: in 1e9; the paper calls them FLOPs.
        images_per_second: on an NVIDIA V100.
    """

    parameters: float | None = None
    macs: float | None = None
    images_per_second: float | None = None


@dataclass(frozen=True)
class Baseline:
    """A model to time.

    Attributes:
        task: a backbone returns maps at strides 4, 8, 16 and 32, a segmenter class scores.
        build: builds the model with random weights, in evaluation mode.
        paper: its figures in the paper.
        remark: how it differs from the paper's model; None if it does not.
        prepare_export: converts the model to the module that is exported at a size.
    """

    name: str
    task: BaselineTask
    build: Callable[[], nn.Module]
    paper: PaperFigures
    remark: str | None = None
    prepare_export: Callable[[nn.Module, Size], nn.Module] = lambda model, _size: model


def check_transformers() -> None:
    """Check that `transformers` is installed and loads.

    Raises:
        UserError: it does not.
    """
    if importlib.util.find_spec("transformers") is None:
        raise missing_extra("baselines", ["baselines"])
    try:
        _transformers().SegformerModel  # noqa: B018 (the attribute imports the model)
    except (ImportError, RuntimeError) as error:
        raise UserError(
            f"transformers does not load its models here ({error}); a torchvision that does not "
            "match torch does that: remove it"
        ) from error


def _transformers() -> Any:
    import transformers

    return transformers


class _Outputs(nn.Module):
    """A model of `transformers` that returns plain tensors, as exporters need them."""

    def __init__(self, model: nn.Module, select: Callable[[nn.Module, Tensor], Any]):
        super().__init__()
        self.model = model
        self._select = select

    def forward(self, image: Tensor) -> Any:
        return self._select(self.model, image)


def _build_random(
    create: Callable[[Any], nn.Module], select: Callable[[nn.Module, Tensor], Any]
) -> nn.Module:
    """Build a model with reproducible random weights and activations of a realistic size.

    BatchNorm takes its statistics from noise. With its initial statistics, activations would shrink
    layer by layer to subnormal numbers, which are slow on processors.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = _Outputs(create(_transformers()), select).train()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0  # use the statistics of this batch only
        model(torch.randn(2, 3, 128, 128))
    return model.eval()


def _lvt(task: BaselineTask) -> Callable[[], nn.Module]:
    return lambda: build_random(default_spec(task))


def _rewritten(model: nn.Module, _size: Size) -> nn.Module:
    return rewrite(model, "onnxruntime")


def _mobilenet_v2(*, last_convolution: bool = True) -> nn.Module:
    """MobileNetV2's maps at four strides.

    `last_convolution`: whether the coarsest map is taken after the convolution to 1280 channels.
    """

    def select(model: nn.Module, image: Tensor) -> tuple[Tensor, ...]:
        outputs = model(image, output_hidden_states=True)
        maps = {value.shape[-1]: value for value in outputs.hidden_states}  # the last of each size
        *first, last = (maps[side] for side in sorted(maps, reverse=True))
        return (*first, outputs.last_hidden_state if last_convolution else last)

    return _build_random(
        lambda library: library.MobileNetV2Model(
            library.MobileNetV2Config(), add_pooling_layer=False
        ),
        select,
    )


def _pvt_v2_b0() -> nn.Module:
    stages = [f"stage{number}" for number in range(1, 5)]
    return _build_random(
        lambda library: library.PvtV2Backbone(library.PvtV2Config(out_features=stages)),
        lambda model, image: tuple(model(image).feature_maps),
    )


def _mit_b0() -> nn.Module:
    return _build_random(
        lambda library: library.SegformerModel(library.SegformerConfig()),
        lambda model, image: tuple(model(image, output_hidden_states=True).hidden_states),
    )


def _segformer_b0() -> nn.Module:
    return _build_random(
        lambda library: library.SegformerForSemanticSegmentation(
            library.SegformerConfig(num_labels=_CLASSES)
        ),
        lambda model, image: model(image).logits,
    )


def _deeplab_v3_plus() -> nn.Module:
    return _build_random(
        lambda library: library.MobileNetV2ForSemanticSegmentation(
            library.MobileNetV2Config(num_labels=_CLASSES, output_stride=16)
        ),
        lambda model, image: model(image).logits,
    )


def _panoptic_on(backbone: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """Our complete Panoptic FPN on another backbone."""

    def build() -> nn.Module:
        spec = default_spec("panoptic")
        assert spec.panoptic is not None
        model = build_random(spec)
        maps = backbone()
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            torch.manual_seed(0)
            widths = [level.shape[1] for level in maps(torch.zeros(1, 3, 64, 64))]
            model.backbone, model.neck = maps, FPN(widths, spec.panoptic.channels)
        return model.eval()

    return build


def _panoptic_graph(model: nn.Module, size: Size) -> nn.Module:
    """The graph of panoptic exports: fixed shapes, rewritten heads and (for LVT) backbone."""
    assert isinstance(model, LVTPanoptic)
    rewritten = rewrite(model, "onnxruntime")
    if not isinstance(model.backbone, LVT):
        rewritten.backbone = model.backbone  # a model of `transformers` is not rewritten
    return PanopticGraph(rewritten, model.config, size, load_target("onnx").roi_align)


_OUR_PANOPTIC_FPN = (
    "our Panoptic FPN on it; the paper does not say how it counts multiply-accumulates"
)

BASELINES: tuple[Baseline, ...] = (
    Baseline(
        "LVT", "backbone", _lvt("backbone"), PaperFigures(3.4, 0.9), prepare_export=_rewritten
    ),
    Baseline(
        "MobileNetV2",
        "backbone",
        _mobilenet_v2,
        PaperFigures(3.5, 0.3),
        "the paper includes the classifier's 1.3 M parameters",
    ),
    Baseline("PVTv2-B0", "backbone", _pvt_v2_b0, PaperFigures(3.4, 0.6)),
    Baseline("MiT-B0", "backbone", _mit_b0, PaperFigures()),
    Baseline(
        "SegFormer, LVT",
        "semantic",
        _lvt("semantic"),
        PaperFigures(3.9, 10.6, 45.5),
        prepare_export=_rewritten,
    ),
    Baseline("SegFormer, MiT-B0", "semantic", _segformer_b0, PaperFigures(3.8, 8.4, 50.5)),
    Baseline(
        "DeepLabV3+, MobileNetV2",
        "semantic",
        _deeplab_v3_plus,
        PaperFigures(15.4, 69.4, 43.1),
        "transformers' head is far lighter than the paper's",
    ),
    Baseline(
        "Panoptic FPN, LVT",
        "panoptic",
        _lvt("panoptic"),
        PaperFigures(5.4, 56.4, 20.4),
        prepare_export=_panoptic_graph,
    ),
    Baseline(
        "Panoptic FPN, PVTv2-B0",
        "panoptic",
        _panoptic_on(_pvt_v2_b0),
        PaperFigures(5.3, 49.7, 23.5),
        _OUR_PANOPTIC_FPN,
        prepare_export=_panoptic_graph,
    ),
    Baseline(
        "Panoptic FPN, MobileNetV2",
        "panoptic",
        _panoptic_on(lambda: _mobilenet_v2(last_convolution=False)),
        PaperFigures(4.1, 32.9, 35.8),
        f"{_OUR_PANOPTIC_FPN}; its last convolution is counted but not used, as in the paper",
        prepare_export=_panoptic_graph,
    ),
)
"""All models; LVT is the first of each task, and the others are compared with it."""
