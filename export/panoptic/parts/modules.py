"""The entry points of a panoptic model as PyTorch modules: plain convolutions and products.

Maps leave `core` with their channels last, and features of boxes enter that way: so the host reads
and writes whole cells, and runtimes that compute with channels last need no transposes.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.entry_point import EntryPoint, TensorInfo
from export.model_io import semantic_output
from export.panoptic.parts.layout import PARTS, HostConstants, part_inputs
from export.rewrite.linear import linear
from lvt.panoptic.model import LVTPanoptic
from lvt.panoptic.roi_heads import ROI_LEVELS, BoxHead, MaskHead


class Core(nn.Module):
    """Image to the maps of the whole image.

    Input: (1, 3, H, W). Outputs: P2 to P5, then the objectness logits of P2 to P6, then their box
    deltas, all (1, h, w, C); and semantic logits (1, stuff+1, H/4, W/4).
    """

    def __init__(self, model: LVTPanoptic):
        super().__init__()
        self.backbone = model.backbone
        self.neck = model.neck
        self.rpn_head = model.rpn_head
        self.semantic_head = model.semantic_head
        self.eval()

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        levels = self.neck(self.backbone(image))
        maps = self.rpn_head(levels)
        outputs = (*levels[:ROI_LEVELS], *maps.objectness, *maps.deltas)
        channels_last = (x.permute(0, 2, 3, 1) for x in outputs)
        return (*channels_last, self.semantic_head(levels))


class Boxes(nn.Module):
    """Features of boxes (N, S*S*C) to class scores (N, things+1), background last, and deltas.

    Deltas (N, things*4) hold four values for each class. The first layer's weight is reordered for
    features whose channels are last.
    """

    def __init__(self, head: BoxHead, channels: int):
        super().__init__()
        head = copy.copy(head)
        head._modules = dict(head._modules)
        first, second = head.shared_fcs
        assert isinstance(first, nn.Linear)
        width = first.out_features
        by_cell = first.weight.reshape(width, channels, -1).transpose(1, 2).reshape(width, -1)
        head.shared_fcs = nn.ModuleList([linear(by_cell, first.bias), second])
        self.bbox_head = head
        self.eval()

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        x = features
        for layer in self.bbox_head.shared_fcs:
            x = F.relu(layer(x))
        return self.bbox_head.fc_cls(x).softmax(dim=1), self.bbox_head.fc_reg(x)


class Masks(nn.Module):
    """Features of detections (N, S, S, C) to the mask of each one's class, (N, 2S, 2S).

    `classes` (N, things) is 1 for the class of each detection, else 0. It selects the row of the
    last layer's weights, so only one class's mask is computed.
    """

    def __init__(self, head: MaskHead):
        super().__init__()
        self.mask_head = head
        assert head.conv_logits.bias is not None
        self.class_weights = linear(head.conv_logits.weight.flatten(1).T)
        self.class_biases = linear(head.conv_logits.bias.reshape(1, -1))
        self.eval()

    def forward(self, features: Tensor, classes: Tensor) -> Tensor:
        head = self.mask_head
        x = features.permute(0, 3, 1, 2)
        for conv in head.convs:
            x = F.relu(conv(x))
        x = F.relu(head.upsample(x))
        count, cells = classes.shape[0], x.shape[-1]
        weight = self.class_weights(classes).reshape(count, -1, 1)  # (N, C, 1)
        bias = self.class_biases(classes).reshape(count, 1, 1)
        pixels = x.permute(0, 2, 3, 1).reshape(count, cells * cells, -1)
        logits = torch.bmm(pixels, weight) + bias
        return logits.sigmoid().reshape(count, cells, cells)


def panoptic_parts(model: LVTPanoptic, host: HostConstants) -> tuple[EntryPoint, ...]:
    """The entry points `core`, `boxes` and `masks`.

    Args:
        model: rewritten or not; its submodules are used as they are.
        host: constants for the model and its input size.
    """
    head = model.roi_head
    modules = {
        "core": Core(model),
        "boxes": Boxes(head.bbox_head, host.channels),
        "masks": Masks(head.mask_head),
    }
    outputs = {
        "core": _core_outputs(host, model),
        "boxes": _box_outputs(host),
        "masks": _mask_outputs(host),
    }
    return tuple(
        EntryPoint(name, modules[name], part_inputs(host, name), outputs[name]) for name in PARTS
    )


def _core_outputs(host: HostConstants, model: LVTPanoptic) -> tuple[TensorInfo, ...]:
    ratios = len(host.levels[0].anchors)
    kinds = (
        ("", host.feature_levels, host.channels, "feature map"),
        ("objectness_", len(host.levels), ratios, "logit of each anchor"),
        ("deltas_", len(host.levels), 4 * ratios, "box deltas of each anchor"),
    )
    maps = tuple(
        TensorInfo(f"{prefix}{level.name}", (1, *level.cells, channels), "NHWC", meaning)
        for prefix, count, channels, meaning in kinds
        for level in host.levels[:count]
    )
    return (*maps, semantic_output(model.config.stuff, host.levels[0].cells))


def _box_outputs(host: HostConstants) -> tuple[TensorInfo, ...]:
    count, things = host.box_batch, host.things
    return (
        TensorInfo("scores", (count, things + 1), "NC", "probabilities, background last"),
        TensorInfo("deltas", (count, 4 * things), "NK", "box deltas of each class"),
    )


def _mask_outputs(host: HostConstants) -> tuple[TensorInfo, ...]:
    cells = 2 * host.mask_size
    shape = (host.mask_batch, cells, cells)
    return (TensorInfo("masks", shape, "NHW", "probabilities inside the box"),)
