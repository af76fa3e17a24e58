"""Building blocks other than attention: embeddings, convolutions, MLPs.

Feature maps between modules are NHWC; only the image is NCHW.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

LAYER_NORM_EPS = 1e-5


def to_nchw(x: Tensor) -> Tensor:
    """(B, H, W, C) -> (B, C, H, W)."""
    return x.permute(0, 3, 1, 2)


def to_nhwc(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H, W, C)."""
    return x.permute(0, 2, 3, 1)


class PatchEmbed(nn.Module):
    """Overlapped patch embedding (section 3.3): strided convolution, then LayerNorm.

    The first stage takes the image, NCHW, with a 7x7 kernel at stride 4; the others take NHWC
    features with a 3x3 kernel at stride 2. Output: NHWC, each side divided by the stride,
    rounded up.
    """

    def __init__(self, in_channels: int, dim: int, *, kernel: int, stride: int, takes_image: bool):
        super().__init__()
        self.takes_image = takes_image
        self.proj = nn.Conv2d(in_channels, dim, kernel, stride, padding=kernel // 2)
        self.norm = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        x = self.proj(x if self.takes_image else to_nchw(x))
        return self.norm(to_nhwc(x))


class ConvBNReLU(nn.Module):
    """Convolution without bias, BatchNorm, ReLU. NCHW; the padding keeps the size at stride 1."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Mlp(nn.Module):
    """Position-wise MLP over the last axis, with exact (erf) GELU."""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class ConvMlp(nn.Module):
    """MLP with a depthwise 3x3 convolution, whose zero padding replaces position embeddings.

    NHWC in and out. There is no activation between `fc1` and `depconv`.
    """

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Conv2d(dim, hidden, 1)
        self.depconv = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.fc2 = nn.Conv2d(hidden, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.depconv(self.fc1(to_nchw(x)))
        return to_nhwc(self.fc2(F.gelu(x)))
