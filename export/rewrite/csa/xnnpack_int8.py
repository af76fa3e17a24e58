"""CSA for XNNPACK in int8: pooling as a depthwise convolution."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from export.capabilities import Recipe
from export.rewrite.csa.xnnpack import XnnpackCSA
from export.rewrite.linear import frozen
from export.rewrite.registry import register
from lvt.attention import CSA, OutlookAttention, WindowAttention


class XnnpackInt8CSA(XnnpackCSA):
    """Means over 2x2 pixels as a depthwise convolution.

    XNNPACK leaves TFLite's int8 pooling to the plain kernels. The softmax stays as it is:
    `quantization` replaces it once the ranges are known.
    """

    def __init__(self, reference: WindowAttention):
        super().__init__(reference)
        dim, like = reference.proj.in_features, reference.proj.weight
        self.quarter = frozen(like.new_full((dim, 1, 2, 2), 0.25))

    def average(self, x: Tensor) -> Tensor:
        """See `ChannelsFirstCSA.average`."""
        return F.conv2d(x, self.quarter, stride=2, groups=x.shape[1])


@register((CSA, OutlookAttention), "xnnpack_int8")
def rewrite_csa_for_xnnpack_int8(reference: WindowAttention, _recipe: Recipe) -> nn.Module:
    return XnnpackInt8CSA(reference)
