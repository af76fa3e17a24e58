"""The MLP of stage 1 as 1x1 convolutions, like those of the other stages."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from export.rewrite.linear import pointwise
from export.rewrite.registry import register
from lvt.layers import Mlp, to_nchw, to_nhwc


class PointwiseMlp(nn.Module):
    """NHWC in and out."""

    def __init__(self, reference: Mlp):
        super().__init__()
        self.fc1 = pointwise(reference.fc1.weight, reference.fc1.bias)
        self.fc2 = pointwise(reference.fc2.weight, reference.fc2.bias)

    def forward(self, x: Tensor) -> Tensor:
        return to_nhwc(self.fc2(F.gelu(self.fc1(to_nchw(x)))))


@register(Mlp)
def rewrite_mlp(reference: Mlp) -> nn.Module:
    return PointwiseMlp(reference)
