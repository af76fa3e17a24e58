"""The SegFormer decoder with its linear layers folded: it fuses before it upsamples.

Projection, bilinear resize, concatenation and the fusing 1x1 convolution are linear, and a resize
commutes with a 1x1 convolution (its weights sum to one, so biases commute too). So each level needs
one small convolution at its own resolution. The sum of the resized levels equals the reference's
convolution over the concatenation, with a tenth of the multiplications.
"""

from __future__ import annotations

import copy

import torch.nn.functional as F
from torch import Tensor, nn

from export.capabilities import Recipe
from export.rewrite.linear import fold_batch_norm, pointwise
from export.rewrite.registry import CHANNELS_FIRST, register
from lvt.semantic import SegFormerHead, resize_bilinear


class FoldedSegFormerHead(nn.Module):
    """`SegFormerHead` that convolves each level before its resize. NCHW maps in, logits out."""

    def __init__(self, reference: SegFormerHead):
        super().__init__()
        dtype = reference.linear_pred.weight.dtype
        fuse, bias = fold_batch_norm(reference.linear_fuse.conv.weight, reference.linear_fuse.bn)
        levels = (
            reference.linear_c4,
            reference.linear_c3,
            reference.linear_c2,
            reference.linear_c1,
        )
        width = fuse.shape[1] // len(levels)
        folded = []
        for index, level in enumerate(levels):
            part = fuse[:, index * width : (index + 1) * width]
            folded.append(part @ level.proj.weight.double())
            bias = bias + part @ level.proj.bias.double()
        self.c4, self.c3, self.c2 = (pointwise(weight.to(dtype)) for weight in folded[:3])
        self.c1 = pointwise(folded[3].to(dtype), bias.to(dtype))
        self.linear_pred = copy.deepcopy(reference.linear_pred)

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        c1, c2, c3, c4 = maps
        fused = self.c1(c1)
        size = (fused.shape[-2], fused.shape[-1])
        for conv, x in ((self.c2, c2), (self.c3, c3), (self.c4, c4)):
            fused = fused + resize_bilinear(conv(x), size)
        return self.linear_pred(F.relu(fused))


class ResizeFirstSegFormerHead(FoldedSegFormerHead):
    """Resizes the second level before its convolution, for int8, where a resize costs more.

    The second level has fewer channels before its convolution than after it. The other levels are
    so small that the convolution is still cheaper before the resize.
    """

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        c1, c2, c3, c4 = maps
        fused = self.c1(c1)
        size = (fused.shape[-2], fused.shape[-1])
        fused = fused + self.c2(resize_bilinear(c2, size))
        for conv, x in ((self.c3, c3), (self.c4, c4)):
            fused = fused + resize_bilinear(conv(x), size)
        return self.linear_pred(F.relu(fused))


@register(SegFormerHead, "onnxruntime", *CHANNELS_FIRST)
def rewrite_segformer_head(reference: SegFormerHead, _recipe: Recipe) -> nn.Module:
    """`FoldedSegFormerHead` with the reference's weights."""
    return FoldedSegFormerHead(reference)


@register(SegFormerHead, "onnxruntime_int8")
def rewrite_segformer_head_for_onnxruntime_int8(
    reference: SegFormerHead, _recipe: Recipe
) -> nn.Module:
    return ResizeFirstSegFormerHead(reference)
