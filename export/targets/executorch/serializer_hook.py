"""The only hook into ExecuTorch: changes the graph of an XNNPACK delegate before it is serialized.

Why a hook: ExecuTorch lets its callers add passes over the exported program, but its XNNPACK
backend inserts transposes and conversions after those, within `XnnpackBackend.preprocess`. That
function builds an `XNNGraph` and serializes it in the same call, with no extension point between
the two.

How: `preprocess` calls `serialize_xnnpack_binary(graph, constants)`, a global of its module
`executorch.backends.xnnpack.xnnpack_preprocess`. The hook replaces this global while it is open.

Written against ExecuTorch 1.5.1. `tests/export/targets/executorch/test_serializer_hook.py` fails if
another version has no such function or no longer calls it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from importlib.metadata import version

from executorch.backends.xnnpack import xnnpack_preprocess
from executorch.backends.xnnpack.serialization.xnnpack_graph_schema import XNNGraph

from lvt.errors import UserError

HOOK_POINT = "serialize_xnnpack_binary"
EXECUTORCH_VERSION = "1.5.1"
"""The version that the hook was written against."""


@contextlib.contextmanager
def before_serialization(transform: Callable[[XNNGraph], None]) -> Iterator[None]:
    """While open, `transform` changes each XNNPACK graph before ExecuTorch serializes it.

    Raises:
        UserError: the installed ExecuTorch has no such function.
    """
    serialize = getattr(xnnpack_preprocess, HOOK_POINT, None)
    if serialize is None:
        raise UserError(
            f"executorch {version('executorch')} has no {xnnpack_preprocess.__name__}."
            f"{HOOK_POINT}, which lvt-mobile's XNNPACK passes need: pip install "
            f"executorch=={EXECUTORCH_VERSION}"
        )

    def transform_and_serialize(graph: XNNGraph, constants: bytearray) -> bytes:
        transform(graph)
        return serialize(graph, constants)

    setattr(xnnpack_preprocess, HOOK_POINT, transform_and_serialize)
    try:
        yield
    finally:
        setattr(xnnpack_preprocess, HOOK_POINT, serialize)
