"""Joining in steps gives what joining at once gives, with five tensors an operator at most."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from export.rewrite.chunked_cat import MAX_CAT_INPUTS, chunked_cat


@given(st.lists(st.integers(1, 3), min_size=1, max_size=40), st.integers(0, 3))
def test_as_cat(sizes: list[int], axis: int) -> None:
    parts = []
    for size in sizes:
        shape = [2, 3, 1, 2]
        shape[axis] = size
        parts.append(torch.randn(shape))
    assert torch.equal(chunked_cat(parts, axis), torch.cat(parts, dim=axis))


def test_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    joined: list[tuple[int, int]] = []
    cat = torch.cat

    def counted(parts: list[torch.Tensor], **where: Any) -> torch.Tensor:
        joined.append((len(parts), parts[0].ndim))
        return cat(parts, **where)

    monkeypatch.setattr(torch, "cat", counted)
    chunked_cat([torch.zeros(2, 1)] * 26, axis=1)
    assert max(count for count, _ in joined) == MAX_CAT_INPUTS
    # A join reads joins of another rank only: the same rank would be made one operator.
    assert [rank for _, rank in joined] == [2] * 6 + [3] * 2 + [2]
