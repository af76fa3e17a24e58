"""ImageNet classifiers on LVT: with class-attention layers, or with a pooled head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lvt.backbone import LVT
from lvt.config import LVTConfig
from lvt.layers import LAYER_NORM_EPS, Mlp

POST_LAYERS = 2
AUX_WEIGHT = 0.5
"""Weight of the highest patch logits in the prediction (from the token-labelling recipe)."""


class ClassAttention(nn.Module):
    """Attention whose only query is the class token. (B, N, C) -> (B, 1, C)."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5
        self.kv = nn.Linear(dim, 2 * dim, bias=False)
        self.q = nn.Linear(dim, dim, bias=False)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, count, dim = tokens.shape
        width = dim // self.heads
        kv = self.kv(tokens).reshape(batch, count, 2, self.heads, width).permute(2, 0, 3, 1, 4)
        key, value = kv[0], kv[1]  # (B, heads, N, d)
        query = self.q(tokens[:, :1]).reshape(batch, self.heads, 1, width) * self.scale
        out = (query @ key.transpose(-2, -1)).softmax(dim=-1) @ value  # (B, heads, 1, d)
        return self.proj(out.reshape(batch, 1, dim))


class ClassBlock(nn.Module):
    """Updates only the class token and returns the patch tokens unchanged. (B, N, C) in and out."""

    def __init__(self, dim: int, heads: int, mlp_hidden: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.attn = ClassAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(dim, mlp_hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        token = tokens[:, :1] + self.attn(self.norm1(tokens))
        token = token + self.mlp(self.norm2(token))
        return torch.cat([token, tokens[:, 1:]], dim=1)


class LVTClassifier(LVT):
    """The paper's classifier (section 4.1): LVT with class-attention post layers.

    Image (B, 3, H, W) -> logits (B, classes): logits of the class token, plus half of the highest
    patch logit of each class.
    """

    def __init__(self, config: LVTConfig, classes: int):
        super().__init__(config)
        last = config.stages[-1]
        self.cls_token = nn.Parameter(torch.zeros(1, 1, last.dim))
        self.norm = nn.LayerNorm(last.dim, eps=LAYER_NORM_EPS)
        self.head = nn.Linear(last.dim, classes)
        self.post_network = nn.ModuleList(
            ClassBlock(last.dim, last.heads, last.mlp_hidden) for _ in range(POST_LAYERS)
        )
        self.aux_head = nn.Linear(last.dim, classes)

    def forward(self, image: Tensor) -> Tensor:  # type: ignore[override]
        patches = self.stages(image)[-1].flatten(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        for block in self.post_network:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        best_patch = self.aux_head(tokens[:, 1:]).amax(dim=1)
        return self.head(tokens[:, 0]) + AUX_WEIGHT * best_patch


class LVTPooledClassifier(LVT):
    """LVT with LayerNorm, mean pooling and one linear head. (B, 3, H, W) -> (B, classes)."""

    def __init__(self, config: LVTConfig, classes: int):
        super().__init__(config)
        dim = config.stages[-1].dim
        self.norm = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.head = nn.Linear(dim, classes)

    def forward(self, image: Tensor) -> Tensor:  # type: ignore[override]
        tokens = self.stages(image)[-1].flatten(1, 2)
        return self.head(self.norm(tokens).mean(dim=1))
