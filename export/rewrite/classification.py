"""The heads of the classifiers. Channels first, the tokens are a map of one row: (B, C, 1, N)."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.capabilities import Recipe
from export.rewrite.channels_first import ChannelsFirstLVT
from export.rewrite.linear import frozen, pointwise
from export.rewrite.registry import CHANNELS_FIRST, register, rewrite
from lvt.classification import (
    AUX_WEIGHT,
    ClassAttention,
    ClassBlock,
    LVTClassifier,
    LVTPooledClassifier,
)


@register(ClassBlock, "onnxruntime")
def keep_class_block(reference: ClassBlock, _recipe: Recipe) -> nn.Module:
    """A copy. Without this entry its `Mlp` would be rewritten for NHWC maps."""
    return copy.deepcopy(reference)


class ChannelsFirstClassAttention(nn.Module):
    """`ClassAttention`: tokens (B, C, 1, N) -> update of the class token (B, C, 1, 1)."""

    def __init__(self, reference: ClassAttention):
        super().__init__()
        self.heads = reference.heads
        self.q = pointwise(reference.q.weight * reference.scale)
        self.kv = pointwise(reference.kv.weight)
        self.proj = pointwise(reference.proj.weight, reference.proj.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, dim, _, count = tokens.shape
        width = dim // self.heads
        kv = self.kv(tokens)
        key = kv[:, :dim].reshape(batch * self.heads, width, count)
        value = kv[:, dim:].reshape(batch * self.heads, width, count)
        query = self.q(tokens[..., :1]).reshape(batch * self.heads, 1, width)
        attention = torch.bmm(query, key).softmax(dim=-1)  # (B * heads, 1, N)
        out = torch.bmm(attention, value.transpose(1, 2))
        return self.proj(out.reshape(batch, dim, 1, 1))


class ChannelsFirstClassBlock(nn.Module):
    """`ClassBlock`: updates the class token, the first token of (B, C, 1, N)."""

    def __init__(self, reference: ClassBlock, recipe: Recipe):
        super().__init__()
        self.norm1 = rewrite(reference.norm1, recipe)
        self.attn = ChannelsFirstClassAttention(reference.attn)
        self.norm2 = rewrite(reference.norm2, recipe)
        self.mlp = rewrite(reference.mlp, recipe)

    def forward(self, tokens: Tensor) -> Tensor:
        token = tokens[..., :1] + self.attn(self.norm1(tokens))
        token = token + self.mlp(self.norm2(token))
        return torch.cat([token, tokens[..., 1:]], dim=-1)


class ChannelsFirstClassifier(ChannelsFirstLVT):
    """`LVTClassifier`: image (B, 3, H, W) -> logits (B, classes)."""

    def __init__(self, reference: LVTClassifier, recipe: Recipe):
        super().__init__(reference, recipe)
        self.cls_token = frozen(reference.cls_token.reshape(1, -1, 1, 1))
        self.norm = rewrite(reference.norm, recipe)
        self.head = pointwise(reference.head.weight, reference.head.bias)
        self.post_network = rewrite(reference.post_network, recipe)
        weight, bias = reference.aux_head.weight, reference.aux_head.bias
        self.aux_head = pointwise(weight * AUX_WEIGHT, bias * AUX_WEIGHT)

    def forward(self, image: Tensor) -> Tensor:  # type: ignore[override]
        patches = super().forward(image)[-1]
        batch, dim, height, width = patches.shape
        patches = patches.reshape(batch, dim, 1, height * width)
        token = self.cls_token if batch == 1 else self.cls_token.expand(batch, -1, -1, -1)
        tokens = torch.cat([token, patches], dim=-1)
        for block in self.post_network:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        window = (1, height * width)
        # coremltools needs an explicit stride.
        best_patch = F.max_pool2d(self.aux_head(tokens[..., 1:]), window, window)
        return (self.head(tokens[..., :1]) + best_patch).flatten(1)


class ChannelsFirstPooledClassifier(ChannelsFirstLVT):
    """`LVTPooledClassifier`: image (B, 3, H, W) -> logits (B, classes)."""

    def __init__(self, reference: LVTPooledClassifier, recipe: Recipe):
        super().__init__(reference, recipe)
        self.norm = rewrite(reference.norm, recipe)
        self.head = pointwise(reference.head.weight, reference.head.bias)

    def forward(self, image: Tensor) -> Tensor:  # type: ignore[override]
        x = self.norm(super().forward(image)[-1])
        return self.head(x.mean(dim=(2, 3), keepdim=True)).flatten(1)


@register(ClassBlock, *CHANNELS_FIRST)
def rewrite_class_block(reference: ClassBlock, recipe: Recipe) -> nn.Module:
    return ChannelsFirstClassBlock(reference, recipe)


@register(LVTClassifier, *CHANNELS_FIRST)
def rewrite_classifier(reference: LVTClassifier, recipe: Recipe) -> nn.Module:
    return ChannelsFirstClassifier(reference, recipe)


@register(LVTPooledClassifier, *CHANNELS_FIRST)
def rewrite_pooled_classifier(reference: LVTPooledClassifier, recipe: Recipe) -> nn.Module:
    return ChannelsFirstPooledClassifier(reference, recipe)
