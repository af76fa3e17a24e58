"""CSA for XNNPACK: one batched product of 9x9 matrices, between maps with channels last."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.capabilities import Recipe
from export.rewrite.chunked_cat import chunked_cat
from export.rewrite.csa.channels_first import ChannelsFirstCSA
from export.rewrite.csa.tap_weights import TAPS, value_matrices
from export.rewrite.csa.windows import fold_taps
from export.rewrite.linear import frozen, pointwise
from export.rewrite.registry import register
from lvt.attention import CSA, OutlookAttention, WindowAttention


class XnnpackCSA(ChannelsFirstCSA):
    """One convolution for each tap, and one 9x9 matrix of attention for each window and head."""

    def __init__(self, reference: WindowAttention):
        super().__init__(reference)
        matrices = value_matrices(reference)[:, :, :, None, None]
        self.taps = nn.ParameterList(frozen(matrix) for matrix in matrices)

    def values(self, x: Tensor) -> list[Tensor]:
        """See `ChannelsFirstCSA.values`. No tap is cut out of channels, which would copy it."""
        rows, columns = (-(-side // 2) for side in x.shape[-2:])
        maps: dict[tuple[tuple[int, int], int], Tensor] = {}
        values = []
        for tap in range(TAPS):
            row, column = divmod(tap, 3)
            odd = (int(row != 1), int(column != 1))
            matrix = tap % len(self.taps)
            if (odd, matrix) not in maps:
                maps[odd, matrix] = F.conv2d(x, self.taps[matrix], stride=2, padding=odd)
            value = maps[odd, matrix]
            if odd[0]:
                first = int(row == 2)
                value = value[:, :, first : first + rows]
            if odd[1]:
                first = int(column == 2)
                value = value[:, :, :, first : first + columns]
            values.append(value)
        return values

    def alpha(self, logits: Tensor) -> Tensor:
        """The attention, (B*h*w*heads, 9, 9), of logits (B, heads*81, h, w)."""
        return logits.permute(0, 2, 3, 1).reshape(-1, TAPS, TAPS).softmax(dim=-1)

    def mix(self, logits: Tensor, values: list[Tensor]) -> Tensor:
        """See `ChannelsFirstCSA.mix`."""
        batch, dim, rows, columns = values[0].shape
        windows, width = batch * rows * columns, dim // self.heads
        # With the taps outermost, each tap is one block of memory to concatenate and to slice.
        shape = (1, windows, self.heads, width)
        value = chunked_cat([value.permute(0, 2, 3, 1).reshape(shape) for value in values], axis=0)
        value = value.permute(1, 2, 0, 3).reshape(windows * self.heads, TAPS, width)
        out = torch.bmm(self.alpha(logits), value).reshape(windows, self.heads, TAPS, width)
        out = out.permute(2, 0, 1, 3)
        outs = [out[tap : tap + 1].reshape(batch, rows, columns, dim) for tap in range(TAPS)]
        return fold_taps(outs).permute(0, 3, 1, 2)


class PooledSoftmaxCSA(XnnpackCSA):
    """Computes the softmax with pooling operators.

    XNNPACK's own softmax has a cost per row that is large for rows of nine elements. The logits are
    reordered, input tap first, so that each pooling window is a row of pixels.
    """

    def __init__(self, reference: WindowAttention):
        super().__init__(reference)
        channels = torch.arange(self.heads * TAPS * TAPS).reshape(self.heads, TAPS, TAPS)
        order = channels.permute(2, 0, 1).flatten()
        assert self.attn.bias is not None
        self.attn = pointwise(self.attn.weight.flatten(1)[order], self.attn.bias[order])

    def alpha(self, logits: Tensor) -> Tensor:
        """See `XnnpackCSA.alpha`."""
        logits = logits.permute(0, 2, 3, 1).reshape(1, -1, TAPS, self.heads * TAPS)
        logits = logits.permute(0, 3, 1, 2)  # (1, heads*i, B*h*w, j)
        weights = (logits - F.max_pool2d(logits, (1, TAPS))).exp()
        # ExecuTorch casts an integer operand in each run, outside of XNNPACK; hence the float.
        alpha = weights / (F.avg_pool2d(weights, (1, TAPS)) * float(TAPS))
        return alpha.permute(0, 2, 1, 3).reshape(-1, TAPS, TAPS)


@register((CSA, OutlookAttention), "xnnpack")
def rewrite_csa_for_xnnpack(reference: WindowAttention, _recipe: Recipe) -> nn.Module:
    return PooledSoftmaxCSA(reference)
