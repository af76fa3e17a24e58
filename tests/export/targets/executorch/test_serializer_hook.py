"""The installed ExecuTorch has the function that the hook replaces, and calls it when it lowers."""

from __future__ import annotations

import contextlib
from importlib.metadata import version

import pytest
import torch
from torch import nn

pytest.importorskip("executorch", reason="needs lvt-mobile[executorch]")

from executorch.backends.xnnpack import xnnpack_preprocess
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.serialization.xnnpack_graph_schema import XNNGraph
from executorch.exir import to_edge_transform_and_lower

from export.targets.executorch.serializer_hook import (
    EXECUTORCH_VERSION,
    HOOK_POINT,
    before_serialization,
)
from lvt.errors import UserError

CHANGED = (
    f"executorch {version('executorch')} differs from {EXECUTORCH_VERSION}, which the hook was "
    "written against: adapt export/targets/executorch/serializer_hook.py"
)


def lower() -> None:
    model = nn.Conv2d(3, 4, 1).eval()
    program = torch.export.export(model, (torch.zeros(1, 3, 4, 4),))
    to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()


@pytest.mark.slow
def test_lowering_calls_the_hook() -> None:
    assert callable(getattr(xnnpack_preprocess, HOOK_POINT, None)), CHANGED
    graphs: list[XNNGraph] = []
    with before_serialization(graphs.append):
        lower()
    assert len(graphs) == 1, CHANGED
    assert [type(node.xnode_union).__name__ for node in graphs[0].xnodes].count("XNNConv2d") == 1, (
        CHANGED
    )


def test_the_hook_is_removed_afterwards() -> None:
    original = getattr(xnnpack_preprocess, HOOK_POINT)
    with contextlib.suppress(ZeroDivisionError), before_serialization(lambda graph: None):
        assert getattr(xnnpack_preprocess, HOOK_POINT) is not original
        raise ZeroDivisionError
    assert getattr(xnnpack_preprocess, HOOK_POINT) is original


def test_another_executorch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(xnnpack_preprocess, HOOK_POINT)
    message = f"has no {xnnpack_preprocess.__name__}.{HOOK_POINT}.*executorch=={EXECUTORCH_VERSION}"
    with pytest.raises(UserError, match=message), before_serialization(lambda graph: None):
        pass
