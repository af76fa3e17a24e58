"""Matrix products and attention."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813  # as its documentation

from tests.export.targets.coreml.op_cases.case import X, Y, as_torch, case, random_array
from tests.export.targets.coreml.packages import ct

_BIAS = random_array(3, 3)
case(
    "linear",
    X,
    lambda c, x: mb.linear(
        x=mb.reshape(x=x, shape=[8, 6, 5]), weight=c(random_array(4, 3, 5)), bias=c(_BIAS)
    ),
    lambda c, x: (
        np.einsum("...i,oi->...o", x.reshape(8, 6, 5), c(random_array(4, 3, 5))) + c(_BIAS)
    ),
)
case(
    "matmul",
    (X, Y[:1, :1]),
    lambda c, x, y: mb.matmul(x=x, y=y, transpose_y=True),
    lambda c, x, y: np.einsum("bcik,jk->bcij", x, y[0, 0]),
    label="transpose_y",
)
case(
    "matmul",
    (X, Y),
    lambda c, x, y: mb.matmul(x=x, y=y, transpose_x=True),
    lambda c, x, y: np.einsum("bcki,bckj->bcij", x, y),
    label="transpose_x",
)
case(
    "einsum",
    (X, random_array(5, 1, 5, 6, 3)),
    lambda c, x, y: mb.einsum(values=(x, y), equation="nchw,nwhu->nchu"),
    lambda c, x, y: (x[..., None] * np.moveaxis(y, 1, 2)[:, None]).sum(3),
)
case(
    "scaled_dot_product_attention",
    (X, Y, random_array(6, 2, 4, 6, 3)),
    lambda c, q, k, v: mb.scaled_dot_product_attention(query=q, key=k, value=v),
    as_torch(lambda c, q, k, v: F.scaled_dot_product_attention(q, k, v)),
    opset=ct.target.iOS18,
)
_MASK = np.tril(np.ones((6, 6), np.float32))
case(
    "scaled_dot_product_attention",
    (X, Y, _MASK),
    lambda c, q, k, m: mb.scaled_dot_product_attention(
        query=q, key=k, value=k, attn_mask=mb.cast(x=m, dtype="bool")
    ),
    as_torch(lambda c, q, k, m: F.scaled_dot_product_attention(q, k, k, m.bool())),
    opset=ct.target.iOS18,
    label="mask",
)
