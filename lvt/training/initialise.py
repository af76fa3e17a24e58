"""Initial weights of the panoptic model, as in transformers and in the official detectors."""

from __future__ import annotations

import math

import torch
from torch import nn

from lvt.panoptic.model import LVTPanoptic
from lvt.panoptic.semantic_head import ConvGNReLU

OUTPUT_STD = 0.01
BOX_STD = 0.001
LINEAR_STD = 0.02


def initialise(model: LVTPanoptic, generator: torch.Generator) -> None:
    """Draws every weight of the model from its initial distribution.

    Backbone: truncated normal for linear layers, fan-out normal for convolutions. Pyramid and box
    head: Xavier. RPN and outputs: narrow normals, so that first predictions are near uniform. Mask
    and semantic convolutions: Kaiming. Biases 0, norms 1.

    Args:
        model: changed in place.
        generator: source of the random numbers.
    """
    for module in model.modules():
        if (
            isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))
            and module.bias is not None
        ):
            nn.init.zeros_(module.bias)
    for module in model.backbone.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=LINEAR_STD, generator=generator)
        elif isinstance(module, nn.Conv2d):
            fan_out = module.weight[:, 0].numel() / module.groups
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out), generator=generator)
    heads = model.roi_head
    for module in (*model.neck.modules(), *heads.bbox_head.shared_fcs):
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            nn.init.xavier_uniform_(module.weight, generator=generator)
    for module in (*heads.mask_head.modules(), *model.semantic_head.modules()):
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(
                module.weight, mode="fan_out", nonlinearity="relu", generator=generator
            )
        elif isinstance(module, ConvGNReLU):
            nn.init.ones_(module.gn.weight)
            nn.init.zeros_(module.gn.bias)
    outputs: tuple[nn.Linear | nn.Conv2d, ...] = (
        *(layer for layer in model.rpn_head.children() if isinstance(layer, nn.Conv2d)),
        heads.bbox_head.fc_cls,
        model.semantic_head.conv_logits,
    )
    for layer in outputs:
        nn.init.normal_(layer.weight, std=OUTPUT_STD, generator=generator)
    nn.init.normal_(heads.bbox_head.fc_reg.weight, std=BOX_STD, generator=generator)
